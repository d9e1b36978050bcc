/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the program host-tests/emul.c. */
#ifndef HOST_TESTS_EMUL_CASES_H
#define HOST_TESTS_EMUL_CASES_H

#include "world.h"

#define CODE 0x1000ull
#define DATA 0x2000ull
#define RODATA 0x5000ull

extern struct world w;

/* A fresh world; RIP at CODE + 0x100, RF set. */
void begin(enum emul_mode mode);
/* Puts the instruction at RIP and emulates it. */
enum emul_status run(const char *hex);
void check_value(const char *file, int line, const char *what, u64 got, u64 want);

#define equal(got, want) check_value(__FILE__, __LINE__, #got, got, want)
#define CASE(name)           \
	void case_##name(void); \
	void case_##name(void)
#define DECLARE(name) void case_##name(void);

#define STRING_CASES(X)          \
	X(rep_stos_pauses_at_the_page) \
	X(rep_stos_faults_midway)      \
	X(rep_movs_source_faults)      \
	X(rep_movs_down)               \
	X(rep_of_16_bit_addresses)     \
	X(rep_limits)                  \
	X(rep_is_paused)               \
	X(rep_of_nothing)              \
	X(movs_segments)               \
	X(string_want)
#define STACK_CASES(X)           \
	X(push_on_16_bit_stack)        \
	X(push_rsp)                    \
	X(push_fault_keeps_rsp)        \
	X(push_flags)                  \
	X(push_segment_is_left)        \
	X(push_memory)                 \
	X(call_32)                     \
	X(call_16)                     \
	X(call_bad_target)             \
	X(stack_want)

STRING_CASES(DECLARE)
STACK_CASES(DECLARE)

#endif
