/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who maps this frame?  wprot=rmap keeps the answer as a chain through the
 * leaves (8 bytes an entry); wprot=scan keeps nothing and looks at every leaf of
 * the pool when it is asked.
 */
#include "private.h"

void chain_add(struct shadow_vm *vm, u32 *head, u32 link)
{
	vm->links[link - 1] = (struct link){ .next = *head };
	if (*head != NO_LINK)
		vm->links[*head - 1].prev = link;
	*head = link;
}

void chain_remove(struct shadow_vm *vm, u32 *head, u32 link)
{
	struct link l = vm->links[link - 1];

	if (l.next != NO_LINK)
		vm->links[l.next - 1].prev = l.prev;
	if (l.prev != NO_LINK) {
		vm->links[l.prev - 1].next = l.next;
		return;
	}
	BUG_ON(*head != link);
	*head = l.next;
}

void rmap_add(struct shadow_vm *vm, u32 frame, u32 link)
{
	if (vm->cfg.wprot == WPROT_RMAP)
		chain_add(vm, &vm->frames[frame].rmap, link);
}

void rmap_remove(struct shadow_vm *vm, u32 frame, u32 link)
{
	if (vm->cfg.wprot == WPROT_RMAP)
		chain_remove(vm, &vm->frames[frame].rmap, link);
}

typedef void rmap_visit(struct shadow_vm *vm, u32 link);

static void scan_page(struct shadow_vm *vm, struct shadow_page *p, hfn_t hfn, rmap_visit *visit)
{
	for (unsigned i = 0, left = p->present; left && i < page_entries(p); i++) {
		spte_t e = page_read(vm, p, i);

		vm->stats.wprot_visited++;
		if (!(e.v & PTE_P))
			continue;
		left--;
		if ((e.v & SPTE_ADDR) >> PAGE_SHIFT == hfn.v)
			visit(vm, page_link(vm, p, i));
	}
}

static void for_each_leaf(struct shadow_vm *vm, u32 frame, rmap_visit *visit)
{
	struct shadow_page *p;

	if (vm->cfg.wprot == WPROT_RMAP) {
		for (u32 link = vm->frames[frame].rmap, next; link; link = next) {
			next = page_next_link(vm, link);
			vm->stats.wprot_visited++;
			visit(vm, link);
		}
		return;
	}
	for (u32 i = 0; (p = pool_iterate(vm, &i));)
		if (p->role.level == 1)
			scan_page(vm, p, frame_hfn(vm, frame), visit);
}

void rmap_write_protect(struct shadow_vm *vm, gfn_t gfn)
{
	u32 frame = p2m_frame(vm, gfn);

	if (frame == FRAME_ONES) /* never writable */
		return;
	vm->stats.wprot_calls++;
	for_each_leaf(vm, frame, page_write_protect);
}

static void drop_link(struct shadow_vm *vm, u32 link)
{
	page_clear(vm, page_of_link(vm, link), page_index_of_link(vm, link));
}

void rmap_drop(struct shadow_vm *vm, u32 frame) { for_each_leaf(vm, frame, drop_link); }
