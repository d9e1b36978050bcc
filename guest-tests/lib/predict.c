/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the manuals a second time, apart from hv/: walk to the leaf or to the
 * first entry that is not present or malformed; only then ask for the rights,
 * which are those of the whole path; only then for A and D.
 */
#include "predict.h"

#define LOW_BITS(n) (BIT(n) - 1) /* bits n-1:0, n < 64 */
#define BITS(hi, lo) (LOW_BITS((hi) + 1) & ~LOW_BITS(lo))

struct format { /* of the paging mode that the control registers select */
	int levels; /* that lie in memory: PAE's PDPTEs do not */
	u32 size, index_bits;
	bool nx; /* bit 63 means execute-disable */
};

struct walk {
	const struct predict_state *s;
	const struct predict_access *a;
	struct format f;
	struct prediction p;
	struct predict_rights r; /* so far */
};

static struct format format_of(const struct predict_state *s)
{
	bool nxe = s->efer & EFER_NXE;

	if (!(s->cr4 & CR4_PAE))
		return (struct format){ 2, 4, 10, false };
	if (!(s->efer & EFER_LMA))
		return (struct format){ 2, 8, 9, nxe };
	return (struct format){ s->cr4 & CR4_LA57 ? 5 : 4, 8, 9, nxe };
}

/* "Page-fault exceptions", bit 4: only with CR4.PAE and EFER.NXE, or with SMEP. */
u32 predict_error(const struct predict_state *s, const struct predict_access *a, u32 bits)
{
	bool fetch_shown = (s->cr4 & CR4_SMEP) || ((s->cr4 & CR4_PAE) && (s->efer & EFER_NXE));

	if (a->kind == PREDICT_WRITE)
		bits |= PF_W;
	if (a->who == PREDICT_USER)
		bits |= PF_U;
	if (a->kind == PREDICT_FETCH && fetch_shown)
		bits |= PF_I;
	return bits;
}

static void page_fault(struct walk *w, u32 bits)
{
	w->p.fault = true;
	w->p.err = predict_error(w->s, w->a, bits);
}

static bool is_leaf(const struct predict_state *s, const struct format *f, u64 e, int level)
{
	if (level == 1)
		return true;
	if (!(e & PTE_PS))
		return false;
	if (f->size == 4)
		return level == 2 && (s->cr4 & CR4_PSE);
	return level == 2 || (level == 3 && s->page1g);
}

/* 32-bit paging: the only reserved bits are those of a 4 MiB page's address. */
static u64 reserved_32(const struct predict_state *s, const struct format *f, u64 e, int level)
{
	u32 m = s->maxphyaddr < 40 ? s->maxphyaddr : 40;

	if (level == 1 || !is_leaf(s, f, e, level))
		return 0;
	if (!s->pse36)
		return BITS(21, 13);
	return m >= 32 ? BITS(21, m - 19) : BITS(21, 13); /* bits 39:32 of the address are 20:13 */
}

static u64 reserved_64(const struct predict_state *s, const struct format *f, u64 e, int level)
{
	bool long_mode = s->efer & EFER_LMA;
	u64 r = s->maxphyaddr < 52 ? BITS(51, s->maxphyaddr) : 0;

	if (!f->nx)
		r |= PTE_NX;
	if (!long_mode)
		r |= BITS(62, 52); /* ignored in 4- and 5-level paging */
	if (level >= 4)
		r |= PTE_PS;
	if (level == 3 && !s->page1g)
		r |= PTE_PS;
	if (level == 3 && is_leaf(s, f, e, 3))
		r |= BITS(29, 13);
	if (level == 2 && is_leaf(s, f, e, 2))
		r |= BITS(20, 13);
	return r;
}

static u64 reserved_bits(const struct predict_state *s, const struct format *f, u64 e, int level)
{
	return f->size == 4 ? reserved_32(s, f, e, level) : reserved_64(s, f, e, level);
}

static u64 table_address(const struct format *f, u64 e)
{
	return f->size == 4 ? e & BITS(31, 12) : e & BITS(51, 12);
}

static u64 leaf_address(const struct predict_state *s, const struct format *f, u64 va, u64 e, int level)
{
	u32 shift = 12 + (level - 1) * f->index_bits;
	u64 page = table_address(f, e) & ~LOW_BITS(shift);

	if (f->size == 4 && level == 2)
		page = (e & BITS(31, 22)) | (s->pse36 ? (e & BITS(20, 13)) << 19 : 0);
	return page | (va & LOW_BITS(shift));
}

static enum predict_what entry_says(const struct predict_state *s, const struct format *f, u64 va, u64 e, int level,
				    struct predict_rights *r, u64 *gpa)
{
	if (!(e & PTE_P))
		return PREDICT_NOT_PRESENT;
	if (e & reserved_bits(s, f, e, level))
		return PREDICT_RESERVED;
	r->w &= !!(e & PTE_W);
	r->u &= !!(e & PTE_U);
	r->x &= !(f->nx && (e & PTE_NX));
	if (!is_leaf(s, f, e, level)) {
		*gpa = table_address(f, e);
		return PREDICT_TABLE;
	}
	*gpa = leaf_address(s, f, va, e, level);
	return PREDICT_LEAF;
}

enum predict_what predict_entry(const struct predict_state *s, u64 va, u64 e, int level, struct predict_rights *r, u64 *gpa)
{
	struct format f = format_of(s);

	return entry_says(s, &f, va, e, level, r, gpa);
}

static struct predict_entry *fetch_entry(struct walk *w, u64 table, int level)
{
	u32 shift = 12 + (level - 1) * w->f.index_bits;
	struct predict_entry *e = &w->p.path[w->p.entries++];

	e->gpa = table + ((w->a->va >> shift) & LOW_BITS(w->f.index_bits)) * w->f.size;
	e->size = w->f.size;
	e->level = level;
	e->value = w->s->read(w->s->ctx, e->gpa, e->size);
	return e;
}

/* True: the walk reached a leaf. */
static bool walk_to_leaf(struct walk *w, u64 table)
{
	for (int level = w->f.levels;; level--) {
		const struct predict_entry *e = fetch_entry(w, table, level);
		u64 next = 0;

		switch (entry_says(w->s, &w->f, w->a->va, e->value, level, &w->r, &next)) {
		case PREDICT_NOT_PRESENT:
			page_fault(w, 0);
			return false;
		case PREDICT_RESERVED:
			page_fault(w, PF_P | PF_RSVD);
			return false;
		case PREDICT_LEAF:
			w->p.leaf_level = level;
			w->p.gpa = next;
			return true;
		case PREDICT_TABLE:
			table = next;
		}
	}
}

/* "Determination of access rights" */
static bool user_allowed(const struct predict_access *a, struct predict_rights r)
{
	switch (a->kind) {
	case PREDICT_READ:
		return r.u;
	case PREDICT_WRITE:
		return r.u && r.w;
	default:
		return r.u && r.x;
	}
}

static bool supervisor_allowed(const struct predict_state *s, const struct predict_access *a, struct predict_rights r)
{
	bool smap_ok = !(s->cr4 & CR4_SMAP) || (a->ac && a->who == PREDICT_SUPER);

	if (a->kind == PREDICT_FETCH)
		return r.x && !(r.u && (s->cr4 & CR4_SMEP));
	if (r.u && !smap_ok)
		return false;
	return a->kind == PREDICT_READ || r.w || !(s->cr0 & CR0_WP);
}

bool predict_allowed(const struct predict_state *s, const struct predict_access *a, struct predict_rights r)
{
	return a->who == PREDICT_USER ? user_allowed(a, r) : supervisor_allowed(s, a, r);
}

/*
 * "Accessed and dirty flags": with the access done, A everywhere and D at the
 * leaf of a write.  When the access faults, a processor may still have set A in
 * the well-formed entries that its walk used; D it must not set then.
 */
static void set_accessed(struct walk *w)
{
	for (u32 i = 0; i < w->p.entries; i++) {
		struct predict_entry *e = &w->p.path[i];
		bool last = i + 1 == w->p.entries;

		if (w->p.fault) {
			e->may_set = last && !w->p.leaf_level ? 0 : PTE_A & ~e->value;
			continue;
		}
		e->must_set = PTE_A & ~e->value;
		if (last && w->a->kind == PREDICT_WRITE)
			e->must_set |= PTE_D & ~e->value;
		e->may_set = e->must_set;
	}
}

struct prediction predict(const struct predict_state *s, const struct predict_access *a)
{
	struct walk w = { .s = s, .a = a, .r = PREDICT_ALL_RIGHTS };
	u64 table = s->cr3;

	w.p.gpa = a->va;
	if (!(s->cr0 & CR0_PG))
		return w.p;
	w.f = format_of(s);
	if (w.f.size == 8 && !(s->efer & EFER_LMA)) {
		table = s->pdpte[a->va >> 30 & 3]; /* checked when it was loaded; gives no rights */
		if (!(table & PTE_P)) {
			page_fault(&w, 0);
			return w.p;
		}
	}
	table = table_address(&w.f, table);
	if (!walk_to_leaf(&w, table)) {
		set_accessed(&w);
		return w.p;
	}
	if (!predict_allowed(s, a, w.r))
		page_fault(&w, PF_P);
	set_accessed(&w);
	return w.p;
}
