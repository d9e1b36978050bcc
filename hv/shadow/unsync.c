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
 * With wprot=scan a table may not be closed to writes at once: then it stays out of
 * sync and only its changes are followed.
 *
 * adaptive: a table goes out of sync at the write after `patience` emulated
 * ones without a flush.  What an epoch (from flush to flush) brought is counted, by
 * the resync that ends it or by the writes that were emulated: several changes
 * are worth going out of sync, one is not.  A table with a history goes by that; the
 * others by what the last tables of the guest did.  docs/adaptive.md has the
 * costs behind it.
 */
#include "private.h"

#define PATIENCE_MAX 3u
#define CONFIDENCE 8 /* epochs that a burst is remembered for */
#define BURST 2u /* changes in one epoch that are worth a resync: one exit for all of them */
#define TRIM_TO 64u /* tables that one exit may resynchronise */
#define TRIM_PIECE 16u

bool unsync_init(struct shadow_vm *vm)
{
	vm->unsync_limit = MIN(MIN(vm->cfg.oos, vm->cfg.pool), vm->max_gfn);
	vm->patience = 1;
	if (!vm->unsync_limit || (vm->cfg.policy < POLICY_OOS && !vm->cfg.chaos))
		return true;
	vm->unsync = vm_alloc(vm, vm->unsync_limit * sizeof(*vm->unsync));
	vm->snapshots = vm_alloc_run(vm, vm->unsync_limit);
	return vm->unsync && vm->snapshots.v != NO_HFN.v;
}

static u64 *snapshot(struct shadow_vm *vm, u32 slot) { return host_ptr(mk_hfn(vm->snapshots.v + slot)); }

/* I6: no shadow of it above level 1. */
static bool is_last_level(struct shadow_vm *vm, gfn_t gfn)
{
	for (struct shadow_page *p = pool_next_table(vm, gfn, NULL); p; p = pool_next_table(vm, gfn, p))
		if (p->role.level != 1)
			return false;
	return true;
}

/* Writes to this table since the guest last flushed. */
static u32 recent_writes(const struct shadow_vm *vm, const struct guest_frame *f)
{
	return f->epoch == vm->epoch ? f->writes : 0;
}

/*
 * An epoch that was emulated tells how many writes there were.  A resync sees how many
 * entries differ, which may be fewer: one or none is weak evidence.
 */
static void learn(struct shadow_vm *vm, struct guest_frame *f, u32 changes, bool exact)
{
	if (changes >= BURST) {
		f->bursts = CONFIDENCE;
		vm->patience -= vm->patience > 0;
	} else {
		f->bursts = exact ? -1 : MAX(f->bursts - 1, -1);
		vm->patience += vm->patience < PATIENCE_MAX;
	}
	f->writes = 0;
}

void unsync_note_write(struct shadow_vm *vm, gfn_t gfn)
{
	struct guest_frame *f = p2m_gfn(vm, gfn);

	if (f->epoch != vm->epoch && f->writes)
		learn(vm, f, f->writes, true);
	f->writes = recent_writes(vm, f) + 1;
	f->epoch = vm->epoch;
}

static bool has_patience(const struct shadow_vm *vm, const struct guest_frame *f)
{
	u32 limit = f->bursts > 0 ? 0 : f->bursts < 0 ? PATIENCE_MAX : vm->patience;

	return vm->cfg.policy == POLICY_ADAPTIVE && recent_writes(vm, f) < limit;
}

bool unsync_try(struct shadow_vm *vm, gfn_t gfn)
{
	struct guest_frame *f = p2m_gfn(vm, gfn);

	if (vm->cfg.policy < POLICY_OOS || !vm->unsync_limit || !is_last_level(vm, gfn) || has_patience(vm, f) ||
	    !p2m_may_write(vm, f))
		return false;
	if (vm->nunsync == vm->unsync_limit) {
		vm->stats.unsync_evictions++;
		unsync_resync(vm, vm->unsync[vm->unsync_hand++ % vm->unsync_limit]);
		if (vm->nunsync == vm->unsync_limit)
			return false;
	}
	memcpy(snapshot(vm, vm->nunsync), guestmem_frame(vm, gfn), PAGE_SIZE);
	work(vm, PAGE_SIZE / 8);
	f->unsync = ++vm->nunsync;
	vm->unsync[f->unsync - 1] = gfn;
	vm->stats.unsyncs++;
	return true;
}

/* From the list alone; the last one takes its slot, snapshot and all. */
static void forget(struct shadow_vm *vm, struct guest_frame *f, u64 *keep)
{
	u32 slot = f->unsync - 1, last = --vm->nunsync;

	f->unsync = 0;
	if (keep)
		memcpy(keep, snapshot(vm, slot), PAGE_SIZE);
	if (slot == last)
		return;
	vm->unsync[slot] = vm->unsync[last];
	memcpy(snapshot(vm, slot), snapshot(vm, last), PAGE_SIZE);
	p2m_gfn(vm, vm->unsync[slot])->unsync = slot + 1;
}

void unsync_forget(struct shadow_vm *vm, gfn_t gfn)
{
	if (p2m_gfn(vm, gfn)->unsync)
		forget(vm, p2m_gfn(vm, gfn), NULL);
}

/*
 * A snapshot is what the shadows were made from, in all roles.  Entries that are
 * followed one by one meanwhile are noted: if the guest then puts the old value
 * back, that is a change.
 */
void unsync_note_followed(struct shadow_vm *vm, gpa_t gpa, size_t len)
{
	struct guest_frame *f = p2m_gfn(vm, gpa_to_gfn(gpa));

	if (f->unsync)
		guestmem_read(vm, gpa, (u8 *)snapshot(vm, f->unsync - 1) + gpa.v % PAGE_SIZE, len);
}

/* One entry of a table, if it is out of sync there. */
void unsync_follow(struct shadow_vm *vm, gpa_t gpa, size_t len)
{
	struct guest_frame *f = p2m_gfn(vm, gpa_to_gfn(gpa));
	unsigned offset = gpa.v % PAGE_SIZE;

	if (f->unsync && memcmp((u8 *)snapshot(vm, f->unsync - 1) + offset,
				(u8 *)guestmem_frame(vm, gpa_to_gfn(gpa)) + offset, len))
		shadow_table_written(vm, gpa, len);
}

/* What differs from `before` is followed; while the table is out of sync, `before` comes to agree. */
static void follow_changes(struct shadow_vm *vm, gfn_t gfn, const u64 *before)
{
	const u64 *now = guestmem_frame(vm, gfn);
	u32 changes = 0;

	vm->stats.resyncs++;
	work(vm, PAGE_SIZE / 8);
	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		if (now[i] != before[i]) {
			changes++;
			shadow_table_written(vm, mk_gpa(gfn_to_gpa(gfn).v + 8 * i), 8);
		}
	vm->stats.resync_changes += changes;
	learn(vm, p2m_gfn(vm, gfn), changes, false);
}

void unsync_resync(struct shadow_vm *vm, gfn_t gfn)
{
	struct guest_frame *f = p2m_gfn(vm, gfn);
	u64 before[PAGE_SIZE / 8];

	if (!f->unsync)
		return;
	if (!rmap_protect(vm, f->frame)) { /* the guest may go on writing, but what it wrote is followed */
		follow_changes(vm, gfn, snapshot(vm, f->unsync - 1));
		return;
	}
	forget(vm, f, before); /* first: what is followed must not make a mapping of it writable again */
	follow_changes(vm, gfn, before);
}

bool unsync_trim(struct shadow_vm *vm)
{
	if (vm->nunsync <= TRIM_TO)
		return true;
	for (u32 i = vm->nunsync; i > vm->nunsync - TRIM_PIECE && i > TRIM_TO; i--)
		unsync_resync(vm, vm->unsync[i - 1]);
	return false;
}

/*
 * All that can be closed to writes are, before the first is followed: a table that maps another
 * one of them must not give it back its W (BUGS U02).
 */
void unsync_resync_all(struct shadow_vm *vm)
{
	u32 n = vm->nunsync, left = 0;

	vm->epoch++;
	for (u32 i = 0; i < n; i++)
		if (rmap_protect(vm, p2m_frame(vm, vm->unsync[i])))
			p2m_gfn(vm, vm->unsync[i])->unsync = 0;
	for (u32 i = 0; i < n; i++)
		follow_changes(vm, vm->unsync[i], snapshot(vm, i));
	for (u32 i = 0; i < n; i++) {
		struct guest_frame *f = p2m_gfn(vm, vm->unsync[i]);

		if (!f->unsync)
			continue;
		if (left != i)
			memcpy(snapshot(vm, left), snapshot(vm, i), PAGE_SIZE);
		vm->unsync[left] = vm->unsync[i];
		f->unsync = ++left;
	}
	vm->nunsync = left;
}

/*
 * A page is linked where nothing was: the guest owes no flush for what it holds,
 * and an INVLPG in between has not found the way down.  Below an upper page any
 * of the tables may hang.
 */
bool unsync_linked(struct shadow_vm *vm, const struct shadow_page *child)
{
	if (child->role.kind != PAGE_TABLE || !vm->nunsync)
		return true;
	if (child->role.level == 1) {
		unsync_resync(vm, child->gfn);
		return true;
	}
	if (!unsync_trim(vm))
		return false;
	unsync_resync_all(vm);
	return true;
}
