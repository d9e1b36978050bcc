/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values of control registers that the processor refuses with #GP(0): nothing may
 * have changed then.  SDM vol. 3, 2.5 "Control Registers", 4.1.2 "Paging-Mode
 * Enabling", 10.8.5 "Initializing IA-32e Mode"; privileged instructions at CPL 3.
 */
#include "test.h"

#define GP FAULT_ERR(VEC_GP, 0)

static struct { ulong cr0, cr3, cr4; u64 efer; } before;

static void remember(void)
{
	before.cr0 = read_cr0();
	before.cr3 = read_cr3();
	before.cr4 = read_cr4();
	before.efer = read_efer();
}

static void check_unchanged(const char *after)
{
	if (read_cr0() != before.cr0 || read_cr3() != before.cr3 || read_cr4() != before.cr4 || read_efer() != before.efer)
		fail("after %s: cr0 %lx cr3 %lx cr4 %lx efer %llx", after, read_cr0(), read_cr3(), read_cr4(), read_efer());
}

/* Where the value is accepted, nothing else may run with it: these put the old one back at once. */
INSN(do_cr0, "mov %0,%%cr0; mov %1,%%cr0")
INSN(do_cr4, "mov %0,%%cr4; mov %1,%%cr4")

static struct fault try_cr0(ulong v) { return try(do_cr0, v, read_cr0(), NULL); }
static struct fault try_cr4(ulong v) { return try(do_cr4, v, read_cr4(), NULL); }

/* A processor that accepts one such value would break under the next: the case ends. */
#define refused(write) do { if (!check_fault(write, GP)) end_case(); } while (0)

static bool accepts_nw_without_cd(void)
{
	return !faulted(try_cr0((default_cr0 | CR0_NW) & ~CR0_CD));
}

/* refused_cr0 has failed then.  Emulators without these checks hang or stop the machine at the next. */
static void need_checks(void)
{
	if (accepts_nw_without_cd())
		skip("this processor does not check what is written to CR0");
	remember();
}

CASE(refused_cr0)
{
	remember();
	refused(try_cr0((default_cr0 | CR0_NW) & ~CR0_CD));
	check_unchanged("NW without CD");
	refused(try_cr0((default_cr0 & ~CR0_PE) | CR0_PG));
	check_unchanged("PG without PE");
#ifdef __x86_64__
	refused(try_cr0(default_cr0 | BIT(32)));
	refused(try_cr0(default_cr0 | BIT(63)));
	check_unchanged("upper half of CR0");
	refused(try_cr0(default_cr0 & ~CR0_PG)); /* from 64-bit code */
	check_unchanged("PG cleared in 64-bit mode");
#endif
}

CASE(refused_cr4)
{
	need_checks();
	refused(try_cr4(default_cr4 | BIT(15)));
	refused(try_cr4(default_cr4 | BIT(31)));
	check_unchanged("reserved bits");
	if (!cpu.smep)
		refused(try_cr4(default_cr4 | CR4_SMEP));
	if (!cpu.smap)
		refused(try_cr4(default_cr4 | CR4_SMAP));
	if (PT_LEVELS < 4) /* needs long mode, and the feature */
		refused(try_cr4(default_cr4 | CR4_PCIDE));
	if (!cpu.la57 || PT_LEVELS >= 4)
		refused(try_cr4(default_cr4 ^ CR4_LA57));
	check_unchanged("a missing feature");
#ifdef __x86_64__
	refused(try_cr4(default_cr4 & ~CR4_PAE));
	check_unchanged("PAE cleared in long mode");
	refused(try_cr4(default_cr4 | BIT(32 + 8)));
	check_unchanged("upper half of CR4");
#endif
	check_fault(write_cr4(default_cr4), NO_FAULT); /* LA57 as it is: no change, no fault */
}

CASE(refused_efer)
{
	if (!read_efer() && !cpu.nx)
		skip("no EFER");
	need_checks();
	refused(write_efer(default_efer | BIT(1)));
	refused(write_efer(default_efer | BIT(9)));
	refused(write_efer(default_efer | BIT(63)));
	check_unchanged("reserved bits");
	if (PT_LEVELS) {
		refused(write_efer(default_efer ^ EFER_LME));
		check_unchanged("LME changed while paging");
	}
}

#ifdef __x86_64__
CASE(refused_cr3)
{
	need_checks();
	refused(write_cr3(current_root() | BIT(cpu.maxphyaddr)));
	refused(write_cr3(current_root() | BIT(51)));
	check_unchanged("reserved bits of CR3");
}
#endif

#ifdef MODE_FLAT
static bool long_mode(void)
{
	u32 r[4];

	cpuid(0x80000001, 0, r);
	return r[3] >> 29 & 1;
}

CASE(long_mode_without_pae)
{
	need_checks();
	if (!long_mode())
		skip("no long mode");
	check_fault(write_efer(default_efer | EFER_LME), NO_FAULT);
	check_eq(read_efer(), default_efer | EFER_LME);
	remember();
	check_fault(write_cr3(new_frame()), NO_FAULT);
	before.cr3 = read_cr3();
	refused(try_cr0(default_cr0 | CR0_PG));
	check_unchanged("PG with LME without PAE");
	check_fault(write_efer(default_efer), NO_FAULT);
	check_eq(read_efer(), default_efer);
}

/* The kernel's memory, so that a processor that wrongly starts paging gets as far as the next instruction. */
static u64 identity_directory(void)
{
	u64 pd = new_table();

	for (u32 i = 0; i < 16; i++)
		mem64(pd)[i] = i * 2 * MIB | PTE_P | PTE_W | PTE_PS;
	return pd;
}

static ulong with_cs(ulong cs, ulong cr0)
{
	asm volatile("push %0; push $1f; lret; 1: mov %1,%%cr0; mov %2,%%cr0; ljmp $0x8,$2f; 2:"
		     : : "r"(cs), "r"(cr0), "r"(default_cr0) : "memory");
	return 0;
}

/* CS.L is only reserved in legacy mode; the switch to long mode looks at it. */
CASE(long_mode_with_cs_l)
{
	u64 root = new_table(), pdpt = new_table();

	need_checks();
	if (!long_mode())
		skip("no long mode");
	mem64(root)[0] = pdpt | PTE_P | PTE_W;
	mem64(pdpt)[0] = identity_directory() | PTE_P | PTE_W;
	gdt[SEL_SPARE / 8] = gdt[SEL_KCODE32 / 8] | BIT(53);
	check_fault(write_cr4(default_cr4 | CR4_PAE), NO_FAULT);
	check_fault(write_efer(default_efer | EFER_LME), NO_FAULT);
	check_fault(write_cr3(root), NO_FAULT);
	remember();
	check_fault(try(with_cs, SEL_SPARE, default_cr0, NULL), NO_FAULT); /* by itself it is harmless */
	check_fault(try(with_cs, SEL_SPARE, default_cr0 | CR0_PG, NULL), GP);
	check_unchanged("PG with CS.L");
	check_fault(write_efer(default_efer), NO_FAULT);
}

CASE(pdptes_refused_when_paging_starts)
{
	u64 root = new_frame();

	need_checks();
	check_fault(write_cr4(default_cr4 | CR4_PAE), NO_FAULT);
	mem64(root)[0] = identity_directory() | PTE_P;
	mem64(root)[2] = new_frame() | PTE_P | BIT(1); /* reserved in a PDPTE */
	check_fault(write_cr3(root), NO_FAULT);
	remember();
	check_fault(try_cr0(default_cr0 | CR0_PG), GP);
	check_unchanged("PG with a reserved bit in a PDPTE");
}
#endif

USER_CODE INSN(user_smsw, "smsw %0")
USER_CODE INSN(user_lmsw, "lmsw %w0")
USER_CODE INSN(user_clts, "clts")
USER_CODE INSN(user_write_cr3, "mov %0,%%cr3")
USER_CODE INSN(user_read_cr0, "mov %%cr0,%0")
USER_CODE INSN(user_invlpg, "invlpg (%0)")

CASE(user_mode)
{
	ulong v = 0;

	remember();
	check_fault(user_try(user_smsw, 0, 0, &v), NO_FAULT);
	check_eq(v & 0xffff, default_cr0 & 0xffff);
	check_fault(user_try(user_lmsw, default_cr0, 0, NULL), GP);
	check_fault(user_try(user_clts, 0, 0, NULL), GP);
	check_fault(user_try(user_write_cr3, 0, 0, NULL), GP);
	check_fault(user_try(user_read_cr0, 0, 0, NULL), GP);
	check_fault(user_try(user_invlpg, 0, 0, NULL), GP);
	if (cpu.umip) {
		check_fault(write_cr4(default_cr4 | BIT(11)), NO_FAULT);
		check_fault(user_try(user_smsw, 0, 0, NULL), GP);
		check_fault(write_cr4(default_cr4), NO_FAULT);
	}
	check_unchanged("privileged instructions at CPL 3");
}
