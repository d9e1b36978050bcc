/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instructions behind a control-register exit: MOV to and from CRn, CLTS,
 * LMSW, SMSW.  They are decoded at RIP, since SVM without decode assists says
 * nothing about them; the rules of the registers are cr.c's.
 */
#include "exit.h"

static void skip(struct access *a)
{
	vcpu_skip(a->v, a->c.insn.len);
}

static void mov_to_cr(struct access *a)
{
	u64 value = a->v->regs[a->c.insn.rm & 15];

	if (a->c.mode != EMUL_64)
		value = (u32)value;
	if (cr_write(a->v, a->c.insn.reg, value))
		skip(a);
}

static void mov_from_cr(struct access *a)
{
	u64 value;

	if (!cr_read(a->v, a->c.insn.reg, &value))
		return;
	a->v->regs[a->c.insn.rm & 15] = a->c.mode == EMUL_64 ? value : (u32)value;
	skip(a);
}

static void clts(struct access *a)
{
	if (cr_write(a->v, 0, a->v->cr0 & ~CR0_TS))
		skip(a);
}

/* PE MP EM TS are loaded, but PE is never cleared. */
static void lmsw(struct access *a)
{
	u16 value = a->v->regs[a->c.insn.rm & 15];
	u64 cr0 = a->v->cr0 & ~(CR0_MP | CR0_EM | CR0_TS);

	if (a->c.insn.has_mem && !access_read(a, emul_linear(&a->c), &value, 2))
		return;
	if (cr_write(a->v, 0, cr0 | (value & (CR0_PE | CR0_MP | CR0_EM | CR0_TS))))
		skip(a);
}

static void smsw(struct access *a)
{
	u64 *reg = &a->v->regs[a->c.insn.rm & 15];
	u16 low = a->v->cr0;

	if ((a->v->cr4 & CR4_UMIP) && a->c.cpl) {
		event_gp(a->v);
		return;
	}
	if (a->c.insn.has_mem) {
		if (!access_write(a, emul_linear(&a->c), &low, 2))
			return;
	} else if (a->c.insn.op_size == 2) {
		*reg = (*reg & ~0xffffull) | low;
	} else {
		*reg = (u32)a->v->cr0;
	}
	skip(a);
}

void exit_cr(struct vcpu *v)
{
	struct access a;

	if (!access_decode(&a, v))
		return;
	if (a.c.insn.op != INSN_MOV_FROM_CR && a.c.insn.op != INSN_SMSW && !shadow_prepare_flush(&v->mmu))
		return; /* there is work left: the guest comes again */
	switch (a.c.insn.op) {
	case INSN_MOV_TO_CR:
		mov_to_cr(&a);
		break;
	case INSN_MOV_FROM_CR:
		mov_from_cr(&a);
		break;
	case INSN_CLTS:
		clts(&a);
		break;
	case INSN_LMSW:
		lmsw(&a);
		break;
	case INSN_SMSW:
		smsw(&a);
		break;
	default: /* the guest changed the code under the processor's feet */
		vm_fail(v->vm, "control-register exit at rip %#llx, but another instruction is there",
			(unsigned long long)v->rip);
	}
}
