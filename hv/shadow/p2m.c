/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gfn -> hfn, the only door from guest frames to host frames.  A guest's RAM is
 * one run of host frames; `scatter` deals them out in a seeded random order, so
 * that no two neighbours of the guest are neighbours of the host and a gfn that
 * slips into a shadow entry as an hfn shows at once.
 *
 * Frame 0 of the run reads as ones: it stands behind every hole, as nothing
 * answers there on a real bus.
 */
#include "private.h"

hfn_t vm_alloc_run(struct shadow_vm *vm, u64 frames)
{
	hfn_t f = host_alloc_run(frames);

	if (f.v == NO_HFN.v)
		return f;
	BUG_ON(vm->nblocks == ARRAY_SIZE(vm->blocks));
	vm->blocks[vm->nblocks] = f;
	vm->block_frames[vm->nblocks++] = frames;
	return f;
}

void *vm_alloc(struct shadow_vm *vm, u64 bytes)
{
	u64 frames = (bytes + PAGE_SIZE - 1) / PAGE_SIZE;
	hfn_t f = vm_alloc_run(vm, frames);

	if (f.v == NO_HFN.v)
		return NULL;
	return memset(host_ptr(f), 0, frames * PAGE_SIZE);
}

static u64 random_next(u64 *state) /* xorshift64* */
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

static void scatter(struct shadow_vm *vm, u32 ram)
{
	u64 state = vm->cfg.seed | 1;

	for (u32 i = ram - 1; i > FRAME_RAM; i--) { /* Fisher and Yates */
		u32 j = FRAME_RAM + random_next(&state) % (i - FRAME_RAM + 1);
		u32 gfn = vm->frames[i].gfn;

		vm->frames[i].gfn = vm->frames[j].gfn;
		vm->frames[j].gfn = gfn;
	}
}

bool p2m_init(struct shadow_vm *vm)
{
	const struct shadow_config *cfg = &vm->cfg;
	u64 hole = cfg->hole_end.v - cfg->hole_start.v;
	u32 f = FRAME_RAM, ram;

	vm->max_gfn = cfg->ram_frames;
	ram = cfg->ram_frames - hole + FRAME_RAM; /* exclusive */
	vm->nframes = ram + SPARE_FRAMES;
	vm->frames = vm_alloc(vm, vm->nframes * sizeof(*vm->frames));
	vm->p2m = vm_alloc(vm, vm->max_gfn * sizeof(*vm->p2m));
	vm->ram_base = vm_alloc_run(vm, vm->nframes);
	if (!vm->frames || !vm->p2m || vm->ram_base.v == NO_HFN.v)
		return false;
	for (u64 gfn = 0; gfn < vm->max_gfn; gfn++)
		if (gfn < cfg->hole_start.v || gfn >= cfg->hole_end.v)
			vm->frames[f++].gfn = gfn;
	if (cfg->p2m == P2M_SCATTER)
		scatter(vm, ram);
	for (f = FRAME_RAM; f < ram; f++)
		vm->p2m[vm->frames[f].gfn] = f;
	for (; f < vm->nframes; f++) {
		vm->spare[f - ram] = f;
		vm->frames[f].gfn = ~0u;
	}
	vm->chaos = cfg->chaos;
	memset(host_ptr(vm->ram_base), 0, vm->nframes * PAGE_SIZE);
	memset(host_ptr(frame_hfn(vm, FRAME_ONES)), 0xff, PAGE_SIZE);
	return true;
}

u32 p2m_frame(const struct shadow_vm *vm, gfn_t gfn)
{
	return gfn.v < vm->max_gfn ? vm->p2m[gfn.v] : FRAME_ONES;
}

bool p2m_owns(const struct shadow_vm *vm, hfn_t hfn)
{
	return hfn.v >= vm->ram_base.v && hfn.v - vm->ram_base.v < vm->nframes;
}

struct p2m_entry p2m_lookup(const struct shadow_vm *vm, gfn_t gfn)
{
	u32 f = p2m_frame(vm, gfn);

	return (struct p2m_entry){ frame_hfn(vm, f), f == FRAME_ONES ? P2M_HOLE : P2M_RAM };
}
