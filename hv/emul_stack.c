/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pushes: PUSH, PUSHF and near CALL.  The stack pointer moves only when the
 * write has succeeded.
 */
#include "emul_private.h"

#define SEG_DB BIT(10) /* of ops->seg's attr: SS.B */

static unsigned stack_size(struct emul_ctxt *c)
{
	u64 base;
	u32 limit;
	u16 attr;

	if (c->mode == EMUL_64)
		return 8;
	c->ops->seg(c, EMUL_SS, &base, &limit, &attr);
	return attr & SEG_DB ? 4 : 2;
}

/* The slot that a push of op_size bytes fills. */
static enum emul_status slot_place(struct emul_ctxt *c, u64 *rsp, u64 *gva)
{
	unsigned size = c->insn.op_size;

	*rsp = (c->regs[EMUL_RSP] - size) & emul_mask(stack_size(c));
	return emul_place_dest(c, EMUL_SS, *rsp, size, gva);
}

static bool slot_write(struct emul_ctxt *c, u64 gva, u64 rsp, u64 value)
{
	if (!c->ops->write(c, gva, &value, c->insn.op_size))
		return false;
	emul_set_reg(c, EMUL_RSP, stack_size(c), rsp);
	return true;
}

/* The value of a memory or register operand of FF /2 and /6, or of 50+r. */
static enum emul_status read_operand(struct emul_ctxt *c, u64 *value)
{
	const struct insn *i = &c->insn;
	enum emul_status s;
	u64 gva;

	*value = 0;
	if (!i->has_mem) {
		*value = emul_reg(c, i->opcode == 0xff ? i->rm : i->reg, i->op_size);
		return EMUL_DONE;
	}
	s = emul_place(c, i->seg, emul_offset(c, 0), i->op_size, &gva);
	if (s != EMUL_DONE)
		return s;
	return c->ops->read(c, gva, value, i->op_size) ? EMUL_DONE : EMUL_FAULT;
}

static bool pushes_segment(const struct insn *i)
{
	return i->opcode < 0x50 || i->opcode == 0xa0 || i->opcode == 0xa8;
}

/* VM and RF read as 0 (SDM vol. 2, PUSHF); CR4.VME's virtual IF is left to the processor. */
static enum emul_status flags_operand(const struct emul_ctxt *c, u64 *value)
{
	if (c->rflags & RFLAGS_VM && c->cr4 & CR4_VME)
		return EMUL_UNKNOWN;
	*value = (c->rflags & ~(RFLAGS_VM | RFLAGS_RF)) | RFLAGS_RSV1;
	return EMUL_DONE;
}

enum emul_status emul_push(struct emul_ctxt *c)
{
	const struct insn *i = &c->insn;
	u64 rsp, gva, value = i->imm;
	enum emul_status s;

	/* Processors differ in how many bytes they write. */
	if (i->op == INSN_PUSH && pushes_segment(i))
		return EMUL_UNKNOWN;
	s = slot_place(c, &rsp, &gva);
	if (s != EMUL_DONE)
		return s;
	if (i->op == INSN_PUSHF)
		s = flags_operand(c, &value);
	else if (!i->imm_src)
		s = read_operand(c, &value);
	if (s != EMUL_DONE)
		return s;
	return slot_write(c, gva, rsp, value) ? EMUL_DONE : EMUL_FAULT;
}

/* A target that the processor refuses is left to it. */
static bool target_is_good(struct emul_ctxt *c, u64 target)
{
	unsigned unused = c->cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;
	u64 base;
	u32 limit;
	u16 attr;

	if (c->mode == EMUL_64)
		return (u64)((s64)(target << unused) >> unused) == target;
	c->ops->seg(c, EMUL_CS, &base, &limit, &attr);
	return target <= limit;
}

enum emul_status emul_call(struct emul_ctxt *c)
{
	const struct insn *i = &c->insn;
	u64 rsp, gva, target, next = emul_next_rip(c);
	enum emul_status s = slot_place(c, &rsp, &gva);

	if (s != EMUL_DONE)
		return s;
	if (i->imm_src)
		target = next + i->imm;
	else if ((s = read_operand(c, &target)) != EMUL_DONE)
		return s;
	target &= emul_mask(i->op_size);
	if (!target_is_good(c, target))
		return EMUL_UNKNOWN;
	if (!slot_write(c, gva, rsp, next))
		return EMUL_FAULT;
	c->rip = target;
	return EMUL_DONE;
}
