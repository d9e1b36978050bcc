/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the VMCB of an exit to struct vm_exit, and the events in flight at it.
 * AMD APM vol. 2, 15.6-15.20 and appendix C.
 */
#include "svm.h"

#define IOIO_IN BIT(0)
#define IOIO_STRING BIT(2)
#define IOIO_REP BIT(3)
/* Exceptions with an error code. */
#define PUSH_ERROR \
	(BIT(VEC_DF) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP) | BIT(VEC_PF) | BIT(VEC_AC))

/* Exit codes with nothing to read but the kind; `insn`: next_rip - rip is the length. */
static const struct plain {
	u32 code;
	enum exit_kind kind;
	bool insn;
} plain[] = {
	{ VMEXIT_INTR, EXIT_INTR, false },
	{ VMEXIT_NMI, EXIT_NMI, false },
	{ VMEXIT_VINTR, EXIT_INTR_WINDOW, false },
	{ VMEXIT_CPUID, EXIT_CPUID, true },
	{ VMEXIT_RSM, EXIT_VM_INSN, true },
	{ VMEXIT_INVD, EXIT_WBINVD, true },
	{ VMEXIT_PAUSE, EXIT_PAUSE, true },
	{ VMEXIT_HLT, EXIT_HLT, true },
	{ VMEXIT_INVLPG, EXIT_INVLPG, true },
	{ VMEXIT_INVLPGA, EXIT_VM_INSN, true },
	{ VMEXIT_TASK_SWITCH, EXIT_TASK_SWITCH, false },
	{ VMEXIT_SHUTDOWN, EXIT_TRIPLE_FAULT, false },
	{ VMEXIT_VMRUN, EXIT_VM_INSN, true },
	{ VMEXIT_VMMCALL, EXIT_HYPERCALL, true },
	{ VMEXIT_VMLOAD, EXIT_VM_INSN, true },
	{ VMEXIT_VMSAVE, EXIT_VM_INSN, true },
	{ VMEXIT_STGI, EXIT_VM_INSN, true },
	{ VMEXIT_CLGI, EXIT_VM_INSN, true },
	{ VMEXIT_SKINIT, EXIT_VM_INSN, true },
	{ VMEXIT_WBINVD, EXIT_WBINVD, true },
	{ VMEXIT_MONITOR, EXIT_VM_INSN, true },
	{ VMEXIT_MWAIT, EXIT_VM_INSN, true },
	{ VMEXIT_MWAIT_ARMED, EXIT_VM_INSN, true },
	{ VMEXIT_XSETBV, EXIT_XSETBV, true },
	{ VMEXIT_INVPCID, EXIT_INVPCID, true },
};

static u8 length_to(u64 from, u64 to)
{
	u64 len = to - from;

	return len >= 1 && len <= 15 ? len : 0;
}

/* Without the NRIP feature the field is 0; the caller then decodes. */
static u8 insn_len(const struct svm_vcpu *a)
{
	return a->has_nrip ? length_to(a->vmcb->s.rip, a->vmcb->c.next_rip) : 0;
}

static void decode_io(struct vm_exit *e, const struct svm_vcpu *a)
{
	u32 info = e->info1;

	e->kind = EXIT_IO;
	e->port = info >> 16;
	e->size = info >> 4 & 7;
	e->in = info & IOIO_IN;
	e->string = info & IOIO_STRING;
	e->rep = info & IOIO_REP;
	e->insn_len = length_to(a->vmcb->s.rip, e->info2);
}

/* Borrowed TF did its work.  DR6 was hv's business alone; Bochs leaves BS clear in it. */
static void decode_trap(struct vcpu *v, struct svm_vcpu *a)
{
	struct vm_exit *e = &v->exit;

	e->dr6 = a->vmcb->s.dr6 | DR6_BS;
	a->vmcb->s.dr6 = a->entry_dr6;
	switch (a->trap) {
	case TRAP_STEP:
		e->kind = EXIT_DEBUG;
		return;
	case TRAP_IRET:
		e->kind = EXIT_NMI_WINDOW;
		a->iret_begun = false;
		v->nmi_blocked = false;
		break;
	default:
		e->kind = EXIT_INTR_WINDOW;
		break;
	}
	if (v->entry_tf) /* the guest steps as well; nobody else will tell it */
		svm_queue_debug(v);
}

static void decode_exception(struct vcpu *v, struct svm_vcpu *a)
{
	struct vm_exit *e = &v->exit;

	e->vector = e->reason - VMEXIT_EXCP0;
	e->has_error = BIT(e->vector) & PUSH_ERROR;
	e->error = e->has_error ? e->info1 : 0;
	if (e->vector == VEC_PF) {
		e->kind = EXIT_PAGE_FAULT;
		e->gva = mk_gva(e->info2);
		e->has_gva = true;
	} else if (e->vector == VEC_DB && a->trap) {
		decode_trap(v, a);
	} else {
		e->kind = EXIT_EXCEPTION;
	}
}

/* The NMI window opens behind the IRET; only who waits for it pays for the trap there. */
static void decode_iret(struct vcpu *v, struct svm_vcpu *a)
{
	v->exit.kind = EXIT_NMI_WINDOW;
	if (v->want_nmi_window)
		a->iret_begun = true;
	else
		v->nmi_blocked = false;
}

static void decode_kind(struct vcpu *v, struct svm_vcpu *a)
{
	struct vm_exit *e = &v->exit;
	u32 code = e->reason;

	if (code <= VMEXIT_CR15_WRITE) {
		e->kind = EXIT_CR;
		e->insn_len = insn_len(a);
	} else if (code >= VMEXIT_EXCP0 && code <= VMEXIT_EXCP31) {
		decode_exception(v, a);
	} else if (code == VMEXIT_IOIO) {
		decode_io(e, a);
	} else if (code == VMEXIT_MSR) {
		e->kind = e->info1 ? EXIT_WRMSR : EXIT_RDMSR;
		e->insn_len = insn_len(a);
	} else if (code == VMEXIT_IRET) {
		decode_iret(v, a);
	} else if (code == (u32)VMEXIT_INVALID) {
		e->kind = EXIT_ENTRY_FAILED;
	} else {
		for (unsigned i = 0; i < ARRAY_SIZE(plain); i++)
			if (plain[i].code == code) {
				e->kind = plain[i].kind;
				e->insn_len = plain[i].insn ? insn_len(a) : 0;
			}
	}
}

/* INT n, INT3, INTO or INT1 at RIP?  And of which vector? */
static bool at_software_event(struct vcpu *v, const struct svm_vcpu *a, u8 *vector)
{
	const struct vmcb_save *s = &a->vmcb->s;
	struct shadow_access acc = { .fetch = true, .user = s->cpl == 3 };
	u64 gva = s->cs.base + s->rip;
	struct shadow_fault fault;
	u8 op;

	if (!vcpu_is_long(v))
		gva = (u32)gva;
	if (!shadow_read(&v->mmu, mk_gva(gva), &op, 1, &acc, &fault))
		return false;
	*vector = op == 0xcc ? VEC_BP : op == 0xce ? VEC_OF : VEC_DB;
	if (op == 0xcd)
		return shadow_read(&v->mmu, mk_gva(vcpu_is_long(v) ? gva + 1 : (u32)(gva + 1)), vector, 1, &acc, &fault);
	return op == 0xcc || op == 0xce || op == 0xf1;
}

/*
 * Bochs again: INT n at the RIP where a #PF was injected, and that #PF in
 * EXITINTINFO.  If its address translates by now, a handler has been there and
 * mapped it: the event is the INT n, run once more.
 */
static bool has_been_handled(struct vcpu *v, const struct svm_vcpu *a)
{
	struct shadow_access acc = { .write = a->injected.error & PF_ERR_W, .implicit = true };
	struct shadow_fault fault;
	gpa_t gpa;
	u8 n;

	return a->injected.type == EVENT_EXCEPTION && a->injected.vector == VEC_PF && at_software_event(v, a, &n) &&
	       shadow_probe(&v->mmu, mk_gva(a->entered.cr2), &acc, &gpa, &fault);
}

/* The #DB of the instruction before, on its way at the RIP of an INT n. */
static bool is_single_step(const struct svm_vcpu *a, const struct event *e)
{
	return e->vector == VEC_DB && (a->vmcb->s.dr6 & DR6_BS);
}

/*
 * An interrupt from a device, whatever lies at RIP: TCG's wrong type is a right
 * one for no exception.  Where interrupts exit, Bochs may run, and type 0 be stale.
 */
static bool is_external(const struct svm_vcpu *a, const struct event *e)
{
	u32 type = e->type;

	return e->vector >= 32 && (type == EVENTINJ_TYPE_EXCEPTION || (a->direct && type == EVENTINJ_TYPE_INTR));
}

/*
 * The one place where EXITINTINFO becomes an event.
 *
 * What hv injected at this entry and is still at its first RIP comes back as
 * it was.  TCG calls every external interrupt type 3; a vector says better
 * what it is.  Bochs has stale contents for INT n and the like, TCG has type 4
 * for INT3: the opcode decides.  For these RIP is at the instruction, and
 * injecting the event means to run it again (inject() in svm.c).
 */
static struct event normalise(struct vcpu *v, const struct svm_vcpu *a)
{
	const struct vmcb_control *c = &a->vmcb->c;
	u32 info = c->exit_int_info;
	u8 vector;
	struct event e = { .valid = true, .type = info >> EVENTINJ_TYPE_SHIFT & 7, .vector = info & EVENTINJ_VECTOR };

	if (!(info & EVENTINJ_VALID))
		return (struct event){ 0 };
	if (a->injected.valid && a->injected.vector == e.vector && a->vmcb->s.rip == a->entry_rip && !has_been_handled(v, a))
		return a->injected;
	if (is_external(a, &e)) {
		e.type = EVENT_INTR;
		return e;
	}
	if (e.type == EVENTINJ_TYPE_SOFT)
		return e; /* EVENT_SOFT_INT */
	if (at_software_event(v, a, &vector) && !is_single_step(a, &e))
		return (struct event){ .valid = true, .type = EVENT_SOFT_INT, .vector = vector };
	if (e.vector >= 32)
		e.type = EVENT_INTR;
	else if (e.vector == VEC_NMI)
		e.type = EVENT_NMI;
	else if (e.vector == VEC_BP || e.vector == VEC_OF)
		e.type = EVENT_SOFT_EXCEPTION;
	else
		e.type = EVENT_EXCEPTION;
	e.has_error = info & EVENTINJ_ERROR; /* else the word is stale */
	e.error = e.has_error ? c->exit_int_error : 0;
	return e;
}

/*
 * CR3 and the control bits that hv set must still be there.  (TCG runs a
 * hardware task switch without an exit and loads CR3 from the guest's TSS.)
 * Bochs clears LMA for a MOV to CR0 without PG before it looks at the intercept:
 * nothing has run with that, and the next entry sets it again.
 */
static bool is_isolated(const struct vcpu *v, const struct svm_vcpu *a)
{
	const struct vmcb_save *s = &a->vmcb->s;
	u64 efer = s->efer ^ (v->hw.efer | EFER_SVME);

	if (a->vmcb->c.exit_code == VMEXIT_CR0_WRITE && !(s->efer & EFER_LMA))
		efer &= ~EFER_LMA;
	return s->cr0 == v->hw.cr0 && s->cr3 == v->hw.cr3 && s->cr4 == v->hw.cr4 && !efer;
}

void svm_decode_exit(struct vcpu *v)
{
	struct svm_vcpu *a = v->arch;
	struct vm_exit *e = &v->exit;
	const struct vmcb_control *c = &a->vmcb->c;

	*e = (struct vm_exit){
		.kind = EXIT_UNKNOWN, .reason = (u32)c->exit_code, .info1 = c->exit_info1, .info2 = c->exit_info2,
	};
	if (e->reason == (u32)VMEXIT_INVALID) {
		e->kind = EXIT_ENTRY_FAILED; /* the save area is no guest's now */
		return;
	}
	if (a->trap && (v->rflags & RFLAGS_TF) && !(a->trap == TRAP_IRET && e->reason == VMEXIT_EXCP0 + VEC_DB) &&
	    !v->entry_tf)
		v->rflags &= ~RFLAGS_TF; /* the borrowed one; an IRET has brought its own */
	a->intr_first = a->direct && e->reason == VMEXIT_INTR;
	e->vectoring = normalise(v, a);
	if (e->vectoring.valid && e->vectoring.type == EVENT_NMI)
		v->nmi_blocked = false;
	decode_kind(v, a);
	if (!is_isolated(v, a)) {
		e->kind = EXIT_ISOLATION;
		e->info1 = a->vmcb->s.cr3;
		e->info2 = a->vmcb->s.cr0;
	}
}
