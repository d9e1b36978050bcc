/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MSRs that a guest has.  What the back end switches with the guest it
 * keeps (vendor->get_msr); what concerns paging ends in cr.c; all else is #GP,
 * but for a guest that has the machine: it reads what the processor has, and
 * what it writes there vanishes.
 * The time-stamp counter is the host's and cannot be written.
 */
#include "base.h"
#include "cpu.h"
#include "exit.h"

#define MISC_ENABLE_FAST_STRINGS BIT(0)

static bool read_efer(struct vcpu *v, u64 *value)
{
	*value = v->efer;
	return true;
}

static bool read_pat(struct vcpu *v, u64 *value)
{
	*value = v->mmu.paging.pat;
	return true;
}

/* Each byte is one of UC WC WT WP WB UC- (SDM vol. 3, PAT). */
static bool write_pat(struct vcpu *v, u64 value)
{
	for (unsigned i = 0; i < 64; i += 8) {
		u8 type = value >> i;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	if (v->mmu.paging.pat != value) {
		v->mmu.paging.pat = value;
		shadow_update(&v->mmu, SHADOW_MODE);
		cr_sync_hw(v);
	}
	return true;
}

static bool read_tsc(struct vcpu *v, u64 *value)
{
	(void)v;
	*value = rdtsc();
	return true;
}

static bool read_misc_enable(struct vcpu *v, u64 *value)
{
	(void)v;
	*value = MISC_ENABLE_FAST_STRINGS;
	return true;
}

static bool write_misc_enable(struct vcpu *v, u64 value)
{
	(void)v;
	return value == MISC_ENABLE_FAST_STRINGS;
}

/* The local APIC is the machine's; it may be switched on, not moved. */
static bool read_apic_base(struct vcpu *v, u64 *value)
{
	if (!vm_owns_machine(v->vm))
		return false;
	*value = rdmsr(MSR_APIC_BASE);
	return true;
}

static bool write_apic_base(struct vcpu *v, u64 value)
{
	u64 now;

	if (!read_apic_base(v, &now) || (now ^ value) & ~APIC_BASE_EN)
		return false;
	if (now != value)
		wrmsr(MSR_APIC_BASE, value);
	return true;
}

static const struct msr {
	u32 index;
	bool (*read)(struct vcpu *v, u64 *value);
	bool (*write)(struct vcpu *v, u64 value);
} msrs[] = {
	{ MSR_TSC, read_tsc, NULL },
	{ MSR_APIC_BASE, read_apic_base, write_apic_base },
	{ MSR_MISC_ENABLE, read_misc_enable, write_misc_enable },
	{ MSR_PAT, read_pat, write_pat },
	{ MSR_EFER, read_efer, cr_write_efer },
};

/*
 * #GP on a non-canonical address; the back end keeps the value.  How wide an
 * address may be is the processor's to say, and not CR4.LA57's.
 */
static const u32 holds_address[] = {
	MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_LSTAR, MSR_CSTAR, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
};

static const struct msr *find(u32 index)
{
	for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
		if (msrs[i].index == index)
			return &msrs[i];
	return NULL;
}

bool msr_read(struct vcpu *v, u32 msr, u64 *value)
{
	const struct msr *m = find(msr);

	if (m)
		return m->read(v, value);
	return vendor->get_msr(v, msr, value) || (vm_owns_machine(v->vm) && idt_rdmsr(msr, value));
}

static bool is_canonical(const struct vcpu *v, u64 address)
{
	unsigned unused = v->vm->opt.shadow.la57 ? 64 - 57 : 64 - 48;

	return (u64)((s64)(address << unused) >> unused) == address;
}

bool msr_write(struct vcpu *v, u32 msr, u64 value)
{
	const struct msr *m = find(msr);

	if (m)
		return m->write && m->write(v, value);
	for (unsigned i = 0; i < ARRAY_SIZE(holds_address); i++)
		if (msr == holds_address[i] && !is_canonical(v, value))
			return false;
	return vendor->set_msr(v, msr, value) || (vm_owns_machine(v->vm) && idt_rdmsr(msr, &value));
}
