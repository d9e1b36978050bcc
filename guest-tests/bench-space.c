/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What shadows and the reverse map cost in memory (full, sparse and shared
 * tables, large pages), and what an exit costs when there are many of them.
 */
#include "bench.h"

#define FAR (64 * MIB) /* frames beyond the identity map: mem=128 */
#define FULL 16384u

static void need_far(u32 mib)
{
	if (under_umbra() && !(hypercall(HC_FRAME_INFO, (u32)((FAR + mib * MIB) >> 12) - 1, 0, 0, 0) & HC_FRAME_PRESENT))
		skip("the guest has too little memory");
}

static u32 tables_of(u64 from)
{
	return (u32)((from - frames_left() * PAGE_SIZE) >> 12);
}

/* n pages, stride apart, over `frames` frames. */
static void fill(const char *name, u32 n, u64 stride, u32 frames, bool write)
{
	u64 left = frames_left() * PAGE_SIZE, root = current_root();

	need_far(64);
	begin();
	for (u32 i = 0; i < n; i++) {
		map_at(root, WINDOW + i * stride, FAR + i % frames * PAGE_SIZE, USED, 1);
		if (write)
			at8(WINDOW + i * stride) = i;
		else
			(void)at8(WINDOW + i * stride);
	}
	end(name, n);
	count_of(name, "guest_tables", tables_of(left));
}

CASE(full) { fill("full", FULL, PAGE_SIZE, FULL, true); }
CASE(full_read) { fill("full-read", FULL, PAGE_SIZE, FULL, false); }
CASE(sparse) { fill("sparse", 512, LARGE_SIZE, 512, true); }
CASE(shared) { fill("shared", FULL, PAGE_SIZE, 1, true); }
CASE(shared_8) { fill("shared-8", FULL, PAGE_SIZE, FULL / 8, true); }

/* A frame of so many mappings becomes a table. */
CASE(chain)
{
	u64 f = new_frame();

	for (u32 i = 0; i < 8192; i++) {
		map_page(WINDOW + i * PAGE_SIZE, f, USED);
		at8(WINDOW + i * PAGE_SIZE) = 0;
	}
	begin();
	link_table(current_root(), WINDOW + 0x20000000, 2, f);
	check_fault(peek8(WINDOW + 0x20000000, NULL), PF(0, WINDOW + 0x20000000));
	set_entry((pte_t *)(ulong)f, f | USED);
	check_fault(peek8(WINDOW + 0x20000000, NULL), NO_FAULT);
	end("chain", 1);
}

/* ---- large pages ------------------------------------------------------------------ */

#define LARGE 4u
#define WINDOW2 (WINDOW + 0x10000000)

static void touch(void)
{
	for (u32 i = 0; i < LARGE * PIECES; i++)
		at8(WINDOW + i * PAGE_SIZE) = 0;
}

static u64 map_some_large(void)
{
	u64 first = 0;

	need_large();
	for (u32 i = 0; i < LARGE; i++) {
		first = new_large();
		map_large(WINDOW + i * LARGE_SIZE, first, USED);
	}
	return first;
}

CASE(large)
{
	u64 last = map_some_large(), root = current_root();

	begin();
	touch();
	end("large-touch", LARGE * PIECES);
	touch();
	make_entry(WINDOW2, 2);
	begin();
	*(volatile pte_t *)(ulong)(WINDOW + (LARGE - 1) * LARGE_SIZE + 7 * PAGE_SIZE) = last | USED;
	link_table(root, WINDOW2, 2, last + 7 * PAGE_SIZE);
	check_fault(peek8(WINDOW2, NULL), NO_FAULT);
	end("large-becomes-table", 1);
	begin();
	touch();
	end("large-touch-again", LARGE * PIECES);
	begin();
	hypercall(HC_RELOCATE, (u32)(last >> 12) + 9, 0, 0, 0);
	end("large-relocate", 1);
	begin();
	touch();
	end("large-after", LARGE * PIECES);
}

/* ---- more shadow pages than any guest table asks for ------------------------------------ */

#define WIDE_TABLES 136u /* more than pool=64k */
#define WIDE (WIDE_TABLES * 512)
#define NOWHERE BIT(31) /* holes: what is read there does not matter */
#define REVOKED 64u
#define SEARCHED 4u /* with wprot=scan each is a search of the whole pool */

static u64 root_now;

static void fill_pool(void)
{
	u64 gpa = NOWHERE;

	for (u32 i = 0; i < WIDE; i++, gpa += LARGE_SIZE) {
		u64 va = WINDOW + (gpa - NOWHERE);

		map_at(root_now, va, gpa, USED | PTE_PS, 2);
		(void)at8(va + LARGE_SIZE - 1); /* the last entry of its shadow: a search goes all the way */
	}
}

/* Frames that the guest has written lately become tables; mapped once, or twice and so found by no guess. */
static void revoke(u64 va, u32 n, bool twice)
{
	for (u32 i = 0; i < n; i++, va += LARGE_SIZE) {
		pte_t *e = make_entry_in(root_now, va, 1);
		u64 table = (ulong)e & ~(PAGE_SIZE - 1), second = WINDOW - PAGE_SIZE;

		if (twice) {
			map_at(root_now, second, table, USED, 1);
			invlpg(second);
			at8(second) = 0;
		}
		set_entry(e, FAR | USED);
		(void)at8(va);
	}
}

static void reload(void)
{
	u64 other = new_space();

	for (u32 i = 0; i < REVOKED; i++)
		use_space(i & 1 ? root_now : other);
}

static void toggle(void)
{
	ulong cr4 = read_cr4();

	for (u32 i = 0; i < REVOKED; i++)
		write_cr4(cr4 ^= CR4_PGE);
}

static void other_types(void)
{
	u64 pat = 0;

	if (!cpu.pat)
		return;
	rdmsr(MSR_PAT, &pat);
	for (u32 i = 0; i < REVOKED; i++)
		wrmsr(MSR_PAT, i & 1 ? pat : pat ^ 0x0200000000000000ull);
}

static void relocate(void)
{
	u64 f = new_frame();

	for (u32 i = 0; i < SEARCHED; i++) {
		*mem32(f) = i;
		hypercall(HC_RELOCATE, (u32)(f >> 12), 0, 0, 0);
	}
}

/* With a full pool, whatever might take time in proportion to it. */
CASE(wide)
{
	u64 va = WINDOW - 128 * LARGE_SIZE;

	if (PT_LEVELS < 4)
		skip("the address space is too small");
	root_now = current_root();
	begin();
	fill_pool();
	end("wide-fill", WIDE);
	begin();
	revoke(va, REVOKED, false);
	end("wide-revoke", REVOKED);
	begin();
	revoke(va + REVOKED * LARGE_SIZE, SEARCHED, true);
	end("wide-revoke-twice", SEARCHED);
	begin();
	relocate();
	end("wide-relocate", SEARCHED);
	begin();
	reload();
	end("wide-reload", REVOKED);
	begin();
	toggle();
	end("wide-toggle", REVOKED);
	begin();
	other_types();
	end("wide-types", REVOKED);
	check_eq(*mem32(pte_gpa(*entry(va, 2))) & PTE_P, PTE_P);
}
