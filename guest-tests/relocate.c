/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that move under a running guest: the hypervisor may give any gfn
 * another host frame at any time, code, stack and live tables included, and the
 * guest must not notice.  Under umbra alone: nobody else has the hypercall.
 */
#include "test.h"

#define TOP (32 * MIB)

static bool relocate(u64 gpa) { return hypercall(HC_RELOCATE, gpa / 4096, 0, 0, 0) == 1; }

static void need_umbra(void)
{
	if (!under_umbra())
		skip("needs umbra's hypercall");
}

static u32 checksum(u64 from, u64 to)
{
	u32 sum = 0;

	for (u64 a = from; a < to; a += 4)
		sum = (sum << 1 | sum >> 31) ^ *mem32(a);
	return sum;
}

/* Memory that appears when it is touched first is zero, also where a host frame had another use before. */
CASE(fresh_memory_after_many_moves)
{
	u64 a = new_frame(), fresh = 0;
	u32 sum = 0;

	need_umbra();
	for (u64 gpa = 8 * MIB; gpa < TOP && !fresh; gpa += 4096)
		if (!(hypercall(HC_FRAME_INFO, gpa / 4096, 0, 0, 0) & HC_FRAME_PRESENT))
			fresh = gpa;
	if (!fresh)
		skip("all memory is there from the start");
	for (u32 i = 0; i < 1024; i++)
		mem32(a)[i] = ~0u;
	for (u32 i = 0; i < 10000; i++) /* round all the frames of nobody */
		if (!relocate(a))
			fail("move %u", i);
	for (u32 i = 0; i < 1024; i++)
		sum |= mem32(fresh)[i];
	check_eq(sum, 0);
}

/* Everything below 32 MiB twice: this code, its stack, IDT, GDT and page tables are among it. */
CASE(all_of_memory)
{
	u64 a = new_frame();
	u32 before;

	need_umbra();
	for (u32 i = 0; i < 1024; i++)
		mem32(a)[i] = random32();
	before = checksum(a, a + 4096);
	for (u32 round = 0; round < 2; round++) {
		u32 moved = 0;

		for (u64 gpa = 0; gpa < TOP; gpa += 4096)
			moved += relocate(gpa);
		check_eq(moved, (TOP - 0x60000) / 4096); /* but for the hole below 1 MiB */
		check_eq(checksum(a, a + 4096), before);
	}
	check_eq(hypercall(HC_AUDIT, 0, 0, 0, 0), 0);
}

CASE(hole_does_not_move)
{
	need_umbra();
	check(!relocate(0xa0000));
	check(!relocate(1ull << 34));
}

#if PT_LEVELS
/* A moved frame is the same to every mapping of it, and its entries keep A and D as they were. */
CASE(data_and_its_entries)
{
	u64 f = new_frame();
	pte_t *ro = map_page(WINDOW, f, PTE_P), *rw = map_page(WINDOW + 4096, f, PTE_P | PTE_W);
	u32 v = 0;

	need_umbra();
	for (u32 i = 1; i < 20; i++) {
		check_fault(poke32(WINDOW + 4096, i), NO_FAULT);
		check(relocate(f));
		check_eq(*ro & (PTE_A | PTE_D), i > 1 ? PTE_A : 0);
		check_eq(*rw & (PTE_A | PTE_D), PTE_A | PTE_D);
		check_fault(peek32(WINDOW, &v), NO_FAULT);
		check_eq(v, i);
		check_fault(poke32(WINDOW, 0), PF(PF_P | PF_W, WINDOW));
		check_eq(*mem32(f), i);
	}
}

/* Clean stays clean: moving is no write of the guest's. */
CASE(moving_sets_no_bits)
{
	u64 f = new_frame();
	pte_t *e = map_page(WINDOW, f, PTE_P | PTE_W);

	need_umbra();
	check(relocate(f));
	check_eq(*e & (PTE_A | PTE_D), 0);
	check_fault(peek32(WINDOW, NULL), NO_FAULT);
	check(relocate(f));
	check_eq(*e & (PTE_A | PTE_D), PTE_A);
	check_fault(poke32(WINDOW, 1), NO_FAULT);
	check_eq(*e & (PTE_A | PTE_D), PTE_A | PTE_D);
}

/* Tables of every level move while they are written and used; edits are seen as ever. */
CASE(live_tables)
{
	u64 a = new_frame(), b = new_frame();
	pte_t *e = map_page(WINDOW, a, PTE_P | PTE_W);
	u32 v = 0;

	need_umbra();
	*mem32(a) = 0xa;
	*mem32(b) = 0xb;
	for (u32 i = 0; i < 40; i++) {
		for (int level = 1; level < PT_LEVELS; level++)
			check(relocate((ulong)entry(WINDOW, level)));
		check(relocate(current_root()));
		set_entry(e, (i & 1 ? a : b) | PTE_P | PTE_W);
		if (i % 3)
			check(relocate((ulong)e));
		invlpg(WINDOW);
		check_fault(peek32(WINDOW, &v), NO_FAULT);
		check_eq(v, i & 1 ? 0xa : 0xb);
		set_entry(e, 0);
		invlpg(WINDOW);
		check(relocate((ulong)e));
		check_fault(peek32(WINDOW, NULL), PF(0, WINDOW));
		set_entry(e, a | PTE_P); /* not present -> present: no flush */
		check_fault(peek32(WINDOW, NULL), NO_FAULT);
	}
}

/* Pieces of a large page scatter as they like. */
CASE(pieces_of_a_large_page)
{
	u64 large = new_large();
	u32 v = 0;

	need_umbra();
	for (u64 i = 0; i < LARGE_SIZE; i += 4096)
		*mem32(large + i) = i;
	map_large(WINDOW, large, PTE_P | PTE_W);
	for (u64 i = 0; i < LARGE_SIZE; i += 5 * 4096) {
		check_fault(peek32(WINDOW + i, &v), NO_FAULT);
		check(relocate(large + i));
		check_fault(peek32(WINDOW + i, &v), NO_FAULT);
		check_eq(v, i);
		check_fault(poke32(WINDOW + i, i + 1), NO_FAULT);
		check(relocate(large + i));
		check_eq(*mem32(large + i), i + 1);
	}
}
#endif
