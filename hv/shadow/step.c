/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stepping over: an instruction that is not decoded, or whose write cannot be
 * made in place, runs by itself with the pages that it asks for opened to it.
 */
#include "private.h"

bool shadow_is_opened(const struct shadow_vm *vm, gfn_t gfn)
{
	for (unsigned i = 0; i < vm->nopen; i++)
		if (vm->open[i].v == gfn.v)
			return true;
	return false;
}

/*
 * The guest may write an opened table unseen until the next exit.  That is
 * legal although the shadow lags: what becomes present faults, which is an exit;
 * what loses a right may live on as if in a TLB until the guest flushes, which
 * is an exit too; and every exit closes and resynchronises first of all.
 */
static void open_table(struct shadow_vm *vm, gfn_t gfn)
{
	if (shadow_is_opened(vm, gfn))
		return;
	BUG_ON(vm->nopen == OPEN_MAX);
	vm->open[vm->nopen++] = gfn;
	vm->stats.table_writes_stepped++;
}

/* A hole or ROM: what is written goes to a copy that nobody keeps. */
static void open_scratch(struct shadow_vm *vm, gfn_t gfn)
{
	for (unsigned i = 0; i < vm->nscratch; i++)
		if (vm->scratch[i].v == gfn.v)
			return;
	BUG_ON(vm->nscratch == OPEN_MAX);
	memcpy(host_ptr(frame_hfn(vm, FRAME_SCRATCH + vm->nscratch)), guestmem_frame(vm, gfn), PAGE_SIZE);
	vm->scratch[vm->nscratch++] = gfn;
}

/*
 * What is granted lasts until the next exit, or, if no TLB could hold it (a right too many, bytes
 * behind a hole), for one instruction: then *once.  False: not yet.
 */
static bool open_one(struct shadow_vcpu *sv, const struct step *s, bool *once)
{
	struct shadow_vm *vm = sv->vm;
	enum p2m_kind kind;
	bool lend_once = false;
	unsigned how = 0;
	struct walk w;
	u32 error;

	do {
		sv->mode->walk(sv, s->gva, &w);
		if (!sv->mode->permits(sv, &w, &s->acc, &error))
			return true; /* it will fault again, and be told */
	} while (!sv->mode->set_ad(sv, &w, s->acc.write));
	kind = p2m_lookup(vm, w.gfn).kind;
	if (s->acc.write && (kind == P2M_HOLE || kind == P2M_ROM)) {
		open_scratch(vm, w.gfn);
		how |= FILL_OPEN;
		*once = true;
	} else if (s->acc.write && shadow_is_table(vm, w.gfn)) {
		open_table(vm, w.gfn);
		how |= FILL_OPEN;
	}
	if (needs_lending(&w, &s->acc)) {
		bool lasting = may_lend(w.access, ctl_of(&sv->paging), sv->mode->shadow_levels);

		how |= FILL_LEND;
		*once |= !lasting;
		lend_once = !lasting;
	}
	if (s->acc.write && kind == P2M_RAM)
		p2m_before_write(vm, w.gfn);
	if (how & FILL_OPEN || lend_once)
		vm->lent[vm->nlent++] = s->gva;
	return sv->mode->fill(sv, s->gva, &w, how);
}

/* All that this instruction has asked for so far is opened again: it may write to two pages. */
bool shadow_step_over(struct shadow_vcpu *sv, gva_t gva, const struct shadow_access *acc)
{
	struct shadow_vm *vm = sv->vm;
	bool once = false;

	shadow_close(sv);
	vm->faulted = true;
	if (vm->nsteps == OPEN_MAX)
		vm->nsteps = 0;
	vm->steps[vm->nsteps++] = (struct step){ gva, *acc };
	for (unsigned i = 0; i < vm->nsteps; i++)
		if (!open_one(sv, &vm->steps[i], &once)) {
			vm->stats.again++;
			return false; /* the same fault comes again */
		}
	return once;
}

/*
 * What was granted for the delivery of an event must be gone when its handler begins, and nothing
 * single-steps a delivery on SVM: the first fetch of the handler exits.
 */
bool shadow_trap_fetch(struct shadow_vcpu *sv, gva_t gva)
{
	struct shadow_vm *vm = sv->vm;
	unsigned i;
	struct shadow_page *p = sv->mode->leaf_at(sv, gva, &i);

	if (!p)
		return true; /* it exits as it is */
	if (sv->mode->shadow_levels == 2 && vm->trap_needed)
		return false; /* no NX, and the delivery reads there */
	if (sv->mode->shadow_levels == 2)
		page_clear(vm, p, i);
	else
		page_forbid_fetch(vm, p, i);
	vm->trap = gva;
	vm->lent[vm->nlent++] = gva;
	return true;
}

bool shadow_is_open(const struct shadow_vcpu *sv)
{
	return sv->vm->nopen || sv->vm->nlent || sv->vm->nsteps;
}

/*
 * The leaves that were opened are known by their addresses, so that no search
 * is needed; then no mapping of an opened table is writable again (I3).
 */
void shadow_close(struct shadow_vcpu *sv)
{
	struct shadow_vm *vm = sv->vm;
	unsigned n = vm->nopen, i;

	for (; vm->nlent; vm->nlent--) {
		struct shadow_page *p = sv->mode->leaf_at(sv, vm->lent[vm->nlent - 1], &i);

		if (p)
			page_clear(vm, p, i);
	}
	vm->nopen = vm->nscratch = 0;
	for (i = 0; i < n; i++)
		shadow_table_written(vm, gfn_to_gpa(vm->open[i]), PAGE_SIZE);
	if (!vm->faulted) { /* the last exit was no fault of the same instruction */
		vm->nsteps = 0;
		vm->trap_needed = false;
	}
	vm->faulted = false;
}
