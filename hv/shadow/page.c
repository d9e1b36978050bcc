/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries of shadow pages, and the chains that run through them.  Each present
 * entry is on exactly one chain: a leaf on that of the host frame which it maps,
 * any other on that of its child's parents.  So nothing has to be searched for.
 */
#include "private.h"

static bool is_narrow(const struct shadow_page *p) { return p->role.shadow_levels == 2; }

spte_t page_read(const struct shadow_vm *vm, const struct shadow_page *p, unsigned i)
{
	void *table = host_ptr(pool_hfn(vm, p));

	return mk_spte(is_narrow(p) ? ((u32 *)table)[i] : ((u64 *)table)[i]);
}

/* One store: the processor may walk this table at any time. */
static void write_entry(struct shadow_vm *vm, struct shadow_page *p, unsigned i, spte_t e)
{
	void *table = host_ptr(pool_hfn(vm, p));

	vm->edits++;
	if (is_narrow(p))
		__atomic_store_n((u32 *)table + i, (u32)e.v, __ATOMIC_RELAXED);
	else
		__atomic_store_n((u64 *)table + i, e.v, __ATOMIC_RELAXED);
}

static hfn_t spte_hfn(spte_t e) { return mk_hfn((e.v & SPTE_ADDR) >> PAGE_SHIFT); }

struct shadow_page *page_child(const struct shadow_vm *vm, spte_t e)
{
	u64 n = spte_hfn(e).v - vm->pool_base.v;

	BUG_ON(n >= vm->cfg.pool);
	return &vm->pages[n];
}

void page_owe_flush(struct shadow_vm *vm)
{
	if (vm->vcpu && !vm->vcpu->flush) {
		vm->vcpu->flush = true;
		vm->stats.flushes++;
	}
}

static u32 leaf_frame(const struct shadow_vm *vm, spte_t e)
{
	hfn_t hfn = spte_hfn(e);

	BUG_ON(!p2m_owns(vm, hfn));
	return hfn.v - vm->ram_base.v;
}

void page_clear(struct shadow_vm *vm, struct shadow_page *p, unsigned i)
{
	spte_t old = page_read(vm, p, i);
	struct shadow_page *child;

	if (!(old.v & PTE_P))
		return;
	write_entry(vm, p, i, mk_spte(0));
	p->present--;
	page_owe_flush(vm);
	if (p->role.level == 1) {
		rmap_remove(vm, leaf_frame(vm, old), page_link(vm, p, i));
		return;
	}
	child = page_child(vm, old);
	chain_remove(vm, &child->parents, page_link(vm, p, i));
	if (--child->refs == 0 && child->role.kind == PAGE_VTLB)
		pool_free(vm, child); /* at most as deep as the tables are */
}

void page_clear_all(struct shadow_vm *vm, struct shadow_page *p)
{
	for (unsigned i = 0; p->present && i < page_entries(p); i++)
		page_clear(vm, p, i);
	BUG_ON(p->present);
	p->large = false;
}

void page_unlink(struct shadow_vm *vm, struct shadow_page *p)
{
	/* The last page_clear() of a vtlb page would free it under our hands: it is being freed already. */
	p->refs++;
	while (p->parents)
		page_clear(vm, page_of_link(vm, p->parents), page_index_of_link(vm, p->parents));
	p->refs--;
	BUG_ON(p->refs);
}

void page_set_leaf(struct shadow_vm *vm, struct shadow_page *p, unsigned i, spte_t e)
{
	spte_t old = page_read(vm, p, i);

	if (old.v == e.v)
		return;
	if (old.v & PTE_P && spte_hfn(old).v == spte_hfn(e).v) {
		write_entry(vm, p, i, e);
		page_owe_flush(vm);
		return;
	}
	page_clear(vm, p, i);
	write_entry(vm, p, i, e);
	p->present++;
	rmap_add(vm, leaf_frame(vm, e), page_link(vm, p, i));
	vm->stats.leaf_fills++;
}

void page_set_child(struct shadow_vm *vm, struct shadow_page *p, unsigned i, struct shadow_page *child)
{
	u64 flags = p->role.kind == PAGE_ROOT ? PTE_P : SPTE_LINK; /* a PAE PDPTE has no rights */

	page_clear(vm, p, i);
	child->refs++;
	chain_add(vm, &child->parents, page_link(vm, p, i));
	p->present++;
	write_entry(vm, p, i, mk_spte(hfn_to_hpa(pool_hfn(vm, child)).v | flags));
}

void page_write_protect(struct shadow_vm *vm, u32 link)
{
	struct shadow_page *p = page_of_link(vm, link);
	unsigned i = page_index_of_link(vm, link);
	spte_t e = page_read(vm, p, i);

	if (!(e.v & PTE_W))
		return;
	write_entry(vm, p, i, mk_spte(e.v & ~(PTE_W | PTE_D)));
	vm->stats.wprot_hits++;
	page_owe_flush(vm);
}
