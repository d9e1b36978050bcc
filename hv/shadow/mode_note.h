/* SPDX-License-Identifier: BSD-2-Clause */
/* Part of mode.c: the fast path, notes of what the guest has where the shadow has nothing. */

static spte_t note_of(struct shadow_vm *vm, const struct shadow_page *p, gpte_t e)
{
	unsigned access = p->role.access & access_of(e);

	if (!vm->cfg.fastpath || p->role.kind != PAGE_TABLE)
		return mk_spte(0);
	if (!(e.v & PTE_P))
		return mk_spte(SPTE_NOTE);
	if (p->role.level > 1 || e.v & reserved_bits(vm, p->role.ctl, 1, e))
		return mk_spte(0);
	return mk_spte(SPTE_NOTE | SPTE_NOTE_P | (access & ACC_W ? PTE_W : 0) | (access & ACC_U ? PTE_U : 0) |
		       (access & ACC_X || SHADOW_LEVELS == 2 ? 0 : PTE_NX));
}

static void clear_with_note(struct shadow_vm *vm, struct shadow_page *p, unsigned i, gpte_t e)
{
	spte_t note = note_of(vm, p, e);

	if (note.v)
		page_set_note(vm, p, i, note);
	else
		page_clear(vm, p, i);
}

/* Where the walk of a fault ended, if the shadow goes that far. */
static void note(struct shadow_vcpu *sv, gva_t gva, const struct walk *w)
{
	struct shadow_vm *vm = sv->vm;
	struct shadow_page *p = sv->root_page;

	for (unsigned level = SHADOW_LEVELS; level >= w->stopped && level; level--) {
		unsigned i = shadow_index(gva, level);
		spte_t e = page_read(vm, p, i);

		if (!shadow_is_followed(vm, p) || page_is_leaf(p, e) || (p->role.kind == PAGE_TABLE && unsync_is(vm, p->gfn)))
			return;
		if (level == w->stopped && !(e.v & PTE_P))
			clear_with_note(vm, p, i, w->gpte[level]);
		if (!(e.v & PTE_P))
			return;
		p = page_child(vm, e);
	}
}

static unsigned access_of_spte(spte_t e, u64 writable)
{
	return (e.v & writable ? ACC_W : 0) | (e.v & PTE_U ? ACC_U : 0) | (SHADOW_LEVELS == 2 || !(e.v & PTE_NX) ? ACC_X : 0);
}

static bool fast(struct shadow_vcpu *sv, gva_t gva, const struct shadow_access *acc, u32 *error)
{
	struct shadow_vm *vm = sv->vm;
	struct shadow_page *p = sv->root_page;
	struct walk w = { .ok = true };
	spte_t e;

	for (;; p = page_child(vm, e)) {
		if (p->role.kind == PAGE_VTLB || (p->role.kind == PAGE_TABLE && unsync_is(vm, p->gfn)))
			return false;
		e = page_read(vm, p, shadow_index(gva, p->role.level));
		work(vm, 1);
		if (!(e.v & PTE_P) || page_is_leaf(p, e))
			break;
	}
	if (e.v & PTE_P) {
		if (e.v & SPTE_WP0)
			return false;
		w.access = access_of_spte(e, SPTE_GW);
	} else if (e.v & SPTE_NOTE) {
		w.ok = e.v & SPTE_NOTE_P;
		w.access = access_of_spte(e, PTE_W);
	} else {
		return false;
	}
	return !permits(sv, &w, acc, error);
}
