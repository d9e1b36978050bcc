/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the library's files; tests do not include it. */
#ifndef LIB_INTERNAL_H
#define LIB_INTERNAL_H

#include "test.h"

extern ulong guard_sp; /* entry*.S: where an exception goes */
ulong guarded(guest_fn fn, ulong a, ulong b);
ulong user_enter(guest_fn fn, ulong a, ulong b);
void guard_leave(void) __attribute__((noreturn));

void start(void); /* from entry*.S */
void exception(struct regs *r);

void boot_read_info(void); /* command line, memory */
extern char command_line[512];
extern u32 boot_magic, boot_info;
extern u64 memory_end; /* of the run of RAM at the arena */

void fault_reset(void);
void mem_reset(void);
void host_reset(void);
void cpu_read_features(void);
void cpu_init(void);
void cpu_set_defaults(void);
void tables_init(void); /* the library's own mappings, frames, root loaded */
void tables_reset(void);

extern u64 last_va; /* of the last access: print_walk() on failure */
extern ulong case_sp; /* guard_sp while no try() runs inside the case */
void case_unexpected(struct regs *r, struct fault f) __attribute__((noreturn));
void run_cases(void) __attribute__((noreturn));
void power_off(int result) __attribute__((noreturn)); /* UMBRA_EXIT_xxx */
void fatal(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
