/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random programs of edits, flushes, control bits and accesses over a small
 * universe of frames (churn/), against all that the architecture allows, stale
 * translations included.  A failing program is made as short as possible and
 * printed as a line that replays it: replay=...
 *
 * ops=N operations in all, seed=N; program=N only that one of them.
 */
#include "churn/churn.h"

#define DEFAULT_OPS 14000u

static u32 program_seed; /* random32() goes on from here: a program alone is what it is in the whole run */

static void report(struct program *p, u32 number)
{
	int at;

	note("program %u fails at operation %u: %s", number, p->n - 1, why);
	if (program_run(p) < 0) {
		note("not from a clean state: seed=%u ops=%u and all programs before it show it", (u32)options.seed, options.ops);
		program_print(p);
	} else {
		program_shrink(p);
		at = program_run(p);
		if (at >= 0)
			note("shrunk: operation %u: %s", at, why);
		program_print(p);
	}
	fail("seed=%u program=%u", (u32)options.seed, number);
}

static bool one_program(u32 number, u32 ops)
{
	static struct program p;
	u32 focus = 0;

	random_seed(program_seed + number * 2654435761u);
	verbose("program %u", number);
	program_begin();
	for (p.n = 0; p.n < ops;) {
		if (!(random32() & 3))
			focus = (random32() >> 8) % NVAS;
		p.op[p.n++] = program_next(focus);
		if (!run_op(p.op[p.n - 1])) {
			report(&p, number);
			return false;
		}
	}
	return true;
}

static void run_programs(u32 total)
{
	program_seed = random32();
	memset(&counts, 0, sizeof(counts));
	universe_make();
	for (u32 n = 0; n * PROGRAM_MAX < total; n++)
		if ((!options.program_given || options.program == n) &&
		    !one_program(n, total - n * PROGRAM_MAX < PROGRAM_MAX ? total - n * PROGRAM_MAX : PROGRAM_MAX))
			break;
	universe_reset();
	verbose("%u edits, %u accesses, of them %u faults, %u vague, %u not done", counts.done[OP_EDIT], counts.done[OP_ACCESS],
		counts.faults, counts.vague, counts.skipped);
}

static void run_replay(void)
{
	static struct program p;
	int at;

	universe_make();
	if (!program_parse(&p, options.replay)) {
		fail("replay= is no program");
		end_case();
	}
	program_print(&p);
	at = program_run(&p);
	if (at >= 0)
		fail("operation %u: %s", at, why);
	universe_reset();
}

CASE(programs)
{
	need_paging();
	if (options.replay) {
		allow_reserved = true;
		run_replay();
	} else {
		run_programs((options.ops ? options.ops : DEFAULT_OPS) * options.depth);
	}
}

/* The same with reserved bits, and NX that comes and goes as one. */
CASE(programs_with_reserved_bits)
{
	need_paging();
	if (options.replay)
		skip("replay");
	allow_reserved = true;
	run_programs((options.ops ? options.ops : DEFAULT_OPS) * options.depth / 4);
}

/* INVLPG of one address in a large page: code in its other pieces is gone, too. */
CASE(code_in_a_large_page)
{
	u32 err = PT_LEVELS > 2 && cpu.nx ? PF_I : 0, left = 0;
	pte_t *e;

	need_paging();
	need_large();
	e = map_large(WINDOW, tagged_large(1), RWU);
	for (u32 i = 0; i < 32; i++)
		check_fault(fetch(WINDOW + (i / 2 + 5) * PAGE_SIZE), NO_FAULT);
	set_entry(e, 0);
	invlpg(WINDOW + 40 * PAGE_SIZE);
	for (u64 va = WINDOW + 5 * PAGE_SIZE; va < WINDOW + 21 * PAGE_SIZE; va += PAGE_SIZE)
		left += !fault_equal(fetch(va), PF(err, va));
	check_eq(left, 0); /* pieces whose code still runs */
}
