/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that a hypervisor need not have before it is touched (p2m=sparse; all of
 * this holds for any other memory too): frames of zeros, whoever touches them first.
 */
#include "host.h"

#define VECTOR 0x50

/* Frames that nobody has touched since the guest began: the arena's upper part, a new one each time. */
static u64 next_fresh;

static u64 fresh_run(u32 frames)
{
	u64 f;

	need_umbra();
	if (!next_fresh)
		next_fresh = arena_end - 8 * MIB;
	f = next_fresh;
	next_fresh += frames * PAGE_SIZE;
	if (next_fresh > arena_end) {
		fail("out of fresh frames");
		end_case();
	}
	return f;
}

static u64 fresh(void) { return fresh_run(1); }

static bool is_present(u64 f) { return frame_info(f) & HC_FRAME_PRESENT; }

/* Do frames come when they are touched?  What others do to memory meanwhile may bring a few. */
static bool is_sparse(void)
{
	static int known = -1;

	if (known < 0) {
		u64 f = fresh_run(16);
		u32 present = 0;

		for (u32 i = 0; i < 16; i++)
			present += is_present(f + i * PAGE_SIZE);
		known = present <= 8;
		note("%s", known ? "frames come when they are touched" : "all frames are there");
	}
	return known;
}

static bool is_zero(u64 f)
{
	for (u32 i = 0; i < PAGE_SIZE / 4; i++)
		if (mem32(f)[i])
			return false;
	return true;
}

/* Of 32 frames the middle one is touched by fn: it comes, its neighbours stay away. */
static u64 touched_alone(void (*fn)(u64 f, u64 va), u64 flags)
{
	u64 run = fresh_run(32), f = run + 16 * PAGE_SIZE;
	u32 others = 0;

	is_sparse();
	fn(f, window_at(0, f, flags));
	check(is_present(f));
	for (u32 i = 0; i < 32; i++)
		others += i != 16 && is_present(run + i * PAGE_SIZE);
	if (is_sparse())
		check(others <= 4);
	else
		check_eq(others, 31);
	return f;
}

static void read(u64 f, u64 va)
{
	u32 v = 1;

	(void)f;
	check_fault(peek32(va + 0x7f8, &v), NO_FAULT);
	check_eq(v, 0);
}

static void write(u64 f, u64 va)
{
	check_fault(poke32(va + 0x7f8, 0x1234), NO_FAULT);
	check_eq(mem32(f)[0x7f8 / 4], 0x1234);
	mem32(f)[0x7f8 / 4] = 0;
}

CASE(first_touch_reads) { check(is_zero(touched_alone(read, RW))); }
CASE(first_touch_writes) { check(is_zero(touched_alone(write, RW))); }

CASE(asking_does_not_touch)
{
	u64 f = fresh_run(64);
	u32 present = 0;

	for (u32 i = 0; i < 640; i++)
		present += is_present(f + i % 64 * PAGE_SIZE);
	if (is_sparse())
		check(present < 320);
	check(is_zero(f));
	check(is_present(f));
}

/* Each way to write, into a frame that is not there. */
CASE(first_touch_by_each_writer)
{
	u64 plain = new_frame();

	need_umbra();
	for (u32 i = 0; i < nwriters; i++) {
		u64 f = fresh();
		ulong want, got;

		if (!writer_usable(writers + i))
			continue;
		memset(mem8(plain), 0, PAGE_SIZE);
		want = write_by(writers + i, window_at(0, plain, RW), 0x87654321);
		got = write_by(writers + i, window_at(0, f, RW), 0x87654321);
		if (writers[i].flags & WRITER_LOOSE ? is_zero(f) : want != got || !same_frames(f, plain))
			fail("%s: result %lx, want %lx, or not what it writes to a frame of zeros", writers[i].name, got, want);
	}
}

/* A string over frames none of which is there, from others that are not. */
CASE(strings_over_many)
{
	u64 f = fresh_run(8), g = fresh_run(8);
	ulong si = f + 0x800, di = g + 0x7f0, count = 6 * PAGE_SIZE / 4;

	asm volatile("rep movsl" : "+S"(si), "+D"(di), "+c"(count) : : "memory");
	check_eq(count, 0);
	for (u32 i = 0; i < 7; i++)
		check(is_zero(f + i * PAGE_SIZE) && is_zero(g + i * PAGE_SIZE));
	di = fresh_run(4) + 4;
	count = 3 * PAGE_SIZE / 4;
	asm volatile("rep stosl" : "+D"(di), "+c"(count) : "a"(7) : "memory");
	check_eq(*mem32(di - 4), 7);
	check_eq(*mem32(di), 0);
	check_eq(*mem32(di - 3 * PAGE_SIZE), 7);
	check_eq(*mem32(di - 3 * PAGE_SIZE - 4), 0);
}

CASE(first_touch_across_a_page)
{
	u64 f = fresh_run(2), va = window_at(0, f, RW);
	u32 v = 1;

	window_at(1, f + PAGE_SIZE, RW);
	check_fault(peek32(va + PAGE_SIZE - 1, &v), NO_FAULT);
	check_eq(v, 0);
	f = fresh_run(2);
	va = window_at(0, f, RW);
	window_at(1, f + PAGE_SIZE, RW);
	check_fault(poke32(va + PAGE_SIZE - 3, 0x44332211), NO_FAULT);
	check_eq(*mem32(f + PAGE_SIZE - 4), 0x33221100);
	check_eq(*mem32(f + PAGE_SIZE), 0x44);
}

/* Frames of events, the descriptors and gates that they need. */
USER_CODE INSN(user_int, "int $0x50")

CASE(first_touch_by_an_event)
{
	u64 stack = fresh_run(2), empty = fresh();

	set_gate(idt + VECTOR * GATE_SIZE, (ulong)vectors + VECTOR * 16, SEL_KCODE, 0xee, 0);
	*(ulong *)(tss + TSS_SP0) = stack + PAGE_SIZE + 4 * sizeof(ulong); /* half in each */
	hook(VECTOR, hook_record);
	check_fault(user_try(user_int, 0, 0, NULL), FAULT(VECTOR));
	check_eq(hook_regs.cs, SEL_UCODE);
	check(!is_zero(stack) && !is_zero(stack + PAGE_SIZE));
	check_fault(implicit_load(window_at(0, empty, RW) + 8), FAULT_ERR(VEC_GP, 0xc)); /* a descriptor of zeros */
}

/* Log-dirty: a frame that came by a read is as clean as one that is not there. */
CASE(first_touch_and_the_log)
{
	u64 f = fresh(), g = fresh(), h = fresh();

	log_dirty(true);
	log_collect_all();
	check(!was_written(f) && !was_written(g) && !was_written(h));
	check_eq(*mem32(f), 0);
	*mem32(g) = 1;
	log_collect_all();
	check(!was_written(f) && was_written(g) && !was_written(h));
}

CASE(first_touch_by_the_host)
{
	u64 f = fresh(), g = fresh(), r = fresh();

	check(relocate(f));
	check(is_zero(f));
	check(share(g, f));
	*mem32(f) = 1;
	check(is_zero(g));
	check(set_rom(r, true));
	*mem32(r) = 1;
	check(is_zero(r));
	check(set_rom(r, false));
	*mem32(r) = 1;
	check_eq(*mem32(r), 1);
}

#if PT_LEVELS
static void fetch_it(u64 f, u64 va)
{
	hook(VEC_PF, hook_record);
	(void)f;
	(void)va;
	fetch(va + 0x10); /* ADD [EAX], AL, over and over, to the page's end */
	hook(VEC_PF, NULL);
}

/* A page of zeros is code: it runs up to its end, where nothing is mapped, or to a fault of its own. */
CASE(first_touch_fetches) { touched_alone(fetch_it, RW); }

static void by_user(u64 f, u64 va)
{
	check_fault(user_poke8(va + 0xfff, 1), NO_FAULT);
	check_eq(mem8(f)[0xfff], 1);
}

CASE(first_touch_at_cpl_3) { touched_alone(by_user, RWU); }

/* At each level: nothing is mapped by a table of zeros, and it can be filled; A is set in the new frame. */
CASE(first_touch_as_a_table)
{
	u64 f = tagged(1);

	need_umbra();
	for (int level = 1; level < PT_LEVELS; level++)
		for (u32 written = 0; written < 2; written++) {
			u64 va = WINDOW + (u64)level * 4 * LARGE_SIZE + written * LARGE_SIZE, t = fresh();
			pte_t *up;

			if (PT_LEVELS == 3 && level == 2)
				va = WINDOW + HUGE_SIZE * (1 + written);
			else if (level > 1)
				va = WINDOW + (written + 1) * level_size(level + 1);
			up = make_entry(va, level + 1);
			if (level + 1 == PT_LEVELS && PT_LEVELS > 3 && va >= WINDOW_END)
				continue;
			set_entry(up, t | (is_pdpte(level + 1) ? PTE_P : TABLE_FLAGS));
			flush();
			if (!written)
				check_fault(peek32(va, NULL), PF(0, va));
			map_page(va, f, RWU);
			check_eq(tag_at(va), 1);
			check_eq(pte_gpa(*entry(va, level + 1)), t);
			check(*entry(va, level) & PTE_A);
		}
}

/* An address space that is not there. */
CASE(first_touch_as_a_root)
{
	u64 home = current_root(), root = fresh(), f = tagged(1);

	memcpy(mem8(root), mem8(home), PAGE_SIZE); /* the stores are the first touch: next, it is CR3 */
	use_space(root);
	map_page(WINDOW, f, RW);
	check_eq(tag_at(WINDOW), 1);
	use_space(home);
}

/* 2 or 4 MiB in one entry: frames come one by one. */
CASE(pieces_of_a_large_page)
{
	static u64 large;
	u32 present = 0, touched = 0;
	const u32 step = 37;

	need_umbra();
	need_large();
	is_sparse();
	if (!large)
		large = (fresh_run(2 * 4 * MIB / PAGE_SIZE - 600) + 4 * MIB - 1) & ~(4 * MIB - 1);
	map_large(WINDOW, large, RW);
	for (u32 i = 0; i < PIECES; i += step, touched++) {
		u32 v = 1;

		check_fault(peek32(WINDOW + i * PAGE_SIZE, &v), NO_FAULT);
		check_eq(v, 0);
		check_fault(poke32(WINDOW + i * PAGE_SIZE + 4, i), NO_FAULT);
	}
	for (u32 i = 0; i < PIECES; i++)
		present += is_present(large + i * PAGE_SIZE);
	if (is_sparse())
		check(present >= touched && present < touched + PIECES / 4);
	else
		check_eq(present, PIECES);
	for (u32 i = 0; i < PIECES; i++)
		check_eq(mem32(large + i * PAGE_SIZE)[1], i % step ? 0 : i);
}
#endif
