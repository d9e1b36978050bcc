/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries of shadow pages.  Each present entry is on exactly one chain: a leaf
 * on that of the host frame which it maps (or it is counted there, see rmap.c),
 * any other on that of its child's parents.  An entry that is not present is
 * zero, or a note for the fast path (mode.c).
 */
#include "private.h"

static bool is_narrow(const struct shadow_page *p) { return p->role.shadow_levels == 2; }

spte_t page_read(const struct shadow_vm *vm, const struct shadow_page *p, unsigned i)
{
	void *table = host_ptr(pool_hfn(vm, p));

	return mk_spte(is_narrow(p) ? ((u32 *)table)[i] : ((u64 *)table)[i]);
}

static u64 spte_addr(const struct shadow_page *p, spte_t e)
{
	return e.v & (page_is_large(p, e) ? SPTE_ADDR & ~(u64)PTE_PAT_LARGE : SPTE_ADDR);
}

/*
 * What a TLB may still hold of the old entry and the new one does not give: I10.
 * U gained is lost to the supervisor: SMEP and SMAP.
 */
static bool loses(const struct shadow_page *p, spte_t old, spte_t e)
{
	u64 rights = PTE_P | PTE_W, types = PTE_PWT | PTE_PCD | PTE_PAT | PTE_PAT_LARGE;

	if (!(old.v & PTE_P))
		return false;
	return old.v & ~e.v & rights || e.v & ~old.v & PTE_NX || (old.v ^ e.v) & PTE_U || spte_addr(p, old) != spte_addr(p, e) ||
	       (page_is_leaf(p, e) && (old.v ^ e.v) & types);
}

/* One store: the processor may walk this table at any time. */
static void write_entry(struct shadow_vm *vm, struct shadow_page *p, unsigned i, spte_t e)
{
	void *table = host_ptr(pool_hfn(vm, p));

	vm->edits++;
	work(vm, 1);
	if (loses(p, page_read(vm, p, i), e))
		flush_note_loss(vm);
	if (is_narrow(p))
		__atomic_store_n((u32 *)table + i, (u32)e.v, __ATOMIC_RELAXED);
	else
		__atomic_store_n((u64 *)table + i, e.v, __ATOMIC_RELAXED);
}

struct shadow_page *page_child(const struct shadow_vm *vm, spte_t e)
{
	u64 n = ((e.v & SPTE_ADDR) >> PAGE_SHIFT) - vm->pool_base.v;

	BUG_ON(n >= vm->cfg.pool);
	return &vm->pages[n];
}

bool page_leaf_is_ram(const struct shadow_vm *vm, spte_t e)
{
	return p2m_owns(vm, mk_hfn((e.v & SPTE_ADDR) >> PAGE_SHIFT));
}

u32 page_leaf_frame(const struct shadow_vm *vm, spte_t e)
{
	u32 frame = ((e.v & SPTE_ADDR) >> PAGE_SHIFT) - vm->ram_base.v;

	BUG_ON(frame >= vm->nframes);
	return frame; /* of a large leaf, the first or (its PAT bit is an address bit elsewhere) the second */
}

static void count_writable(struct shadow_vm *vm, const struct shadow_page *p, unsigned i, spte_t e, int change)
{
	if (e.v & PTE_W && page_leaf_is_ram(vm, e))
		rmap_count_writable(vm, page_leaf_frame(vm, e), page_is_large(p, e), page_link(vm, p, i), change);
}

static void clear_leaf(struct shadow_vm *vm, struct shadow_page *p, unsigned i, spte_t old)
{
	if (!(old.v & PTE_A))
		vm->stats.prefetches_unused++;
	if (!page_leaf_is_ram(vm, old))
		return;
	count_writable(vm, p, i, old, -1);
	rmap_remove(vm, page_leaf_frame(vm, old), page_is_large(p, old), page_link(vm, p, i));
}

void page_clear(struct shadow_vm *vm, struct shadow_page *p, unsigned i)
{
	spte_t old = page_read(vm, p, i);
	struct shadow_page *child;

	work(vm, 1);
	if (!old.v)
		return;
	write_entry(vm, p, i, mk_spte(0));
	if (!(old.v & PTE_P))
		return;
	p->present--;
	page_owe_flush(vm);
	if (page_is_leaf(p, old)) {
		clear_leaf(vm, p, i, old);
		return;
	}
	child = page_child(vm, old);
	chain_remove(vm, &child->parents, page_link(vm, p, i));
	if (--child->refs == 0 && child->role.kind == PAGE_VTLB)
		pool_bury(vm, child);
}

void page_clear_all(struct shadow_vm *vm, struct shadow_page *p)
{
	for (unsigned i = 0; (p->present || p->noted) && i < page_entries(p); i++)
		page_clear(vm, p, i);
	BUG_ON(p->present);
	p->large = p->noted = false;
}

void page_unlink(struct shadow_vm *vm, struct shadow_page *p)
{
	if (p->refs == 1)
		vm->stats.guess_parent_hit++;
	else if (p->refs)
		vm->stats.guess_parent_miss++;
	/* The last page_clear() of a vtlb page would bury it under our hands: it is being freed already. */
	p->refs++;
	while (p->parents) {
		u32 link = chain_member(vm, p->parents, 0);

		page_clear(vm, page_of_link(vm, link), page_index_of_link(vm, link));
	}
	p->refs--;
	BUG_ON(p->refs);
}

void page_set_leaf(struct shadow_vm *vm, struct shadow_page *p, unsigned i, spte_t e)
{
	spte_t old = page_read(vm, p, i);

	if ((old.v | PTE_A) == (e.v | PTE_A) && old.v & PTE_P)
		return;
	if (old.v & PTE_P && page_is_leaf(p, old) && page_is_large(p, old) == page_is_large(p, e) &&
	    spte_addr(p, old) == spte_addr(p, e)) {
		count_writable(vm, p, i, old, -1);
		count_writable(vm, p, i, e, 1);
		write_entry(vm, p, i, e);
		page_owe_flush(vm);
		return;
	}
	page_clear(vm, p, i);
	p->present++;
	if (page_leaf_is_ram(vm, e)) {
		rmap_add(vm, page_leaf_frame(vm, e), page_is_large(p, e), page_link(vm, p, i));
		count_writable(vm, p, i, e, 1);
	}
	write_entry(vm, p, i, e);
	vm->stats.leaf_fills++;
}

void page_set_child(struct shadow_vm *vm, struct shadow_page *p, unsigned i, struct shadow_page *child)
{
	u64 flags = p->role.kind == PAGE_ROOT ? PTE_P : SPTE_LINK; /* a PAE PDPTE has no rights */

	page_clear(vm, p, i);
	child->refs++;
	p->present++;
	chain_add(vm, &child->parents, page_link(vm, p, i));
	write_entry(vm, p, i, mk_spte(hfn_to_hpa(pool_hfn(vm, child)).v | flags));
}

/* A note for the fast path, where nothing is present. */
void page_set_note(struct shadow_vm *vm, struct shadow_page *p, unsigned i, spte_t note)
{
	if (page_read(vm, p, i).v & PTE_P)
		page_clear(vm, p, i);
	write_entry(vm, p, i, note);
	p->noted = true;
}

void page_write_protect(struct shadow_vm *vm, u32 link)
{
	struct shadow_page *p = page_of_link(vm, link);
	unsigned i = page_index_of_link(vm, link);
	spte_t e = page_read(vm, p, i);

	if ((e.v & (PTE_P | PTE_W)) != (PTE_P | PTE_W))
		return;
	count_writable(vm, p, i, e, -1);
	write_entry(vm, p, i, mk_spte(e.v & ~(PTE_W | PTE_D)));
	vm->stats.wprot_hits++;
	page_owe_flush(vm);
}

void page_forbid_fetch(struct shadow_vm *vm, struct shadow_page *p, unsigned i)
{
	write_entry(vm, p, i, mk_spte(page_read(vm, p, i).v | PTE_NX));
	page_owe_flush(vm);
}
