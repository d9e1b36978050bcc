/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages of 4 MiB, 2 MiB and 1 GiB: which entries are one, what they translate, and their rights when several
 * map the same frames.  Their change into tables and back: large-tables.c.
 */
#include "test.h"

/* ---- translation ----------------------------------------------------------- */

CASE(every_piece)
{
	u64 f;

	need_large();
	f = tagged_large(7);
	map_large(WINDOW, f, RWU);
	for (u32 i = 0; i < PIECES; i++)
		check_piece(WINDOW, i, 7 << 16 | i);
	for (u32 i = 0; i < PIECES; i += 5)
		check_fault(i & 1 ? user_poke32(WINDOW + i * PAGE_SIZE + 8, i) : poke32(WINDOW + i * PAGE_SIZE + 8, i), NO_FAULT);
	for (u32 i = 0; i < PIECES; i += 5)
		check_eq(*mem32(f + i * PAGE_SIZE + 8), i);
	check_fault(user_fetch(WINDOW + 3 * PAGE_SIZE), NO_FAULT);
	check_fault(fetch(WINDOW + 4 * PAGE_SIZE), NO_FAULT);
	check_fault(peek32(WINDOW + LARGE_SIZE, NULL), PF(0, WINDOW + LARGE_SIZE));
}

CASE(huge_page)
{
	u64 f = new_frame(), va = WINDOW + 3 * HUGE_SIZE;
	u32 v = 0;
	pte_t *e;

	if (PT_LEVELS < 4 || !cpu.page1g)
		skip("no 1 GiB pages");
	*mem32(f) = 0x600d;
	mem8(f)[0x20] = 0xc3;
	e = map_at(current_root(), va, 0, RWU | PTE_PS, 3);
	check_fault(user_peek32(va + f, &v), NO_FAULT);
	check_eq(v, 0x600d);
	check_fault(poke32(va + f + 4, 0xbeef), NO_FAULT);
	check_eq(mem32(f)[1], 0xbeef);
	check_fault(user_fetch(va + f + 0x20), NO_FAULT);
	check_eq(*e, RWU | PTE_PS | PTE_A | PTE_D);
	set_entry(e, PTE_P | PTE_PS | PTE_NX);
	invlpg(va); /* another address of it */
	check_fault(poke32(va + f, 1), PF(PF_P | PF_W, va + f));
	check_fault(user_peek32(va + f, NULL), PF(PF_P | PF_U, va + f));
	check_fault(fetch(va + f + 0x20), PF(PF_P | PF_I, va + f + 0x20));
	check_fault(peek32(va + f, &v), NO_FAULT);
	check_eq(v, 0x600d);
	check_eq(*e, PTE_P | PTE_PS | PTE_NX | PTE_A);
}

/* 0..4 MiB has RAM, the VGA's hole and ROM under one entry. */
CASE(large_page_over_holes)
{
	u32 v = 0;

	need_large();
	map_large(WINDOW, 0, PTE_P | PTE_W);
	*mem32(0x7000) = 0x7abc;
	check_fault(peek32(WINDOW + 0x7000, &v), NO_FAULT);
	check_eq(v, 0x7abc);
	check_fault(poke32(WINDOW + 0x7004, 0x1001), NO_FAULT);
	check_eq(*mem32(0x7004), 0x1001);
	check_fault(peek32(WINDOW + (ulong)&default_cr0, &v), NO_FAULT); /* the kernel itself, at 1 MiB */
	check_eq(v, (u32)default_cr0);
	check_fault(peek32(WINDOW + 0xa0000, NULL), NO_FAULT);
	check_fault(peek32(WINDOW + 0xffff0, NULL), NO_FAULT);
	check_fault(peek32(WINDOW + 0x7000, &v), NO_FAULT);
	check_eq(v, 0x7abc);
}

CASE(rights_of_a_large_page)
{
	u64 f;
	pte_t *e;

	need_large();
	f = tagged_large(1);
	e = map_large(WINDOW, f, PTE_P);
	check_fault(peek32(WINDOW + 0x5000, NULL), NO_FAULT);
	check_fault(user_peek32(WINDOW + 0x5000, NULL), PF(PF_P | PF_U, WINDOW + 0x5000)); /* W08 */
	check_fault(poke32(WINDOW + 0x5000, 1), PF(PF_P | PF_W, WINDOW + 0x5000));
	set_entry(e, f | PTE_P | PTE_U | PTE_PS);
	check_fault(user_peek32(WINDOW + 0x5000, NULL), NO_FAULT);
	check_fault(user_poke32(WINDOW + 0x5000, 1), PF(PF_P | PF_W | PF_U, WINDOW + 0x5000));
	check_fault(fetch(WINDOW + 0x5000), NO_FAULT);
	check_fault(write_cr0(default_cr0 & ~CR0_WP), NO_FAULT);
	check_fault(poke32(WINDOW + 0x5008, 1), NO_FAULT);
	check_fault(user_poke32(WINDOW + 0x5000, 1), PF(PF_P | PF_W | PF_U, WINDOW + 0x5000));
	check_fault(write_cr0(default_cr0), NO_FAULT);
	check_fault(poke32(WINDOW + 0x5008, 2), PF(PF_P | PF_W, WINDOW + 0x5008));
	set_entry(e, BIT(13) | PTE_W | PTE_U | PTE_PS); /* not present: nothing else counts */
	invlpg(WINDOW);
	check_fault(peek32(WINDOW + 0x6000, NULL), PF(0, WINDOW + 0x6000));
}

CASE(large_page_nx)
{
	u64 f;

	need_large();
	if (PTE_SIZE == 4 || !cpu.nx)
		skip("no NX");
	f = tagged_large(1);
	map_large(WINDOW, f, RWU | PTE_NX);
	for (u32 i = 0; i < 3; i++) {
		u64 va = WINDOW + (i + 1) * PAGE_SIZE;

		if (i)
			check_fault(i == 1 ? peek32(va, NULL) : poke32(va + 8, 1), NO_FAULT); /* W15: warm by data */
		check_fault(fetch(va), PF(PF_P | PF_I, va));
		check_fault(user_fetch(va), PF(PF_P | PF_I | PF_U, va));
	}
}

CASE(accesses_across_the_edge)
{
	u64 a, b, small = new_frame(), edge = WINDOW + LARGE_SIZE;
	u32 v = 0;

	need_large();
	a = tagged_large(1);
	b = tagged_large(2);
	map_large(WINDOW, a, RWU);
	check_fault(poke32(edge - 2, 0x44332211), PF(PF_W, edge));
	map_large(edge, b, RWU);
	check_fault(user_poke32(edge - 2, 0x44332211), NO_FAULT);
	check_eq(mem8(a)[LARGE_SIZE - 1], 0x22);
	check_eq(mem8(b)[0], 0x33);
	map_page(edge + LARGE_SIZE, small, RWU);
	check_fault(poke32(edge + LARGE_SIZE - 1, 0x88776655), NO_FAULT);
	check_fault(peek32(edge + LARGE_SIZE - 1, &v), NO_FAULT);
	check_eq(v, 0x88776655);
	check_eq(mem8(small)[0], 0x66);
	check_fault(peek32(WINDOW + 0x4ffe, &v), NO_FAULT); /* and across two pieces of one */
	check_eq(v >> 16, *mem32(a + 0x5000) & 0xffff);
}

/* ---- which bits mean what ---------------------------------------------------- */

CASE(memory_type_bits)
{
	u64 f, g = new_frame();
	pte_t *e;
	u32 v = 0;

	need_large();
	if (!cpu.pat)
		skip("no PAT");
	f = tagged_large(3);
	for (u64 bits = 0; bits < 8; bits++) {
		u64 type = (bits & 1 ? PTE_PWT : 0) | (bits & 2 ? PTE_PCD : 0);

		e = map_large(WINDOW, f, RWU | type | (bits & 4 ? PTE_PAT_LARGE : 0));
		flush();
		check_pieces(WINDOW, 3);
		check_fault(poke32(WINDOW + 0x1008, bits), NO_FAULT);
		check_eq(*mem32(f + 0x1008), bits);
		check_eq(*e & ~(PTE_A | PTE_D), f | RWU | PTE_PS | type | (bits & 4 ? PTE_PAT_LARGE : 0));
		/* W18: bit 7 of a last-level entry is PAT, not PS */
		e = map_page(WINDOW + LARGE_SIZE + 0x3000, g, RWU | type | (bits & 4 ? PTE_PAT : 0));
		invlpg(WINDOW + LARGE_SIZE + 0x3000);
		*mem32(g + TAG_AT) = 0x4b00 | bits;
		check_fault(user_peek32(WINDOW + LARGE_SIZE + 0x3000 + TAG_AT, &v), NO_FAULT);
		check_eq(v, 0x4b00 | bits);
		check_fault(peek32(WINDOW + LARGE_SIZE + 0x4000, NULL), PF(0, WINDOW + LARGE_SIZE + 0x4000));
		check_eq(*e & ~(PTE_A | PTE_D), g | RWU | type | (bits & 4 ? PTE_PAT : 0));
	}
}

CASE(memory_type_bits_of_a_huge_page)
{
	u64 f = new_frame(), va = WINDOW + HUGE_SIZE;
	u32 v = 0;

	if (PT_LEVELS < 4 || !cpu.page1g || !cpu.pat)
		skip("no 1 GiB pages");
	*mem32(f) = 0x1234;
	map_at(current_root(), va, 0, RWU | PTE_PS | PTE_PAT_LARGE | PTE_PWT, 3);
	check_fault(peek32(va + f, &v), NO_FAULT);
	check_eq(v, 0x1234);
}

/* 4 MiB pages: bits 20:13 are address bits 39:32 as far as MAXPHYADDR goes. */
static u64 pse36_legal(void)
{
	u32 width = cpu.maxphyaddr < 40 ? cpu.maxphyaddr : 40;

	return cpu.pse36 && width > 32 ? ((BIT(width - 32) - 1) << 13) : 0;
}

/* S15: such a page is above 4 GiB, where there is no memory: all that counts is that it is not the page below. */
CASE(pse36_frames_above_4g)
{
	u64 f;
	pte_t *e;

	if (PT_LEVELS != 2 || !pse36_legal())
		skip("no PSE-36");
	f = tagged_large(9);
	e = map_large(WINDOW, f, RWU);
	for (u64 bit = BIT(13); bit < BIT(21); bit <<= 1) {
		u32 v = 0, before = *mem32(f + 0x2000 + TAG_AT);

		if (!(bit & pse36_legal()))
			continue;
		set_entry(e, f | RWU | PTE_PS | bit);
		invlpg(WINDOW);
		check_fault(peek32(WINDOW + 0x2000 + TAG_AT, &v), NO_FAULT);
		check(v != before);
		check_fault(poke32(WINDOW + 0x2000 + TAG_AT, 0), NO_FAULT);
		check_eq(*mem32(f + 0x2000 + TAG_AT), before);
		check_eq(*e, f | RWU | PTE_PS | bit | PTE_A | PTE_D);
	}
	set_entry(e, f | RWU | PTE_PS);
	invlpg(WINDOW);
	check_pieces(WINDOW, 9);
}

static void check_reserved(pte_t *e, u64 value, u64 va, const char *what)
{
	u64 before;

	set_entry(e, value);
	flush();
	before = *e;
	check_fault(peek32(va, NULL), PF(PF_P | PF_RSVD, va));
	check_fault(user_poke32(va + 8, 1), PF(PF_P | PF_RSVD | PF_W | PF_U, va + 8));
	if (*e != before)
		fail("%s: entry %llx became %llx", what, before, (u64)*e);
	set_entry(e, value & ~PTE_P); /* W10: a swapped page is just not present */
	flush();
	check_fault(peek32(va, NULL), PF(0, va));
}

CASE(reserved_address_bits)
{
	u64 f, reserved;
	pte_t *e;

	need_large();
	f = tagged_large(1);
	e = map_large(WINDOW, f, RWU);
	reserved = PT_LEVELS == 2 ? (BIT(22) - BIT(13)) & ~pse36_legal() : BIT(21) - BIT(13);
	for (u32 bit = 13; bit < 22; bit++)
		if (reserved & BIT(bit))
			check_reserved(e, f | RWU | PTE_PS | BIT(bit), WINDOW + 0x1000, "large page");
	set_entry(e, f | RWU | PTE_PS);
	check_pieces(WINDOW, 1); /* it never was in a TLB */
}

CASE(reserved_address_bits_of_a_huge_page)
{
	pte_t *e;

	if (PT_LEVELS < 4 || !cpu.page1g)
		skip("no 1 GiB pages");
	e = map_at(current_root(), WINDOW, 0, RWU | PTE_PS, 3);
	for (u32 bit = 13; bit < 30; bit++)
		check_reserved(e, RWU | PTE_PS | BIT(bit), WINDOW + 0x100000, "huge page");
}

CASE(ps_where_it_is_reserved)
{
	u64 va = WINDOW + 0x5000;

	if (PT_LEVELS < 4)
		skip("no such level");
	map_page(va, new_frame(), RWU);
	for (int level = 3; level <= PT_LEVELS; level++) {
		pte_t *e = entry(va, level), before = *e;

		if (level == 3 && cpu.page1g)
			continue;
		check_reserved(e, before | PTE_PS, va, "PS");
		set_entry(e, before);
		check_fault(poke32(va, 1), NO_FAULT);
	}
}

CASE(reserved_bits_above_maxphyaddr)
{
	u64 f;
	pte_t *e;

	need_large();
	if (PTE_SIZE == 4 || cpu.maxphyaddr >= 52)
		skip("no such bits");
	f = tagged_large(1);
	e = map_large(WINDOW, f, RWU);
	check_reserved(e, f | RWU | PTE_PS | BIT(cpu.maxphyaddr), WINDOW + 0x1000, "large page");
	check_reserved(e, f | RWU | PTE_PS | BIT(51), WINDOW + 0x1000, "large page");
	if (PT_LEVELS == 3)
		check_reserved(e, f | RWU | PTE_PS | BIT(62), WINDOW + 0x1000, "large page");
}

/* S06, R16: with CR4.PSE clear bit 7 of a PDE is nothing; the other modes do not ask CR4.PSE. */
CASE(pse_bit_of_cr4)
{
	u64 table, f, inner = new_frame();
	u32 v = 0;

	need_large();
	f = tagged_large(5);
	table = f; /* one frame is the start of the large page and the table */
	map_large(WINDOW, f, RWU);
	check_piece(WINDOW, 1, 5 << 16 | 1);
	memset(mem8(table), 0, PAGE_SIZE);
	((pte_t *)mem8(table))[1] = inner | RWU;
	*mem32(inner + TAG_AT) = 0x11ee;
	for (u32 i = 0; i < 3; i++) {
		check_fault(write_cr4(default_cr4 & ~CR4_PSE), NO_FAULT);
		flush();
		if (PT_LEVELS == 2) {
			check_fault(peek32(WINDOW + 0x1000 + TAG_AT, &v), NO_FAULT);
			check_eq(v, 0x11ee);
			check_fault(peek32(WINDOW + 0x2000, NULL), PF(0, WINDOW + 0x2000));
		} else {
			check_piece(WINDOW, 1, 5 << 16 | 1);
		}
		check_fault(write_cr4(default_cr4 | CR4_PSE), NO_FAULT);
		flush();
		check_piece(WINDOW, 1, 5 << 16 | 1);
		check_piece(WINDOW, 2, 5 << 16 | 2);
	}
}

/* With CR4.PSE clear no bit of a PDE is reserved. */
CASE(nothing_reserved_without_pse)
{
	u64 va = WINDOW + 0x1000, inner = new_frame(), table = new_table();
	u32 v = 0;

	if (PT_LEVELS != 2)
		skip("32-bit paging only");
	check_fault(write_cr4(default_cr4 & ~CR4_PSE), NO_FAULT);
	*mem32(inner) = 0x1dea;
	set_entry(make_entry(va, 2), table | RWU | PTE_PS); /* bits 21:13 are what they are */
	((pte_t *)mem8(table))[1] = inner | RWU;
	flush();
	check_fault(user_peek32(va, &v), NO_FAULT);
	check_eq(v, 0x1dea);
	check_eq(*entry(va, 2), table | RWU | PTE_PS | PTE_A);
}

/* ---- several mappings of the same frames -------------------------------------- */

static const u64 alias_rights[] = { PTE_P, PTE_P | PTE_W, PTE_P | PTE_U, RWU };

static void check_alias(u64 va, u64 rights)
{
	u64 at = va + 0x3008;
	bool w = rights & PTE_W, u = rights & PTE_U;

	check_fault(user_peek32(at, NULL), u ? NO_FAULT : PF(PF_P | PF_U, at));
	check_fault(poke32(at, 1), w ? NO_FAULT : PF(PF_P | PF_W, at));
	check_fault(peek32(at, NULL), NO_FAULT);
	check_fault(user_poke32(at, 2), u && w ? NO_FAULT : PF(PF_P | PF_W | PF_U, at));
	check_fault(user_peek32(at + 0x1000, NULL), u ? NO_FAULT : PF(PF_P | PF_U, at + 0x1000));
}

static void alias_triple(u64 f, u32 a, u32 b, u32 c)
{
	u32 pick[3] = { a, b, c };
	pte_t *e[3];

	for (u32 i = 0; i < 3; i++)
		e[i] = map_large(WINDOW + i * LARGE_SIZE, f, alias_rights[pick[i]]);
	flush();
	for (u32 round = 0; round < 2; round++)
		for (u32 i = 0; i < 3; i++)
			check_alias(WINDOW + i * LARGE_SIZE, alias_rights[pick[i]]);
	for (u32 i = 0; i < 3; i++)
		check_eq(*e[i], f | alias_rights[pick[i]] | PTE_PS | PTE_A | (alias_rights[pick[i]] & PTE_W ? PTE_D : 0));
}

/* S07, S08, S09: rights belong to the mapping and not to the frames, whoever was used first. */
CASE(aliases_with_different_rights)
{
	u64 f;

	need_large();
	f = tagged_large(1);
	for (u32 a = 0; a < 4; a++)
		for (u32 b = 0; b < 4; b++)
			for (u32 c = 0; c < 4; c++)
				if (a != b && b != c && a != c)
					alias_triple(f, a, b, c);
}

/* S09: the first write of a clean writable alias, with a read-only one of the same rights so far in use. */
CASE(clean_alias_beside_a_read_only_one)
{
	u64 f, ro = WINDOW, rw = WINDOW + LARGE_SIZE;

	need_large();
	f = tagged_large(1);
	for (u32 order = 0; order < 4; order++) {
		pte_t *a = map_large(ro, f, PTE_P | PTE_U), *b = map_large(rw, f, RWU);

		flush();
		check_piece(order & 1 ? ro : rw, 6, 1 << 16 | 6);
		check_piece(order & 1 ? rw : ro, 6, 1 << 16 | 6);
		check_fault(user_poke32(rw + 0x6008, order), NO_FAULT);
		check_fault(user_poke32(ro + 0x6008, 99), PF(PF_P | PF_W | PF_U, ro + 0x6008));
		check_fault(poke32(ro + 0x7008, 99), PF(PF_P | PF_W, ro + 0x7008));
		check_eq(*mem32(f + 0x6008), order);
		check_eq(*a & PTE_D, 0);
		check_eq(*b & PTE_D, PTE_D);
		if (!(order & 2))
			continue;
		set_entry(a, *a | PTE_W); /* raised: seen at once; the other lowered: after INVLPG */
		check_fault(poke32(ro + 0x7008, 98), NO_FAULT);
		set_entry(b, *b & ~PTE_W);
		invlpg(rw);
		check_fault(poke32(rw + 0x6008, 97), PF(PF_P | PF_W, rw + 0x6008));
		check_fault(user_poke32(ro + 0x6008, 96), NO_FAULT);
	}
}

CASE(small_and_large_aliases)
{
	u64 f, small = WINDOW + LARGE_SIZE + 0x8000;
	u32 v = 0;
	pte_t *l, *s;

	need_large();
	f = tagged_large(1);
	l = map_large(WINDOW, f, PTE_P | PTE_U);
	s = map_page(small, f + 0x4000, RWU);
	for (u32 i = 0; i < 3; i++) {
		check_fault(poke32(small + 0x10, 0x77 + i), NO_FAULT);
		check_fault(user_peek32(WINDOW + 0x4010, &v), NO_FAULT);
		check_eq(v, 0x77 + i);
		check_fault(poke32(WINDOW + 0x4010, 1), PF(PF_P | PF_W, WINDOW + 0x4010));
	}
	check_eq(*l & PTE_D, 0);
	set_entry(l, f | RWU | PTE_PS);
	set_entry(s, (f + 0x4000) | PTE_P);
	flush();
	check_fault(poke32(WINDOW + 0x4010, 0x99), NO_FAULT);
	check_fault(peek32(small + 0x10, &v), NO_FAULT);
	check_eq(v, 0x99);
	check_fault(poke32(small + 0x10, 1), PF(PF_P | PF_W, small + 0x10));
	check_eq(*s & PTE_D, 0);
}

/* W06 with large leaves: one page directory below two entries of different rights. */
CASE(shared_directory_with_different_rights)
{
	u64 f, far = WINDOW + level_size(3);

	need_large();
	if (PT_LEVELS < 4)
		skip("PDPTEs have no rights");
	f = tagged_large(1);
	for (u32 order = 0; order < 2; order++) {
		map_large(WINDOW, f, RWU);
		make_entry(far, 3);
		set_entry(entry(far, 3), pte_gpa(*entry(WINDOW, 3)) | PTE_P);
		flush();
		for (u32 i = 0; i < 4; i++) {
			if ((i ^ order) & 1)
				check_alias(WINDOW, RWU);
			else
				check_alias(far, PTE_P);
		}
	}
}
