/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two halves of the address space and the gap between them: 47 or 56 bits
 * each.  SDM vol. 1, 3.3.7.1 "Canonical Addressing"; vol. 3, 4.5 "4-Level Paging
 * and 5-Level Paging"; vol. 2, INVLPG.
 */
#include "test.h"

#define ALL (PTE_P | PTE_W | PTE_U)
#define LOW_END BIT(PT_LEVELS * 9 + 11) /* first address of the gap */
#define HIGH_START (~0ull << (PT_LEVELS * 9 + 11))
#define GP FAULT_ERR(VEC_GP, 0)

static u64 marked(u32 mark)
{
	u64 f = new_frame();

	*mem32(f) = mark;
	return f;
}

static void reads(u64 va, u32 want)
{
	u32 v = 0;

	if (check_fault(peek32(va, &v), NO_FAULT))
		check_eq(v, want);
}

/* Pages at both ends of both halves, each behind a root slot of its own. */
static const u64 ends[] = { LIB_ONE_SLOT, LOW_END - PAGE_SIZE, HIGH_START, 0ull - LIB_ONE_SLOT, 0ull - PAGE_SIZE };

CASE(ends_of_the_halves)
{
	pte_t *e[ARRAY_SIZE(ends)];
	u64 f[ARRAY_SIZE(ends)];

	for (u32 i = 0; i < ARRAY_SIZE(ends); i++) {
		f[i] = marked(0x10 + i);
		e[i] = map_page(ends[i], f[i], ALL);
	}
	for (u32 i = 0; i < ARRAY_SIZE(ends); i++) {
		u64 va = ends[i];

		reads(va, 0x10 + i);
		check_eq(*e[i], f[i] | ALL | PTE_A);
		check_fault(user_poke32(va + 4, 0x20 + i), NO_FAULT);
		check_eq(*mem32(f[i] + 4), 0x20 + i);
		for (int l = 2; l <= PT_LEVELS; l++)
			check(*entry(va, l) & PTE_A);
		set_entry(e[i], f[i] | PTE_P);
		invlpg(va);
		check_fault(poke32(va, 1), PF(PF_P | PF_W, va));
		check_fault(user_peek32(va, NULL), PF(PF_P | PF_U, va));
		set_entry(e[i], 0);
		invlpg(va);
		check_fault(peek32(va, NULL), PF(0, va));
	}
}

/* An entry of the root alone decides over its slot, in the upper half too. */
CASE(root_entries)
{
	for (u32 i = 0; i < ARRAY_SIZE(ends); i++) {
		u64 f = marked(0x30 + i), va = ends[i], old;
		pte_t *root;

		map_page(va, f, ALL);
		root = entry(va, PT_LEVELS);
		reads(va, 0x30 + i);
		old = *root;
		check_eq(old & PTE_A, PTE_A);
		set_entry(root, old & ~PTE_W);
		flush();
		check_fault(poke32(va, 1), PF(PF_P | PF_W, va));
		set_entry(root, old & ~PTE_U);
		flush();
		check_fault(user_peek32(va, NULL), PF(PF_P | PF_U, va));
		check_fault(poke32(va, 0x30 + i), NO_FAULT);
		set_entry(root, 0);
		flush();
		check_fault(peek32(va, NULL), PF(0, va));
		set_entry(root, old & ~PTE_A); /* now present: no flush is owed */
		reads(va, 0x30 + i);
		check_eq(*root, old);
		if (cpu.nx) {
			set_entry(root, old | PTE_NX);
			flush();
			check_fault(fetch(va), PF(PF_P | PF_I, va));
		}
		set_entry(root, old);
		flush();
		reads(va, 0x30 + i);
	}
}

/* Never a page fault there; CR2 stays, since #GP does not load it. */
CASE(gap)
{
	static const u64 gap[] = { LOW_END, LOW_END + 0x1000, BIT(60), BIT(63), HIGH_START - 8, ~BIT(62) };

	write_cr2(0x1234);
	for (u32 i = 0; i < ARRAY_SIZE(gap); i++) {
		check_fault(peek32(gap[i], NULL), GP);
		check_fault(poke32(gap[i], 1), GP);
		check_fault(user_peek32(gap[i], NULL), GP);
		check_fault(user_poke32(gap[i], 1), GP);
	}
	check_eq(read_cr2(), 0x1234);
}

/* Where 48 bits end there is nothing special with 57, and a table's entries far apart alias nothing. */
CASE(bit_47)
{
	u64 low = 1ull << 46, high = 1ull << 47, f = marked(1), g = marked(2);

	if (PT_LEVELS < 5)
		skip("the gap begins there");
	map_page(low, f, ALL);
	map_page(high, g, ALL);
	map_page(high - PAGE_SIZE, f, ALL);
	reads(low, 1);
	reads(high, 2);
	check_fault(poke64(high - 4, 0x55ull << 32 | 0x44), NO_FAULT); /* across */
	check_eq(*mem32(g), 0x55);
	check_eq(*mem32(f + PAGE_SIZE - 4), 0x44);
	check_fault(peek32(high | 1ull << 48, NULL), PF(0, high | 1ull << 48));
	check_fault(peek32(0xffff800000000000ull, NULL), PF(0, 0xffff800000000000ull));
	map_page(0xffff800000000000ull, marked(3), ALL);
	reads(0xffff800000000000ull, 3);
	reads(high, 0x55);
}

/* INVLPG of an address in the gap is no error, and harms nobody. */
CASE(invlpg_in_the_gap)
{
	u64 va = ends[1], f = marked(1), g = marked(2);
	pte_t *e = map_page(va, f, ALL);

	reads(va, 1);
	invlpg(LOW_END);
	invlpg(va | BIT(63));
	invlpg(HIGH_START - PAGE_SIZE);
	reads(va, 1);
	set_entry(e, g | ALL);
	invlpg(va);
	reads(va, 2);
}

/* A store that begins below the gap and ends in it does nothing at all. */
CASE(across_the_gap)
{
	u64 f = marked(0);

	map_page(LOW_END - PAGE_SIZE, f, ALL);
	*mem32(f + PAGE_SIZE - 4) = 0x77;
	check_fault(poke64(LOW_END - 4, 0), GP);
	check_eq(*mem32(f + PAGE_SIZE - 4), 0x77);
	check_fault(poke32(LOW_END - 4, 0x78), NO_FAULT);
	check_eq(*mem32(f + PAGE_SIZE - 4), 0x78);
}

/* Which of the two it is cannot change in long mode, and CPUID tells the width. */
CASE(width)
{
	u32 r[4];

	cpuid(0x80000008, 0, r);
	check_eq(r[0] >> 8 & 0xff, cpu.la57 ? 57 : 48);
	check_eq(read_cr4() & CR4_LA57, PT_LEVELS == 5 ? CR4_LA57 : 0);
	check_fault(write_cr4(default_cr4 ^ CR4_LA57), GP);
	check_eq(read_cr4(), default_cr4);
	map_page(ends[1], marked(5), ALL);
	reads(ends[1], 5);
}

/* MSRs that hold an address take what the processor can have at its widest. */
CASE(addresses_in_msrs)
{
	static const u32 msrs[] = { 0xc0000102 /* KERNEL_GS_BASE */, 0xc0000101 /* GS_BASE */, 0xc0000082 /* LSTAR */ };
	u64 wide = 1ull << 50, old, v;

	for (u32 i = 0; i < ARRAY_SIZE(msrs); i++) {
		check_fault(rdmsr(msrs[i], &old), NO_FAULT);
		check_fault(wrmsr(msrs[i], BIT(62)), GP);
		check_fault(wrmsr(msrs[i], wide), cpu.la57 ? NO_FAULT : GP);
		check_fault(rdmsr(msrs[i], &v), NO_FAULT);
		check_eq(v, cpu.la57 ? wide : old);
		check_fault(wrmsr(msrs[i], old), NO_FAULT);
	}
}
