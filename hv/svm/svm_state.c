/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest state that stays in the VMCB between exits: segments and MSRs; and its print. */
#include "svm.h"

static struct vmcb_seg *seg_of(struct vcpu *v, enum seg s)
{
	struct vmcb_save *save = &((struct svm_vcpu *)v->arch)->vmcb->s;

	switch (s) {
	case SEG_ES: return &save->es;
	case SEG_CS: return &save->cs;
	case SEG_SS: return &save->ss;
	case SEG_DS: return &save->ds;
	case SEG_FS: return &save->fs;
	case SEG_GS: return &save->gs;
	case SEG_LDTR: return &save->ldtr;
	case SEG_TR: return &save->tr;
	case SEG_GDTR: return &save->gdtr;
	case SEG_IDTR: return &save->idtr;
	default: BUG("segment %d", s);
	}
}

/* A VMCB has no unusable bit: P=0 says it.  TR of a running task is always busy. */
void svm_get_seg(struct vcpu *v, enum seg s, struct segment *out)
{
	const struct vmcb_seg *in = seg_of(v, s);

	*out = (struct segment){ .selector = in->selector, .attr = in->attr & 0xfff, .limit = in->limit, .base = in->base };
	if (s == SEG_GDTR || s == SEG_IDTR)
		out->attr = 0;
	else if (!(out->attr & SEG_ATTR_P))
		out->attr = 0;
	else if (s == SEG_TR)
		out->attr |= 2;
}

void svm_set_seg(struct vcpu *v, enum seg s, const struct segment *in)
{
	struct vmcb_save *save = &((struct svm_vcpu *)v->arch)->vmcb->s;
	struct vmcb_seg *out = seg_of(v, s);

	*out = (struct vmcb_seg){ .selector = in->selector, .attr = in->attr, .limit = in->limit, .base = in->base };
	if (s == SEG_SS)
		save->cpl = in->attr >> 5 & 3;
	if (s == SEG_TR && (out->attr & 0xf) == 0xb)
		out->attr &= ~2; /* TCG kills itself over a busy TSS in a VMCB; the others take both */
}

u8 svm_cpl(struct vcpu *v)
{
	return ((struct svm_vcpu *)v->arch)->vmcb->s.cpl;
}

static u64 *msr_of(struct vcpu *v, u32 msr)
{
	struct vmcb_save *s = &((struct svm_vcpu *)v->arch)->vmcb->s;

	switch (msr) {
	case MSR_FS_BASE: return &s->fs.base;
	case MSR_GS_BASE: return &s->gs.base;
	case MSR_KERNEL_GS_BASE: return &s->kernel_gs_base;
	case MSR_STAR: return &s->star;
	case MSR_LSTAR: return &s->lstar;
	case MSR_CSTAR: return &s->cstar;
	case MSR_SFMASK: return &s->sfmask;
	case MSR_SYSENTER_CS: return &s->sysenter_cs;
	case MSR_SYSENTER_ESP: return &s->sysenter_esp;
	case MSR_SYSENTER_EIP: return &s->sysenter_eip;
	default: return NULL;
	}
}

bool svm_get_msr(struct vcpu *v, u32 msr, u64 *value)
{
	u64 *p = msr_of(v, msr);

	if (p)
		*value = *p;
	return p;
}

bool svm_set_msr(struct vcpu *v, u32 msr, u64 value)
{
	u64 *p = msr_of(v, msr);

	if (p)
		*p = value;
	return p;
}

static void dump_seg(const char *name, const struct vmcb_seg *s)
{
	printk("# %s %04x attr %03x limit %08x base %016llx\n", name, s->selector, s->attr, s->limit,
	       (unsigned long long)s->base);
}

#define LL(x) ((unsigned long long)(x))

void svm_dump(struct vcpu *v)
{
	const struct svm_vcpu *a = v->arch;
	const struct vmcb_control *c = &a->vmcb->c;
	const struct vmcb_save *s = &a->entered;

	printk("# vmcb exit %#llx info1 %#llx info2 %#llx intinfo %#x error %#x\n", LL(c->exit_code), LL(c->exit_info1),
	       LL(c->exit_info2), c->exit_int_info, c->exit_int_error);
	printk("# vmcb intercepts %08x %08x %08x exceptions %08x eventinj %#x error %#x\n", c->intercept1, c->intercept2,
	       c->intercept3, c->exceptions, c->event_inj, c->event_inj_error);
	printk("# vmcb vintr %#llx int_state %#llx next_rip %#llx trap %d iret_begun %d\n", LL(c->vintr), LL(c->int_state),
	       LL(c->next_rip), a->trap, a->iret_begun);
	printk("# as entered: rip %#llx rsp %#llx rax %#llx rflags %#llx cpl %u\n", LL(s->rip), LL(s->rsp), LL(s->rax),
	       LL(s->rflags), s->cpl);
	printk("# as entered: cr0 %#llx cr2 %#llx cr3 %#llx cr4 %#llx efer %#llx\n", LL(s->cr0), LL(s->cr2), LL(s->cr3),
	       LL(s->cr4), LL(s->efer));
	printk("# after exit: cr0 %#llx cr3 %#llx cr4 %#llx efer %#llx dr6 %#llx dr7 %#llx\n", LL(a->vmcb->s.cr0),
	       LL(a->vmcb->s.cr3), LL(a->vmcb->s.cr4), LL(a->vmcb->s.efer), LL(s->dr6), LL(s->dr7));
	dump_seg("es  ", &s->es);
	dump_seg("cs  ", &s->cs);
	dump_seg("ss  ", &s->ss);
	dump_seg("ds  ", &s->ds);
	dump_seg("fs  ", &s->fs);
	dump_seg("gs  ", &s->gs);
	dump_seg("ldtr", &s->ldtr);
	dump_seg("tr  ", &s->tr);
	dump_seg("gdtr", &s->gdtr);
	dump_seg("idtr", &s->idtr);
}
