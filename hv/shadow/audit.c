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

bool audit_init(struct shadow_vm *vm)
{
	vm->recount = vm_alloc(vm, (vm->nframes + vm->nframes / GROUP + 1) * sizeof(*vm->recount));
	return vm->recount;
}

static spte_t entry_of_link(const struct shadow_vm *vm, u32 link)
{
	return page_read(vm, page_of_link(vm, link), page_index_of_link(vm, link));
}

/* I8: as many entries point to p as it thinks. */
static unsigned audit_parents(struct shadow_vm *vm, const struct shadow_page *p)
{
	u32 n = chain_length(vm, p->parents);

	if (p->role.kind == PAGE_ZOMBIE)
		return 0;
	for (u32 i = 0; i < n; i++) {
		u32 link = chain_member(vm, p->parents, i);
		struct shadow_page *parent = page_of_link(vm, link);
		spte_t e = entry_of_link(vm, link);

		if (parent->role.kind == PAGE_FREE || parent->role.level != p->role.level + 1 || !(e.v & PTE_P) ||
		    page_is_large(parent, e) || page_child(vm, e) != p)
			return audit_fail(vm, "I8: link %u is no parent of gfn %lx", link, p->gfn.v);
	}
	return n == p->refs ? 0 : audit_fail(vm, "I8: gfn %lx has %u references, %u parents", p->gfn.v, p->refs, n);
}

/* What the frame, or for a large leaf its group, should say of the leaves that map it. */
static void recount_leaves(struct shadow_vm *vm, const struct shadow_page *p)
{
	for (unsigned i = 0, left = p->present; left && i < page_entries(p); i++) {
		spte_t e = page_read(vm, p, i);
		struct recount *r;
		u32 frame;

		left -= e.v & PTE_P;
		if (!page_is_leaf(p, e) || !page_leaf_is_ram(vm, e))
			continue;
		frame = page_leaf_frame(vm, e);
		r = &vm->recount[page_is_large(p, e) ? vm->nframes + frame / GROUP : frame];
		r->mapped++;
		r->writable += e.v & PTE_W ? 1 : 0;
	}
}

/* I9: the chain holds leaves of that frame alone; with the right number of them it holds all. */
static unsigned audit_chain(struct shadow_vm *vm, u32 head, u32 frame, bool large)
{
	for (u32 i = 0, n = chain_length(vm, head); i < n; i++) {
		u32 link = chain_member(vm, head, i);
		struct shadow_page *p = page_of_link(vm, link);
		spte_t e = entry_of_link(vm, link);

		if (p->role.kind == PAGE_FREE || !page_is_leaf(p, e) || page_is_large(p, e) != large ||
		    (large ? page_leaf_frame(vm, e) / GROUP != frame / GROUP : page_leaf_frame(vm, e) != frame))
			return audit_fail(vm, "I9: spte %lx in the chain of frame %u", e.v, frame);
	}
	return 0;
}

static unsigned audit_count(struct shadow_vm *vm, u32 head, u32 writable, const struct recount *r, u32 frame, bool large)
{
	bool chain = vm->cfg.wprot == WPROT_RMAP || vm->frames[frame].sharers > 1;
	u32 mapped = chain ? chain_length(vm, head) : head;

	if (frame != FRAME_ONES && mapped != r->mapped)
		return audit_fail(vm, "I9: frame %u has %u leaves, %u known", frame, r->mapped, mapped);
	if (writable != r->writable)
		return audit_fail(vm, "I9: frame %u has %u writable leaves, %u known", frame, r->writable, writable);
	return chain ? audit_chain(vm, head, frame, large) : 0;
}

static unsigned audit_frames(struct shadow_vm *vm)
{
	unsigned bad = 0;

	for (u32 f = 0; f < vm->nframes; f++)
		bad += audit_count(vm, vm->frames[f].rmap, vm->frames[f].writable, &vm->recount[f], f, false);
	for (u32 g = 0; g < vm->nframes / GROUP; g++)
		bad += audit_count(vm, vm->groups[g].rmap, vm->groups[g].writable, &vm->recount[vm->nframes + g],
				   g * GROUP, true);
	return bad;
}

unsigned shadow_audit(struct shadow_vcpu *sv, const char **why)
{
	struct shadow_vm *vm = sv->vm;
	u64 before = vm->work;
	struct shadow_page *p;
	unsigned bad = 0;

	shadow_close(sv);
	vm->why[0] = 0;
	vm->stats.audits++;
	memset(vm->recount, 0, (vm->nframes + vm->nframes / GROUP + 1) * sizeof(*vm->recount));
	for (u32 i = 0; (p = pool_iterate(vm, &i));) {
		bad += p->mode->audit_page(sv, p);
		bad += audit_parents(vm, p);
		recount_leaves(vm, p);
	}
	bad += audit_frames(vm);
	bad += sv->mode->audit_root(sv);
	vm->work = before; /* not the guest's */
	*why = vm->why;
	return bad;
}
