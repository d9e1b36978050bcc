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
#include "private.h"

#define GUEST_BITS (GUEST_LEVELS == 2 ? 10 : 9) /* index bits per level */
#define SHADOW_BITS (SHADOW_LEVELS == 2 ? 10 : 9)
#define SPLIT (GUEST_BITS != SHADOW_BITS) /* a guest table has several shadows: quadrants */
#define GPTE_SIZE (GUEST_LEVELS == 2 ? 4 : 8)
#define PAE_ROOT (SHADOW_LEVELS == 3)
/* The highest level with entries in memory that have A bits: a PAE PDPTE is a register (I12). */
#define TOP_IN_MEMORY (GUEST_LEVELS == 3 ? 2 : GUEST_LEVELS)

static unsigned guest_index(gva_t gva, unsigned level)
{
	return gva.v >> (PAGE_SHIFT + (level - 1) * GUEST_BITS) & (BIT(GUEST_BITS) - 1);
}

static unsigned shadow_index(gva_t gva, unsigned level)
{
	unsigned bits = PAE_ROOT && level == 3 ? 2 : SHADOW_BITS;

	return gva.v >> (PAGE_SHIFT + (level - 1) * SHADOW_BITS) & (BIT(bits) - 1);
}

/* ---- guest entries: SDM vol. 3, 4.3 to 4.5 -------------------------------- */

static gpte_t read_gpte(struct shadow_vm *vm, gfn_t table, unsigned i)
{
	void *p = guestmem_frame(vm, table);

	if (GPTE_SIZE == 4)
		return mk_gpte(__atomic_load_n((u32 *)p + i, __ATOMIC_RELAXED));
	return mk_gpte(__atomic_load_n((u64 *)p + i, __ATOMIC_RELAXED));
}

static bool is_large(const struct shadow_vm *vm, unsigned ctl, unsigned level, gpte_t e)
{
	if (!(e.v & PTE_PS))
		return false;
	if (level == 2)
		return GUEST_LEVELS != 2 || ctl & CTL_PSE;
	return level == 3 && GUEST_LEVELS >= 4 && vm->cfg.page1g;
}

static u64 bits(unsigned high, unsigned low) { return high < low ? 0 : (~0ull >> (63 - high)) & (~0ull << low); }

/* Reserved bits of an entry that is present. */
static u64 reserved_bits(const struct shadow_vm *vm, unsigned ctl, unsigned level, gpte_t e)
{
	unsigned width = vm->cfg.maxphyaddr;
	bool large = is_large(vm, ctl, level, e);
	u64 rsvd;

	if (GUEST_LEVELS == 2)
		/* PSE-36 keeps address bits 32 and up, to 39 at most, in bits 13 to 20 (4.3, table 4-4). */
		return !large ? 0 : bits(21, !vm->cfg.pse36 || width <= 32 ? 13 : 13 + MIN(width, 40) - 32);
	rsvd = bits(GUEST_LEVELS == 3 ? 62 : 51, width);
	if (!(ctl & CTL_NXE))
		rsvd |= PTE_NX;
	if (large)
		rsvd |= bits(level == 2 ? 20 : 29, 13);
	else if (level > 2)
		rsvd |= PTE_PS;
	return rsvd;
}

static gfn_t next_gfn(gpte_t e) { return mk_gfn((e.v & SPTE_ADDR) >> PAGE_SHIFT); }

static gfn_t large_gfn(unsigned level, gpte_t e)
{
	u64 addr = e.v & SPTE_ADDR & (~0ull << (PAGE_SHIFT + (level - 1) * GUEST_BITS));

	if (GUEST_LEVELS == 2)
		addr |= (e.v & bits(20, 13)) << 19;
	return mk_gfn(addr >> PAGE_SHIFT);
}

static unsigned access_of(gpte_t e)
{
	return (e.v & PTE_W ? ACC_W : 0) | (e.v & PTE_U ? ACC_U : 0) |
	       (GUEST_LEVELS >= 3 && e.v & PTE_NX ? 0 : ACC_X);
}

/* The guest's memory type, as an index into the host's PAT. */
static unsigned memtype_of(const struct shadow_vm *vm, gpte_t e, bool large)
{
	static const u8 host_index[8] = { 3, 5, 0, 0, 1, 4, 0, 2 }; /* by type: UC WC - - WT WP WB UC-; see SHADOW_HOST_PAT */
	unsigned pat = e.v & (large ? PTE_PAT_LARGE : PTE_PAT) ? 4 : 0;
	unsigned i = pat | (e.v & PTE_PCD ? 2 : 0) | (e.v & PTE_PWT ? 1 : 0);

	return host_index[vm->vcpu->paging.pat >> 8 * i & 7];
}

static bool is_usable(const struct shadow_vm *vm, unsigned ctl, unsigned level, gpte_t e)
{
	return (e.v & (PTE_P | PTE_A)) == (PTE_P | PTE_A) && !(e.v & reserved_bits(vm, ctl, level, e));
}

/* ---- the guest walk -------------------------------------------------------- */

static void walk(const struct shadow_vcpu *sv, gva_t gva, struct walk *w)
{
	struct shadow_vm *vm = sv->vm;
	unsigned ctl = ctl_of(&sv->paging), level = GUEST_LEVELS;
	gfn_t table = mk_gfn((GUEST_LEVELS == 2 ? (u32)sv->paging.cr3 : sv->paging.cr3 & SPTE_ADDR) >> PAGE_SHIFT);

	*w = (struct walk){ .ok = true, .access = ACC_ALL, .gfn = mk_gfn(gva.v >> PAGE_SHIFT), .dirty = true };
	for (; level > 0; level--) {
		unsigned i = guest_index(gva, level);
		bool pdpte = GUEST_LEVELS == 3 && level == 3;
		gpte_t e = pdpte ? mk_gpte(sv->paging.pdpte[i & 3]) : read_gpte(vm, table, i);

		w->gpte[level] = e;
		w->at[level] = mk_gpa(gfn_to_gpa(table).v + i * GPTE_SIZE);
		w->ok = e.v & PTE_P;
		if (!w->ok)
			return;
		table = next_gfn(e);
		if (pdpte)
			continue;
		if (e.v & reserved_bits(vm, ctl, level, e)) {
			w->ok = false;
			w->error = PF_ERR_P | PF_ERR_RSVD;
			return;
		}
		w->access &= access_of(e);
		if (level == 1 || is_large(vm, ctl, level, e))
			break;
	}
	w->leaf_level = level;
	if (!level)
		return;
	w->dirty = w->gpte[level].v & PTE_D;
	w->memtype = memtype_of(vm, w->gpte[level], level > 1);
	w->gfn = table;
	if (level > 1)
		w->gfn = mk_gfn(large_gfn(level, w->gpte[level]).v |
				(gva.v >> PAGE_SHIFT & (BIT((level - 1) * GUEST_BITS) - 1)));
}

/* SDM vol. 3, 4.6 (rights) and 4.7 (error code).  W0x in shared/BUGS.md are the ways to get this wrong. */
static bool permits(const struct shadow_vcpu *sv, const struct walk *w, const struct shadow_access *acc, u32 *error)
{
	const struct shadow_paging *p = &sv->paging;
	bool smep = p->cr4 & CR4_SMEP, user_page = w->access & ACC_U;
	bool reports_fetch = smep || (p->cr4 & CR4_PAE && p->efer & EFER_NXE);
	bool ok = w->ok;

	*error = (acc->write ? PF_ERR_W : 0) | (acc->user ? PF_ERR_U : 0) |
		 (acc->fetch && reports_fetch ? PF_ERR_I : 0) | (w->ok ? PF_ERR_P : w->error);
	if (GUEST_LEVELS == 0)
		return true;
	if (acc->fetch && !(w->access & ACC_X))
		ok = false;
	if (acc->write && !(w->access & ACC_W) && (acc->user || p->cr0 & CR0_WP))
		ok = false;
	if (acc->user && !user_page)
		ok = false;
	if (!acc->user && user_page && acc->fetch && smep)
		ok = false;
	if (!acc->user && user_page && !acc->fetch && p->cr4 & CR4_SMAP && (acc->implicit || !acc->ac))
		ok = false;
	return ok;
}

static bool set_bits(struct shadow_vm *vm, gpa_t at, gpte_t old, u64 want)
{
	u8 *frame = guestmem_frame_rw(vm, gpa_to_gfn(at));
	void *p = frame + at.v % PAGE_SIZE;
	u32 old32 = old.v;

	if ((old.v & want) == want || !frame) /* a hole keeps what it is */
		return true;
	vm->stats.ad_writes++;
	if (GPTE_SIZE == 4)
		__atomic_compare_exchange_n((u32 *)p, &old32, old32 | (u32)want, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	else
		__atomic_compare_exchange_n((u64 *)p, &old.v, old.v | want, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	shadow_table_written(vm, at, GPTE_SIZE);
	return false;
}

static bool set_ad(struct shadow_vcpu *sv, const struct walk *w, bool write)
{
	bool clean = true;

	for (unsigned level = TOP_IN_MEMORY; level && level >= w->leaf_level; level--) {
		bool d = write && level == w->leaf_level;

		clean &= set_bits(sv->vm, w->at[level], w->gpte[level], PTE_A | (d ? PTE_D : 0));
	}
	return clean;
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
	page_set_child(vm, p, i, child);
	return child;
}

static bool fill(struct shadow_vcpu *sv, gva_t gva, const struct walk *w, bool lend)
{
	struct shadow_vm *vm = sv->vm;
	struct shadow_page *p = sv->root_page;
	unsigned i, ctl = ctl_of(&sv->paging);
	struct leaf l = { w->gfn, w->access, ctl, w->memtype, w->dirty, lend };
	spte_t old, e;

	vm->stamp++;
	for (unsigned level = SHADOW_LEVELS; level > 1; level--) {
		if (level == 2 && w->leaf_level > 1)
			p->large = true;
		p = get_child(sv, p, shadow_index(gva, level), w->gpte[level]);
	}
	i = shadow_index(gva, 1);
	old = page_read(vm, p, i);
	e = make_leaf(vm, &l);
	page_set_leaf(vm, p, i, e);
	return old.v != e.v;
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

/*
 * vtlb: one leaf, but all pieces if a large page may be among them (SDM vol. 3,
 * 4.10.4.1): then what the level-2 page spans goes.  Upper entries hold nothing of the guest's.
 */
static void invlpg(struct shadow_vcpu *sv, gva_t gva)
{
	struct shadow_page *p = sv->root_page;

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

/* ---- audit -------------------------------------------------------------------------------- */

static unsigned audit_leaf(struct shadow_vm *vm, const struct shadow_page *p, unsigned i, gpte_t ge)
{
	spte_t e = page_read(vm, p, i), want;
	struct leaf l = leaf_of(vm, p, i, ge);

	l.lend = e.v & SPTE_WP0 && may_lend(l.access, l.ctl, SHADOW_LEVELS);
	want = make_leaf(vm, &l);
	/* A frame that ceased to be a table gets its W back at the next write fault only. */
	if (e.v != want.v && (e.v | PTE_W | PTE_D) != want.v)
		return audit_fail(vm, "I5: leaf %lx, want %lx, level 1 of gfn %lx entry %u", e.v, want.v, p->gfn.v, i);
	if (e.v & PTE_W && vm->frames[p2m_frame(vm, l.gfn)].tables)
		return audit_fail(vm, "I3: writable leaf of table gfn %lx", l.gfn.v);
	return 0;
}

static unsigned audit_entry(struct shadow_vcpu *sv, struct shadow_page *p, unsigned i)
{
	struct shadow_vm *vm = sv->vm;
	spte_t e = page_read(vm, p, i);
	gpte_t ge = mk_gpte(0);

	if (p->role.kind == PAGE_TABLE) {
		ge = read_gpte(vm, p->gfn, guest_entry_of(p, i));
		if (!is_usable(vm, p->role.ctl, p->role.level, ge))
			return audit_fail(vm, "I5: spte %lx for guest entry %lx, level %u of gfn %lx entry %u", e.v, ge.v,
					  p->role.level, p->gfn.v, i);
	} else if (p->role.kind == PAGE_ROOT && GUEST_LEVELS == 3) {
		ge = mk_gpte(sv->paging.pdpte[i]);
	}
	if (p->role.level > 1)
		return is_child(page_child(vm, e), child_id(sv, p, i, ge)) ?
			       0 :
			       audit_fail(vm, "I5: wrong child at level %u of gfn %lx entry %u", p->role.level, p->gfn.v, i);
	return p->role.kind == PAGE_VTLB ? 0 : audit_leaf(vm, p, i, ge);
}

static unsigned audit_page(struct shadow_vcpu *sv, struct shadow_page *p)
{
	unsigned bad = 0, seen = 0;

	for (unsigned i = 0; seen < p->present && i < page_entries(p); i++)
		if (page_read(sv->vm, p, i).v & PTE_P) {
			seen++;
			bad += audit_entry(sv, p, i);
		}
	return seen == p->present ? bad : bad + audit_fail(sv->vm, "I8: %u entries counted, %u found", p->present, seen);
}

/* One leaf as the processor would use it against a fresh guest walk: I1, I2, I4. */
static unsigned audit_translation(struct shadow_vcpu *sv, gva_t gva, spte_t e)
{
	struct shadow_vm *vm = sv->vm;
	unsigned ctl = ctl_of(&sv->paging);
	struct walk w;

	walk(sv, gva, &w);
	if (!w.ok)
		return audit_fail(vm, "I2: %lx is mapped, the guest's walk faults", gva.v);
	if ((e.v & SPTE_ADDR) != hfn_to_hpa(p2m_lookup(vm, w.gfn).hfn).v)
		return audit_fail(vm, "I1: %lx maps %lx, gfn is %lx", gva.v, e.v, w.gfn.v);
	for (unsigned level = TOP_IN_MEMORY; level && level >= w.leaf_level; level--)
		if (!(w.gpte[level].v & PTE_A))
			return audit_fail(vm, "I4: %lx is mapped, A is clear at level %u", gva.v, level);
	if (e.v & PTE_W && !w.dirty)
		return audit_fail(vm, "I4: %lx is writable, D is clear", gva.v);
	if (e.v & PTE_U && !(w.access & ACC_U))
		return audit_fail(vm, "I2: %lx is the user's", gva.v);
	if (e.v & PTE_W && !(w.access & ACC_W) && (ctl & CTL_WP || e.v & PTE_U))
		return audit_fail(vm, "I2: %lx is writable", gva.v);
	if (SHADOW_LEVELS != 2 && !(e.v & PTE_NX) && !(w.access & ACC_X))
		return audit_fail(vm, "I2: %lx is executable", gva.v);
	return 0;
}

static unsigned audit_tree(struct shadow_vcpu *sv, const struct shadow_page *p, u64 gva)
{
	unsigned bad = 0, left = p->present, level = p->role.level;

	for (unsigned i = 0; left && i < page_entries(p); i++) {
		spte_t e = page_read(sv->vm, p, i);
		u64 va = gva | (u64)i << (PAGE_SHIFT + (level - 1) * SHADOW_BITS);

		if (!(e.v & PTE_P))
			continue;
		left--;
		if (SHADOW_LEVELS == 4 && level == 4 && i >= 256)
			va |= 0xffffull << 48;
		bad += level == 1 ? audit_translation(sv, mk_gva(va), e) : audit_tree(sv, page_child(sv->vm, e), va);
	}
	return bad;
}

static unsigned audit_root(struct shadow_vcpu *sv)
{
	/* A vtlb may be as stale as a TLB may. */
	return sv->vm->cfg.policy == POLICY_VTLB ? 0 : audit_tree(sv, sv->root_page, 0);
}

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
_Static_assert(PAGE_SIZE / GPTE_SIZE == BIT(GUEST_BITS), "a guest table is a page");
_Static_assert(PAGE_SIZE / (SHADOW_LEVELS == 2 ? 4 : 8) == BIT(SHADOW_BITS), "a shadow table is a page");
_Static_assert(!SPLIT || (GUEST_LEVELS == 2 && SHADOW_LEVELS == 3), "quadrants are for 2-level tables on PAE");
