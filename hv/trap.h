/* SPDX-License-Identifier: BSD-2-Clause */
/* What trap.S leaves on the stack. */
#ifndef HV_TRAP_H
#define HV_TRAP_H

#include "types.h"

struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};

void trap_handler(struct trap_frame *f);

#endif
