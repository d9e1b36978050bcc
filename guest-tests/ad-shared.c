/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accessed and dirty bits where more than one mapping, page or moment counts: accesses of two pages, bits that
 * software cleared, aliases, tables with several users, implicit writes.  One page alone: ad-bits.c.
 */
#include "test.h"

#define AD (PTE_A | PTE_D)
#define FETCH_AT 0x40

static u64 new_page(void)
{
	u64 f = new_frame();

	mem8(f)[FETCH_AT] = 0xc3;
	return f;
}

/* want: the leaf's bits; every level above has `above` and never D.  PDPTEs have a case of their own. */
static void check_path(u64 va, int leaf, u64 want, u64 above, const char *what)
{
	for (int l = leaf; l <= PT_LEVELS; l++) {
		u64 got = *entry(va, l) & AD, w = l == leaf ? want : above;

		if (got != w && !is_pdpte(l))
			fail("%s: level %d has A/D %llx, want %llx", what, l, got, w);
	}
}

/* ---- accesses of two pages ------------------------------------------------ */

CASE(access_across_pages)
{
	u64 va = WINDOW + 0x20000, low = new_frame(), high = new_frame();
	u32 v = 0;

	map_page(va, low, RWU);
	map_page(va + PAGE_SIZE, high, RWU);
	check_fault(peek32(va + 0xffe, &v), NO_FAULT);
	check_path(va, 1, PTE_A, PTE_A, "low, read");
	check_path(va + PAGE_SIZE, 1, PTE_A, PTE_A, "high, read");
	check_fault(user_poke32(va + 0xffd, 0x44332211), NO_FAULT);
	check_path(va, 1, AD, PTE_A, "low, write");
	check_path(va + PAGE_SIZE, 1, AD, PTE_A, "high, write");
	check_eq(mem8(low)[0xffd] | mem8(low)[0xfff] << 8 | mem8(high)[0] << 16, 0x443311);
}

/* The second page faults: it stays as it was, and so does memory. */
CASE(access_across_pages_that_faults)
{
	u64 va = WINDOW + 0x20000, low = new_frame(), high = new_frame();
	pte_t *second;

	map_page(va, low, RWU);
	second = map_page(va + PAGE_SIZE, high, PTE_P | PTE_U);
	check_fault(poke32(va + 0xffe, 0x44332211), PF(PF_P | PF_W, va + PAGE_SIZE));
	check_eq(*second, high | PTE_P | PTE_U);
	check_eq(mem8(low)[0xffe] | mem8(low)[0xfff] | mem8(high)[0], 0);
	set_entry(second, high | RWU);
	check_fault(poke32(va + 0xffe, 0x44332211), NO_FAULT);
	check_eq(*second & AD, AD);
	check_eq(*entry(va, 1) & AD, AD);
	/* the first page faults: the second is not looked at */
	set_entry(second, high | RWU);
	set_entry(entry(va, 1), low | PTE_P);
	flush();
	check_fault(poke32(va + 0xffd, 1), PF(PF_P | PF_W, va + 0xffd));
	check_eq(*second & PTE_D, 0);
}

CASE(fetch_across_pages)
{
	u64 va = WINDOW + 0x20000, low = new_frame(), high = new_frame();
	static const u8 code[] = { 0xb8, 1, 2, 3, 4, 0xc3 }; /* mov $imm32,%eax; ret */

	memcpy(mem8(low + 0xffd), code, 3);
	memcpy(mem8(high), code + 3, 3);
	map_page(va, low, RWU);
	check_fault(user_fetch(va + 0xffd), PF(PF_U | (PTE_SIZE == 8 && cpu.nx ? PF_I : 0), va + PAGE_SIZE));
	map_page(va + PAGE_SIZE, high, RWU);
	check_fault(user_fetch(va + 0xffd), NO_FAULT);
	check_path(va, 1, PTE_A, PTE_A, "low");
	check_path(va + PAGE_SIZE, 1, PTE_A, PTE_A, "high");
}

/* ---- software clears bits -------------------------------------------------- */

CASE(bits_cleared_with_the_flush_owed)
{
	u64 va = WINDOW + 0xa000;
	pte_t *e = map_page(va, new_page(), RWU);

	for (u32 i = 0; i < 4; i++) {
		check_fault(poke32(va, i), NO_FAULT);
		check_eq(*e & AD, AD);
		set_entry(e, *e & ~(i & 1 ? AD : PTE_D));
		if (i & 2)
			flush();
		else
			invlpg(va);
		check_fault(peek32(va, NULL), NO_FAULT);
		check_eq(*e & AD, PTE_A);
		check_fault(poke32(va + 4, i), NO_FAULT);
		check_eq(*e & AD, AD);
		set_entry(e, *e & ~PTE_A);
		invlpg(va);
		check_fault(peek32(va, NULL), NO_FAULT);
		check_eq(*e & AD, AD);
	}
}

/* Without the flush a bit may stay clear; what the entry maps and all else must not suffer. */
CASE(bits_cleared_without_flush)
{
	u64 va = WINDOW + 0xa000, f = new_page();
	pte_t *e = map_page(va, f, RWU);
	u32 v = 0;

	check_fault(poke32(va, 1), NO_FAULT);
	set_entry(e, f | RWU);
	check_fault(poke32(va, 2), NO_FAULT);
	check_fault(peek32(va, &v), NO_FAULT);
	check_eq(v, 2);
	check_eq(*e & ~AD, f | RWU);
	check(!(*e & PTE_D) || (*e & PTE_A)); /* both came back or neither */
	invlpg(va);
	check_fault(poke32(va, 3), NO_FAULT);
	check_eq(*e & AD, AD);
	for (int l = 2; l <= PT_LEVELS; l++)
		if (!is_pdpte(l))
			set_entry(entry(va, l), *entry(va, l) & ~PTE_A);
	check_fault(peek32(va, &v), NO_FAULT);
	check_eq(v, 3);
	invlpg(va); /* of upper levels too */
	check_fault(peek32(va, &v), NO_FAULT);
	check_path(va, 1, AD, PTE_A, "after INVLPG");
}

/* The clock algorithm over many pages; the bits tell exactly who was used. */
CASE(clock_algorithm)
{
	u64 va = WINDOW + 0x40000, f = new_page();
	bool read[64], written[64];

	for (u32 i = 0; i < 64; i++)
		map_page(va + i * PAGE_SIZE, f, RWU);
	for (u32 round = 0; round < 6; round++) {
		for (u32 i = 0; i < 64; i++) {
			u32 r = random32() & 7;

			written[i] = r == 1;
			read[i] = r <= 2;
			set_entry(entry(va + i * PAGE_SIZE, 1), f | RWU);
		}
		flush();
		for (u32 i = 0; i < 64; i++)
			if (read[i])
				check_fault(written[i] ? poke32(va + i * PAGE_SIZE, i) : peek32(va + i * PAGE_SIZE, NULL), NO_FAULT);
		for (u32 i = 0; i < 64; i++) {
			u64 got = *entry(va + i * PAGE_SIZE, 1) & AD, want = written[i] ? AD : read[i] ? PTE_A : 0;

			if (got != want && (options.strict || read[i] || got != PTE_A))
				fail("page %u has %llx, want %llx", i, got, want);
		}
	}
}

/* ---- aliases and shared tables ---------------------------------------------- */

CASE(aliases_have_their_own_bits)
{
	u64 f = new_page(), va = WINDOW + 0xb000, far = WINDOW + level_size(2) + 0x2000;
	pte_t *a = map_page(va, f, RWU), *b = map_page(va + PAGE_SIZE, f, RWU), *c = map_page(far, f, RWU);
	u32 v = 0;

	check_fault(poke32(va, 0xaa), NO_FAULT);
	check_fault(peek32(va + PAGE_SIZE, &v), NO_FAULT);
	check_eq(v, 0xaa);
	check_fault(peek32(far, &v), NO_FAULT);
	check_eq(*a & AD, AD);
	check_eq(*b & AD, PTE_A);
	check_eq(*c & AD, PTE_A);
	check_fault(user_poke32(far, 0xcc), NO_FAULT);
	check_eq(*b & AD, PTE_A);
	check_eq(*c & AD, AD);
	check_fault(poke32(va + PAGE_SIZE, 0xbb), NO_FAULT);
	check_eq(*b & AD, AD);
	check_eq(*mem32(f), 0xbb);
}

/* One last-level table under two entries: its own bits are shared, theirs are not. */
CASE(shared_table)
{
	u64 f = new_page(), va = WINDOW + 0x4000, second = va + level_size(2);
	pte_t *e = map_page(va, f, RWU), *up, *other;

	make_entry(second, 2);
	link_table(current_root(), second, 2, pte_gpa(*entry(va, 2)));
	up = entry(va, 2);
	other = entry(second, 2);
	check_fault(poke32(va, 1), NO_FAULT);
	check_eq(*e & AD, AD);
	check_eq(*up & AD, PTE_A);
	if (options.strict)
		check_eq(*other & AD, 0);
	set_entry(e, f | RWU);
	invlpg(va);
	invlpg(second);
	check_fault(peek32(second, NULL), NO_FAULT);
	check_eq(*e & AD, PTE_A);
	check_eq(*other & AD, PTE_A);
	check_fault(poke32(va, 2), NO_FAULT);
	check_eq(*e & AD, AD);
	set_entry(e, f | RWU);
	set_entry(up, *up & ~AD);
	flush();
	check_fault(poke32(second, 3), NO_FAULT);
	check_eq(*e & AD, AD);
	if (options.strict)
		check_eq(*up & AD, 0);
	check_fault(peek32(va, NULL), NO_FAULT);
	check_eq(*up & AD, PTE_A);
}

/* Two address spaces with common tables: the bits are in memory, not in a space. */
CASE(shared_between_spaces)
{
	u64 f = new_page(), va = WINDOW + 0x4000, first = current_root(), second;
	pte_t *e = map_page(va, f, RWU);

	second = new_space();
	link_table(second, va, PT_LEVELS, pte_gpa(*entry(va, PT_LEVELS)));
	check_fault(peek32(va, NULL), NO_FAULT);
	use_space(second);
	check_fault(peek32(va, NULL), NO_FAULT);
	check_eq(*e & AD, PTE_A);
	check_path(va, 1, PTE_A, PTE_A, "second space");
	check_fault(poke32(va, 1), NO_FAULT);
	check_eq(*e & AD, AD);
	set_entry(e, f | RWU);
	use_space(first);
	check_fault(peek32(va, NULL), NO_FAULT);
	check_eq(*e & AD, PTE_A);
	check_fault(poke32(va, 1), NO_FAULT);
	check_eq(*e & AD, AD);
	use_space(second);
	check_eq(*e & AD, AD);
}

/* A processor's update of an entry is no write through the mapping of the table. */
CASE(bits_seen_through_a_mapping_of_the_table)
{
	u64 f = new_page(), va = WINDOW + 0x4000, view = WINDOW + level_size(2) + 0x3000;
	pte_t *e = map_page(va, f, RWU), *window = map_page(view, (ulong)e & ~0xffful, RWU);
	u64 at = view + ((ulong)e & 0xfff);
	u32 v = 0;

	check_fault(peek32(at, &v), NO_FAULT);
	check_eq(v, (u32)f | RWU);
	check_fault(poke32(va, 1), NO_FAULT);
	check_fault(peek32(at, &v), NO_FAULT);
	check_eq(v, (u32)f | RWU | AD);
	check_eq(*window & AD, PTE_A);
	for (u32 i = 0; i < 3; i++) {
		check_fault(i ? user_poke32(at, (u32)f | RWU) : poke32(at, (u32)f | RWU), NO_FAULT);
		check_eq(*e, f | RWU);
		check_eq(*window & AD, AD);
		invlpg(va);
		check_fault(peek32(va, NULL), NO_FAULT);
		check_eq(*e & AD, PTE_A);
		check_fault(poke32(va, 2), NO_FAULT);
		check_fault(peek32(at, &v), NO_FAULT);
		check_eq(v, (u32)f | RWU | AD);
		set_entry(window, *window & ~PTE_D);
		invlpg(view);
		check_fault(poke32(va, 3), NO_FAULT);
		check_eq(*window & PTE_D, 0);
	}
}

/* A descriptor that is not accessed yet: its load reads, then writes, both as supervisor. */
CASE(implicit_write)
{
	u64 f = new_frame(), va = WINDOW + 0x4000;
	pte_t *e = map_page(va, f, PTE_P | PTE_W);
	struct fault got;

	put_descriptor(f + 8, true);
	put_descriptor(f + 16, false);
	check_fault(implicit_load(va + 8), NO_FAULT);
	check_eq(*e & AD, PTE_A);
	check_fault(implicit_load(va + 16), NO_FAULT);
	check_eq(*e & AD, AD);
	check_eq(mem8(f)[16 + 5] & 1, 1);
	put_descriptor(f + 16, false);
	set_entry(e, f | PTE_P);
	flush();
	got = implicit_load(va + 16);
	check_eq(got.cr2 & ~7ull, va + 16); /* how many of its bytes are written is the processor's affair */
	got.cr2 = va;
	check_fault(got, PF(PF_P | PF_W, va));
	check_eq(*e & PTE_D, 0);
}

/* S09: a clean large mapping beside a dirty one of the same frames and rights, and D taken from a dirty one alone. */
CASE(large_mappings_have_their_own_dirty_bit)
{
	u64 f, va = WINDOW, other = WINDOW + LARGE_SIZE, at = 0x6008;
	pte_t *a, *b;

	if (!cpu.pse)
		skip("no large pages");
	f = new_large();
	a = map_large(va, f, RWU);
	b = map_large(other, f, RWU);
	check_fault(poke32(va + at, 1), NO_FAULT);
	check_fault(peek32(other + at, NULL), NO_FAULT);
	check_eq(*b & AD, PTE_A);
	check_fault(poke32(other + at, 2), NO_FAULT);
	check_eq(*b & AD, AD);
	for (u32 i = 0; i < 4; i++) {
		pte_t *e = i & 1 ? b : a;
		u64 from = i & 1 ? other : va;

		set_entry(e, *e & ~PTE_D);
		if (i & 2)
			flush();
		else
			invlpg(from + 0x1000);
		check_fault(user_peek32(from + at, NULL), NO_FAULT);
		check_eq(*e & AD, PTE_A);
		check_fault(user_poke32(from + at, i), NO_FAULT);
		check_eq(*e & AD, AD);
		check_eq(*mem32(f + at), i);
	}
	check_eq(*a & AD, AD);
}
