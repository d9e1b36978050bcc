/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gfn -> hfn, the only door from guest frames to host frames.  A guest's RAM is
 * one run of host frames, and four layouts say which stands behind which gfn:
 * flat, scatter (a seeded random order, so that no two neighbours of the guest
 * are neighbours of the host and a gfn that slips into a shadow entry as an hfn
 * shows at once), chunks (whole groups of 512 in random order, every third
 * scattered inside) and sparse (scattered, and not there before the first touch).
 *
 * The frames before FRAME_RAM are nobody's: one reads as ones and stands behind
 * every hole, as nothing answers there on a real bus; the rest is spare.
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

/* ---- layouts ---- */

static u64 random_next(u64 *state) /* xorshift64* */
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

static bool is_hole(const struct shadow_config *cfg, u64 gfn)
{
	return gfn >= cfg->hole_start.v && gfn < cfg->hole_end.v;
}

static void swap(struct shadow_vm *vm, u64 a, u64 b)
{
	u32 frame = vm->gfns[a].frame;

	vm->gfns[a].frame = vm->gfns[b].frame;
	vm->gfns[b].frame = frame;
}

/* Fisher and Yates, over the gfns in [first, end). */
static void scatter(struct shadow_vm *vm, u64 first, u64 end, u64 *state)
{
	for (u64 i = end - 1; i > first; i--)
		swap(vm, i, first + random_next(state) % (i - first + 1));
}

static void deal_chunks(struct shadow_vm *vm, u64 *state)
{
	u64 n = vm->max_gfn / GROUP;

	for (u64 i = n; i > 1; i--) {
		u64 a = i - 1, b = random_next(state) % i;

		for (u64 k = 0; k < GROUP; k++)
			swap(vm, a * GROUP + k, b * GROUP + k);
	}
	for (u64 i = 0; i < n; i += 3)
		scatter(vm, i * GROUP, (i + 1) * GROUP, state);
}

void p2m_give_back(struct shadow_vm *vm, u32 frame)
{
	BUG_ON(vm->nspare == vm->nframes);
	vm->spare[(vm->spare_first + vm->nspare++) % vm->nframes] = frame;
}

/* The spare frame that has been one for longest; there is always one. */
static u32 take_spare(struct shadow_vm *vm)
{
	u32 frame = vm->spare[vm->spare_first];

	BUG_ON(!vm->nspare);
	vm->spare_first = (vm->spare_first + 1) % vm->nframes;
	vm->nspare--;
	return frame;
}

/* Holes get no frame, what they had been dealt becomes spare; in a sparse p2m that goes for all. */
static void settle(struct shadow_vm *vm)
{
	const struct shadow_config *cfg = &vm->cfg;

	for (u64 gfn = 0; gfn < vm->max_gfn; gfn++) {
		struct guest_frame *g = &vm->gfns[gfn];

		if (!is_hole(cfg, gfn) && cfg->p2m != P2M_SPARSE) {
			vm->frames[g->frame] = (struct frame){ .sharers = 1, .gfn = gfn };
			continue;
		}
		p2m_give_back(vm, g->frame);
		g->frame = is_hole(cfg, gfn) ? FRAME_ONES : FRAME_ABSENT;
	}
	for (u32 f = FRAME_FREE; f < FRAME_RAM; f++)
		p2m_give_back(vm, f);
}

bool p2m_init(struct shadow_vm *vm)
{
	const struct shadow_config *cfg = &vm->cfg;
	u64 state = cfg->seed | 1;

	vm->max_gfn = cfg->ram_frames;
	vm->nframes = FRAME_RAM + vm->max_gfn;
	vm->frames = vm_alloc(vm, vm->nframes * sizeof(*vm->frames));
	vm->groups = vm_alloc(vm, (vm->nframes / GROUP + 1) * sizeof(*vm->groups));
	vm->gfns = vm_alloc(vm, vm->max_gfn * sizeof(*vm->gfns));
	vm->spare = vm_alloc(vm, vm->nframes * sizeof(*vm->spare));
	vm->ram_base = vm_alloc_run(vm, vm->nframes + GROUP - 1);
	if (!vm->frames || !vm->groups || !vm->gfns || !vm->spare || vm->ram_base.v == NO_HFN.v)
		return false;
	vm->ram_base.v = (vm->ram_base.v + GROUP - 1) & ~(u64)(GROUP - 1);
	for (u64 gfn = 0; gfn < vm->max_gfn; gfn++)
		vm->gfns[gfn].frame = FRAME_RAM + gfn;
	if (cfg->p2m == P2M_SCATTER || cfg->p2m == P2M_SPARSE)
		scatter(vm, 0, vm->max_gfn, &state);
	else if (cfg->p2m == P2M_CHUNKS)
		deal_chunks(vm, &state);
	settle(vm);
	vm->nowhere.frame = FRAME_ONES;
	vm->chaos = cfg->chaos;
	memset(host_ptr(vm->ram_base), 0, vm->nframes * PAGE_SIZE);
	memset(host_ptr(frame_hfn(vm, FRAME_ONES)), 0xff, PAGE_SIZE);
	return true;
}

/* ---- looking up ---- */

struct guest_frame *p2m_gfn(struct shadow_vm *vm, gfn_t gfn)
{
	return gfn.v < vm->max_gfn ? &vm->gfns[gfn.v] : &vm->nowhere;
}

bool p2m_is_absent(const struct shadow_vm *vm, gfn_t gfn)
{
	return gfn.v < vm->max_gfn && vm->gfns[gfn.v].frame == FRAME_ABSENT;
}

u32 p2m_frame(struct shadow_vm *vm, gfn_t gfn)
{
	struct guest_frame *g = p2m_gfn(vm, gfn);

	if (g->frame == FRAME_ABSENT) {
		g->frame = take_spare(vm);
		vm->frames[g->frame] = (struct frame){ .sharers = 1, .gfn = gfn.v };
		memset(host_ptr(frame_hfn(vm, g->frame)), 0, PAGE_SIZE);
		vm->stats.populated++;
	}
	return g->frame;
}

bool p2m_owns(const struct shadow_vm *vm, hfn_t hfn)
{
	return hfn.v >= vm->ram_base.v && hfn.v - vm->ram_base.v < vm->nframes;
}

struct p2m_entry p2m_lookup(struct shadow_vm *vm, gfn_t gfn)
{
	u32 f = p2m_frame(vm, gfn);
	struct p2m_entry e = { frame_hfn(vm, f), f == FRAME_ONES ? P2M_HOLE : p2m_gfn(vm, gfn)->rom ? P2M_ROM : P2M_RAM };

	if (e.kind == P2M_HOLE && vm->cfg.mmio && host_is_device(mk_hfn(gfn.v)))
		e = (struct p2m_entry){ mk_hfn(gfn.v), P2M_MMIO };
	return e;
}

/* 512 gfns with their frames in a row, as a large leaf needs them. */
bool p2m_is_run(struct shadow_vm *vm, gfn_t gfn)
{
	u32 first;

	if (gfn.v % GROUP || gfn.v + GROUP > vm->max_gfn)
		return false;
	first = vm->gfns[gfn.v].frame;
	if (first % GROUP || first < FRAME_RAM)
		return false;
	for (u32 i = 0; i < GROUP; i++) {
		work(vm, 1);
		if (vm->gfns[gfn.v + i].frame != first + i)
			return false;
	}
	return true;
}

/* And none of them a table, read-only, shared or watched: one large leaf may be made of them. */
bool p2m_is_whole(struct shadow_vm *vm, gfn_t gfn)
{
	if (vm->log_dirty || !p2m_is_run(vm, gfn))
		return false;
	for (u32 i = 0; i < GROUP; i++) {
		const struct guest_frame *g = &vm->gfns[gfn.v + i];
		const struct frame *f = &vm->frames[g->frame];

		if (g->tables || g->rom || f->sharers > 1 || f->want)
			return false;
	}
	return true;
}

/* May a leaf of this gfn be writable, as far as the hypervisor is concerned? */
bool p2m_may_write(const struct shadow_vm *vm, const struct guest_frame *g)
{
	const struct frame *f = &vm->frames[g->frame];

	return g->frame >= FRAME_SCRATCH && !g->rom && f->sharers <= 1 && !f->want && (!vm->log_dirty || g->dirty == vm->log_epoch);
}

/* ---- writers ---- */

static void move_contents(struct shadow_vm *vm, struct guest_frame *g, u32 to)
{
	memcpy(host_ptr(frame_hfn(vm, to)), host_ptr(frame_hfn(vm, g->frame)), PAGE_SIZE);
	vm->frames[to] = (struct frame){ .sharers = 1, .gfn = g - vm->gfns };
	g->frame = to;
}

/*
 * The leaves of a shared frame are always on a chain (rmap.c), so they can go at
 * once; those of the other sharers come back by a fault.
 */
static void unshare(struct shadow_vm *vm, struct guest_frame *g)
{
	u32 from = g->frame;

	rmap_drop(vm, from);
	vm->frames[from].sharers--;
	move_contents(vm, g, take_spare(vm));
	vm->stats.unshares++;
}

/* Somebody is about to write to this frame: it is the gfn's own afterwards, and logged. */
void p2m_before_write(struct shadow_vm *vm, gfn_t gfn)
{
	struct guest_frame *g = p2m_gfn(vm, gfn);

	if (vm->frames[p2m_frame(vm, gfn)].sharers > 1)
		unshare(vm, g);
	if (vm->log_dirty && g->dirty != vm->log_epoch) {
		g->dirty = vm->log_epoch;
		vm->stats.dirty_marks++;
	}
}

/* To another host frame; false: not yet.  Shadows of the gfn as a table stay: they name the gfn. */
bool p2m_move(struct shadow_vm *vm, gfn_t gfn)
{
	struct guest_frame *g = p2m_gfn(vm, gfn);
	u32 from = p2m_frame(vm, gfn);

	if (!rmap_drop(vm, from))
		return false;
	move_contents(vm, g, take_spare(vm));
	if (--vm->frames[from].sharers)
		return true;
	memset(host_ptr(frame_hfn(vm, from)), POISON, PAGE_SIZE);
	vm->frames[from] = (struct frame){ 0 };
	p2m_give_back(vm, from);
	return true;
}

/* b becomes another name of a's frame; its own is spare.  Neither has a leaf left. */
void p2m_share(struct shadow_vm *vm, struct guest_frame *a, struct guest_frame *b)
{
	u32 from = b->frame;

	vm->frames[a->frame].sharers++;
	b->frame = a->frame;
	if (--vm->frames[from].sharers)
		return;
	memset(host_ptr(frame_hfn(vm, from)), POISON, PAGE_SIZE);
	vm->frames[from] = (struct frame){ 0 };
	p2m_give_back(vm, from);
}
