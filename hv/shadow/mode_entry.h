/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shadow's side of mode.c and part of that one source: what an entry of
 * SHADOW_LEVELS paging must be, given the guest entry behind it.
 */

#define SHADOW_BITS (SHADOW_LEVELS == 2 ? 10 : 9)
#define SPLIT (GUEST_BITS != SHADOW_BITS) /* a guest table has several shadows: quadrants */
#define PAE_ROOT (SHADOW_LEVELS == 3)

static unsigned shadow_index(gva_t gva, unsigned level)
{
	unsigned bits = PAE_ROOT && level == 3 ? 2 : SHADOW_BITS;

	return gva.v >> (PAGE_SHIFT + (level - 1) * SHADOW_BITS) & (BIT(bits) - 1);
}

struct leaf {
	gfn_t gfn;
	u8 access, ctl, memtype;
	bool dirty;
	bool large;
	unsigned how; /* FILL_* */
};

/* Of what stands behind the leaf's gfn, may anything be written in place? */
static bool backing(struct shadow_vm *vm, const struct leaf *l, hfn_t *hfn)
{
	struct p2m_entry to = p2m_lookup(vm, l->gfn);

	*hfn = to.hfn;
	if (to.kind == P2M_RAM)
		return p2m_may_write(vm, p2m_gfn(vm, l->gfn)) && (l->how & FILL_OPEN || !shadow_is_table(vm, l->gfn));
	if (to.kind != P2M_MMIO && l->how & FILL_OPEN)
		for (unsigned i = 0; i < vm->nscratch; i++)
			if (vm->scratch[i].v == l->gfn.v) {
				*hfn = frame_hfn(vm, FRAME_SCRATCH + i);
				return true;
			}
	return to.kind == P2M_MMIO;
}

static spte_t make_leaf(struct shadow_vm *vm, const struct leaf *l)
{
	bool u = l->access & ACC_U, w = l->access & ACC_W, x = l->access & ACC_X;
	u64 e = PTE_P | PTE_A | (vm->cfg.fastpath && w ? SPTE_GW : 0);
	hfn_t hfn;

	if (l->how & FILL_LEND) {
		/* Supervisor's own page for the moment; SMEP must still see a user page (BUGS R02). */
		e |= SPTE_WP0;
		u = false;
		w = true;
		x = x && !(l->ctl & CTL_SMEP);
	} else if (!u && !(l->ctl & CTL_WP)) {
		w = true; /* the processor runs with CR0.WP=1 */
	}
	w = backing(vm, l, &hfn) && w && l->dirty;
	e |= (w ? PTE_W | PTE_D : 0) | (u ? PTE_U : 0) | (x || SHADOW_LEVELS == 2 ? 0 : PTE_NX);
	e |= (l->memtype & 1 ? PTE_PWT : 0) | (l->memtype & 2 ? PTE_PCD : 0);
	e |= l->large ? PTE_PS | (l->memtype & 4 ? PTE_PAT_LARGE : 0) : l->memtype & 4 ? PTE_PAT : 0;
	return mk_spte(e | hfn_to_hpa(hfn).v);
}

/* The leaf behind entry i of a level-1 table shadow or splinter. */
static struct leaf leaf_of(struct shadow_vm *vm, const struct shadow_page *p, unsigned i, gpte_t e)
{
	bool table = p->role.kind == PAGE_TABLE;

	return (struct leaf){
		.gfn = table ? next_gfn(e) : mk_gfn(p->gfn.v + i),
		.access = table ? p->role.access & access_of(e) : p->role.access,
		.ctl = p->role.ctl,
		.memtype = table ? memtype_of(vm, p->role.pat, e, false) : p->role.memtype,
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
			id.role.memtype = memtype_of(sv->vm, p->role.pat, e, true);
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

/* The large leaf in place of that child, if it is a splinter. */
static struct leaf large_of(const struct shadow_page *p, struct id id)
{
	return (struct leaf){ .gfn = id.gfn, .access = id.role.access, .ctl = p->role.ctl, .memtype = id.role.memtype,
			      .dirty = id.role.dirty, .large = true };
}

static unsigned guest_entry_of(const struct shadow_page *p, unsigned i)
{
	if (!SPLIT)
		return i;
	return (p->role.quadrant * 512 + i) / (p->role.level == 2 ? 2 : 1);
}
