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

/* I8: as many entries point to p as it thinks. */
static unsigned audit_parents(struct shadow_vm *vm, const struct shadow_page *p)
{
	u32 n = 0;

	for (u32 link = p->parents; link && n <= p->refs; link = page_next_link(vm, link), n++) {
		struct shadow_page *parent = page_of_link(vm, link);
		spte_t e = page_read(vm, parent, page_index_of_link(vm, link));

		if (parent->role.kind == PAGE_FREE || parent->role.level != p->role.level + 1 || !(e.v & PTE_P) ||
		    page_child(vm, e) != p)
			return audit_fail(vm, "I8: link %u is no parent of gfn %lx", link, p->gfn.v);
	}
	return n == p->refs ? 0 : audit_fail(vm, "I8: gfn %lx has %u references, %u parents", p->gfn.v, p->refs, n);
}

/* I9: the chain of each frame lists leaves that map it, and all chains together list all leaves. */
static unsigned audit_rmap(struct shadow_vm *vm, u64 leaves)
{
	u64 listed = 0;

	if (vm->cfg.wprot != WPROT_RMAP)
		return 0;
	for (u32 f = 0; f < vm->nframes; f++)
		for (u32 link = vm->frames[f].rmap; link && listed <= leaves; link = page_next_link(vm, link), listed++) {
			spte_t e = page_read(vm, page_of_link(vm, link), page_index_of_link(vm, link));

			if ((e.v & SPTE_ADDR) >> PAGE_SHIFT != frame_hfn(vm, f).v || !(e.v & PTE_P))
				return audit_fail(vm, "I9: rmap of frame %u lists spte %lx", f, e.v);
		}
	return listed == leaves ? 0 : audit_fail(vm, "I9: %lu leaves, %lu listed", leaves, listed);
}

unsigned shadow_audit(struct shadow_vcpu *sv, const char **why)
{
	struct shadow_vm *vm = sv->vm;
	struct shadow_page *p;
	unsigned bad = 0;
	u64 leaves = 0;

	shadow_close(sv);
	vm->why[0] = 0;
	vm->stats.audits++;
	for (u32 i = 0; (p = pool_iterate(vm, &i));) {
		bad += p->mode->audit_page(sv, p);
		bad += audit_parents(vm, p);
		leaves += p->role.level == 1 ? p->present : 0;
	}
	bad += audit_rmap(vm, leaves);
	bad += sv->mode->audit_root(sv);
	*why = vm->why;
	return bad;
}
