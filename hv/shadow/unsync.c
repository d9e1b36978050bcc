/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Out-of-sync tables (policies oos and adaptive).  The first write to a
 * last-level table takes a snapshot and lets the guest write on unseen; its
 * shadow may lag, as a TLB may, until the guest owes a flush.  Then whatever
 * differs from the snapshot is followed (I5-I7).
 *
 * Why this is legal: a walk always reads the guest's table itself, so what
 * became present or gained a right is seen by the fault that it takes; what lost
 * a right may live on until MOV CR3 or the like (resync of all), INVLPG (of that
 * entry), or until the table is linked anew, which no flush precedes (resync).
 * Only tables with no role above level 1 qualify (I6): what hangs below an upper
 * entry is too much to be stale.
 *
 * adaptive: a table starts emulated.  One that is written more than
 * ADAPT_WRITES times without a flush goes out of sync at its next write; the
 * count begins anew after a flush.  A burst costs a handful of exits and never
 * one more than emulation would, single writes are followed at once.
 */
#include "private.h"

#define ADAPT_WRITES 3

bool unsync_init(struct shadow_vm *vm)
{
	vm->unsync_limit = MIN(vm->cfg.oos, vm->cfg.pool);
	if (vm->cfg.policy < POLICY_OOS)
		return true;
	vm->unsync = vm_alloc(vm, vm->unsync_limit * sizeof(*vm->unsync));
	vm->snapshots = vm_alloc_run(vm, vm->unsync_limit);
	return vm->unsync && vm->snapshots.v != NO_HFN.v;
}

static u64 *snapshot(struct shadow_vm *vm, u32 slot) { return host_ptr(mk_hfn(vm->snapshots.v + slot)); }

static struct frame *frame_of(struct shadow_vm *vm, gfn_t gfn) { return &vm->frames[p2m_frame(vm, gfn)]; }

/* I6: no shadow of it above level 1. */
static bool is_last_level(struct shadow_vm *vm, gfn_t gfn)
{
	for (struct shadow_page *p = pool_next_table(vm, gfn, NULL); p; p = pool_next_table(vm, gfn, p))
		if (p->role.level != 1)
			return false;
	return true;
}

/* Writes to this table since the guest last flushed. */
static u32 recent_writes(const struct shadow_vm *vm, const struct frame *f)
{
	return f->epoch == vm->epoch ? f->writes : 0;
}

void unsync_note_write(struct shadow_vm *vm, gfn_t gfn)
{
	struct frame *f = frame_of(vm, gfn);

	f->writes = recent_writes(vm, f) + 1;
	f->epoch = vm->epoch;
}

bool unsync_try(struct shadow_vm *vm, gfn_t gfn)
{
	struct frame *f = frame_of(vm, gfn);

	if (vm->cfg.policy < POLICY_OOS || !vm->unsync_limit || !is_last_level(vm, gfn))
		return false;
	if (vm->cfg.policy == POLICY_ADAPTIVE && recent_writes(vm, f) < ADAPT_WRITES)
		return false;
	if (vm->nunsync == vm->unsync_limit) {
		vm->stats.unsync_evictions++;
		unsync_resync(vm, vm->unsync[vm->unsync_hand++ % vm->unsync_limit]);
	}
	memcpy(snapshot(vm, vm->nunsync), guestmem_frame(vm, gfn), PAGE_SIZE);
	f->unsync = ++vm->nunsync;
	vm->unsync[f->unsync - 1] = gfn;
	vm->stats.unsyncs++;
	return true;
}

/* From the list alone; the last one takes its slot, snapshot and all. */
static void forget(struct shadow_vm *vm, struct frame *f, u64 *keep)
{
	u32 slot = f->unsync - 1, last = --vm->nunsync;

	f->unsync = 0;
	if (keep)
		memcpy(keep, snapshot(vm, slot), PAGE_SIZE);
	if (slot == last)
		return;
	vm->unsync[slot] = vm->unsync[last];
	memcpy(snapshot(vm, slot), snapshot(vm, last), PAGE_SIZE);
	frame_of(vm, vm->unsync[slot])->unsync = slot + 1;
}

void unsync_forget(struct shadow_vm *vm, gfn_t gfn)
{
	if (frame_of(vm, gfn)->unsync)
		forget(vm, frame_of(vm, gfn), NULL);
}

/*
 * A snapshot is what the shadows were made from, in all roles.  Entries that are
 * followed one by one meanwhile are noted: if the guest then puts the old value
 * back, that is a change.
 */
void unsync_note_followed(struct shadow_vm *vm, gpa_t gpa, size_t len)
{
	struct frame *f = frame_of(vm, gpa_to_gfn(gpa));

	if (f->unsync)
		guestmem_read(vm, gpa, (u8 *)snapshot(vm, f->unsync - 1) + gpa.v % PAGE_SIZE, len);
}

/* One entry of a table, if it is out of sync there. */
void unsync_follow(struct shadow_vm *vm, gpa_t gpa, size_t len)
{
	struct frame *f = frame_of(vm, gpa_to_gfn(gpa));
	unsigned offset = gpa.v % PAGE_SIZE;

	if (f->unsync && memcmp((u8 *)snapshot(vm, f->unsync - 1) + offset,
				(u8 *)guestmem_frame(vm, gpa_to_gfn(gpa)) + offset, len))
		shadow_table_written(vm, gpa, len);
}

static void follow_changes(struct shadow_vm *vm, gfn_t gfn, const u64 *before)
{
	const u64 *now = guestmem_frame(vm, gfn);

	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		if (now[i] != before[i]) {
			vm->stats.resync_changes++;
			shadow_table_written(vm, mk_gpa(gfn_to_gpa(gfn).v + 8 * i), 8);
		}
}

void unsync_resync(struct shadow_vm *vm, gfn_t gfn)
{
	struct frame *f = frame_of(vm, gfn);
	u64 before[PAGE_SIZE / 8];

	if (!f->unsync)
		return;
	vm->stats.resyncs++;
	forget(vm, f, before);
	rmap_write_protect(vm, gfn); /* nobody writes while its changes are followed */
	follow_changes(vm, gfn, before);
}

/*
 * All are in sync again before the first is followed: a table that maps another
 * one of them must not give it back its W (BUGS U02).
 */
void unsync_resync_all(struct shadow_vm *vm)
{
	u32 n = vm->nunsync;

	vm->epoch++;
	vm->nunsync = 0;
	for (u32 i = 0; i < n; i++)
		frame_of(vm, vm->unsync[i])->unsync = 0;
	for (u32 i = 0; i < n; i++)
		rmap_write_protect(vm, vm->unsync[i]);
	for (u32 i = 0; i < n; i++) {
		vm->stats.resyncs++;
		follow_changes(vm, vm->unsync[i], snapshot(vm, i));
	}
}

/*
 * A page is linked where nothing was: the guest owes no flush for what it holds,
 * and an INVLPG in between has not found the way down.  Below an upper page any
 * of the tables may hang.
 */
void unsync_linked(struct shadow_vm *vm, const struct shadow_page *child)
{
	if (child->role.kind != PAGE_TABLE || !vm->nunsync)
		return;
	if (child->role.level == 1)
		unsync_resync(vm, child->gfn);
	else
		unsync_resync_all(vm);
}
