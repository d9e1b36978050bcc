/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of what was written, as live migration needs it: every frame that
 * changed is in it, whoever changed it, and no frame that nobody wrote to.  To
 * read it makes frames clean again.
 */
#include "host.h"

#define VECTOR 0x50
#define AD (PTE_A | PTE_D)

/* Nothing has been written to f since the last look; now, or not, it has. */
#define expect_clean(f) (log_collect(), check(!was_written(f)))
#define expect_dirty(f) (log_collect(), check(was_written(f)))

static void start_log(void)
{
	need_umbra();
	log_dirty(true);
}

CASE(written_is_logged_once)
{
	u64 f = new_frame(), g = new_frame(), h = new_frame();

	need_umbra();
	*mem32(f) = 1;
	start_log();
	log_collect();
	check(!was_written(f) && !was_written(g) && !was_written(h));
	for (u32 i = 0; i < 4; i++) {
		*mem32(f) = i;
		*mem32(h) = i;
		log_collect();
		check(was_written(f) && !was_written(g) && was_written(h));
		log_collect();
		check(!was_written(f) && !was_written(g) && !was_written(h));
	}
}

/* Bit i is frame + i; what is before or behind the sixteen stays in the log. */
CASE(bits_are_frames)
{
	u64 base;
	u32 got;

	need_umbra();
	base = new_frame();
	for (u32 i = 0; i < 48; i++)
		new_frame();
	start_log();
	log_collect();
	for (u32 i = 0; i < 48; i += 3)
		*mem32(base + i * PAGE_SIZE) = i;
	got = log_read(base + 16 * PAGE_SIZE);
	check_eq(got, 0x4924); /* 18, 21, 24, 27, 30 */
	check_eq(log_read(base + 16 * PAGE_SIZE), 0);
	check_eq(log_read(base), 0x9249);
	check_eq(log_read(base + 40 * PAGE_SIZE) & 0xff, 0x24); /* 42, 45 */
	check_eq(log_read(base + 32 * PAGE_SIZE), 0x0092); /* 33, 36, 39; 42 and 45 are clean again */
	check_eq(log_read(base + 32 * PAGE_SIZE), 0);
}

CASE(off_and_on_again)
{
	u64 f = new_frame(), va;

	need_umbra();
	for (u32 i = 0; i < 4; i++) {
		va = window_at(0, f, RW | AD);
		check_fault(poke32(va, 1), NO_FAULT);
		start_log();
		if (i & 1)
			check_fault(poke32(va, 2), NO_FAULT);
		if (i & 2)
			log_collect();
		log_dirty(false);
		check_fault(poke32(va, 3), NO_FAULT);
		start_log(); /* all is clean, it had been written or not */
		expect_clean(f);
		check_fault(poke32(va, 4), NO_FAULT);
		expect_dirty(f);
		check_fault(poke32(va, 5), NO_FAULT);
		expect_dirty(f);
		log_dirty(false);
	}
}

/* Reads, fetches, failed writes, moves. */
CASE(no_write_no_mark)
{
	u64 f = tagged(1), va;

	start_log();
	log_collect();
	va = window_at(0, f, RW | AD);
	check_eq(tag_at(va), 1);
	check_fault(fetch(va), NO_FAULT);
	if (PT_LEVELS)
		check_fault(user_poke32(va, 1), PF(PF_P | PF_W | PF_U, va));
	expect_clean(f);
	check_eq(tag_at(va), 1);
	check(relocate(f));
	check_eq(tag_at(va), 1);
	expect_clean(f);
	check_fault(poke32(va, 1), NO_FAULT); /* what was mapped for reading tells of the write */
	expect_dirty(f);
	check(relocate(f));
	check_fault(poke32(va, 1), NO_FAULT);
	check(relocate(f));
	expect_dirty(f);
}

CASE(rom_is_never_dirty)
{
	u64 f = tagged(1), va;

	start_log();
	log_collect();
	check(set_rom(f, true));
	va = window_at(0, f, RW | AD);
	for (u32 i = 0; i < nwriters; i++)
		if (writer_usable(writers + i) && !(writers[i].flags & WRITER_LOOSE))
			write_by(writers + i, va, 1);
	expect_clean(f);
	check(set_rom(f, false));
	expect_clean(f);
	check_fault(poke32(va, 1), NO_FAULT);
	expect_dirty(f);
}

/* Each way to write, at a page that was clean and mapped before. */
static void each_writer(u64 flags)
{
	u64 f = new_frame(), g = new_frame();

	start_log();
	window_at(1, g, flags);
	for (u32 i = 0; i < nwriters; i++) {
		u64 va = window_at(0, f, flags);

		if (!writer_usable(writers + i))
			continue;
		fill_pattern(f, i);
		fill_pattern(g, i);
		log_collect();
		check_fault(peek32(va, NULL), NO_FAULT);
		expect_clean(f);
		write_by(writers + i, va, 0x87654321);
		log_collect();
		if (!was_written(f))
			fail("%s: not logged%s", writers[i].name, same_frames(f, g) ? ", not done either" : "");
		check(!was_written(g));
		write_by(writers + i, va, 0x12345678);
		log_collect();
		if (!was_written(f))
			fail("%s: not logged a second time", writers[i].name);
	}
}

CASE(each_way_to_write) { each_writer(RW | AD); }

/* A store over a boundary is a write to both pages, and to neither when it faults. */
CASE(across_pages)
{
	u64 f = new_frame(), g = new_frame(), va;

	start_log();
	va = window_at(0, f, RW | AD);
	window_at(1, g, RW | AD);
	log_collect();
	check_fault(poke32(va + PAGE_SIZE - 2, 1), NO_FAULT);
	log_collect();
	check(was_written(f) && was_written(g));
#if PT_LEVELS
	set_entry(entry(va + PAGE_SIZE, 1), g | PTE_P | AD);
	invlpg(va + PAGE_SIZE);
	log_collect();
	check_fault(poke32(va + PAGE_SIZE - 2, 1), PF(PF_P | PF_W, va + PAGE_SIZE));
	log_collect();
	check(!was_written(g)); /* f may be: some write what fits */
#endif
}

/* IDT, GDT, TSS and stacks: the frames of an event, the accessed and busy bits. */
USER_CODE INSN(user_int, "int $0x50")

CASE(events)
{
	u64 tables = new_frame(), stack = new_frame();

	start_log();
	memcpy(mem8(tables), gdt, GDT_ENTRIES * 8);
	load_gdt(tables, GDT_ENTRIES * 8 - 1);
	mem64(tables)[SEL_UDATA / 8] &= ~BIT(40);
	log_collect();
	asm volatile("mov %w0, %%fs" : : "r"(SEL_UDATA));
	expect_dirty(tables);
	asm volatile("mov %w0, %%fs" : : "r"(SEL_UDATA));
	expect_clean(tables); /* nothing to set any more */
	mem64(tables)[SEL_TSS / 8] &= ~BIT(41);
	log_collect();
	asm volatile("ltr %w0" : : "r"(SEL_TSS));
	expect_dirty(tables);
	*(ulong *)(tss + TSS_SP0) = stack + PAGE_SIZE;
	set_gate(idt + VECTOR * GATE_SIZE, (ulong)vectors + VECTOR * 16, SEL_KCODE, 0xee, 0);
	log_collect();
	check_fault(user_try(user_int, 0, 0, NULL), FAULT(VECTOR));
	expect_dirty(stack);
	expect_clean(stack);
}

/*
 * Migration: all of memory is summed up in rounds.  A frame that was clean in the round before and
 * is in this one holds what it held, the test's own image and tables among them.
 */
#define FRAMES (RAM_END / PAGE_SIZE)
#define ROUNDS 4

static u32 sum[FRAMES];
static u8 before[FRAMES], changed[FRAMES], quiet[FRAMES];

static bool is_hole(u64 gpa) { return gpa >= 0xa0000 && gpa < MIB; }

static void sum_all(void)
{
	for (u32 i = 0; i < FRAMES; i++) {
		u32 s = is_hole(i * PAGE_SIZE) ? 0 : frame_sum(i * PAGE_SIZE);

		changed[i] = s != sum[i];
		sum[i] = s;
	}
}

static void work(u64 first, u32 frames, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		u64 f = first + (random32() % frames) * PAGE_SIZE, va = window_at(i % 8, f, RWU);

		check_fault(i & 1 ? poke32(va + 4 * i, i) : user_poke32(va + 4 * i, i), NO_FAULT);
	}
}

CASE(rounds_of_migration)
{
	u64 first = new_frame();
	u32 busy = 0, wrong = 0;

	for (u32 i = 0; i < 63; i++)
		new_frame();
	start_log();
	for (u32 round = 0; round < ROUNDS; round++) {
		work(first, 64, 40 >> round);
		log_collect_all();
		for (u32 i = 0; i < FRAMES; i++) {
			bool dirty = was_written(i * PAGE_SIZE);

			wrong += round > 1 && !before[i] && !dirty && changed[i];
			quiet[i] = !before[i] && !dirty;
			before[i] = dirty;
			busy += dirty;
		}
		sum_all();
	}
	check_eq(wrong, 0);
	check(busy < ROUNDS * 200); /* 64, the image and tables */
	for (u64 f = arena_end - MIB; f < arena_end; f += PAGE_SIZE)
		check(quiet[f >> 12]);
}

#if PT_LEVELS
CASE(each_way_to_write_without_wp)
{
	check_fault(write_cr0(default_cr0 & ~CR0_WP), NO_FAULT);
	each_writer(PTE_P | PTE_A);
}

CASE(user_writes)
{
	u64 f = new_frame(), va;

	start_log();
	va = window_at(0, f, RWU | AD);
	for (u32 i = 0; i < 3; i++) {
		check_fault(user_peek32(va, NULL), NO_FAULT);
		expect_clean(f);
		check_fault(user_poke8(va, 1), NO_FAULT);
		expect_dirty(f);
	}
}

/* Two mappings of a frame; the one that is clean of D, or read-only, is no way around the log. */
CASE(aliases)
{
	u64 f = new_frame();

	start_log();
	map_page(WINDOW, f, RW | AD);
	map_page(WINDOW + PAGE_SIZE, f, RW);
	map_page(WINDOW + 2 * PAGE_SIZE, f, PTE_P);
	for (u32 i = 0; i < 12; i++) {
		u64 va = WINDOW + i % 2 * PAGE_SIZE;

		for (u32 k = 0; k < 3; k++)
			check_fault(peek32(WINDOW + k * PAGE_SIZE, NULL), NO_FAULT);
		expect_clean(f);
		check_fault(poke32(WINDOW + 2 * PAGE_SIZE, i), PF(PF_P | PF_W, WINDOW + 2 * PAGE_SIZE));
		expect_clean(f);
		check_fault(poke32(va, i), NO_FAULT);
		expect_dirty(f);
	}
}

/* Of a large page only the pieces that are written. */
CASE(pieces_of_a_large_page)
{
	u64 large = tagged_large(1);

	need_umbra();
	need_large();
	map_large(WINDOW, large, RW | AD);
	for (u32 i = 0; i < PIECES; i += 16)
		check_fault(poke32(WINDOW + i * PAGE_SIZE, RET), NO_FAULT);
	start_log();
	log_collect_all();
	for (u32 round = 0; round < 3; round++) {
		for (u32 i = 0; i < PIECES; i += 5 + round)
			check_fault(poke32(WINDOW + i * PAGE_SIZE, round), NO_FAULT);
		check_fault(peek32(WINDOW + (PIECES - 1) * PAGE_SIZE, NULL), NO_FAULT);
		log_collect_all();
		for (u32 i = 0; i < PIECES; i++)
			if (was_written(large + i * PAGE_SIZE) != (i % (5 + round) == 0))
				fail("round %u: piece %u", round, i);
	}
	log_dirty(false); /* whole again, perhaps */
	check_fault(poke32(WINDOW, 0), NO_FAULT);
	start_log();
	check_fault(poke32(WINDOW + 9 * PAGE_SIZE, 1), NO_FAULT);
	log_collect_all();
	check(was_written(large + 9 * PAGE_SIZE) && !was_written(large) && !was_written(large + 8 * PAGE_SIZE));
}
#endif
