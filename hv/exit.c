/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run loop: enter the guest, take one exit, handle it through the table,
 * until the VM has a result.  An event whose delivery an exit cut short goes
 * in again, unless a handler makes the guest's own exception of it.
 */
#include "base.h"
#include "exit.h"

static void insn_done(struct vcpu *v, u8 opcode_bytes)
{
	vcpu_skip(v, access_insn_len(v, opcode_bytes));
}

static void nothing(struct vcpu *v)
{
	(void)v; /* the host has had its interrupt; event_prepare() looks at windows anew */
}

static void intr(struct vcpu *v)
{
	if (v->vm->opt.devices == DEVICES_RELAY && v->rflags & RFLAGS_IF && !v->intr_shadow)
		passthrough_relay(v);
}

static void nmi(struct vcpu *v)
{
	if (vm_owns_machine(v->vm))
		event_nmi(v);
}

static void exception(struct vcpu *v)
{
	event_exception(v, v->exit.vector, v->exit.has_error, v->exit.error);
}

static void undefined(struct vcpu *v)
{
	event_exception(v, VEC_UD, false, 0);
}

static void cpuid(struct vcpu *v)
{
	u32 r[4];

	cpuid_guest(v, v->regs[RAX], v->regs[RCX], r);
	v->regs[RAX] = r[0];
	v->regs[RBX] = r[1];
	v->regs[RCX] = r[2];
	v->regs[RDX] = r[3];
	insn_done(v, 2);
}

static bool can_wake(const struct vcpu *v)
{
	return v->inject.valid || (v->pending_nmi.valid && !v->nmi_blocked) ||
	       (v->pending_intr.valid && (v->rflags & RFLAGS_IF));
}

/* No device that hv emulates ever interrupts: what does not wake the guest now never will. */
static void hlt(struct vcpu *v)
{
	bool trap = v->rflags & RFLAGS_TF;

	insn_done(v, 1);
	if (trap || can_wake(v))
		return;
	if (vm_owns_machine(v->vm) && v->rflags & RFLAGS_IF)
		passthrough_wait(v);
	else
		vm_fail(v->vm, "guest halted with interrupts %s", v->rflags & RFLAGS_IF ? "on, and none can come" : "off");
}

static void pause(struct vcpu *v)
{
	insn_done(v, 1); /* NOP, and REP before it */
}

static void rdmsr(struct vcpu *v)
{
	u64 value;

	if (!msr_read(v, v->regs[RCX], &value)) {
		event_gp(v);
		return;
	}
	v->regs[RAX] = (u32)value;
	v->regs[RDX] = value >> 32;
	insn_done(v, 2);
}

static void wrmsr(struct vcpu *v)
{
	u64 value = (u32)v->regs[RAX] | v->regs[RDX] << 32;

	if (!shadow_prepare_flush(&v->mmu) || ((u32)v->regs[RCX] == MSR_PAT && !shadow_prepare_pat(&v->mmu, value)))
		return; /* there is work left: the guest comes again */
	if (msr_write(v, v->regs[RCX], value))
		insn_done(v, 2);
	else
		event_gp(v);
}

static void hypercall_exit(struct vcpu *v)
{
	if (hypercall(v))
		insn_done(v, 3);
}

/* Guest caches are the host's and coherent: nothing to write back. */
static void wbinvd(struct vcpu *v)
{
	if (vendor->cpl(v))
		event_gp(v);
	else
		insn_done(v, 2);
}

static void task_switch(struct vcpu *v)
{
	vm_fail(v->vm, "hardware task switch at rip %#llx: not supported", (unsigned long long)v->rip);
}

static void triple_fault(struct vcpu *v)
{
	vm_fail(v->vm, "triple fault at rip %#llx, cr2 %#llx", (unsigned long long)v->rip, (unsigned long long)v->cr2);
}

/* The processor or the back end is at odds with hv: end the guest, show all there is. */
static void broken(struct vcpu *v)
{
	const struct vm_exit *e = &v->exit;

	vm_fail(v->vm, "%s: reason %#llx info %#llx %#llx at rip %#llx", exit_name(e->kind),
		(unsigned long long)e->reason, (unsigned long long)e->info1, (unsigned long long)e->info2,
		(unsigned long long)v->rip);
	vendor->dump(v);
	trace_dump();
}

static void (*const handlers[NEXITS])(struct vcpu *v) = {
	[EXIT_PAGE_FAULT] = fault_page,
	[EXIT_EXCEPTION] = exception,
	[EXIT_DEBUG] = fault_stepped,
	[EXIT_INTR] = intr,
	[EXIT_NMI] = nmi,
	[EXIT_INTR_WINDOW] = nothing,
	[EXIT_NMI_WINDOW] = nothing,
	[EXIT_CPUID] = cpuid,
	[EXIT_HLT] = hlt,
	[EXIT_PAUSE] = pause,
	[EXIT_INVLPG] = fault_invlpg,
	[EXIT_INVPCID] = undefined, /* not offered */
	[EXIT_CR] = exit_cr,
	[EXIT_RDMSR] = rdmsr,
	[EXIT_WRMSR] = wrmsr,
	[EXIT_IO] = exit_io,
	[EXIT_HYPERCALL] = hypercall_exit,
	[EXIT_XSETBV] = undefined, /* XSAVE is not offered */
	[EXIT_WBINVD] = wbinvd,
	[EXIT_VM_INSN] = undefined,
	[EXIT_TASK_SWITCH] = task_switch,
	[EXIT_TRIPLE_FAULT] = triple_fault,
	[EXIT_ENTRY_FAILED] = broken,
	[EXIT_ISOLATION] = broken,
	[EXIT_UNKNOWN] = broken,
};

static void enter(struct vcpu *v)
{
	event_prepare(v);
	cr_sync_hw(v); /* the root may have moved */
	v->entry_tf = v->rflags & RFLAGS_TF;
	vendor->run(v);
	if (shadow_flush_missing(&v->mmu)) /* nothing is lost inside run(): it was entered like that */
		vm_fail(v->vm, "I10: entered at rip %#llx with a flush left out", (unsigned long long)v->rip);
}

static void handle(struct vcpu *v)
{
	const struct vm_exit *e = &v->exit;

	BUG_ON(e->kind >= NEXITS);
	v->vm->exits[e->kind]++;
	trace_exit(v);
	shadow_begin_exit(&v->mmu);
	v->step = false;
	if (e->vectoring.valid)
		v->inject = e->vectoring;
	handlers[e->kind](v);
	shadow_end_exit(&v->mmu);
}

/* Each of the first 4096 exits, then every 16th: a long test must end, and what is wrong in a shadow mostly stays. */
static bool audit_due(struct vcpu *v)
{
	/* while a table is open for one instruction the promises rest */
	if (v->vm->opt.shadow.audit < 2 || shadow_is_open(&v->mmu))
		return false;
	v->vm->audit_turns++;
	return v->vm->audit_turns <= 4096 || v->vm->audit_turns % 16 == 0;
}

static void check_limits(struct vcpu *v)
{
	struct vm *vm = v->vm;
	const char *why = NULL;

	if (vm_over_time(vm))
		vm_fail(vm, "time limit of %llu ms at rip %#llx", (unsigned long long)vm->opt.limit_ms,
			(unsigned long long)v->rip);
	if ((why = shadow_violation(&v->mmu)))
		vm_fail(vm, "%s", why);
	if (v->exit.kind != EXIT_INTR && v->exit.kind != EXIT_NMI) /* the host's: a seed must replay without them */
		shadow_chaos(&v->mmu);
	if (audit_due(v) && shadow_audit(&v->mmu, &why)) {
		vm_fail(vm, "audit after %s at rip %#llx: %s", exit_name(v->exit.kind), (unsigned long long)v->rip, why);
		trace_dump();
	}
}

void vcpu_run(struct vcpu *v)
{
	while (v->vm->result == VM_RUNNING) {
		enter(v);
		handle(v);
		check_limits(v);
	}
}
