/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses behind which there is nothing: they read as ones and swallow writes,
 * as on a bus where nobody answers.
 */
#include "host.h"

static bool is_present(u64 f) { return frame_info(f) & HC_FRAME_PRESENT; }

/* Where devices pass through, they are what answers there. */
static void need_holes(void)
{
	u32 r[4];

	need_umbra();
	cpuid(UMBRA_CPUID_BASE + 1, 0, r);
	if (r[1] & UMBRA_FEATURE_DEVICES)
		skip("the machine's devices may be there");
}

static const u64 holes[] = { 0xa0000, 0xc8000, 0xff000, RAM_END, RAM_END + 5 * PAGE_SIZE, 0x7ffff000, 0xfed10000 };

CASE(holes_read_as_ones)
{
	need_holes();
	for (u32 i = 0; i < ARRAY_SIZE(holes); i++) {
		u64 va = window_at(0, holes[i], RW);
		u32 v = 0;

		check(!is_present(holes[i]));
		for (u32 k = 0; k < 2; k++) {
			check_fault(peek32(va + 0x800, &v), NO_FAULT);
			check_eq(v, ~0u);
			check_fault(poke32(va + 0x800, 0x1234), NO_FAULT);
			check_fault(peek32(va + 0x800, &v), NO_FAULT);
			check_eq(v, ~0u);
		}
		check(!is_present(holes[i]));
	}
}

CASE(holes_swallow_each_writer)
{
	u64 plain = new_frame(), va = 0;

	need_holes();
	for (u32 i = 0; i < nwriters; i++) {
		ulong want, got;

		if (!writer_usable(writers + i) || writers[i].flags & WRITER_LOOSE)
			continue; /* nobody comes back from a handler whose stack is not there */
		memset(mem8(plain), 0xff, PAGE_SIZE);
		want = write_by(writers + i, window_at(0, plain, RW), 0x87654321);
		va = window_at(0, RAM_END + PAGE_SIZE, RW);
		got = write_by(writers + i, va, 0x87654321);
		if (want != got)
			fail("%s: result %lx, want %lx", writers[i].name, got, want);
		for (u32 k = 0; k < PAGE_SIZE; k += 4) {
			u32 v = 0;

			if (k >= 0x40 && k < 0x7e0)
				continue;
			if (faulted(peek32(va + k, &v)) || v != ~0u) {
				fail("%s: %x at %x", writers[i].name, v, k);
				break;
			}
		}
	}
}

/* The last word of RAM and the first behind it, in one access. */
CASE(half_in_ram)
{
	u64 last = RAM_END - PAGE_SIZE, va;
	ulong di, count = 8, old = 0x01010101;
	u32 v = 0;

	need_holes();
	if (arena_end < RAM_END)
		skip("the last frame is not the test's");
	va = window_at(0, last, RW) + PAGE_SIZE;
	window_at(1, RAM_END, RW);
	di = va - 16;
	*mem32(last + PAGE_SIZE - 4) = 0x44332211;
	check_fault(peek32(va - 2, &v), NO_FAULT);
	check_eq(v, 0xffff4433);
	check_fault(poke32(va - 2, 0x88776655), NO_FAULT);
	check_fault(peek32(va - 2, &v), NO_FAULT);
	check_eq(v, 0xffff6655);
	asm volatile("lock xaddl %k0, (%1)" : "+r"(old) : "r"((ulong)va - 2) : "memory", "cc");
	check_eq((u32)old, 0xffff6655);
	check_eq(*mem32(last + PAGE_SIZE - 4), 0x67562211);
	asm volatile("rep stosl" : "+D"(di), "+c"(count) : "a"(0x99999999) : "memory");
	check_eq(*mem32(last + PAGE_SIZE - 4), 0x99999999);
	check_fault(peek32(va, &v), NO_FAULT);
	check_eq(v, ~0u);
}

#if PT_LEVELS
/* One entry over RAM, the hole below 1 MiB and RAM again. */
CASE(large_page_over_a_hole)
{
	u64 below = 0x9f000, ram = MIB; /* the image: read, not written */
	u32 v = 0;

	need_holes();
	need_large();
	map_large(WINDOW, 0, RW);
	for (u32 i = 0; i < 2; i++) {
		for (u64 hole = 0xa0000; hole < MIB; hole += 0x8000) {
			check_fault(poke32(WINDOW + hole, 1), NO_FAULT);
			check_fault(peek32(WINDOW + hole, &v), NO_FAULT);
			check_eq(v, ~0u);
		}
		check_fault(peek32(WINDOW + ram, &v), NO_FAULT);
		check_eq(v, *mem32(ram));
		check_fault(poke32(WINDOW + below - PAGE_SIZE, 7 + i), NO_FAULT);
		check_eq(*mem32(below - PAGE_SIZE), 7 + i);
		check(!is_present(0xa0000) && is_present(below - PAGE_SIZE));
	}
}

CASE(large_page_behind_ram)
{
	u32 v = 0;

	need_holes();
	need_large();
	map_large(WINDOW, RAM_END, RWU);
	for (u32 i = 0; i < PIECES; i += 61) {
		check_fault(poke32(WINDOW + i * PAGE_SIZE, i), NO_FAULT);
		check_fault(user_peek32(WINDOW + i * PAGE_SIZE, &v), NO_FAULT);
		check_eq(v, ~0u);
	}
}
#endif
