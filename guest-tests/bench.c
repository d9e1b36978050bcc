/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Workloads whose exits are counted, not timed: what a policy costs a guest that
 * takes demand faults, forks, or switches between address spaces.  Bare they
 * only run.  ci/bench makes one table of the "# bench" lines.
 */
#include "test.h"

#define DEMAND 4096u
#define FORKED 512u
#define SWITCHES 1000u
#define TOUCHED 8u
#define FRAMES 64u /* pages share frames: the arena is small and the frames do not matter */

static u64 frame[FRAMES];
static u32 exits, guest_faults, hidden_faults;

static void begin(void)
{
	exits = hypercall(HC_STAT_EXITS, 0, 0, 0, 0);
	guest_faults = hypercall(HC_STAT_GUEST_FAULTS, 0, 0, 0, 0);
	hidden_faults = hypercall(HC_STAT_HIDDEN_FAULTS, 0, 0, 0, 0);
}

static void end(const char *name)
{
	u32 e = hypercall(HC_STAT_EXITS, 0, 0, 0, 0) - exits;
	u32 g = hypercall(HC_STAT_GUEST_FAULTS, 0, 0, 0, 0) - guest_faults;
	u32 h = hypercall(HC_STAT_HIDDEN_FAULTS, 0, 0, 0, 0) - hidden_faults;

	if (under_umbra())
		note("bench %s/%s exits=%u guest_faults=%u hidden_faults=%u", name, mode_name, e, g, h);
	else
		note("bench %s/%s ran", name, mode_name);
}

static void make_frames(void)
{
	for (u32 i = 0; i < FRAMES; i++)
		frame[i] = new_frame();
}

static u64 preset, root_now; /* reading CR3 would count as an exit */

/* The #PF handler of a kernel that fills on demand: one entry, then the access again. */
static bool fill(struct regs *r)
{
	u64 va = read_cr2() & ~(ulong)(PAGE_SIZE - 1);

	(void)r;
	set_entry(entry_in(root_now, va, 1), frame[(va >> 12) % FRAMES] | RWU | preset);
	return true;
}

static void demand(const char *name, u64 ad)
{
	volatile u8 *at = (volatile u8 *)(ulong)WINDOW;

	make_frames();
	for (u32 i = 0; i < DEMAND; i += PT_ENTRIES)
		make_entry(WINDOW + i * PAGE_SIZE, 1);
	preset = ad;
	root_now = current_root();
	hook(VEC_PF, fill);
	begin();
	for (u32 i = 0; i < DEMAND; i++)
		at[i * PAGE_SIZE] = i;
	end(name);
	check_eq(exception_count[VEC_PF], DEMAND);
}

CASE(demand_clean)
{
	demand("demand", 0);
}

CASE(demand_preset)
{
	demand("demand-ad", PTE_A | PTE_D);
}

/* The parent's entries lose W and are copied; the child touches some; then all of the child's go. */
CASE(fork)
{
	u64 parent = current_root(), child = new_space();
	volatile u8 *at = (volatile u8 *)(ulong)WINDOW;

	make_frames();
	for (u32 i = 0; i < FORKED; i++) {
		map_page(WINDOW + i * PAGE_SIZE, frame[i % FRAMES], RWU | PTE_A | PTE_D);
		at[i * PAGE_SIZE] = i;
	}
	make_entry_in(child, WINDOW, 1);
	begin();
	for (u32 i = 0; i < FORKED; i++) {
		pte_t *from = entry_in(parent, WINDOW + i * PAGE_SIZE, 1);

		set_entry(from, *from & ~PTE_W);
		set_entry(make_entry_in(child, WINDOW + i * PAGE_SIZE, 1), *from);
	}
	use_space(child);
	for (u32 i = 0; i < FORKED; i += 8)
		check_eq(at[i * PAGE_SIZE], (u8)(FORKED - FRAMES + i % FRAMES));
	for (u32 i = 0; i < FORKED; i++)
		set_entry(entry_in(child, WINDOW + i * PAGE_SIZE, 1), 0);
	use_space(parent);
	end("fork");
	check_fault(poke8(WINDOW, 1), PF(PF_P | PF_W, WINDOW));
}

CASE(switch_spaces)
{
	u64 root[2] = { current_root(), new_space() };

	make_frames();
	for (u32 s = 0; s < 2; s++)
		for (u32 i = 0; i < TOUCHED; i++)
			map_at(root[s], WINDOW + i * PAGE_SIZE, frame[s * TOUCHED + i], RWU, 1);
	begin();
	for (u32 i = 0; i < SWITCHES; i++) {
		use_space(root[i & 1]);
		for (u32 p = 0; p < TOUCHED; p++)
			(*(volatile u32 *)(ulong)(WINDOW + p * PAGE_SIZE))++;
	}
	end("switch");
	use_space(root[0]);
	for (u32 p = 0; p < 2 * TOUCHED; p++)
		check_eq(*mem32(frame[p]), SWITCHES / 2);
}
