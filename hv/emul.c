/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The emulator of memory writes: fetch, addresses, registers and plain stores.
 * The processor has already run the instruction up to the page fault of its
 * write, so what it checks before is not checked again.  What cannot be done
 * exactly is EMUL_UNKNOWN; the caller then lets the processor do it.
 */
#include "emul_private.h"

enum emul_status emul_exception(struct emul_ctxt *c, u8 vector)
{
	c->vector = vector;
	c->error = 0;
	return EMUL_EXCEPTION;
}

/* ---- registers ---- */

static bool is_high_byte(const struct emul_ctxt *c, unsigned n, unsigned size)
{
	return size == 1 && !c->insn.rex && n >= 4 && n < 8;
}

u64 emul_reg(const struct emul_ctxt *c, unsigned n, unsigned size)
{
	if (is_high_byte(c, n, size))
		return c->regs[n - 4] >> 8 & 0xff;
	return c->regs[n] & emul_mask(size);
}

/* A 32-bit result clears the upper half; smaller ones leave the rest. */
void emul_set_reg(struct emul_ctxt *c, unsigned n, unsigned size, u64 value)
{
	u64 mask = emul_mask(size == 4 ? 8 : size);

	value &= emul_mask(size);
	if (is_high_byte(c, n, size)) {
		n -= 4;
		mask <<= 8;
		value <<= 8;
	}
	c->regs[n] = (c->regs[n] & ~mask) | value;
}

u64 emul_source(const struct emul_ctxt *c)
{
	const struct insn *i = &c->insn;

	return (i->imm_src ? i->imm : emul_reg(c, i->reg, i->op_size)) & emul_mask(i->op_size);
}

u64 emul_next_rip(const struct emul_ctxt *c)
{
	return (c->rip + c->insn.len) & emul_mask(c->mode == EMUL_64 ? 8 : 4);
}

/* ---- addresses ---- */

u64 emul_offset(const struct emul_ctxt *c, s64 extra)
{
	const struct insn *i = &c->insn;
	u64 a = (u64)i->disp + (u64)extra;

	if (i->base == EMUL_RIP_REG)
		a += emul_next_rip(c);
	else if (i->base != EMUL_NO_REG)
		a += c->regs[i->base];
	if (i->index != EMUL_NO_REG)
		a += c->regs[i->index] << i->scale;
	return a & emul_mask(i->addr_size);
}

u64 emul_gva(struct emul_ctxt *c, unsigned seg, u64 offset)
{
	u64 base = 0;
	u32 limit;
	u16 attr;

	if (c->mode != EMUL_64 || seg >= EMUL_FS)
		c->ops->seg(c, seg, &base, &limit, &attr);
	return (base + offset) & emul_mask(c->mode == EMUL_64 ? 8 : 4);
}

u64 emul_linear(struct emul_ctxt *c) { return emul_gva(c, c->insn.seg, emul_offset(c, 0)); }

static bool checks_alignment(const struct emul_ctxt *c)
{
	return c->cpl == 3 && c->cr0 & CR0_AM && c->rflags & RFLAGS_AC;
}

static bool is_canonical(const struct emul_ctxt *c, u64 gva)
{
	unsigned unused = c->cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;

	return (u64)((s64)(gva << unused) >> unused) == gva;
}

enum emul_status emul_place(struct emul_ctxt *c, unsigned seg, u64 offset, unsigned size, u64 *gva)
{
	*gva = emul_gva(c, seg, offset);
	if (c->mode == EMUL_64) {
		if (!is_canonical(c, *gva) || !is_canonical(c, *gva + size - 1))
			return emul_exception(c, seg == EMUL_SS ? VEC_SS : VEC_GP);
	} else if (*gva + size > BIT(32)) {
		return EMUL_UNKNOWN;
	}
	return checks_alignment(c) && *gva & (size - 1) ? EMUL_UNKNOWN : EMUL_DONE;
}

enum emul_status emul_place_dest(struct emul_ctxt *c, unsigned seg, u64 offset, unsigned size, u64 *gva)
{
	u64 distance = c->want_gva - emul_gva(c, seg, offset);

	if (c->has_want && (distance & emul_mask(c->mode == EMUL_64 ? 8 : 4)) >= size)
		return EMUL_UNKNOWN;
	return emul_place(c, seg, offset, size, gva);
}

/* ---- fetch ---- */

/* Up to the end of the page first: the next one is read only if the instruction reaches into it. */
bool emul_fetch_decode(struct emul_ctxt *c)
{
	u8 bytes[15];
	u64 gva = emul_gva(c, EMUL_CS, c->rip);
	unsigned in_page = PAGE_SIZE - gva % PAGE_SIZE, n = MIN(in_page, 15u);
	bool more;

	c->fetch_fault = !c->ops->fetch(c, gva, bytes, n);
	if (c->fetch_fault)
		return false;
	if (insn_decode(bytes, n, c->mode, &c->insn, &more))
		return true;
	if (!more)
		return false;
	gva = emul_gva(c, EMUL_CS, c->rip + n);
	c->fetch_fault = !c->ops->fetch(c, gva, bytes + n, sizeof(bytes) - n);
	return !c->fetch_fault && insn_decode(bytes, sizeof(bytes), c->mode, &c->insn, &more);
}

/* ---- plain stores ---- */

static enum emul_status store(struct emul_ctxt *c, const void *value)
{
	const struct insn *i = &c->insn;
	enum emul_status s;
	u64 gva;

	if (!i->has_mem)
		return EMUL_UNKNOWN;
	s = emul_place_dest(c, i->seg, emul_offset(c, 0), i->op_size, &gva);
	if (s != EMUL_DONE)
		return s;
	return c->ops->write(c, gva, value, i->op_size) ? EMUL_DONE : EMUL_FAULT;
}

static enum emul_status store_int(struct emul_ctxt *c, u64 value) { return store(c, &value); }

static enum emul_status store_sse(struct emul_ctxt *c)
{
	const struct insn *i = &c->insn;
	u8 value[16];
	u64 gva;
	enum emul_status s;

	if (i->op_size > sizeof(value))
		return EMUL_UNKNOWN; /* the upper halves of YMM are not at hand */
	s = emul_place_dest(c, i->seg, emul_offset(c, 0), i->op_size, &gva);
	if (s != EMUL_DONE)
		return s;
	if (i->aligned && gva & (i->op_size - 1))
		return emul_exception(c, VEC_GP);
	if (i->sse == INSN_MMX)
		c->ops->read_mmx(c, i->reg, value);
	else
		c->ops->read_xmm(c, i->reg, value);
	return store(c, value + (i->sse == INSN_XMM_HIGH ? 8 : 0));
}

static enum emul_status perform(struct emul_ctxt *c)
{
	switch (c->insn.op) {
	case INSN_MOV:
	case INSN_MOVNTI: return store_int(c, emul_source(c));
	case INSN_SETCC: return store_int(c, emul_condition(c->insn.cc, c->rflags));
	case INSN_SSE_STORE: return store_sse(c);
	case INSN_XCHG:
	case INSN_CMPXCHG:
	case INSN_XADD:
	case INSN_ADD ... INSN_BTC: return emul_rmw(c);
	case INSN_CMPXCHG8B: return emul_cmpxchg8b(c);
	case INSN_MOVS:
	case INSN_STOS: return emul_string(c);
	case INSN_PUSH:
	case INSN_PUSHF: return emul_push(c);
	case INSN_CALL: return emul_call(c);
	default: return EMUL_UNKNOWN;
	}
}

enum emul_status emul_write(struct emul_ctxt *c)
{
	enum emul_status s;
	u64 next;

	if (!emul_fetch_decode(c))
		return c->fetch_fault ? EMUL_FAULT : EMUL_UNKNOWN;
	next = emul_next_rip(c);
	s = perform(c);
	if (s != EMUL_DONE)
		return s;
	if (c->insn.op != INSN_CALL)
		c->rip = next;
	c->rflags &= ~RFLAGS_RF;
	return EMUL_DONE;
}
