/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One frame mapped at more places than a reverse map keeps a short list of:
 * write protection, and its end, must reach each of them.
 */
#include "test.h"

#define MAPPINGS 700
#define ALL (PTE_P | PTE_W | PTE_U)

static u64 alias(u32 i)
{
	return WINDOW + i * PAGE_SIZE;
}

static void map_all(u64 frame)
{
	for (u32 i = 0; i < MAPPINGS; i++)
		map_page(alias(i), frame, ALL);
}

/* All are written through, then the frame becomes a table: an entry written through any of them is seen. */
CASE(table_with_many_mappings)
{
	u64 frame = new_table(), a = tagged(1), b = tagged(2), va = WINDOW + 8 * LARGE_SIZE;

	need_paging();
	map_all(frame);
	for (u32 i = 0; i < MAPPINGS; i++)
		check_fault(poke32(alias(i) + 0x800, 0), NO_FAULT);
	link_table(current_root(), va, 2, frame);
	for (u32 i = 0; i < MAPPINGS; i += i < 20 || i > MAPPINGS - 20 ? 1 : 7) {
		u64 at = va + (i & 63) * PAGE_SIZE;

		check_fault(poke_entry(alias(i) + (i & 63) * PTE_SIZE, (i & 64 ? b : a) | ALL), NO_FAULT);
		invlpg(at);
		check_eq(tag_at(at), i & 64 ? 2 : 1);
		check_fault(poke_entry(alias(i) + (i & 63) * PTE_SIZE, 0), NO_FAULT);
		invlpg(at);
		check_fault(peek32(at, NULL), PF(0, at));
	}
	check_eq(hypercall(HC_AUDIT, 0, 0, 0, 0) == 0 || !under_umbra(), 1);
}

/* The same frame as data again, moved by the host, shared by two tables. */
CASE(frame_with_many_mappings)
{
	u64 frame = tagged(1), other = tagged(2);
	pte_t *e;

	need_paging();
	map_all(frame);
	for (u32 i = 0; i < MAPPINGS; i++)
		check_fault(poke32(alias(i) + 0x900, i), NO_FAULT);
	hypercall(HC_RELOCATE, frame >> 12, 0, 0, 0);
	for (u32 i = 0; i < MAPPINGS; i++) {
		u32 v = 0;

		check_fault(peek32(alias(i) + 0x900, &v), NO_FAULT);
		if (!check_eq(v, MAPPINGS - 1))
			break;
	}
	for (u32 i = 0; i < MAPPINGS; i += 3) {
		e = entry(alias(i), 1);
		set_entry(e, other | ALL);
		invlpg(alias(i));
	}
	check_fault(poke32(alias(1) + TAG_AT, 7), NO_FAULT);
	for (u32 i = 0; i < MAPPINGS; i++)
		if (!check_eq(tag_at(alias(i)), i % 3 ? 7 : 2))
			break;
}

/*
 * A large page's entry and a table's entry change their frame and nothing else: neighbours of
 * what was touched are the new frame's too.
 */
CASE(same_entry_another_frame)
{
	u64 flags = ALL | PTE_A | PTE_D, one, two, t1 = new_table(), t2 = new_table(), va = WINDOW + 2 * LARGE_SIZE;
	pte_t *e;

	need_paging();
	for (u32 i = 0; i < 16; i++) {
		set_entry((pte_t *)mem8(t1) + i, tagged(0x10 + i) | flags);
		set_entry((pte_t *)mem8(t2) + i, tagged(0x20 + i) | flags);
	}
	e = make_entry(va, 2);
	for (u32 n = 0; n < 6; n++) {
		set_entry(e, (n & 1 ? t2 : t1) | flags);
		invlpg(va); /* any address of the table will do for the entry above */
		for (u32 i = n; i < 16; i += 1 + n % 3) {
			invlpg(va + i * PAGE_SIZE);
			check_eq(tag_at(va + i * PAGE_SIZE), (n & 1 ? 0x20 : 0x10) + i);
		}
	}
	need_large();
	one = tagged_large(1);
	two = tagged_large(2);
	e = map_large(WINDOW, one, flags);
	for (u32 n = 0; n < 6; n++) {
		check_piece(WINDOW, n, piece_tag(n & 1 ? 2 : 1, n));
		check_piece(WINDOW, PIECES / 2 + n, piece_tag(n & 1 ? 2 : 1, PIECES / 2 + n));
		set_entry(e, (n & 1 ? one : two) | flags | PTE_PS);
		invlpg(WINDOW + 5 * PAGE_SIZE);
		for (u32 i = n; i < PIECES; i += 31)
			check_piece(WINDOW, i, piece_tag(n & 1 ? 1 : 2, i));
	}
}

/* A neighbour that comes along with what is touched has the rights of the whole path, at each level. */
CASE(neighbours_by_the_whole_path)
{
	u64 flags = ALL | PTE_A | PTE_D, f = tagged(1);

	need_paging();
	for (int level = 2; level <= PT_LEVELS; level++)
		for (u32 n = 0; n < 3 && !is_pdpte(level); n++) {
			u64 va = WINDOW + (level * 4 + n) * LARGE_SIZE; /* other tables each time */
			u64 lacks = n == 0 ? PTE_W : n == 1 ? PTE_U : 0;
			pte_t *e;

			if (n == 2 && (PT_LEVELS == 2 || !cpu.nx))
				continue;
			for (u32 i = 0; i < 16; i++)
				map_page(va + i * PAGE_SIZE, f, flags);
			e = entry(va, level);
			set_entry(e, (*e & ~lacks) | (n == 2 ? PTE_NX : 0) | PTE_A);
			flush();
			check_eq(tag_at(va), 1);
			for (u32 i = 1; i < 16; i++) {
				u64 at = va + i * PAGE_SIZE;

				if (n == 0)
					check_fault(poke32(at + 0x900, i), PF(PF_P | PF_W, at + 0x900));
				else if (n == 1)
					check_fault(user_peek32(at + TAG_AT, NULL), PF(PF_P | PF_U, at + TAG_AT));
				else
					check_fault(fetch(at), PF(PF_P | PF_I, at));
			}
			set_entry(e, (*e | lacks) & ~(n == 2 ? PTE_NX : 0));
			flush();
		}
}

/* A reserved bit is reported although the access has no right to the page either, the second time as the first. */
CASE(reserved_and_refused)
{
	u64 f = tagged(1), va = WINDOW + 3 * PAGE_SIZE, rsvd;
	pte_t *e;

	need_paging();
	if (PT_LEVELS == 2 || cpu.maxphyaddr > 51)
		skip("no reserved bit in entries of this format");
	rsvd = 1ull << (PT_LEVELS == 3 ? 62 : 51);
	e = map_page(va, f, PTE_P | PTE_A | PTE_D);
	for (u32 n = 0; n < 3; n++) {
		set_entry(e, f | PTE_P | PTE_A | PTE_D | rsvd);
		invlpg(va);
		for (u32 i = 0; i < 3; i++) {
			check_fault(poke32(va, 1), PF(PF_P | PF_W | PF_RSVD, va));
			check_fault(user_peek32(va, NULL), PF(PF_P | PF_U | PF_RSVD, va));
			check_fault(user_poke32(va, 1), PF(PF_P | PF_W | PF_U | PF_RSVD, va));
		}
		set_entry(e, f | PTE_P | PTE_A | PTE_D);
		invlpg(va);
		check_eq(tag_at(va), 1);
		check_fault(poke32(va, 1), PF(PF_P | PF_W, va));
	}
}

/* A table inside a large page, read there first and then written: the read must not open it. */
CASE(table_read_in_a_large_page_and_written)
{
	u64 large, table, a, b, va = WINDOW + 8 * LARGE_SIZE, at;

	need_paging();
	need_large();
	large = new_large();
	a = tagged(1);
	b = tagged(2);
	table = large + 5 * PAGE_SIZE;
	memset(mem8(table), 0, PAGE_SIZE);
	make_entry(va, 2);
	link_table(current_root(), va, 2, table);
	map_large(WINDOW, large, ALL | PTE_A | PTE_D);
	at = WINDOW + 5 * PAGE_SIZE;
	for (u32 n = 0; n < 4; n++)
		for (u32 i = 0; i < 20; i++) {
			set_entry((pte_t *)mem8(table) + i, (n & 1 ? a : b) | ALL | PTE_A | PTE_D);
			invlpg(va + i * PAGE_SIZE);
			check_eq(tag_at(va + i * PAGE_SIZE), n & 1 ? 1 : 2);
			check_fault(peek32(at + i * PTE_SIZE, NULL), NO_FAULT);
			check_fault(poke_entry(at + i * PTE_SIZE, (n & 1 ? b : a) | ALL | PTE_A | PTE_D), NO_FAULT);
			invlpg(va + i * PAGE_SIZE);
			check_eq(tag_at(va + i * PAGE_SIZE), n & 1 ? 2 : 1);
		}
}

/* One piece of a large page has moved before it is used as a whole. */
CASE(large_page_with_one_piece_elsewhere)
{
	u64 large;

	need_paging();
	need_large();
	large = tagged_large(3);
	hypercall(HC_RELOCATE, (large >> 12) + 7, 0, 0, 0);
	map_large(WINDOW, large, ALL | PTE_A | PTE_D);
	check_pieces(WINDOW, 3);
	for (u32 i = 0; i < 16; i++)
		check_piece(WINDOW, i, piece_tag(3, i));
}

/* Bit 7 of a last-level entry is PAT, not PS: the frame is all of the address. */
CASE(pat_bit_of_small_pages)
{
	need_paging();
	if (!cpu.pat)
		skip("no PAT");
	for (u32 i = 0; i < 40; i++) {
		u64 va = WINDOW + i * 3 * PAGE_SIZE, f = tagged(0x100 + i);

		map_page(va, f, ALL | PTE_PS | (i & 1 ? PTE_A | PTE_D : 0));
		check_eq(tag_at(va), 0x100 + i);
		check_fault(poke32(va + 0x900, i), NO_FAULT);
		check_eq(mem32(f)[0x900 / 4], i);
		check_fault(user_peek32(va, NULL), NO_FAULT);
	}
}
