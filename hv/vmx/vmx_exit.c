/* SPDX-License-Identifier: BSD-2-Clause */
/* From the VMCS of an exit to struct vm_exit, and the events in flight at it (SDM vol. 3, chapter 27). */
#include "vmx.h"

#define QUAL_IO_IN BIT(3)
#define QUAL_IO_STRING BIT(4)
#define QUAL_IO_REP BIT(5)
#define QUAL_DEBUG 0x600f /* B0-B3, BD, BS */

/* Reasons with nothing to read but the kind; `insn`: the length field is valid. */
static const struct plain {
	u8 first, last;
	enum exit_kind kind;
	bool insn;
} plain[] = {
	{ REASON_EXTERNAL_INTERRUPT, REASON_EXTERNAL_INTERRUPT, EXIT_INTR, false },
	{ REASON_TRIPLE_FAULT, REASON_TRIPLE_FAULT, EXIT_TRIPLE_FAULT, false },
	{ REASON_INTR_WINDOW, REASON_INTR_WINDOW, EXIT_INTR_WINDOW, false },
	{ REASON_NMI_WINDOW, REASON_NMI_WINDOW, EXIT_NMI_WINDOW, false },
	{ REASON_TASK_SWITCH, REASON_TASK_SWITCH, EXIT_TASK_SWITCH, false },
	{ REASON_CPUID, REASON_CPUID, EXIT_CPUID, true },
	{ REASON_GETSEC, REASON_GETSEC, EXIT_VM_INSN, true },
	{ REASON_HLT, REASON_HLT, EXIT_HLT, true },
	{ REASON_INVD, REASON_INVD, EXIT_WBINVD, true },
	{ REASON_RSM, REASON_RSM, EXIT_VM_INSN, true },
	{ REASON_VMCALL, REASON_VMCALL, EXIT_HYPERCALL, true },
	{ REASON_VMCLEAR, REASON_VMXON, EXIT_VM_INSN, true },
	{ REASON_CR, REASON_CR, EXIT_CR, true },
	{ REASON_RDMSR, REASON_RDMSR, EXIT_RDMSR, true },
	{ REASON_WRMSR, REASON_WRMSR, EXIT_WRMSR, true },
	{ REASON_MWAIT, REASON_MWAIT, EXIT_VM_INSN, true },
	{ REASON_MONITOR_TRAP, REASON_MONITOR_TRAP, EXIT_DEBUG, false },
	{ REASON_MONITOR, REASON_MONITOR, EXIT_VM_INSN, true },
	{ REASON_PAUSE, REASON_PAUSE, EXIT_PAUSE, true },
	{ REASON_INVEPT, REASON_INVEPT, EXIT_VM_INSN, true },
	{ REASON_PREEMPTION_TIMER, REASON_PREEMPTION_TIMER, EXIT_INTR, false },
	{ REASON_INVVPID, REASON_INVVPID, EXIT_VM_INSN, true },
	{ REASON_WBINVD, REASON_WBINVD, EXIT_WBINVD, true },
	{ REASON_XSETBV, REASON_XSETBV, EXIT_XSETBV, true },
	{ REASON_INVPCID, REASON_INVPCID, EXIT_INVPCID, true },
};

static void decode_io(struct vm_exit *e)
{
	u64 qual = e->info1;

	e->kind = EXIT_IO;
	e->port = qual >> 16;
	e->size = (qual & 7) + 1;
	e->in = qual & QUAL_IO_IN;
	e->string = qual & QUAL_IO_STRING;
	e->rep = qual & QUAL_IO_REP;
	e->insn_len = vmcs_read(EXIT_INSN_LEN);
}

/*
 * A fault in the IRET of an NMI handler: the IRET unblocked NMIs before it
 * faulted, and will do so again; until then they stay blocked (SDM vol. 3, 27.2.3).
 */
static void reblock_nmi(struct vcpu *v, u32 info)
{
	if ((info & INTR_INFO_NMI_UNBLOCKED) && (info & INTR_INFO_VECTOR) != VEC_DF && !v->exit.vectoring.valid)
		v->nmi_blocked = true;
}

static void decode_exception(struct vcpu *v, const struct vmx_vcpu *a)
{
	struct vm_exit *e = &v->exit;
	u32 info = vmcs_read(EXIT_INTR_INFO);

	e->info2 = info;
	e->vector = info & INTR_INFO_VECTOR;
	e->has_error = info & INTR_INFO_ERROR;
	e->error = e->has_error ? vmcs_read(EXIT_INTR_ERROR) : 0;
	reblock_nmi(v, info);
	if (e->vector == VEC_NMI) {
		e->kind = EXIT_NMI;
		__asm__ volatile("int $2"); /* this NMI is the host's and was swallowed by the exit */
	} else if (e->vector == VEC_PF) {
		e->kind = EXIT_PAGE_FAULT;
		e->gva = mk_gva(e->info1);
		e->has_gva = true;
	} else if (e->vector == VEC_DB && a->borrowed_tf) {
		e->kind = EXIT_DEBUG;
		e->dr6 = e->info1 & QUAL_DEBUG;
	} else {
		e->kind = EXIT_EXCEPTION;
	}
}

/*
 * The monitor trap comes behind delivery, before the handler's first
 * instruction: then no instruction was stepped that owed the guest a trap.
 */
static void decode_monitor_trap(struct vcpu *v, const struct vmx_vcpu *a)
{
	v->exit.dr6 = DR6_BS;
	if (a->injected.valid)
		v->entry_tf = false;
}

static void decode_kind(struct vcpu *v, const struct vmx_vcpu *a)
{
	struct vm_exit *e = &v->exit;

	if (e->reason == REASON_EXCEPTION) {
		decode_exception(v, a);
	} else if (e->reason == REASON_IO) {
		decode_io(e);
	} else if (e->reason == REASON_INVLPG) {
		e->kind = EXIT_INVLPG;
		e->gva = mk_gva(e->info1);
		e->has_gva = true;
		e->insn_len = vmcs_read(EXIT_INSN_LEN);
	} else {
		for (unsigned i = 0; i < ARRAY_SIZE(plain); i++)
			if (e->reason >= plain[i].first && e->reason <= plain[i].last) {
				e->kind = plain[i].kind;
				e->insn_len = plain[i].insn ? vmcs_read(EXIT_INSN_LEN) : 0;
			}
	}
	if (e->reason == REASON_MONITOR_TRAP)
		decode_monitor_trap(v, a);
}

/* The one place where IDT-vectoring information becomes an event; injecting it verbatim is right. */
static struct event normalise(void)
{
	u32 info = vmcs_read(IDT_VECTORING_INFO), type = info >> INTR_INFO_TYPE_SHIFT & 7;
	struct event e = { .valid = true, .vector = info & INTR_INFO_VECTOR };

	if (!(info & INTR_INFO_VALID))
		return (struct event){ 0 };
	e.type = type == INTR_INFO_TYPE_INT1 ? EVENT_SOFT_EXCEPTION : (enum event_type)type;
	e.has_error = info & INTR_INFO_ERROR;
	e.error = e.has_error ? vmcs_read(IDT_VECTORING_ERROR) : 0;
	if (e.type == EVENT_SOFT_INT || e.type == EVENT_SOFT_EXCEPTION)
		e.insn_len = vmcs_read(EXIT_INSN_LEN);
	return e;
}

/*
 * Only what came between two instructions may leave a single-step trap pending.
 * Bochs leaves it at the exit of any instruction under TF, which then has not
 * retired; vcpu_skip() owes it anew.
 */
static void drop_stale_trap(const struct vm_exit *e)
{
	u64 pending;

	switch (e->kind) {
	case EXIT_INTR:
	case EXIT_NMI:
	case EXIT_INTR_WINDOW:
	case EXIT_NMI_WINDOW:
	case EXIT_DEBUG:
		return;
	default:
		pending = vmcs_read(GUEST_PENDING_DEBUG);
		if (pending & PENDING_DEBUG_BS)
			vmcs_write(GUEST_PENDING_DEBUG, pending & ~PENDING_DEBUG_BS);
	}
}

/* CR3 and the control bits that hv set must still be there. */
static bool is_isolated(const struct vcpu *v)
{
	return vmcs_read(GUEST_CR0) == (v->hw.cr0 | vmx_caps.cr0_fixed) && vmcs_read(GUEST_CR3) == v->hw.cr3 &&
	       vmcs_read(GUEST_CR4) == (v->hw.cr4 | vmx_caps.cr4_fixed);
}

void vmx_decode_exit(struct vcpu *v)
{
	struct vmx_vcpu *a = v->arch;
	struct vm_exit *e = &v->exit;

	*e = (struct vm_exit){ .kind = EXIT_UNKNOWN };
	if (a->failed) {
		e->kind = EXIT_ENTRY_FAILED;
		e->info1 = vmcs_read(INSTRUCTION_ERROR);
		return;
	}
	e->reason = vmcs_read(EXIT_REASON);
	e->info1 = vmcs_read(EXIT_QUALIFICATION);
	if (e->reason & REASON_ENTRY_FAILED) {
		e->kind = EXIT_ENTRY_FAILED;
		return;
	}
	if (a->borrowed_tf && !v->entry_tf)
		v->rflags &= ~RFLAGS_TF;
	e->vectoring = normalise();
	if (e->vectoring.valid && e->vectoring.type == EVENT_NMI)
		v->nmi_blocked = false; /* it did not get in, and goes in again */
	decode_kind(v, a);
	drop_stale_trap(e);
	if (!is_isolated(v)) {
		e->kind = EXIT_ISOLATION;
		e->info1 = vmcs_read(GUEST_CR3);
		e->info2 = vmcs_read(GUEST_CR0);
	}
}
