/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The promises checked against the tables themselves.  What depends on the mode
 * is in mode.c (I1-I5); here are the chains (I8, I9) and the round of all pages.
 */
#include "private.h"

unsigned audit_fail(struct shadow_vm *vm, const char *fmt, ...)
{
	va_list ap;

	if (vm->why[0]) /* the first one stays */
		return 1;
	va_start(ap, fmt);
	host_vsnprintf(vm->why, sizeof(vm->why), fmt, ap);
	va_end(ap);
	return 1;
}

static spte_t entry_of_link(const struct shadow_vm *vm, u32 link)
{
	return page_read(vm, page_of_link(vm, link), page_index_of_link(vm, link));
}

/* I8: as many entries point to p as it thinks. */
static unsigned audit_parents(struct shadow_vm *vm, const struct shadow_page *p)
{
	u32 n = 0;

	for (u32 link = p->parents; link && n <= p->refs; link = page_next_link(vm, link), n++) {
		struct shadow_page *parent = page_of_link(vm, link);
		spte_t e = entry_of_link(vm, link);

		if (parent->role.kind == PAGE_FREE || parent->role.level != p->role.level + 1 || !(e.v & PTE_P) ||
		    page_child(vm, e) != p)
			return audit_fail(vm, "I8: link %u is no parent of gfn %lx", link, p->gfn.v);
	}
	return n == p->refs ? 0 : audit_fail(vm, "I8: gfn %lx has %u references, %u parents", p->gfn.v, p->refs, n);
}

/* I9, seen from a leaf: its neighbours in the chain name it and map the same frame. */
static unsigned audit_leaf_link(struct shadow_vm *vm, u32 link, spte_t e)
{
	struct link l = vm->links[link - 1];
	u32 frame = ((e.v & SPTE_ADDR) >> PAGE_SHIFT) - vm->ram_base.v;
	bool ok = frame < vm->nframes && (l.prev ? vm->links[l.prev - 1].next : vm->frames[frame].rmap) == link;

	if (ok && l.next)
		ok = vm->links[l.next - 1].prev == link && !((entry_of_link(vm, l.next).v ^ e.v) & (SPTE_ADDR | PTE_P));
	return ok ? 0 : audit_fail(vm, "I9: spte %lx is not in the chain of its frame", e.v);
}

static unsigned audit_leaf_links(struct shadow_vm *vm, const struct shadow_page *p)
{
	unsigned bad = 0, left = p->present;

	if (p->role.level != 1 || vm->cfg.wprot != WPROT_RMAP)
		return 0;
	for (unsigned i = 0; left && i < page_entries(p); i++) {
		spte_t e = page_read(vm, p, i);

		if (!(e.v & PTE_P))
			continue;
		left--;
		bad += audit_leaf_link(vm, page_link(vm, p, i), e);
	}
	return bad;
}

unsigned shadow_audit(struct shadow_vcpu *sv, const char **why)
{
	struct shadow_vm *vm = sv->vm;
	struct shadow_page *p;
	unsigned bad = 0;

	shadow_close(sv);
	vm->why[0] = 0;
	vm->stats.audits++;
	for (u32 i = 0; (p = pool_iterate(vm, &i));) {
		bad += p->mode->audit_page(sv, p);
		bad += audit_parents(vm, p);
		bad += audit_leaf_links(vm, p);
	}
	bad += sv->mode->audit_root(sv);
	*why = vm->why;
	return bad;
}
