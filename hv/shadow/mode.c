/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything that depends on the guest's and the shadow's paging levels.  The
 * Makefile compiles this file once for each pair and names the one table that
 * each object exports, e.g. shadow_g2_on_s3: constants fold, names stay plain.
 *
 * The idea: what an entry of a shadow page must hold follows from the page (its
 * gfn and role) and the one guest entry behind it.  For an upper entry that is
 * the identity of its child, child_id(); for a leaf it is make_leaf().  Filling
 * on a fault, following a write and auditing all compare with these two.
 */
#include "mode_guest.h"
#include "mode_entry.h"
#include "mode_note.h"

#define MIXED_PIECES 64 /* of 512, before large=mixed makes one leaf of them */

/* A frame that loses its leaves, or their W, in pieces, gains none meanwhile; who asked first may have given up. */
static bool may_fill(struct shadow_vm *vm, gfn_t gfn)
{
	u32 frame = p2m_gfn(vm, gfn)->frame;
	u8 want = vm->frames[frame].want;

	return !want || (want & WANT_DROP ? rmap_drop(vm, frame) : rmap_protect(vm, frame));
}

/* ---- fill ----------------------------------------------------------------------- */

static struct shadow_page *get_child(struct shadow_vcpu *sv, struct shadow_page *p, unsigned i, gpte_t e)
{
	struct shadow_vm *vm = sv->vm;
	struct id id = child_id(sv, p, i, e);
	spte_t old = page_read(vm, p, i);
	struct shadow_page *child;

	if (old.v & PTE_P && !page_is_large(p, old) && is_child(page_child(vm, old), id)) {
		child = page_child(vm, old);
		child->stamp = vm->stamp;
		return child;
	}
	child = pool_get(vm, id.gfn, id.role, sv->mode);
	if (!unsync_linked(vm, child))
		return NULL;
	page_set_child(vm, p, i, child);
	return child;
}

/* large=: one leaf for 512 frames in a row; mixed waits until many pieces have been asked for one by one. */
static bool fill_large(struct shadow_vcpu *sv, gva_t gva, struct shadow_page *p, struct leaf l)
{
	struct shadow_vm *vm = sv->vm;
	unsigned i = shadow_index(gva, 2);
	spte_t old = page_read(vm, p, i);

	if (vm->cfg.large == LARGE_SPLINTER || SHADOW_LEVELS == 2 || l.how)
		return false;
	if (vm->cfg.large == LARGE_MIXED && !page_is_large(p, old) &&
	    (!(old.v & PTE_P) || page_child(vm, old)->present < MIXED_PIECES))
		return false;
	l.gfn.v &= ~(u64)(GROUP - 1);
	l.large = true;
	if (!p2m_is_whole(vm, l.gfn))
		return false;
	page_set_leaf(vm, p, i, make_leaf(vm, &l));
	vm->stats.large_fills++;
	return true;
}

/* The guest entry behind entry i of a level-1 page, for a neighbour of one that is filled; false: none to be had. */
static bool neighbour(struct shadow_vm *vm, struct shadow_page *p, unsigned i, unsigned n, const struct walk *w, struct leaf *l)
{
	gpte_t e = mk_gpte(0);

	if (p->role.kind == PAGE_TABLE)
		e = read_gpte(vm, p->gfn, guest_entry_of(p, i));
	else if (p->role.kind == PAGE_VTLB)
		e = read_gpte(vm, gpa_to_gfn(w->at[1]), w->at[1].v % PAGE_SIZE / GPTE_SIZE + n);
	if (p->role.kind != PAGE_SPLINTER && !is_usable(vm, p->role.ctl, 1, e))
		return false;
	*l = leaf_of(vm, p, i, e);
	if (p->role.kind == PAGE_VTLB)
		*l = (struct leaf){ .gfn = next_gfn(e), .access = access_of(e), .ctl = p->role.ctl,
				    .memtype = memtype_of(vm, p->role.pat, e, false), .dirty = e.v & PTE_D };
	for (unsigned level = 2; p->role.kind == PAGE_VTLB && level <= TOP_IN_MEMORY; level++)
		l->access &= access_of(w->gpte[level]);
	return true;
}

/*
 * prefetch=N: what a TLB may do, too.  A is set in the guest's entry already, or nothing is
 * filled; and without D nothing is writable.  A stays clear in the shadow's, to tell later what was used.
 */
static void prefetch(struct shadow_vcpu *sv, struct shadow_page *p, unsigned i, const struct walk *w)
{
	struct shadow_vm *vm = sv->vm;

	if ((p->role.kind == PAGE_VTLB && w->leaf_level != 1) || (p->role.kind == PAGE_TABLE && unsync_is(vm, p->gfn)))
		return;
	for (unsigned n = 1; n <= vm->cfg.prefetch && i + n < page_entries(p); n++) {
		struct leaf l;

		if (page_read(vm, p, i + n).v & PTE_P || !neighbour(vm, p, i + n, n, w, &l) ||
		    p2m_gfn(vm, l.gfn)->frame == FRAME_ABSENT || !may_fill(vm, l.gfn)) /* what is not there yet stays away */
			continue;
		page_set_leaf(vm, p, i + n, mk_spte(make_leaf(vm, &l).v & ~PTE_A));
		vm->stats.prefetches++;
	}
}

static void learn(struct shadow_vcpu *sv, gva_t gva, const struct walk *w, unsigned how)
{
	struct shadow_vm *vm = sv->vm;
	unsigned top = TOP_IN_MEMORY, shift = PAGE_SHIFT + (top - 1) * GUEST_BITS;
	u64 root = GUEST_LEVELS == 3 ? sv->paging.pdpte[0] : sv->paging.cr3;
	u64 base = gva.v >> shift << shift;

	if (vm->cfg.wprot != WPROT_SCAN || !top || w->leaf_level != 1)
		return;
	if (next_gfn(w->gpte[top]).v == (root & SPTE_ADDR) >> PAGE_SHIFT)
		vm->selfmap = base;
	if (!how && w->access & ACC_W && !(w->access & ACC_U) && w->dirty && base != vm->selfmap)
		guess_note_linear(vm, gva, gfn_to_gpa(w->gfn));
}

static bool fill(struct shadow_vcpu *sv, gva_t gva, const struct walk *w, unsigned how)
{
	struct shadow_vm *vm = sv->vm;
	struct shadow_page *p = sv->root_page;
	struct leaf l = { w->gfn, w->access, ctl_of(&sv->paging), w->memtype, w->dirty, false, how };

	vm->stamp++;
	vm->fault_gva = gva;
	for (unsigned level = SHADOW_LEVELS; level > 1; level--) {
		if (!pool_ready(vm, p))
			return false;
		if (level == 2 && w->leaf_level != 1) {
			p->large = true;
			if (fill_large(sv, gva, p, l))
				return true;
		}
		p = get_child(sv, p, shadow_index(gva, level), w->gpte[level]);
		if (!p)
			return false;
	}
	if (!pool_ready(vm, p) || !may_fill(vm, l.gfn))
		return false;
	if (p->role.kind == PAGE_TABLE)
		unsync_follow(vm, w->at[1], GPTE_SIZE);
	learn(sv, gva, w, how);
	page_set_leaf(vm, p, shadow_index(gva, 1), make_leaf(vm, &l));
	if (!how)
		prefetch(sv, p, shadow_index(gva, 1), w);
	return true;
}

/* ---- following the guest's writes --------------------------------------------------- */

static void sync_leaf(struct shadow_vm *vm, struct shadow_page *p, unsigned i, gpte_t e)
{
	struct leaf l = leaf_of(vm, p, i, e);

	if (!is_usable(vm, p->role.ctl, 1, e) || p2m_is_absent(vm, l.gfn) || !may_fill(vm, l.gfn)) {
		clear_with_note(vm, p, i, e);
		return;
	}
	if (page_read(vm, p, i).v & SPTE_WP0 && may_lend(l.access, l.ctl, SHADOW_LEVELS))
		l.how = FILL_LEND;
	page_set_leaf(vm, p, i, make_leaf(vm, &l)); /* filled even if it was empty: A is set, the walk allowed */
}

static void sync_link(struct shadow_vcpu *sv, struct shadow_page *p, unsigned i, gpte_t e)
{
	struct shadow_vm *vm = sv->vm;
	spte_t old = page_read(vm, p, i);
	bool usable = is_usable(vm, p->role.ctl, p->role.level, e);
	struct id id = child_id(sv, p, i, e);
	struct leaf l = large_of(p, id);

	if (usable && page_is_large(p, old) && id.role.kind == PAGE_SPLINTER && p2m_is_whole(vm, id.gfn))
		page_set_leaf(vm, p, i, make_leaf(vm, &l));
	else if (!(old.v & PTE_P) || !usable || page_is_large(p, old) || !is_child(page_child(vm, old), id))
		clear_with_note(vm, p, i, e);
}

/* The shadow entries behind guest entry g: [*first, *first + n) */
static unsigned shadow_entries_of(const struct shadow_page *p, unsigned g, unsigned *first)
{
	unsigned per = SPLIT && p->role.level == 2 ? 2 : 1, i = g * per;

	if (SPLIT && i / 512 != p->role.quadrant)
		return 0;
	*first = SPLIT ? i % 512 : i;
	return per;
}

static void sync(struct shadow_vcpu *sv, struct shadow_page *p, unsigned first, unsigned last)
{
	for (unsigned g = first / GPTE_SIZE; g <= last / GPTE_SIZE; g++) {
		unsigned i = 0, n = shadow_entries_of(p, g, &i);
		gpte_t e = read_gpte(sv->vm, p->gfn, g);
		for (; n; n--, i++)
			if (p->role.level == 1)
				sync_leaf(sv->vm, p, i, e);
			else
				sync_link(sv, p, i, e);
	}
}

/* ---- the guest's flushes, and roots ----------------------------------------------------- */

static struct shadow_page *leaf_at(struct shadow_vcpu *sv, gva_t gva, unsigned *i)
{
	struct shadow_page *p = sv->root_page;

	for (;;) {
		spte_t e = page_read(sv->vm, p, *i = shadow_index(gva, p->role.level));

		work(sv->vm, 1);
		if (page_is_leaf(p, e))
			return p;
		if (!(e.v & PTE_P))
			return NULL;
		p = page_child(sv->vm, e);
	}
}

/* oos: the one entry behind gva. */
static void sync_one(struct shadow_vcpu *sv, gva_t gva)
{
	struct shadow_page *p = sv->root_page;

	for (unsigned level = SHADOW_LEVELS; level > 1; level--) {
		spte_t e = page_read(sv->vm, p, shadow_index(gva, level));

		if (!(e.v & PTE_P) || page_is_large(p, e))
			return;
		p = page_child(sv->vm, e);
	}
	if (p->role.kind == PAGE_TABLE)
		unsync_follow(sv->vm, mk_gpa(gfn_to_gpa(p->gfn).v + guest_index(gva, 1) * GPTE_SIZE), GPTE_SIZE);
}

/*
 * vtlb: one leaf, and no other gva leads to it; but all pieces if a large page may be among them
 * (SDM vol. 3, 4.10.4.1): then what the level-2 page spans goes.  Upper entries hold nothing of the guest's.
 */
static void invlpg(struct shadow_vcpu *sv, gva_t gva)
{
	struct shadow_vm *vm = sv->vm;
	struct shadow_page *p = sv->root_page;
	unsigned i;

	if (vm->cfg.policy != POLICY_VTLB) {
		sync_one(sv, gva);
		return;
	}
	for (unsigned level = SHADOW_LEVELS; level > 2; level--) {
		spte_t e = page_read(vm, p, shadow_index(gva, level));

		if (!(e.v & PTE_P))
			return;
		p = page_child(vm, e);
	}
	if (p->large) {
		page_clear_all(vm, p);
		return;
	}
	vm->scoped = true;
	vm->scope = gva;
	p = leaf_at(sv, gva, &i);
	if (p)
		page_clear(vm, p, i);
	vm->scoped = false;
}

static void link_known_tables(struct shadow_vcpu *sv, struct shadow_page *root)
{
	for (unsigned i = 0; i < 4; i++) {
		gpte_t e = mk_gpte(GUEST_LEVELS == 3 ? sv->paging.pdpte[i] : PTE_P);
		struct id id = child_id(sv, root, i, e);
		struct shadow_page *child;

		if (!(e.v & PTE_P) || id.role.kind == PAGE_VTLB)
			continue;
		child = pool_find(sv->vm, id.gfn, id.role);
		if (child)
			page_set_child(sv->vm, root, i, child);
	}
}

static void set_root(struct shadow_vcpu *sv)
{
	struct shadow_page *old = sv->root_page, *root;
	union role role = {
		.kind = PAE_ROOT ? PAGE_ROOT : sv->vm->cfg.policy == POLICY_VTLB ? PAGE_VTLB : PAGE_TABLE,
		.level = SHADOW_LEVELS,
		.access = ACC_ALL,
		.ctl = ctl_of(&sv->paging),
		.guest_levels = GUEST_LEVELS,
		.shadow_levels = SHADOW_LEVELS,
		.pat = sv->vm->pat_slot,
	};
	gfn_t gfn = role.kind == PAGE_TABLE ? mk_gfn((sv->paging.cr3 & SPTE_ADDR) >> PAGE_SHIFT) : mk_gfn(0);

	sv->vm->stamp++;
	root = pool_get(sv->vm, gfn, role, sv->mode);
	root->pinned = true;
	if (PAE_ROOT)
		link_known_tables(sv, root);
	sv->root_page = root;
	sv->root = hfn_to_hpa(pool_hfn(sv->vm, root));
	if (!old || old == root)
		return;
	old->pinned = false; /* only now: the new root may have needed its children */
	if (old->role.kind != PAGE_TABLE)
		pool_free(sv->vm, old);
}

#include "mode_audit.h"

const struct shadow_mode MODE_NAME = {
	.guest_levels = GUEST_LEVELS,
	.shadow_levels = SHADOW_LEVELS,
	.walk = walk,
	.permits = permits,
	.set_ad = set_ad,
	.fill = fill,
	.fast = fast,
	.note = note,
	.leaf_at = leaf_at,
	.invlpg = invlpg,
	.set_root = set_root,
	.sync = sync,
	.audit_page = audit_page,
	.audit_root = audit_root,
};

_Static_assert(sizeof(union role) == 4, "a role is compared as one word");
_Static_assert(PAGE_SIZE / (SHADOW_LEVELS == 2 ? 4 : 8) == BIT(SHADOW_BITS), "a shadow table is a page");
_Static_assert(!SPLIT || (GUEST_LEVELS == 2 && SHADOW_LEVELS == 3), "quadrants are for 2-level tables on PAE");
