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

#define SHADOW_BITS (SHADOW_LEVELS == 2 ? 10 : 9)
#define SPLIT (GUEST_BITS != SHADOW_BITS) /* a guest table has several shadows: quadrants */
#define PAE_ROOT (SHADOW_LEVELS == 3)

static unsigned shadow_index(gva_t gva, unsigned level)
{
	unsigned bits = PAE_ROOT && level == 3 ? 2 : SHADOW_BITS;

	return gva.v >> (PAGE_SHIFT + (level - 1) * SHADOW_BITS) & (BIT(bits) - 1);
}

/* ---- what a shadow entry must be --------------------------------------------- */

struct leaf {
	gfn_t gfn;
	u8 access, ctl, memtype;
	bool dirty;
	bool lend; /* CR0.WP=0: the supervisor writes a read-only user page through it */
};

static spte_t make_leaf(const struct shadow_vm *vm, const struct leaf *l)
{
	u32 frame = p2m_frame(vm, l->gfn);
	bool u = l->access & ACC_U, w = l->access & ACC_W, x = l->access & ACC_X;
	u64 e = PTE_P | PTE_A;

	if (l->lend) {
		/* Supervisor's own page for the moment; SMEP must still see a user page (BUGS R02). */
		e |= SPTE_WP0;
		u = false;
		w = true;
		x = x && !(l->ctl & CTL_SMEP);
	} else if (!u && !(l->ctl & CTL_WP)) {
		w = true; /* the processor runs with CR0.WP=1 */
	}
	if (frame == FRAME_ONES && vm->hole_open)
		frame = FRAME_SCRATCH;
	w = w && l->dirty && frame != FRAME_ONES && !shadow_is_table(vm, l->gfn);
	e |= (w ? PTE_W | PTE_D : 0) | (u ? PTE_U : 0) | (x || SHADOW_LEVELS == 2 ? 0 : PTE_NX);
	e |= (l->memtype & 1 ? PTE_PWT : 0) | (l->memtype & 2 ? PTE_PCD : 0) | (l->memtype & 4 ? PTE_PAT : 0);
	return mk_spte(e | hfn_to_hpa(frame_hfn(vm, frame)).v);
}

/* The leaf behind entry i of a level-1 table shadow or splinter. */
static struct leaf leaf_of(const struct shadow_vm *vm, const struct shadow_page *p, unsigned i, gpte_t e)
{
	bool table = p->role.kind == PAGE_TABLE;

	return (struct leaf){
		.gfn = table ? next_gfn(e) : mk_gfn(p->gfn.v + i),
		.access = table ? p->role.access & access_of(e) : p->role.access,
		.ctl = p->role.ctl,
		.memtype = table ? memtype_of(vm, e, false) : p->role.memtype,
		.dirty = table ? (e.v & PTE_D) != 0 : p->role.dirty,
	};
}

struct id {
	gfn_t gfn;
	union role role;
};

/* The child that entry i of an upper shadow page must point to, given the guest entry behind it. */
static struct id child_id(const struct shadow_vcpu *sv, const struct shadow_page *p, unsigned i, gpte_t e)
{
	unsigned level = p->role.level, piece = (level - 1) * SHADOW_BITS; /* a child spans 2^piece frames */
	struct id id = { .role = p->role };

	id.role.level--;
	id.role.quadrant = 0;
	switch (p->role.kind) {
	case PAGE_ROOT:
		if (sv->vm->cfg.policy == POLICY_VTLB && GUEST_LEVELS) {
			id.role.kind = PAGE_VTLB;
		} else if (GUEST_LEVELS == 0) {
			id.role.kind = PAGE_SPLINTER; /* unpaged: the whole space is one large page */
			id.role.dirty = 1;
			id.gfn = mk_gfn((u64)i << piece);
		} else {
			id.role.kind = PAGE_TABLE;
			id.role.quadrant = SPLIT ? i : 0;
			id.gfn = GUEST_LEVELS == 3 ? next_gfn(e) : mk_gfn((u32)sv->paging.cr3 >> PAGE_SHIFT);
		}
		break;
	case PAGE_TABLE:
		id.role.access = p->role.access & access_of(e);
		if (is_large(sv->vm, p->role.ctl, level, e)) {
			id.role.kind = PAGE_SPLINTER;
			id.role.dirty = (e.v & PTE_D) != 0;
			id.role.memtype = memtype_of(sv->vm, e, true);
			id.gfn = mk_gfn(large_gfn(level, e).v + (SPLIT ? (u64)(i & 1) << piece : 0));
		} else {
			id.role.quadrant = SPLIT ? i & 1 : 0;
			id.gfn = next_gfn(e);
		}
		break;
	case PAGE_SPLINTER:
		id.gfn = mk_gfn(p->gfn.v + ((u64)i << piece));
		break;
	}
	return id;
}

static bool is_child(const struct shadow_page *c, struct id id)
{
	return c->role.v == id.role.v && c->gfn.v == id.gfn.v;
}

/* ---- fill ----------------------------------------------------------------------- */

static struct shadow_page *get_child(struct shadow_vcpu *sv, struct shadow_page *p, unsigned i, gpte_t e)
{
	struct shadow_vm *vm = sv->vm;
	struct id id = child_id(sv, p, i, e);
	spte_t old = page_read(vm, p, i);
	struct shadow_page *child;

	if (old.v & PTE_P && is_child(page_child(vm, old), id)) {
		child = page_child(vm, old);
		child->stamp = vm->stamp;
		return child;
	}
	child = pool_get(vm, id.gfn, id.role, sv->mode);
	unsync_linked(vm, child);
	page_set_child(vm, p, i, child);
	return child;
}

static void fill(struct shadow_vcpu *sv, gva_t gva, const struct walk *w, bool lend)
{
	struct shadow_vm *vm = sv->vm;
	struct shadow_page *p = sv->root_page;
	struct leaf l = { w->gfn, w->access, ctl_of(&sv->paging), w->memtype, w->dirty, lend };

	vm->stamp++;
	for (unsigned level = SHADOW_LEVELS; level > 1; level--) {
		if (level == 2 && w->leaf_level > 1)
			p->large = true;
		p = get_child(sv, p, shadow_index(gva, level), w->gpte[level]);
	}
	if (p->role.kind == PAGE_TABLE)
		unsync_follow(vm, w->at[1], GPTE_SIZE);
	page_set_leaf(vm, p, shadow_index(gva, 1), make_leaf(vm, &l));
}

/* ---- following the guest's writes --------------------------------------------------- */

static void sync_leaf(struct shadow_vm *vm, struct shadow_page *p, unsigned i, gpte_t e)
{
	struct leaf l;

	if (!is_usable(vm, p->role.ctl, 1, e)) {
		page_clear(vm, p, i);
		return;
	}
	l = leaf_of(vm, p, i, e);
	l.lend = page_read(vm, p, i).v & SPTE_WP0 && may_lend(l.access, l.ctl, SHADOW_LEVELS);
	page_set_leaf(vm, p, i, make_leaf(vm, &l)); /* filled even if it was empty: A is set, the walk allowed */
}

static void sync_link(struct shadow_vcpu *sv, struct shadow_page *p, unsigned i, gpte_t e)
{
	spte_t old = page_read(sv->vm, p, i);

	if (!(old.v & PTE_P))
		return;
	if (!is_usable(sv->vm, p->role.ctl, p->role.level, e) || !is_child(page_child(sv->vm, old), child_id(sv, p, i, e)))
		page_clear(sv->vm, p, i);
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

static unsigned guest_entry_of(const struct shadow_page *p, unsigned i)
{
	if (!SPLIT)
		return i;
	return (p->role.quadrant * 512 + i) / (p->role.level == 2 ? 2 : 1);
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

static void drop(struct shadow_vcpu *sv, gva_t gva)
{
	struct shadow_page *p = sv->root_page;

	for (unsigned level = SHADOW_LEVELS; level > 1; level--) {
		spte_t e = page_read(sv->vm, p, shadow_index(gva, level));

		if (!(e.v & PTE_P))
			return;
		p = page_child(sv->vm, e);
	}
	page_clear(sv->vm, p, shadow_index(gva, 1));
}

/* oos: the one entry behind gva. */
static void sync_one(struct shadow_vcpu *sv, gva_t gva)
{
	struct shadow_page *p = sv->root_page;

	for (unsigned level = SHADOW_LEVELS; level > 1; level--) {
		spte_t e = page_read(sv->vm, p, shadow_index(gva, level));

		if (!(e.v & PTE_P))
			return;
		p = page_child(sv->vm, e);
	}
	if (p->role.kind == PAGE_TABLE)
		unsync_follow(sv->vm, mk_gpa(gfn_to_gpa(p->gfn).v + guest_index(gva, 1) * GPTE_SIZE), GPTE_SIZE);
}

/*
 * vtlb: one leaf, but all pieces if a large page may be among them (SDM vol. 3,
 * 4.10.4.1): then what the level-2 page spans goes.  Upper entries hold nothing of the guest's.
 */
static void invlpg(struct shadow_vcpu *sv, gva_t gva)
{
	struct shadow_page *p = sv->root_page;

	if (sv->vm->cfg.policy != POLICY_VTLB) {
		sync_one(sv, gva);
		return;
	}

	for (unsigned level = SHADOW_LEVELS; level > 2; level--) {
		spte_t e = page_read(sv->vm, p, shadow_index(gva, level));

		if (!(e.v & PTE_P))
			return;
		p = page_child(sv->vm, e);
	}
	if (p->large)
		page_clear_all(sv->vm, p);
	else
		drop(sv, gva);
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
	.drop = drop,
	.invlpg = invlpg,
	.set_root = set_root,
	.sync = sync,
	.audit_page = audit_page,
	.audit_root = audit_root,
};

_Static_assert(sizeof(union role) == 4, "a role is compared as one word");
_Static_assert(PAGE_SIZE / (SHADOW_LEVELS == 2 ? 4 : 8) == BIT(SHADOW_BITS), "a shadow table is a page");
_Static_assert(!SPLIT || (GUEST_LEVELS == 2 && SHADOW_LEVELS == 3), "quadrants are for 2-level tables on PAE");
