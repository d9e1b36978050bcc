/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instruction decoder and the emulator of memory writes.  Neither knows a
 * vCPU: they see registers, segments and callbacks, so that they also build
 * and are tested as a Linux program (make check-host).
 */
#ifndef HV_EMUL_H
#define HV_EMUL_H

#include "host.h"
#include "x86.h"

enum emul_mode { EMUL_16, EMUL_32, EMUL_64 }; /* CS.D / CS.L under LMA */

enum insn_op { /* what the decoder recognises */
	INSN_UNKNOWN,
	INSN_MOV, /* to memory from register or immediate, all widths; moffs */
	INSN_XCHG,
	INSN_CMPXCHG,
	INSN_CMPXCHG8B, /* and 16B by operand size */
	INSN_XADD,
	INSN_ADD, INSN_OR, INSN_ADC, INSN_SBB, INSN_AND, INSN_SUB, INSN_XOR,
	INSN_INC, INSN_DEC, INSN_NOT, INSN_NEG,
	INSN_BTS, INSN_BTR, INSN_BTC,
	INSN_MOVS, INSN_STOS,
	INSN_PUSH, INSN_PUSHF, INSN_CALL,
	INSN_MOVNTI,
	INSN_SSE_STORE, /* movups/movaps/movdqa/movdqu/movntps/movntdq/movq/movd/movlps/movhps..., VEX forms too */
	INSN_SETCC,
	/* not memory writes: decoded where the hardware gives no decode assist */
	INSN_MOV_TO_CR, INSN_MOV_FROM_CR, INSN_CLTS, INSN_LMSW, INSN_SMSW, INSN_INVLPG,
	INSN_INS, INSN_OUTS, INSN_OTHER_IO,
	INSN_INTN, INSN_INT3, INSN_INTO, INSN_INT1,
	INSN_LOAD, /* MOV/MOVZX/MOVSX register from memory */
};

enum insn_sse { INSN_XMM_LOW, INSN_XMM_HIGH, INSN_MMX };

struct insn {
	enum insn_op op;
	u8 len;
	u8 op_size; /* bytes of the operand: 1 2 4 8 16 32 */
	u8 addr_size; /* 2 4 8 */
	bool lock, rep, repne;
	bool has_mem; /* a ModRM/moffs memory operand exists */
	u8 seg; /* effective segment, numbers of x86 (ES CS SS DS FS GS) */
	u8 base, index, scale; /* register numbers, 0xff none; base 0xfe RIP-relative; scale is a shift, 0-3 */
	s64 disp;
	u8 reg; /* ModRM.reg with REX.R: source, or the control register number */
	u8 rm; /* ModRM.rm register when mod == 3 */
	bool rex; /* a REX prefix: byte registers 4-7 are SPL.. */
	bool imm_src; /* the source is `imm` */
	u64 imm; /* sign-extended */
	u8 cc; /* SETcc condition */
	u8 opcode; /* the last opcode byte: tells the forms of one op apart (IN/OUT, the PUSHes) */
	u8 dst_size; /* LOAD: bytes of the register; op_size is the memory operand's */
	bool sign; /* LOAD: sign-extends */
	enum insn_sse sse; /* SSE_STORE: where the op_size bytes come from */
	bool aligned; /* SSE_STORE: #GP unless the operand is aligned to op_size */
};

/* Decodes `n` (<= 15) bytes; false: unknown or more bytes wanted (*need_more tells). */
bool insn_decode(const u8 *bytes, unsigned n, enum emul_mode mode, struct insn *out, bool *need_more);

enum emul_status {
	EMUL_DONE, /* performed; registers, flags and RIP are updated */
	EMUL_AGAIN, /* a REP string did some iterations (one if TF is set): registers are updated, RIP is not; run on */
	EMUL_FAULT, /* the guest's #PF is in ctxt->fault; registers at the faulting iteration */
	EMUL_EXCEPTION, /* #GP/#SS/#AC/#UD...: ctxt->vector, error */
	EMUL_UNKNOWN, /* not decoded, not at ctxt->want_gva, or not exactly doable here: nothing was done */
};

struct emul_fault {
	u64 gva;
	u32 error; /* page-fault error code */
};

struct emul_ctxt;

/*
 * All return false with ctxt->fault filled in when the guest's page tables
 * refuse; nothing is written then, not even the part in an allowed page.  An
 * access may cross a page, never 4 GiB outside 64-bit mode nor the canonical hole.
 */
struct emul_ops {
	bool (*fetch)(struct emul_ctxt *c, u64 gva, void *buf, unsigned len);
	bool (*read)(struct emul_ctxt *c, u64 gva, void *buf, unsigned len);
	bool (*write)(struct emul_ctxt *c, u64 gva, const void *buf, unsigned len);
	/* the read half of a read-modify-write: write rights are checked */
	bool (*read_rmw)(struct emul_ctxt *c, u64 gva, void *buf, unsigned len);
	/* atomic; not swapped: `old` gets what is there */
	bool (*cmpxchg)(struct emul_ctxt *c, u64 gva, void *old, const void *new_val, unsigned len, bool *swapped);
	void (*seg)(struct emul_ctxt *c, unsigned seg, u64 *base, u32 *limit, u16 *attr); /* x86 numbers */
	void (*read_xmm)(struct emul_ctxt *c, unsigned n, u8 out[16]);
	void (*read_mmx)(struct emul_ctxt *c, unsigned n, u8 out[8]);
};

struct emul_ctxt {
	const struct emul_ops *ops;
	void *priv;
	enum emul_mode mode;
	u64 *regs; /* 16, by number */
	u64 rip, rflags;
	u64 cr0, cr4;
	u8 cpl;
	bool has_want; /* the access must touch want_gva, else EMUL_UNKNOWN (the fault was not this operand's) */
	u64 want_gva;
	unsigned max_iterations; /* of REP, per call */
	struct emul_fault fault;
	u8 vector;
	u32 error;
	struct insn insn; /* as decoded */
	bool fetch_fault; /* emul_fetch_decode() failed because fetch did: see `fault` */
};

/* Fetches, decodes and performs one memory-writing instruction at RIP. */
enum emul_status emul_write(struct emul_ctxt *c);

/* Fetches and decodes alone; true if c->insn is valid. */
bool emul_fetch_decode(struct emul_ctxt *c);
/* Linear address of the memory operand (segment base added, wrapped to 32 bits outside 64-bit mode). */
u64 emul_linear(struct emul_ctxt *c);

#endif
