/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Read-modify-write, always as a compare-exchange retried until it wins, with
 * or without LOCK: no update of another CPU or of the processor's A and D bits
 * can be lost.  A compare that fails still writes: the old value (SDM vol. 2,
 * CMPXCHG), so the rights and the dirty bit of a write are due.
 */
#include "emul_private.h"

#define MAX_TRIES 64

static u64 rmw_result(const struct emul_ctxt *c, u64 old, u64 src, u64 *rflags)
{
	const struct insn *i = &c->insn;

	switch (i->op) {
	case INSN_XCHG:
		return src;
	case INSN_XADD:
		return emul_alu(INSN_ADD, i->op_size, old, src, rflags);
	case INSN_CMPXCHG:
		emul_alu(INSN_SUB, i->op_size, emul_reg(c, EMUL_RAX, i->op_size), old, rflags);
		return *rflags & RFLAGS_ZF ? src : old;
	default:
		return emul_alu(i->op, i->op_size, old, src, rflags);
	}
}

static void rmw_finish(struct emul_ctxt *c, u64 old, u64 rflags)
{
	const struct insn *i = &c->insn;

	if (i->op == INSN_XCHG || i->op == INSN_XADD)
		emul_set_reg(c, i->reg, i->op_size, old);
	/* On success the accumulator is not written: a 32-bit one keeps its upper half. */
	if (i->op == INSN_CMPXCHG && !(rflags & RFLAGS_ZF))
		emul_set_reg(c, EMUL_RAX, i->op_size, old);
	c->rflags = rflags;
}

/* A register as bit offset reaches beyond the operand, in both directions. */
static s64 bit_string(const struct emul_ctxt *c, u64 *src)
{
	unsigned size = c->insn.op_size, bits = 8 * size;
	s64 n = (s64)(*src << (64 - bits)) >> (64 - bits), unit = n >> (size == 8 ? 6 : size == 4 ? 5 : 4);

	*src &= bits - 1;
	return c->insn.imm_src ? 0 : unit * (s64)size;
}

enum emul_status emul_rmw(struct emul_ctxt *c)
{
	const struct insn *i = &c->insn;
	u64 src = emul_source(c), old = 0, gva;
	bool is_bit = i->op == INSN_BTS || i->op == INSN_BTR || i->op == INSN_BTC;
	s64 extra = is_bit ? bit_string(c, &src) : 0;
	enum emul_status s;

	if (!i->has_mem)
		return EMUL_UNKNOWN;
	s = emul_place_dest(c, i->seg, emul_offset(c, extra), i->op_size, &gva);
	if (s != EMUL_DONE)
		return s;
	if (!c->ops->read_rmw(c, gva, &old, i->op_size))
		return EMUL_FAULT;
	for (unsigned tries = 0; tries < MAX_TRIES; tries++) {
		u64 rflags = c->rflags, result = rmw_result(c, old, src, &rflags), was = old;
		bool swapped = false;

		if (!c->ops->cmpxchg(c, gva, &old, &result, i->op_size, &swapped))
			return EMUL_FAULT;
		if (swapped) {
			rmw_finish(c, was, rflags);
			return EMUL_DONE;
		}
	}
	return EMUL_UNKNOWN; /* the processor can make sure of it */
}

/* `half` bytes each: EDX:EAX against memory, ECX:EBX to memory. */
enum emul_status emul_cmpxchg8b(struct emul_ctxt *c)
{
	unsigned size = c->insn.op_size, half = size / 2;
	u8 old[16], expect[16], desired[16];
	u64 gva;
	enum emul_status s = emul_place_dest(c, c->insn.seg, emul_offset(c, 0), size, &gva);

	if (s != EMUL_DONE)
		return s;
	if (size == 16 && gva & 15)
		return emul_exception(c, VEC_GP);
	memcpy(expect, &c->regs[EMUL_RAX], half);
	memcpy(expect + half, &c->regs[EMUL_RDX], half);
	memcpy(desired, &c->regs[EMUL_RBX], half);
	memcpy(desired + half, &c->regs[EMUL_RCX], half);
	if (!c->ops->read_rmw(c, gva, old, size))
		return EMUL_FAULT;
	for (unsigned tries = 0; tries < MAX_TRIES; tries++) {
		bool equal = !memcmp(old, expect, size), swapped = false;
		u8 was[16];

		memcpy(was, old, size);
		if (!c->ops->cmpxchg(c, gva, old, equal ? desired : was, size, &swapped))
			return EMUL_FAULT;
		if (!swapped)
			continue;
		c->rflags = (c->rflags & ~RFLAGS_ZF) | (equal ? RFLAGS_ZF : 0);
		for (unsigned r = 0; !equal && r < 2; r++) {
			u64 v = 0;

			memcpy(&v, was + r * half, half);
			emul_set_reg(c, r ? EMUL_RDX : EMUL_RAX, half, v);
		}
		return EMUL_DONE;
	}
	return EMUL_UNKNOWN; /* the processor can make sure of it */
}
