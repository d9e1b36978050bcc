/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables that map page tables: recursive slots, tables that map
 * themselves, one frame as table of two levels, one table under parents with
 * different rights, tables that are code or lie in the large page they map.
 */
#include "test.h"

#define ALL (PTE_P | PTE_W | PTE_U)
#define HERE (WINDOW + 4 * LARGE_SIZE + 0x5000) /* what the tables map */
#define THERE (WINDOW + 9 * LARGE_SIZE + 0x5000)
#define ALIAS (WINDOW + 0x20000)
#define SLOT 300 /* of a level-2 table, for itself */
#define REGION ((HERE & ~(LARGE_SIZE * PT_ENTRIES - 1)) + SLOT * LARGE_SIZE)
#define ROOT_SLOT 200ull /* 64, la57 */
#define FRESH (PT_LEVELS >= 4 ? 150ull << level_shift(PT_LEVELS) | 0x12345000 : WINDOW + 30 * LARGE_SIZE) /* nothing there at any level */
#define FRAME_BITS (~0xfffull & ~PTE_NX)

static u64 first, second;

static void set_up(void)
{
	if (!PT_LEVELS)
		skip("no page tables");
	first = new_frame();
	second = new_frame();
	*mem32(first) = first;
	*mem32(second) = second;
	mem8(first)[8] = mem8(second)[8] = 0xc3;
	map_page(HERE, first, ALL);
}

static u64 table_at(u64 va, int level)
{
	return (ulong)entry(va, level) & ~0xfffull;
}

static pte_t *in_table(u64 table, u64 va, int level)
{
	return (pte_t *)(ulong)table + level_index(va, level);
}

static void reads(u64 va, u64 want)
{
	u32 v = 0;

	if (check_fault(peek32(va, &v), NO_FAULT))
		check_eq(v, (u32)want);
}

/* An entry seen through memory at va: frame and rights, not A and D. */
static void shows(u64 va, u64 want)
{
	u32 v = 0;

	if (check_fault(peek32(va, &v), NO_FAULT))
		check_eq(v & ~(u32)(PTE_A | PTE_D), (u32)want & ~(u32)(PTE_A | PTE_D));
}

/* poke_entry() begins with the high half. */
static struct fault poke_low_first(u64 va, u64 v)
{
	return PTE_SIZE == 8 ? poke64(va, v) : poke32(va, v);
}

/* What a path with these rights allows; the frame has a RET at 8. */
static void allows(u64 va, u64 rights)
{
	u32 w = rights & PTE_W ? 0 : PF_P, u = rights & PTE_U ? 0 : PF_P, nx = PTE_SIZE == 8 && (rights & PTE_NX) ? PF_P : 0;

	check_fault(poke32(va + 4, 1), w ? PF(PF_P | PF_W, va + 4) : NO_FAULT);
	check_fault(user_peek32(va, NULL), u ? PF(PF_P | PF_U, va) : NO_FAULT);
	check_fault(user_poke32(va + 4, 2), w || u ? PF(PF_P | PF_U | PF_W, va + 4) : NO_FAULT);
	check_fault(peek32(va, NULL), NO_FAULT);
	if (PTE_SIZE != 8 || !cpu.nx)
		return; /* then fetches have no error bit of their own, and no right */
	check_fault(fetch(va + 8), nx ? PF(PF_P | PF_I, va + 8) : NO_FAULT);
	check_fault(user_fetch(va + 8), u || nx ? PF(PF_P | PF_U | PF_I, va + 8) : NO_FAULT);
}

/* ---- the recursive slot of an operating system ------------------------------- */

#if PT_LEVELS == 3
#define TOP_WINDOW 2 /* the PDPT has no slot: four PDEs show the four PDs */
#define WINDOW_BASE 0xff800000ull
#else
#define TOP_WINDOW PT_LEVELS
#endif

static void make_recursive(u64 flags)
{
	u64 root = current_root();

	if (PT_LEVELS == 2)
		set_entry(in_table(root, REGION, 2), root | flags);
	else if (PT_LEVELS >= 4)
		set_entry((pte_t *)(ulong)root + ROOT_SLOT, root | flags);
	for (u64 i = 0; PT_LEVELS == 3 && i < 4; i++) {
		make_entry(i << 30, 2);
		make_entry(3ull << 30, 2);
		set_entry(entry(0xff800000u + i * LARGE_SIZE, 2), table_at(i << 30, 2) | flags);
	}
}

/* Where the recursive slot shows the entry of va. */
static u64 shown_at(u64 va, int level)
{
	u64 offset = (va >> level_shift(level)) * PTE_SIZE, base = 0;

#if PT_LEVELS == 3
	base = level == 1 ? WINDOW_BASE : WINDOW_BASE + (WINDOW_BASE >> 12) * 8;
#else
	for (int l = 0; l < level; l++)
		base |= (PT_LEVELS == 2 ? level_index(REGION, 2) : ROOT_SLOT) << level_shift(PT_LEVELS - l);
#endif
	return base + offset;
}

CASE(recursive_reads)
{
	u64 at[] = { HERE, THERE, 0x200000, (ulong)user_data, WINDOW + 0x7000 };

	set_up();
	make_recursive(ALL);
	map_page(THERE, second, PTE_P);
	map_page(WINDOW, first, PTE_P);
	for (u32 i = 0; i < ARRAY_SIZE(at); i++)
		for (int level = 1; level <= TOP_WINDOW; level++) {
			shows(shown_at(at[i], level), *entry(at[i], level));
			if (PTE_SIZE == 8)
				reads(shown_at(at[i], level) + 4, (u64)*entry(at[i], level) >> 32);
		}
}

CASE(recursive_edits)
{
	set_up();
	make_recursive(ALL);
	for (int round = 0; round < 3; round++) {
		for (int level = TOP_WINDOW; level > 1; level--) { /* a path from the top, with no flush */
			check_fault(peek32(FRESH, NULL), PF(0, FRESH));
			check_fault(poke_low_first(shown_at(FRESH, level), new_table() | ALL), NO_FAULT);
			reads(shown_at(FRESH, level - 1), 0);
		}
		check_fault(poke_low_first(shown_at(FRESH, 1), second | ALL), NO_FAULT);
		reads(FRESH, second);
		check_fault(poke_low_first(shown_at(FRESH, 1), first | PTE_P), NO_FAULT);
		invlpg(FRESH);
		reads(FRESH, first);
		check_fault(poke32(FRESH, 0), PF(PF_P | PF_W, FRESH));
		for (int level = 1; level <= TOP_WINDOW; level++) {
			u64 old = *entry(FRESH, level);

			check_fault(poke_low_first(shown_at(FRESH, level), old & ~PTE_P), NO_FAULT);
			invlpg(FRESH);
			check_fault(peek32(FRESH, NULL), PF(0, FRESH));
			check_fault(poke_low_first(shown_at(FRESH, level), old), NO_FAULT);
			reads(FRESH, first);
		}
		check_fault(poke_low_first(shown_at(FRESH, TOP_WINDOW), 0), NO_FAULT);
		flush();
		check_fault(peek32(FRESH, NULL), PF(0, FRESH));
		check_fault(peek32(shown_at(FRESH, 1), NULL), PF(0, shown_at(FRESH, 1)));
	}
}

/* Rights of the slot count for the window, and not for what the tables map. */
CASE(recursive_rights)
{
	static const u64 flags[] = { PTE_P, ALL, PTE_P | PTE_U, PTE_P | PTE_W };
	u64 at;

	set_up();
	for (u32 i = 0; i < ARRAY_SIZE(flags) * 2; i++) {
		u64 f = flags[i % ARRAY_SIZE(flags)];

		make_recursive(f);
		flush();
		at = shown_at(HERE, 1);
		shows(at, first | ALL);
		check_fault(poke_low_first(at, second | ALL), f & PTE_W ? NO_FAULT : PF(PF_P | PF_W, at));
		check_fault(user_peek32(at, NULL), f & PTE_U ? NO_FAULT : PF(PF_P | PF_U, at));
		invlpg(HERE);
		reads(HERE, f & PTE_W ? second : first);
		set_entry(entry(HERE, 1), first | ALL);
		invlpg(HERE);
		allows(HERE, ALL);
	}
}

/* One entry is all levels of its own walk; A and D land in it once each. */
CASE(entry_of_all_levels)
{
	volatile pte_t *e;
	u64 at;

	set_up();
	make_recursive(ALL);
	if (PT_LEVELS == 3) {
		set_entry(in_table(table_at(REGION, 2), REGION, 2), table_at(REGION, 2) | ALL);
		e = entry(REGION, 2);
		at = REGION + SLOT * PAGE_SIZE + ((ulong)e & 0xfff);
	} else {
		at = PT_LEVELS == 2 ? shown_at(REGION, 2) : shown_at(ROOT_SLOT << level_shift(PT_LEVELS), PT_LEVELS);
		for (int level = 1; level < PT_LEVELS; level++)
			check_eq(level_index(at, level), level_index(at, level + 1));
		e = entry(at, PT_LEVELS);
	}
	for (int i = 0; i < 3; i++) {
		u64 frame = *e & FRAME_BITS;

		set_entry((pte_t *)e, frame | ALL);
		flush();
		reads(at, frame | ALL | PTE_A);
		check_eq(*e, frame | ALL | PTE_A);
		check_fault(poke8(at + 1, frame >> 8), NO_FAULT);
		check_eq(*e, frame | ALL | PTE_A | PTE_D);
		check_fault(poke8(at, PTE_P | PTE_U), NO_FAULT); /* the entry that allows the store forbids the next */
		invlpg(at);
		check_fault(poke8(at, ALL), PF(PF_P | PF_W, at));
		shows(at, frame | PTE_P | PTE_U);
	}
}

/* ---- tables that map themselves ----------------------------------------------- */

CASE(table_maps_itself)
{
	u64 base = HERE & ~(LARGE_SIZE - 1), t, self = base + 7 * PAGE_SIZE;
	volatile pte_t *e;

	set_up();
	t = table_at(HERE, 1);
	e = map_page(self, t, ALL);
	for (int i = 0; i < 3; i++) {
		shows(self + 5 * PTE_SIZE, first | ALL);
		check_fault(poke_low_first(self + 5 * PTE_SIZE, second | ALL), NO_FAULT);
		invlpg(HERE);
		reads(HERE, second);
		check_fault(user_poke32(self + 5 * PTE_SIZE, first | ALL), NO_FAULT);
		invlpg(HERE);
		reads(HERE, first);
		check_fault(poke_low_first(self + 8 * PTE_SIZE, second | ALL), NO_FAULT);
		reads(base + 8 * PAGE_SIZE, second);
		check_fault(poke_low_first(self + 7 * PTE_SIZE, second | ALL), NO_FAULT); /* the entry in use */
		invlpg(self);
		reads(self, second);
		set_entry((pte_t *)e, t | PTE_P);
		invlpg(self);
		check_fault(poke32(self, 1), PF(PF_P | PF_W, self));
		shows(self + 7 * PTE_SIZE, t | PTE_P);
		check_fault(user_peek32(self, NULL), PF(PF_P | PF_U, self));
		set_entry((pte_t *)e, t | ALL);
		check_fault(poke_low_first(self + 8 * PTE_SIZE, 0), NO_FAULT);
		invlpg(base + 8 * PAGE_SIZE);
		check_fault(peek32(base + 8 * PAGE_SIZE, NULL), PF(0, base + 8 * PAGE_SIZE));
	}
}

/* A level-2 table as its own level-1 table; each use is flushed on its own. */
CASE(one_frame_at_two_levels)
{
	u64 t1, t2, pd, page, old;
	volatile pte_t *e;

	set_up();
	t1 = table_at(HERE, 1);
	t2 = new_table();
	*in_table(t2, HERE, 1) = second | ALL;
	pd = table_at(HERE, 2);
	e = entry(HERE, 2);
	old = t1 | ALL;
	set_entry(in_table(pd, REGION, 2), pd | ALL);
	page = REGION + level_index(HERE, 2) * PAGE_SIZE + 5 * PTE_SIZE; /* HERE's entry, seen through the loop */
	for (int i = 0; i < 4; i++) {
		reads(HERE, first);
		shows(page, first | ALL);
		set_entry((pte_t *)e, t2 | ALL);
		invlpg(HERE); /* the upper use first */
		reads(HERE, second);
		invlpg(page);
		shows(page, second | ALL);
		set_entry((pte_t *)e, old);
		invlpg(page); /* and the lower one first */
		shows(page, first | ALL);
		invlpg(HERE);
		reads(HERE, first);
		set_entry((pte_t *)e, t1 | PTE_P | PTE_U);
		invlpg(HERE);
		check_fault(poke32(HERE + 4, 0), PF(PF_P | PF_W, HERE + 4));
		invlpg(page);
		check_fault(poke32(page, 0), PF(PF_P | PF_W, page));
		set_entry((pte_t *)e, 0);
		invlpg(page);
		check_fault(peek32(page, NULL), PF(0, page));
		invlpg(HERE);
		check_fault(peek32(HERE, NULL), PF(0, HERE));
		set_entry((pte_t *)e, old);
	}
}

/* D of a leaf lands in an entry that is a PDE as well, where it means nothing. */
CASE(dirty_in_an_upper_entry)
{
	volatile pte_t *e;
	u64 page, t;

	set_up();
	e = entry(HERE, 2);
	t = *e & FRAME_BITS;
	set_entry(entry(REGION, 2), table_at(HERE, 2) | ALL);
	page = REGION + level_index(HERE, 2) * PAGE_SIZE;
	for (int i = 0; i < 3; i++) {
		set_entry((pte_t *)e, t | ALL);
		flush();
		reads(HERE, first);
		check_fault(poke32(HERE + 4, 1), NO_FAULT);
		check_eq(*e, t | ALL | PTE_A);
		check_fault(peek32(page, NULL), NO_FAULT);
		check_eq(*e, t | ALL | PTE_A);
		check_fault(poke_low_first(page + 6 * PTE_SIZE, second | ALL), NO_FAULT);
		check_eq(*e, t | ALL | PTE_A | PTE_D);
		reads(HERE + PAGE_SIZE, second);
		check_fault(poke_low_first(page + 6 * PTE_SIZE, 0), NO_FAULT);
		invlpg(HERE + PAGE_SIZE);
		check_fault(peek32(HERE + PAGE_SIZE, NULL), PF(0, HERE + PAGE_SIZE));
	}
}

/* A level-1 table in use becomes a level-2 table as well, then only that, then data. */
CASE(table_changes_level)
{
	u64 t, lower[2], upper, alias;

	set_up();
	if (PT_LEVELS == 2)
		skip("the upper level is the root");
	t = table_at(HERE, 1);
	for (int i = 0; i < 2; i++) {
		lower[i] = new_table();
		*in_table(lower[i], HERE, 1) = (i ? second : first) | ALL;
	}
	upper = WINDOW + (1ull << 30) + 5 * LARGE_SIZE + 0x5000; /* another entry of level 3, entry 5 of its table */
	alias = ALIAS + 5 * PTE_SIZE;
	map_page(ALIAS, t, ALL);
	make_entry(upper, 3);
	for (int i = 0; i < 4; i++) {
		check_fault(poke_low_first(alias, lower[0] | ALL), NO_FAULT);
		invlpg(HERE);
		shows(HERE + 5 * PTE_SIZE, first | ALL);
		link_table(current_root(), upper, 3, t);
		reads(upper, first);
		check_fault(poke_low_first(alias, lower[1] | ALL), NO_FAULT);
		invlpg(upper);
		reads(upper, second);
		invlpg(HERE);
		shows(HERE + 5 * PTE_SIZE, second | ALL);
		check_fault(poke_low_first(alias, lower[0] | ALL), NO_FAULT);
		invlpg(HERE);
		shows(HERE + 5 * PTE_SIZE, first | ALL);
		invlpg(upper);
		reads(upper, first);
		set_entry(entry(HERE, 2), 0); /* level 2 only */
		flush();
		check_fault(peek32(HERE, NULL), PF(0, HERE));
		check_fault(poke_low_first(alias, lower[1] | ALL), NO_FAULT);
		invlpg(upper);
		reads(upper, second);
		set_entry(entry(upper, 3), 0); /* data only */
		flush();
		check_fault(poke_low_first(alias, 0x123), NO_FAULT);
		shows(alias, 0x123);
		check_fault(peek32(upper, NULL), PF(0, upper));
		link_table(current_root(), HERE, 2, t);
	}
}

/* ---- one table, several parents -------------------------------------------------- */

/* The table of `level` - 1 below HERE, also below THERE with fewer rights. */
static void two_parents(int level, u64 removed, bool weak_first)
{
	u64 there = HERE + level_size(level) * 3;
	pte_t *e = make_entry(there, level);
	u64 rights = (ALL | removed) ^ (removed & (PTE_W | PTE_U));

	set_entry(e, (*entry(HERE, level) & FRAME_BITS) | rights);
	flush();
	for (int i = 0; i < 2; i++) {
		bool weak = weak_first ^ i;

		allows(weak ? there : HERE, weak ? rights : ALL);
	}
	allows(there, rights);
	allows(HERE, ALL);
	set_entry(entry(HERE, 1), second | ALL);
	invlpg(there);
	reads(there, second);
	invlpg(HERE);
	reads(HERE, second);
	set_entry(entry(HERE, 1), first | PTE_P);
	invlpg(HERE);
	allows(HERE, PTE_P);
	invlpg(there);
	allows(there, PTE_P | (rights & PTE_NX));
	set_entry(entry(HERE, 1), first | ALL);
	set_entry(e, 0);
	flush();
}

CASE(parents_with_other_rights)
{
	static const u64 removed[] = { PTE_W, PTE_U, PTE_W | PTE_U, PTE_NX, 0 };

	set_up();
	for (int level = 2; level <= (PT_LEVELS == 3 ? 2 : PT_LEVELS); level++)
		for (u32 i = 0; i < ARRAY_SIZE(removed); i++)
			for (int order = 0; order < 2; order++)
				if (removed[i] != PTE_NX || (PTE_SIZE == 8 && cpu.nx))
					two_parents(level, removed[i], order);
}

CASE(parents_in_other_spaces)
{
	u64 t, home, other;
	volatile pte_t *e;

	set_up();
	t = table_at(HERE, 1);
	e = entry(HERE, 1);
	home = current_root();
	other = new_space();
	map_at(other, THERE, t, ALL, 2); /* as a table: no PS */
	for (int i = 0; i < 4; i++) {
		use_space(other);
		reads(THERE, first);
		set_entry((pte_t *)e, second | (i & 1 ? ALL : PTE_P));
		invlpg(THERE);
		allows(THERE, i & 1 ? ALL : PTE_P);
		reads(THERE, second);
		use_space(home);
		allows(HERE, i & 1 ? ALL : PTE_P);
		reads(HERE, second);
		set_entry((pte_t *)e, first | ALL);
		invlpg(HERE);
		reads(HERE, first);
	}
}

/* ---- other things that a table can be ---------------------------------------------- */

CASE(table_as_code)
{
	static const u8 store64[8] = { 0x90, 0x48, 0x89, 0x37, 0xc3 }, store32[8] = { 0x90, 0x89, 0x10, 0xc3 };
	u64 t, code = ALIAS + 0x800;

	set_up();
	t = table_at(HERE, 1);
	memcpy(mem8(t + 0x800), sizeof(ulong) == 8 ? store64 : store32, 8); /* entries that are not present */
	map_page(ALIAS, t, PTE_P | PTE_W);
	for (int i = 0; i < 4; i++) {
		u64 frame = i & 1 ? first : second;

		check_fault(try((guest_fn)(ulong)code, ALIAS + 5 * PTE_SIZE, frame | ALL, NULL), NO_FAULT);
		invlpg(HERE);
		reads(HERE, frame);
	}
	check_fault(try((guest_fn)(ulong)code, code, sizeof(ulong) == 8 ? 0xc337894890ull : 0xc3108990, NULL), NO_FAULT);
	check_fault(try((guest_fn)(ulong)code, code + 1, 0xc3c3c3c3, NULL), NO_FAULT); /* it overwrites itself */
	check_fault(try((guest_fn)(ulong)code, ALIAS + 5 * PTE_SIZE, 0, NULL), NO_FAULT);
	invlpg(HERE);
	reads(HERE, first);
}

/* Tables inside the large page that they map: level 1 and level 2. */
CASE(large_page_over_its_tables)
{
	u64 large, big = HERE - 0x5000 + 3 * LARGE_SIZE, pt, pd;

	set_up();
	if (!cpu.pse)
		skip("no large pages");
	large = new_large();
	pt = large + 0x3000;
	pd = large + 0x6000;
	memset(mem8(pt), 0, PAGE_SIZE);
	if (PT_LEVELS >= 4) { /* the level-2 table moves there as well */
		memcpy(mem8(pd), mem8(table_at(HERE, 2)), PAGE_SIZE);
		set_entry(entry(HERE, 3), pd | ALL);
		flush();
	} else {
		pd = table_at(HERE, 2);
	}
	map_large(big, large, ALL);
	check_fault(poke32(big + 0x3000, 0), NO_FAULT);
	set_entry(entry(HERE, 2), pt | ALL);
	flush();
	for (int i = 0; i < 4; i++) {
		u64 frame = i & 1 ? first : second;

		check_fault(poke_low_first(big + 0x3000 + 5 * PTE_SIZE, frame | ALL), NO_FAULT);
		invlpg(HERE);
		reads(HERE, frame);
		check_fault(user_poke32(big + 0x1000, i), NO_FAULT); /* a neighbour is plain memory */
		check_eq(*mem32(large + 0x1000), i);
		if (pd != large + 0x6000)
			continue;
		check_fault(poke_low_first(big + 0x6000 + level_index(HERE, 2) * 8, 0), NO_FAULT);
		invlpg(HERE);
		check_fault(peek32(HERE, NULL), PF(0, HERE));
		check_fault(poke_low_first(big + 0x6000 + level_index(HERE, 2) * 8, pt | ALL), NO_FAULT);
		reads(HERE, frame);
		check_fault(poke_low_first(big + 0x6000 + level_index(big, 2) * 8, large | ALL | PTE_PS), NO_FAULT); /* its own entry */
		invlpg(big);
		shows(big + 0x6000 + level_index(big, 2) * 8, large | ALL | PTE_PS);
	}
}
