/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Read-only memory: writes to it vanish without a fault, whoever makes them,
 * and what they return is what a write to memory returns.  In page tables in ROM
 * nobody can set A and D: translations work as if they were set.
 */
#include "host.h"

#define VECTOR 0x50

static void rom_on(u64 gpa) { check(set_rom(gpa, true)); }
static void rom_off(u64 gpa) { check(set_rom(gpa, false)); }

CASE(holes_are_no_rom)
{
	u64 f = new_frame();

	need_umbra();
	check(!set_rom(0xa0000, true));
	check(!set_rom(1ull << 34, true));
	check(!(frame_info(f) & HC_FRAME_ROM));
	rom_on(f);
	rom_on(f);
	check(frame_info(f) & HC_FRAME_ROM);
	check(!(frame_info(f + PAGE_SIZE) & HC_FRAME_ROM));
	rom_off(f);
	check(!(frame_info(f) & HC_FRAME_ROM));
}

/* Three pages: one that is never ROM tells what is to be returned, and what is to be written when ROM is off again. */
static void check_writer(const struct writer *w, u64 plain, u64 rom, u64 kept, u64 flags)
{
	ulong want, got;

	want = write_by(w, window_at(0, plain, flags), 0x87654321);
	rom_on(rom);
	for (u32 k = 0; k < 2; k++) {
		got = write_by(w, window_at(0, rom, flags), 0x87654321);
		if (got != want && !(w->flags & WRITER_LOOSE))
			fail("%s returns %lx, from memory %lx", w->name, got, want);
		if (!same_frames(rom, kept))
			fail("%s wrote to ROM", w->name);
	}
	rom_off(rom);
	got = write_by(w, window_at(0, rom, flags), 0x87654321);
	if (w->flags & WRITER_LOOSE ? same_frames(rom, kept) : got != want || !same_frames(rom, plain))
		fail("%s does not write when it is RAM again", w->name);
}

/* An event's frame would be read back from there: event_on_a_rom_stack. */
static void each_writer(u64 flags)
{
	u64 plain = new_frame(), rom = new_frame(), kept = new_frame();

	need_umbra();
	for (u32 i = 0; i < nwriters; i++) {
		if (!writer_usable(writers + i) || writers[i].flags & WRITER_LOOSE)
			continue;
		fill_pattern(plain, i);
		fill_pattern(rom, i);
		fill_pattern(kept, i);
		check_writer(writers + i, plain, rom, kept, flags);
	}
}

CASE(writes_vanish) { each_writer(RW | PTE_A | PTE_D); }

/* Half of each lands. */
CASE(across_its_ends)
{
	u64 f = new_frame();

	need_umbra();
	new_frame();
	new_frame();
	rom_on(f + PAGE_SIZE);
	for (u32 side = 0; side < 2; side++) {
		u64 base = f + side * PAGE_SIZE; /* ROM is the second, then the first page of the two */
		u64 end = window_at(0, base, RW) + PAGE_SIZE, at = base + PAGE_SIZE;
		u64 in_rom = side ? at - 4 : at, in_ram = side ? at : at - 4;
		ulong di = end - 16, n = 8, old = 0x01020304;

		window_at(1, at, RW);
		check_fault(poke32(end - 2, 0x44332211), NO_FAULT);
		check_eq(*mem32(in_rom), 0);
		check_eq(*mem32(in_ram), side ? 0x4433 : 0x22110000);
		asm volatile("lock xaddl %k0, (%1)" : "+r"(old) : "r"((ulong)end - 2) : "memory", "cc");
		check_eq(old, side ? 0x44330000 : 0x2211);
		check_eq(*mem32(in_rom), 0);
		check_eq(*mem32(in_ram), side ? 0x4535 : 0x25150000);
		asm volatile("rep stosl" : "+D"(di), "+c"(n) : "a"(0x99999999) : "memory");
		check_eq(n, 0);
		check_eq(di, end + 16);
		for (u32 i = 0; i < 8; i++)
			check_eq(mem32(at - 16)[i], (i < 4) == !side ? 0x99999999 : 0);
	}
}

/*
 * The frame that the processor pushes vanishes.  The handler uses no stack before it has another one.  It
 * begins on a page of its own: fault.c of hv says why.
 */
__asm__(".pushsection .text.landing, \"ax\"\n .balign 4096\nrom_landing: jmp rom_back\n .balign 4096\n .popsection");

#ifdef __x86_64__
#define SP "%%rsp"
#else
#define SP "%%esp"
#endif
static __attribute__((noinline)) void interrupt_on(ulong sp)
{
	ulong saved;

	asm volatile("mov " SP ", %0\n mov %1, " SP "\n int $0x50\n ud2\n .globl rom_back\nrom_back: mov %0, " SP
		     : "=&r"(saved) : "r"(sp) : "memory");
}

extern u8 rom_landing[];

CASE(event_on_a_rom_stack)
{
	u64 rom = new_frame(), va;
	u32 sum, next;

	need_umbra();
	set_gate(idt + VECTOR * GATE_SIZE, (ulong)rom_landing, SEL_KCODE, 0x8e, 0);
	next = new_frame();
	fill_pattern(rom, 5);
	sum = frame_sum(rom);
	rom_on(rom);
	va = window_at(0, rom, RW);
	for (u32 i = 0; i < 10; i++) {
		interrupt_on(va + 0x800);
		check_eq(frame_sum(va), sum);
		check_eq(frame_sum(rom), sum);
	}
	window_at(1, next, RW);
	interrupt_on(va + PAGE_SIZE + 2 * sizeof(ulong)); /* a part of it in RAM */
	check_eq(frame_sum(rom), sum);
	check(mem32(next)[0] | mem32(next)[1]);
	rom_off(rom);
	interrupt_on(va + 0x800);
	check(frame_sum(rom) != sum);
}

/* The processor would set the accessed bit of a descriptor. */
CASE(descriptor_in_rom)
{
	u64 rom = new_frame();
	u64 *d = (u64 *)mem8(rom), was;

	need_umbra();
	memcpy(d, gdt, GDT_ENTRIES * 8);
	was = d[SEL_UDATA / 8] &= ~BIT(40);
	rom_on(rom);
	load_gdt(rom, GDT_ENTRIES * 8 - 1);
	for (u32 i = 0; i < 3; i++) {
		asm volatile("mov %w0, %%fs" : : "r"(SEL_UDATA));
		check_eq(*(volatile u64 *)&d[SEL_UDATA / 8], was);
	}
	rom_off(rom);
	asm volatile("mov %w0, %%fs" : : "r"(SEL_UDATA));
	check_eq(*(volatile u64 *)&d[SEL_UDATA / 8], was | BIT(40));
}

CASE(code_and_data_are_read)
{
	u64 f = tagged(9), va;

	need_umbra();
	rom_on(f);
	va = window_at(0, f, PTE_P | PTE_W);
	check_eq(tag_at(va), 9);
	check_fault(fetch(va), NO_FAULT);
	check_fault(poke8(va, 0x90), NO_FAULT);
	check_fault(fetch(va), NO_FAULT);
	check(relocate(f));
	check_eq(tag_at(va), 9);
	check_fault(poke32(va + TAG_AT, 1), NO_FAULT);
	check_eq(tag_at(va), 9);
	check(frame_info(f) & HC_FRAME_ROM);
}

#if PT_LEVELS
/* CR0.WP = 0: writes past a read-only entry, into ROM. */
CASE(writes_vanish_without_wp)
{
	check_fault(write_cr0(default_cr0 & ~CR0_WP), NO_FAULT);
	each_writer(PTE_P | PTE_A);
}

CASE(entries_of_rom_are_like_any)
{
	u64 rom = new_frame();
	pte_t *e = map_page(WINDOW, rom, PTE_P | PTE_W), *ro = map_page(WINDOW + PAGE_SIZE, rom, PTE_P | PTE_U);

	need_umbra();
	rom_on(rom);
	check_fault(peek32(WINDOW, NULL), NO_FAULT);
	check_eq(*e & (PTE_A | PTE_D), PTE_A);
	check_fault(poke32(WINDOW, 1), NO_FAULT);
	check_eq(*e & (PTE_A | PTE_D), PTE_A | PTE_D); /* the store is done, as far as the processor knows */
	check_eq(*mem32(rom), 0);
	check_fault(poke32(WINDOW + PAGE_SIZE, 1), PF(PF_P | PF_W, WINDOW + PAGE_SIZE));
	check_fault(user_poke32(WINDOW + PAGE_SIZE, 1), PF(PF_P | PF_W | PF_U, WINDOW + PAGE_SIZE));
	set_entry(ro, rom | RWU);
	invlpg(WINDOW + PAGE_SIZE);
	check_fault(user_poke32(WINDOW + PAGE_SIZE, 1), NO_FAULT);
	check_eq(*mem32(rom), 0);
	rom_off(rom);
	check_fault(user_poke32(WINDOW + PAGE_SIZE, 1), NO_FAULT);
	check_eq(*mem32(rom), 1);
}

CASE(piece_of_a_large_page)
{
	u64 large = tagged_large(2);
	const u32 rom = PIECES / 2 + 3;
	pte_t *e;

	need_umbra();
	need_large();
	e = map_large(WINDOW, large, RWU);
	check_pieces(WINDOW, 2);
	check_fault(poke32(WINDOW + rom * PAGE_SIZE + 8, 1), NO_FAULT); /* a whole mapping of it is there already */
	rom_on(large + rom * PAGE_SIZE);
	for (u32 i = 0; i < 3; i++) {
		for (u32 piece = rom - 2; piece <= rom + 2; piece++)
			check_fault(user_poke32(WINDOW + piece * PAGE_SIZE + 8, 5 + i), NO_FAULT);
		for (u32 piece = rom - 2; piece <= rom + 2; piece++)
			check_eq(mem32(large + piece * PAGE_SIZE)[2], piece == rom ? 1 : 5 + i);
		check_pieces(WINDOW, 2);
		check(*e & PTE_D);
	}
	rom_off(large + rom * PAGE_SIZE);
	check_fault(user_poke32(WINDOW + rom * PAGE_SIZE + 8, 7), NO_FAULT);
	check_eq(mem32(large + rom * PAGE_SIZE)[2], 7);
}

/* ---- tables ---- */

static pte_t clean_entry(int level)
{
	pte_t *e = entry(WINDOW, level);

	set_entry(e, *e & ~(u64)(is_pdpte(level) ? 0 : PTE_A | PTE_D));
	return *e;
}

static u64 table_at(int level) { return (ulong)entry(WINDOW, level) & ~(PAGE_SIZE - 1); }

static void check_accesses(u64 f)
{
	for (u32 i = 0; i < 20; i++) {
		check_fault(peek32(WINDOW, NULL), NO_FAULT);
		check_fault(poke32(WINDOW + 8, i), NO_FAULT);
		check_fault(user_poke32(WINDOW + 12, i), NO_FAULT);
		check_eq(mem32(f)[2], i);
		check_eq(mem32(f)[3], i);
	}
	check_fault(fetch(WINDOW), NO_FAULT);
}

CASE(table_of_each_level)
{
	u64 f = tagged(1);

	need_umbra();
	for (int level = 1; level <= PT_LEVELS; level++) {
		u64 rom;
		pte_t was;

		map_page(WINDOW, f, RWU);
		if (is_pdpte(level))
			continue;
		for (int l = 1; l <= PT_LEVELS; l++)
			clean_entry(l);
		was = *entry(WINDOW, level);
		rom = table_at(level);
		rom_on(rom);
		flush();
		check_accesses(f);
		check_eq(*entry(WINDOW, level), was);
		for (int l = 1; l <= PT_LEVELS; l++)
			if (l != level && !is_pdpte(l))
				check_eq(*entry(WINDOW, l) & (PTE_A | (l == 1 ? PTE_D : 0)), l == 1 ? PTE_A | PTE_D : PTE_A);
		rom_off(rom);
		flush();
		check_fault(peek32(WINDOW, NULL), NO_FAULT);
		check_eq(*entry(WINDOW, level) & (PTE_A | PTE_D), PTE_A);
		check_accesses(f);
		check_eq(*entry(WINDOW, level) & (PTE_A | PTE_D), level == 1 ? PTE_A | PTE_D : PTE_A);
	}
}

/* The first access of all is a write, then many: D stays clear, and each comes through. */
CASE(write_through_a_clean_leaf)
{
	u64 f = new_frame(), exits;
	pte_t *e = map_page(WINDOW, f, RWU);

	need_umbra();
	rom_on((ulong)e & ~(PAGE_SIZE - 1));
	check_fault(poke32(WINDOW, 1), NO_FAULT);
	exits = hypercall(HC_STAT_HIDDEN_FAULTS, 0, 0, 0, 0);
	for (u32 i = 0; i < 100; i++) {
		check_fault(poke32(WINDOW, i), NO_FAULT);
		check_eq(*mem32(f), i);
	}
	verbose("%u hidden faults for 100 writes", hypercall(HC_STAT_HIDDEN_FAULTS, 0, 0, 0, 0) - (u32)exits);
	check_eq(*e & (PTE_A | PTE_D), 0);
}

CASE(large_leaf_in_rom)
{
	u64 large = tagged_large(2), rom;
	pte_t *e, was;

	need_umbra();
	need_large();
	e = map_large(WINDOW, large, RWU);
	was = *e;
	rom = table_at(2);
	rom_on(rom);
	check_pieces(WINDOW, 2);
	for (u32 i = 0; i < PIECES; i += 50)
		check_fault(user_poke32(WINDOW + i * PAGE_SIZE, i), NO_FAULT);
	for (u32 i = 0; i < PIECES; i += 50)
		check_eq(*mem32(large + i * PAGE_SIZE), i);
	check_eq(*e, was);
	rom_off(rom);
	flush();
	check_fault(user_poke32(WINDOW, 1), NO_FAULT);
	check_eq(*e, was | PTE_A | PTE_D);
}

/* Edits of a table in ROM change nothing, whoever writes them; those of the time after do. */
CASE(edits_vanish)
{
	u64 a = tagged(1), b = tagged(2), table, via;
	pte_t *e = map_page(WINDOW, a, RWU);

	need_umbra();
	check_eq(tag_at(WINDOW), 1);
	table = table_at(1);
	via = WINDOW + LARGE_SIZE;
	map_page(via, table, RW);
	rom_on(table);
	for (u32 i = 0; i < 2; i++) {
		set_entry(e, b | RWU);
		set_entry(e + 1, b | RWU);
		check_fault(poke_entry(via, b | RWU), NO_FAULT);
		for (u32 k = 0; k < nwriters; k++)
			if (writer_usable(writers + k) && !(writers[k].flags & WRITER_LOOSE))
				write_by(writers + k, via, b | RWU);
		check_eq(pte_gpa(*e), a);
		check_eq(e[1], 0);
		flush();
		check_eq(tag_at(WINDOW), 1);
		check_fault(peek32(WINDOW + PAGE_SIZE, NULL), PF(0, WINDOW + PAGE_SIZE));
	}
	rom_off(table);
	set_entry(e, b | RWU);
	set_entry(e + 1, a | RWU);
	invlpg(WINDOW);
	check_eq(tag_at(WINDOW), 2);
	check_eq(tag_at(WINDOW + PAGE_SIZE), 1);
	check(e[1] & PTE_A);
}

/* It lags when it becomes ROM: what was written before counts, also what was not flushed yet. */
CASE(unflushed_table_becomes_rom)
{
	u64 a = tagged(1), b = tagged(2);
	pte_t *e = map_page(WINDOW, a, RWU);

	need_umbra();
	for (u32 i = 0; i < 16; i++) {
		set_entry(e + i, a | RWU);
		check_eq(tag_at(WINDOW + i * PAGE_SIZE), 1);
	}
	for (u32 i = 0; i < 16; i++)
		set_entry(e + i, b | RWU);
	rom_on(table_at(1));
	for (u32 i = 0; i < 8; i++)
		set_entry(e + i, 0); /* too late */
	flush();
	for (u32 i = 0; i < 16; i++)
		check_eq(tag_at(WINDOW + i * PAGE_SIZE), 2);
	for (u32 i = 0; i < 16; i++)
		check_fault(poke32(WINDOW + i * PAGE_SIZE, i), NO_FAULT);
	check(!(*e & PTE_D));
}
#endif
