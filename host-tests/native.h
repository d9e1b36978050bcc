/* SPDX-License-Identifier: BSD-2-Clause */
/* Random instructions for emul_native.c. */
#ifndef HOST_TESTS_NATIVE_H
#define HOST_TESTS_NATIVE_H

#include "world.h"

enum {
	N_BYTE = 1 << 0, /* 1 byte; otherwise 2, 4 or 8 by 66 and REX.W */
	N_LOCK = 1 << 1, /* LOCK may be there */
	N_BITS = 1 << 2, /* the register is a bit offset */
	N_CMPXCHG = 1 << 3,
	N_PAIR = 1 << 4, /* CMPXCHG8B, 16B */
	N_STRING = 1 << 5,
	N_MOFFS = 1 << 6,
	N_STACK = 1 << 7, /* writes below RSP */
	N_CALL = 1 << 8,
	N_REG = 1 << 9, /* a register form without memory operand: 50+r, FF /2 */
	N_NO_OPERAND = 1 << 10,
	N_CC = 1 << 11,
	N_VECTOR = 1 << 12, /* `bytes` long, not by prefixes */
	N_VEX = 1 << 13,
	N_ALIGN = 1 << 14, /* to its size */
	N_MMX = 1 << 15,
	N_NO_66 = 1 << 16,
};

struct native_form {
	const char *name;
	unsigned flags;
	u8 prefix; /* mandatory, or 0 */
	bool two_byte; /* 0F map */
	u8 opcode;
	signed char ext; /* of the opcode in ModRM.reg; -1: a register */
	u8 imm; /* 1; 4: 2 or 4 by operand size */
	u8 bytes;
	u64 undefined; /* flags that need not agree */
};

extern const struct native_form native_forms[];
extern const unsigned native_form_count;

struct trial {
	u64 rip, gs_base; /* in */
	u8 bytes[24];
	unsigned len; /* over 15: no instruction, to be thrown away */
	u64 regs[16], flags, undefined;
	bool mmx;
	bool has_want, miss; /* miss: want_gva is outside the operand */
	u64 want;
};

u64 native_random(void);
/* Fills `t`; operands begin in [at, at + size), and natively memory is prepared there too. */
void native_trial(const struct native_form *f, struct trial *t, u64 at, u64 size);

#endif
