/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control registers: the guest's view, which bits it may set (SDM vol. 3,
 * "Control Registers"), which changes load the PDPTEs (4.4.1) or end
 * translations (4.10.4.1), and what the hardware runs on instead.
 */
#include "exit.h"

#define CR0_DEFINED (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define CR0_LOADS_PDPTES (CR0_CD | CR0_NW | CR0_PG)
#define CR4_LOADS_PDPTES (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)
#define CR4_PAGING (CR4_PSE | CR4_PAE | CR4_PGE | CR4_LA57 | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_PKE)
/* What the guest's own bits do in hardware; never what concerns paging (v->mmu.hw_cr4 has that). */
#define CR0_PASSED (CR0_TS | CR0_MP | CR0_EM | CR0_AM)
#define CR4_PASSED (CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_UMIP | CR4_FSGSBASE)

enum { NO_LEAF, EBX = 1, ECX, EDX }; /* indices of cpuid_guest()'s output */

/* A CR4 bit is legal when the *guest's* CPUID offers its feature; by leaf. */
static const struct cr4_bit {
	u32 bit;
	u8 leaf, reg, cpuid_bit;
} cr4_bits[] = {
	{ CR4_PCE, 0, NO_LEAF, 0 },
	{ CR4_VME, 1, EDX, 1 },
	{ CR4_PVI, 1, EDX, 1 },
	{ CR4_DE, 1, EDX, 2 },
	{ CR4_PSE, 1, EDX, 3 },
	{ CR4_TSD, 1, EDX, 4 },
	{ CR4_PAE, 1, EDX, 6 },
	{ CR4_MCE, 1, EDX, 7 },
	{ CR4_PGE, 1, EDX, 13 },
	{ CR4_OSFXSR, 1, EDX, 24 },
	{ CR4_OSXMMEXCPT, 1, EDX, 25 },
	{ CR4_PCIDE, 1, ECX, 17 },
	{ CR4_OSXSAVE, 1, ECX, 26 },
	{ CR4_FSGSBASE, 7, EBX, 0 },
	{ CR4_SMEP, 7, EBX, 7 },
	{ CR4_SMAP, 7, EBX, 20 },
	{ CR4_UMIP, 7, ECX, 2 },
	{ CR4_PKE, 7, ECX, 3 },
	{ CR4_LA57, 7, ECX, 16 },
};

static u64 cr4_legal(struct vcpu *v)
{
	u32 r[4] = { 0 };
	u64 legal = 0;
	int leaf = -1;

	for (unsigned i = 0; i < ARRAY_SIZE(cr4_bits); i++) {
		const struct cr4_bit *b = &cr4_bits[i];

		if (b->leaf != leaf)
			cpuid_guest(v, leaf = b->leaf, 0, r);
		if (b->reg == NO_LEAF || (r[b->reg] & BIT(b->cpuid_bit)))
			legal |= b->bit;
	}
	return legal;
}

static bool refuse(struct vcpu *v)
{
	event_gp(v);
	return false;
}

static bool pae_paging(u64 cr0, u64 cr4, u64 efer)
{
	return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LMA);
}

/*
 * I12: reads the PDPTEs for the new state, before anything is changed.  They
 * come through the guest's memory alone, so the old paging state does not matter.
 */
static bool load_pdptes(struct vcpu *v, u64 cr3)
{
	u64 pdpte[4];

	if (!shadow_read_pdptes(&v->mmu, cr3, pdpte))
		return false;
	memcpy(v->mmu.paging.pdpte, pdpte, sizeof(pdpte));
	return true;
}

/* The guest's view is complete: tell the shadow MMU, then run on what it answers. */
static void publish(struct vcpu *v, bool paging_changed, enum shadow_change what)
{
	struct shadow_paging *p = &v->mmu.paging;

	p->cr0 = v->cr0;
	p->cr4 = v->cr4;
	p->efer = v->efer;
	if (paging_changed)
		shadow_update(&v->mmu, what);
	cr_sync_hw(v);
}

void cr_sync_hw(struct vcpu *v)
{
	v->hw.cr0 = (v->cr0 & CR0_PASSED) | CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	v->hw.cr3 = v->mmu.root.v;
	v->hw.cr4 = (v->cr4 & CR4_PASSED) | v->mmu.hw_cr4;
	v->hw.efer = (v->efer & EFER_SCE) | EFER_NXE | (v->mmu.hw_long ? EFER_LME | EFER_LMA : 0);
}

/* As Multiboot leaves the processor: protected mode, no paging. */
void cr_reset(struct vcpu *v)
{
	struct shadow_paging *p = &v->mmu.paging;

	v->cr0 = CR0_PE | CR0_ET;
	v->cr2 = 0;
	v->cr4 = 0;
	v->efer = 0;
	memset(p, 0, sizeof(*p));
	p->pat = 0x0007040600070406; /* SDM vol. 3, PAT after reset */
	publish(v, true, SHADOW_MODE);
}

static bool cr0_legal(struct vcpu *v, u64 cr0)
{
	bool turns_on = (cr0 & ~v->cr0) & CR0_PG, turns_off = (v->cr0 & ~cr0) & CR0_PG;

	if (cr0 >> 32)
		return false;
	if ((cr0 & CR0_PG) && !(cr0 & CR0_PE))
		return false;
	if ((cr0 & CR0_NW) && !(cr0 & CR0_CD))
		return false;
	if (turns_on && (v->efer & EFER_LME)) {
		struct segment cs;

		vendor->get_seg(v, SEG_CS, &cs);
		return (v->cr4 & CR4_PAE) && !(cs.attr & SEG_ATTR_L);
	}
	return !turns_off || (!access_code64(v) && !(v->cr4 & CR4_PCIDE));
}

static u64 efer_with_lma(u64 efer, u64 cr0)
{
	efer &= ~EFER_LMA;
	return (efer & EFER_LME) && (cr0 & CR0_PG) ? efer | EFER_LMA : efer;
}

static bool write_cr0(struct vcpu *v, u64 value)
{
	u64 cr0 = (value & (CR0_DEFINED | ~0ull << 32)) | CR0_ET;
	u64 changed = v->cr0 ^ cr0, efer = efer_with_lma(v->efer, cr0);
	bool pdptes = (changed & CR0_LOADS_PDPTES) && pae_paging(cr0, v->cr4, efer);

	if (!cr0_legal(v, cr0))
		return refuse(v);
	if (!(cr0 & CR0_PE)) {
		vm_fail(v->vm, "real mode (CR0.PE cleared at rip %#llx) is not supported", (unsigned long long)v->rip);
		return false;
	}
	if (pdptes && !load_pdptes(v, v->mmu.paging.cr3))
		return refuse(v);
	v->cr0 = cr0;
	v->efer = efer;
	publish(v, pdptes || (changed & (CR0_PG | CR0_WP)), SHADOW_MODE);
	return true;
}

/* The same value too: that is how software flushes. */
static bool write_cr3(struct vcpu *v, u64 value)
{
	if (vcpu_is_long(v) && value >> v->vm->opt.shadow.maxphyaddr)
		return refuse(v);
	if (pae_paging(v->cr0, v->cr4, v->efer) && !load_pdptes(v, value))
		return refuse(v);
	v->mmu.paging.cr3 = value;
	publish(v, vcpu_is_paged(v), SHADOW_CR3);
	return true;
}

static bool write_cr4(struct vcpu *v, u64 cr4)
{
	u64 changed = v->cr4 ^ cr4;
	bool pdptes = (changed & CR4_LOADS_PDPTES) && pae_paging(v->cr0, cr4, v->efer);

	if (cr4 & ~cr4_legal(v))
		return refuse(v);
	if (vcpu_is_long(v) && (!(cr4 & CR4_PAE) || (changed & CR4_LA57)))
		return refuse(v);
	if ((changed & cr4 & CR4_PCIDE) && (!vcpu_is_long(v) || (v->mmu.paging.cr3 & 0xfff)))
		return refuse(v);
	if (pdptes && !load_pdptes(v, v->mmu.paging.cr3))
		return refuse(v);
	v->cr4 = cr4;
	publish(v, changed & CR4_PAGING, SHADOW_MODE);
	return true;
}

/* The task priority of a processor without a local APIC: only its reserved bits are real. */
static bool write_cr8(struct vcpu *v, u64 value)
{
	return value >> 4 ? refuse(v) : true;
}

/* LMA is read-only; LME may not change while paging is on (SDM vol. 3, 4.1.1). */
bool cr_write_efer(struct vcpu *v, u64 efer)
{
	u64 changed;

	efer = efer_with_lma(efer, v->cr0);
	changed = v->efer ^ efer;
	if (efer & ~cpuid_efer_legal(v))
		return false;
	if ((changed & EFER_LME) && vcpu_is_paged(v))
		return false;
	v->efer = efer;
	publish(v, changed & (EFER_NXE | EFER_LMA), SHADOW_MODE);
	return true;
}

static bool undefined(struct vcpu *v)
{
	event_exception(v, VEC_UD, false, 0);
	return false;
}

bool cr_write(struct vcpu *v, unsigned cr, u64 value)
{
	switch (cr) {
	case 0:
		return write_cr0(v, value);
	case 2:
		v->cr2 = value;
		return true;
	case 3:
		return write_cr3(v, value);
	case 4:
		return write_cr4(v, value);
	case 8:
		return write_cr8(v, value);
	default:
		return undefined(v);
	}
}

bool cr_read(struct vcpu *v, unsigned cr, u64 *value)
{
	switch (cr) {
	case 0:
		*value = v->cr0;
		return true;
	case 2:
		*value = v->cr2;
		return true;
	case 3:
		*value = v->mmu.paging.cr3;
		return true;
	case 4:
		*value = v->cr4;
		return true;
	case 8:
		*value = 0;
		return true;
	default:
		return undefined(v);
	}
}
