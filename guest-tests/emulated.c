/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stores into live page tables that a hypervisor may perform itself, in
 * circumstances where a careless one goes wrong: single steps, code on user
 * pages, register state beside the general registers, 32-bit code under long
 * mode, operands across the ends of the address space.
 */
#include "watched.h"

#define DR6_BS BIT(14)

/* ---- the trap flag ---- */

static u32 steps, without_bs;

static bool on_step(struct regs *r)
{
	ulong status, clear = 0xffff0ff0;

	(void)r;
	asm volatile("mov %%dr6, %0; mov %1, %%dr6" : "=&r"(status) : "r"(clear));
	steps++;
	without_bs += !(status & DR6_BS);
	return true;
}

#ifdef __x86_64__
#define SP "%%rsp"
#define REG_SP "rsp"
#else
#define SP "%%esp"
#define REG_SP "esp"
#endif
#define TF_ON "pushf\n orw $0x100, (" SP ")\n popf\n"
#define TF_OFF "pushf\n andw $~0x100, (" SP ")\n popf\n nop"
#define TF_STEPS 3 /* of TF_OFF */

static void expect_steps(u32 n)
{
	check_eq(steps, n + TF_STEPS);
	check_eq(without_bs, 0);
	steps = without_bs = 0;
}

/* One trap for each round, whoever carries it out; the table is written by nothing else before. */
CASE(rep_under_tf)
{
	ulong di, si, count;

	set_up();
	hook(VEC_DB, on_step);
	steps = without_bs = 0;
	for (u32 i = 0; i < 2; i++) {
		di = table + 0x800;
		count = 5;
		asm volatile(TF_ON "rep stosl\n" TF_OFF : "+D"(di), "+c"(count) : "a"(0x77e0) : "memory", "cc");
		expect_steps(5);
		check_eq(count, 0);
		check_eq(di, table + 0x814);
		still_watched(7);
		di = table + 0x900;
		si = table + 0x800;
		count = 4;
		asm volatile(TF_ON "rep movsl\n" TF_OFF : "+D"(di), "+S"(si), "+c"(count) : : "memory", "cc");
		expect_steps(4);
		check_eq(mem32(table)[0x90c / 4], 0x77e0);
		check_eq(mem32(table)[0x910 / 4], 0);
		still_watched(7);
		di = table + 0xffc; /* from the table into the page behind it, through the alias */
		map_page(ALIAS + PAGE_SIZE, first, ALL);
		di = ALIAS + 0xff8;
		count = 4;
		asm volatile(TF_ON "rep stosl\n" TF_OFF : "+D"(di), "+c"(count) : "a"(0x55a0) : "memory", "cc");
		expect_steps(4);
		check_eq(mem32(first)[1], 0x55a0);
		still_watched(7);
		mem32(first)[0] = mem32(first)[1] = mem32(table)[0xff8 / 4] = mem32(table)[0xffc / 4] = 0;
	}
}

/* Each of these alone under TF, first thing after the table was watched again. */
CASE(each_under_tf)
{
	ulong at;

	set_up();
	at = table + 0x800;
	hook(VEC_DB, on_step);
	steps = without_bs = 0;
#define ONE(text) \
	do { \
		asm volatile(TF_ON text "\n" TF_OFF : : "r"(at), "r"(ALIAS + 0x800) : "memory", "cc"); \
		expect_steps(1); \
		still_watched(7); \
	} while (0)
	for (u32 i = 0; i < 2; i++) {
		ONE("movl $0x1000, (%0)");
		ONE("lock orl $0x20, (%0)");
		ONE("xchgl %%eax, %%eax");
		ONE("sidt (%0)");
		ONE("sldt (%0)");
		ONE("str (%0)");
		ONE("smsw (%0)");
		ONE("fnstcw (%0)");
	}
#undef ONE
}

#ifdef __x86_64__
#define AX "%rax"
#else
#define AX "%eax"
#endif
asm(".text\n pushes_under_tf: pushf\n orw $0x100, (%" REG_SP ")\n popf\n"
    "push " AX "\n push " AX "\n pop " AX "\n push " AX "\n push $0\n pop " AX "\n pop " AX "\n pop " AX "\n"
    "pushf\n andw $~0x100, (%" REG_SP ")\n popf\n nop\n ret\n");
extern ulong pushes_under_tf(ulong a, ulong b);

/* The stack is a table: where a #DB is delivered, there the next instruction pushes. */
CASE(stack_in_a_table_under_tf)
{
	set_up();
	hook(VEC_DB, on_step);
	for (u32 i = 0; i < 4; i++) {
		steps = without_bs = 0;
		check_fault(try(on_stack, table + 0xf00 + 8 * i, (ulong)pushes_under_tf, NULL), NO_FAULT);
		expect_steps(8);
		still_watched(7);
	}
}

static u8 refused_len;

static bool skip_refused(struct regs *r)
{
	r->ip += refused_len;
	return true;
}

/* An instruction that exits and is refused has not retired: its #GP and no trap. */
CASE(refused_under_tf)
{
	ulong cr0 = read_cr0();

	if (!faulted(write_cr0((ulong)((cr0 | CR0_NW) & ~CR0_CD)))) { /* TCG, which hangs below */
		check_fault(write_cr0(cr0), NO_FAULT);
		skip("this processor does not check what is written to CR0");
	}
	hook(VEC_DB, on_step);
	hook(VEC_GP, skip_refused);
	hook(VEC_UD, skip_refused);
	for (u32 i = 0; i < 2; i++) {
		steps = without_bs = 0;
		refused_len = 3;
		asm volatile(TF_ON "mov %0, %%cr4\n" TF_OFF : : "a"(~0ul) : "memory", "cc");
		expect_steps(0);
		asm volatile(TF_ON "nop\n mov %0, %%cr0\n" TF_OFF : : "a"((ulong)CR0_PG) : "memory", "cc");
		expect_steps(1);
		refused_len = 2;
		asm volatile(TF_ON "wrmsr\n" TF_OFF : : "a"(~0u), "d"(~0u), "c"(0xc0000080) : "memory", "cc");
		expect_steps(0);
		asm volatile(TF_ON "ud2\n" TF_OFF : : : "memory", "cc");
		expect_steps(0);
	}
	check_eq(exception_count[VEC_GP], 1 + 6);
	check_eq(exception_count[VEC_UD], 2);
}

#define MANY 100

/* More tables than one exit may put in order: the MOV to CR3 runs again and again, and traps once. */
CASE(flush_of_many_tables_under_tf)
{
	u64 a, b;

	need_paging();
	a = tagged(1);
	b = tagged(2);
	hook(VEC_DB, on_step);
	for (u32 i = 0; i < MANY; i++) {
		map_page(WINDOW + i * LARGE_SIZE, a, ALL | PTE_A | PTE_D);
		check_eq(tag_at(WINDOW + i * LARGE_SIZE), 1);
	}
	for (u32 n = 0; n < 2; n++) {
		steps = without_bs = 0;
		for (u32 i = 0; i < MANY; i++)
			set_entry(entry(WINDOW + i * LARGE_SIZE, 1), (n ? a : b) | ALL | PTE_A | PTE_D);
		asm volatile(TF_ON "mov %0, %%cr3\n" TF_OFF : : "r"((ulong)read_cr3()) : "memory", "cc");
		expect_steps(1);
		for (u32 i = 0; i < MANY; i++)
			check_eq(tag_at(WINDOW + i * LARGE_SIZE), n ? 1 : 2);
	}
}

#define HOLE 0xd0000000ull /* nothing answers there, on any of the platforms */

/* What nobody stores: with a trap for each, and nothing else changed. */
CASE(stores_to_a_hole_under_tf)
{
	ulong at = ALIAS + 0x6000, di, count;
	u32 v = 0, was = 0;

	set_up();
	map_page(at, HOLE, ALL);
	check_fault(peek32(at, &was), NO_FAULT); /* ones on a real bus */
	hook(VEC_DB, on_step);
	steps = without_bs = 0;
	for (u32 i = 0; i < 3; i++) {
		map_page(at, HOLE, ALL | (i ? PTE_A | PTE_D : 0)); /* nothing says "clean", and it is read first */
		invlpg(at);
		if (i)
			check_fault(peek32(at, &v), NO_FAULT);
		if (i == 2) {
			check_fault(poke32(at, ~was), NO_FAULT);
			check_fault(peek32(at, &v), NO_FAULT);
			check_eq(v, was);
		}
		asm volatile(TF_ON "sidt (%0)\n movl $1, (%0)\n sldt 8(%0)\n nop\n" TF_OFF : : "r"(at) : "memory", "cc");
		expect_steps(4);
		di = at;
		count = 3;
		asm volatile(TF_ON "rep stosl\n" TF_OFF : "+D"(di), "+c"(count) : "a"(0) : "memory", "cc");
		expect_steps(3);
		check_fault(peek32(at, &v), NO_FAULT);
		check_eq(v, was);
		still_watched(7);
	}
}

/*
 * INT n pushes its frame where nothing answers; the handler takes another stack at once.  POPF reads ones
 * there, so TF is set for INT n alone, which clears it: no trap is due.
 */
#ifdef __x86_64__
#define ARG "%rdi"
#define CALLEE_PUSH "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
#define CALLEE_POP "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
#else
#define ARG "%eax"
#define CALLEE_PUSH "push %ebx\n push %ebp\n push %esi\n push %edi\n"
#define CALLEE_POP "pop %edi\n pop %esi\n pop %ebp\n pop %ebx\n"
#endif
ulong sp_beside_the_hole;
asm(".text\n int_on_stack: " CALLEE_PUSH "mov %" REG_SP ", sp_beside_the_hole\n"
    "mov " ARG ", %" REG_SP "\n popf\n int $0x50\n"
    "hole_handler: mov sp_beside_the_hole, %" REG_SP "\n push $2\n popf\n " CALLEE_POP "ret\n");
extern ulong int_on_stack(ulong sp, ulong unused);
extern u8 hole_handler[];

CASE(frame_in_a_hole_under_tf)
{
	ulong at = ALIAS + 0x6000;

	set_up();
	map_page(at, HOLE, RW);
	hook(VEC_DB, on_step);
	set_gate(idt + 0x50 * GATE_SIZE, (ulong)hole_handler, SEL_KCODE, 0x8e, 0);
	for (u32 i = 0; i < 3; i++) {
		steps = without_bs = 0;
		check_fault(try(int_on_stack, at + 0x800, 0, NULL), NO_FAULT);
		check_eq(steps, 0);
	}
}

/* CR0.WP=0 and a read-only user page that is a table or is not: a right for one instruction alone, and its trap. */
CASE(borrowed_rights_under_tf)
{
	static const ulong controls[] = { 0, CR4_SMEP, CR4_SMAP, CR4_SMEP | CR4_SMAP };

	set_up();
	hook(VEC_DB, on_step);
	for (u32 i = 0; i < ARRAY_SIZE(controls); i++) {
		ulong at = ALIAS + 0x3000;

		if ((controls[i] & CR4_SMEP && !cpu.smep) || (controls[i] & CR4_SMAP && !cpu.smap))
			continue;
		map_page(at, first, PTE_P | PTE_U);
		check_fault(user_peek32(at, NULL), NO_FAULT);
		check_fault(write_cr4(read_cr4() | controls[i]), NO_FAULT);
		check_fault(write_cr0(read_cr0() & ~CR0_WP), NO_FAULT);
		set_ac(true);
		steps = without_bs = 0;
		for (u32 j = 0; j < 2; j++) {
			hypercall(HC_LOG_DIRTY, 0, 0, 0, 0);
			hypercall(HC_LOG_DIRTY, 1, 0, 0, 0); /* no frame is dirty: the write has to be logged as well */
			asm volatile("push %1\n popf\n" TF_ON "sidt 0x100(%0)\n" TF_OFF : : "r"(at), "r"((ulong)(EFLAGS_AC | EFLAGS_RSV1)) : "memory", "cc");
			expect_steps(1);
			asm volatile("push %1\n popf\n" TF_ON "movl $5, 0x110(%0)\n" TF_OFF : : "r"(at), "r"((ulong)(EFLAGS_AC | EFLAGS_RSV1)) : "memory", "cc");
			expect_steps(1);
			check_fault(user_poke32(at, 1), PF(PF_P | PF_W | PF_U, at));
			check_fault(user_peek32(at, NULL), NO_FAULT);
		}
		hypercall(HC_LOG_DIRTY, 0, 0, 0, 0);
		set_ac(false);
		check_fault(write_cr0(read_cr0() | CR0_WP), NO_FAULT);
		check_fault(poke32(at, 1), PF(PF_P | PF_W, at));
		check_fault(write_cr4(read_cr4() & ~controls[i]), NO_FAULT);
	}
}

/* What one instruction needed is over when it is done: the next one sets no A or D there. */
CASE(one_instruction_at_a_time)
{
	pte_t *e1, *e2;

	set_up();
	e1 = map_page(ALIAS + 0x3000, table, RW);
	e2 = map_page(ALIAS + 0x4000, table, RW);
	for (u32 i = 0; i < 3; i++) {
		asm volatile("sidt (%0)" : : "r"((ulong)(ALIAS + 0x3800)) : "memory");
		check_eq(*e1 & (PTE_A | PTE_D), PTE_A | PTE_D);
		still_watched(7);
		set_entry(e1, table | RW);
		set_entry(e2, table | RW);
		invlpg(ALIAS + 0x3000);
		invlpg(ALIAS + 0x4000);
		still_watched(7);
		asm volatile("sidt (%0)" : : "r"((ulong)(ALIAS + 0x4800)) : "memory");
		check_eq(*e1 & (PTE_A | PTE_D), 0);
		check_eq(*e2 & (PTE_A | PTE_D), PTE_A | PTE_D);
		still_watched(7);
	}
}

/* ---- who fetches, who reads ---- */

/* mov %edx, (%rdi) or (%eax); ret */
static void put_store(u64 frame)
{
	static const u8 code[] = { 0x89, sizeof(ulong) == 8 ? 0x37 : 0x10, 0xc3 };

	memcpy(mem8(frame), code, sizeof(code));
}

/* The store's code is where data accesses of its CPL are refused: on a user page under SMAP. */
CASE(code_on_a_user_page)
{
	u64 code = new_frame();
	ulong at = WINDOW + 0x9000;

	set_up();
	if (!cpu.smap)
		skip("no SMAP");
	put_store(code);
	map_page(at, code, ALL);
	check_fault(write_cr4(read_cr4() | CR4_SMAP), NO_FAULT);
	for (u32 i = 0; i < 3; i++) {
		u64 frame = i & 1 ? first : second;

		set_ac(false);
		check_fault(try((guest_fn)at, (ulong)entry(HERE, 1), frame | ALL, NULL), NO_FAULT);
		invlpg(HERE);
		set_ac(true);
		check_eq(tag_at(HERE), i & 1 ? 1 : 2);
	}
}

/* A table that is itself a user page, written by the supervisor: SMAP refuses without AC and not with it. */
CASE(table_on_a_user_page)
{
	ulong at;

	set_up();
	if (!cpu.smap)
		skip("no SMAP");
	at = ALIAS + 5 * PTE_SIZE;
	check_fault(write_cr4(read_cr4() | CR4_SMAP), NO_FAULT);
	for (u32 i = 0; i < 3; i++) {
		u64 frame = i & 1 ? first : second;

		set_ac(false);
		check_fault(poke32(at, frame | ALL), PF(PF_P | PF_W, at));
		set_ac(true);
		check_fault(poke32(at, frame | ALL), NO_FAULT);
		invlpg(HERE);
		check_eq(tag_at(HERE), i & 1 ? 1 : 2);
	}
}

/* ---- registers beside the general ones ---- */

/* FINCSTP moves the top; MMn stays the physical register n, and a store from it puts the top back to 0. */
CASE(mmx_register_with_another_top)
{
	u32 value[2] = { 0x81234067, 0x55 };
	u16 status = 0;

	set_up();
	for (u32 top = 0; top < 8; top += 3) {
		u64 at = table + 0x800 + 8 * top, plain = first + 0x800;

		for (u32 i = 0; i < 2; i++) {
			asm volatile("fninit\n pxor %%mm0, %%mm0\n movq %%mm0, %%mm1\n movq %%mm0, %%mm3\n movq %%mm0, %%mm6\n movq %0, %%mm5\n"
				     "fldcw %1" : : "m"(value), "m"((const u16[]){ 0x37f }));
			for (u32 j = 0; j < top; j++)
				asm volatile("fincstp");
			asm volatile("movq %%mm5, (%1)\n fnstsw %0\n emms" : "=m"(status) : "r"((ulong)(i ? at : plain)) : "memory");
			check_eq(status >> 11 & 7, 0);
			check_eq(*mem32(i ? at : plain), value[0]);
			check_eq(*mem32((i ? at : plain) + 4), value[1]);
		}
	}
	asm volatile("fninit");
}

#ifdef __x86_64__
CASE(xmm_registers_8_and_up)
{
	static const u32 value[4] = { 0x81234067, 0x77, 0x55555120, 0x66 };
	u64 at = 0;

	set_up();
	at = table + 0x800;
	asm volatile("pxor %%xmm1, %%xmm1; pxor %%xmm7, %%xmm7; movups %0, %%xmm9; movups %0, %%xmm15" : : "m"(value));
	asm volatile("movups %%xmm9, (%0)" : : "r"(at) : "memory");
	for (u32 i = 0; i < 4; i++)
		check_eq(mem32(at)[i], value[i]);
	still_watched(7);
	asm volatile("movhps %%xmm15, 0x20(%0)" : : "r"(at) : "memory");
	check_eq(mem32(at)[8], value[2]);
	check_eq(mem32(at)[9], value[3]);
}

/* An immediate behind the displacement: RIP-relative counts from the end of the instruction. */
CASE(rip_relative_with_an_immediate)
{
	/* movq $imm32, disp32(%rip); movl $imm32; movb $imm8; addl $imm8; each followed by ret */
	static const struct { u8 bytes[4], opcode, imm, size; } forms[] = {
		{ { 0x48, 0xc7, 0x05 }, 3, 4, 8 }, { { 0xc7, 0x05 }, 2, 4, 4 }, { { 0xc6, 0x05 }, 2, 1, 1 },
		{ { 0x83, 0x05 }, 2, 1, 4 }, { { 0x48, 0x83, 0x05 }, 3, 1, 8 }, { { 0x66, 0xc7, 0x05 }, 3, 2, 2 },
	};
	u64 code = new_frame();
	ulong at = ALIAS - 0x2000, target = ALIAS + 0x800;

	set_up();
	map_page(at, code, RW);
	for (u32 i = 0; i < ARRAY_SIZE(forms); i++) {
		u8 *p = mem8(code);
		u32 len = forms[i].opcode + 4 + forms[i].imm;
		u32 disp = target - (at + len);

		memcpy(p, forms[i].bytes, forms[i].opcode);
		memcpy(p + forms[i].opcode, &disp, 4);
		memset(p + forms[i].opcode + 4, 0, forms[i].imm);
		p[forms[i].opcode + 4] = 0x60;
		p[len] = RET;
		*mem64(table + 0x7f8) = *mem64(table + 0x800) = *mem64(table + 0x808) = 0;
		still_watched(7);
		check_fault(try((guest_fn)at, 0, 0, NULL), NO_FAULT);
		check_eq(*mem64(table + 0x7f8), 0);
		check_eq(*mem64(table + 0x800), 0x60);
		check_eq(*mem64(table + 0x808), 0);
	}
}

/* 32-bit code under long mode pushes 4 bytes; what lies below stays as it is. */
asm(".code32\n"
    "compat_pushes: mov %esp, %edx\n mov %ebx, %esp\n pushl %ecx\n pushl $0x60\n pushf\n call 1f\n"
    "1: mov %esp, %eax\n mov %edx, %esp\n lret\n"
    ".code64\n");
extern u8 compat_pushes[];

CASE(pushes_of_32_bit_code)
{
	struct { u32 ip; u16 cs; } __attribute__((packed)) target = { (ulong)compat_pushes, SEL_KCODE32 };
	u32 end = 0;
	u64 at;

	set_up();
	at = table + 0x840;
	for (u32 i = 0x7f0 / 4; i < 0x850 / 4; i++)
		mem32(table)[i] = 0xabcd00a0;
	still_watched(7);
	asm volatile("lcall *%1" : "=a"(end) : "m"(target), "b"((u32)at), "c"(0x12340u) : "rdx", "memory", "cc");
	check_eq(end, at - 16);
	check_eq(mem32(at)[-1], 0x12340);
	check_eq(mem32(at)[-2], 0x60);
	check_eq(mem32(at)[-4] > (ulong)compat_pushes && mem32(at)[-4] < (ulong)compat_pushes + 32, 1);
	check_eq(mem32(at)[-5], 0xabcd00a0);
	check_eq(mem32(at)[0], 0xabcd00a0);
	still_watched(7);
}
#endif

/* ---- ends of the address space ---- */

static u64 low, page_0;

/* The table in the last page below 4 GiB, data in page 0. */
static void set_up_around_4_gib(void)
{
	set_up();
	map_page(0xfffff000, table, RW);
	page_0 = *entry(0, 1);
	low = new_frame();
	set_entry(entry(0, 1), low | RW);
	invlpg(0);
}

static void put_page_0_back(void)
{
	mem32(table)[1023] = 0;
	set_entry(entry(0, 1), page_0);
	invlpg(0);
}

#if PT_LEVELS == 2 || PT_LEVELS == 3
/* A store across 4 GiB goes on at 0. */
CASE(store_across_4_gib)
{
	set_up_around_4_gib();
	for (u32 i = 0; i < 2; i++) {
		mem32(table)[1023] = 0;
		mem32(low)[0] = 0xa1b2c3d4;
		asm volatile("movl %1, (%0)" : : "r"(0xfffffffe), "r"(0x11223340 + i) : "memory");
		check_eq(mem32(table)[1023], (0x3340u + i) << 16);
		check_eq(mem32(low)[0], 0xa1b21122);
		asm volatile("lock addl %1, (%0)" : : "r"(0xfffffffe), "r"(0x10000) : "memory");
		check_eq(mem32(low)[0], 0xa1b21123);
		still_watched(7);
	}
	mem32(table)[1023] = 0;
	set_entry(entry(0, 1), low | PTE_P); /* its second half may not be written */
	invlpg(0);
	check_fault(poke32(0xfffffffe, 5), PF(PF_P | PF_W, 0));
	check_eq(mem32(table)[1023], 0);
	set_entry(entry(0, 1), 0);
	invlpg(0);
	check_fault(poke32(0xfffffffe, 5), PF(PF_W, 0));
	check_fault(peek32(0xfffffffe, NULL), PF(0, 0));
	check_eq(mem32(table)[1023], 0);
	put_page_0_back();
}

/* The same for a string instruction on a port. */
CASE(ins_across_4_gib)
{
	ulong di = 0xfffffffe;

	set_up_around_4_gib();
	mem32(low)[0] = 0;
	asm volatile("insl" : "+D"(di) : "d"(0x80) : "memory");
	check_eq(di, 2);
	check_eq(mem32(table)[1023], 0xffff0000);
	check_eq(mem32(low)[0], 0xffff);
	put_page_0_back();
}
#else
asm(".code32\n"
    "compat_store: movl %ecx, (%ebx)\n lret\n"
    "compat_ins: insl\n lret\n"
    ".code64\n");
extern u8 compat_store[], compat_ins[];

/* CS.L, not EFER.LMA, says how wide an address is: 32-bit code under long mode goes on at 0, too. */
CASE(compat_across_4_gib)
{
	struct far_pointer { u32 ip; u16 cs; } __attribute__((packed)) to = { (ulong)compat_store, SEL_KCODE32 };
	ulong di = 0xfffffffe;

	set_up_around_4_gib();
	mem32(table)[1023] = 0;
	mem32(low)[0] = 0xa1b2c3d4;
	asm volatile("lcall *%0" : : "m"(to), "b"(0xfffffffe), "c"(0x11223344) : "memory");
	check_eq(mem32(table)[1023], 0x33440000);
	check_eq(mem32(low)[0], 0xa1b21122);
	still_watched(7);
	to.ip = (ulong)compat_ins;
	asm volatile("lcall *%1" : "+D"(di) : "m"(to), "d"(0x80) : "memory");
	check_eq(di, 2);
	check_eq(mem32(table)[1023], 0xffff0000);
	check_eq(mem32(low)[0], 0xa1b2ffff);
	put_page_0_back();
}
#endif
