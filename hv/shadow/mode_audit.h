/* SPDX-License-Identifier: BSD-2-Clause */
/* The last part of mode.c: I1 to I5 checked entry by entry. */

/* I3: an in-sync shadow with entries, and a writable mapping of its table. */
static bool table_in_use(struct shadow_vm *vm, gfn_t gfn)
{
	for (struct shadow_page *p = pool_next_table(vm, gfn, NULL); p; p = pool_next_table(vm, gfn, p))
		if (p->present && shadow_is_table(vm, gfn))
			return true;
	return false;
}

static unsigned audit_leaf(struct shadow_vm *vm, const struct shadow_page *p, unsigned i, struct leaf l)
{
	spte_t e = page_read(vm, p, i), want;

	if (e.v & PTE_W && table_in_use(vm, l.gfn))
		return audit_fail(vm, "I3: writable leaf of table gfn %lx", l.gfn.v);
	l.how = FILL_OPEN; /* no shadow of it is in use yet: its W goes with the first entry */
	if (e.v & SPTE_WP0 && may_lend(l.access, l.ctl, SHADOW_LEVELS))
		l.how |= FILL_LEND;
	want = make_leaf(vm, &l);
	e.v |= PTE_A; /* clear: prefetched and not used yet */
	if (e.v & ~want.v & PTE_W && rmap_pending(vm, e))
		want.v |= PTE_W | PTE_D; /* a scan is on its way to take it */
	/* A frame that ceased to be a table gets its W back at the next write fault only. */
	if (e.v != want.v && (e.v | PTE_W | PTE_D) != want.v)
		return audit_fail(vm, "I5: leaf %lx, want %lx, level %u of gfn %lx entry %u", e.v, want.v, p->role.level,
				  p->gfn.v, i);
	return 0;
}

static unsigned audit_upper(struct shadow_vcpu *sv, const struct shadow_page *p, unsigned i, spte_t e, gpte_t ge)
{
	struct shadow_vm *vm = sv->vm;
	struct id id = child_id(sv, p, i, ge);
	bool pending;

	if (!page_is_large(p, e))
		return is_child(page_child(vm, e), id) ? 0 : audit_fail(vm, "I5: wrong child at level %u of gfn %lx entry %u",
									p->role.level, p->gfn.v, i);
	if (p->role.kind == PAGE_VTLB)
		return 0;
	pending = rmap_pending(vm, e);
	if (!pending && !p2m_is_run(vm, id.gfn))
		return audit_fail(vm, "I1: large leaf %lx over gfn %lx, whose frames lie apart", e.v, id.gfn.v);
	if (!pending && e.v & PTE_W && !p2m_is_whole(vm, id.gfn))
		return audit_fail(vm, "I3: writable large leaf %lx over gfn %lx, which is not whole", e.v, id.gfn.v);
	return audit_leaf(vm, p, i, large_of(p, id));
}

static unsigned audit_note(struct shadow_vm *vm, const struct shadow_page *p, unsigned i, spte_t e)
{
	gpte_t ge = read_gpte(vm, p->gfn, guest_entry_of(p, i));

	if (p->role.kind != PAGE_TABLE || e.v == note_of(vm, p, ge).v || unsync_is(vm, p->gfn))
		return 0;
	return audit_fail(vm, "I5: note %lx for guest entry %lx, level %u of gfn %lx entry %u", e.v, ge.v, p->role.level,
			  p->gfn.v, i);
}

static unsigned audit_entry(struct shadow_vcpu *sv, struct shadow_page *p, unsigned i, spte_t e)
{
	struct shadow_vm *vm = sv->vm;
	gpte_t ge = mk_gpte(0);

	if (!(e.v & PTE_P))
		return audit_note(vm, p, i, e);
	if (p->role.kind == PAGE_TABLE && unsync_is(vm, p->gfn)) /* may lag, but only here */
		return p->role.level == 1 ? 0 : audit_fail(vm, "I6: gfn %lx is out of sync at level %u", p->gfn.v, p->role.level);
	if (p->role.kind == PAGE_TABLE) {
		ge = read_gpte(vm, p->gfn, guest_entry_of(p, i));
		if (!is_usable(vm, p->role.ctl, p->role.level, ge))
			return audit_fail(vm, "I5: spte %lx for guest entry %lx, level %u of gfn %lx entry %u", e.v, ge.v,
					  p->role.level, p->gfn.v, i);
	} else if (p->role.kind == PAGE_ROOT && GUEST_LEVELS == 3) {
		ge = mk_gpte(sv->paging.pdpte[i]);
	}
	if (p->role.level > 1)
		return audit_upper(sv, p, i, e, ge);
	return p->role.kind == PAGE_VTLB ? 0 : audit_leaf(vm, p, i, leaf_of(vm, p, i, ge));
}

static unsigned audit_page(struct shadow_vcpu *sv, struct shadow_page *p)
{
	unsigned bad = 0, seen = 0;

	if (p->role.kind == PAGE_ZOMBIE)
		return 0;
	for (unsigned i = 0; (p->noted || seen < p->present) && i < page_entries(p); i++) {
		spte_t e = page_read(sv->vm, p, i);

		seen += e.v & PTE_P;
		if (e.v)
			bad += audit_entry(sv, p, i, e);
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
		if (SHADOW_LEVELS >= 4 && level == SHADOW_LEVELS && i >= 256)
			va |= ~0ull << (PAGE_SHIFT + SHADOW_LEVELS * SHADOW_BITS); /* canonical */
		if (level == 1 && p->role.kind == PAGE_TABLE && unsync_is(sv->vm, p->gfn))
			continue;
		if (page_is_large(p, e))
			e.v &= ~PTE_PAT_LARGE; /* the first of its pieces stands for all */
		bad += page_is_leaf(p, e) ? audit_translation(sv, mk_gva(va), e) : audit_tree(sv, page_child(sv->vm, e), va);
	}
	return bad;
}

static unsigned audit_root(struct shadow_vcpu *sv)
{
	/* A vtlb may be as stale as a TLB may. */
	return sv->vm->cfg.policy == POLICY_VTLB ? 0 : audit_tree(sv, sv->root_page, 0);
}
