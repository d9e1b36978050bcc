/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of what was written, for page tables: A and D that the processor sets
 * there, stores that the hypervisor carries out, tables that lag behind, batches.
 */
#include "host.h"

#define AD (PTE_A | PTE_D)

/* Nothing has been written to f since the last look; now, or not, it has. */
#define expect_clean(f) (log_collect(), check(!was_written(f)))
#define expect_dirty(f) (log_collect(), check(was_written(f)))

static void start_log(void)
{
	need_umbra();
	log_dirty(true);
}

static u64 table_at(u64 va, int level) { return (ulong)entry(va, level) & ~(PAGE_SIZE - 1); }

/* A and D are written by the processor, here by the shadow: the table of that level has changed. */
CASE(accessed_and_dirty)
{
	u64 f = new_frame();

	start_log();
	map_page(WINDOW, f, RW);
	for (int cleared = 1; cleared <= PT_LEVELS; cleared++) {
		pte_t *e = entry(WINDOW, cleared);

		if (is_pdpte(cleared))
			continue;
		check_fault(poke32(WINDOW, 1), NO_FAULT); /* all are set */
		set_entry(e, *e & ~(u64)(PTE_A | (cleared == 1 ? PTE_D : 0)));
		flush();
		log_collect_all();
		check_fault(peek32(WINDOW, NULL), NO_FAULT);
		log_collect_all();
		for (int l = 1; l <= PT_LEVELS; l++)
			if (was_written(table_at(WINDOW, l)) != (l == cleared))
				fail("A of level %d: level %d is %s", cleared, l, l == cleared ? "clean" : "logged");
		check_fault(peek32(WINDOW, NULL), NO_FAULT);
		expect_clean(table_at(WINDOW, 1));
		check_fault(poke32(WINDOW, 2), NO_FAULT);
		log_collect_all();
		check_eq(was_written(table_at(WINDOW, 1)), cleared == 1);
		check(was_written(f));
	}
}

/* Stores into tables, which the hypervisor may carry out, and instructions by which it may let them pass. */
CASE(tables_are_written)
{
	u64 a = tagged(1), b = tagged(2), via = WINDOW + LARGE_SIZE;
	pte_t *e = map_page(WINDOW, a, RW | AD);
	u64 table = table_at(WINDOW, 1);

	start_log();
	map_page(via, table, RW | AD);
	for (u32 i = 0; i < 20; i++) { /* in sync, or not any more */
		check_eq(tag_at(WINDOW), i & 1 ? 2 : 1);
		expect_clean(table);
		set_entry(e, (i & 1 ? a : b) | RW | AD);
		expect_dirty(table);
		expect_clean(table);
		if (i & 2)
			invlpg(WINDOW);
		else
			flush();
	}
	for (u32 i = 0; i < nwriters; i++) {
		if (!writer_usable(writers + i) || writers[i].flags & WRITER_LOOSE)
			continue;
		check_eq(tag_at(WINDOW), 1);
		expect_clean(table);
		write_by(writers + i, via, 0x87654320);
		log_collect();
		if (!was_written(table))
			fail("%s to a table: not logged", writers[i].name);
	}
}

/* The burst of a fork: the table lags, is read and written while the log is read. */
CASE(lagging_tables)
{
	u64 a = tagged(1), b = tagged(2);
	pte_t *e = map_page(WINDOW, a, RW | AD);
	u64 table = table_at(WINDOW, 1);

	start_log();
	for (u32 round = 0; round < 4; round++) {
		for (u32 i = 0; i < 24; i++)
			set_entry(e + i, (round & 1 ? a : b) | RW | AD);
		expect_dirty(table);
		expect_clean(table);
		set_entry(e + 30, round);
		expect_dirty(table);
		flush();
		for (u32 i = 0; i < 24; i++)
			check_eq(tag_at(WINDOW + i * PAGE_SIZE), round & 1 ? 1 : 2);
		expect_clean(table);
	}
}

CASE(batches)
{
	u64 a = tagged(1), list = new_frame(), table;
	struct hc_batch *b = (struct hc_batch *)mem8(list);

	start_log();
	map_page(WINDOW, a, RW | AD);
	table = table_at(WINDOW, 1);
	check_eq(tag_at(WINDOW), 1);
	b->table = table;
	b->index = 3;
	b->value = a | RW | AD;
	for (u32 i = 0; i < 3; i++) {
		log_collect();
		check_eq(batch(b, 1), 1);
		log_collect();
		check(was_written(table) && !was_written(list) && !was_written(a));
		check_eq(tag_at(WINDOW + 3 * PAGE_SIZE), 1);
		expect_clean(table);
	}
}
