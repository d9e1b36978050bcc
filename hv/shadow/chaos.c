/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a hypervisor may do to a running guest at any time: move a frame, and,
 * as chaos=SEED does between exits in a seeded order, also forget shadows,
 * resynchronise and flush.  A guest that notices has found a bug.
 */
#include "private.h"

#define POISON 0xdb /* what a frame holds that is nobody's */

static u32 rnd(struct shadow_vm *vm, u32 n) /* xorshift64 */
{
	vm->chaos ^= vm->chaos << 13;
	vm->chaos ^= vm->chaos >> 7;
	vm->chaos ^= vm->chaos << 17;
	return (vm->chaos >> 16) % n;
}

/*
 * The contents go to a spare frame, every leaf of the old one goes, and the p2m
 * follows.  Shadows of the frame as a table stay: they name the gfn.
 */
bool shadow_relocate(struct shadow_vcpu *sv, gfn_t gfn)
{
	struct shadow_vm *vm = sv->vm;
	u32 from = p2m_frame(vm, gfn), to = vm->spare[vm->spare_hand % SPARE_FRAMES];

	if (from == FRAME_ONES)
		return false;
	shadow_close(sv);
	rmap_drop(vm, from);
	memcpy(host_ptr(frame_hfn(vm, to)), host_ptr(frame_hfn(vm, from)), PAGE_SIZE);
	memset(host_ptr(frame_hfn(vm, from)), POISON, PAGE_SIZE);
	vm->frames[to] = vm->frames[from];
	vm->frames[to].rmap = NO_LINK;
	vm->frames[from] = (struct frame){ .gfn = ~0u };
	vm->p2m[gfn.v] = to;
	vm->spare[vm->spare_hand++ % SPARE_FRAMES] = from;
	vm->stats.relocations++;
	page_owe_flush(vm);
	return true;
}

static void evict(struct shadow_vm *vm, u32 n)
{
	for (; n; n--) {
		struct shadow_page *p = &vm->pages[rnd(vm, vm->cfg.pool)];

		if (p->role.kind != PAGE_FREE && !p->pinned) {
			vm->stats.chaos_evictions++;
			pool_free(vm, p);
		}
	}
}

void shadow_chaos(struct shadow_vcpu *sv)
{
	struct shadow_vm *vm = sv->vm;

	if (!vm->cfg.chaos || shadow_is_open(sv) || rnd(vm, 4))
		return;
	switch (rnd(vm, 8)) {
	case 0: /* any frame */
		shadow_relocate(sv, mk_gfn(rnd(vm, vm->max_gfn)));
		break;
	case 1:
	case 2: { /* a frame that is in use as a table */
		struct shadow_page *p = &vm->pages[rnd(vm, vm->cfg.pool)];

		if (p->role.kind == PAGE_TABLE)
			shadow_relocate(sv, p->gfn);
		break;
	}
	case 3:
	case 4:
		evict(vm, 16);
		break;
	case 5:
		evict(vm, vm->cfg.pool);
		break;
	case 6:
		unsync_resync_all(vm);
		break;
	case 7:
		page_owe_flush(vm);
		break;
	}
}
