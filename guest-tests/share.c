/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two frames of equal contents on one host frame, until somebody writes to
 * either: the writer's changes, the other keeps what it had.  Writers are
 * instructions, events, the processor with its A and D bits, and the hypervisor.
 */
#include "host.h"

static void merge(u64 a, u64 b)
{
	check(share(a, b));
	if (random32() & 1)
		check(same_frames(a, b)); /* the library's mappings are in use while it is shared */
}

/* Others may move a frame in between: not each time. */
CASE(shared_is_told)
{
	u64 a = new_frame(), b = new_frame(), c = new_frame();
	u32 i;

	need_umbra();
	fill_pattern(a, 1);
	fill_pattern(b, 1);
	fill_pattern(c, 2);
	for (i = 0; i < 8; i++) {
		merge(a, b);
		if (frame_info(a) & frame_info(b) & HC_FRAME_SHARED)
			break;
	}
	check(i < 8);
	check(!share(a, c));
	check(!share(a, 0xa0000));
	check(!share(1ull << 34, a));
	*mem32(a) ^= 1;
	check(!(frame_info(a) & HC_FRAME_SHARED));
	check(!(frame_info(b) & HC_FRAME_SHARED));
	check(!share(a, b));
	check_eq(*mem32(a), *mem32(b) ^ 1);
}

/* a and b are shared; the writer writes to one, by turns to each.  plain tells what it writes. */
static void each_writer(u64 flags)
{
	u64 plain = new_frame(), kept = new_frame(), f[2] = { new_frame(), new_frame() };

	need_umbra();
	for (u32 i = 0; i < nwriters; i++) {
		const struct writer *w = writers + i;
		u64 one = f[i & 1], other = f[!(i & 1)];
		bool loose = w->flags & WRITER_LOOSE;
		ulong want, got;

		if (!writer_usable(w))
			continue;
		fill_pattern(plain, i);
		fill_pattern(kept, i);
		fill_pattern(one, i);
		fill_pattern(other, i);
		want = write_by(w, window_at(0, plain, flags), 0x87654321);
		window_at(1, other, flags);
		check_fault(peek32(window_at(0, one, flags), NULL), NO_FAULT);
		merge(f[0], f[1]);
		if (i & 2)
			check_fault(peek32(window_at(0, one, flags), NULL), NO_FAULT); /* mapped while it is shared */
		got = write_by(w, window_at(0, one, flags), 0x87654321);
		if (loose ? same_frames(one, kept) : got != want || !same_frames(one, plain))
			fail("%s: result %lx, want %lx, or not what it writes to memory", w->name, got, want);
		if (!same_frames(other, kept))
			fail("%s wrote to the other, too", w->name);
		got = write_by(w, window_at(1, other, flags), 0x87654321);
		if (loose ? same_frames(other, kept) : !same_frames(other, plain))
			fail("%s: not what it writes to the other", w->name);
	}
}

CASE(writes_part_them) { each_writer(RW | PTE_A | PTE_D); }

CASE(three_of_one)
{
	u64 f[3] = { tagged(1), tagged(1), tagged(1) }, va[3];

	need_umbra();
	for (u32 i = 0; i < 6; i++) {
		u32 first = i % 3, then = i < 3 ? (first + 1) % 3 : (first + 2) % 3, last = 3 - first - then;

		for (u32 k = 0; k < 3; k++) {
			*mem32(f[k] + TAG_AT) = 1;
			va[k] = window_at(k, f[k], RWU);
		}
		merge(f[0], f[1]);
		merge(f[i & 1], f[2]);
		for (u32 k = 0; k < 3; k++)
			check_eq(tag_at(va[k]), 1);
		check_fault(poke32(va[first] + TAG_AT, 2), NO_FAULT);
		check_eq(tag_at(va[first]), 2);
		check_eq(tag_at(va[then]), 1);
		check_eq(tag_at(va[last]), 1);
		check_fault(poke32(va[then] + TAG_AT, 3), NO_FAULT);
		check_eq(tag_at(va[first]), 2);
		check_eq(tag_at(va[then]), 3);
		check_eq(tag_at(va[last]), 1);
		check_fault(poke32(va[last] + TAG_AT, 4), NO_FAULT);
		check_eq(*mem32(f[first] + TAG_AT) + *mem32(f[then] + TAG_AT) * 10 + *mem32(f[last] + TAG_AT) * 100, 432);
	}
}

CASE(moved_while_shared)
{
	u64 a = tagged(1), b = tagged(1), va, vb;

	need_umbra();
	for (u32 i = 0; i < 8; i++) {
		va = window_at(0, a, RWU);
		vb = window_at(1, b, RWU);
		check_eq(tag_at(va), 1);
		check_eq(tag_at(vb), 1);
		merge(a, b);
		if (i & 1)
			check(relocate(a));
		if (i & 2)
			check(relocate(b));
		check_eq(tag_at(va), 1);
		check_eq(tag_at(vb), 1);
		check_fault(poke32((i & 4 ? va : vb) + TAG_AT, 2), NO_FAULT);
		check_eq(tag_at(va), i & 4 ? 2 : 1);
		check_eq(tag_at(vb), i & 4 ? 1 : 2);
		*mem32(a + TAG_AT) = *mem32(b + TAG_AT) = 1;
	}
}

/* A write to one of them is a change of that one alone; to be shared is none. */
CASE(shared_and_logged)
{
	u64 a = tagged(1), b = tagged(1), c = tagged(1);

	need_umbra();
	window_at(0, a, RW | PTE_A | PTE_D);
	merge(a, b);
	log_dirty(true);
	merge(b, c);
	check_eq(tag_at(window_at(1, b, RW | PTE_A | PTE_D)), 1);
	log_collect();
	check(!was_written(a) && !was_written(b) && !was_written(c));
	check_fault(poke32(window_at(0, a, RW | PTE_A | PTE_D), 5), NO_FAULT);
	log_collect();
	check(was_written(a) && !was_written(b) && !was_written(c));
	*mem32(c) = 6;
	log_collect();
	check(!was_written(a) && !was_written(b) && was_written(c));
	check_eq(*mem32(a) + *mem32(c), 11);
	*mem32(a) = *mem32(c) = *mem32(b);
	log_collect();
	merge(a, c);
	log_collect();
	check(!was_written(a) && !was_written(b) && !was_written(c));
}

/* One name is ROM, the other is not. */
CASE(rom_and_shared)
{
	u64 a = tagged(1), b = tagged(1), va, vb;

	need_umbra();
	va = window_at(0, a, RWU);
	vb = window_at(1, b, RWU);
	for (u32 i = 0; i < 2; i++) {
		if (i)
			check(set_rom(a, true));
		merge(a, b);
		if (!i)
			check(set_rom(a, true));
		check_fault(poke32(va + TAG_AT, 7), NO_FAULT);
		check_eq(tag_at(va), 1);
		check_eq(tag_at(vb), 1);
		check_fault(poke32(vb + TAG_AT, 8), NO_FAULT);
		check_eq(tag_at(va), 1);
		check_eq(tag_at(vb), 8);
		check_fault(poke32(va + TAG_AT, 7), NO_FAULT);
		check_eq(tag_at(va), 1);
		check(set_rom(a, false));
		check_fault(poke32(va + TAG_AT, 7), NO_FAULT);
		check_eq(tag_at(va), 7);
		check_eq(tag_at(vb), 8);
		*mem32(a + TAG_AT) = *mem32(b + TAG_AT) = 1;
	}
}

/* The accessed bit that the processor sets in a descriptor. */
CASE(descriptor_tables)
{
	u64 a = new_frame(), b = new_frame();

	need_umbra();
	for (u32 i = 0; i < GDT_ENTRIES; i++)
		mem64(a)[i] = mem64(b)[i] = gdt[i] & ~(i == SEL_UDATA / 8 ? BIT(40) : 0);
	load_gdt(a, GDT_ENTRIES * 8 - 1);
	merge(a, b);
	asm volatile("mov %w0, %%fs" : : "r"(SEL_UDATA));
	check(mem64(a)[SEL_UDATA / 8] & BIT(40));
	check(!(mem64(b)[SEL_UDATA / 8] & BIT(40)));
}

#if PT_LEVELS
CASE(writes_without_wp)
{
	check_fault(write_cr0(default_cr0 & ~CR0_WP), NO_FAULT);
	each_writer(PTE_P | PTE_A);
}

/* A write through a read-only mapping of either is refused as before. */
CASE(rights_stay)
{
	u64 a = tagged(1), b = tagged(1);

	need_umbra();
	map_page(WINDOW, a, PTE_P | PTE_U);
	map_page(WINDOW + PAGE_SIZE, b, RW);
	merge(a, b);
	check_fault(poke32(WINDOW, 1), PF(PF_P | PF_W, WINDOW));
	check_fault(user_poke32(WINDOW, 1), PF(PF_P | PF_W | PF_U, WINDOW));
	check_fault(user_peek32(WINDOW + PAGE_SIZE, NULL), PF(PF_P | PF_U, WINDOW + PAGE_SIZE));
	check_fault(poke32(WINDOW + PAGE_SIZE, 3), NO_FAULT);
	check_fault(poke32(WINDOW, 1), PF(PF_P | PF_W, WINDOW));
	check_eq(*mem32(a), RET);
}

CASE(piece_of_a_large_page)
{
	u64 large = tagged_large(2), f = new_frame();
	const u32 at = PIECES - 7;

	need_umbra();
	need_large();
	memcpy(mem8(f), mem8(large + at * PAGE_SIZE), PAGE_SIZE);
	map_large(WINDOW, large, RWU);
	check_pieces(WINDOW, 2);
	check_fault(poke32(WINDOW + (at - 1) * PAGE_SIZE, 9), NO_FAULT);
	for (u32 i = 0; i < 2; i++) {
		merge(i ? f : large + at * PAGE_SIZE, i ? large + at * PAGE_SIZE : f);
		check_pieces(WINDOW, 2);
		check_fault(poke32(WINDOW + at * PAGE_SIZE, 5), NO_FAULT);
		check_eq(*mem32(large + at * PAGE_SIZE), 5);
		check_eq(*mem32(f), RET);
		check_fault(poke32(WINDOW + (at + 1) * PAGE_SIZE, 6 + i), NO_FAULT);
		check_eq(*mem32(large + (at + 1) * PAGE_SIZE), 6 + i);
		*mem32(large + at * PAGE_SIZE) = RET;
	}
	/* two pieces of one page */
	memcpy(mem8(large + 3 * PAGE_SIZE), mem8(large + 4 * PAGE_SIZE), PAGE_SIZE);
	merge(large + 3 * PAGE_SIZE, large + 4 * PAGE_SIZE);
	check_fault(poke32(WINDOW + 4 * PAGE_SIZE + 8, 1), NO_FAULT);
	check_eq(mem32(large + 3 * PAGE_SIZE)[2], 0);
	check_eq(mem32(large + 4 * PAGE_SIZE)[2], 1);
}

/* ---- page tables ---- */

#define OTHER (WINDOW + LARGE_SIZE)

static u64 table_at(u64 va) { return (ulong)entry(va, 1) & ~(PAGE_SIZE - 1); }

/* The processor's write-backs part two tables that were alike. */
CASE(tables_with_clean_entries)
{
	u64 f = tagged(1);

	need_umbra();
	for (u32 i = 0; i < 4; i++) {
		u64 va = i & 1 ? OTHER : WINDOW, vb = i & 1 ? WINDOW : OTHER;
		pte_t *a = map_page(va, f, RWU), *b = map_page(vb, f, RWU);

		flush();
		if (i & 2) { /* known as tables before they are shared */
			check_fault(peek32(va + PAGE_SIZE, NULL), PF(0, va + PAGE_SIZE));
			check_fault(peek32(vb + PAGE_SIZE, NULL), PF(0, vb + PAGE_SIZE));
		}
		merge(table_at(WINDOW), table_at(OTHER));
		check_eq(tag_at(va), 1);
		check_eq(*a & (PTE_A | PTE_D), PTE_A);
		check_eq(*b & (PTE_A | PTE_D), 0);
		check_fault(poke32(va, RET), NO_FAULT);
		check_eq(*a & (PTE_A | PTE_D), PTE_A | PTE_D);
		check_eq(*b & (PTE_A | PTE_D), 0);
		check_fault(poke32(vb, RET), NO_FAULT);
		check_eq(*b & (PTE_A | PTE_D), PTE_A | PTE_D);
	}
}

/* Two tables in use, alike and shared: an edit of one is an edit of one. */
CASE(tables_in_use)
{
	u64 one = tagged(1), two = tagged(2);
	const u64 flags = RWU | PTE_A | PTE_D;

	need_umbra();
	for (u32 i = 0; i < 12; i++) {
		u64 va = i & 1 ? OTHER : WINDOW, vb = i & 1 ? WINDOW : OTHER;
		pte_t *a = map_page(va, one, flags), *b = map_page(vb, one, flags);

		a[1] = b[1] = 0;
		flush();
		check_eq(tag_at(va), 1);
		check_eq(tag_at(vb), 1);
		merge(table_at(i & 2 ? va : vb), table_at(i & 2 ? vb : va));
		if (i & 4) {
			check_eq(tag_at(va), 1);
			check_eq(tag_at(vb), 1);
		}
		if (i & 8)
			check(relocate(table_at(va)));
		set_entry(a + 1, two | flags); /* seen without a flush */
		check_eq(tag_at(va + PAGE_SIZE), 2);
		set_entry(a, two | flags);
		invlpg(va);
		check_eq(tag_at(va), 2);
		check_eq(tag_at(vb), 1);
		check_fault(peek32(vb + PAGE_SIZE, NULL), PF(0, vb + PAGE_SIZE));
		check_eq(pte_gpa(*b), one);
		set_entry(b, 0);
		invlpg(vb);
		check_fault(peek32(vb, NULL), PF(0, vb));
		check_eq(tag_at(va), 2);
	}
}

/* They lag behind when they become one: what each maps after the flush is what is in it. */
CASE(tables_not_flushed_yet)
{
	u64 one = tagged(1), two = tagged(2);
	const u64 flags = RWU | PTE_A | PTE_D;
	pte_t *a = map_page(WINDOW, one, flags), *b = map_page(OTHER, one, flags);

	need_umbra();
	for (u32 i = 0; i < 16; i++) {
		set_entry(a + i, one | flags);
		check_eq(tag_at(WINDOW + i * PAGE_SIZE), 1);
		set_entry(b + i, two | flags);
		check_eq(tag_at(OTHER + i * PAGE_SIZE), 2);
	}
	for (u32 i = 0; i < 16; i++)
		set_entry(a + i, two | flags);
	merge(table_at(WINDOW), table_at(OTHER));
	for (u32 i = 0; i < 8; i++)
		set_entry(b + i, one | flags);
	flush();
	for (u32 i = 0; i < 16; i++) {
		check_eq(tag_at(WINDOW + i * PAGE_SIZE), 2);
		check_eq(tag_at(OTHER + i * PAGE_SIZE), i < 8 ? 1 : 2);
	}
}

/* Whoever carries the store out, in a table as in data. */
CASE(writers_to_a_shared_table)
{
	u64 plain = new_frame(), kept = new_frame(), f = tagged(1), via = WINDOW + 4 * LARGE_SIZE, ta, tb;

	need_umbra();
	map_page(WINDOW, f, RWU | PTE_A | PTE_D);
	map_page(OTHER, f, RWU | PTE_A | PTE_D);
	ta = table_at(WINDOW);
	tb = table_at(OTHER);
	for (u32 i = 0; i < nwriters; i++) {
		if (!writer_usable(writers + i) || writers[i].flags & WRITER_LOOSE)
			continue;
		memcpy(mem8(ta), mem8(tb), PAGE_SIZE);
		memcpy(mem8(plain), mem8(tb), PAGE_SIZE);
		memcpy(mem8(kept), mem8(tb), PAGE_SIZE);
		map_page(via, plain, RW);
		invlpg(via);
		write_by(writers + i, via, 0x87654320); /* not present */
		check_eq(tag_at(WINDOW), 1);
		check_eq(tag_at(OTHER), 1);
		merge(ta, tb);
		map_page(via, ta, RW);
		invlpg(via);
		write_by(writers + i, via, 0x87654320);
		if (!same_frames(ta, plain) || !same_frames(tb, kept))
			fail("%s: %s", writers[i].name, same_frames(tb, kept) ? "not what it writes to memory" : "wrote to both");
		flush();
		check_eq(tag_at(WINDOW), 1);
		check_eq(tag_at(OTHER), 1);
	}
}

/* Two address spaces, alike. */
CASE(roots)
{
	u64 one = tagged(1), two = tagged(2), home = current_root(), other = new_space();

	need_umbra();
	map_page(WINDOW, one, RWU);
	check_eq(tag_at(WINDOW), 1);
	memcpy(mem8(other), mem8(home), PAGE_SIZE);
	merge(home, other);
	use_space(other);
	check_eq(tag_at(WINDOW), 1);
	set_entry(entry_in(other, WINDOW, PT_LEVELS), 0);
	map_at(other, WINDOW, two, RWU, 1);
	use_space(other);
	check_eq(tag_at(WINDOW), 2);
	use_space(home);
	check_eq(tag_at(WINDOW), 1);
}
#endif
