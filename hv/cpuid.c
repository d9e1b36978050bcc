/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's CPUID: the host's, through a filter of what umbra really gives.
 * Nothing that the shadow MMU lacks (PCID, protection keys), no APIC but for a
 * guest that has the machine, no MTRRs, and no XSAVE, since not every platform
 * can intercept XSETBV.
 */
#include "abi.h"
#include "cpu.h"
#include "exit.h"

#define LEAF_EXT 0x80000000u
#define LINEAR_BITS(la57) ((la57) ? 57 : 48)

enum { EAX, EBX, ECX, EDX };

#define LEAF1_EDX_SHARED /* bits that AMD repeats in leaf 0x80000001 */                                        \
	(BIT(0) /* FPU */ | BIT(1) /* VME */ | BIT(2) /* DE */ | BIT(3) /* PSE */ | BIT(4) /* TSC */ |         \
	 BIT(5) /* MSR */ | BIT(6) /* PAE */ | BIT(8) /* CX8 */ | BIT(13) /* PGE */ | BIT(15) /* CMOV */ |     \
	 BIT(16) /* PAT */ | BIT(17) /* PSE36 */ | BIT(23) /* MMX */ | BIT(24) /* FXSR */)
#define LEAF1_EDX (LEAF1_EDX_SHARED | BIT(11) /* SEP */ | BIT(19) /* CLFSH */ | BIT(25) /* SSE */ | BIT(26) /* SSE2 */)
#define LEAF1_EBX_CLFLUSH 0xff00u
#define LEAF1_EBX_APIC_ID 0xff000000u
#define LEAF1_EDX_APIC BIT(9)
#define LEAF1_ECX (BIT(0) /* SSE3 */ | BIT(13) /* CX16 */ | BIT(23) /* POPCNT */)
#define LEAF1_ECX_HYPERVISOR BIT(31)
#define LEAF7_EBX (BIT(0) /* FSGSBASE */ | BIT(7) /* SMEP */ | BIT(20) /* SMAP */)
#define LEAF7_ECX_LA57 BIT(16)
#define LEAF7_ECX (BIT(2) /* UMIP */ | LEAF7_ECX_LA57)
#define EXT1_ECX BIT(0) /* LAHF64 */
#define EXT1_EDX_PAGE1G BIT(26)
#define EXT1_EDX_SYSCALL BIT(11)
#define EXT1_EDX_NX BIT(20)
#define EXT1_EDX_LM BIT(29)
#define EXT1_EDX (LEAF1_EDX_SHARED | EXT1_EDX_SYSCALL | EXT1_EDX_NX | EXT1_EDX_PAGE1G | EXT1_EDX_LM)
#define PSE36 BIT(17)

/* A leaf that is not listed reads as zeros. */
static const struct filter {
	u32 leaf;
	u32 keep[4];
} filters[] = {
	{ 0, { ~0u, ~0u, ~0u, ~0u } },
	{ 1, { ~0u, LEAF1_EBX_CLFLUSH | LEAF1_EBX_APIC_ID, LEAF1_ECX, LEAF1_EDX | LEAF1_EDX_APIC } },
	{ 7, { 0, LEAF7_EBX, LEAF7_ECX, 0 } },
	{ LEAF_EXT, { ~0u, ~0u, ~0u, ~0u } },
	{ LEAF_EXT + 1, { ~0u, 0, EXT1_ECX, EXT1_EDX } },
	{ LEAF_EXT + 2, { ~0u, ~0u, ~0u, ~0u } }, /* the brand string */
	{ LEAF_EXT + 3, { ~0u, ~0u, ~0u, ~0u } },
	{ LEAF_EXT + 4, { ~0u, ~0u, ~0u, ~0u } },
	{ LEAF_EXT + 8, { 0, 0, 0, 0 } },
};

static void from_host(u32 leaf, u32 subleaf, u32 r[4])
{
	memset(r, 0, 4 * sizeof(r[0]));
	for (unsigned i = 0; i < ARRAY_SIZE(filters); i++) {
		u32 max[4];

		if (filters[i].leaf != leaf || (leaf == 7 && subleaf))
			continue;
		cpuid(leaf & LEAF_EXT, 0, max);
		if (leaf > max[EAX])
			return;
		cpuid(leaf, subleaf, r);
		for (unsigned j = 0; j < 4; j++)
			r[j] &= filters[i].keep[j];
	}
}

u8 cpuid_maxphyaddr(void)
{
	u32 r[4];

	cpuid(LEAF_EXT, 0, r);
	if (r[EAX] < LEAF_EXT + 8)
		return 36;
	cpuid(LEAF_EXT + 8, 0, r);
	return r[EAX];
}

void cpuid_shadow_config(struct shadow_config *cfg)
{
	u32 r[4];

	from_host(1, 0, r);
	cfg->pse36 = r[EDX] & PSE36;
	from_host(LEAF_EXT + 1, 0, r);
	cfg->page1g = r[EDX] & EXT1_EDX_PAGE1G;
	from_host(7, 0, r);
	cfg->la57 = r[ECX] & LEAF7_ECX_LA57 && vendor->cr4_can_set() & CR4_LA57;
	cfg->maxphyaddr = cpuid_maxphyaddr();
	cfg->tags = vendor->tlb_tags();
}

static void hypervisor_leaf(const struct vm *vm, u32 leaf, u32 r[4])
{
	memset(r, 0, 4 * sizeof(r[0]));
	if (leaf == UMBRA_CPUID_BASE) {
		r[EAX] = UMBRA_CPUID_BASE + 1;
		r[EBX] = UMBRA_CPUID_EBX;
		r[ECX] = UMBRA_CPUID_ECX;
		r[EDX] = UMBRA_CPUID_EDX;
	} else if (leaf == UMBRA_CPUID_BASE + 1) {
		r[EAX] = vendor == &svm_vendor ? 1 : 2;
		r[EBX] = vm_owns_machine(vm) ? UMBRA_FEATURE_DEVICES : 0;
	}
}

/* What this VM's configuration takes away, and what hv itself says. */
static void adjust(const struct vm *vm, u32 leaf, u32 r[4])
{
	const struct shadow_config *cfg = &vm->opt.shadow;

	switch (leaf) {
	case 0:
		r[EAX] = MIN(r[EAX], 7u);
		break;
	case 1:
		r[ECX] |= LEAF1_ECX_HYPERVISOR;
		r[EDX] &= ~(cfg->pse36 ? 0 : PSE36);
		if (!vm_owns_machine(vm)) {
			r[EBX] &= LEAF1_EBX_CLFLUSH;
			r[EDX] &= ~LEAF1_EDX_APIC;
		}
		break;
	case 7:
		r[ECX] &= ~(cfg->la57 ? 0 : LEAF7_ECX_LA57);
		break;
	case LEAF_EXT:
		r[EAX] = LEAF_EXT + 8;
		break;
	case LEAF_EXT + 1:
		r[EDX] &= ~((cfg->pse36 ? 0 : PSE36) | (cfg->page1g ? 0 : EXT1_EDX_PAGE1G));
		break;
	case LEAF_EXT + 8:
		r[EAX] = cfg->maxphyaddr | LINEAR_BITS(cfg->la57) << 8;
		break;
	}
}

void cpuid_guest(struct vcpu *v, u32 leaf, u32 subleaf, u32 out[4])
{
	if (leaf >> 8 == UMBRA_CPUID_BASE >> 8) {
		hypervisor_leaf(v->vm, leaf, out);
		return;
	}
	from_host(leaf, subleaf, out);
	adjust(v->vm, leaf, out);
}

u64 cpuid_efer_legal(struct vcpu *v)
{
	u32 r[4];

	cpuid_guest(v, LEAF_EXT + 1, 0, r);
	return (r[EDX] & EXT1_EDX_SYSCALL ? EFER_SCE : 0) | (r[EDX] & EXT1_EDX_NX ? EFER_NXE : 0) |
	       (r[EDX] & EXT1_EDX_LM ? EFER_LME | EFER_LMA : 0);
}
