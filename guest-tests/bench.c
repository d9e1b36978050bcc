/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What kernels do to page tables: demand faults, fork, copy on write, exit,
 * switches between address spaces.
 */
#include "bench.h"

#define FRAMES 64u /* pages share frames: the arena is small and the frames do not matter */
#define FORKED 512u

static u64 frame[FRAMES], root_now; /* reading CR3 would count as an exit */

static void make_frames(void)
{
	for (u32 i = 0; i < FRAMES; i++)
		frame[i] = new_frame();
	root_now = current_root();
}

static u64 frame_of(u64 va)
{
	return frame[(u32)(va >> 12) % FRAMES];
}

/* ---- demand faults --------------------------------------------------------- */

static struct demand {
	u32 pages;
	u64 ad; /* set by the kernel in advance, or left to the processor */
	u64 stride; /* between pages */
	u32 around; /* entries that one fault installs */
	u32 skip; /* of these, only each skip-th is used */
	u32 flush; /* a CR3 load after so many faults; 0: never */
} now;

/* The #PF handler of a kernel that fills on demand: the entries, then the access again. */
static bool fill(struct regs *r)
{
	u64 va = read_cr2() & ~(ulong)(PAGE_SIZE * now.around - 1);

	(void)r;
	for (u32 i = 0; i < now.around; i++, va += PAGE_SIZE)
		set_entry(make_entry_in(root_now, va, 1), frame_of(va) | RWU | now.ad);
	if (now.flush && exception_count[VEC_PF] % now.flush == 0)
		use_space(root_now);
	return true;
}

static void demand(const char *name, struct demand d)
{
	u64 va = WINDOW;

	now = d;
	make_frames();
	for (u64 at = WINDOW; at < WINDOW + d.pages * d.stride; at += level_size(2))
		make_entry(at, d.stride < level_size(2) ? 1 : 2);
	hook(VEC_PF, fill);
	begin();
	for (u32 i = 0; i < d.pages; i += d.skip, va += d.skip * d.stride)
		at8(va) = i;
	end(name, d.pages / d.skip);
	check_eq(exception_count[VEC_PF], d.pages / d.around);
}

#define AD (PTE_A | PTE_D)

CASE(demand_clean) { demand("demand-clean", (struct demand){ 4096, 0, PAGE_SIZE, 1, 1, 0 }); }
CASE(demand_preset) { demand("demand", (struct demand){ 4096, AD, PAGE_SIZE, 1, 1, 0 }); }
CASE(demand_lone) { demand("demand-lone", (struct demand){ 512, AD, LARGE_SIZE, 1, 1, 0 }); }
CASE(demand_lone_clean) { demand("demand-lone-clean", (struct demand){ 512, 0, LARGE_SIZE, 1, 1, 0 }); }

/* n entries a fault, all used (around) or only the first (ahead) */
#define SEVERAL(n) \
	CASE(around_##n) { demand("around-" #n, (struct demand){ 2048, AD, PAGE_SIZE, n, 1, 0 }); } \
	CASE(ahead_##n) { demand("ahead-" #n, (struct demand){ 2048, AD, PAGE_SIZE, n, n, 0 }); }
SEVERAL(1)
SEVERAL(2)
SEVERAL(4)
SEVERAL(8)
SEVERAL(16)
SEVERAL(64)

#define SWITCHED(n) \
	CASE(switched_##n) { demand("demand-switched-" #n, (struct demand){ 1024, AD, PAGE_SIZE, 1, 1, n }); }
SWITCHED(1)
SWITCHED(4)
SWITCHED(16)

/* ---- fork, copy on write, exit ------------------------------------------------ */

static pte_t *page_entry(u64 root, u32 i)
{
	return entry_in(root, WINDOW + i * PAGE_SIZE, 1);
}

static void make_parent(void)
{
	make_frames();
	for (u32 i = 0; i < FORKED; i++) {
		u64 va = WINDOW + i * PAGE_SIZE;

		map_page(va, frame_of(va), USED);
		at8(va) = i;
	}
	use_space(root_now); /* what was made to lag for this is in sync again */
}

static void protect(u64 root)
{
	for (u32 i = 0; i < FORKED; i++)
		set_entry(page_entry(root, i), *page_entry(root, i) & ~PTE_W);
}

static void copy(u64 parent, u64 child)
{
	for (u32 i = 0; i < FORKED; i++)
		set_entry(page_entry(child, i), *page_entry(parent, i));
}

static void clear(u64 root)
{
	for (u32 i = 0; i < FORKED; i++)
		set_entry(page_entry(root, i), 0);
}

static void read_some(void)
{
	for (u32 i = 0; i < FORKED; i += 8)
		check_eq(at8(WINDOW + i * PAGE_SIZE), (u8)(FORKED - FRAMES + i % FRAMES));
}

/* The parent's entries lose W and are copied; the child touches some; then all of the child's go. */
CASE(fork)
{
	u64 parent, child = new_space();

	make_parent();
	parent = root_now;
	make_entry_in(child, WINDOW, 1);
	begin();
	for (u32 i = 0; i < FORKED; i++) {
		pte_t *from = page_entry(parent, i);

		set_entry(from, *from & ~PTE_W);
		set_entry(page_entry(child, i), *from);
	}
	use_space(child);
	read_some();
	clear(child);
	use_space(parent);
	end("fork", FORKED);
	check_fault(poke8(WINDOW, 1), PF(PF_P | PF_W, WINDOW));
}

CASE(fork_phases)
{
	u64 parent, child = new_space();

	make_parent();
	parent = root_now;
	make_entry_in(child, WINDOW, 1);
	begin();
	protect(parent);
	use_space(parent);
	end("fork-protect", FORKED);
	begin();
	copy(parent, child);
	end("fork-copy", FORKED);
	use_space(child);
	read_some();
	begin();
	clear(child);
	use_space(parent);
	end("fork-exit", FORKED);
	check_fault(poke8(WINDOW, 1), PF(PF_P | PF_W, WINDOW));
}

static bool break_page(struct regs *r)
{
	u64 va = read_cr2() & ~(ulong)(PAGE_SIZE - 1);

	(void)r;
	set_entry(entry_in(root_now, va, 1), frame_of(va + PAGE_SIZE) | USED);
	invlpg(va);
	return true;
}

CASE(copy_on_write)
{
	make_parent();
	protect(root_now);
	use_space(root_now);
	hook(VEC_PF, break_page);
	begin();
	for (u32 i = 0; i < FORKED; i++)
		at8(WINDOW + i * PAGE_SIZE) = i;
	end("cow", FORKED);
	check_eq(exception_count[VEC_PF], FORKED);
}

/* A shell's day: fork, the child breaks some pages, exits, the parent takes its own back. */
CASE(process)
{
	u64 parent, child = new_space();

	make_parent();
	parent = root_now;
	make_entry_in(child, WINDOW, 1);
	hook(VEC_PF, break_page);
	begin();
	for (u32 round = 0; round < 16; round++) {
		protect(parent);
		copy(parent, child);
		use_space(root_now = child);
		for (u32 i = round; i < FORKED; i += 16)
			at8(WINDOW + i * PAGE_SIZE) = i;
		clear(child);
		use_space(root_now = parent);
		for (u32 i = 0; i < FORKED; i += 16)
			at8(WINDOW + i * PAGE_SIZE) = i;
	}
	end("process", 16);
	check_eq(exception_count[VEC_PF], 16 * 2 * FORKED / 16);
}

/* ---- switches ------------------------------------------------------------------- */

static void switch_spaces(const char *name, u32 spaces, u32 pages, u32 switches)
{
	u64 root[16];

	make_frames();
	for (u32 s = 0; s < spaces; s++) {
		root[s] = s ? new_space() : root_now;
		for (u32 i = 0; i < pages; i++)
			map_at(root[s], WINDOW + i * PAGE_SIZE, frame[(s * pages + i) % FRAMES], USED, 1);
	}
	begin();
	for (u32 i = 0; i < switches; i++) {
		use_space(root[i % spaces]);
		for (u32 p = 0; p < pages; p++)
			(*(volatile u32 *)(ulong)(WINDOW + p * PAGE_SIZE))++;
	}
	end(name, switches);
	use_space(root[0]);
	check_eq(*mem32(frame[0]), switches / spaces * ((spaces * pages + FRAMES - 1) / FRAMES));
}

CASE(switch_two) { switch_spaces("switch", 2, 8, 1000); }
CASE(switch_many) { switch_spaces("switch-many", 16, 32, 640); }
