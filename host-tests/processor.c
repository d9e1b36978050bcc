/* SPDX-License-Identifier: BSD-2-Clause */
#include "processor.h"

#define SETS 256u
#define WAYS 4u /* of one address several may be remembered, old and new */

struct memory { /* of an entry: a leaf, or one that leads to a table */
	bool leaf;
	unsigned tag;
	u32 epoch; /* of the tag: others are gone */
	unsigned span; /* bits of the addresses that go through it, 0: none */
	u64 prefix; /* of the address, above these */
	u64 to; /* physical address of the page, or of the table */
	u64 rights; /* P, W, U, and NX if some entry has it */
	u64 cr4; /* SMEP and SMAP of that moment */
	u8 pat_index;
};

static struct memory memories[SETS][WAYS];
static u32 epochs[SHADOW_TAGS_MAX];
static u32 (*rnd)(u32);
static u64 stubborn; /* it faulted here, and goes by what it remembers until it is told not to */
static unsigned long recalled;

void processor_reset(u32 (*r)(u32))
{
	rnd = r;
	stubborn = 0;
	memset(memories, 0, sizeof(memories));
}

unsigned long processor_recalled(void) { return recalled; }

/* Bits of the addresses behind one entry. */
static unsigned span_of(unsigned levels, unsigned level)
{
	return PAGE_SHIFT + (level - 1) * (levels == 2 ? 10 : 9);
}

static struct memory *set_of(unsigned tag, unsigned span, u64 prefix)
{
	return memories[((prefix * 64 + span) * 16 + tag) * 0x9e3779b97f4a7c15ull >> 32 & (SETS - 1)];
}

static void forget_address(unsigned tag, u64 gva)
{
	for (unsigned i = 0; i < SETS * WAYS; i++) {
		struct memory *m = &memories[i / WAYS][i % WAYS];

		if (m->tag == tag && m->span && m->prefix == gva >> m->span)
			m->span = 0;
	}
}

void processor_flush(const struct shadow_vcpu *sv)
{
	if (sv->flush == SHADOW_FLUSH_ALL)
		epochs[sv->tag]++;
	else if (sv->flush == SHADOW_FLUSH_ONE)
		forget_address(sv->tag, sv->flush_gva.v);
}

static void remember(const struct memory *m)
{
	set_of(m->tag, m->span, m->prefix)[rnd(WAYS)] = *m;
}

/* Any one of what is remembered. */
static const struct memory *recall(unsigned tag, u64 gva, unsigned span, bool leaf)
{
	struct memory *set = set_of(tag, span, gva >> span), *found = NULL;

	for (unsigned i = 0, n = 0; i < WAYS; i++) {
		struct memory *m = &set[i];

		if (m->span == span && m->tag == tag && m->epoch == epochs[tag] && m->prefix == gva >> span &&
		    m->leaf == leaf && !rnd(++n))
			found = m;
	}
	return found;
}

static u64 read_entry(unsigned levels, void *table, unsigned i)
{
	return levels == 2 ? ((u32 *)table)[i] : ((u64 *)table)[i];
}

static void write_entry(unsigned levels, void *table, unsigned i, u64 e)
{
	if (levels == 2)
		((u32 *)table)[i] = e;
	else
		((u64 *)table)[i] = e;
}

/*
 * From the deepest upper entry that it chooses to remember, down to the leaf.  A and D are set
 * on the way, but not ahead of the program: then what has no A yet is left alone.
 */
static bool walk(const struct shadow_vcpu *sv, u64 gva, bool write, bool ahead, struct memory *m)
{
	unsigned levels = sv->mode->shadow_levels, level = levels;
	const struct memory *upper = NULL;

	*m = (struct memory){ .tag = sv->tag, .epoch = epochs[sv->tag], .to = sv->root.v, .rights = PTE_P | PTE_W | PTE_U,
			      .cr4 = sv->hw_cr4 };
	for (unsigned l = 2; l <= levels && !upper; l++) {
		upper = rnd(2) ? recall(sv->tag, gva, span_of(levels, l), false) : NULL;
		if (upper)
			level = l - 1;
	}
	if (upper)
		*m = *upper;
	for (; level; level--) {
		bool pdpte = levels == 3 && level == 3;
		void *table = host_ptr(hpa_to_hfn(mk_hpa(m->to)));
		unsigned bits = pdpte ? 2 : levels == 2 ? 10 : 9, i = gva >> span_of(levels, level) & (BIT(bits) - 1);
		u64 e = read_entry(levels, table, i);
		bool large = level == 2 && e & PTE_PS;

		if (!(e & PTE_P) || (ahead && !pdpte && !(e & PTE_A)))
			return false;
		m->span = span_of(levels, level);
		m->prefix = gva >> m->span;
		m->leaf = level == 1 || large;
		m->to = e & SPTE_ADDR;
		if (!pdpte) {
			m->rights = (m->rights & (e | PTE_NX)) | (levels == 2 ? 0 : e & PTE_NX);
			write_entry(levels, table, i, e | PTE_A | (m->leaf && write && m->rights & PTE_W ? PTE_D : 0));
		}
		if (large)
			m->to &= ~(u64)0x1fffff;
		if (m->leaf)
			m->pat_index = (e & PTE_PWT ? 1 : 0) | (e & PTE_PCD ? 2 : 0) | (e & (large ? PTE_PAT_LARGE : PTE_PAT) ? 4 : 0);
		remember(m);
		if (m->leaf)
			return true;
	}
	return false;
}

static bool permits(const struct memory *m, const struct shadow_access *a)
{
	if ((a->write && !(m->rights & PTE_W)) || (a->user && !(m->rights & PTE_U)) || (a->fetch && m->rights & PTE_NX))
		return false;
	if (a->user || !(m->rights & PTE_U))
		return true;
	if (a->fetch)
		return !(m->cr4 & CR4_SMEP);
	return !(m->cr4 & CR4_SMAP) || (a->ac && !a->implicit);
}

static const struct memory *recall_leaf(const struct shadow_vcpu *sv, u64 gva)
{
	const struct memory *small = recall(sv->tag, gva, PAGE_SHIFT, true), *large = recall(sv->tag, gva, 21, true);

	return small && (!large || rnd(2)) ? small : large;
}

bool processor_access(const struct shadow_vcpu *sv, u64 gva, const struct shadow_access *a, struct processor_result *r)
{
	const struct memory *old = gva == stubborn || rnd(4) ? recall_leaf(sv, gva) : NULL;
	struct memory m;
	bool ok = false;

	if (old) {
		m = *old;
		recalled++;
	}
	if (old || walk(sv, gva, a->write, false, &m)) {
		r->hpa = m.to | (gva & (BIT(m.span) - 1));
		r->pat_index = m.pat_index;
		ok = permits(&m, a);
	}
	stubborn = ok ? 0 : gva;
	return ok;
}

void processor_speculate(const struct shadow_vcpu *sv, u64 gva)
{
	struct memory m;

	walk(sv, gva, false, true, &m);
}
