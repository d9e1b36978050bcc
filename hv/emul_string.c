/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MOVS and STOS, with and without REP.  Registers move after each iteration, so
 * a fault or a pause leaves them where the next one begins.  Only the first
 * iteration is known to have passed the processor's checks and to be in want's
 * page; what a later one would need beyond that goes back to the processor.
 */
#include "emul_private.h"

#define TYPE_CODE BIT(3)
#define TYPE_EXPAND_DOWN BIT(2)

static bool within_limit(struct emul_ctxt *c, unsigned seg, u64 offset)
{
	u64 base;
	u32 limit;
	u16 attr;

	if (c->mode == EMUL_64)
		return true;
	c->ops->seg(c, seg, &base, &limit, &attr);
	if (attr & TYPE_EXPAND_DOWN && !(attr & TYPE_CODE))
		return false;
	return offset + c->insn.op_size - 1 <= limit;
}

static void advance(struct emul_ctxt *c, unsigned reg)
{
	u64 step = c->rflags & RFLAGS_DF ? -(u64)c->insn.op_size : c->insn.op_size;

	emul_set_reg(c, reg, c->insn.addr_size, c->regs[reg] + step);
}

struct step {
	u64 src, dst; /* gva */
	bool first;
};

static enum emul_status step_place(struct emul_ctxt *c, struct step *t)
{
	const struct insn *i = &c->insn;
	u64 si = emul_reg(c, EMUL_RSI, i->addr_size), di = emul_reg(c, EMUL_RDI, i->addr_size);
	enum emul_status s;

	if (!t->first && !(within_limit(c, EMUL_ES, di) && (i->op == INSN_STOS || within_limit(c, i->seg, si))))
		return EMUL_AGAIN;
	if (t->first)
		s = emul_place_dest(c, EMUL_ES, di, i->op_size, &t->dst);
	else
		s = emul_place(c, EMUL_ES, di, i->op_size, &t->dst);
	if (s == EMUL_DONE && i->op == INSN_MOVS)
		s = emul_place(c, i->seg, si, i->op_size, &t->src);
	/* An exception that the first iteration did not have is the processor's to raise. */
	return s == EMUL_DONE || t->first ? s : EMUL_AGAIN;
}

static enum emul_status step_perform(struct emul_ctxt *c, const struct step *t)
{
	const struct insn *i = &c->insn;
	u64 value = c->regs[EMUL_RAX];

	if (i->op == INSN_MOVS && !c->ops->read(c, t->src, &value, i->op_size))
		return EMUL_FAULT;
	if (!c->ops->write(c, t->dst, &value, i->op_size))
		return EMUL_FAULT;
	advance(c, EMUL_RDI);
	if (i->op == INSN_MOVS)
		advance(c, EMUL_RSI);
	return EMUL_DONE;
}

static enum emul_status string_once(struct emul_ctxt *c, struct step *t)
{
	enum emul_status s = step_place(c, t);

	return s == EMUL_DONE ? step_perform(c, t) : s;
}

static enum emul_status string_repeat(struct emul_ctxt *c)
{
	struct step t = { .first = true };
	u64 page = 0;

	for (unsigned done = 0;; done++) {
		u64 count = emul_reg(c, EMUL_RCX, c->insn.addr_size);
		enum emul_status s;

		if (!count)
			return EMUL_DONE;
		if (done && (done >= c->max_iterations || c->rflags & RFLAGS_TF))
			return EMUL_AGAIN;
		s = step_place(c, &t);
		if (s != EMUL_DONE)
			return s;
		/* Beyond the page of the first write the processor is faster, or faults again. */
		if (t.first)
			page = t.dst >> PAGE_SHIFT;
		else if (t.dst >> PAGE_SHIFT != page)
			return EMUL_AGAIN;
		s = step_perform(c, &t);
		if (s != EMUL_DONE)
			return s;
		emul_set_reg(c, EMUL_RCX, c->insn.addr_size, count - 1);
		t.first = false;
	}
}

enum emul_status emul_string(struct emul_ctxt *c)
{
	struct step t = { .first = true };

	/* F2 repeats MOVS and STOS as F3 does. */
	return c->insn.rep || c->insn.repne ? string_repeat(c) : string_once(c, &t);
}
