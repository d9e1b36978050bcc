/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the host does to a running guest, and what the guest sees of the shadows:
 * relocation, log-dirty rounds, shared frames, A and D, genuine faults, colours.
 */
#include "bench.h"

#define PAGES 512u

static u64 frame[PAGES], root_now; /* the frames of new_frame() lie in a row */

static u64 va_of(u32 i)
{
	return WINDOW + i * PAGE_SIZE;
}

static volatile u32 *word(u32 i)
{
	return (volatile u32 *)(ulong)va_of(i);
}

static u32 gfn(u64 gpa)
{
	return (u32)(gpa >> 12);
}

static pte_t *entry_of(u32 i)
{
	return entry_in(root_now, va_of(i), 1);
}

static u64 table_of(u32 i)
{
	return (ulong)entry_of(i) & ~(PAGE_SIZE - 1);
}

static void make_pages(u64 flags)
{
	root_now = current_root();
	for (u32 i = 0; i < PAGES; i++)
		frame[i] = new_frame();
	for (u32 i = 0; i < PAGES; i++)
		map_page(va_of(i), frame[i], flags);
}

static void need_hypercall(u32 nr, u32 a, u32 b)
{
	if (hypercall(nr, a, b, 0, 0) == HC_ENOSYS)
		skip("no such hypercall here");
}

/* ---- relocation while the guest works: its pages, its tables ------------------------ */

static u32 any_frame(u32 r)
{
	return gfn(r >> 28 ? frame[r % PAGES] : (ulong)entry_in(root_now, WINDOW, r % PT_LEVELS + 1));
}

static void work(const char *name, bool moving)
{
	u32 wrong = 0;

	make_pages(USED);
	for (u32 i = 0; i < PAGES; i++)
		*word(i) = i;
	begin();
	for (u32 n = 0; n < 2048; n++) {
		u32 r = random32(), i = (r >> 8) % PAGES;

		if (moving)
			hypercall(HC_RELOCATE, any_frame(r), 0, 0, 0);
		if (!(n % 4)) { /* out and in again */
			set_entry(entry_of(i), 0);
			invlpg(va_of(i));
			set_entry(entry_of(i), frame[i] | USED);
		}
		wrong += *word(i) % PAGES != i;
		*word(i) += PAGES;
	}
	end(name, 2048);
	count_of(name, "wrong", wrong);
	check_eq(wrong, 0);
}

CASE(unmoved) { work("unmoved", false); }
CASE(moved) { work("moved", true); }

/* ---- log-dirty rounds ------------------------------------------------------------------ */

#define ROUNDS 8u
#define WRITTEN 64u

static bool written[PAGES];

static void write_some(void)
{
	for (u32 n = 0; n < WRITTEN; n++) {
		u32 r = random32(), i = r % PAGES;

		written[i] = true;
		*word(i) = n;
		if (!(n % 8)) { /* A and D are the processor's to set again */
			i = (r >> 16) % PAGES;
			set_entry(entry_of(i), *entry_of(i) & ~(PTE_A | PTE_D));
			invlpg(va_of(i));
		}
	}
}

static void compare(u32 *missing, u32 *extra)
{
	u32 bits = 0;

	for (u32 i = 0; i < PAGES; i++) {
		if (!(i % 16))
			bits = hypercall(HC_LOG_READ, gfn(frame[i]), 0, 0, 0);
		*missing += written[i] && !(bits & 1);
		*extra += !written[i] && bits & 1;
		bits >>= 1;
		written[i] = false;
	}
	*missing += !(hypercall(HC_LOG_READ, gfn(table_of(0)), 0, 0, 0) & 1);
}

static void log_rounds(const char *name, bool log)
{
	u32 missing = 0, extra = 0;

	make_pages(USED);
	for (u32 i = 0; i < PAGES; i++)
		*word(i) = i;
	if (log)
		need_hypercall(HC_LOG_DIRTY, 1, 0);
	begin();
	for (u32 round = 0; round < ROUNDS; round++) {
		write_some();
		if (log)
			compare(&missing, &extra);
	}
	end(name, ROUNDS * WRITTEN);
	if (log)
		hypercall(HC_LOG_DIRTY, 0, 0, 0, 0);
	count_of(name, "missing", missing);
	count_of(name, "extra", extra);
	if (under_umbra())
		check_eq(missing, 0);
}

CASE(log_off) { log_rounds("log-off", false); }
CASE(log_dirty) { log_rounds("log-dirty", true); }

/* ---- two pages on one frame ------------------------------------------------------------- */

CASE(share)
{
	u32 shared = 0, wrong = 0;

	make_pages(USED);
	need_hypercall(HC_SHARE, gfn(frame[0]), gfn(frame[1]));
	for (u32 i = 2; i < PAGES; i += 2)
		hypercall(HC_SHARE, gfn(frame[i]), gfn(frame[i + 1]), 0, 0);
	for (u32 i = 0; i < PAGES; i++)
		shared += under_umbra() && hypercall(HC_FRAME_INFO, gfn(frame[i]), 0, 0, 0) & HC_FRAME_SHARED;
	begin();
	for (u32 i = 0; i < PAGES; i++)
		wrong += *word(i) != 0;
	end("share-read", PAGES);
	begin();
	for (u32 i = 0; i < PAGES; i += 2)
		*word(i) = i + 1;
	end("share-break", PAGES / 2);
	for (u32 i = 0; i < PAGES; i++)
		wrong += *word(i) != (i & 1 ? 0 : i + 1);
	count_of("share-break", "shared", shared);
	count_of("share-break", "wrong", wrong);
	check_eq(wrong, 0);
}

/* ---- A and D -------------------------------------------------------------------------------- */

/* stale: the access is done and the bit not set; early: set before any access. */
CASE(accessed_dirty)
{
	u32 stale = 0, early = 0;

	make_pages(RWU);
	begin();
	for (u32 i = 0; i < PAGES; i++) {
		early += (*entry_of(i) & (PTE_A | PTE_D)) != 0;
		(void)*word(i);
		stale += !(*entry_of(i) & PTE_A);
		early += (*entry_of(i) & PTE_D) != 0;
		if (i & 1)
			continue;
		*word(i) = i;
		stale += !(*entry_of(i) & PTE_D);
	}
	end("accessed-dirty", PAGES);
	count_of("accessed-dirty", "stale", stale);
	count_of("accessed-dirty", "early", early);
	check_eq(stale, 0);
}

/* A kernel's clock: A is cleared everywhere, some pages are used, A is read. */
CASE(aging)
{
	u32 stale = 0, early = 0;

	make_pages(USED);
	begin();
	for (u32 round = 0; round < 8; round++) {
		for (u32 i = 0; i < PAGES; i++)
			set_entry(entry_of(i), *entry_of(i) & ~PTE_A);
		use_space(root_now);
		for (u32 i = round; i < PAGES; i += 4)
			(void)*word(i);
		for (u32 i = 0; i < PAGES; i++) {
			bool a = *entry_of(i) & PTE_A, used = i >= round && !((i - round) % 4);

			stale += used && !a;
			early += a && !used;
		}
	}
	end("aging", 8 * PAGES);
	count_of("aging", "stale", stale);
	count_of("aging", "early", early);
	check_eq(stale, 0);
}

/* ---- faults that are the guest's own ----------------------------------------------------------- */

#ifdef __x86_64__
#define BX "rbx"
#else
#define BX "ebx"
#endif

static bool skip_store(struct regs *r)
{
	r->ip = r->bx;
	return true;
}

static void store_at(u64 va)
{
	asm volatile("lea 1f, %%" BX "; movb $1, (%0); 1:" : : "r"((ulong)va) : BX, "memory");
}

CASE(genuine)
{
	make_pages(USED);
	for (u32 i = 0; i < PAGES; i++)
		*word(i) = i;
	for (u32 i = 0; i < PAGES; i++)
		set_entry(entry_of(i), i & 1 ? 0 : frame[i] | PTE_P | PTE_A);
	flush();
	hook(VEC_PF, skip_store);
	begin();
	for (u32 n = 0; n < 4 * PAGES; n++)
		store_at(va_of(n % PAGES));
	end("genuine", 4 * PAGES);
	check_eq(exception_count[VEC_PF], 4 * PAGES);
}

/* ---- colours ------------------------------------------------------------------------------------- */

#define COLOURS 64u /* pages of 4 KiB in one way of a cache, 256 KiB */

/* A guest may not know its host frames; their last bits are told here to be counted. */
CASE(colours)
{
	u32 offset[COLOURS] = { 0 }, most = 0, n = 4096, first = gfn(arena_start);

	need_hypercall(HC_FRAME_INFO, first, 0);
	for (u32 i = first; i < first + n; i++)
		offset[((hypercall(HC_FRAME_INFO, i, 0, 0, 0) >> HC_FRAME_COLOUR_SHIFT) - i) % COLOURS]++;
	for (u32 c = 0; c < COLOURS; c++)
		most = offset[c] > most ? offset[c] : most;
	note("bench colours/%s units=%u", mode_name, n);
	count_of("colours", "wrong", under_umbra() ? n - most : 0);
}
