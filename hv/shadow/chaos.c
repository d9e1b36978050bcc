/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chaos=SEED: between exits, in a seeded order, what a hypervisor may do at any
 * time (remap.c), and what a shadow MMU may do: forget shadows, resynchronise, flush,
 * change its policy.  A guest that notices has found a bug.  The same seed
 * makes the same choices at the same exits.
 */
#include "private.h"

static u32 rnd(struct shadow_vm *vm, u32 n) /* xorshift64 */
{
	vm->chaos ^= vm->chaos << 13;
	vm->chaos ^= vm->chaos >> 7;
	vm->chaos ^= vm->chaos << 17;
	return (vm->chaos >> 16) % n;
}

/* Any frame, or more often one that is in use as a table. */
static gfn_t pick(struct shadow_vm *vm)
{
	const struct shadow_page *p = &vm->pages[rnd(vm, vm->cfg.pool)];

	if (rnd(vm, 3) && p->role.kind == PAGE_TABLE)
		return p->gfn;
	return mk_gfn(rnd(vm, vm->max_gfn));
}

static void relocate(struct shadow_vcpu *sv)
{
	gfn_t gfn = pick(sv->vm);

	while (shadow_relocate(sv, gfn) == SHADOW_MORE)
		sv->vm->pieces = 0;
}

static void evict(struct shadow_vcpu *sv)
{
	struct shadow_vm *vm = sv->vm;

	for (u32 n = rnd(vm, 3) ? 16 : vm->cfg.pool; n; n--) {
		struct shadow_page *p = &vm->pages[rnd(vm, vm->cfg.pool)];

		if (p->role.kind == PAGE_FREE || p->role.kind == PAGE_ZOMBIE || p->pinned)
			continue;
		vm->stats.chaos_evictions++;
		pool_free(vm, p);
	}
}

static void resync(struct shadow_vcpu *sv) { unsync_resync_all(sv->vm); }

static void flush(struct shadow_vcpu *sv) { page_owe_flush(sv->vm); }

/* Two frames that look alike, which are mostly two of zeros. */
static void share(struct shadow_vcpu *sv)
{
	gfn_t a = pick(sv->vm), b = pick(sv->vm);

	while (shadow_share(sv, a, b) == SHADOW_MORE)
		sv->vm->pieces = 0;
}

static void log_dirty(struct shadow_vcpu *sv)
{
	struct shadow_vm *vm = sv->vm;
	gfn_t gfn = pick(vm);
	u32 bits;

	if (vm->guest_logs)
		return;
	if (vm->log_dirty && rnd(vm, 4)) {
		while (shadow_log_read(sv, gfn, &bits) == SHADOW_MORE)
			vm->pieces = 0;
		return;
	}
	for (bool on = !vm->log_dirty; remap_log_dirty(vm, on) == SHADOW_MORE;)
		vm->pieces = 0;
}

/* Nothing of one policy may be left when another takes over. */
static void switch_policy(struct shadow_vcpu *sv)
{
	struct shadow_vm *vm = sv->vm;
	u32 i;

	while (vm->nunsync) {
		vm->pieces = 0;
		unsync_resync_all(vm);
	}
	vm->cfg.policy = rnd(vm, 4);
	sv->mode->set_root(sv);
	for (i = 0; i < vm->cfg.pool; i++) {
		struct shadow_page *p = &vm->pages[i];

		if (p->role.kind != PAGE_FREE && p->role.kind != PAGE_ZOMBIE && !p->pinned)
			pool_free(vm, p);
	}
	flush_root(sv, true);
	vm->stats.policy_switches++;
}

void shadow_chaos(struct shadow_vcpu *sv)
{
	static void (*const ops[])(struct shadow_vcpu *sv) = {
		relocate, relocate, relocate, evict, evict, resync, flush, share, share, log_dirty, log_dirty,
	};
	struct shadow_vm *vm = sv->vm;

	if (!vm->cfg.chaos || shadow_is_open(sv) || rnd(vm, 4))
		return;
	if (!rnd(vm, 64))
		switch_policy(sv);
	else
		ops[rnd(vm, ARRAY_SIZE(ops))](sv);
}
