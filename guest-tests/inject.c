/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts and NMIs from umbra's hypercalls: each is delivered once, when the
 * manual lets it in, through pages never used before.  SDM vol. 3, 6.8
 * "Enabling and Disabling Interrupts", 6.7.1 "Handling Multiple NMIs".
 */
#include "test.h"

#define VECTOR 0x60
#define CR2_MARK 0x7654000

static u64 next_va;
static u32 depth, deepest, more;

static void need_umbra(void)
{
	if (!under_umbra())
		skip("only umbra's hypercalls inject events");
	next_va = WINDOW;
	hook(VECTOR, hook_return);
}

static void interrupt(void)
{
	check_eq(hypercall(HC_INJECT_INTR, VECTOR, 0, 0, 0), 0);
}

static u64 fresh(u64 gpa)
{
	u64 va = next_va;

	if (!PT_LEVELS)
		return gpa;
	map_page(va, gpa, RW);
	next_va += 2 * PAGE_SIZE;
	return va + (gpa & 0xfff);
}

static void all_fresh(void)
{
	ulong sp0;

	load_tss(fresh((ulong)tss), 103);
	sp0 = fresh(new_frame()) + PAGE_SIZE;
	memcpy(tss + TSS_SP0, &sp0, sizeof(sp0));
	load_idt(fresh((ulong)idt), 256 * GATE_SIZE - 1);
	load_gdt(fresh((ulong)gdt), GDT_ENTRIES * 8 - 1);
	write_cr2(CR2_MARK);
}

extern u8 behind_sti[];
extern void sti_window(void); /* the interrupt comes behind the instruction that follows STI */
asm(".text\n sti_window: sti\n nop\n behind_sti: nop\n nop\n cli\n ret\n");

CASE(pending_until_sti)
{
	need_umbra();
	for (u32 i = 0; i < 4; i++) {
		all_fresh();
		interrupt();
		for (u32 j = 0; j < 4; j++)
			read_cr0(), check_eq(exception_count[VECTOR], i); /* IF is 0: the exits in between change nothing */
		sti_window();
		check_eq(exception_count[VECTOR], i + 1);
		check(hook_regs.flags & EFLAGS_IF);
		check_eq(hook_regs.cs, SEL_KCODE);
		check_eq(read_cr2(), CR2_MARK);
		sti_window();
		check_eq(exception_count[VECTOR], i + 1);
	}
}

/* Where exactly: not in the shadow of STI.  TCG loses that shadow when an exit falls into it; nothing exits here. */
CASE(not_in_the_shadow_of_sti)
{
	need_umbra();
	sti_window(); /* the code is mapped by now */
	interrupt();
	sti_window();
	check_eq(exception_count[VECTOR], 1);
	check(hook_regs.ip >= (ulong)behind_sti);
}

/* An NMI goes in before an interrupt that waits with IF set: its frame has the guest's own flags, and no trap follows. */
CASE(nmi_before_an_open_window)
{
	ulong call;

	need_umbra();
	hook(VEC_NMI, hook_return);
	hook(VEC_DB, hook_return);
	for (u32 i = 0; i < 3; i++) {
		all_fresh();
		interrupt();
		call = HC_INJECT_NMI;
		if (cpu.intel)
			asm volatile("sti\n vmcall\n cli" : "+a"(call) : : "memory");
		else
			asm volatile("sti\n vmmcall\n cli" : "+a"(call) : : "memory");
		check_eq(exception_count[VEC_NMI], i + 1);
		check_eq(exception_count[VECTOR], i + 1);
		check_eq(exception_count[VEC_DB], 0);
	}
}

CASE(popf_window)
{
	need_umbra();
	interrupt();
	write_flags(read_flags() | EFLAGS_IF);
	write_flags(read_flags() & ~EFLAGS_IF);
	check_eq(exception_count[VECTOR], 1);
}

USER_CODE static ulong spin(ulong n, ulong b)
{
	asm volatile("1: dec %0; jnz 1b" : "+r"(n));
	return n + b;
}

/* IRET to CPL 3 opens the window: stack switch through a fresh TSS and stack, nothing lost, nothing twice. */
CASE(into_user_mode)
{
	ulong v = 0;

	need_umbra();
	for (u32 i = 0; i < 4; i++) {
		all_fresh();
		interrupt();
		user_flags |= EFLAGS_IF;
		check_fault(user_try(spin, 1000, 7, &v), NO_FAULT);
		check_eq(v, 7);
		check_eq(exception_count[VECTOR], i + 1);
		check_eq(hook_regs.cs, SEL_UCODE);
		check_eq(hook_regs.ss, SEL_UDATA);
		check_eq(read_cr2(), CR2_MARK);
	}
}

/* While an interrupt is pending, exceptions and hidden faults go their own way. */
CASE(pending_beside_faults)
{
	u32 v = 0;

	need_umbra();
	if (!PT_LEVELS)
		skip("paging is off");
	for (u32 i = 0; i < 3; i++) {
		u64 va = next_va, f = new_frame();

		next_va += 3 * PAGE_SIZE;
		*mem32(f) = 0x77 + i;
		map_page(va, f, RWU);
		interrupt();
		check_fault(peek32(va, &v), NO_FAULT);
		check_eq(v, 0x77 + i);
		check_fault(poke32(va + PAGE_SIZE, 1), PF(PF_W, va + PAGE_SIZE));
		check_fault(user_peek32(va + PAGE_SIZE, NULL), PF(PF_U, va + PAGE_SIZE));
		flush();
		check_eq(exception_count[VECTOR], i);
		all_fresh();
		sti_window();
		check_eq(exception_count[VECTOR], i + 1);
	}
}

/* ---- NMI ---------------------------------------------------------------------- */

static bool nmi(struct regs *r)
{
	hook_regs = *r;
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (more) {
		more--;
		hypercall(HC_INJECT_NMI, 0, 0, 0, 0);
		for (u32 i = 0; i < 4; i++)
			read_cr0();
	}
	depth--;
	return true;
}

static void need_nmi(void)
{
	need_umbra();
	depth = deepest = more = 0;
	hook(VEC_NMI, nmi);
}

CASE(nmi_needs_no_if)
{
	need_nmi();
	for (u32 i = 0; i < 4; i++) {
		all_fresh();
		check_eq(hypercall(HC_INJECT_NMI, 0, 0, 0, 0), 0);
		asm volatile("nop; nop");
		check_eq(exception_count[VEC_NMI], i + 1);
		check_eq(read_cr2(), CR2_MARK);
	}
}

/* An NMI inside the handler waits for its IRET. */
CASE(nmi_blocked_until_iret)
{
	need_nmi();
	more = 3;
	all_fresh();
	hypercall(HC_INJECT_NMI, 0, 0, 0, 0);
	asm volatile("nop; nop");
	check_eq(exception_count[VEC_NMI], 4);
	check_eq(deepest, 1);
	check_eq(read_cr2(), CR2_MARK);
}

CASE(nmi_and_interrupt)
{
	need_nmi();
	all_fresh();
	interrupt();
	hypercall(HC_INJECT_NMI, 0, 0, 0, 0);
	asm volatile("nop; nop");
	check_eq(exception_count[VEC_NMI], 1);
	check_eq(exception_count[VECTOR], 0);
	sti_window();
	check_eq(exception_count[VEC_NMI], 1);
	check_eq(exception_count[VECTOR], 1);
}

/* The handler of the NMI takes a #PF of its own: its IRET ends the blocking, as the manual warns. */
static bool count_pf(struct regs *r)
{
	(void)r;
	map_page(WINDOW + 64 * PAGE_SIZE, new_frame(), RWU);
	return true;
}

static bool nmi_with_fault(struct regs *r)
{
	(void)r;
	(*(volatile u32 *)(ulong)(WINDOW + 64 * PAGE_SIZE))++;
	return true;
}

CASE(page_fault_inside_nmi)
{
	need_nmi();
	if (!PT_LEVELS)
		skip("paging is off");
	hook(VEC_NMI, nmi_with_fault);
	hook(VEC_PF, count_pf);
	all_fresh();
	for (u32 i = 0; i < 3; i++) {
		hypercall(HC_INJECT_NMI, 0, 0, 0, 0);
		asm volatile("nop; nop");
	}
	check_eq(exception_count[VEC_NMI], 3);
	check_eq(exception_count[VEC_PF], 1);
	check_eq(*(volatile u32 *)(ulong)(WINDOW + 64 * PAGE_SIZE), 3);
}
