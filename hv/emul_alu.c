/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arithmetic by the instructions themselves, on a register, so that results and
 * flags are this processor's own.  Only the status flags pass through: the
 * guest's DF, IF, TF, AC never reach RFLAGS here.
 */
#include "emul_private.h"

#define STATUS_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* The stack pointer steps over a red zone, which the Linux build has.  `f`: status flags, in and out. */
#define WITH_FLAGS(text)                                                             \
	"lea -128(%%rsp), %%rsp\n\t"                                                 \
	"pushfq\n\t"                                                                 \
	"andq %[keep], (%%rsp)\n\t"                                                  \
	"orq %[f], (%%rsp)\n\t"                                                      \
	"popfq\n\t" text "\n\t"                                                      \
	"pushfq\n\t"                                                                 \
	"popq %[f]\n\t"                                                              \
	"lea 128(%%rsp), %%rsp"

#define RUN(text)                                                                                          \
	asm volatile(WITH_FLAGS(text) : [dst] "+&r"(dst), [f] "+&r"(*f)                                      \
		     : [src] "r"(src), [keep] "e"(~(s32)STATUS_FLAGS) : "cc", "memory")

#define OPERATION(name, b, w, l, q)                                           \
	static u64 run_##name(unsigned size, u64 dst, u64 src, u64 *f)        \
	{                                                                     \
		switch (size) {                                               \
		case 1: RUN(b); break;                                        \
		case 2: RUN(w); break;                                        \
		case 4: RUN(l); break;                                        \
		default: RUN(q); break;                                       \
		}                                                             \
		return dst;                                                   \
	}
#define TWO(name)                                                                              \
	OPERATION(name, #name "b %b[src], %b[dst]", #name "w %w[src], %w[dst]",                \
		  #name "l %k[src], %k[dst]", #name "q %q[src], %q[dst]")
#define ONE(name) OPERATION(name, #name "b %b[dst]", #name "w %w[dst]", #name "l %k[dst]", #name "q %q[dst]")
/* There is no byte form. */
#define BITS(name)                                                                             \
	OPERATION(name, "ud2", #name "w %w[src], %w[dst]", #name "l %k[src], %k[dst]", #name "q %q[src], %q[dst]")

TWO(add)
TWO(or)
TWO(adc)
TWO(sbb)
TWO(and)
TWO(sub)
TWO(xor)
ONE(inc)
ONE(dec)
ONE(not)
ONE(neg)
BITS(bts)
BITS(btr)
BITS(btc)

static u64 (*const operations[])(unsigned size, u64 dst, u64 src, u64 *f) = {
	[INSN_ADD] = run_add, [INSN_OR] = run_or, [INSN_ADC] = run_adc, [INSN_SBB] = run_sbb,
	[INSN_AND] = run_and, [INSN_SUB] = run_sub, [INSN_XOR] = run_xor,
	[INSN_INC] = run_inc, [INSN_DEC] = run_dec, [INSN_NOT] = run_not, [INSN_NEG] = run_neg,
	[INSN_BTS] = run_bts, [INSN_BTR] = run_btr, [INSN_BTC] = run_btc,
};

u64 emul_alu(enum insn_op op, unsigned size, u64 dst, u64 src, u64 *rflags)
{
	u64 f = *rflags & STATUS_FLAGS;

	BUG_ON(op >= ARRAY_SIZE(operations) || !operations[op]);
	dst = operations[op](size, dst, src, &f) & emul_mask(size);
	*rflags = (*rflags & ~STATUS_FLAGS) | (f & STATUS_FLAGS);
	return dst;
}

bool emul_condition(u8 cc, u64 rflags)
{
	bool cf = rflags & RFLAGS_CF, zf = rflags & RFLAGS_ZF, sf = rflags & RFLAGS_SF, of = rflags & RFLAGS_OF, r;

	switch (cc >> 1 & 7) {
	case 0: r = of; break;
	case 1: r = cf; break;
	case 2: r = zf; break;
	case 3: r = cf || zf; break;
	case 4: r = sf; break;
	case 5: r = rflags & RFLAGS_PF; break;
	case 6: r = sf != of; break;
	default: r = zf || sf != of; break;
	}
	return r != (cc & 1);
}
