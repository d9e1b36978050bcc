/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wprot=scan: where a frame that is to become a table is probably still mapped
 * writable.  The guesses are those of 2006, each counted as hit (no
 * writable leaf was left after it) or miss: the map that Windows makes of its
 * tables at a fixed place, such a map wherever the root was seen to link itself, the
 * kernel's linear map (the one distance from gva to gpa that most writable
 * mappings of the supervisor have), and the mapping that was last made writable.
 */
#include "private.h"

void guess_note_writable(struct shadow_vm *vm, u32 frame, u32 link)
{
	vm->last_writable[frame % ARRAY_SIZE(vm->last_writable)].frame = frame;
	vm->last_writable[frame % ARRAY_SIZE(vm->last_writable)].link = link;
}

/* The majority vote of Boyer and Moore. */
void guess_note_linear(struct shadow_vm *vm, gva_t gva, gpa_t gpa)
{
	if (vm->linear == gva.v - gpa.v) {
		vm->linear_votes++;
	} else if (!vm->linear_votes) {
		vm->linear = gva.v - gpa.v;
		vm->linear_votes = 1;
	} else {
		vm->linear_votes--;
	}
}

static bool try_link(struct shadow_vm *vm, u32 frame, struct shadow_page *p, unsigned i)
{
	spte_t e = page_read(vm, p, i);

	work(vm, 1);
	vm->stats.wprot_visited++;
	if (page_is_leaf(p, e) && page_leaf_is_ram(vm, e) && page_leaf_frame(vm, e) == frame && !page_is_large(p, e))
		page_write_protect(vm, page_link(vm, p, i));
	return rmap_is_protected(vm, frame);
}

static bool try_gva(struct shadow_vm *vm, u32 frame, u64 gva)
{
	unsigned i;
	struct shadow_page *p = vm->vcpu->mode->leaf_at(vm->vcpu, mk_gva(gva), &i);

	return p && try_link(vm, frame, p, i);
}

static bool try_last(struct shadow_vm *vm, u32 frame)
{
	u32 link = vm->last_writable[frame % ARRAY_SIZE(vm->last_writable)].link;
	struct shadow_page *p;

	if (!link || vm->last_writable[frame % ARRAY_SIZE(vm->last_writable)].frame != frame)
		return false;
	p = page_of_link(vm, link);
	return p->role.kind != PAGE_FREE && page_index_of_link(vm, link) < page_entries(p) &&
	       try_link(vm, frame, p, page_index_of_link(vm, link));
}

/* The table may be of any level: the map's own address of the entry, of the entry that maps that, and so on. */
static bool try_selfmap(struct shadow_vm *vm, u32 frame, u64 base)
{
	unsigned levels = vm->vcpu->mode->guest_levels, bits = levels == 2 || levels == 3 ? 32 : levels == 4 ? 48 : 57;
	u64 gva = vm->fault_gva.v;

	for (unsigned level = 1; level <= levels; level++) {
		gva = base + ((gva & (BIT(bits) - 1)) >> PAGE_SHIFT) * (levels == 2 ? 4 : 8);
		if (try_gva(vm, frame, gva))
			return true;
	}
	return false;
}

static u64 fixed_selfmap(const struct shadow_vm *vm) /* of Windows 2003 */
{
	switch (vm->vcpu->mode->guest_levels) {
	case 2:
	case 3:
		return 0xc0000000;
	case 4:
		return 0xfffff68000000000;
	}
	return 0;
}

#define COUNT(name, hit) ((hit) ? (vm->stats.guess_##name##_hit++, true) : (vm->stats.guess_##name##_miss++, false))

bool guess_protect(struct shadow_vm *vm, u32 frame)
{
	u64 fixed = fixed_selfmap(vm);

	if (fixed && COUNT(selfmap_fixed, try_selfmap(vm, frame, fixed)))
		return true;
	if (vm->selfmap && vm->selfmap != fixed && COUNT(selfmap_learned, try_selfmap(vm, frame, vm->selfmap)))
		return true;
	if (vm->linear_votes && COUNT(linear, try_gva(vm, frame, vm->linear + (u64)vm->frames[frame].gfn * PAGE_SIZE)))
		return true;
	return COUNT(last, try_last(vm, frame));
}
