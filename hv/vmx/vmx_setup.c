/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the processor's VMX can do (SDM vol. 3, appendix A), switching it on,
 * and the fields of a VMCS that never change.
 *
 * Neither EPT, unrestricted guest nor any other secondary control but VPID is
 * used, that only if it is there, and EFER is switched by hand (vmx.c), so that the first VMX
 * processors run as the last ones do.
 */
#include "vmx.h"
#include "cpu.h"

#define PIN_NEEDED (PIN_EXTERNAL_INTERRUPT | PIN_NMI | PIN_VIRTUAL_NMI)
#define PROC_NEEDED (PROC_INTR_WINDOW | PROC_NMI_WINDOW | PROC_IO_BITMAPS | PROC_PAUSE | PROC_ALWAYS)
#define PROC_ALWAYS (PROC_HLT | PROC_INVLPG | PROC_MWAIT | PROC_CR3_LOAD | PROC_CR3_STORE | PROC_CR8_LOAD | \
		     PROC_CR8_STORE | PROC_UNCONDITIONAL_IO | PROC_MONITOR)
#define EXIT_NEEDED (VMEXIT_SAVE_DEBUG | VMEXIT_HOST_64)
#define ENTRY_NEEDED (VMENTRY_LOAD_DEBUG | VMENTRY_IA32E)

#define TIMER_TSC_TICKS BIT(22) /* some milliseconds */

struct vmx_caps vmx_caps;

/* High half: bits that may be 1; low half: bits that must be. */
static u64 control_msr(u32 plain, u32 exact)
{
	return rdmsr(rdmsr(MSR_VMX_BASIC) & VMX_BASIC_TRUE_CTLS ? exact : plain);
}

static u64 pin_msr(void) { return control_msr(MSR_VMX_PINBASED_CTLS, MSR_VMX_TRUE_PINBASED_CTLS); }
static u64 proc_msr(void) { return control_msr(MSR_VMX_PROCBASED_CTLS, MSR_VMX_TRUE_PROCBASED_CTLS); }
static u64 exit_msr(void) { return control_msr(MSR_VMX_EXIT_CTLS, MSR_VMX_TRUE_EXIT_CTLS); }
static u64 entry_msr(void) { return control_msr(MSR_VMX_ENTRY_CTLS, MSR_VMX_TRUE_ENTRY_CTLS); }

static bool lacks(u64 msr, u32 needed)
{
	return ~(msr >> 32) & needed;
}

const char *vmx_probe(void)
{
	u64 feature;
	u32 r[4];

	cpuid(1, 0, r);
	if (!(r[2] & BIT(5)))
		return "CPUID 1 ECX[5]: no VMX";
	feature = rdmsr(MSR_FEATURE_CONTROL);
	if ((feature & FEATURE_CONTROL_LOCKED) && !(feature & FEATURE_CONTROL_VMX))
		return "IA32_FEATURE_CONTROL (MSR 3a) locked with bit 2 clear: VMX disabled by firmware";
	if (lacks(pin_msr(), PIN_NEEDED))
		return "IA32_VMX_PINBASED_CTLS (MSR 481): no interrupt exiting, NMI exiting or virtual NMIs";
	if (lacks(proc_msr(), PROC_NEEDED))
		return "IA32_VMX_PROCBASED_CTLS (MSR 482): an exit control that hv needs is missing";
	if (lacks(exit_msr(), EXIT_NEEDED))
		return "IA32_VMX_EXIT_CTLS (MSR 483): no 64-bit host or saved debug controls";
	if (lacks(entry_msr(), ENTRY_NEEDED))
		return "IA32_VMX_ENTRY_CTLS (MSR 484): no IA-32e mode guest or loaded debug controls";
	return NULL;
}

/* Worth having only with flushes of one VPID and of one address (SDM vol. 3, 28.3.3.1). */
static bool has_vpid(void)
{
	const u64 need = VPID_CAP_INVVPID | VPID_CAP_ADDRESS | VPID_CAP_SINGLE;

	if (lacks(proc_msr(), PROC_SECONDARY) || lacks(rdmsr(MSR_VMX_PROCBASED_CTLS2), PROC2_VPID))
		return false;
	return (rdmsr(MSR_VMX_EPT_VPID_CAP) & need) == need;
}

static void read_caps(void)
{
	struct vmx_caps *c = &vmx_caps;
	u64 pin = pin_msr();

	c->revision = rdmsr(MSR_VMX_BASIC) & 0x7fffffff;
	c->timer = !lacks(pin, PIN_PREEMPTION_TIMER);
	c->monitor_trap = !lacks(proc_msr(), PROC_MONITOR_TRAP);
	c->timer_start = TIMER_TSC_TICKS >> (rdmsr(MSR_VMX_MISC) & VMX_MISC_TIMER_SHIFT);
	c->pin = (u32)pin | PIN_NEEDED | (c->timer ? PIN_PREEMPTION_TIMER : 0);
	c->vpid = has_vpid();
	c->proc = (u32)proc_msr() | PROC_ALWAYS | (c->vpid ? PROC_SECONDARY : 0);
	c->exit = (u32)exit_msr() | EXIT_NEEDED;
	c->entry = (u32)entry_msr() | VMENTRY_LOAD_DEBUG;
	c->cr0_fixed = rdmsr(MSR_VMX_CR0_FIXED0);
	c->cr4_fixed = rdmsr(MSR_VMX_CR4_FIXED0);
	c->cr4_allowed = rdmsr(MSR_VMX_CR4_FIXED1);
}

static bool vmxon(u64 pa)
{
	bool failed;

	__asm__ volatile("vmxon %1" : "=@ccbe"(failed) : "m"(pa) : "memory");
	return !failed;
}

const char *vmx_enable(void)
{
	u64 feature = rdmsr(MSR_FEATURE_CONTROL);
	hfn_t region = host_alloc();

	if (region.v == NO_HFN.v)
		return "no memory for the VMXON region";
	if (!(feature & FEATURE_CONTROL_LOCKED))
		wrmsr(MSR_FEATURE_CONTROL, feature | FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX);
	read_caps();
	*(u32 *)host_ptr(region) = vmx_caps.revision;
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	write_cr0(read_cr0() | vmx_caps.cr0_fixed);
	write_cr4(read_cr4() | vmx_caps.cr4_fixed | CR4_VMXE);
	if (vmxon(hfn_to_hpa(region).v))
		return NULL;
	host_free(region);
	return "VMXON refused";
}

/* The base of the TSS that TR names. */
static u64 tss_base(const struct descriptor_pointer *gdtr, u16 tr)
{
	const u8 *d = (const u8 *)gdtr->base + (tr & ~7);

	return d[2] | d[3] << 8 | d[4] << 16 | (u64)d[7] << 24 | (u64)(*(const u32 *)(d + 8)) << 32;
}

#define READ_SELECTOR(name)                                               \
	({                                                                \
		u16 sel;                                                  \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(sel));      \
		sel;                                                      \
	})

static void init_host(void)
{
	struct descriptor_pointer gdtr, idtr;
	u16 tr;

	sgdt(&gdtr);
	sidt(&idtr);
	__asm__ volatile("str %0" : "=r"(tr));
	BUG_ON(!tr); /* VM entry wants a TSS (SDM vol. 3, 26.2.3) */
	vmcs_write(HOST_ES_SELECTOR, 0);
	vmcs_write(HOST_CS_SELECTOR, READ_SELECTOR(cs));
	vmcs_write(HOST_SS_SELECTOR, READ_SELECTOR(ss));
	vmcs_write(HOST_DS_SELECTOR, 0);
	vmcs_write(HOST_FS_SELECTOR, 0);
	vmcs_write(HOST_GS_SELECTOR, 0);
	vmcs_write(HOST_TR_SELECTOR, tr);
	vmcs_write(HOST_FS_BASE, rdmsr(MSR_FS_BASE));
	vmcs_write(HOST_GS_BASE, rdmsr(MSR_GS_BASE));
	vmcs_write(HOST_TR_BASE, tss_base(&gdtr, tr));
	vmcs_write(HOST_GDTR_BASE, gdtr.base);
	vmcs_write(HOST_IDTR_BASE, idtr.base);
	vmcs_write(HOST_CR0, read_cr0());
	vmcs_write(HOST_CR3, read_cr3());
	vmcs_write(HOST_CR4, read_cr4());
	vmcs_write(HOST_SYSENTER_CS, 0);
	vmcs_write(HOST_SYSENTER_ESP, 0);
	vmcs_write(HOST_SYSENTER_EIP, 0);
	vmcs_write(HOST_RIP, (u64)vmx_exit_point);
}

/* As SVM's reset state; the data segments are alike. */
static void init_guest(void)
{
	for (enum seg s = SEG_ES; s <= SEG_TR; s++) {
		vmcs_write(GUEST_SEG(GUEST_ES_SELECTOR, s), 0x10);
		vmcs_write(GUEST_SEG(GUEST_ES_LIMIT, s), ~0u);
		vmcs_write(GUEST_SEG(GUEST_ES_AR, s), 0xc093);
		vmcs_write(GUEST_SEG(GUEST_ES_BASE, s), 0);
	}
	vmcs_write(GUEST_SEG(GUEST_ES_SELECTOR, SEG_CS), 0x08);
	vmcs_write(GUEST_SEG(GUEST_ES_AR, SEG_CS), 0xc09b);
	vmcs_write(GUEST_SEG(GUEST_ES_SELECTOR, SEG_LDTR), 0);
	vmcs_write(GUEST_SEG(GUEST_ES_AR, SEG_LDTR), AR_UNUSABLE);
	vmcs_write(GUEST_SEG(GUEST_ES_SELECTOR, SEG_TR), 0);
	vmcs_write(GUEST_SEG(GUEST_ES_LIMIT, SEG_TR), 0x67);
	vmcs_write(GUEST_SEG(GUEST_ES_AR, SEG_TR), 0x8b); /* entry insists on a busy TSS */
	for (enum seg s = SEG_GDTR; s <= SEG_IDTR; s++) {
		vmcs_write(GUEST_SEG(GUEST_ES_LIMIT, s), 0);
		vmcs_write(GUEST_SEG(GUEST_ES_BASE, s), 0);
	}
	vmcs_write(GUEST_DR7, 0x400);
	vmcs_write(GUEST_DEBUGCTL, 0);
	vmcs_write(GUEST_PENDING_DEBUG, 0);
	vmcs_write(GUEST_ACTIVITY, 0);
	vmcs_write(GUEST_INTERRUPTIBILITY, 0);
	vmcs_write(GUEST_SYSENTER_CS, 0);
	vmcs_write(GUEST_SYSENTER_ESP, 0);
	vmcs_write(GUEST_SYSENTER_EIP, 0);
	vmcs_write(VMCS_LINK_POINTER, ~0ull);
}

/* Every write of CR0 or CR4 that changes a bit exits; reads come from the shadows. */
void vmx_init_vmcs(void)
{
	init_host();
	init_guest();
	vmcs_write(PIN_CONTROLS, vmx_caps.pin);
	vmcs_write(EXIT_CONTROLS, vmx_caps.exit);
	if (vmx_caps.vpid)
		vmcs_write(PROC2_CONTROLS, (u32)rdmsr(MSR_VMX_PROCBASED_CTLS2) | PROC2_VPID);
	vmcs_write(CR0_MASK, ~0ull);
	vmcs_write(CR4_MASK, ~0ull);
	vmcs_write(PF_ERROR_MASK, 0);
	vmcs_write(PF_ERROR_MATCH, 0);
	vmcs_write(CR3_TARGET_COUNT, 0);
	vmcs_write(EXIT_MSR_STORE_COUNT, 0);
	vmcs_write(EXIT_MSR_LOAD_COUNT, 0);
	vmcs_write(ENTRY_MSR_LOAD_COUNT, 0);
}
