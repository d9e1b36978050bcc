/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A workload of the claims table stands between begin() and end(): umbra then
 * prints how each of its counters changed, the guest how many units of work
 * that was.  Bare the workloads only run.  ci/bench reads the lines.
 */
#ifndef BENCH_H
#define BENCH_H

#include "test.h"

static u64 began;

static void begin(void)
{
	hypercall(HC_MARK, 0, 0, 0, 0);
	began = rdtsc();
}

/* The TSC is worth something where it counts instructions: ci/platforms/svm-tcg-icount. */
static void end(const char *name, u32 units)
{
	u64 ticks = rdtsc() - began;

	hypercall(HC_MARK, 1, 0, 0, 0);
	note("bench %s/%s units=%u instructions=%llu", name, mode_name, units, ticks);
}

/* What only the guest can count. */
static inline void count_of(const char *name, const char *what, u32 value)
{
	note("bench-value %s/%s %s=%u", name, mode_name, what, value);
}

/* As a kernel writes entries that it will use at once. */
#define USED (RWU | PTE_A | PTE_D)

#define at8(va) (*(volatile u8 *)(ulong)(va))

#endif
