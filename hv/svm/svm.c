/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD SVM without nested paging: switching it on, the VMCB of a vCPU, and the
 * entry.  AMD APM vol. 2, chapter 15.  Exits are read in svm_exit.c, segments
 * and MSRs in svm_state.c.
 */
#include "svm.h"
#include "cpu.h"

#define IOPM_FRAMES 3
#define MSRPM_FRAMES 2
/* Intercepted while an event goes in: TCG makes no double fault of it and of what its delivery raises; event.c does. */
#define CONTRIBUTORY (BIT(VEC_DE) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP))

static const char *svm_probe(void)
{
	u32 r[4];

	cpuid(0x80000000, 0, r);
	if (r[0] < 0x80000001)
		return "CPUID 80000001: no such leaf";
	cpuid(0x80000001, 0, r);
	if (!(r[2] & BIT(2)))
		return "CPUID 80000001 ECX[2]: no SVM";
	if (rdmsr(MSR_VM_CR) & VM_CR_SVMDIS)
		return "VM_CR (MSR c0010114) bit 4: SVM disabled by firmware";
	return NULL;
}

static const char *svm_enable(void)
{
	hfn_t hsave = host_alloc();

	if (hsave.v == NO_HFN.v)
		return "no memory for the host save area";
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME | EFER_NXE);
	wrmsr(MSR_VM_HSAVE_PA, hfn_to_hpa(hsave).v);
	return NULL;
}

static u32 intercept3(void)
{
	u32 r[4];

	cpuid(0, 0, r);
	if (r[0] < 7)
		return 0;
	cpuid(7, 0, r);
	return r[1] & BIT(10) ? INTERCEPT_INVPCID : 0;
}

/* CR2 and CR8 stay the guest's own: CR2 is switched, CR8 is V_TPR under V_INTR_MASKING. */
static void init_controls(struct svm_vcpu *a)
{
	struct vmcb_control *c = &a->vmcb->c;
	u16 crs = BIT(0) | BIT(3) | BIT(4);

	c->cr_read = c->cr_write = crs;
	c->intercept1 = INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_CPUID | INTERCEPT_RSM | INTERCEPT_INVD | INTERCEPT_HLT |
			INTERCEPT_INVLPG | INTERCEPT_INVLPGA | INTERCEPT_IOIO | INTERCEPT_MSR | INTERCEPT_TASK_SWITCH |
			INTERCEPT_SHUTDOWN;
	c->intercept2 = INTERCEPT_VMRUN | INTERCEPT_VMMCALL | INTERCEPT_VMLOAD | INTERCEPT_VMSAVE | INTERCEPT_STGI |
			INTERCEPT_CLGI | INTERCEPT_SKINIT | INTERCEPT_WBINVD | INTERCEPT_MONITOR | INTERCEPT_MWAIT |
			INTERCEPT_MWAIT_ARMED | INTERCEPT_XSETBV;
	c->intercept3 = intercept3();
	c->iopm_pa = hfn_to_hpa(a->iopm).v;
	c->msrpm_pa = hfn_to_hpa(a->msrpm).v;
	a->vintr = V_INTR_MASKING;
}

/*
 * A guest with the machine: EFLAGS.IF is its own, and interrupts go through its
 * IDT, or exit when it is ready for one (relay).  PAUSE shows the time limit to one that spins.
 */
static void open_machine(const struct vm *vm, struct svm_vcpu *a)
{
	u8 *iopm = host_ptr(a->iopm);

	if (!vm_owns_machine(vm))
		return;
	a->direct = vm->opt.devices == DEVICES_PASS;
	a->vintr = 0;
	if (a->direct)
		a->vmcb->c.intercept1 &= ~INTERCEPT_INTR;
	a->vmcb->c.intercept1 |= INTERCEPT_PAUSE;
	for (u32 port = 0; port < 0x10000; port++)
		if (!device_keeps(vm, port))
			iopm[port / 8] &= ~BIT(port % 8);
}

static void init_state(struct vmcb_save *s)
{
	const struct vmcb_seg data = { .selector = 0x10, .attr = 0xc93, .limit = ~0u };

	s->cs = (struct vmcb_seg){ .selector = 0x08, .attr = 0xc9b, .limit = ~0u };
	s->es = s->ss = s->ds = s->fs = s->gs = data;
	s->ldtr = (struct vmcb_seg){ 0 };
	s->tr = (struct vmcb_seg){ .attr = 0x89, .limit = 0x67 };
	s->dr6 = 0xffff0ff0;
	s->dr7 = 0x400;
}

static bool alloc_pages(struct svm_vcpu *a)
{
	hfn_t vmcb = host_alloc(), host = host_alloc();

	a->iopm = host_alloc_run(IOPM_FRAMES);
	a->msrpm = host_alloc_run(MSRPM_FRAMES);
	a->vmcb = vmcb.v == NO_HFN.v ? NULL : host_ptr(vmcb);
	a->vmcb_pa = hfn_to_hpa(vmcb).v;
	a->host_pa = host.v == NO_HFN.v ? 0 : hfn_to_hpa(host).v;
	return a->vmcb && a->host_pa && a->iopm.v != NO_HFN.v && a->msrpm.v != NO_HFN.v;
}

static void svm_vcpu_free(struct vcpu *v)
{
	struct svm_vcpu *a = v->arch;

	if (!a)
		return;
	if (a->vmcb)
		host_free(hpa_to_hfn(mk_hpa(a->vmcb_pa)));
	if (a->host_pa)
		host_free(hpa_to_hfn(mk_hpa(a->host_pa)));
	if (a->iopm.v != NO_HFN.v)
		host_free_run(a->iopm, IOPM_FRAMES);
	if (a->msrpm.v != NO_HFN.v)
		host_free_run(a->msrpm, MSRPM_FRAMES);
	host_free(hpa_to_hfn(mem_hpa(a)));
	v->arch = NULL;
}

_Static_assert(sizeof(struct svm_vcpu) <= PAGE_SIZE, "svm_vcpu is allocated as one frame");

static bool svm_vcpu_init(struct vcpu *v)
{
	hfn_t f = host_alloc();
	struct svm_vcpu *a;
	u32 r[4];

	v->arch = NULL;
	if (f.v == NO_HFN.v)
		return false;
	v->arch = a = host_ptr(f);
	if (!alloc_pages(a)) {
		svm_vcpu_free(v);
		return false;
	}
	memset(host_ptr(a->iopm), 0xff, IOPM_FRAMES * PAGE_SIZE);
	memset(host_ptr(a->msrpm), 0xff, MSRPM_FRAMES * PAGE_SIZE);
	cpuid(CPUID_SVM_LEAF, 0, r);
	a->has_nrip = r[3] & CPUID_SVM_NRIP;
	a->has_flush_asid = r[3] & CPUID_SVM_FLUSH_ASID;
	init_controls(a);
	open_machine(v->vm, a);
	init_state(&a->vmcb->s);
	return true;
}

static bool is_soft(const struct event *e)
{
	return e->type == EVENT_SOFT_INT || e->type == EVENT_SOFT_EXCEPTION;
}

/*
 * The one place where an event becomes EVENTINJ.  A software event would have
 * to be injected with RIP behind its instruction; RIP is at it, so running
 * the instruction again raises the event (svm_exit.c drops them likewise).
 */
static void inject(struct vcpu *v, struct svm_vcpu *a)
{
	const struct event *e = &v->inject;
	u32 info = e->vector | e->type << EVENTINJ_TYPE_SHIFT | EVENTINJ_VALID;

	a->injected = *e;
	a->vmcb->c.event_inj = 0;
	v->inject.valid = false;
	if (!a->injected.valid || is_soft(e))
		return;
	if (e->has_error)
		info |= EVENTINJ_ERROR;
	a->vmcb->c.event_inj = info;
	a->vmcb->c.event_inj_error = e->error;
	if (e->type == EVENT_NMI)
		v->nmi_blocked = true; /* svm_decode_exit() takes it back if delivery is cut short */
}

/*
 * TF is borrowed for one instruction, never while an event goes in (soft ones
 * too, see inject()): delivery would push the borrowed TF, and clears it before any instruction runs.
 */
static enum svm_trap choose_trap(const struct vcpu *v, const struct svm_vcpu *a)
{
	if (a->injected.valid)
		return TRAP_NONE;
	if (v->step)
		return TRAP_STEP;
	if (a->iret_begun && !a->intr_first)
		return TRAP_IRET;
	/*
	 * TCG does not load the shadow at VMRUN, and Bochs notices V_IRQ only when
	 * IF changes: with IF set and a window wanted, step over the shadow.
	 */
	if (v->want_intr_window && (v->rflags & RFLAGS_IF))
		return TRAP_SHADOW;
	return TRAP_NONE;
}

static void set_windows(const struct vcpu *v, const struct svm_vcpu *a)
{
	struct vmcb_control *c = &a->vmcb->c;

	c->intercept1 &= ~(INTERCEPT_VINTR | INTERCEPT_IRET);
	if (a->direct) /* a handler must not find the borrowed TF in its frame: what waits goes first, without it */
		c->intercept1 = a->trap ? c->intercept1 | INTERCEPT_INTR : c->intercept1 & ~INTERCEPT_INTR;
	c->vintr = a->vintr;
	if (v->want_intr_window) {
		c->intercept1 |= INTERCEPT_VINTR;
		c->vintr |= V_IRQ | V_IGN_TPR | V_INTR_PRIO;
	}
	if (v->nmi_blocked && !a->iret_begun)
		c->intercept1 |= INTERCEPT_IRET;
}

/* Outside long mode CS.L means nothing, but Bochs refuses it beside D; a later MOV to CR0 looks at it. */
static void hide_cs_l(struct svm_vcpu *a)
{
	struct vmcb_save *s = &a->vmcb->s;

	a->hidden_l = 0;
	if ((s->efer & EFER_LMA) || !(s->cs.attr & SEG_ATTR_L))
		return;
	a->hidden_l = s->cs.selector;
	s->cs.attr &= ~SEG_ATTR_L;
}

/* ASID 0 is the host's (APM vol. 2, 15.16). */
static unsigned svm_tlb_tags(void)
{
	u32 r[4];

	cpuid(CPUID_SVM_LEAF, 0, r);
	return r[1] > 2 ? r[1] - 1 : 1;
}

static void order_flush(struct vcpu *v, const struct svm_vcpu *a)
{
	struct vmcb_control *c = &a->vmcb->c;

	c->asid = 1 + v->mmu.tag;
	c->tlb_control = 0;
	if (v->mmu.flush == SHADOW_FLUSH_ALL)
		c->tlb_control = a->has_flush_asid ? TLB_FLUSH_ASID : TLB_FLUSH_ALL;
	else if (v->mmu.flush == SHADOW_FLUSH_ONE)
		__asm__ volatile("invlpga %0, %1" : : "a"(v->mmu.flush_gva.v), "c"(c->asid) : "memory");
	shadow_flushed(&v->mmu, v->mmu.flush);
	v->mmu.flush = SHADOW_FLUSH_NONE;
}

static void load_state(struct vcpu *v, struct svm_vcpu *a)
{
	struct vmcb_control *c = &a->vmcb->c;
	struct vmcb_save *s = &a->vmcb->s;

	s->rax = v->regs[RAX];
	s->rsp = v->regs[RSP];
	s->rip = v->rip;
	s->rflags = (v->rflags | RFLAGS_RSV1) | (a->trap ? RFLAGS_TF : 0);
	s->cr0 = v->hw.cr0;
	s->cr2 = v->cr2;
	s->cr3 = v->hw.cr3;
	s->cr4 = v->hw.cr4;
	s->efer = v->hw.efer | EFER_SVME;
	hide_cs_l(a);
	/* TCG runs at SS.DPL, Bochs and the manual at the CPL field: keep them equal. */
	s->ss.attr = (s->ss.attr & ~0x60) | s->cpl << 5;
	c->exceptions = BIT(VEC_PF) | BIT(VEC_MC) | (a->trap ? BIT(VEC_DB) : 0) | (a->injected.valid ? CONTRIBUTORY : 0);
	c->int_state = v->intr_shadow ? INT_STATE_SHADOW : 0;
	order_flush(v, a);
	c->clean = 0;
	a->entry_rip = v->rip;
	a->entry_dr6 = s->dr6;
}

static void save_state(struct vcpu *v, struct svm_vcpu *a)
{
	struct vmcb_save *s = &a->vmcb->s;

	if (a->hidden_l && s->cs.selector == a->hidden_l)
		s->cs.attr |= SEG_ATTR_L;
	v->regs[RAX] = s->rax;
	v->regs[RSP] = s->rsp;
	v->rip = s->rip;
	v->rflags = s->rflags;
	v->cr2 = s->cr2;
	v->intr_shadow = a->vmcb->c.int_state & INT_STATE_SHADOW;
}

static void svm_run(struct vcpu *v)
{
	struct svm_vcpu *a = v->arch;

	inject(v, a);
	a->trap = choose_trap(v, a);
	a->intr_first = false;
	set_windows(v, a);
	load_state(v, a);
	memcpy(&a->entered, &a->vmcb->s, offsetof(struct vmcb_save, reserved6));
	write_cr2(v->cr2); /* Bochs does not load VMCB.CR2 */
	svm_enter(v->regs, a->vmcb_pa, a->host_pa);
	/* The interrupt that ended the guest, or one that Bochs let wait; but not the guest's own. */
	if (!vm_owns_machine(v->vm))
		__asm__ volatile("sti; nop; cli" ::: "memory");
	if ((u32)a->vmcb->c.exit_code != (u32)VMEXIT_INVALID)
		save_state(v, a);
	svm_decode_exit(v);
}

/*
 * #DB goes in as an exception: VMCBs have no pending debug exceptions.  A fault
 * that is already chosen goes first and pushes TF; its IRET brings the trap.
 */
void svm_queue_debug(struct vcpu *v)
{
	struct svm_vcpu *a = v->arch;

	a->vmcb->s.dr6 |= DR6_BS;
	if (!v->inject.valid)
		v->inject = (struct event){ .valid = true, .type = EVENT_EXCEPTION, .vector = VEC_DB };
}

/* VMRUN refuses what the processor does not have, and CPUID tells that already. */
static u64 svm_cr4_can_set(void)
{
	return ~0ull;
}

const struct vendor svm_vendor = {
	.name = "svm",
	.probe = svm_probe,
	.enable = svm_enable,
	.tlb_tags = svm_tlb_tags,
	.cr4_can_set = svm_cr4_can_set,
	.vcpu_init = svm_vcpu_init,
	.vcpu_free = svm_vcpu_free,
	.run = svm_run,
	.get_seg = svm_get_seg,
	.set_seg = svm_set_seg,
	.cpl = svm_cpl,
	.get_msr = svm_get_msr,
	.set_msr = svm_set_msr,
	.dump = svm_dump,
	.queue_debug = svm_queue_debug,
};
