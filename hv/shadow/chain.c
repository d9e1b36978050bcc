/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chains of shadow entries: of the leaves that map a frame, of the entries that
 * point to a page.  Most have one member, which costs no more than the head;
 * else 32 bytes hold six.  Knots are as many as half the entries of a pool that
 * is a quarter full; where they run out, or a chain grows too long, one member is dropped:
 * that is allowed at any time, and the guest's next use brings it back.
 */
#include "private.h"

#define KNOTS_PER_PAGE 32u

bool chain_init(struct shadow_vm *vm)
{
	vm->nknots = vm->cfg.pool * KNOTS_PER_PAGE;
	vm->knots = vm_alloc(vm, (u64)vm->nknots * sizeof(*vm->knots));
	if (!vm->knots)
		return false;
	for (u32 i = 0; i < vm->nknots - 1; i++)
		vm->knots[i].next = i + 2;
	vm->free_knot = 1;
	return true;
}

static struct knot *knot(const struct shadow_vm *vm, u32 head) { return &vm->knots[(head & ~KNOT) - 1]; }

static u32 knot_alloc(struct shadow_vm *vm)
{
	u32 n = vm->free_knot;

	if (!n)
		return 0;
	vm->free_knot = vm->knots[n - 1].next;
	vm->knots[n - 1] = (struct knot){ 0 };
	if (++vm->stats.rmap_knots > vm->stats.rmap_knots_peak)
		vm->stats.rmap_knots_peak = vm->stats.rmap_knots;
	return n;
}

static void knot_free(struct shadow_vm *vm, u32 head)
{
	knot(vm, head)->next = vm->free_knot;
	vm->free_knot = head & ~KNOT;
	vm->stats.rmap_knots--;
}

u32 chain_length(const struct shadow_vm *vm, u32 head)
{
	return head & KNOT ? knot(vm, head)->total : head != NO_LINK;
}

/* Member number n, counted from the head. */
u32 chain_member(struct shadow_vm *vm, u32 head, u32 n)
{
	struct knot *k;

	if (!(head & KNOT))
		return head;
	for (k = knot(vm, head); n >= k->used; k = &vm->knots[k->next - 1]) {
		work(vm, 1);
		n -= k->used;
	}
	return k->link[n];
}

/* visit() must not add or remove members. */
void chain_each(struct shadow_vm *vm, u32 head, void (*visit)(struct shadow_vm *vm, u32 link))
{
	u32 n = head & ~KNOT;

	if (!(head & KNOT)) {
		if (head != NO_LINK)
			visit(vm, head);
		return;
	}
	for (; n; n = vm->knots[n - 1].next)
		for (unsigned i = 0; i < vm->knots[n - 1].used; i++)
			visit(vm, vm->knots[n - 1].link[i]);
}

static void drop_one(struct shadow_vm *vm, u32 head)
{
	u32 link = chain_member(vm, head, vm->victim++ % chain_length(vm, head));

	vm->stats.rmap_dropped++;
	page_clear(vm, page_of_link(vm, link), page_index_of_link(vm, link));
}

void chain_add(struct shadow_vm *vm, u32 *head, u32 link)
{
	u32 n = 0;

	work(vm, 1);
	while (chain_length(vm, *head) >= CHAIN_MAX)
		drop_one(vm, *head);
	while (*head != NO_LINK && !(*head & KNOT && knot(vm, *head)->used < KNOT_LINKS) && !(n = knot_alloc(vm)))
		drop_one(vm, *head);
	if (*head == NO_LINK) {
		*head = link;
		return;
	}
	if (n) {
		struct knot *k = &vm->knots[n - 1];

		k->next = *head & KNOT ? *head & ~KNOT : 0;
		k->total = k->next ? knot(vm, *head)->total : 0;
		if (!k->next)
			k->link[k->used++] = *head;
		k->total += k->used;
		*head = KNOT | n;
	}
	knot(vm, *head)->link[knot(vm, *head)->used++] = link;
	knot(vm, *head)->total++;
}

/* The newest member takes the place of the one that leaves. */
void chain_remove(struct shadow_vm *vm, u32 *head, u32 link)
{
	struct knot *first, *k;
	unsigned i = 0;

	work(vm, 1);
	if (*head == link) {
		*head = NO_LINK;
		return;
	}
	BUG_ON(!(*head & KNOT));
	for (k = first = knot(vm, *head); k->link[i] != link;)
		if (++i == k->used) {
			BUG_ON(!k->next);
			k = &vm->knots[k->next - 1];
			i = 0;
			work(vm, 1);
		}
	first->total--;
	k->link[i] = first->link[--first->used];
	if (first->used && first->total > 1)
		return;
	i = first->used ? first->link[0] : KNOT | first->next;
	knot_free(vm, *head);
	*head = i;
}

_Static_assert(sizeof(struct knot) == 32, "six members in half a cache line");
