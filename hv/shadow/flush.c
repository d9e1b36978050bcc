/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TLB flushes: what is owed, and the oracle that checks it (I10).
 *
 * page.c owes a flush wherever it takes something away.  Apart from that, each
 * store to a shadow entry is judged by itself: if a TLB could still hold
 * more than the new entry gives, a loss is noted, and only a flush that the back
 * end has really ordered clears it.  VM entry with a loss left over is a bug
 * that no emulator here would show, since they flush at each entry.
 *
 * Roots get address-space tags (ASID, VPID) in turn.  A tag stays good while nothing
 * is lost; a loss flushes the tag in use at once and forgets the others, which flush
 * when they are used next.
 */
#include "private.h"

void page_owe_flush(struct shadow_vm *vm)
{
	struct shadow_vcpu *sv = vm->vcpu;

	if (!sv || sv->flush == SHADOW_FLUSH_ALL)
		return;
	if (vm->scoped && (!sv->flush || sv->flush_gva.v == vm->scope.v)) {
		sv->flush = SHADOW_FLUSH_ONE;
		sv->flush_gva = vm->scope;
	} else {
		sv->flush = SHADOW_FLUSH_ALL;
	}
}

void flush_note_loss(struct shadow_vm *vm)
{
	if (vm->scoped && (!vm->owed_one || vm->owed_gva.v == vm->scope.v)) {
		vm->owed_one++;
		vm->owed_gva = vm->scope;
	} else {
		vm->owed_all++;
	}
	for (unsigned i = 0; i < SHADOW_TAGS_MAX; i++)
		if (vm->vcpu && i != vm->vcpu->tag)
			vm->tags[i].root = 0;
}

/*
 * A fault over entries that are as they should be: a TLB may remember what they
 * were when they gave less.  (SDM vol. 3, 4.10.4.3: that may happen.)
 */
void flush_spurious(struct shadow_vcpu *sv, gva_t gva)
{
	sv->vm->scoped = true;
	sv->vm->scope = gva;
	page_owe_flush(sv->vm);
	sv->vm->scoped = false;
}

/*
 * The root has changed: its own tag if that is still good, else another one, flushed.  If the
 * control bits changed that the hardware runs on, no tag is good (APM vol. 2, 15.16).
 */
void flush_root(struct shadow_vcpu *sv, bool mode)
{
	struct shadow_vm *vm = sv->vm;
	unsigned n = MIN(MAX(vm->cfg.tags, 1u), SHADOW_TAGS_MAX);

	/* What is owed now, the old root's tag needs. */
	if (sv->flush || vm->owed_all || vm->owed_one)
		vm->tags[sv->tag].root = 0;
	vm->owed_all = vm->owed_one = 0;
	sv->flush = SHADOW_FLUSH_NONE;
	for (unsigned i = 0; mode && i < n; i++)
		vm->tags[i].root = 0;
	for (unsigned i = 0; i < n; i++)
		if (vm->tags[i].root == sv->root.v) {
			sv->tag = i;
			return;
		}
	sv->tag = vm->tag_hand++ % n;
	vm->tags[sv->tag].root = sv->root.v;
	sv->flush = SHADOW_FLUSH_ALL;
	vm->owed_all = 1;
}

void shadow_flushed(struct shadow_vcpu *sv, enum shadow_flush what)
{
	struct shadow_vm *vm = sv->vm;

	if (what == SHADOW_FLUSH_ALL) {
		vm->owed_all = vm->owed_one = 0;
		vm->stats.flushes++;
	} else if (what == SHADOW_FLUSH_ONE) {
		vm->owed_one = 0;
		vm->stats.flushes_one++;
	}
}

bool shadow_flush_missing(struct shadow_vcpu *sv)
{
	return sv->vm->owed_all || sv->vm->owed_one;
}
