/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One kernel through all paging modes: off, 2-level, PAE and (by way of
 * compatibility mode) 4- and 5-level, forth and back.  32-bit builds switch in C, with
 * their own exception handlers; the 64-bit build leaves long mode through a
 * small interpreter of accesses.  SDM vol. 3, 4.1 "Paging Modes and Control Bits".
 */
#include "test.h"

#define IMAGE_END (32 * MIB)
#define VA 0x40000000ull /* in every format */
#define VA_LONG 0x7f0000000000ull
#define VA_LA57 0x7f000000000000ull
#define OFF 0

/* ---- tables of a format chosen at run time: 2 to 5 levels ---------------- */

static u32 index_bits(int levels) { return levels == 2 ? 10 : 9; }

static u32 index_of(int levels, u64 va, int level)
{
	u32 i = va >> (12 + (level - 1) * index_bits(levels)) & ((1u << index_bits(levels)) - 1);

	return levels == 3 && level == 3 ? i & 3 : i;
}

static u64 get(int levels, u64 table, u32 i)
{
	return levels == 2 ? mem32(table)[i] : mem64(table)[i];
}

static void put(int levels, u64 table, u32 i, u64 e)
{
	if (levels == 2)
		mem32(table)[i] = e;
	else
		mem64(table)[i] = e;
}

static void put_at(int levels, u64 root, u64 va, int level, u64 e)
{
	u64 table = root;

	for (int l = levels; l > level; l--) {
		u32 i = index_of(levels, va, l);
		u64 up = get(levels, table, i);

		if (!(up & PTE_P)) {
			up = new_table() | (levels == 3 && l == 3 ? PTE_P : RWU);
			put(levels, table, i, up);
		}
		table = up & ~0xfffull;
	}
	put(levels, table, index_of(levels, va, level), e);
}

static u64 get_at(int levels, u64 root, u64 va, int level)
{
	u64 table = root;

	for (int l = levels; l > level; l--)
		table = get(levels, table, index_of(levels, va, l)) & ~0xfffull;
	return get(levels, table, index_of(levels, va, level));
}

/* A root with the kernel's memory mapped one to one, by 4 KiB pages. */
static u64 identity(int levels)
{
	u64 root = new_frame();

	for (u64 gpa = 0; gpa < IMAGE_END; gpa += PAGE_SIZE)
		put_at(levels, root, gpa, 1, gpa | PTE_P | PTE_W | PTE_A | PTE_D);
	return root;
}

static u64 new_value(u32 v)
{
	u64 f = new_frame();

	*mem32(f) = v;
	return f;
}

#ifndef __x86_64__

static ulong base_cr0, base_cr3, base_cr4;

static void paging_off(void)
{
	check_fault(write_cr0(base_cr0 & ~CR0_PG), NO_FAULT);
}

/* levels: OFF, 2 or 3; cr4: further bits. */
static void paging_on(int levels, u64 root, ulong cr4)
{
	if (!base_cr4)
		base_cr4 = default_cr4 & ~(CR4_PSE | CR4_PAE);
	base_cr0 = default_cr0 | CR0_WP;
	paging_off();
	check_fault(write_cr4(base_cr4 | cr4 | (levels == 3 ? CR4_PAE : 0)), NO_FAULT);
	check_fault(write_cr3(root), NO_FAULT);
	if (levels)
		check_fault(write_cr0(base_cr0 | CR0_PG), NO_FAULT);
}

/* Back to what this build is for, before the case ends. */
static void go_home(void)
{
	paging_off();
	write_cr4(default_cr4);
	write_cr3(base_cr3);
	write_cr0(default_cr0);
}

static void leave_home(void)
{
	base_cr3 = read_cr3();
	if (!cpu.pae)
		skip("no PAE");
}

static void check_content(u64 va, u32 want)
{
	u32 v = 0;

	check_fault(peek32(va, &v), NO_FAULT);
	check_eq(v, want);
}

CASE(round_trip)
{
	static const u8 path[] = { 2, 3, OFF, 2, OFF, 3, 2, 2, 3, 3, OFF };
	u64 root[4], frame[4];

	leave_home();
	for (int l = 2; l <= 3; l++) {
		root[l] = identity(l);
		frame[l] = new_value(0x1000 + l);
		put_at(l, root[l], VA, 1, frame[l] | RWU);
		put_at(l, root[l], VA + 0x1000, 1, frame[l] | PTE_P);
	}
	for (u32 i = 0; i < ARRAY_SIZE(path); i++) {
		int l = path[i];

		paging_on(l, l ? root[l] : 0, 0);
		if (!l) {
			check_content(frame[2], 0x1002);
			check_content(frame[3], 0x1003);
			check_fault(poke32(frame[2] + 8, i), NO_FAULT);
			continue;
		}
		check_content(VA, 0x1000 + l);
		check_content(VA + 0x1000, 0x1000 + l);
		check_fault(poke32(VA + 4, i), NO_FAULT);
		check_eq(mem32(frame[l])[1], i);
		check_fault(poke32(VA + 0x1004, i), PF(PF_P | PF_W, VA + 0x1004));
		check_fault(peek32(VA + 0x2000, NULL), PF(0, VA + 0x2000));
		check_eq(get_at(l, root[l], VA, 1), frame[l] | RWU | PTE_A | PTE_D);
		check_eq(get_at(l, root[l], VA + 0x1000, 1), frame[l] | PTE_P | PTE_A);
	}
	go_home();
}

/* One frame is a 2-level page table with every second entry absent, and a PAE page table. */
CASE(one_frame_two_formats)
{
	u64 r2, r3, t = new_table();

	leave_home();
	r2 = identity(2);
	r3 = identity(3);
	put(2, r2, index_of(2, VA, 2), t | RWU);
	put_at(3, r3, VA, 1, 0);
	put_at(3, r3, VA, 2, t | RWU);
	for (u32 i = 0; i < 8; i++)
		mem64(t)[i] = new_value(0x100 + i) | RWU;
	for (int round = 0; round < 3; round++) {
		paging_on(2, r2, 0);
		for (u32 i = 0; i < 8; i++) {
			check_content(VA + i * 0x2000, 0x100 + i);
			check_fault(peek32(VA + i * 0x2000 + 0x1000, NULL), PF(0, VA + i * 0x2000 + 0x1000));
		}
		paging_on(3, r3, 0);
		for (u32 i = 0; i < 8; i++)
			check_content(VA + i * 0x1000, 0x100 + i);
		check_fault(peek32(VA + 0x8000, NULL), PF(0, VA + 0x8000));
	}
	go_home();
}

/* The same frame is a last-level table in one format and a page directory in the other. */
CASE(one_frame_two_levels)
{
	u64 r2, r3, t = new_table(), inner = new_table(), page = new_value(0xfeed);

	leave_home();
	r2 = identity(2);
	r3 = identity(3);
	mem64(inner)[0] = page | RWU | PTE_A;
	mem64(t)[0] = inner | RWU | PTE_A;
	put(2, r2, index_of(2, VA, 2), t | RWU); /* t maps `inner` as a page */
	put(3, r3, index_of(3, VA, 3), t | PTE_P); /* t is the directory, `inner` the table */
	for (int round = 0; round < 3; round++) {
		u64 other = new_value(0xbeef + round);

		paging_on(2, r2, 0);
		check_content(VA, mem32(inner)[0]);
		check_fault(poke32(VA, (u32)other | RWU), NO_FAULT); /* data here, a table there */
		paging_on(3, r3, 0);
		check_content(VA, 0xbeef + round);
		check_fault(poke32(VA, 0xbee0), NO_FAULT);
		check_eq(*mem32(other), 0xbee0);
		check_eq(*mem32(inner), (u32)other | RWU | PTE_A | PTE_D);
	}
	go_home();
}

/* Tables that were in use are edited while paging is off. */
CASE(tables_edited_unpaged)
{
	leave_home();
	for (int l = 2; l <= 3; l++) {
		u64 root = identity(l), a = new_value(1), b = new_value(2), ro = new_value(3), table;

		put_at(l, root, VA, 1, a | RWU);
		put_at(l, root, VA + 0x1000, 1, ro | RWU);
		paging_on(l, root, 0);
		check_content(VA, 1);
		check_fault(poke32(VA + 0x1000, 3), NO_FAULT);
		paging_off();
		put_at(l, root, VA, 1, b | RWU);
		put_at(l, root, VA + 0x1000, 1, ro | PTE_P);
		put_at(l, root, VA + 0x2000, 1, a | RWU);
		check_fault(write_cr0(base_cr0 | CR0_PG), NO_FAULT); /* CR3 is what it was */
		check_content(VA, 2);
		check_fault(poke32(VA + 0x1000, 4), PF(PF_P | PF_W, VA + 0x1000));
		check_content(VA + 0x2000, 1);
		paging_off();
		table = new_table();
		put(l, table, index_of(l, VA, 1), a | RWU);
		put_at(l, root, VA, 2, table | RWU);
		check_fault(write_cr0(base_cr0 | CR0_PG), NO_FAULT);
		check_content(VA, 1);
		check_fault(peek32(VA + 0x2000, NULL), PF(0, VA + 0x2000));
	}
	go_home();
}

/* CR4.PSE decides what PS in a 2-level PDE means; PAE ignores it. */
CASE(large_pages_by_mode)
{
	u64 r2, r3, large = new_large(), table, small = new_value(0x5a);

	leave_home();
	if (!cpu.pse)
		skip("no PSE");
	r2 = identity(2);
	r3 = identity(3);
	*mem32(large + 0x3000) = 0x4b;
	table = new_large(); /* aligned, so that it is both a legal large frame and a table */
	memset(mem8(table), 0, PAGE_SIZE);
	*mem32(table + 0x3000) = 0x77;
	mem32(table)[3] = small | RWU;
	put(2, r2, index_of(2, VA, 2), table | RWU | PTE_PS);
	put_at(3, r3, VA, 2, large | RWU | PTE_PS);
	for (int round = 0; round < 2; round++) {
		paging_on(2, r2, CR4_PSE);
		check_content(VA + 0x3000, 0x77);
		paging_on(3, r3, round ? CR4_PSE : 0);
		check_content(VA + 0x3000, 0x4b);
		paging_on(2, r2, 0);
		check_content(VA + 0x3000, 0x5a);
		check_fault(peek32(VA + 0x2000, NULL), PF(0, VA + 0x2000));
	}
	go_home();
}

/* SMEP and SMAP mean nothing while paging is off, and everything once it is on. */
CASE(smep_smap_before_paging)
{
	ulong bits = (cpu.smep ? CR4_SMEP : 0) | (cpu.smap ? CR4_SMAP : 0);
	u64 page = new_value(0xc3);

	leave_home();
	if (!bits)
		skip("neither SMEP nor SMAP");
	for (int l = 2; l <= 3; l++) {
		u64 root = identity(l);

		put_at(l, root, VA, 1, page | RWU);
		paging_on(OFF, 0, bits);
		check_content(page, 0xc3);
		check_fault(fetch(page), NO_FAULT);
		paging_on(l, root, bits);
		if (cpu.smap)
			check_fault(peek32(VA, NULL), PF(PF_P, VA));
		if (cpu.smep)
			check_fault(fetch(VA), PF(PF_P | PF_I, VA));
		paging_off();
		check_content(page, 0xc3);
		check_fault(fetch(page), NO_FAULT);
	}
	go_home();
}

/* Unpaged: addresses are physical, also where there is no RAM. */
CASE(unpaged_holes)
{
	static const u32 hole[] = { 0xd0000000, 0xe8000000, 0xd0400ffc };
	u64 f = new_value(0xabcd), root;

	leave_home();
	root = identity(3);
	for (u32 i = 0; i < ARRAY_SIZE(hole); i++) {
		u32 off = 0, on = 1;

		paging_on(OFF, 0, 0);
		check_fault(poke32(hole[i], 0x12345678), NO_FAULT);
		check_fault(peek32(hole[i], &off), NO_FAULT);
		check(off != 0x12345678);
		check_content(f, 0xabcd);
		put_at(3, root, VA, 1, (hole[i] & ~0xfffu) | RWU);
		paging_on(3, root, 0);
		check_fault(peek32(VA | (hole[i] & 0xfff), &on), NO_FAULT);
		check_eq(on, off);
		check_fault(poke32(VA | (hole[i] & 0xfff), 1), NO_FAULT);
		check_content(f, 0xabcd);
	}
	go_home();
}

/* What flushes with paging off has nothing to flush. */
CASE(flushes_while_unpaged)
{
	u64 f = new_value(0xabcd), root;

	leave_home();
	root = identity(3);
	paging_on(OFF, 0, 0);
	for (u32 i = 0; i < 3; i++) {
		check_content(f, 0xabcd);
		invlpg(f);
		invlpg(0xd0000000);
		check_fault(write_cr3(i & 1 ? 0 : root), NO_FAULT);
		check_fault(write_cr4(read_cr4() ^ (cpu.pge ? CR4_PGE : 0)), NO_FAULT);
		check_fault(write_cr4(read_cr4() ^ (cpu.pge ? CR4_PGE : 0)), NO_FAULT);
		check_content(f, 0xabcd);
	}
	go_home();
}

#ifdef MODE_FLAT
CASE(unpaged_user)
{
	ulong bits = (cpu.smep ? CR4_SMEP : 0) | (cpu.smap ? CR4_SMAP : 0);
	u64 f = new_value(0xc3);
	u32 v = 0;

	check_fault(user_peek32(f, &v), NO_FAULT);
	check_eq(v, 0xc3);
	check_fault(user_fetch(f), NO_FAULT);
	check_fault(write_cr4(default_cr4 | bits), NO_FAULT);
	check_fault(user_poke32(f, 0xc3), NO_FAULT);
	check_fault(user_fetch(f), NO_FAULT);
	check_fault(fetch(f), NO_FAULT);
	check_fault(write_cr0(read_cr0() | CR0_WP), NO_FAULT);
	check_fault(user_poke32(f, 7), NO_FAULT);
	check_eq(*mem32(f), 7);
}
#endif

/*
 * Into long mode: compatibility code sees 32-bit addresses, 64-bit code all.  No exception can be
 * taken there (the IDT is a 32-bit one): only hidden faults may happen.
 */
extern u32 long_excursion(u32 low, u32 high_lo, u32 high_hi); /* reads both; 0 unless both have the same value */
asm(".text\n"
    "long_excursion:\n"
    "	push %ebx\n push %esi\n"
    "	mov (%eax),%ebx\n" /* compatibility mode */
    "	addl $1,(%eax)\n"
    "	ljmp $0x28,$1f\n"
    "	.code64\n"
    "1:	shl $32,%rcx\n mov %edx,%edx\n or %rdx,%rcx\n"
    "	mov (%rcx),%esi\n"
    "	addl $2,(%rcx)\n"
    "	ljmp *2f(%rip)\n"
    "2:	.long 3f\n .word 8\n"
    "	.code32\n"
    "3:	xor %eax,%eax\n"
    "	cmp %ebx,%esi\n jne 4f\n mov %ebx,%eax\n"
    "4:	pop %esi\n pop %ebx\n ret\n");

static u32 in_long_mode(u64 root, u32 low, u64 high, ulong la57)
{
	u32 v;

	paging_off();
	check_fault(write_cr4((default_cr4 & ~CR4_PSE) | CR4_PAE | la57), NO_FAULT);
	write_efer(read_efer() | EFER_LME);
	write_cr3(root);
	check_fault(write_cr0(base_cr0 | CR0_PG), NO_FAULT);
	v = long_excursion(low, (u32)high, high >> 32);
	asm volatile("mov %0,%%cr0" : : "r"((ulong)(base_cr0 & ~CR0_PG)) : "memory");
	check_eq(read_efer() & (EFER_LME | EFER_LMA), EFER_LME);
	write_efer(read_efer() & ~EFER_LME);
	return v;
}

CASE(long_mode_and_back)
{
	u64 r4, r3, r2, a = new_value(0x600), b = new_value(0x600);
	u32 r[4];

	leave_home();
	cpuid(0x80000001, 0, r);
	if (!(r[3] >> 29 & 1))
		skip("no long mode");
	r4 = identity(4);
	r3 = identity(3);
	r2 = identity(2);
	put_at(4, r4, VA, 1, a | RWU);
	put_at(4, r4, VA_LONG, 1, b | RWU);
	put_at(3, r3, VA, 1, a | RWU);
	put_at(2, r2, VA, 1, b | RWU);
	for (u32 i = 0; i < 3; i++) {
		*mem32(a) = *mem32(b) = 0x600 + i;
		paging_on(2, r2, 0);
		check_content(VA, 0x600 + i);
		check_eq(in_long_mode(r4, VA, VA_LONG, 0), 0x600 + i);
		paging_on(3, r3, 0);
		check_content(VA, 0x601 + i);
		check_eq(*mem32(b), 0x602 + i);
		put_at(4, r4, VA_LONG, 1, (i & 1 ? b : a) | RWU); /* edited while another format is in use */
		*mem32(a) = 0x700;
		if (i & 1)
			continue;
		put_at(4, r4, VA_LONG + 0x1000, 1, b | RWU);
		*mem32(b) = 0x700;
		check_eq(in_long_mode(r4, VA, VA_LONG + 0x1000, 0), 0x700);
		put_at(4, r4, VA_LONG, 1, b | RWU);
	}
	check_eq(get_at(4, r4, VA, 1), a | RWU | PTE_A | PTE_D);
	go_home();
}

/* One frame is the root of 4 levels and a table of 5; outside long mode CR4.LA57 means nothing. */
CASE(four_levels_and_five)
{
	u64 r5, r4, r3, a = new_value(0), b = new_value(0), c = new_value(0);

	leave_home();
	if (!cpu.la57)
		skip("no LA57");
	r4 = identity(4);
	r3 = identity(3);
	r5 = new_table();
	put(5, r5, 0, r4 | RWU);
	put_at(4, r4, VA, 1, a | RWU);
	put_at(5, r5, VA_LA57, 1, b | RWU);
	put_at(3, r3, VA, 1, c | RWU);
	for (u32 i = 0; i < 3; i++) {
		*mem32(a) = *mem32(b) = *mem32(c) = 0x100 + i;
		put_at(4, r4, VA_LONG, 1, b | RWU); /* used by both */
		check_eq(in_long_mode(r4, VA, VA_LONG, 0), 0x100 + i);
		*mem32(a) = *mem32(b) = 0x200 + i;
		check_eq(in_long_mode(r5, VA, VA_LA57, CR4_LA57), 0x200 + i);
		*mem32(a) = 0x100 + i;
		put_at(4, r4, VA_LONG, 1, c | RWU);
		check_eq(in_long_mode(r5, VA, VA_LONG, CR4_LA57), 0x100 + i);
		*mem32(a) = *mem32(c);
		check_eq(in_long_mode(r4, VA, VA_LONG, 0), 0x102 + i);
		paging_on(3, r3, CR4_LA57);
		check_content(VA, 0x104 + i);
		check_fault(poke32(VA + 4, i), NO_FAULT);
		check_fault(write_cr4(read_cr4() & ~CR4_LA57), NO_FAULT);
		check_content(VA + 4, i);
	}
	check_eq(get(5, r5, 0), r4 | RWU | PTE_A);
	go_home();
}

#else /* ---- the 64-bit build leaves long mode ---------------------------------- */

/* What the 32-bit side does one after the other; a fault's CR2 and error code take the place of the value. */
struct step {
	u32 op, addr, value, err, cr2;
};
enum { STEP_READ, STEP_WRITE, STEP_END };

struct excursion { /* offsets are in the assembly */
	u32 cr0, cr3, cr4, efer_lo, steps;
} excursion;
extern void leave_long_mode(void);
u32 long_cr0, long_cr3, long_cr4, long_efer;
u64 long_rsp;
struct table_ptr32 {
	u16 limit;
	u32 base;
} __attribute__((packed)) idt32_ptr;
struct table_ptr long_idt;
static u64 idt32[32] __attribute__((aligned(4096)));
extern u8 excursion_fault[];

asm(".text\n"
    "	.globl leave_long_mode\n"
    "leave_long_mode:\n"
    "	push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "	sidt long_idt\n"
    "	mov %rsp,long_rsp\n"
    "	mov %cr0,%rax\n mov %eax,long_cr0\n mov %cr3,%rax\n mov %eax,long_cr3\n mov %cr4,%rax\n mov %eax,long_cr4\n"
    "	mov $0xc0000080,%ecx\n rdmsr\n mov %eax,long_efer\n"
    "	ljmp *1f(%rip)\n"
    "1:	.long 2f\n .word 8\n"
    "	.code32\n"
    "2:	mov %cr0,%eax\n and $0x7fffffff,%eax\n mov %eax,%cr0\n" /* compatibility mode -> legacy, unpaged */
    "	mov $0xc0000080,%ecx\n mov excursion+12,%eax\n xor %edx,%edx\n wrmsr\n"
    "	mov excursion+8,%eax\n mov %eax,%cr4\n"
    "	mov excursion+4,%eax\n mov %eax,%cr3\n"
    "	lidtl idt32_ptr\n"
    "	mov excursion,%eax\n mov %eax,%cr0\n"
    "	mov excursion+16,%ebx\n"
    "3:	mov 4(%ebx),%esi\n"
    "	cmpl $0,(%ebx)\n je 4f\n cmpl $1,(%ebx)\n je 5f\n jmp 8f\n"
    "4:	mov (%esi),%eax\n mov %eax,8(%ebx)\n jmp 6f\n"
    "5:	mov 8(%ebx),%eax\n mov %eax,(%esi)\n"
    "6:	add $20,%ebx\n jmp 3b\n"
    "	.globl excursion_fault\n"
    "excursion_fault:\n" /* #PF: error code, EIP, CS, EFLAGS on the stack */
    "	pop %eax\n or $0x80000000,%eax\n mov %eax,12(%ebx)\n"
    "	mov %cr2,%eax\n mov %eax,16(%ebx)\n"
    "	add $12,%esp\n jmp 6b\n"
    "8:	mov %cr0,%eax\n and $0x7fffffff,%eax\n mov %eax,%cr0\n"
    "	mov long_cr4,%eax\n mov %eax,%cr4\n"
    "	mov $0xc0000080,%ecx\n mov long_efer,%eax\n and $0xfffffbff,%eax\n xor %edx,%edx\n wrmsr\n"
    "	mov long_cr3,%eax\n mov %eax,%cr3\n"
    "	mov long_cr0,%eax\n mov %eax,%cr0\n"
    "	ljmp $0x28,$9f\n"
    "	.code64\n"
    "9:	mov long_rsp,%rsp\n"
    "	lidt long_idt\n"
    "	pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
    "	ret\n");

/* levels: OFF, 2 or 3.  Steps end with STEP_END. */
static void legacy(int levels, u64 root, struct step *steps)
{
	u32 pf = (ulong)excursion_fault;

	idt32[VEC_PF] = (u64)(pf >> 16) << 48 | 0x8e00ull << 32 | SEL_KCODE32 << 16 | (pf & 0xffff);
	idt32_ptr = (struct table_ptr32){ sizeof(idt32) - 1, (ulong)idt32 };
	excursion = (struct excursion){
		.cr0 = (read_cr0() & ~CR0_PG) | (levels ? CR0_PG : 0),
		.cr3 = root,
		.cr4 = (read_cr4() & ~(CR4_PAE | CR4_PSE)) | (levels == 3 ? CR4_PAE : 0),
		.efer_lo = default_efer & ~(EFER_LME | EFER_LMA),
		.steps = (ulong)steps,
	};
	leave_long_mode();
}

static void check_step(struct step *s, u32 value, u32 err, u32 cr2)
{
	check_eq(s->err, err);
	check_eq(s->cr2, cr2);
	if (!err)
		check_eq(s->value, value);
}

#define FAULTED 0x80000000

CASE(leave_long_mode_and_back)
{
	static const u8 path[] = { 2, 3, OFF, 3, 2, OFF };
	static struct step steps[4];
	u64 root[4] = { 0 }, frame[4], own = new_value(0x64);
	u32 v = 0;

	for (int l = 2; l <= 3; l++) {
		root[l] = identity(l);
		frame[l] = new_value(0x1000 + l);
		put_at(l, root[l], VA, 1, frame[l] | RWU);
	}
	map_page(WINDOW, own, RWU);
	for (u32 i = 0; i < ARRAY_SIZE(path); i++) {
		int l = path[i];
		u32 at = l ? VA : frame[2];

		check_fault(peek32(WINDOW, &v), NO_FAULT);
		check_eq(v, 0x64);
		steps[0] = (struct step){ .op = STEP_READ, .addr = at };
		steps[1] = (struct step){ .op = STEP_WRITE, .addr = at + 4, .value = i };
		steps[2] = (struct step){ .op = STEP_READ, .addr = l ? VA + 0x1000 : frame[3] };
		steps[3] = (struct step){ .op = STEP_END };
		legacy(l, root[l], steps);
		check_step(&steps[0], 0x1000 + (l ? l : 2), 0, 0);
		check_step(&steps[1], i, 0, 0);
		check_step(&steps[2], 0x1003, l ? FAULTED : 0, l ? VA + 0x1000 : 0);
		check_eq(mem32(frame[l ? l : 2])[1], i);
		if (l)
			check_eq(get_at(l, root[l], VA, 1), frame[l] | RWU | PTE_A | PTE_D);
		check_eq(read_efer(), default_efer);
		check_eq(read_cr0(), default_cr0);
		check_eq(read_cr4(), default_cr4);
	}
}

/* The long-mode tables change while the processor is elsewhere, and a frame serves two formats. */
CASE(edited_from_other_modes)
{
	static struct step steps[4];
	u64 a = new_value(0xa), b = new_value(0xb), root = identity(3), t = new_table();
	pte_t *e = map_page(WINDOW, a, RWU);
	u32 v = 0;

	for (u32 i = 0; i < 8; i++)
		mem64(t)[i] = (i & 1 ? b : a) | RWU;
	make_entry(WINDOW + LARGE_SIZE, 2);
	link_table(current_root(), WINDOW + LARGE_SIZE, 2, t);
	put_at(3, root, VA, 2, t | RWU);
	for (int l = OFF; l <= 3; l += 3) {
		check_fault(peek32(WINDOW, &v), NO_FAULT);
		check_eq(v, 0xa);
		check_fault(peek32(WINDOW + LARGE_SIZE + 0x1000, &v), NO_FAULT);
		check_eq(v, 0xb);
		steps[0] = (struct step){ .op = STEP_WRITE, .addr = (ulong)e, .value = b | RWU };
		steps[1] = (struct step){ .op = STEP_WRITE, .addr = t + 8, .value = a | RWU };
		steps[2] = (struct step){ .op = STEP_READ, .addr = l ? VA + 0x2000 : a };
		steps[3] = (struct step){ .op = STEP_END };
		legacy(l, root, steps);
		check_step(&steps[2], 0xa, 0, 0);
		check_fault(peek32(WINDOW, &v), NO_FAULT);
		check_eq(v, 0xb);
		check_fault(peek32(WINDOW + LARGE_SIZE + 0x1000, &v), NO_FAULT);
		check_eq(v, 0xa);
		set_entry(e, a | RWU);
		mem64(t)[1] = b | RWU;
		flush();
	}
}

#endif
