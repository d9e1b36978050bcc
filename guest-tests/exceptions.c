/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event delivery while its own structures fault.  Hidden faults on the way (IDT,
 * GDT, TSS and stack at addresses never used before) must not be seen; real ones
 * become #PF or #DF as the manual says.  SDM vol. 3, chapter 6 "Interrupt and
 * Exception Handling", 6.15 interrupt 8 (which pairs make a double fault).
 */
#include "test.h"

#define VECTOR 0x50
#define ERR_IDT 2
#define ERR_EXT 1
#define FREE_VA (WINDOW + 0x3ff000) /* nothing is mapped there */
#define CR2_MARK 0x7654000

static u64 next_va;

/* The same memory at an address never used before; without paging the address itself. */
static u64 fresh(u64 gpa, u32 pages)
{
	u64 va = next_va;

	if (!PT_LEVELS)
		return gpa;
	for (u32 i = 0; i < pages; i++)
		map_page(va + i * PAGE_SIZE, gpa + i * PAGE_SIZE, RW);
	next_va += (pages + 1) * PAGE_SIZE;
	return va + (gpa & 0xfff);
}

static u64 fresh_stack(void)
{
	return fresh(new_frame(), 1) + PAGE_SIZE;
}

static void set_sp0(ulong sp)
{
	memcpy(tss + TSS_SP0, &sp, sizeof(sp));
}

static void start(void)
{
	next_va = WINDOW;
}

/* Everything that delivery reads or writes, where no translation can exist yet. */
static void all_fresh(void)
{
	load_tss(fresh((ulong)tss, 1), 103);
	set_sp0(fresh_stack());
	load_idt(fresh((ulong)idt, 1), 256 * GATE_SIZE - 1);
	load_gdt(fresh((ulong)gdt, 1), GDT_ENTRIES * 8 - 1);
	write_cr2(CR2_MARK);
}

/* ---- events, each at CPL 0 and CPL 3: e_NAME to call, e_NAME_ip where the frame points ---------- */

#ifdef __x86_64__
#define A0 "%rdi"
#else
#define A0 "%eax"
#endif
#define EVENT_IN(p, name, before, at, after) \
	asm(".globl " #p "_" #name ", " #p "_" #name "_ip\n" #p "_" #name ":\n" before "\n" at "\n" after "\n ret\n"); \
	extern ulong p##_##name(ulong a, ulong b); \
	extern u8 p##_##name##_ip[];
#define EVENT(name, before, at, after) \
	asm(".text"); EVENT_IN(k, name, before, "k_" #name at, "k_" #name after) \
	asm(".section .user.text,\"ax\""); EVENT_IN(u, name, before, "u_" #name at, "u_" #name after) asm(".text");
#define FAULTS(name, insn, before) EVENT(name, before, "_ip: " insn, "_end: nop")
#define TRAPS(name, insn) EVENT(name, "", "_begin: " insn, "_ip: nop")

TRAPS(int_n, "int $0x50")
TRAPS(int3, "int3")
FAULTS(ud, "ud2", "")
FAULTS(de, "div %ecx", "xor %ecx,%ecx; xor %edx,%edx")
FAULTS(gp, "mov %ecx,%fs", "mov $0xff8,%ecx")
FAULTS(int_closed, "int $0x51", "") /* its gate is not present */
FAULTS(pf_read, "mov (" A0 "),%ecx", "")
FAULTS(pf_write, "movb $1,(" A0 ")", "")
FAULTS(pf_fetch, "nop", "jmp *" A0)
#ifndef __x86_64__
TRAPS(into, "into")
#endif

struct event {
	const char *name;
	guest_fn fn[2]; /* CPL 0, CPL 3 */
	u8 *ip[2];
	u8 vec;
	u32 err;
	bool fault; /* RF in the pushed flags */
	bool paging;
};
#define E(n, v, e, f, p) { #n, { k_##n, u_##n }, { k_##n##_ip, u_##n##_ip }, v, e, f, p }
static const struct event events[] = {
	E(int_n, VECTOR, 0, false, false),
	E(int3, VEC_BP, 0, false, false),
	E(ud, VEC_UD, 0, true, false),
	E(de, VEC_DE, 0, true, false),
	E(gp, VEC_GP, 0xff8, true, false),
	E(pf_read, VEC_PF, 0, true, true),
	E(pf_write, VEC_PF, PF_W, true, true),
	E(pf_fetch, VEC_PF, PF_I, true, true),
};

static void open_gates(void)
{
	set_gate(idt + VECTOR * GATE_SIZE, (ulong)vectors + VECTOR * 16, SEL_KCODE, 0xee, 0);
	set_gate(idt + VEC_BP * GATE_SIZE, (ulong)vectors + VEC_BP * 16, SEL_KCODE, 0xee, 0);
	set_gate(idt + VEC_OF * GATE_SIZE, (ulong)vectors + VEC_OF * 16, SEL_KCODE, 0xee, 0);
	set_gate(idt + 0x51 * GATE_SIZE, (ulong)vectors + 0x51 * 16, SEL_KCODE, 0x6e, 0);
}

static u32 fetch_bit(void)
{
	return PT_LEVELS >= 3 && cpu.nx ? PF_I : 0;
}

static struct fault wanted(const struct event *e, bool user)
{
	u32 err = (e->err & PF_I) && e->paging ? fetch_bit() : e->err;

	if (e->vec == VEC_PF)
		return PF(err | (user ? PF_U : 0), FREE_VA);
	return FAULT_ERR(e->vec, err);
}

static void check_event(const struct event *e, bool user)
{
	struct fault f, want = wanted(e, user);
	ulong ip = e->vec == VEC_PF && (e->err & PF_I) ? FREE_VA : (ulong)e->ip[user];

	hook(e->vec, hook_record);
	memset(exception_count, 0, sizeof(exception_count));
	f = user ? user_try(e->fn[1], FREE_VA, 0, NULL) : try(e->fn[0], FREE_VA, 0, NULL);
	if (!check_fault(f, want) || hook_regs.ip != ip)
		fail("%s at cpl %d: pushed ip %lx, want %lx", e->name, user ? 3 : 0, hook_regs.ip, ip);
	check_eq(exception_count[e->vec], 1);
	check_eq(hook_regs.cs, user ? SEL_UCODE : SEL_KCODE);
	if (user) {
		check_eq(hook_regs.ss, SEL_UDATA);
		check_eq(hook_regs.sp, user_stack - sizeof(ulong)); /* its return address */
	}
	if (e->vec != VEC_PF)
		check_eq(read_cr2(), CR2_MARK);
	hook(e->vec, NULL);
}

static void each_event(bool refresh)
{
	start();
	open_gates();
	write_cr2(CR2_MARK);
	for (u32 i = 0; i < ARRAY_SIZE(events); i++)
		for (int user = 0; user < 2; user++) {
			if (events[i].paging && !PT_LEVELS)
				continue;
			if (refresh)
				all_fresh();
			write_cr2(CR2_MARK);
			check_event(&events[i], user);
		}
}

CASE(events_warm)
{
	each_event(false);
}

CASE(events_through_fresh_pages)
{
	each_event(true);
}

/* Faults push RF = 1, so that an instruction breakpoint there does not hit again; INT n and INT3 do not. */
CASE(resume_flag)
{
	start();
	open_gates();
	for (u32 i = 0; i < ARRAY_SIZE(events); i++) {
		if (events[i].paging && !PT_LEVELS)
			continue;
		hook(events[i].vec, hook_record);
		all_fresh();
		user_try(events[i].fn[1], FREE_VA, 0, NULL);
		if (!!(hook_regs.flags & EFLAGS_RF) != events[i].fault)
			fail("%s: pushed flags %lx", events[i].name, hook_regs.flags);
	}
}

CASE(closed_gate)
{
	start();
	open_gates();
	all_fresh();
	check_fault(user_try(u_int_closed, 0, 0, NULL), FAULT_ERR(VEC_NP, 0x51 * 8 + ERR_IDT));
	check_fault(try(k_int_closed, 0, 0, NULL), FAULT_ERR(VEC_NP, 0x51 * 8 + ERR_IDT));
	check_eq(read_cr2(), CR2_MARK);
	set_gate(idt + VECTOR * GATE_SIZE, (ulong)vectors + VECTOR * 16, SEL_KCODE, 0x8e, 0);
	all_fresh();
	check_fault(user_try(u_int_n, 0, 0, NULL), FAULT_ERR(VEC_GP, VECTOR * 8 + ERR_IDT)); /* DPL 0 */
	check_eq(read_cr2(), CR2_MARK);
}

#ifndef __x86_64__
CASE(into)
{
	static const struct event e = E(into, VEC_OF, 0, false, false);

	start();
	open_gates();
	all_fresh();
	check_fault(try(k_into, 0, 0, NULL), NO_FAULT); /* OF is clear */
	hook(VEC_OF, hook_record);
	user_flags |= BIT(11);
	check_fault(user_try(u_into, 0, 0, NULL), FAULT(VEC_OF));
	check_eq(hook_regs.ip, (ulong)e.ip[1]);
}
#endif

CASE(kernel_stack_fresh)
{
	start();
	open_gates();
	hook(VECTOR, hook_return);
	for (u32 i = 0; i < 4; i++) { /* some room above: struct regs ends after what a 32-bit frame has here */
		all_fresh();
		check_fault(try(on_stack, fresh_stack() - 16 - i * 8, (ulong)k_int_n, NULL), NO_FAULT);
		check_eq(exception_count[VECTOR], i + 1);
		check_eq(hook_regs.ip, (ulong)k_int_n_ip);
		check_eq(read_cr2(), CR2_MARK);
	}
	if (!PT_LEVELS)
		return;
	for (u32 i = 0; i < 2; i++) { /* the frame crosses into another fresh page */
		u64 sp = fresh(new_frame(), 1) + 12;

		map_page(sp - 12 - PAGE_SIZE, new_frame(), RW);
		check_fault(try(on_stack, sp, (ulong)k_int_n, NULL), NO_FAULT);
		check_eq(exception_count[VECTOR], 5 + i);
		check_eq(read_cr2(), CR2_MARK);
	}
}

/* ---- structures that are really absent ------------------------------------------- */

static pte_t *absent, absent_value;
static u64 pf_cr2;
static bool repair(struct regs *r)
{
	hook_regs = *r;
	pf_cr2 = read_cr2();
	if (!absent)
		return false;
	set_entry(absent, absent_value);
	absent = NULL;
	return true;
}

/* An IDT whose vectors from `vec` on lie in a page of their own; returns its base.  which: the page that is absent, or neither. */
enum { NEITHER, FIRST, SECOND };
static u64 split_idt(u32 vec, int which)
{
	u64 a = new_frame(), b = new_frame(), va = next_va, base;
	u32 lead = vec * GATE_SIZE;

	next_va += 4 * PAGE_SIZE;
	memcpy(mem8(a + PAGE_SIZE - lead), idt, lead);
	memcpy(mem8(b), idt + lead, (128 - vec) * GATE_SIZE);
	map_page(va, a, which == FIRST ? 0 : RW);
	map_page(va + PAGE_SIZE, b, which == SECOND ? 0 : RW);
	absent = which == NEITHER ? NULL : entry(va + (which == SECOND ? PAGE_SIZE : 0), 1);
	absent_value = (which == SECOND ? b : a) | RW;
	base = va + PAGE_SIZE - lead;
	load_idt(base, 128 * GATE_SIZE - 1);
	return base;
}

CASE(idt_page_absent)
{
	u64 base;

	need_paging();
	start();
	open_gates();
	for (int user = 0; user < 2; user++) {
		base = split_idt(64, SECOND);
		hook(VEC_PF, repair);
		hook(VECTOR, user ? NULL : hook_return);
		memset(exception_count, 0, sizeof(exception_count));
		if (user)
			check_fault(user_try(u_int_n, 0, 0, NULL), FAULT(VECTOR));
		else
			check_fault(try(k_int_n, 0, 0, NULL), NO_FAULT);
		check_eq(exception_count[VEC_PF], 1);
		check_eq(exception_count[VECTOR], 1);
		check_eq(pf_cr2, base + VECTOR * GATE_SIZE);
	}
	base = split_idt(64, SECOND);
	absent = NULL; /* not repaired: error code of an implicit read, frame at the INT */
	check_fault(user_try(u_int_n, 0, 0, NULL), PF(0, base + VECTOR * GATE_SIZE));
	check_eq(hook_regs.ip, (ulong)u_int_n_ip - 2);
	check_eq(hook_regs.cs, SEL_UCODE);
}

/* The handler's code segment lies in an absent page of the GDT. */
CASE(gdt_page_absent)
{
	u64 second = new_frame(), va;
	u16 sel = PAGE_SIZE + 8;

	need_paging();
	start();
	va = next_va;
	next_va += 4 * PAGE_SIZE;
	mem64(second)[1] = gdt[SEL_KCODE / 8];
	map_page(va, (ulong)gdt, RW);
	absent = map_page(va + PAGE_SIZE, second, 0);
	absent_value = second | RW;
	load_gdt(va, 2 * PAGE_SIZE - 1);
	set_gate(idt + VECTOR * GATE_SIZE, (ulong)vectors + VECTOR * 16, sel, 0xee, 0);
	hook(VEC_PF, repair);
	check_fault(user_try(u_int_n, 0, 0, NULL), FAULT(VECTOR));
	check_eq(exception_count[VEC_PF], 1);
	check_eq(exception_count[VECTOR], 1);
	check_eq(pf_cr2, va + sel);
	check_eq(hook_regs.err, 0);
	check_eq(hook_regs.ip, (ulong)u_int_n_ip - 2);
}

#ifdef __x86_64__
#define IST2 (TSS_IST1 + 8)

static void pf_on_ist2(void)
{
	ulong sp = (ulong)stack_top - 8192; /* far below what is in use */

	memcpy(tss + IST2, &sp, sizeof(sp));
	set_gate(idt + VEC_PF * GATE_SIZE, (ulong)vectors + VEC_PF * 16, SEL_KCODE, 0x8e, 2);
}

CASE(tss_page_absent)
{
	u64 a = new_frame(), b = new_frame(), va;

	start();
	open_gates();
	pf_on_ist2();
	va = next_va;
	memcpy(mem8(a + PAGE_SIZE - 16), tss, 16);
	memcpy(mem8(b), tss + 16, 88);
	absent = map_page(va, a, 0);
	absent_value = a | RW;
	map_page(va + PAGE_SIZE, b, RW);
	load_tss(va + PAGE_SIZE - 16, 103);
	hook(VEC_PF, repair);
	check_fault(user_try(u_int_n, 0, 0, NULL), FAULT(VECTOR));
	check_eq(exception_count[VEC_PF], 1);
	check_eq(exception_count[VECTOR], 1);
	check_eq(pf_cr2, va + PAGE_SIZE - 16 + TSS_SP0);
	check_eq(hook_regs.err, 0);
}

CASE(stack_page_absent)
{
	u64 va, f = new_frame();

	start();
	open_gates();
	pf_on_ist2();
	va = next_va;
	absent = map_page(va, f, 0);
	absent_value = f | RW;
	set_sp0(va + PAGE_SIZE);
	hook(VEC_PF, repair);
	check_fault(user_try(u_int_n, 0, 0, NULL), FAULT(VECTOR));
	check_eq(exception_count[VEC_PF], 1);
	check_eq(exception_count[VECTOR], 1);
	check_eq(pf_cr2, va + PAGE_SIZE - 8);
	check_eq(hook_regs.err, PF_W);
	set_entry(entry(va, 1), 0);
	invlpg(va);
	set_gate(idt + VEC_PF * GATE_SIZE, (ulong)vectors + VEC_PF * 16, SEL_KCODE, 0x8e, 0);
	check_fault(user_try(u_int_n, 0, 0, NULL), FAULT(VEC_DF)); /* #PF has no stack either */
}
#endif

/* ---- faults while a fault is delivered ------------------------------------------- */

/* #GP (contributory) whose gate faults: not a double fault, the #PF comes, with the frame of the #GP. */
CASE(pf_in_gp)
{
	u64 base;

	need_paging();
	start();
	for (int user = 0; user < 2; user++) {
		base = split_idt(VEC_PF, FIRST);
		absent = NULL;
		hook(VEC_PF, repair);
		check_fault(user ? user_try(u_gp, 0, 0, NULL) : try(k_gp, 0, 0, NULL), PF(0, base + VEC_GP * GATE_SIZE));
		check_eq(hook_regs.ip, (ulong)(user ? u_gp_ip : k_gp_ip));
		check_eq(exception_count[VEC_GP], 0);
	}
	base = split_idt(VEC_PF, FIRST); /* repaired: the #GP comes after all */
	check_fault(user_try(u_gp, 0, 0, NULL), FAULT_ERR(VEC_GP, 0xff8));
	check_eq(pf_cr2, base + VEC_GP * GATE_SIZE);
}

CASE(pf_in_pf)
{
	u64 base;

	need_paging();
	start();
	for (int user = 0; user < 2; user++) {
		base = split_idt(VEC_PF, SECOND);
		check_fault(user ? user_try(u_pf_read, FREE_VA, 0, NULL) : try(k_pf_read, FREE_VA, 0, NULL), FAULT(VEC_DF));
		check_eq(read_cr2(), base + VEC_PF * GATE_SIZE);
		check_eq(exception_count[VEC_PF], 0);
		check_eq(exception_count[VEC_DF], user + 1);
	}
}

static void close_gate(u32 vec)
{
	set_gate(idt + vec * GATE_SIZE, (ulong)vectors + vec * 16, SEL_KCODE, 0x0e, vec == VEC_DF);
}

static void contributory(bool refresh)
{
	start();
	close_gate(VEC_GP);
	close_gate(VEC_DE);
	user_try(u_gp, 0, 0, NULL); /* warms what the others need */
	try(k_de, 0, 0, NULL);
	exception_count[VEC_NP] = 0;
	write_cr2(CR2_MARK);
	for (int i = 0; i < 3; i++) {
		if (refresh)
			all_fresh();
		check_fault(user_try(u_gp, 0, 0, NULL), FAULT(VEC_DF));
		if (refresh)
			all_fresh();
		check_fault(try(k_de, 0, 0, NULL), FAULT(VEC_DF));
	}
	check_eq(exception_count[VEC_NP], 0);
	check_eq(read_cr2(), CR2_MARK);
}

CASE(contributory_pairs)
{
	contributory(false);
}

CASE(contributory_pairs_through_fresh_pages)
{
	contributory(true);
}

CASE(contributory_in_pf)
{
	need_paging();
	start();
	close_gate(VEC_PF);
	for (int i = 0; i < 4; i++) {
		if (i & 1)
			all_fresh();
		check_fault(user_try(u_pf_write, FREE_VA, 0, NULL), FAULT(VEC_DF));
		check_eq(read_cr2(), FREE_VA);
	}
	check_eq(exception_count[VEC_NP], 0);
}

/* Benign first: one after the other, EXT set when the first one was no INT n. */
CASE(benign_pairs)
{
	start();
	open_gates();
	close_gate(VEC_UD);
	set_gate(idt + VEC_BP * GATE_SIZE, (ulong)vectors + VEC_BP * 16, SEL_KCODE, 0x6e, 0);
	for (int user = 0; user < 2; user++) {
		all_fresh();
		check_fault(user ? user_try(u_ud, 0, 0, NULL) : try(k_ud, 0, 0, NULL), FAULT_ERR(VEC_NP, VEC_UD * 8 + ERR_IDT + ERR_EXT));
		all_fresh();
		check_fault(user ? user_try(u_int3, 0, 0, NULL) : try(k_int3, 0, 0, NULL), FAULT_ERR(VEC_NP, VEC_BP * 8 + ERR_IDT));
		check_eq(read_cr2(), CR2_MARK);
	}
}

FAULTS(int_gp, "int $13", "")
FAULTS(int_pf, "int $14", "")
FAULTS(int_ss, "int $12", "")

/* INT n is benign, even with the number of a contributory exception: what its delivery raises comes alone. */
CASE(software_interrupts_are_benign)
{
	static const struct { guest_fn fn[2]; u8 vec; } ints[] = {
		{ { k_int_gp, u_int_gp }, VEC_GP }, { { k_int_pf, u_int_pf }, VEC_PF }, { { k_int_ss, u_int_ss }, VEC_SS },
	};

	start();
	for (u32 i = 0; i < ARRAY_SIZE(ints); i++)
		for (int n = 0; n < 2; n++) {
			u8 v = ints[i].vec;

			set_gate(idt + v * GATE_SIZE, (ulong)vectors + v * 16, SEL_KCODE, 0x6e, 0); /* not present */
			if (n)
				all_fresh();
			write_cr2(CR2_MARK);
			check_eq(try(ints[i].fn[0], 0, 0, NULL).vec, VEC_NP);
			if (n)
				all_fresh();
			write_cr2(CR2_MARK);
			check_eq(user_try(ints[i].fn[1], 0, 0, NULL).vec, VEC_NP);
			check_eq(read_cr2(), CR2_MARK);
			set_gate(idt + v * GATE_SIZE, (ulong)vectors + v * 16, SEL_KCODE, 0x8e, 0);
		}
}

/* Hidden faults of plain accesses leave CR2 alone, and each register. */
CASE(cr2_and_hidden_faults)
{
	need_paging();
	start();
	write_cr2(CR2_MARK);
	for (u32 i = 0; i < 16; i++) {
		u64 va = WINDOW + i * 2 * PAGE_SIZE;

		map_page(va, new_frame(), RWU);
		if (i & 1)
			check_fault(user_poke32(va, i), NO_FAULT);
		else
			check_fault(poke32(va + 0xffc, i), NO_FAULT);
		check_eq(read_cr2(), CR2_MARK);
	}
	check_fault(user_peek32(FREE_VA, NULL), PF(PF_U, FREE_VA));
	map_page(FREE_VA, new_frame(), RWU);
	check_fault(user_peek32(FREE_VA + 8, NULL), NO_FAULT);
	check_eq(read_cr2(), FREE_VA);
}
