/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page-fault exits: what the shadow MMU decides is carried out here.  A hidden
 * fault leaves no trace in the guest: the event whose delivery it cut short
 * goes in again (exit.c puts it back), and an instruction that nobody
 * decodes is stepped over with the way opened for it.
 */
#include "exit.h"

/* Same place, same address, same registers as at the last page fault? */
static void note_progress(struct vcpu *v)
{
	struct vcpu_progress *p = &v->progress;

	if (p->rip != v->rip || p->gva != v->exit.gva.v || memcmp(p->regs, v->regs, sizeof(p->regs)))
		v->vm->refaults = 0;
	p->rip = v->rip;
	p->gva = v->exit.gva.v;
	memcpy(p->regs, v->regs, sizeof(p->regs));
}

static bool read_table(struct vcpu *v, enum seg table, u32 offset, u8 *buf, size_t len)
{
	const struct shadow_access acc = { .implicit = true, .wide = vcpu_is_long(v) };
	struct shadow_fault fault;
	struct segment s;

	vendor->get_seg(v, table, &s);
	return shadow_read(&v->mmu, mk_gva(s.base + offset), buf, len, &acc, &fault);
}

/* Where the handler of the event in delivery begins; false: its delivery will fault before it gets there. */
static bool handler_of(struct vcpu *v, gva_t *gva)
{
	bool is_long = vcpu_is_long(v);
	u8 gate[16] = { 0 }, d[8];
	u16 selector;
	u32 high;

	if (!read_table(v, SEG_IDTR, v->exit.vectoring.vector * (is_long ? 16 : 8), gate, is_long ? 16 : 8))
		return false;
	memcpy(&high, gate + 8, sizeof(high));
	selector = gate[2] | gate[3] << 8;
	gva->v = gate[0] | gate[1] << 8 | gate[6] << 16 | (u64)gate[7] << 24 | (u64)high << 32;
	if (is_long)
		return access_canonical(v, gva->v);
	if (!read_table(v, selector & 4 ? SEG_LDTR : SEG_GDTR, selector & ~7u, d, sizeof(d)))
		return false;
	gva->v = (u32)(gva->v + (d[2] | d[3] << 8 | d[4] << 16 | (u32)d[7] << 24));
	return true;
}

/* INT n runs again from RIP: its own page must let it be fetched.  (Not modelled: its handler in the same page.) */
static bool runs_again_from(struct vcpu *v, gva_t gva)
{
	struct segment cs;
	u64 rip;

	if (v->exit.vectoring.type != EVENT_SOFT_INT && v->exit.vectoring.type != EVENT_SOFT_EXCEPTION)
		return false;
	vendor->get_seg(v, SEG_CS, &cs);
	rip = access_code64(v) ? v->rip : (u32)(v->rip + cs.base);
	return gva.v / PAGE_SIZE == rip / PAGE_SIZE || gva.v / PAGE_SIZE == (rip + 1) / PAGE_SIZE;
}

/* A delivery cannot be stepped: what it was lent ends when the handler is fetched. */
static void step_over(struct vcpu *v, const struct shadow_access *acc)
{
	gva_t handler;

	v->step = shadow_step_over(&v->mmu, v->exit.gva, acc);
	if (v->step && v->exit.vectoring.valid && handler_of(v, &handler) && !runs_again_from(v, handler) &&
	    shadow_trap_fetch(&v->mmu, handler))
		v->step = false;
}

static void commit(struct vcpu *v, const struct access *a, bool retired)
{
	v->rip = a->c.rip;
	v->rflags = a->c.rflags;
	if (retired)
		event_retire(v);
	else if (v->rflags & RFLAGS_TF)
		vendor->queue_debug(v); /* an iteration of REP is an instruction to TF */
}

/* The instruction at RIP wrote where it may, but hardware could not let it. */
static void emulate(struct vcpu *v, const struct shadow_access *acc)
{
	struct access a;

	access_init(&a, v);
	a.c.has_want = true;
	a.c.want_gva = v->exit.gva.v;
	switch (emul_write(&a.c)) {
	case EMUL_DONE:
		v->vm->refaults = 0;
		access_done(&a);
		commit(v, &a, true);
		break;
	case EMUL_AGAIN:
		commit(v, &a, false);
		break;
	case EMUL_FAULT:
		event_page_fault(v, mk_gva(a.c.fault.gva), a.c.fault.error);
		break;
	case EMUL_EXCEPTION:
		event_exception(v, a.c.vector, (BIT(a.c.vector) & EVENT_HAS_ERROR) != 0, a.c.error);
		break;
	case EMUL_UNKNOWN:
		step_over(v, acc);
		break;
	}
}

static void count_refault(struct vcpu *v)
{
	struct vm *vm = v->vm;

	if (++vm->refaults > vm->opt.refault_limit && vm->opt.refault_limit)
		vm_fail(vm, "refaults: %llu page faults without progress at rip %#llx, address %#llx, error %#x",
			(unsigned long long)vm->refaults, (unsigned long long)v->rip,
			(unsigned long long)v->exit.gva.v, v->exit.error);
}

void fault_page(struct vcpu *v)
{
	struct shadow_access acc;
	struct shadow_verdict verdict;

	note_progress(v);
	acc = access_of_fault(v);
	verdict = shadow_page_fault(&v->mmu, v->exit.gva, &acc, v->exit.error);
	switch (verdict.action) {
	case SHADOW_RETRY:
		count_refault(v);
		break;
	case SHADOW_AGAIN: /* there is work left: the guest comes again */
		break;
	case SHADOW_INJECT: /* the handler runs: that is progress */
		v->vm->refaults = 0;
		event_page_fault(v, v->exit.gva, verdict.error);
		break;
	case SHADOW_EMULATE:
		count_refault(v);
		if (v->exit.vectoring.valid) /* the write is the processor's, not the instruction's at RIP */
			step_over(v, &acc);
		else
			emulate(v, &acc);
		break;
	}
}

/* #DB after one instruction that was stepped over, or the guest's own. */
void fault_stepped(struct vcpu *v)
{
	v->vm->refaults = 0;
	if (v->entry_tf)
		vendor->queue_debug(v);
}

/* SDM vol. 2, INVLPG: a non-canonical address is no error and no operation. */
void fault_invlpg(struct vcpu *v)
{
	struct access a;
	gva_t gva = v->exit.gva;
	u8 len = v->exit.insn_len;

	if (!v->exit.has_gva || !len) {
		if (!access_decode(&a, v))
			return;
		gva = mk_gva(emul_linear(&a.c));
		len = a.c.insn.len;
	}
	if (!vcpu_is_long(v) || access_canonical(v, gva.v))
		shadow_invlpg(&v->mmu, gva);
	vcpu_skip(v, len);
}
