/* SPDX-License-Identifier: BSD-2-Clause */
/* The VMCS and MSRs of the vCPU that is loaded: segments, MSRs, and their print. */
#include "vmx.h"
#include "cpu.h"

/* The five MSRs that no VMCS field switches.  hv uses none of them. */
static const u32 msr_list[VMX_MSRS] = { MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK, MSR_KERNEL_GS_BASE };

static struct vmx_vcpu *loaded; /* the processor's current VMCS */

u64 vmcs_read(enum vmcs_field f)
{
	bool failed;
	u64 value;

	__asm__ volatile("vmread %2, %1" : "=@ccbe"(failed), "=r"(value) : "r"((u64)f) : "memory");
	if (failed)
		BUG("VMREAD of field %#x", f);
	return value;
}

void vmcs_write(enum vmcs_field f, u64 value)
{
	bool failed;

	__asm__ volatile("vmwrite %1, %2" : "=@ccbe"(failed) : "r"(value), "r"((u64)f) : "memory");
	if (failed)
		BUG("VMWRITE of field %#x", f);
}

void vmx_load(struct vcpu *v)
{
	struct vmx_vcpu *a = v->arch;
	bool failed;

	if (loaded == a)
		return;
	for (unsigned i = 0; i < VMX_MSRS; i++) {
		if (loaded)
			loaded->msrs[i] = rdmsr(msr_list[i]);
		wrmsr(msr_list[i], a->msrs[i]);
	}
	__asm__ volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(a->vmcs_pa) : "memory");
	BUG_ON(failed);
	loaded = a;
}

void vmx_unload(struct vcpu *v)
{
	struct vmx_vcpu *a = v->arch;
	bool failed;

	__asm__ volatile("vmclear %1" : "=@ccbe"(failed) : "m"(a->vmcs_pa) : "memory");
	BUG_ON(failed);
	if (loaded == a)
		loaded = NULL;
}

/* Access rights: as a descriptor's bits 40-55, that is attr with its upper four bits moved up. */
static u32 ar_of(u16 attr)
{
	return attr & SEG_ATTR_P ? (attr & 0xff) | (attr & 0xf00) << 4 : AR_UNUSABLE;
}

static u16 attr_of(u32 ar)
{
	return ar & AR_UNUSABLE ? 0 : (ar & 0xff) | (ar >> 4 & 0xf00);
}

static bool is_table(enum seg s) { return s == SEG_GDTR || s == SEG_IDTR; }

void vmx_get_seg(struct vcpu *v, enum seg s, struct segment *out)
{
	vmx_load(v);
	*out = (struct segment){
		.limit = vmcs_read(GUEST_SEG(GUEST_ES_LIMIT, s)), .base = vmcs_read(GUEST_SEG(GUEST_ES_BASE, s)),
	};
	if (is_table(s))
		return;
	out->selector = vmcs_read(GUEST_SEG(GUEST_ES_SELECTOR, s));
	out->attr = attr_of(vmcs_read(GUEST_SEG(GUEST_ES_AR, s)));
}

void vmx_set_seg(struct vcpu *v, enum seg s, const struct segment *in)
{
	vmx_load(v);
	vmcs_write(GUEST_SEG(GUEST_ES_LIMIT, s), in->limit);
	vmcs_write(GUEST_SEG(GUEST_ES_BASE, s), in->base);
	if (is_table(s))
		return;
	vmcs_write(GUEST_SEG(GUEST_ES_SELECTOR, s), in->selector);
	vmcs_write(GUEST_SEG(GUEST_ES_AR, s), ar_of(in->attr));
}

/* SS.DPL is the CPL, of an unusable SS too (SDM vol. 3, 24.4.1). */
u8 vmx_cpl(struct vcpu *v)
{
	vmx_load(v);
	return vmcs_read(GUEST_SEG(GUEST_ES_AR, SEG_SS)) >> 5 & 3;
}

static bool field_of(u32 msr, enum vmcs_field *f)
{
	switch (msr) {
	case MSR_FS_BASE: *f = GUEST_SEG(GUEST_ES_BASE, SEG_FS); return true;
	case MSR_GS_BASE: *f = GUEST_SEG(GUEST_ES_BASE, SEG_GS); return true;
	case MSR_SYSENTER_CS: *f = GUEST_SYSENTER_CS; return true;
	case MSR_SYSENTER_ESP: *f = GUEST_SYSENTER_ESP; return true;
	case MSR_SYSENTER_EIP: *f = GUEST_SYSENTER_EIP; return true;
	default: return false;
	}
}

static bool is_listed(u32 msr)
{
	for (unsigned i = 0; i < VMX_MSRS; i++)
		if (msr_list[i] == msr)
			return true;
	return false;
}

bool vmx_get_msr(struct vcpu *v, u32 msr, u64 *value)
{
	enum vmcs_field f;

	vmx_load(v);
	if (field_of(msr, &f))
		*value = vmcs_read(f);
	else if (is_listed(msr))
		*value = rdmsr(msr);
	else
		return false;
	return true;
}

/* msr.c has refused what WRMSR would: addresses are canonical here. */
bool vmx_set_msr(struct vcpu *v, u32 msr, u64 value)
{
	enum vmcs_field f;

	vmx_load(v);
	if (field_of(msr, &f))
		vmcs_write(f, value);
	else if (is_listed(msr))
		wrmsr(msr, msr == MSR_SFMASK ? (u32)value : value); /* its upper half is reserved */
	else
		return false;
	return true;
}

static void dump_seg(const char *name, struct vcpu *v, enum seg s)
{
	struct segment g;

	vmx_get_seg(v, s, &g);
	printk("# %s %04x attr %03x limit %08x base %016llx\n", name, g.selector, g.attr, g.limit,
	       (unsigned long long)g.base);
}

static unsigned long long field(enum vmcs_field f)
{
	return vmcs_read(f);
}

void vmx_dump(struct vcpu *v)
{
	static const char *const names[NSEGS] = { "es  ", "cs  ", "ss  ", "ds  ", "fs  ",
						  "gs  ", "ldtr", "tr  ", "gdtr", "idtr" };

	vmx_load(v);
	printk("# vmcs reason %#llx qualification %#llx intr %#llx error %#llx instruction error %llu\n",
	       field(EXIT_REASON), field(EXIT_QUALIFICATION), field(EXIT_INTR_INFO), field(EXIT_INTR_ERROR),
	       field(INSTRUCTION_ERROR));
	printk("# vmcs idt-vectoring %#llx error %#llx length %llu; entry intr %#llx error %#llx length %llu\n",
	       field(IDT_VECTORING_INFO), field(IDT_VECTORING_ERROR), field(EXIT_INSN_LEN), field(ENTRY_INTR_INFO),
	       field(ENTRY_ERROR), field(ENTRY_INSN_LEN));
	printk("# vmcs controls pin %#llx proc %#llx exit %#llx entry %#llx exceptions %#llx\n", field(PIN_CONTROLS),
	       field(PROC_CONTROLS), field(EXIT_CONTROLS), field(ENTRY_CONTROLS), field(EXCEPTION_BITMAP));
	printk("# vmcs rip %#llx rsp %#llx rflags %#llx interruptibility %#llx activity %llu pending debug %#llx\n",
	       field(GUEST_RIP), field(GUEST_RSP), field(GUEST_RFLAGS), field(GUEST_INTERRUPTIBILITY),
	       field(GUEST_ACTIVITY), field(GUEST_PENDING_DEBUG));
	printk("# vmcs cr0 %#llx shadow %#llx cr3 %#llx cr4 %#llx shadow %#llx dr7 %#llx\n", field(GUEST_CR0),
	       field(CR0_SHADOW), field(GUEST_CR3), field(GUEST_CR4), field(CR4_SHADOW), field(GUEST_DR7));
	for (enum seg s = SEG_ES; s < NSEGS; s++)
		dump_seg(names[s], v, s);
}
