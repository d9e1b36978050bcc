/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What shadows and the reverse map cost in memory (full, sparse and shared
 * tables, large pages), and what an exit costs when there are many of them.
 */
#include "bench.h"

#define FAR (64 * MIB) /* frames beyond the identity map: mem=128 */
#define FULL 8192u

static void need_far(u32 mib)
{
	if (under_umbra() && hypercall(HC_FRAME_INFO, (u32)((FAR + mib * MIB) >> 12) - 1, 0, 0, 0) == 0)
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

	need_far(32);
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

	for (u32 i = 0; i < FULL; i++) {
		map_page(WINDOW + i * PAGE_SIZE, f, USED);
		at8(WINDOW + i * PAGE_SIZE) = 0;
	}
	begin();
	link_table(current_root(), WINDOW + 0x20000000, 2, f);
	check_fault(peek8(WINDOW + 0x20000000, NULL), PF(0, WINDOW + 0x20000000));
	set_entry((pte_t *)(ulong)f, f | USED);
	check_fault(peek8(WINDOW + 0x20000000, NULL), NO_FAULT);
	end("chain", FULL);
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

#define WIDE_TABLES 120u
#define NOWHERE BIT(31) /* holes: what is read there does not matter */
#define REVOKED 64u

static void map_wide(u32 tables)
{
	u64 gpa = NOWHERE, root = current_root();

	for (u32 t = 0; t < tables; t++)
		for (u32 i = 0; i < 512; i++, gpa += LARGE_SIZE) {
			u64 va = WINDOW + (gpa - NOWHERE);

			map_at(root, va, gpa, USED | PTE_PS, 2);
			(void)at8(va + LARGE_SIZE - 1); /* the last entry of its shadow: a search goes all the way */
		}
}

static void need_wide(void)
{
	if (PT_LEVELS < 4)
		skip("the address space is too small");
}

static void wide(const char *name, void (*work)(void))
{
	need_wide();
	map_wide(WIDE_TABLES);
	begin();
	work();
	end(name, REVOKED);
}

/* Frames that the guest has written lately become tables. */
static void revoke(void)
{
	u64 root = current_root(), va = WINDOW - REVOKED * LARGE_SIZE;

	for (u32 i = 0; i < REVOKED; i++, va += LARGE_SIZE) {
		set_entry(make_entry_in(root, va, 1), FAR | USED); /* a new frame, zeroed just now */
		(void)at8(va);
	}
}

static void reload(void)
{
	u64 root = current_root(), other = new_space();

	for (u32 i = 0; i < REVOKED; i++)
		use_space(i & 1 ? root : other);
}

static void toggle(void)
{
	for (u32 i = 0; i < REVOKED; i++)
		write_cr4(read_cr4() ^ CR4_PGE);
}

static void other_types(void)
{
	u64 pat;

	if (!cpu.pat)
		skip("no PAT");
	rdmsr(MSR_PAT, &pat);
	for (u32 i = 0; i < REVOKED; i++)
		wrmsr(MSR_PAT, i & 1 ? pat : pat ^ 0x0200000000000000ull);
}

static void relocate(void)
{
	u64 f = new_frame();

	for (u32 i = 0; i < REVOKED; i++) {
		*mem32(f) = i;
		hypercall(HC_RELOCATE, (u32)(f >> 12), 0, 0, 0);
	}
}

CASE(wide_fill)
{
	need_wide();
	begin();
	map_wide(WIDE_TABLES);
	end("wide-fill", WIDE_TABLES * 512);
}

CASE(wide_revoke) { wide("wide-revoke", revoke); }
CASE(wide_reload) { wide("wide-reload", reload); }
CASE(wide_toggle) { wide("wide-toggle", toggle); }
CASE(wide_types) { wide("wide-types", other_types); }
CASE(wide_relocate) { wide("wide-relocate", relocate); }
