/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intel VMX without EPT and without unrestricted guest: a vCPU's life and its
 * entry (SDM vol. 3, chapters 24-26).  Exits are read in vmx_exit.c, segments
 * and MSRs in vmx_state.c, capabilities in vmx_setup.c.
 */
#include "vmx.h"
#include "cpu.h"

_Static_assert(sizeof(struct vmx_vcpu) <= PAGE_SIZE, "vmx_vcpu is allocated as one frame");

static void vmx_vcpu_free(struct vcpu *v)
{
	struct vmx_vcpu *a = v->arch;

	if (!a)
		return;
	if (a->vmcs_pa) {
		vmx_unload(v);
		host_free(hpa_to_hfn(mk_hpa(a->vmcs_pa)));
	}
	if (a->has_iopm)
		host_free_run(a->iopm, IOPM_FRAMES);
	host_free(hpa_to_hfn(mem_hpa(a)));
	v->arch = NULL;
}

/*
 * A guest with the machine: interrupts go through its IDT, TPR is its own.
 * The preemption timer, or else PAUSE, shows the time limit to one that spins.
 */
static bool open_machine(const struct vm *vm, struct vmx_vcpu *a)
{
	u8 *iopm;

	if (!vm_owns_machine(vm))
		return true;
	a->iopm = host_alloc_run(IOPM_FRAMES);
	a->has_iopm = a->iopm.v != NO_HFN.v;
	if (!a->has_iopm)
		return false;
	iopm = memset(host_ptr(a->iopm), 0xff, IOPM_FRAMES * PAGE_SIZE);
	for (u32 port = 0; port < 0x10000; port++)
		if (!device_keeps(vm, port))
			iopm[port / 8] &= ~BIT(port % 8);
	a->proc &= ~(PROC_CR8_LOAD | PROC_CR8_STORE);
	a->proc |= PROC_IO_BITMAPS | (vmx_caps.timer ? 0 : PROC_PAUSE);
	vmcs_write(IO_BITMAP_A, hfn_to_hpa(a->iopm).v);
	vmcs_write(IO_BITMAP_B, hfn_to_hpa(a->iopm).v + PAGE_SIZE);
	return true;
}

static bool vmx_vcpu_init(struct vcpu *v)
{
	hfn_t own = host_alloc(), vmcs = host_alloc();
	struct vmx_vcpu *a;

	v->arch = NULL;
	if (own.v == NO_HFN.v || vmcs.v == NO_HFN.v) {
		if (own.v != NO_HFN.v)
			host_free(own);
		return false;
	}
	v->arch = a = host_ptr(own);
	a->vmcs_pa = hfn_to_hpa(vmcs).v;
	a->dr6 = 0xffff0ff0;
	*(u32 *)host_ptr(vmcs) = vmx_caps.revision;
	vmx_unload(v); /* VMCLEAR makes it fit for VMPTRLD */
	vmx_load(v);
	vmx_init_vmcs();
	a->proc = vmx_caps.proc;
	if (open_machine(v->vm, a))
		return true;
	vmx_vcpu_free(v);
	return false;
}

/* The one place where an event becomes the entry's interruption information. */
static void inject(struct vcpu *v, struct vmx_vcpu *a)
{
	struct event *e = &v->inject;
	u32 type = e->type, info;

	a->injected = *e;
	if (!e->valid)
		return;
	if (type == EVENT_SOFT_EXCEPTION && e->vector == VEC_DB)
		type = INTR_INFO_TYPE_INT1;
	info = e->vector | type << INTR_INFO_TYPE_SHIFT | INTR_INFO_VALID;
	if (e->has_error)
		info |= INTR_INFO_ERROR;
	vmcs_write(ENTRY_INTR_INFO, info);
	vmcs_write(ENTRY_ERROR, e->error);
	vmcs_write(ENTRY_INSN_LEN, e->insn_len);
	e->valid = false;
}

/*
 * Blocking by STI or MOV SS, and by NMI.  STI's needs EFLAGS.IF; with either
 * of them the pending BS must say what TF says (SDM vol. 3, 26.3.1.5).  A borrowed TF
 * must trap behind the next instruction, not at once, so there it gives way.
 */
static void load_blocking(const struct vcpu *v, const struct vmx_vcpu *a)
{
	const u64 either = INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS;
	u64 was = vmcs_read(GUEST_INTERRUPTIBILITY) & either, now = 0, pending;

	if (v->intr_shadow && !a->borrowed_tf && !a->injected.valid)
		now = was == INTERRUPTIBILITY_STI && (v->rflags & RFLAGS_IF) ? was : INTERRUPTIBILITY_MOV_SS;
	if (now) {
		pending = vmcs_read(GUEST_PENDING_DEBUG) & ~PENDING_DEBUG_BS;
		vmcs_write(GUEST_PENDING_DEBUG, pending | (v->rflags & RFLAGS_TF ? PENDING_DEBUG_BS : 0));
	}
	if (v->nmi_blocked)
		now |= INTERRUPTIBILITY_NMI;
	vmcs_write(GUEST_INTERRUPTIBILITY, now);
}

/*
 * A guest with the machine takes its interrupts itself, but none while hv has a
 * step to make: that would be the handler's.  What waits and may come exits, and has its turn
 * at the next entry.
 */
static u32 pin_controls(const struct vcpu *v)
{
	bool may_come = v->rflags & RFLAGS_IF && !v->intr_shadow;

	if (!vm_owns_machine(v->vm) || (v->step && may_come))
		return vmx_caps.pin;
	return vmx_caps.pin & ~PIN_EXTERNAL_INTERRUPT;
}

static void load_controls(const struct vcpu *v, const struct vmx_vcpu *a)
{
	bool mtf = v->step && vmx_caps.monitor_trap;
	u32 proc = a->proc;

	if (v->want_intr_window)
		proc |= PROC_INTR_WINDOW;
	if (v->want_nmi_window)
		proc |= PROC_NMI_WINDOW;
	if (mtf)
		proc |= PROC_MONITOR_TRAP;
	vmcs_write(PROC_CONTROLS, proc);
	vmcs_write(PIN_CONTROLS, pin_controls(v));
	vmcs_write(ENTRY_CONTROLS, vmx_caps.entry | (v->hw.efer & EFER_LMA ? VMENTRY_IA32E : 0));
	vmcs_write(EXCEPTION_BITMAP, BIT(VEC_PF) | BIT(VEC_MC) | (a->borrowed_tf ? BIT(VEC_DB) : 0));
	/* Bochs lets an interrupt wait while the guest has IF clear; the timer does not. */
	if (vmx_caps.timer)
		vmcs_write(PREEMPTION_TIMER, vmx_caps.timer_start);
}

/*
 * LME and LMA follow the "IA-32e mode guest" control, NXE is always on; SCE
 * alone is the guest's.  hv has no use for it, so it stays until another guest.
 */
static void load_efer(const struct vcpu *v)
{
	u64 now = rdmsr(MSR_EFER), want = (now & ~EFER_SCE) | (v->hw.efer & EFER_SCE);

	if (now != want)
		wrmsr(MSR_EFER, want);
}

static void load_state(struct vcpu *v, const struct vmx_vcpu *a)
{
	vmcs_write(GUEST_RIP, v->rip);
	vmcs_write(GUEST_RSP, v->regs[RSP]);
	vmcs_write(GUEST_RFLAGS, v->rflags | RFLAGS_RSV1 | (a->borrowed_tf ? RFLAGS_TF : 0));
	vmcs_write(GUEST_CR0, v->hw.cr0 | vmx_caps.cr0_fixed);
	vmcs_write(GUEST_CR3, v->hw.cr3);
	vmcs_write(GUEST_CR4, v->hw.cr4 | vmx_caps.cr4_fixed);
	vmcs_write(CR0_SHADOW, v->cr0);
	vmcs_write(CR4_SHADOW, v->cr4);
	load_efer(v);
	write_cr2(v->cr2);
	__asm__ volatile("mov %0, %%dr6" : : "r"(a->dr6));
}

static void save_state(struct vcpu *v, struct vmx_vcpu *a)
{
	u64 blocking = vmcs_read(GUEST_INTERRUPTIBILITY);

	__asm__ volatile("mov %%dr6, %0" : "=r"(a->dr6));
	v->cr2 = read_cr2();
	v->rip = vmcs_read(GUEST_RIP);
	v->regs[RSP] = vmcs_read(GUEST_RSP);
	v->rflags = vmcs_read(GUEST_RFLAGS);
	v->intr_shadow = blocking & (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS);
	v->nmi_blocked = blocking & INTERRUPTIBILITY_NMI;
}

static void invvpid(u64 type, u64 vpid, gva_t gva)
{
	struct {
		u64 vpid, gva;
	} d = { vpid, gva.v };
	bool failed;

	__asm__ volatile("invvpid %1, %2" : "=@ccbe"(failed) : "m"(d), "r"(type) : "memory");
	BUG_ON(failed);
}

/* VPID 0 is the host's.  Without VPIDs each entry flushes all by itself. */
static void order_flush(struct vcpu *v)
{
	u64 vpid = 1 + v->mmu.tag;

	if (vmx_caps.vpid) {
		vmcs_write(VPID, vpid);
		if (v->mmu.flush == SHADOW_FLUSH_ALL)
			invvpid(INVVPID_SINGLE, vpid, mk_gva(0));
		else if (v->mmu.flush == SHADOW_FLUSH_ONE)
			invvpid(INVVPID_ADDRESS, vpid, v->mmu.flush_gva);
	}
	shadow_flushed(&v->mmu, v->mmu.flush);
	v->mmu.flush = SHADOW_FLUSH_NONE;
}

static unsigned vmx_tlb_tags(void)
{
	return vmx_caps.vpid ? SHADOW_TAGS_MAX : 1;
}

static void vmx_run(struct vcpu *v)
{
	struct vmx_vcpu *a = v->arch;

	vmx_load(v);
	/* Delivery clears TF before any instruction runs, and would push the borrowed one. */
	a->borrowed_tf = v->step && !vmx_caps.monitor_trap && !v->inject.valid;
	inject(v, a);
	load_blocking(v, a);
	load_controls(v, a);
	load_state(v, a);
	order_flush(v);
	a->failed = vmx_enter(v->regs, a->launched);
	if (!a->failed) {
		a->launched = !(vmcs_read(EXIT_REASON) & REASON_ENTRY_FAILED) || a->launched;
		save_state(v, a);
	}
	vmx_decode_exit(v);
	/* The interrupt that ended the guest, or one that Bochs let wait; but not the guest's own. */
	if (!vm_owns_machine(v->vm))
		__asm__ volatile("sti; nop; cli" ::: "memory");
}

/* Hardware keeps what is owed: the field is delivered as #DB at the next entry. */
static void vmx_queue_debug(struct vcpu *v)
{
	vmx_load(v);
	vmcs_write(GUEST_PENDING_DEBUG, vmcs_read(GUEST_PENDING_DEBUG) | PENDING_DEBUG_BS);
}

static u64 vmx_cr4_can_set(void)
{
	return vmx_caps.cr4_allowed;
}

const struct vendor vmx_vendor = {
	.name = "vmx",
	.probe = vmx_probe,
	.enable = vmx_enable,
	.tlb_tags = vmx_tlb_tags,
	.cr4_can_set = vmx_cr4_can_set,
	.vcpu_init = vmx_vcpu_init,
	.vcpu_free = vmx_vcpu_free,
	.run = vmx_run,
	.get_seg = vmx_get_seg,
	.set_seg = vmx_set_seg,
	.cpl = vmx_cpl,
	.get_msr = vmx_get_msr,
	.set_msr = vmx_set_msr,
	.dump = vmx_dump,
	.queue_debug = vmx_queue_debug,
};
