/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EFLAGS.TF: one #DB after each instruction, also after those that fault
 * invisibly, exit or are emulated.  SDM vol. 3, 18.3.1.4 "Single-Step Exception Condition".
 */
#include "test.h"

#define DR6_BS BIT(14)
#define VECTOR 0x50
#define MAX_STEPS 24

static ulong at[MAX_STEPS];
static u32 steps, without_bs;

static bool step(struct regs *r)
{
	ulong dr6;

	asm volatile("mov %%dr6,%0" : "=r"(dr6));
	without_bs += !(dr6 & DR6_BS);
	asm volatile("mov %0,%%dr6" : : "r"(0xffff0ff0ul));
	if (steps < MAX_STEPS)
		at[steps] = r->ip;
	steps++;
	return true;
}

/*
 * The sequences: p_NAME runs one with TF set, p_NAME_at lists where each #DB is
 * expected, 0 ends it.  S(insn): a #DB after it; Q(insn): none, for it or its next.
 */
#ifdef __x86_64__
#define A "%rdi"
#define B "%rsi"
#define C "%rcx"
#define WORD ".quad"
#define PUSHF "pushfq\n"
#define TF_ON PUSHF "orl $0x100,(%rsp)\n popfq\n"
#define TF_OFF PUSHF
#define TF_END "andl $~0x100,(%rsp)\n"
#define POPF "popfq"
#define SP "%rsp"
#define SAVE "mov %rdi,%r8; mov %rsi,%r9\n"
#define LOAD_REP "mov %r8,%rdi; mov %r9,%rsi; mov $4,%ecx\n"
#define RESTORE ""
#else
#define A "%eax"
#define B "%edx"
#define C "%ecx"
#define WORD ".long"
#define TF_ON "pushfl\n orl $0x100,(%esp)\n popfl\n"
#define TF_OFF "pushfl\n"
#define TF_END "andl $~0x100,(%esp)\n"
#define POPF "popfl"
#define SP "%esp"
#define SAVE "push %esi; push %edi; push %ebx; mov %eax,%edi; mov %edx,%esi\n"
#define LOAD_REP "mov $4,%ecx\n"
#define RESTORE "pop %ebx; pop %edi; pop %esi\n"
#endif
#define NEXT ".pushsection .rodata\n " WORD " 77f\n .popsection\n 77:\n"
#define S(insn) insn "\n" NEXT
#define SEQUENCE(name, before, body) \
	asm(".pushsection .rodata\n .balign 8\n .globl p_" #name "_at\n p_" #name "_at:\n .popsection\n" \
	    ".globl p_" #name "\n p_" #name ":\n" SAVE before TF_ON body \
	    S(TF_OFF) S(TF_END) S(POPF) RESTORE "ret\n" \
	    ".pushsection .rodata\n " WORD " 0\n .popsection\n"); \
	extern ulong p_##name(ulong a, ulong b); \
	extern const ulong p_##name##_at[];

SEQUENCE(plain, "", S("nop") S("nop") S("mov " A "," C) S("push " A) S("pop " C))
SEQUENCE(touch, "", S("mov (" A ")," C) S("mov " C ",(" A ")") S("mov (" B ")," C) S("nop"))
SEQUENCE(exits, "mov %cr3," C "\n",
	 S("mov %cr0," C) S("mov %cr3," C) S("mov " C ",%cr3") S("invlpg (" A ")") S("nop") S("outb %al,$0x80") S("nop")
	 S("mov %cr4," C) S("mov " C ",%cr4") S("nop"))
#ifdef __x86_64__
SEQUENCE(cpuid, "push %rbx\n", S("xor %eax,%eax") S("cpuid") S("nop") S("pop %rbx"))
#else
SEQUENCE(cpuid, "", S("xor %eax,%eax") S("cpuid") S("nop"))
#endif
SEQUENCE(tables, "", S("movl $0,(" A ")") S("mov (" B ")," C) S("nop"))
/* INT n clears TF and IRET brings it back: the next #DB comes after the instruction behind the INT. */
SEQUENCE(int_n, "", S("nop") "int $0x50\n" S("nop") S("nop"))
SEQUENCE(mov_ss, "mov %ss," C "\n", S("nop") "mov " C ",%ss\n" S("nop") S("nop"))
/* STI holds back interrupts for one instruction, not #DB. */
SEQUENCE(sti, "", S("nop") S("sti") S("nop") S("cli") S("sti") S("mov %cr3," C) S("sti") S("mov (" A ")," C) S("cli") S("nop"))
SEQUENCE(rep, LOAD_REP, "78:\n .pushsection .rodata\n " WORD " 78b, 78b, 78b\n .popsection\n" S("rep movsb") S("nop"))

static void check_sequence(guest_fn fn, const ulong *want, ulong a, ulong b)
{
	u32 n = 0;

	memset(at, 0, sizeof(at));
	steps = without_bs = 0;
	hook(VEC_DB, step);
	check_fault(try(fn, a, b, NULL), NO_FAULT);
	while (want[n])
		n++;
	check_eq(steps, n);
	check_eq(without_bs, 0);
	for (u32 i = 0; i < n && i < steps; i++)
		if (at[i] != want[i]) {
			fail("step %u of %u at %lx, want %lx", i, n, at[i], want[i]);
			break;
		}
}
#define run(name, a, b) check_sequence(p_##name, p_##name##_at, (a), (b))

CASE(plain)
{
	run(plain, 0, 0);
	run(plain, 0, 0);
}

CASE(hidden_faults)
{
	need_paging();
	for (u32 i = 0; i < 3; i++) {
		u64 va = WINDOW + i * 4 * PAGE_SIZE;

		map_page(va, new_frame(), RWU);
		map_page(va + PAGE_SIZE, new_frame(), RWU);
		map_page(va + 2 * PAGE_SIZE, new_frame(), RWU);
		write_cr2(0x1230);
		run(touch, va, va + PAGE_SIZE + 0xffe); /* the last one crosses pages */
		check_eq(read_cr2(), 0x1230);
	}
}

CASE(instructions_that_exit)
{
	run(exits, (ulong)&steps, 0);
	run(exits, (ulong)&steps, 0);
}

CASE(cpuid_exits)
{
	run(cpuid, 0, 0);
	run(cpuid, 0, 0);
}

CASE(page_table_writes)
{
	u64 f = new_frame();
	pte_t *e;

	need_paging();
	map_page(WINDOW + PAGE_SIZE, f, RWU);
	e = map_page(WINDOW, f, RWU);
	for (u32 i = 0; i < 3; i++) {
		set_entry(e, f | RWU);
		check_fault(peek32(WINDOW, NULL), NO_FAULT);
		run(tables, (ulong)e, WINDOW + PAGE_SIZE);
		invlpg(WINDOW);
		check_fault(peek32(WINDOW, NULL), PF(0, WINDOW));
	}
}

CASE(int_and_iret)
{
	hook(VECTOR, hook_return);
	run(int_n, 0, 0);
	run(int_n, 0, 0);
	check_eq(exception_count[VECTOR], 2);
}

CASE(mov_ss_shadow)
{
	run(mov_ss, 0, 0);
}

/* Shadows of one instruction over ones that exit, and that fault invisibly. */
CASE(sti_shadow)
{
	u64 f = new_frame();

	for (u32 i = 0; i < 3; i++) {
		if (PT_LEVELS)
			map_page(WINDOW + i * PAGE_SIZE, f, RWU);
		run(sti, PT_LEVELS ? WINDOW + i * PAGE_SIZE : f, 0);
		check_eq(read_flags() & (EFLAGS_IF | EFLAGS_TF), 0);
	}
}

/* One #DB for each iteration, across a page boundary, into pages never used before. */
CASE(rep_movs)
{
	u64 f = new_frame(), g = new_frame(), h = new_frame();

	memcpy(mem8(h), "abcd", 4);
	if (!PT_LEVELS) {
		run(rep, f, h);
		check_eq(*mem32(f), 0x64636261);
		return;
	}
	map_page(WINDOW, f, RWU);
	map_page(WINDOW + PAGE_SIZE, g, RWU);
	map_page(WINDOW + 2 * PAGE_SIZE, h, RWU);
	run(rep, WINDOW + PAGE_SIZE - 2, WINDOW + 2 * PAGE_SIZE);
	check_eq(mem8(f)[0xffe] | mem8(f)[0xfff] << 8 | mem8(g)[0] << 16 | mem8(g)[1] << 24, 0x64636261);
}

USER_CODE static ulong user_steps(ulong a, ulong b)
{
	(void)b;
	asm volatile("nop; nop; mov (%0),%0" : "+r"(a));
	return a;
}

/* CPL 3 with TF: every #DB comes from there and none is lost on the way out. */
CASE(user_mode)
{
	u64 f = new_frame();
	u32 first = 0;

	if (PT_LEVELS)
		map_page(WINDOW, f, RWU);
	for (u32 i = 0; i < 3; i++) {
		steps = without_bs = 0;
		hook(VEC_DB, step);
		user_flags |= EFLAGS_TF;
		check_fault(user_try(user_steps, PT_LEVELS ? WINDOW : f, 0, NULL), NO_FAULT);
		check_eq(without_bs, 0);
		if (!i)
			first = steps;
		check(steps >= 5);
		check_eq(steps, first);
	}
}
