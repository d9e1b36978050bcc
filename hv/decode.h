/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The forms that the decoder knows, as data: decode_forms.c lists them,
 * decode.c reads bytes by them.
 */
#ifndef HV_DECODE_H
#define HV_DECODE_H

#include "emul.h"

enum size { SZ_NONE, SZ_B, SZ_W, SZ_V, SZ_D64, SZ_CALL, SZ_IO, SZ_FULL, SZ_MOVNTI, SZ_PAIR };
enum imm { IMM_NONE, IMM_B, IMM_UB, IMM_Z, IMM_MOFFS };
enum group { GRP_NONE, GRP_1, GRP_3, GRP_4, GRP_5, GRP_7, GRP_8, GRP_9, GRP_11 };

enum {
	MODRM = 1 << 0, /* a ModRM byte follows */
	LOCK = 1 << 1, /* LOCK is allowed with a memory operand */
	MEM_ONLY = 1 << 2, /* the register form is another instruction, or none */
	REG_ONLY = 1 << 3, /* ModRM.mod is ignored and taken as 3 */
	NO_64 = 1 << 4,
	ONLY_64 = 1 << 5,
	OP_REG = 1 << 6, /* the register is in the opcode's low bits */
	SIGN = 1 << 7,
	SRC_B = 1 << 8, /* LOAD from 1 byte */
	SRC_W = 1 << 9, /* LOAD from 2 bytes */
	SRC_D = 1 << 10, /* LOAD from 4 bytes */
	NO_66 = 1 << 11, /* with 66 it is another instruction, or none */
	NO_REP = 1 << 12, /* same with F2 and F3 */
};

struct form {
	u8 op, size, imm, group;
	u16 flags;
};

extern const struct form decode_one_byte[256], decode_two_byte[256];
extern const struct form decode_groups[][8];

enum { PFX_NONE, PFX_66, PFX_F3, PFX_F2 }; /* as VEX.pp counts them */

/* A store of a vector register: 0F map, memory forms only. */
struct sse_form {
	u8 opcode, prefix;
	u8 bytes; /* 0: the vector length */
	u8 src;
	bool aligned;
	bool vex; /* there is a VEX form too */
};

extern const struct sse_form decode_sse_forms[];
extern const unsigned decode_sse_count;

#endif
