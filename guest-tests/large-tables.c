/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Large pages and page tables: one becomes the other and back, frames change their roles, tables lie inside large
 * pages and are written through them.
 */
#include "test.h"

/* ---- changes -------------------------------------------------------------------- */

/* S20: one INVLPG of any address drops the whole page. */
CASE(invlpg_drops_every_piece)
{
	u64 a, b;
	pte_t *e;

	need_large();
	a = tagged_large(0xa);
	b = tagged_large(0xb);
	e = map_large(WINDOW, a, RWU);
	for (u32 i = 0; i < 6; i++) {
		u64 now = i & 1 ? a : b;

		for (u32 k = 0; k < 24; k++)
			check_piece(WINDOW, k * 7, (i & 1 ? 0xbu : 0xau) << 16 | (k * 7));
		set_entry(e, now | RWU | PTE_PS);
		invlpg(WINDOW + (random32() & (LARGE_SIZE - 1)));
		for (u32 k = 0; k < 24; k++)
			check_piece(WINDOW, k * 7, (i & 1 ? 0xau : 0xbu) << 16 | (k * 7));
		check_fault(poke32(WINDOW + 0x9008, i), NO_FAULT);
		check_eq(*mem32(now + 0x9008), i);
	}
}

/* S10: the new frames are those of another large page; other pieces than before are looked at. */
CASE(another_large_page)
{
	u64 a, b, view = WINDOW + 4 * LARGE_SIZE, at;
	pte_t *e;

	need_large();
	a = tagged_large(0xa);
	b = tagged_large(0xb);
	e = map_large(WINDOW, a, RWU);
	map_page(view, (ulong)e & ~0xffful, RWU); /* entries are written through a second mapping of their table */
	at = view + ((ulong)e & 0xfff);
	for (u32 i = 0; i < 8; i++) {
		check_piece(WINDOW, i * 3, (i & 1 ? 0xbu : 0xau) << 16 | (i * 3));
		check_fault(poke_entry(at, (i & 1 ? a : b) | RWU | PTE_PS), NO_FAULT);
		invlpg(WINDOW + 0x4000);
		check_piece(WINDOW, i * 3 + 1, (i & 1 ? 0xau : 0xbu) << 16 | (i * 3 + 1));
		check_pieces(WINDOW, i & 1 ? 0xa : 0xb);
	}
}

static u64 shuffled_table(u64 large, u32 step)
{
	u64 t = new_table();

	for (u32 i = 0; i < PT_ENTRIES; i++)
		((pte_t *)mem8(t))[i] = (large + ((i * step + 5) & (PT_ENTRIES - 1)) * PAGE_SIZE) | RWU;
	return t;
}

/* S11: large page, then a table of 4 KiB pages in another order, then large again. */
CASE(large_page_into_table_and_back)
{
	u64 f, t;
	pte_t *e;

	need_large();
	f = tagged_large(4);
	t = shuffled_table(f, 13);
	e = map_large(WINDOW, f, RWU);
	for (u32 round = 0; round < 4; round++) {
		check_pieces(WINDOW, 4);
		check_fault(poke32(WINDOW + 0x3008, round), NO_FAULT);
		set_entry(e, t | RWU);
		if (round & 1)
			invlpg(WINDOW + 0x3000);
		else
			flush();
		for (u32 i = round & 1 ? 3 : 0; i < PIECES; i += round & 1 ? PIECES : 17)
			check_piece(WINDOW, i, 4 << 16 | ((i * 13 + 5) & (PT_ENTRIES - 1)));
		flush(); /* INVLPG drops one of the 4 KiB pages only, from here on */
		set_entry(e, f | RWU | PTE_PS);
		flush();
	}
}

/* The frame of the table is the first frame of the large page. */
CASE(large_page_whose_frame_becomes_the_table)
{
	u64 f, other;
	pte_t *e;

	need_large();
	f = tagged_large(6);
	other = tagged_large(7);
	e = map_large(WINDOW, f, RWU);
	for (u32 round = 0; round < 4; round++) {
		check_piece(WINDOW, 9, 6 << 16 | 9);
		check_fault(poke32(WINDOW + 8, 1), NO_FAULT); /* mapped writable */
		for (u32 i = 0; i < PT_ENTRIES; i++)
			((pte_t *)mem8(f))[i] = (other + ((i * 7 + round) & (PT_ENTRIES - 1)) * PAGE_SIZE) | RWU;
		set_entry(e, f | RWU);
		flush();
		for (u32 i = 0; i < PIECES; i += 31)
			check_piece(WINDOW, i, 7 << 16 | ((i * 7 + round) & (PT_ENTRIES - 1)));
		((pte_t *)mem8(f))[9] = (other + 0x2000) | RWU;
		invlpg(WINDOW + 0x9000);
		check_piece(WINDOW, 9, 7 << 16 | 2);
		set_entry(e, f | RWU | PTE_PS);
		flush();
	}
}

/* A frame in turn: data by a small page, last-level table, piece of a large page, directory (64), data. */
CASE(frame_in_every_role)
{
	u64 large, f, d = new_frame(), va = WINDOW + LARGE_SIZE;
	pte_t *pde;

	need_large();
	large = tagged_large(8);
	f = large + 3 * PAGE_SIZE;
	*mem32(d + TAG_AT) = 0xdada;
	for (u32 round = 0; round < 3; round++) {
		*mem32(f + TAG_AT) = 0xf00 + round;
		map_page(WINDOW, f, RWU);
		flush();
		check_piece(WINDOW, 0, 0xf00 + round);
		check_fault(poke32(WINDOW + 0x40, 1), NO_FAULT);
		memset(mem8(f), 0, PAGE_SIZE);
		((pte_t *)mem8(f))[5] = d | RWU;
		pde = make_entry(va, 2);
		set_entry(pde, f | RWU);
		flush();
		check_piece(va, 5, 0xdada);
		((pte_t *)mem8(f))[6] = d | RWU; /* not present before: seen at once */
		check_piece(va, 6, 0xdada);
		/* as data of both, while it still is a table */
		map_large(va + LARGE_SIZE, large, RWU);
		check_fault(poke_entry(va + LARGE_SIZE + 3 * PAGE_SIZE + 7 * PTE_SIZE, d | RWU), NO_FAULT);
		check_piece(va, 7, 0xdada);
		check_fault(poke_entry(WINDOW + 8 * PTE_SIZE, d | RWU), NO_FAULT);
		check_piece(va, 8, 0xdada);
		set_entry(pde, large | RWU | PTE_PS);
		flush();
		*mem32(f + TAG_AT) = 0xe00 + round;
		check_piece(va, 3, 0xe00 + round);
		check_fault(poke32(va + 3 * PAGE_SIZE + TAG_AT, 0xd00 + round), NO_FAULT);
		check_piece(WINDOW, 0, 0xd00 + round);
		set_entry(pde, 0);
		flush();
		check_fault(peek32(va, NULL), PF(0, va));
	}
}

/* ---- tables inside large pages ---------------------------------------------------- */

/* S19, X01: entries are edited through a large page that covers their table. */
CASE(table_inside_a_large_page)
{
	u64 large, t, va = WINDOW + LARGE_SIZE, a = new_frame(), b = new_frame(), at;

	need_large();
	large = tagged_large(1);
	t = large + 11 * PAGE_SIZE;
	memset(mem8(t), 0, PAGE_SIZE);
	*mem32(a + TAG_AT) = 0xaaa;
	*mem32(b + TAG_AT) = 0xbbb;
	map_large(WINDOW, large, RWU);
	check_fault(poke32(WINDOW + 11 * PAGE_SIZE + 0x800, 0), NO_FAULT); /* writable before it is a table */
	make_entry(va, 2);
	link_table(current_root(), va, 2, t);
	at = WINDOW + 11 * PAGE_SIZE;
	for (u32 i = 0; i < 12; i++) {
		check_fault(peek32(va + i * PAGE_SIZE, NULL), PF(0, va + i * PAGE_SIZE));
		check_fault(poke_entry(at + i * PTE_SIZE, a | RWU), NO_FAULT);
		check_piece(va, i, 0xaaa); /* not-present to present: no flush */
		check_fault(poke_entry(at + i * PTE_SIZE, b | RWU), NO_FAULT);
		invlpg(va + i * PAGE_SIZE);
		check_piece(va, i, 0xbbb);
		check_fault(user_poke32(at + i * PTE_SIZE, (u32)b | PTE_P | PTE_U), NO_FAULT); /* by user code as well */
		invlpg(va + i * PAGE_SIZE);
		check_fault(poke32(va + i * PAGE_SIZE, 1), PF(PF_P | PF_W, va + i * PAGE_SIZE));
		check_piece(WINDOW, 12, 1 << 16 | 12); /* its neighbours are data */
		check_fault(poke32(WINDOW + 12 * PAGE_SIZE + 8, i), NO_FAULT);
	}
	check_fault(poke_entry(at, 0), NO_FAULT);
	flush();
	check_fault(peek32(va, NULL), PF(0, va));
}

/* S17, L06: the large page covers the directory that holds its own entry, and the root. */
CASE(large_page_over_its_own_directory)
{
	u64 large, dir, other, va = WINDOW + 2 * LARGE_SIZE, at, f = new_frame();
	pte_t *e;

	need_large();
	if (PT_LEVELS == 2)
		skip("the directory is the root: next case");
	large = tagged_large(1);
	other = tagged_large(2);
	dir = large + 5 * PAGE_SIZE;
	memset(mem8(dir), 0, PAGE_SIZE);
	make_entry(WINDOW, 3);
	link_table(current_root(), WINDOW, 3, dir);
	e = map_large(WINDOW, large, RWU);
	at = WINDOW + 5 * PAGE_SIZE;
	check_piece(WINDOW, 6, 1 << 16 | 6);
	check_fault(poke32(WINDOW + 0x6008, 3), NO_FAULT);
	check_fault(poke_entry(at + level_index(va, 2) * PTE_SIZE, other | RWU | PTE_PS), NO_FAULT);
	check_piece(va, 9, 2 << 16 | 9);
	check_eq(*e & (PTE_A | PTE_D), PTE_A | PTE_D);
	*mem32(f + TAG_AT) = 0x77;
	check_fault(poke_entry(at + level_index(va, 2) * PTE_SIZE, 0), NO_FAULT);
	invlpg(va);
	check_fault(peek32(va, NULL), PF(0, va));
	poke_entry(at, other | RWU | PTE_PS); /* takes itself away */
	flush();
	check_piece(WINDOW, 9, 2 << 16 | 9);
	check_eq(pte_gpa(*e), other);
}

CASE(large_page_over_the_root)
{
	u64 large, root, va = WINDOW + LARGE_SIZE, old = current_root(), at, f = new_frame(), t = new_table(), fresh;
	u32 slot;

	need_large();
	large = tagged_large(1);
	root = large + 3 * PAGE_SIZE;
	fresh = new_space();
	memcpy(mem8(root), mem8(fresh), PAGE_SIZE);
	*mem32(f + TAG_AT) = 0x99;
	map_at(root, WINDOW, large, RWU | PTE_PS, 2);
	use_space(root);
	check_piece(WINDOW, 9, 1 << 16 | 9);
	at = WINDOW + 3 * PAGE_SIZE;
	if (PT_LEVELS == 3) { /* registers: a store alone does nothing */
		va = WINDOW + level_size(3);
		check_fault(poke_entry(at + 2 * PTE_SIZE, t | PTE_P), NO_FAULT);
		flush();
		set_entry((pte_t *)mem8(t), (large + 3 * 4096) | RWU); /* the root's frame is a last-level table as well */
		check_fault(peek32(va, NULL), NO_FAULT);
		use_space(old);
		return;
	}
	slot = level_index(WINDOW_END - 1, PT_LEVELS) - 1;
	va = (u64)slot << level_shift(PT_LEVELS);
	for (int l = PT_LEVELS - 1; l >= 1; l--) {
		set_entry((pte_t *)mem8(t), (l == 1 ? f : new_table()) | RWU);
		if (l == PT_LEVELS - 1)
			check_fault(poke_entry(at + slot * PTE_SIZE, t | RWU), NO_FAULT);
		t = pte_gpa(*(pte_t *)mem8(t));
	}
	check_piece(va, 0, 0x99);
	check_fault(poke_entry(at + slot * PTE_SIZE, 0), NO_FAULT);
	invlpg(va);
	check_fault(peek32(va, NULL), PF(0, va));
	use_space(old);
}

/* A table inside a huge page, and the huge page's own tables. */
CASE(tables_inside_a_huge_page)
{
	u64 f = new_frame(), va = WINDOW + HUGE_SIZE + 0x4000, huge = WINDOW + 4 * HUGE_SIZE;
	pte_t *e;

	if (PT_LEVELS < 4 || !cpu.page1g)
		skip("no 1 GiB pages");
	*mem32(f + TAG_AT) = 0x1515;
	e = make_entry(va, 1);
	map_at(current_root(), huge, 0, RWU | PTE_PS, 3);
	check_fault(poke32(huge + f, 1), NO_FAULT);
	for (u32 i = 0; i < 4; i++) {
		check_fault(peek32(va, NULL), PF(0, va));
		check_fault(poke_entry(huge + (ulong)e, f | RWU), NO_FAULT);
		check_piece(va, 0, 0x1515);
		check_fault(poke_entry(huge + (ulong)e, f | PTE_P), NO_FAULT);
		invlpg(va);
		check_fault(poke32(va, 1), PF(PF_P | PF_W, va));
		check_fault(poke_entry(huge + (ulong)e, 0), NO_FAULT);
		invlpg(va);
	}
	poke_entry(huge + (ulong)entry(va, 2), f | PTE_P | PTE_PS | BIT(13)); /* reserved, at level 2 */
	check_fault(poke_entry(huge + (ulong)entry(va, 2), 0), NO_FAULT);
	flush();
	check_fault(peek32(va, NULL), PF(0, va));
	poke_entry(huge + (ulong)entry(huge, 3), 0); /* its own entry */
	flush();
	check_fault(peek32(huge + f, NULL), PF(0, huge + f));
}
