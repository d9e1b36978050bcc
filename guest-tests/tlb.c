/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What must be fresh, and when (SDM vol. 3, "Invalidation of TLBs and Paging-Structure Caches"): all that an
 * invalidation covers; an entry that was not present; a raised right once a fault was taken for it.  What no
 * invalidation covered may be old, and is asked for nothing but being the old or the new.
 */
#include "test.h"

/* ---- ways to flush ---------------------------------------------------------- */

static void by_cr3(void) { load_cr3(read_cr3()); }

static void by_other_cr3(void)
{
	u64 root = current_root();

	use_space(new_space());
	use_space(root);
}

static void by_pge_on(void)
{
	check_fault(write_cr4(read_cr4() | CR4_PGE), NO_FAULT);
}

static void by_pge_toggle(void)
{
	ulong cr4 = read_cr4();

	check_fault(write_cr4(cr4 ^ CR4_PGE), NO_FAULT);
	check_fault(write_cr4(cr4), NO_FAULT);
}

static void by_pge_off(void)
{
	check_fault(write_cr4(read_cr4() & ~CR4_PGE), NO_FAULT);
}

static void by_smep_on(void)
{
	check_fault(write_cr4(read_cr4() & ~CR4_SMEP), NO_FAULT);
	check_fault(write_cr4(read_cr4() | CR4_SMEP), NO_FAULT);
}

static void by_paging_off(void)
{
	check_fault(write_cr0(read_cr0() & ~CR0_PG), NO_FAULT);
	check_fault(write_cr0(read_cr0() | CR0_PG), NO_FAULT);
}

struct way {
	const char *name;
	void (*run)(void);
	const bool *when;
	bool globals; /* global ones as well */
	bool legacy; /* not in long mode */
};

static const struct way ways[] = {
	{ "MOV CR3", by_cr3, NULL, false, false },
	{ "two MOV CR3", by_other_cr3, NULL, false, false },
	{ "CR4.PGE set", by_pge_on, &cpu.pge, true, false },
	{ "CR4.PGE toggled", by_pge_toggle, &cpu.pge, true, false },
	{ "CR4.PGE cleared", by_pge_off, &cpu.pge, true, false },
	{ "CR4.SMEP set", by_smep_on, &cpu.smep, false, false },
	{ "CR0.PG", by_paging_off, NULL, true, true },
};

static bool possible(const struct way *w)
{
	return (!w->when || *w->when) && !(w->legacy && PT_LEVELS >= 4);
}

/* Warm translations, their entries changed in every way, one flush, and all of them new. */
static void check_way(const struct way *w, u64 global)
{
	u64 a = tagged(0xa), b = tagged(0xb), va = WINDOW + 0x3000;

	for (u32 i = 0; i < 8; i++)
		map_page(va + i * PAGE_SIZE, a, RWU | global);
	map_page(va + 5 * PAGE_SIZE, a, PTE_P);
	map_page(va + 6 * PAGE_SIZE, a, PTE_P | PTE_U);
	for (u32 i = 0; i < 8; i++)
		invlpg(va + i * PAGE_SIZE);
	for (u32 i = 0; i < 8; i++)
		check_eq(tag_at(va + i * PAGE_SIZE), 0xa);
	check_fault(poke32(va + PAGE_SIZE, 1), NO_FAULT);
	check_fault(user_peek32(va + 3 * PAGE_SIZE, NULL), NO_FAULT);
	set_entry(entry(va, 1), b | RWU | global);
	set_entry(entry(va + PAGE_SIZE, 1), a | PTE_P | PTE_U | global);
	set_entry(entry(va + 2 * PAGE_SIZE, 1), 0);
	set_entry(entry(va + 3 * PAGE_SIZE, 1), a | PTE_P | PTE_W | global);
	set_entry(entry(va + 4 * PAGE_SIZE, 1), b | PTE_P);
	set_entry(entry(va + 5 * PAGE_SIZE, 1), a | RWU);
	w->run();
	check_eq(tag_at(va), 0xb);
	check_fault(poke32(va + PAGE_SIZE, 1), PF(PF_P | PF_W, va + PAGE_SIZE));
	check_fault(peek32(va + 2 * PAGE_SIZE, NULL), PF(0, va + 2 * PAGE_SIZE));
	check_fault(user_peek32(va + 3 * PAGE_SIZE, NULL), PF(PF_P | PF_U, va + 3 * PAGE_SIZE));
	check_eq(tag_at(va + 4 * PAGE_SIZE), 0xb);
	check_fault(user_poke32(va + 5 * PAGE_SIZE, 2), NO_FAULT);
	check_eq(tag_at(va + 6 * PAGE_SIZE), 0xa);
	check_eq(tag_at(va + 7 * PAGE_SIZE), 0xa);
	if (exception_count[VEC_PF] != 3)
		fail("%s: %u page faults, want 3", w->name, exception_count[VEC_PF]);
	exception_count[VEC_PF] = 0;
}

CASE(what_flushes)
{
	need_paging();
	for (u32 i = 0; i < ARRAY_SIZE(ways); i++)
		if (possible(&ways[i]))
			check_way(&ways[i], 0);
}

/* T13: without CR4.PGE the G bit is nothing; with it, those ways that take globals too must take them. */
CASE(what_flushes_globals)
{
	need_paging();
	if (!cpu.pge)
		skip("no global pages");
	for (u32 i = 0; i < ARRAY_SIZE(ways); i++) {
		const struct way *w = &ways[i];

		if (!possible(w))
			continue;
		check_fault(write_cr4(default_cr4), NO_FAULT);
		if (w->run != by_pge_off)
			check_way(w, PTE_G);
		check_fault(write_cr4(default_cr4 | CR4_PGE), NO_FAULT);
		if (w->globals && w->run != by_pge_on)
			check_way(w, PTE_G);
	}
}

/* A global page may outlive MOV CR3; it then is the old one whole, and INVLPG ends it. */
CASE(globals_across_mov_cr3)
{
	u64 a, b, va = WINDOW + 0x9000;
	u32 v;

	need_paging();
	if (!cpu.pge)
		skip("no global pages");
	a = tagged(0xa);
	b = tagged(0xb);
	check_fault(write_cr4(default_cr4 | CR4_PGE), NO_FAULT);
	for (u32 i = 0; i < 4; i++) {
		pte_t *e = map_page(va, a, RWU | PTE_G);

		invlpg(va);
		check_eq(tag_at(va), 0xa);
		set_entry(e, b | RWU | PTE_G);
		by_cr3();
		v = tag_at(va);
		check(v == 0xa || v == 0xb);
		invlpg(va);
		check_eq(tag_at(va), 0xb);
		set_entry(e, 0);
		if (i & 1)
			by_pge_toggle();
		else
			invlpg(va);
		check_fault(peek32(va, NULL), PF(0, va));
	}
}

/* Other spaces with another page at the address: not global there, so theirs alone is seen after INVLPG. */
CASE(globals_in_one_space_only)
{
	u64 a, b, va = WINDOW + 0x9000, first, second;

	need_paging();
	if (!cpu.pge)
		skip("no global pages");
	a = tagged(0xa);
	b = tagged(0xb);
	first = current_root();
	second = new_space();
	check_fault(write_cr4(default_cr4 | CR4_PGE), NO_FAULT);
	map_page(va, a, RWU | PTE_G);
	map_at(second, va, b, RWU, 1);
	for (u32 i = 0; i < 4; i++) {
		check_eq(tag_at(va), 0xa);
		use_space(second);
		invlpg(va);
		check_eq(tag_at(va), 0xb);
		use_space(first);
		invlpg(va);
	}
}

/* ---- INVLPG ------------------------------------------------------------------- */

/* The entry of any level changed, then INVLPG of one address below it: that address is fresh. */
CASE(invlpg_after_a_change_at_any_level)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, b, va = WINDOW + 0x5000, other = WINDOW + 0x5000;

	need_paging();
	b = tagged(0xb);
	for (int level = 1; level <= PT_LEVELS; level++) {
		pte_t *e, old;
		u64 below;

		if (is_pdpte(level))
			continue;
		map_page(va, a, RWU);
		flush();
		check_eq(tag_at(va), 0xa);
		e = entry(va, level);
		old = *e;
		set_entry(e, 0); /* taken away */
		invlpg(va);
		check_fault(peek32(va, NULL), PF(0, va));
		set_entry(e, old & ~PTE_W);
		check_eq(tag_at(va), 0xa);
		check_fault(poke32(va, 1), PF(PF_P | PF_W, va));
		set_entry(e, old & ~PTE_U);
		check_fault(poke32(va, 1), NO_FAULT); /* raised, and a fault was taken for it */
		invlpg(va);
		check_fault(user_peek32(va, NULL), PF(PF_P | PF_U, va));
		set_entry(e, old);
		check_fault(user_poke32(va, 1), NO_FAULT);
		/* another subtree with another page at the same address */
		below = b;
		for (int l = 1; l < level; l++) {
			u64 t = new_table();

			set_entry((pte_t *)mem8(t) + level_index(other, l), below | RWU);
			below = t;
		}
		set_entry(e, below | RWU);
		invlpg(va);
		check_eq(tag_at(va), 0xb);
		set_entry(e, old);
		invlpg(va);
		check_eq(tag_at(va), 0xa);
	}
}

/* Upper entries: INVLPG of any address drops what the processor remembers of upper levels for all addresses. */
CASE(invlpg_of_another_address_and_upper_entries)
{
	u64 va = WINDOW + 0x5000, cold = WINDOW + 0x7000;
	u32 v = 0;

	need_paging();
	for (int level = 2; level <= PT_LEVELS; level++) {
		u64 a = tagged(0xa), b = tagged(0xb), below = b;
		pte_t *e, old;

		if (is_pdpte(level))
			continue;
		map_page(va, a, RWU);
		map_page(cold, a, RWU);
		flush();
		check_eq(tag_at(va), 0xa); /* the upper entries are cached, the page `cold` is not */
		e = entry(va, level);
		old = *e;
		for (int l = 1; l < level; l++) {
			u64 t = new_table();

			set_entry((pte_t *)mem8(t) + level_index(cold, l), below | RWU);
			below = t;
		}
		set_entry(e, below | RWU);
		invlpg(WINDOW_END - 0x100000);
		v = tag_at(cold);
		if (v != 0xb && !(v == 0xa && (*entry(cold, 1) & PTE_A))) /* read ahead before the change: still legal */
			fail("level %d: tag %x", level, v);
		set_entry(e, old);
		flush();
	}
}

/* Each of many pages, one INVLPG each; what was not named is old or new and nothing else. */
CASE(invlpg_of_single_pages)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, b, va = WINDOW + 0x40000;

	need_paging();
	b = tagged(0xb);
	for (u32 i = 0; i < 64; i++)
		map_page(va + i * PAGE_SIZE, a, RWU);
	for (u32 i = 0; i < 64; i++)
		check_eq(tag_at(va + i * PAGE_SIZE), 0xa);
	for (u32 i = 0; i < 64; i++)
		set_entry(entry(va + i * PAGE_SIZE, 1), b | RWU);
	for (u32 i = 0; i < 64; i += 3)
		invlpg(va + i * PAGE_SIZE + (random32() & 0xfff));
	for (u32 i = 0; i < 64; i++) {
		u32 v = tag_at(va + i * PAGE_SIZE);

		if (v != 0xb && (v != 0xa || i - (i * 171 >> 9) * 3 == 0))
			fail("page %u has tag %x", i, v);
	}
	flush();
	for (u32 i = 0; i < 64; i++)
		check_eq(tag_at(va + i * PAGE_SIZE), 0xb);
}

/* S12, S13: both halves of a table, and tables in both halves of the directory. */
CASE(invlpg_in_every_part_of_a_table)
{
	static const u32 part[] = { 0, 1, PT_ENTRIES / 2 - 1, PT_ENTRIES / 2, PT_ENTRIES / 2 + 1, PT_ENTRIES - 1 };
	u64 a = PT_LEVELS ? tagged(0xa) : 0, b;

	need_paging();
	b = tagged(0xb);
	for (u32 i = 0; i < ARRAY_SIZE(part); i++) {
		for (u32 k = 0; k < ARRAY_SIZE(part); k++) {
			u64 va = WINDOW + part[i] * PAGE_SIZE;
			pte_t *e;

			if (PT_LEVELS == 2)
				va = (part[k] < 256 ? 256ull : part[k]) << 22 | part[i] * PAGE_SIZE;
			else
				va += part[k] * LARGE_SIZE;
			e = map_page(va, a, RWU);
			invlpg(va);
			check_eq(tag_at(va), 0xa);
			set_entry(e, b | RWU);
			invlpg(va);
			check_eq(tag_at(va), 0xb);
			set_entry(e, 0);
			invlpg(va);
			check_fault(user_poke32(va, 1), PF(PF_U | PF_W, va));
		}
	}
}

static void check_twins(u64 one, u64 two)
{
	u64 a = tagged(0xa), b = tagged(0xb), c = tagged(0xc), used = RWU | PTE_A | PTE_D;
	pte_t *first = map_page(one, a, RWU), *second = map_page(two, b, RWU);

	flush();
	for (u32 i = 0; i < 2; i++) {
		check_eq(tag_at(one), 0xa);
		check_eq(tag_at(two), 0xb);
		set_entry(first, c | used);
		invlpg(one);
		check_eq(tag_at(two), 0xb);
		check_eq(tag_at(one), 0xc);
		set_entry(second, 0);
		invlpg(two);
		set_entry(first, a | used);
		invlpg(one);
		check_fault(peek32(two, NULL), PF(0, two));
		check_eq(tag_at(one), 0xa);
		set_entry(second, b | used);
	}
	set_entry(second, 0);
	flush();
}

/* S12: entries that lie half or a quarter of a table apart are apart. */
CASE(edits_in_one_part_of_a_table)
{
	need_paging();
	for (int level = 1; level <= 2; level++)
		for (u32 quarter = 1; quarter < 4; quarter++)
			if (PT_LEVELS != 2 || level == 1 || quarter < 3)
				check_twins(WINDOW + 0x7000, WINDOW + 0x7000 + quarter * (level_size(level + 1) / 4));
}

INSN(invlpg_gs, "invlpg %%gs:(%0)")
INSN(invlpg_flat, "invlpg (%0)")
INSN(load_gs, "mov %w0,%%gs")

/* T09: the segment's base counts, its limit does not. */
CASE(invlpg_with_a_segment_base)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, b, va = WINDOW + 0x6000;
	pte_t *e;

	need_paging();
	b = tagged(0xb);
	e = map_page(va, a, RWU);
	if (PT_LEVELS >= 4) {
		check_fault(wrmsr(0xc0000101, va - 0x123000), NO_FAULT);
	} else {
		set_segment_base(SEL_KDATA, va - 0x123000);
		check_fault(try(load_gs, SEL_KDATA, 0, NULL), NO_FAULT);
		set_segment_base(SEL_KDATA, 0);
	}
	check_eq(tag_at(va), 0xa);
	set_entry(e, b | RWU);
	check_fault(try(invlpg_gs, 0x123000, 0, NULL), NO_FAULT);
	check_eq(tag_at(va), 0xb);
	set_entry(e, 0);
	check_fault(try(invlpg_gs, 0x123fff, 0, NULL), NO_FAULT);
	check_fault(peek32(va, NULL), PF(0, va));
}

CASE(invlpg_of_strange_addresses)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, va = WINDOW + 0x6000;

	need_paging();
	map_page(va, a, RWU);
	check_eq(tag_at(va), 0xa);
	check_fault(try(invlpg_flat, WINDOW_END - 0x2000, 0, NULL), NO_FAULT); /* not mapped */
	check_fault(try(invlpg_flat, 0, 0, NULL), NO_FAULT);
	check_fault(try(invlpg_flat, ~0ul, 0, NULL), NO_FAULT);
	if (PT_LEVELS >= 4) { /* not canonical: does nothing, and no #GP */
		check_fault(try(invlpg_flat, (ulong)(BIT(63) | va), 0, NULL), NO_FAULT);
		check_fault(try(invlpg_flat, (ulong)BIT(PT_LEVELS * 9 + 11), 0, NULL), NO_FAULT);
	}
	check_eq(tag_at(va), 0xa);
}

USER_CODE INSN(user_invlpg, "invlpg (%0)")

CASE(invlpg_by_user_code)
{
	check_fault(user_try(user_invlpg, PT_LEVELS ? WINDOW : 0x1000, 0, NULL), FAULT_ERR(VEC_GP, 0));
	if (!PT_LEVELS)
		check_fault(try(invlpg_flat, 0x1000, 0, NULL), NO_FAULT); /* paging off: nothing to do */
}

/* ---- what needs no flush -------------------------------------------------------- */

/* Not present to present, at each level, with the tables warm all around. */
CASE(present_needs_no_flush)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, va = WINDOW + 0x5000;

	need_paging();
	map_page(va, a, RWU);
	for (int level = 1; level <= PT_LEVELS; level++) {
		pte_t *e = entry(va, level), old = *e;

		if (is_pdpte(level))
			continue;
		for (u32 i = 0; i < 4; i++) {
			set_entry(e, i & 1 ? 0 : old & ~PTE_P);
			invlpg(va);
			check_fault(i & 2 ? user_poke32(va, 1) : peek32(va, NULL), PF(i & 2 ? PF_U | PF_W : 0, va));
			check_fault(peek32(va + 0x1000, NULL), PF(0, va + 0x1000)); /* a neighbour */
			set_entry(e, old);
			check_fault(i & 2 ? user_poke32(va, 1) : peek32(va, NULL), NO_FAULT);
		}
	}
}

/* U07: one entry after another of a table in use becomes present. */
CASE(growing_table)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, va = WINDOW + 0x80000;
	pte_t *e;

	need_paging();
	e = make_entry(va, 1);
	for (u32 i = 0; i < 100; i++) {
		check_fault(peek32(va + i * PAGE_SIZE, NULL), PF(0, va + i * PAGE_SIZE));
		set_entry(e + i, a | (i & 1 ? RWU : PTE_P));
		check_eq(tag_at(va + i * PAGE_SIZE), 0xa);
	}
}

/* A right that is raised after a fault, one at a time, at each level. */
CASE(raised_rights_after_a_fault)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, va = WINDOW + 0x5000;

	need_paging();
	map_page(va, a, RWU);
	for (int level = 1; level <= PT_LEVELS; level++) {
		pte_t *e = entry(va, level), old = *e;

		if (is_pdpte(level))
			continue;
		set_entry(e, old & ~PTE_W);
		invlpg(va);
		check_eq(tag_at(va), 0xa);
		check_fault(user_poke32(va + 8, 1), PF(PF_P | PF_W | PF_U, va + 8));
		set_entry(e, old);
		check_fault(user_poke32(va + 8, 1), NO_FAULT);
		set_entry(e, old & ~PTE_U);
		invlpg(va);
		check_eq(tag_at(va), 0xa);
		check_fault(user_peek32(va, NULL), PF(PF_P | PF_U, va));
		set_entry(e, old);
		check_fault(user_peek32(va, NULL), NO_FAULT);
		if (PTE_SIZE == 4 || !cpu.nx)
			continue;
		set_entry(e, old | PTE_NX);
		invlpg(va);
		check_eq(tag_at(va), 0xa);
		check_fault(fetch(va), PF(PF_P | PF_I, va));
		set_entry(e, old);
		check_fault(fetch(va), NO_FAULT);
	}
}

/* Any edits without a flush: each access sees an entry that was there since the last one, or faults as one would. */
CASE(old_or_new_but_nothing_else)
{
	u64 frames[4], va = WINDOW + 0x30000;
	pte_t *e;
	u32 seen; /* tags that were in the entry since the last INVLPG; bit 0: not present */

	need_paging();
	for (u32 i = 0; i < 4; i++)
		frames[i] = tagged(i);
	e = make_entry(va, 1);
	seen = 1;
	for (u32 i = 0; i < 200; i++) {
		u32 r = random32(), tag = r >> 8 & 3, v = 0;
		struct fault f;

		if ((r & 3) == 0) {
			invlpg(va);
			seen = *e & PTE_P ? 1u << *mem32(pte_gpa(*e) + TAG_AT) : 1;
		} else if (r & 1) {
			set_entry(e, tag ? frames[tag] | RWU : 0);
			seen |= 1u << tag;
		}
		f = peek32(va + TAG_AT, &v);
		if (faulted(f)) {
			check_fault(f, PF(0, va + TAG_AT));
			v = 0;
		}
		if (!(seen >> v & 1))
			fail("step %u: tag %x, possible %x", i, v, seen);
		if (faulted(f) && (*e & PTE_P))
			fail("step %u: not-present is never remembered", i);
	}
}
