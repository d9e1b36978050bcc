/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables edited many at a time and flushed later, as operating systems do.  A
 * shadow MMU may let such tables lag until the flush; each case is a way to
 * forget one of them.  Freshness is asked only where the architecture owes it.
 */
#include "test.h"

#define N 24 /* tables: more than a short list of lagging ones holds */
#define AT(table, page) (WINDOW + (u64)(table) * LARGE_SIZE + (u64)(page) * PAGE_SIZE)
#define FLAGS (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)

/* U11: more tables at once than anybody keeps a list of, one entry each, then one flush. */
CASE(many_tables_one_flush)
{
	u64 a = tagged(1), b = tagged(2);
	pte_t *e[N];

	for (int i = 0; i < N; i++) {
		e[i] = map_page(AT(i, i), a, FLAGS);
		check_eq(tag_at(AT(i, i)), 1);
	}
	for (int i = 0; i < N; i++)
		set_entry(e[i], b | FLAGS);
	flush();
	for (int i = 0; i < N; i++)
		check_eq(tag_at(AT(i, i)), 2);
}

/* A burst over one table: fork, exit.  Every entry counts, upper half and last one too (S13). */
CASE(whole_table_then_flush)
{
	u64 a = tagged(1), b = tagged(2);
	u32 exits;
	pte_t *e = map_page(AT(0, 0), a, FLAGS);

	for (u32 i = 0; i < PT_ENTRIES; i++) {
		set_entry(e + i, a | FLAGS);
		check_eq(tag_at(AT(0, i)), 1);
	}
	exits = hypercall(HC_STAT_EXITS, 0, 0, 0, 0);
	for (u32 i = 0; i < PT_ENTRIES; i++)
		set_entry(e + i, b | FLAGS);
	if (under_umbra())
		note("%u exits for %u writes", hypercall(HC_STAT_EXITS, 0, 0, 0, 0) - exits, PT_ENTRIES);
	flush();
	for (u32 i = 0; i < PT_ENTRIES; i++)
		check_eq(tag_at(AT(0, i)), 2);
}

/* INVLPG is exact where it must be, in each half of the table, and what it saw may be undone later. */
CASE(changed_flushed_and_changed_back)
{
	u64 a = tagged(1), b = tagged(2);
	const u32 pages[] = { 0, 1, PT_ENTRIES / 2 - 1, PT_ENTRIES / 2, PT_ENTRIES - 1 };
	pte_t *e = map_page(AT(0, 0), a, FLAGS);

	for (u32 k = 0; k < ARRAY_SIZE(pages); k++) {
		u32 i = pages[k];

		set_entry(e + i, a | FLAGS);
		check_eq(tag_at(AT(0, i)), 1);
		set_entry(e + (i ^ 2), 0); /* the table is written elsewhere as well */
		set_entry(e + i, b | FLAGS);
		invlpg(AT(0, i));
		check_eq(tag_at(AT(0, i)), 2);
		set_entry(e + i, a | FLAGS);
		flush();
		check_eq(tag_at(AT(0, i)), 1);
	}
}

/* Neighbours of what is touched may be taken along, but what they were then counts for no longer than until the flush. */
CASE(neighbours_changed_back)
{
	u64 a = tagged(1), b = tagged(2);
	pte_t *e = map_page(AT(0, 0), a, FLAGS);

	for (u32 i = 0; i < PT_ENTRIES - 20; i += PT_ENTRIES / 8 + 1)
		for (u32 was = 0; was < 2; was++) {
			for (u32 n = 0; n < 8; n++)
				set_entry(e + i + n, was && n ? a | FLAGS : 0);
			flush();
			set_entry(e + i + 16, (was ? a : b) | FLAGS); /* the table is written: it may lag from here on */
			set_entry(e + i, a | FLAGS);
			for (u32 n = 1; n < 8; n++)
				set_entry(e + i + n, b | FLAGS);
			check_eq(tag_at(AT(0, i)), 1); /* and perhaps the neighbours come with it */
			for (u32 n = 1; n < 8; n++)
				set_entry(e + i + n, was ? a | FLAGS : 0);
			if (i & 2)
				flush();
			for (u32 n = 1; n < 8; n++) {
				if (!(i & 2))
					invlpg(AT(0, i + n));
				if (was)
					check_eq(tag_at(AT(0, i + n)), 1);
				else
					check_fault(peek32(AT(0, i + n), NULL), PF(0, AT(0, i + n)));
			}
		}
}

/* One table below two directories entries with different rights: what one path has seen the other must see too. */
CASE(changed_back_under_two_rights)
{
	u64 a = tagged(1), b = tagged(2);
	pte_t *e = map_page(AT(0, 3), a, FLAGS), *d0 = entry(AT(0, 0), 2);
	pte_t *d1 = make_entry(AT(1, 0), 2);

	set_entry(d1, pte_gpa(*d0) | PTE_P | PTE_U); /* read-only */
	check_eq(tag_at(AT(0, 3)), 1);
	check_eq(tag_at(AT(1, 3)), 1);
	set_entry(e, b | FLAGS);
	flush();
	check_eq(tag_at(AT(0, 3)), 2);
	set_entry(e, a | FLAGS);
	invlpg(AT(0, 3));
	check_eq(tag_at(AT(0, 3)), 1); /* followed here ... */
	set_entry(e, b | FLAGS);
	flush();
	check_eq(tag_at(AT(1, 3)), 2); /* ... and must not be missed there */
	check_fault(poke32(AT(1, 3), 5), PF(PF_P | PF_W, AT(1, 3)));
	set_entry(e, (a | FLAGS) & ~PTE_U);
	flush();
	check_fault(user_peek32(AT(1, 3), NULL), PF(PF_P | PF_U, AT(1, 3)));
	check_fault(user_peek32(AT(0, 3), NULL), PF(PF_P | PF_U, AT(0, 3)));
}

/* A table edited while it hangs nowhere, or elsewhere, is fresh where it is linked from nothing: no flush is owed. */
CASE(edited_then_linked)
{
	u64 a = tagged(1), b = tagged(2);
	pte_t *e = map_page(AT(0, 0), a, FLAGS), *d0 = entry(AT(0, 0), 2), *d1 = make_entry(AT(1, 0), 2), d = *d0;

	check_eq(tag_at(AT(0, 0)), 1);
	set_entry(d0, 0);
	flush();
	set_entry(e, b | FLAGS);
	set_entry(d1, d);
	check_eq(tag_at(AT(1, 0)), 2);
	set_entry(e, a | FLAGS); /* seen at 1 by now: old or new there, but new where it is linked first */
	set_entry(d0, d);
	check_eq(tag_at(AT(0, 0)), 1);
	flush();
	check_eq(tag_at(AT(1, 0)), 1);
}

/* What is linked is fresh in each entry, not in the one alone that faults first; whoever edited it, by whatever mapping. */
static void edit_and_link(u32 mappings)
{
	u64 a = tagged(1), b = tagged(2), table;
	pte_t *e = map_page(AT(0, 0), a, FLAGS), *d0 = entry(AT(0, 0), 2);

	table = pte_gpa(*d0);
	for (u32 i = 0; i < 12; i++)
		set_entry(e + i, a | FLAGS);
	for (u32 i = 0; i < 12; i++)
		check_eq(tag_at(AT(0, i)), 1);
	for (u32 k = 0; k < mappings; k++) {
		map_page(AT(2, k), table, FLAGS);
		check_fault(poke_entry(AT(2, k) + (100 + k) * PTE_SIZE, 0), NO_FAULT);
	}
	for (u32 n = 0; n < 4; n++) {
		for (u32 i = 0; i < 12; i++) {
			u64 value = (n & 1 ? a : b) | FLAGS;

			if (mappings)
				check_fault(poke_entry(AT(2, i % mappings) + i * PTE_SIZE, value), NO_FAULT);
			else
				set_entry(e + i, value);
		}
		set_entry(make_entry(AT(4 + n, 0), 2), *d0);
		for (u32 i = 0; i < 12; i++)
			check_eq(tag_at(AT(4 + n, (i * 5 + n) % 12)), n & 1 ? 1 : 2);
	}
	flush();
	for (u32 i = 0; i < 12; i++)
		check_eq(tag_at(AT(0, i)), 1);
}

CASE(all_entries_of_what_is_linked) { edit_and_link(0); }
CASE(all_entries_by_one_mapping) { edit_and_link(1); }
CASE(all_entries_by_many_mappings) { edit_and_link(9); }

/* A lagging table with many mappings becomes a directory: what it says by now counts, and what it is told from then on. */
CASE(many_mappings_and_a_directory)
{
	u64 a = tagged(1), b = tagged(2), t1 = new_table(), t2 = new_table(), table, up = WINDOW + (PT_LEVELS == 3 ? 1ull << 30 : 1ull << 31);
	pte_t *e = map_page(AT(0, 0), t1, FLAGS);

	if (PT_LEVELS == 2)
		skip("no level above the directory");
	table = pte_gpa(*entry(AT(0, 0), 2));
	for (u32 i = 0; i < 4; i++) {
		set_entry((pte_t *)mem8(t1) + i, a | FLAGS);
		set_entry((pte_t *)mem8(t2) + i, b | FLAGS);
		set_entry(e + i, t1 | FLAGS);
		check_fault(peek32(AT(0, i), NULL), NO_FAULT);
	}
	for (u32 k = 0; k < 9; k++) {
		map_page(AT(2, k), table, FLAGS);
		check_fault(poke_entry(AT(2, k) + (100 + k) * PTE_SIZE, 0), NO_FAULT);
	}
	for (u32 i = 0; i < 4; i++)
		check_fault(poke_entry(AT(2, i) + i * PTE_SIZE, t2 | FLAGS), NO_FAULT);
	link_table(current_root(), up, 3, table);
	for (u32 n = 0; n < 3; n++)
		for (u32 i = 0; i < 4; i++) {
			check_eq(tag_at(up + i * LARGE_SIZE + i * PAGE_SIZE), n & 1 ? 1 : 2);
			check_fault(poke_entry(AT(2, 8 - i) + i * PTE_SIZE, (n & 1 ? t2 : t1) | FLAGS), NO_FAULT);
			invlpg(up + i * LARGE_SIZE);
			invlpg(up + i * LARGE_SIZE + i * PAGE_SIZE);
		}
}

/* Some tables are in order after a flush and others still lag: each keeps its own memory of what it was. */
CASE(some_lag_longer)
{
	u64 a = tagged(1), b = tagged(2), table[3];
	pte_t *e[3];

	for (u32 t = 0; t < 3; t++) {
		e[t] = map_page(AT(8 + t, 0), t ? b : a, FLAGS);
		table[t] = pte_gpa(*entry(AT(8 + t, 0), 2));
		for (u32 i = 0; i < 8; i++) {
			set_entry(e[t] + i, (t ? b : a) | FLAGS);
			check_eq(tag_at(AT(8 + t, i)), t ? 2 : 1);
		}
		for (u32 k = 0; t && k < 9; k++)
			map_page(AT(3 + t, k), table[t], FLAGS);
	}
	for (u32 n = 0; n < 3; n++) {
		flush();
		set_entry(e[0] + 20, 0);
		for (u32 t = 1; t < 3; t++)
			for (u32 k = 0; k < 9; k++)
				check_fault(poke_entry(AT(3 + t, k) + (20 + k) * PTE_SIZE, 0), NO_FAULT);
		flush();
		for (u32 t = 1; t < 3; t++)
			for (u32 i = 0; i < 8; i++)
				check_fault(poke_entry(AT(3 + t, i) + i * PTE_SIZE, (n & 1 ? b : a) | FLAGS), NO_FAULT);
		flush();
		for (u32 t = 1; t < 3; t++)
			for (u32 i = 0; i < 8; i++)
				check_eq(tag_at(AT(8 + t, i)), n & 1 ? 2 : 1);
	}
}

/* The same one level up: what is linked anew has the edited table below it. */
CASE(edited_then_linked_higher)
{
	u64 a = tagged(1), b = tagged(2);
	pte_t *e = map_page(AT(0, 0), a, FLAGS), *up, u;

	if (PT_LEVELS < 4)
		skip("level 3 is a register, or is not there");
	up = entry(AT(0, 0), 3);
	u = *up;
	for (u32 i = 1; i < 8; i++)
		set_entry(e + i, a | FLAGS);
	check_eq(tag_at(AT(0, 0)), 1);
	set_entry(e + 9, 0); /* the table lags by now */
	set_entry(up, 0);
	invlpg(AT(0, 0)); /* finds no way down */
	for (u32 i = 0; i < 8; i++)
		set_entry(e + i, b | FLAGS);
	for (u32 i = 0; i < 8; i++)
		invlpg(AT(0, i));
	set_entry(up, u);
	for (u32 i = 0; i < 8; i++)
		check_eq(tag_at(AT(0, i)), 2);
}

/* U03: back to an address space that is known already. */
CASE(known_space_again)
{
	u64 home = current_root(), other = new_space(), a = tagged(1), b = tagged(2);
	pte_t *e = map_page(AT(0, 0), a, FLAGS), *f;

	f = map_at(other, AT(0, 0), b, FLAGS, 1);
	for (u32 round = 0; round < 6; round++) {
		check_eq(tag_at(AT(0, 0)), round & 1 ? 2 : 1);
		use_space(other);
		check_eq(tag_at(AT(0, 0)), round & 1 ? 1 : 2);
		set_entry(e, (round & 1 ? a : b) | FLAGS); /* the space that is not in use */
		set_entry(f, (round & 1 ? b : a) | FLAGS);
		use_space(home);
	}
}

/* U02: two tables map each other's frames; both lag, and writes go through either. */
CASE(tables_that_map_each_other)
{
	u64 a = tagged(1), b = tagged(2);
	pte_t *e0 = map_page(AT(0, 0), a, FLAGS), *e1 = map_page(AT(1, 0), a, FLAGS);
	u64 t0 = pte_gpa(*entry(AT(0, 0), 2)), t1 = pte_gpa(*entry(AT(1, 0), 2));
	pte_t *through0, *through1;

	map_page(AT(0, 1), t1, FLAGS);
	map_page(AT(1, 1), t0, FLAGS);
	through0 = (pte_t *)(ulong)AT(0, 1); /* writes table 1 */
	through1 = (pte_t *)(ulong)AT(1, 1);
	check_eq(tag_at(AT(0, 0)), 1);
	check_eq(tag_at(AT(1, 0)), 1);
	for (u32 round = 0; round < 4; round++) {
		u64 f = round & 1 ? a : b;

		set_entry(through0, f | FLAGS);
		set_entry(through1, f | FLAGS);
		flush();
		check_eq(tag_at(AT(0, 0)), round & 1 ? 1 : 2);
		check_eq(tag_at(AT(1, 0)), round & 1 ? 1 : 2);
		set_entry(round & 2 ? e0 : through1, 0);
		set_entry(round & 2 ? e1 : through0, 0);
		flush();
		check_fault(peek32(AT(0, 0), NULL), PF(0, AT(0, 0)));
		check_fault(peek32(AT(1, 0), NULL), PF(0, AT(1, 0)));
	}
}

/* U08, U12, U16: a page table that lags becomes a directory as well; from then on no write may be missed. */
CASE(lagging_table_becomes_a_directory)
{
	u64 a = tagged(1), b = tagged(2), low = new_table();
	pte_t *e = map_page(AT(0, 0), a, FLAGS), *up;
	u64 table = pte_gpa(*entry(AT(0, 0), 2)), va;

	check_eq(tag_at(AT(0, 0)), 1);
	((pte_t *)(ulong)low)[0] = a | FLAGS;
	set_entry(e + 4, low | TABLE_FLAGS | PTE_A); /* as a leaf: maps the table `low` */
	set_entry(e + 5, b | FLAGS);
#if PT_LEVELS == 2
	skip("a directory is the root here: see self-map");
#endif
	va = WINDOW + HUGE_SIZE; /* the next slot of level 3 */
	make_entry(va, 2);
	up = entry(va, 3);
	set_entry(up, table | (PT_LEVELS == 3 ? PTE_P : TABLE_FLAGS));
	flush();
	va += 4 * LARGE_SIZE; /* `low` through the directory that is AT(0)'s page table */
	check_eq(tag_at(va), 1);
	set_entry(e + 4, 0); /* the upper role's entry, flushed by the lower role's address and by its own */
	invlpg(AT(0, 4));
	invlpg(va);
	check_fault(peek32(va, NULL), PF(0, va));
	set_entry(e + 4, low | TABLE_FLAGS | PTE_A);
	check_eq(tag_at(va), 1); /* not present -> present: no flush */
	((pte_t *)(ulong)low)[0] = b | FLAGS;
	invlpg(va);
	check_eq(tag_at(va), 2);
}

/* Rights taken from many entries, as fork does: nobody writes afterwards, and D tells who did before. */
CASE(fork_like)
{
	u64 a = tagged(7);
	pte_t *e = map_page(AT(0, 0), a, FLAGS & ~PTE_D);

	for (u32 i = 0; i < 64; i++)
		set_entry(e + i, a | (FLAGS & ~PTE_D));
	flush();
	for (u32 i = 0; i < 64; i += 3)
		check_fault(poke32(AT(0, i) + 8, i), NO_FAULT);
	for (u32 i = 0; i < 64; i++)
		check_eq((e[i] & PTE_D) != 0, i % 3 == 0);
	for (u32 i = 0; i < 64; i++)
		set_entry(e + i, e[i] & ~PTE_W);
	flush();
	for (u32 i = 0; i < 64; i++)
		check_fault(user_poke32(AT(0, i), 1), PF(PF_P | PF_W | PF_U, AT(0, i)));
	for (u32 i = 0; i < 64; i++) {
		set_entry(e + i, e[i] | PTE_W); /* raised: no flush */
		check_fault(user_poke32(AT(0, i) + 12, i), NO_FAULT);
	}
	check_eq(*mem32(a + 12), 63);
}
