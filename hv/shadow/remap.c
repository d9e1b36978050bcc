/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a hypervisor may do to a running guest at any time: move a frame, share
 * one, make it read-only, log who writes.  What takes long is done in
 * pieces: SHADOW_MORE asks for another call at a later exit.
 */
#include "private.h"

static bool is_ram(struct shadow_vm *vm, gfn_t gfn)
{
	return p2m_gfn(vm, gfn)->frame != FRAME_ONES;
}

/* The contents go to a spare frame, every leaf of the old one goes, and the p2m follows. */
enum shadow_done shadow_relocate(struct shadow_vcpu *sv, gfn_t gfn)
{
	struct shadow_vm *vm = sv->vm;

	if (!is_ram(vm, gfn))
		return SHADOW_REFUSED;
	if (!p2m_move(vm, gfn))
		return SHADOW_MORE;
	vm->stats.relocations++;
	return SHADOW_DONE;
}

/* ---- log-dirty ---- */

/* A table out of sync has a writable mapping: it comes back into sync.  False: not yet. */
static bool is_settled(struct shadow_vm *vm, gfn_t gfn)
{
	unsync_resync(vm, gfn);
	return !unsync_is(vm, gfn);
}

enum shadow_done remap_log_dirty(struct shadow_vm *vm, bool on)
{
	if (!on) {
		vm->log_dirty = false;
		vm->log_until = 0;
		return SHADOW_DONE;
	}
	if (!vm->log_dirty)
		vm->log_epoch++;
	else if (!vm->log_until)
		return SHADOW_DONE;
	vm->log_dirty = true;
	return rmap_protect_all(vm) ? SHADOW_DONE : SHADOW_MORE;
}

/* From here on the log is the guest's, and chaos leaves it alone. */
enum shadow_done shadow_log_dirty(struct shadow_vcpu *sv, bool on)
{
	struct shadow_vm *vm = sv->vm;

	if (!vm->guest_logs)
		remap_log_dirty(vm, false);
	vm->guest_logs = true;
	return remap_log_dirty(vm, on);
}

#define LOG_FRAMES 16u

enum shadow_done shadow_log_read(struct shadow_vcpu *sv, gfn_t gfn, u32 *bits)
{
	struct shadow_vm *vm = sv->vm;
	bool done = true;

	*bits = 0;
	if (!vm->log_dirty)
		return SHADOW_REFUSED;
	for (unsigned i = 0; i < LOG_FRAMES; i++) {
		struct guest_frame *g = p2m_gfn(vm, mk_gfn(gfn.v + i));

		if (g->dirty != vm->log_epoch || g == &vm->nowhere)
			continue;
		*bits |= BIT(i);
		done &= is_settled(vm, mk_gfn(gfn.v + i)) && rmap_protect(vm, g->frame);
	}
	for (unsigned i = 0; done && i < LOG_FRAMES; i++)
		p2m_gfn(vm, mk_gfn(gfn.v + i))->dirty = 0;
	return done ? SHADOW_DONE : SHADOW_MORE;
}

/* ---- read-only memory and shared frames ---- */

/* A and D count as set in tables in ROM: shadows made under the other rule go. */
static void forget_shadows(struct shadow_vm *vm, gfn_t gfn)
{
	struct shadow_page *p, *next;

	for (p = pool_next_table(vm, gfn, NULL); p; p = next) {
		next = pool_next_table(vm, gfn, p);
		if (p->pinned)
			page_clear_all(vm, p);
		else
			pool_free(vm, p);
	}
}

enum shadow_done shadow_set_rom(struct shadow_vcpu *sv, gfn_t gfn, bool rom)
{
	struct shadow_vm *vm = sv->vm;
	struct guest_frame *g = p2m_gfn(vm, gfn);

	if (!is_ram(vm, gfn))
		return SHADOW_REFUSED;
	if (!is_settled(vm, gfn) || !rmap_protect(vm, p2m_frame(vm, gfn)))
		return SHADOW_MORE;
	if (g->rom != rom)
		forget_shadows(vm, gfn);
	g->rom = rom;
	return SHADOW_DONE;
}

static bool is_single_or_unmapped(struct shadow_vm *vm, u32 frame)
{
	return vm->frames[frame].sharers > 1 || rmap_drop(vm, frame); /* shared ones have no writable leaf */
}

enum shadow_done shadow_share(struct shadow_vcpu *sv, gfn_t a, gfn_t b)
{
	struct shadow_vm *vm = sv->vm;
	struct guest_frame *ga = p2m_gfn(vm, a), *gb = p2m_gfn(vm, b);

	if (!is_ram(vm, a) || !is_ram(vm, b) || a.v == b.v)
		return SHADOW_REFUSED;
	if (!is_settled(vm, a) || !is_settled(vm, b))
		return SHADOW_MORE;
	if (memcmp(guestmem_frame(vm, a), guestmem_frame(vm, b), PAGE_SIZE))
		return SHADOW_REFUSED;
	if (ga->frame == gb->frame)
		return SHADOW_DONE;
	if (!rmap_drop(vm, gb->frame) || !is_single_or_unmapped(vm, ga->frame))
		return SHADOW_MORE;
	p2m_share(vm, ga, gb);
	vm->stats.shares++;
	return SHADOW_DONE;
}

u32 shadow_frame_info(struct shadow_vcpu *sv, gfn_t gfn)
{
	struct shadow_vm *vm = sv->vm;
	const struct guest_frame *g = p2m_gfn(vm, gfn);

	if (g->frame < FRAME_FREE)
		return 0;
	return SHADOW_FRAME_PRESENT | (vm->frames[g->frame].sharers > 1 ? SHADOW_FRAME_SHARED : 0) |
	       (g->rom ? SHADOW_FRAME_ROM : 0) | (g->tables ? SHADOW_FRAME_TABLE : 0);
}

/* ---- batches ---- */

bool shadow_batch_write(struct shadow_vcpu *sv, gpa_t table, u64 index, u64 value)
{
	struct shadow_vm *vm = sv->vm;
	unsigned size = sv->mode->guest_levels == 2 ? 4 : 8;
	gpa_t at = mk_gpa(table.v + index * size);

	if (table.v % PAGE_SIZE || index >= PAGE_SIZE / size || !sv->mode->guest_levels || !is_ram(vm, gpa_to_gfn(table)))
		return false;
	vm->stats.batch_writes++;
	guestmem_write(vm, at, &value, size);
	shadow_guest_wrote(vm, at, size);
	return true;
}
