/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that move under load: while a guest computes, edits its tables, takes
 * exceptions and switches between address spaces, any page of it is moved to
 * another host frame, its own image among them.  See relocate.c for the simple ones.
 */
#include "host.h"

#define VECTOR 0x50
#define PAGES 12

extern u8 image_end[]; /* link.lds */

static void move(u64 gpa)
{
	if (!relocate(gpa))
		fail("%llx does not move", gpa);
}

static void move_image(void)
{
	u64 first = MIB, pages = ((ulong)image_end - MIB + PAGE_SIZE - 1) >> 12;

	move(first + (random32() * pages >> 32 << 12));
}

/* ---- without paging, too ---- */

USER_CODE INSN(user_int, "int $0x50")
USER_CODE INSN(user_gp, "hlt")

/* What the processor reads and writes by itself moves between any two events, and what holds the handlers. */
CASE(event_structures)
{
	const u64 where[] = { (ulong)idt, (ulong)gdt, (ulong)tss, (ulong)trap_stack_top - 16, (ulong)stack_top - 16, (ulong)vectors,
			      (ulong)user_data, (ulong)&move_image };

	need_umbra();
	set_gate(idt + VECTOR * GATE_SIZE, (ulong)vectors + VECTOR * 16, SEL_KCODE, 0xee, 0);
	hook(VECTOR, hook_record);
	for (u32 i = 0; i < 60; i++) {
		for (u32 k = 0; k < ARRAY_SIZE(where); k++)
			if (random32() & 1 && where[k] < RAM_END)
				move(where[k]);
		check_fault(user_try(user_int, 0, 0, NULL), FAULT(VECTOR));
		check_eq(hook_regs.cs, SEL_UCODE);
		check_eq(hook_regs.sp, user_stack - sizeof(ulong));
		move_image();
		check_fault(user_try(user_gp, 0, 0, NULL), FAULT(VEC_GP));
		mem64((ulong)gdt)[SEL_UDATA / 8] &= ~BIT(40);
		move((ulong)gdt);
		asm volatile("mov %w0, %%fs" : : "r"(SEL_UDATA));
		check(mem64((ulong)gdt)[SEL_UDATA / 8] & BIT(40));
	}
	check_eq(hypercall(HC_AUDIT, 0, 0, 0, 0), 0);
}

static __attribute__((noinline)) u32 moves_itself(u32 n)
{
	u32 sum = 0;

	for (u32 i = 0; i < n; i++) {
		sum = sum * 3 + i;
		sum += hypercall(HC_RELOCATE, (ulong)moves_itself >> 12, 0, 0, 0);
		sum += hypercall(HC_RELOCATE, (ulong)hypercall >> 12, 0, 0, 0);
		sum += hypercall(HC_RELOCATE, (ulong)&i >> 12, 0, 0, 0);
	}
	return sum;
}

CASE(code_and_stack_in_use)
{
	u32 want = 0;

	need_umbra();
	for (u32 i = 0; i < 200; i++)
		want = want * 3 + i + 3;
	check_eq(moves_itself(200), want);
}

/* Copies of copies: one REP after the other, source and target on the move, across pages. */
CASE(string_copies)
{
	u64 a = new_frame(), b;

	need_umbra();
	for (u32 i = 1; i < 8; i++)
		new_frame();
	b = a + 4 * PAGE_SIZE;
	fill_pattern(a, 1);
	fill_pattern(a + PAGE_SIZE, 2);
	for (u32 i = 0; i < 40; i++) {
		u64 from = i & 1 ? b : a, to = i & 1 ? a : b;
		ulong si = from + 0x7f0, di = to + 0x7f0, n = PAGE_SIZE / 4;

		move(from + (i & 4 ? PAGE_SIZE : 0));
		move(to + (i & 8 ? PAGE_SIZE : 0));
		asm volatile("rep movsl" : "+S"(si), "+D"(di), "+c"(n) : : "memory");
		check(!memcmp(mem8(a) + 0x7f0, mem8(b) + 0x7f0, PAGE_SIZE));
		mem32(to + 0x7f0)[i * 20] += i;
		move(to);
	}
}

/* Every way to write, right after the page moved, and moved twice. */
CASE(each_writer)
{
	u64 plain = new_frame(), f = new_frame();

	need_umbra();
	for (u32 i = 0; i < nwriters; i++) {
		const struct writer *w = writers + i;
		ulong result[2];

		if (!writer_usable(w) || w->flags & WRITER_LOOSE)
			continue;
		fill_pattern(plain, i);
		fill_pattern(f, i);
		for (u32 k = 0; k < 2; k++) {
			u64 va = window_at(0, k ? f : plain, RW);

			if (k)
				move(f);
			if (k && i & 1)
				move(f);
			result[k] = write_by(w, va, 0x87654321);
		}
		move(f);
		if (result[0] != result[1] || !same_frames(plain, f))
			fail("%s: result %lx, on a frame that stays %lx", w->name, result[1], result[0]);
	}
}

#if PT_LEVELS
/* ---- a program against a model of itself ---- */

static struct {
	u64 frame[PAGES];
	u32 value[PAGES]; /* in frame i, at 4 * i */
	int maps[PAGES]; /* page -> frame, -1: none */
	bool writable[PAGES];
	u64 root[2];
} m;

#define VA(page) (WINDOW + (u64)(page) * 3 * PAGE_SIZE)

static void write_entry(u32 page)
{
	set_entry(entry(VA(page), 1), m.maps[page] < 0 ? 0 : m.frame[m.maps[page]] | PTE_P | (m.writable[page] ? PTE_W : 0) | PTE_U);
}

static void check_access(u32 page)
{
	pte_t *e = entry(VA(page), 1);
	int f = m.maps[page];
	u64 va = VA(page) + (f < 0 ? 0 : 4 * f);
	u32 v = 0;

	if (f < 0) {
		check_fault(peek32(va, NULL), PF(0, va));
		return;
	}
	check_fault(peek32(va, &v), NO_FAULT);
	check_eq(v, m.value[f]);
	check(*e & PTE_A);
	if (!m.writable[page]) {
		check_fault(poke32(va, 0), PF(PF_P | PF_W, va));
		check(!(*e & PTE_D));
		return;
	}
	v = random32();
	check_fault(random32() & 1 ? poke32(va, v) : user_poke32(va, v), NO_FAULT);
	m.value[f] = v;
	check(*e & PTE_D);
}

static void edit(u32 page)
{
	m.maps[page] = (int)(random32() % (PAGES + 2)) - 2;
	if (m.maps[page] < 0)
		m.maps[page] = -1;
	m.writable[page] = random32() & 1;
	write_entry(page);
	if (random32() & 1)
		move((ulong)entry(VA(page), 1));
	invlpg(VA(page));
}

static void move_something(void)
{
	u32 page = random32() % PAGES;
	int level = 1 + random32() % PT_LEVELS;

	switch (random32() % 6) {
	case 0:
		move(m.frame[page]);
		break;
	case 1:
	case 2:
		move((ulong)entry(VA(page), level));
		break;
	case 3:
		move(m.root[random32() & 1]);
		break;
	case 4:
		move_image();
		break;
	case 5: /* twice, and a table with what it maps */
		move(m.frame[page]);
		move(m.frame[page]);
		move((ulong)entry(VA(page), 1));
		break;
	}
}

static void set_up(void)
{
	need_umbra();
	m.root[0] = current_root();
	for (u32 i = 0; i < PAGES; i++) {
		m.frame[i] = new_frame();
		m.value[i] = 0;
		m.maps[i] = -1;
		make_entry(VA(i), 1);
	}
	m.root[1] = new_space(); /* the same lower tables */
	*entry_in(m.root[1], WINDOW, PT_LEVELS) = *entry_in(m.root[0], WINDOW, PT_LEVELS);
}

CASE(program_with_a_model)
{
	set_up();
	for (u32 i = 0; i < 400 * options.depth; i++) {
		u32 page = random32() % PAGES;

		if (random32() % 3 == 0)
			edit(page);
		if (random32() % 16 == 0)
			use_space(m.root[random32() & 1]);
		if (random32() & 1)
			move_something();
		check_access(page);
	}
	for (u32 i = 0; i < PAGES; i++)
		check_eq(mem32(m.frame[i])[i], m.value[i]);
	check_eq(hypercall(HC_AUDIT, 0, 0, 0, 0), 0);
}

/* Entries written one after the other with the flush to come: the table and its pages move while it may lag. */
CASE(unflushed_edits)
{
	u64 a = tagged(1), b = tagged(2);
	pte_t *e = map_page(WINDOW, a, RWU);

	need_umbra();
	for (u32 round = 0; round < 6; round++) {
		u64 from = round & 1 ? b : a, to = round & 1 ? a : b;

		for (u32 i = 0; i < 24; i++) {
			set_entry(e + i, from | RWU);
			invlpg(WINDOW + i * PAGE_SIZE);
			check_eq(tag_at(WINDOW + i * PAGE_SIZE), round & 1 ? 2 : 1);
		}
		for (u32 i = 0; i < 24; i++) {
			set_entry(e + i, to | RWU);
			if (i % 5 == round % 5)
				move((ulong)e);
			if (i % 7 == 0)
				move(i & 1 ? from : to);
		}
		flush();
		for (u32 i = 0; i < 24; i++)
			check_eq(tag_at(WINDOW + i * PAGE_SIZE), round & 1 ? 1 : 2);
	}
}

/* Before the first access, after a read, after a write: A and D are the entry's, wherever its table and its page went. */
CASE(accessed_and_dirty)
{
	u64 f = new_frame();
	pte_t *e = map_page(WINDOW, f, PTE_P | PTE_W);

	need_umbra();
	for (u32 i = 0; i < 24; i++) {
		set_entry(e, f | PTE_P | PTE_W);
		invlpg(WINDOW);
		for (u32 step = 0; step < 3; step++) {
			static const u32 want[] = { 0, PTE_A, PTE_A | PTE_D };

			if (step)
				check_fault(step == 1 ? peek32(WINDOW, NULL) : poke32(WINDOW, i), NO_FAULT);
			if (i & (1u << step))
				move((ulong)e);
			if (i & 8)
				move(f);
			check_eq(*e & (PTE_A | PTE_D), want[step]);
		}
		check_eq(*mem32(f), i);
	}
}

/* A large page that was one mapping, moved piece by piece while it is read and written. */
CASE(large_page_comes_apart)
{
	u64 large = tagged_large(3);

	need_umbra();
	need_large();
	map_large(WINDOW, large, RWU);
	for (u32 i = 0; i < PIECES; i += 64)
		check_piece(WINDOW, i, piece_tag(3, i));
	for (u32 i = 0; i < 60; i++) {
		u32 piece = random32() % PIECES, other = random32() % PIECES;
		u64 at = large + piece * PAGE_SIZE;

		check_fault(poke32(WINDOW + piece * PAGE_SIZE + 8, i), NO_FAULT);
		move(at);
		check_eq(mem32(at)[2], i);
		check_piece(WINDOW, piece, piece_tag(3, piece));
		check_piece(WINDOW, other, piece_tag(3, other));
		check_fault(user_poke32(WINDOW + piece * PAGE_SIZE + 12, i), NO_FAULT);
		check_eq(mem32(at)[3], i);
	}
	for (u32 i = 0; i < PIECES; i++)
		check_piece(WINDOW, i, piece_tag(3, i));
}

/* A root that is also a page of its own window: writes through the map and moves in turn. */
CASE(table_that_maps_itself)
{
	u64 a = tagged(1), b = tagged(2), table;
	pte_t *e = map_page(WINDOW, a, RWU), *self;

	need_umbra();
	table = (ulong)e & ~(PAGE_SIZE - 1);
	set_entry(e + 1, table | RW);
	self = (pte_t *)(ulong)(WINDOW + PAGE_SIZE);
	for (u32 i = 0; i < 20; i++) {
		set_entry(self, (i & 1 ? a : b) | RWU);
		move(table);
		if (i & 2)
			move(table);
		invlpg(WINDOW);
		check_eq(tag_at(WINDOW), i & 1 ? 1 : 2);
		check(*e & PTE_A);
	}
}

#if PT_LEVELS == 3
/* I12: the entries that count were read when CR3 was loaded; that their page moves reads nothing. */
CASE(pdptes_are_not_read_again)
{
	u64 a = tagged(1), root = current_root();
	pte_t *top, was;

	need_umbra();
	map_page(WINDOW, a, RWU);
	check_eq(tag_at(WINDOW), 1);
	top = entry(WINDOW, 3);
	was = *top;
	for (u32 i = 0; i < 4; i++) {
		set_entry(top, 0);
		move(root);
		invlpg(WINDOW);
		check_eq(tag_at(WINDOW), 1);
		move(root);
		flush();
		check_fault(peek32(WINDOW, NULL), PF(0, WINDOW));
		set_entry(top, was);
		move(root);
		check_fault(peek32(WINDOW, NULL), PF(0, WINDOW));
		flush();
		check_eq(tag_at(WINDOW), 1);
	}
}
#endif
#endif
