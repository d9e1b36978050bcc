/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The opcode maps (SDM vol. 2, appendix A): those instructions that write
 * memory and that hv emulates, and those whose exits come without decode assist.
 */
#include "decode.h"

#define ALU(n, op)                                   \
	[n] = { op, SZ_B, 0, 0, MODRM | LOCK },      \
	[(n) + 1] = { op, SZ_V, 0, 0, MODRM | LOCK }
#define RM(n, op, size, flags) [n] = { op, size, 0, 0, MODRM | (flags) }

const struct form decode_one_byte[256] = {
	ALU(0x00, INSN_ADD), ALU(0x08, INSN_OR), ALU(0x10, INSN_ADC), ALU(0x18, INSN_SBB),
	ALU(0x20, INSN_AND), ALU(0x28, INSN_SUB), ALU(0x30, INSN_XOR),
	[0x06] = { INSN_PUSH, SZ_D64, 0, 0, NO_64 },
	[0x0e] = { INSN_PUSH, SZ_D64, 0, 0, NO_64 },
	[0x16] = { INSN_PUSH, SZ_D64, 0, 0, NO_64 },
	[0x1e] = { INSN_PUSH, SZ_D64, 0, 0, NO_64 },
	[0x50 ... 0x57] = { INSN_PUSH, SZ_D64, 0, 0, OP_REG },
	RM(0x63, INSN_LOAD, SZ_V, SIGN | SRC_D | ONLY_64 | NO_66),
	[0x68] = { INSN_PUSH, SZ_D64, IMM_Z, 0, 0 },
	[0x6a] = { INSN_PUSH, SZ_D64, IMM_B, 0, 0 },
	[0x6c] = { INSN_INS, SZ_B, 0, 0, 0 },
	[0x6d] = { INSN_INS, SZ_IO, 0, 0, 0 },
	[0x6e] = { INSN_OUTS, SZ_B, 0, 0, 0 },
	[0x6f] = { INSN_OUTS, SZ_IO, 0, 0, 0 },
	[0x80] = { 0, SZ_B, IMM_B, GRP_1, MODRM | LOCK },
	[0x81] = { 0, SZ_V, IMM_Z, GRP_1, MODRM | LOCK },
	[0x82] = { 0, SZ_B, IMM_B, GRP_1, MODRM | LOCK | NO_64 },
	[0x83] = { 0, SZ_V, IMM_B, GRP_1, MODRM | LOCK },
	ALU(0x86, INSN_XCHG),
	RM(0x88, INSN_MOV, SZ_B, 0),
	RM(0x89, INSN_MOV, SZ_V, 0),
	RM(0x8a, INSN_LOAD, SZ_B, 0),
	RM(0x8b, INSN_LOAD, SZ_V, 0),
	[0x9c] = { INSN_PUSHF, SZ_D64, 0, 0, 0 },
	[0xa0] = { INSN_LOAD, SZ_B, IMM_MOFFS, 0, 0 },
	[0xa1] = { INSN_LOAD, SZ_V, IMM_MOFFS, 0, 0 },
	[0xa2] = { INSN_MOV, SZ_B, IMM_MOFFS, 0, 0 },
	[0xa3] = { INSN_MOV, SZ_V, IMM_MOFFS, 0, 0 },
	[0xa4] = { INSN_MOVS, SZ_B, 0, 0, 0 },
	[0xa5] = { INSN_MOVS, SZ_V, 0, 0, 0 },
	[0xaa] = { INSN_STOS, SZ_B, 0, 0, 0 },
	[0xab] = { INSN_STOS, SZ_V, 0, 0, 0 },
	[0xc6] = { 0, SZ_B, IMM_B, GRP_11, MODRM },
	[0xc7] = { 0, SZ_V, IMM_Z, GRP_11, MODRM },
	[0xcc] = { INSN_INT3, 0, 0, 0, 0 },
	[0xcd] = { INSN_INTN, 0, IMM_UB, 0, 0 },
	[0xce] = { INSN_INTO, 0, 0, 0, NO_64 },
	[0xe4] = { INSN_OTHER_IO, SZ_B, IMM_UB, 0, 0 },
	[0xe5] = { INSN_OTHER_IO, SZ_IO, IMM_UB, 0, 0 },
	[0xe6] = { INSN_OTHER_IO, SZ_B, IMM_UB, 0, 0 },
	[0xe7] = { INSN_OTHER_IO, SZ_IO, IMM_UB, 0, 0 },
	[0xe8] = { INSN_CALL, SZ_CALL, IMM_Z, 0, 0 },
	[0xec] = { INSN_OTHER_IO, SZ_B, 0, 0, 0 },
	[0xed] = { INSN_OTHER_IO, SZ_IO, 0, 0, 0 },
	[0xee] = { INSN_OTHER_IO, SZ_B, 0, 0, 0 },
	[0xef] = { INSN_OTHER_IO, SZ_IO, 0, 0, 0 },
	[0xf1] = { INSN_INT1, 0, 0, 0, 0 },
	[0xf6] = { 0, SZ_B, 0, GRP_3, MODRM | LOCK },
	[0xf7] = { 0, SZ_V, 0, GRP_3, MODRM | LOCK },
	[0xfe] = { 0, SZ_B, 0, GRP_4, MODRM | LOCK },
	[0xff] = { 0, SZ_V, 0, GRP_5, MODRM },
};

const struct form decode_two_byte[256] = {
	[0x01] = { 0, SZ_W, 0, GRP_7, MODRM },
	[0x06] = { INSN_CLTS, 0, 0, 0, 0 },
	/* LOCK MOV CR0 is AMD's CR8 access for 32-bit code */
	RM(0x20, INSN_MOV_FROM_CR, SZ_FULL, REG_ONLY | LOCK),
	RM(0x22, INSN_MOV_TO_CR, SZ_FULL, REG_ONLY | LOCK),
	[0x90 ... 0x9f] = { INSN_SETCC, SZ_B, 0, 0, MODRM },
	[0xa0] = { INSN_PUSH, SZ_D64, 0, 0, 0 },
	[0xa8] = { INSN_PUSH, SZ_D64, 0, 0, 0 },
	RM(0xab, INSN_BTS, SZ_V, LOCK),
	ALU(0xb0, INSN_CMPXCHG),
	RM(0xb3, INSN_BTR, SZ_V, LOCK),
	RM(0xb6, INSN_LOAD, SZ_V, SRC_B),
	RM(0xb7, INSN_LOAD, SZ_V, SRC_W),
	[0xba] = { 0, SZ_V, IMM_UB, GRP_8, MODRM | LOCK },
	RM(0xbb, INSN_BTC, SZ_V, LOCK),
	RM(0xbe, INSN_LOAD, SZ_V, SRC_B | SIGN),
	RM(0xbf, INSN_LOAD, SZ_V, SRC_W | SIGN),
	ALU(0xc0, INSN_XADD),
	RM(0xc3, INSN_MOVNTI, SZ_MOVNTI, MEM_ONLY | NO_66 | NO_REP),
	[0xc7] = { 0, SZ_PAIR, 0, GRP_9, MODRM | LOCK | MEM_ONLY | NO_66 },
};

/* ModRM.reg chooses the operation; `size` and `flags` are set or added where they differ. */
const struct form decode_groups[][8] = {
	[GRP_1] = { { .op = INSN_ADD }, { .op = INSN_OR }, { .op = INSN_ADC }, { .op = INSN_SBB },
		    { .op = INSN_AND }, { .op = INSN_SUB }, { .op = INSN_XOR } },
	[GRP_3] = { [2] = { .op = INSN_NOT }, [3] = { .op = INSN_NEG } },
	[GRP_4] = { { .op = INSN_INC }, { .op = INSN_DEC } },
	[GRP_5] = { [0] = { .op = INSN_INC, .flags = LOCK },
		    [1] = { .op = INSN_DEC, .flags = LOCK },
		    [2] = { .op = INSN_CALL, .size = SZ_CALL },
		    [6] = { .op = INSN_PUSH, .size = SZ_D64 } },
	[GRP_7] = { [4] = { .op = INSN_SMSW }, [6] = { .op = INSN_LMSW }, [7] = { .op = INSN_INVLPG, .flags = MEM_ONLY } },
	[GRP_8] = { [5] = { .op = INSN_BTS }, [6] = { .op = INSN_BTR }, [7] = { .op = INSN_BTC } },
	[GRP_9] = { [1] = { .op = INSN_CMPXCHG8B } },
	[GRP_11] = { [0] = { .op = INSN_MOV } },
};

const struct sse_form decode_sse_forms[] = {
	{ 0x11, PFX_NONE, 0, INSN_XMM_LOW, false, true }, /* MOVUPS */
	{ 0x11, PFX_66, 0, INSN_XMM_LOW, false, true }, /* MOVUPD */
	{ 0x11, PFX_F3, 4, INSN_XMM_LOW, false, true }, /* MOVSS */
	{ 0x11, PFX_F2, 8, INSN_XMM_LOW, false, true }, /* MOVSD */
	{ 0x13, PFX_NONE, 8, INSN_XMM_LOW, false, true }, /* MOVLPS */
	{ 0x13, PFX_66, 8, INSN_XMM_LOW, false, true }, /* MOVLPD */
	{ 0x17, PFX_NONE, 8, INSN_XMM_HIGH, false, true }, /* MOVHPS */
	{ 0x17, PFX_66, 8, INSN_XMM_HIGH, false, true }, /* MOVHPD */
	{ 0x29, PFX_NONE, 0, INSN_XMM_LOW, true, true }, /* MOVAPS */
	{ 0x29, PFX_66, 0, INSN_XMM_LOW, true, true }, /* MOVAPD */
	{ 0x2b, PFX_NONE, 0, INSN_XMM_LOW, true, true }, /* MOVNTPS */
	{ 0x2b, PFX_66, 0, INSN_XMM_LOW, true, true }, /* MOVNTPD */
	{ 0x7e, PFX_NONE, 4, INSN_MMX, false, false }, /* MOVD/MOVQ from MMX */
	{ 0x7e, PFX_66, 4, INSN_XMM_LOW, false, true }, /* MOVD/MOVQ */
	{ 0x7f, PFX_NONE, 8, INSN_MMX, false, false }, /* MOVQ from MMX */
	{ 0x7f, PFX_66, 0, INSN_XMM_LOW, true, true }, /* MOVDQA */
	{ 0x7f, PFX_F3, 0, INSN_XMM_LOW, false, true }, /* MOVDQU */
	{ 0xd6, PFX_66, 8, INSN_XMM_LOW, false, true }, /* MOVQ */
	{ 0xe7, PFX_NONE, 8, INSN_MMX, false, false }, /* MOVNTQ */
	{ 0xe7, PFX_66, 0, INSN_XMM_LOW, true, true }, /* MOVNTDQ */
};

const unsigned decode_sse_count = ARRAY_SIZE(decode_sse_forms);
