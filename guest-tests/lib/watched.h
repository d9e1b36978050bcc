/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Part of a test that has a hypervisor perform writes to a live page table: the
 * table, an alias to write to it by, and whether it is followed still.
 */
#include "test.h"

#define HERE (WINDOW + 0x5000)
#define ALIAS (WINDOW + LARGE_SIZE)
#define ALL (PTE_P | PTE_W | PTE_U)

static u64 first, second;
static u64 table; /* the last-level table of HERE */
static u64 base; /* what its entry 0 maps */

static void set_up(void)
{
	need_paging();
	first = tagged(1);
	second = tagged(2);
	map_page(HERE, first, ALL);
	table = (ulong)entry(HERE, 1) & ~(PAGE_SIZE - 1);
	base = HERE & ~(LARGE_SIZE - 1);
	check_eq(tag_at(HERE), 1);
	map_page(ALIAS, table, ALL);
}

/* The table is watched: entry i follows a plain store. */
static void still_watched(u32 i)
{
	set_entry((pte_t *)mem8(table) + i, second | ALL);
	invlpg(base + i * PAGE_SIZE);
	check_eq(tag_at(base + i * PAGE_SIZE), 2);
	set_entry((pte_t *)mem8(table) + i, 0);
	invlpg(base + i * PAGE_SIZE);
	check_fault(peek32(base + i * PAGE_SIZE, NULL), PF(0, base + i * PAGE_SIZE));
}
