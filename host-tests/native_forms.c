/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory-writing forms of 64-bit mode that emul_native.c tries. */
#include "native.h"

#define ALU(name, n, ext)                                                               \
	{ name " Eb,Gb", N_BYTE | N_LOCK, 0, 0, n, -1, 0, 0, 0 },                       \
	{ name " Ev,Gv", N_LOCK, 0, 0, (n) + 1, -1, 0, 0, 0 },                          \
	{ name " Eb,Ib", N_BYTE | N_LOCK, 0, 0, 0x80, ext, 1, 0, 0 },                   \
	{ name " Ev,Iz", N_LOCK, 0, 0, 0x81, ext, 4, 0, 0 },                            \
	{ name " Ev,Ib", N_LOCK, 0, 0, 0x83, ext, 1, 0, 0 }
#define BIT_OP(name, n, ext)                                                            \
	{ name " Ev,Gv", N_LOCK | N_BITS, 0, 1, n, -1, 0, 0, 0 },                       \
	{ name " Ev,Ib", N_LOCK, 0, 1, 0xba, ext, 1, 0, 0 }
#define ONE(name, n, ext)                                                               \
	{ name " Eb", N_BYTE | N_LOCK, 0, 0, n, ext, 0, 0, 0 },                         \
	{ name " Ev", N_LOCK, 0, 0, (n) + 1, ext, 0, 0, 0 }
#define SSE(name, prefix, n, bytes, flags)                                              \
	{ name, N_VECTOR | (flags), prefix, 1, n, -1, 0, bytes, 0 }
#define SSE_VEX(name, prefix, n, bytes, flags)                                          \
	SSE(name, prefix, n, bytes, flags), SSE("v" name, prefix, n, bytes, (flags) | N_VEX)

const struct native_form native_forms[] = {
	ALU("add", 0x00, 0), ALU("or", 0x08, 1), ALU("adc", 0x10, 2), ALU("sbb", 0x18, 3),
	ALU("and", 0x20, 4), ALU("sub", 0x28, 5), ALU("xor", 0x30, 6),
	ONE("not", 0xf6, 2), ONE("neg", 0xf6, 3), ONE("inc", 0xfe, 0), ONE("dec", 0xfe, 1),
	BIT_OP("bts", 0xab, 5), BIT_OP("btr", 0xb3, 6), BIT_OP("btc", 0xbb, 7),
	{ "mov Eb,Gb", N_BYTE, 0, 0, 0x88, -1, 0, 0, 0 },
	{ "mov Ev,Gv", 0, 0, 0, 0x89, -1, 0, 0, 0 },
	{ "mov Eb,Ib", N_BYTE, 0, 0, 0xc6, 0, 1, 0, 0 },
	{ "mov Ev,Iz", 0, 0, 0, 0xc7, 0, 4, 0, 0 },
	{ "mov Ob,AL", N_BYTE | N_MOFFS, 0, 0, 0xa2, 0, 0, 0, 0 },
	{ "mov Ov,rAX", N_MOFFS, 0, 0, 0xa3, 0, 0, 0, 0 },
	{ "movnti", N_NO_66, 0, 1, 0xc3, -1, 0, 0, 0 },
	{ "xchg Eb,Gb", N_BYTE | N_LOCK, 0, 0, 0x86, -1, 0, 0, 0 },
	{ "xchg Ev,Gv", N_LOCK, 0, 0, 0x87, -1, 0, 0, 0 },
	{ "xadd Eb,Gb", N_BYTE | N_LOCK, 0, 1, 0xc0, -1, 0, 0, 0 },
	{ "xadd Ev,Gv", N_LOCK, 0, 1, 0xc1, -1, 0, 0, 0 },
	{ "cmpxchg Eb,Gb", N_BYTE | N_LOCK | N_CMPXCHG, 0, 1, 0xb0, -1, 0, 0, 0 },
	{ "cmpxchg Ev,Gv", N_LOCK | N_CMPXCHG, 0, 1, 0xb1, -1, 0, 0, 0 },
	{ "cmpxchg8b/16b", N_LOCK | N_PAIR | N_NO_66, 0, 1, 0xc7, 1, 0, 0, 0 },
	{ "setcc", N_BYTE | N_CC, 0, 1, 0x90, -1, 0, 0, 0 },
	{ "movs b", N_BYTE | N_STRING, 0, 0, 0xa4, 0, 0, 0, 0 },
	{ "movs v", N_STRING, 0, 0, 0xa5, 0, 0, 0, 0 },
	{ "stos b", N_BYTE | N_STRING, 0, 0, 0xaa, 0, 0, 0, 0 },
	{ "stos v", N_STRING, 0, 0, 0xab, 0, 0, 0, 0 },
	{ "push Zv", N_STACK | N_REG, 0, 0, 0x50, -1, 0, 0, 0 },
	{ "push Iz", N_STACK | N_NO_OPERAND, 0, 0, 0x68, 0, 4, 0, 0 },
	{ "push Ib", N_STACK | N_NO_OPERAND, 0, 0, 0x6a, 0, 1, 0, 0 },
	{ "push Ev", N_STACK, 0, 0, 0xff, 6, 0, 0, 0 },
	{ "pushf", N_STACK | N_NO_OPERAND, 0, 0, 0x9c, 0, 0, 0, 0 },
	{ "call Jz", N_STACK | N_CALL | N_NO_OPERAND | N_NO_66, 0, 0, 0xe8, 0, 4, 0, 0 },
	{ "call Ev", N_STACK | N_CALL | N_NO_66, 0, 0, 0xff, 2, 0, 0, 0 },
	{ "call reg", N_STACK | N_CALL | N_REG | N_NO_66, 0, 0, 0xff, 2, 0, 0, 0 },
	SSE_VEX("movups", 0, 0x11, 16, 0),
	SSE_VEX("movupd", 0x66, 0x11, 16, 0),
	SSE_VEX("movss", 0xf3, 0x11, 4, 0),
	SSE_VEX("movsd", 0xf2, 0x11, 8, 0),
	SSE_VEX("movlps", 0, 0x13, 8, 0),
	SSE_VEX("movlpd", 0x66, 0x13, 8, 0),
	SSE_VEX("movhps", 0, 0x17, 8, 0),
	SSE_VEX("movhpd", 0x66, 0x17, 8, 0),
	SSE_VEX("movaps", 0, 0x29, 16, N_ALIGN),
	SSE_VEX("movapd", 0x66, 0x29, 16, N_ALIGN),
	SSE_VEX("movntps", 0, 0x2b, 16, N_ALIGN),
	SSE_VEX("movntpd", 0x66, 0x2b, 16, N_ALIGN),
	SSE_VEX("movd", 0x66, 0x7e, 0, 0), /* 4 or 8 by REX.W */
	SSE_VEX("movdqa", 0x66, 0x7f, 16, N_ALIGN),
	SSE_VEX("movdqu", 0xf3, 0x7f, 16, 0),
	SSE_VEX("movq", 0x66, 0xd6, 8, 0),
	SSE_VEX("movntdq", 0x66, 0xe7, 16, N_ALIGN),
	SSE("movd mmx", 0, 0x7e, 0, N_MMX),
	SSE("movq mmx", 0, 0x7f, 8, N_MMX),
	SSE("movntq mmx", 0, 0xe7, 8, N_MMX),
};

const unsigned native_form_count = ARRAY_SIZE(native_forms);
