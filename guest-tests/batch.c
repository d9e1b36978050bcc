/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries of page tables written many at a time by one hypercall.  Each is what
 * the same store by the guest would be, in the order of the list, and followed
 * in the same way: what was not present is seen at once, the rest after a flush.
 */
#include "host.h"

#define AD (PTE_A | PTE_D)
#define FLAGS (RWU | AD)

static struct hc_batch list[HC_BATCH_MAX + 1] __attribute__((aligned(4096)));
static u32 n;

static void put(u64 table, u64 index, u64 value)
{
	list[n++] = (struct hc_batch){ table, index, value };
}

static u32 done(void)
{
	u32 r = batch(list, n);

	n = 0;
	return r;
}

/* Without paging there are no entries. */
CASE(nothing_without_paging)
{
	u64 f = new_frame();

	need_umbra();
	n = 0;
	if (PT_LEVELS)
		skip("paging is on");
	put(f, 0, 1);
	check_eq(done(), 0);
	check_eq(*mem32(f), 0);
}

#if PT_LEVELS
static u64 table_of(const void *e) { return (ulong)e & ~(PAGE_SIZE - 1); }

static struct {
	u64 a, b, table;
	pte_t *e; /* of the window's first page, which maps a */
} t;

static void set_up(void)
{
	need_umbra();
	n = 0;
	t.a = tagged(1);
	t.b = tagged(2);
	t.e = map_page(WINDOW, t.a, FLAGS);
	t.table = table_of(t.e);
	check_eq(tag_at(WINDOW), 1);
}

#define VA(i) (WINDOW + (u64)(i) * PAGE_SIZE)

CASE(present_at_once)
{
	set_up();
	for (u32 i = 1; i < 40; i++) {
		check_fault(peek32(VA(i), NULL), PF(0, VA(i)));
		put(t.table, i, (i & 1 ? t.a : t.b) | FLAGS);
	}
	check_eq(done(), 39);
	for (u32 i = 1; i < 40; i++) {
		check_eq(t.e[i], (i & 1 ? t.a : t.b) | FLAGS);
		check_eq(tag_at(VA(i)), i & 1 ? 1 : 2);
	}
	check_eq(t.e[40], 0);
}

/* Rights taken and frames changed, with one flush for all. */
CASE(changed_after_a_flush)
{
	set_up();
	for (u32 round = 0; round < 5; round++) {
		for (u32 i = 0; i < 24; i++) {
			set_entry(t.e + i, t.a | FLAGS);
			invlpg(VA(i));
			check_fault(poke32(VA(i), RET), NO_FAULT);
		}
		for (u32 i = 0; i < 24; i++)
			put(t.table, i, i % 3 == 0 ? t.b | FLAGS : i % 3 == 1 ? 0 : t.a | PTE_P | AD);
		check_eq(done(), 24);
		flush();
		for (u32 i = 0; i < 24; i++) {
			if (i % 3 == 1) {
				check_fault(peek32(VA(i), NULL), PF(0, VA(i)));
				continue;
			}
			check_eq(tag_at(VA(i)), i % 3 ? 1 : 2);
			check_fault(poke32(VA(i), RET), i % 3 ? PF(PF_P | PF_W, VA(i)) : NO_FAULT);
		}
	}
}

/* The last of several to one entry stays; tables and what they hang from in one list. */
CASE(in_order)
{
	u64 low = new_table(), va = WINDOW + 3 * LARGE_SIZE;
	u64 upper;

	set_up();
	upper = table_of(entry(WINDOW, 2));
	for (u32 i = 0; i < 9; i++)
		put(t.table, 1, (i & 1 ? t.a : t.b) | FLAGS);
	put(upper, level_index(va, 2), low | TABLE_FLAGS); /* linked before it is filled */
	put(low, 5, t.b | FLAGS);
	put(low, 6, t.b | FLAGS);
	put(low, 6, 0);
	check_eq(done(), 13);
	check_eq(tag_at(VA(1)), 2);
	check_eq(tag_at(va + 5 * PAGE_SIZE), 2);
	check_fault(peek32(va + 6 * PAGE_SIZE, NULL), PF(0, va + 6 * PAGE_SIZE));
	check_eq(mem32(low)[0], 0);
}

/* An entry is 4 bytes in a 2-level table, and 8 else: neighbours stay, the last one is the table's last. */
CASE(size_of_an_entry)
{
	u64 guard = new_frame();

	set_up();
	for (u32 i = 1; i < PT_ENTRIES; i++)
		t.e[i] = 0x1010 * i & ~1u;
	put(t.table, 7, (u64)0xdead0000 << 32 | 0x777f0a6);
	put(t.table, PT_ENTRIES - 1, t.b | FLAGS);
	check_eq(done(), 2);
	for (u32 i = 1; i < PT_ENTRIES - 1; i++)
		check_eq(t.e[i], i == 7 ? (pte_t)((u64)0xdead0000 << 32 | 0x777f0a6) : 0x1010 * i & ~1u);
	check_eq(tag_at(VA(PT_ENTRIES - 1)), 2);
	check_eq(*mem32(guard), 0);
}

CASE(what_is_refused)
{
	set_up();
	const u64 bad[][2] = {
		{ t.table, PT_ENTRIES }, { t.table, ~0ull }, { t.table, 1ull << 61 }, { t.table + 8, 0 }, { t.table | 1, 0 },
		{ 0xa0000, 0 }, { 1ull << 34, 0 }, { 1ull << 62, 0 }, { ~0ull & ~0xfffull, 0 },
	};

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		put(t.table, 1, t.b | FLAGS);
		put(bad[i][0], bad[i][1], t.b | FLAGS);
		put(t.table, 2, t.b | FLAGS);
		if (!check_eq(done(), 1))
			note("  table %llx index %llx", bad[i][0], bad[i][1]);
		check_eq(tag_at(VA(1)), 2);
		check_fault(peek32(VA(2), NULL), PF(0, VA(2)));
		set_entry(t.e + 1, 0);
		invlpg(VA(1));
	}
	check_eq(done(), 0);
	check_eq(hypercall(HC_BATCH, 0xa0000, 1, 0, 0), 0); /* a list of ones */
	check_eq(hypercall(HC_BATCH, 0xfffff000, 9, 0, 0), 0);
	check_eq(pte_gpa(*t.e), t.a);
}

CASE(too_many)
{
	set_up();
	for (u32 i = 0; i < HC_BATCH_MAX; i++)
		put(t.table, i % PT_ENTRIES, t.b | FLAGS);
	check_eq(done(), HC_BATCH_MAX);
	check_eq(tag_at(VA(HC_BATCH_MAX - 1)), 2);
	for (u32 i = 0; i < HC_BATCH_MAX + 1; i++)
		put(t.table, i % PT_ENTRIES, 0);
	check_eq(done(), 0);
	flush();
	check_eq(tag_at(VA(3)), 2);
}

static USER_CODE ulong user_batch(ulong at, ulong vmcall)
{
	ulong nr = HC_BATCH;

	if (vmcall)
		asm volatile("vmcall" : "+a"(nr) : "b"(at), "c"(1) : "memory");
	else
		asm volatile("vmmcall" : "+a"(nr) : "b"(at), "c"(1) : "memory");
	return nr;
}

/* Who may not write to tables may not by this door. */
CASE(not_for_users)
{
	ulong r = 0;
	u32 leaf[4];

	set_up();
	put(t.table, 1, t.b | FLAGS);
	n = 0;
	cpuid(UMBRA_CPUID_BASE + 1, 0, leaf);
	check_fault(user_try(user_batch, (ulong)list, leaf[0] == 2, &r), NO_FAULT);
	check_eq((u32)r, HC_ENOSYS);
	check_eq(t.e[1], 0);
	check_fault(peek32(VA(1), NULL), PF(0, VA(1)));
}

/* The list is read while it is carried out: it lies in the table, over a page's end, or in what the entry maps. */
CASE(list_in_a_table)
{
	struct hc_batch *in;

	set_up();
	if (PTE_SIZE == 8) /* entries 128 on are not used otherwise */
		in = (struct hc_batch *)(t.e + 128);
	else
		in = (struct hc_batch *)(t.e + 256);
	for (u32 i = 0; i < 3; i++)
		in[i] = (struct hc_batch){ t.table, 1 + i, t.b | FLAGS };
	check_eq(batch(in, 3), 3);
	for (u32 i = 0; i < 3; i++)
		check_eq(tag_at(VA(1 + i)), 2);
	/* the first entry makes the second another one: low word of its value */
	in[0] = (struct hc_batch){ t.table, (pte_t *)&in[1].value - t.e, t.a | FLAGS };
	in[1] = (struct hc_batch){ t.table, 4, t.b | FLAGS };
	check_eq(batch(in, 2), 2);
	check_eq(tag_at(VA(4)), 1);
}

CASE(list_across_pages)
{
	u64 f = new_frame();
	struct hc_batch *in = (struct hc_batch *)mem8(f + PAGE_SIZE - 60);

	set_up();
	check(table_of(mem8(new_frame())) != f + PAGE_SIZE);
	for (u32 i = 0; i < 5; i++)
		in[i] = (struct hc_batch){ t.table, 1 + i, t.b | FLAGS };
	check_eq(batch(in, 5), 5);
	for (u32 i = 0; i < 5; i++)
		check_eq(tag_at(VA(1 + i)), 2);
}

/* It is found by its physical address: the entry that maps it may be the one that goes. */
CASE(entry_of_the_list)
{
	pte_t *e, was;

	set_up();
	e = entry((ulong)list, 1);
	was = *e;
	put(table_of(e), level_index((ulong)list, 1), 0);
	put(t.table, 1, t.b | FLAGS);
	put(table_of(e), level_index((ulong)list, 1), was);
	check_eq(done(), 3);
	flush();
	check_eq(tag_at(VA(1)), 2);
	check_eq(*e, was);
}

/* Nothing is walked: no A, no D, neither of the list's page nor of the tables' own. */
CASE(sets_no_bits)
{
	u64 f = new_frame();
	pte_t *e, *via;

	set_up();
	e = map_page(VA(9), f, RW);
	via = map_page(VA(10), t.table, RW);
	memcpy(mem8(f), &(struct hc_batch){ t.table, 1, t.b | RWU }, sizeof(struct hc_batch));
	check_eq(hypercall(HC_BATCH, f, 1, 0, 0), 1);
	check_eq(*e & AD, 0);
	check_eq(*via & AD, 0);
	check_eq(t.e[1], t.b | RWU);
	check_eq(tag_at(VA(1)), 2);
	check_eq(t.e[1], t.b | RWU | PTE_A);
}

/* A table that lags: the batch is one more write to it. */
CASE(unflushed_table)
{
	set_up();
	for (u32 i = 0; i < 24; i++) {
		set_entry(t.e + i, t.a | FLAGS);
		check_eq(tag_at(VA(i)), 1);
	}
	for (u32 i = 0; i < 24; i++)
		set_entry(t.e + i, t.b | FLAGS);
	for (u32 i = 0; i < 24; i += 3)
		put(t.table, i, 0);
	put(t.table, 30, t.a | FLAGS);
	check_eq(done(), 9);
	check_eq(tag_at(VA(30)), 1); /* no flush is owed */
	for (u32 i = 1; i < 24; i += 3)
		set_entry(t.e + i, t.a | FLAGS);
	flush();
	for (u32 i = 0; i < 24; i++)
		if (i % 3)
			check_eq(tag_at(VA(i)), i % 3 == 1 ? 1 : 2);
		else
			check_fault(peek32(VA(i), NULL), PF(0, VA(i)));
}

CASE(table_in_rom)
{
	set_up();
	check(set_rom(t.table, true));
	put(t.table, 0, t.b | FLAGS);
	put(t.table, 1, t.b | FLAGS);
	check_eq(done(), 2);
	flush();
	check_eq(tag_at(WINDOW), 1);
	check_fault(peek32(VA(1), NULL), PF(0, VA(1)));
	check(set_rom(t.table, false));
	put(t.table, 1, t.b | FLAGS);
	check_eq(done(), 1);
	check_eq(tag_at(VA(1)), 2);
}

/* Upper levels, and frames that are no table at all. */
CASE(any_level_any_frame)
{
	u64 f = new_frame();

	set_up();
	put(f, 3, (u64)0x55667788 << 32 | 0x11223344);
	check_eq(done(), 1);
	check_eq(*mem32(f + 3 * PTE_SIZE), 0x11223344);
	check_eq(*mem32(f + 3 * PTE_SIZE + 4), PTE_SIZE == 8 ? 0x55667788 : 0);
	for (int level = 2; level <= PT_LEVELS; level++) {
		pte_t *e = entry(WINDOW, level), was = *e;

		for (u32 i = 0; i < 2; i++) {
			put(table_of(e), level_index(WINDOW, level), i ? was : 0);
			check_eq(done(), 1);
			if (is_pdpte(level)) { /* a register until CR3 is loaded */
				invlpg(WINDOW);
				check_fault(peek32(WINDOW, NULL), i ? PF(0, WINDOW) : NO_FAULT);
				flush();
			}
			if (!i)
				flush();
			check_fault(peek32(WINDOW, NULL), i ? NO_FAULT : PF(0, WINDOW));
		}
	}
}
#endif
