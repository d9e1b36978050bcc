/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IDT, GDT, TSS and exception stack inside pages that are page tables in use:
 * what the processor reads and writes there by itself must get through, and be
 * seen as the change of the table that it is.  SDM vol. 3, 3.4.5.1, 6.12, 7.2.
 */
#include "test.h"

#define VECTOR 0x50
#define SECOND_VECTOR 0x51
#define GATES 128
#define NOWHERE (WINDOW + 0x3000) /* not mapped */
#define CR2_MARK 0x7654000
#define TOP_LEVEL (PT_LEVELS >= 4 ? 3 : 2) /* the highest table whose upper half is free */
#define UPPER_HALF 2048 /* its entries translate nothing that anybody uses */
#define DESCRIPTOR_A BIT(40)
#define DESCRIPTOR_S BIT(44) /* code or data */
#define TSS_BUSY BIT(41)
#define TSS_LIMIT 103
#define GDT_SIZE (GDT_ENTRIES * 8)

USER_CODE INSN(user_int, "int $0x50")
USER_CODE INSN(user_gp, "mov %0,%%cr2")
INSN(kernel_int, "int $0x50")
INSN(load_fs, "mov %w0,%%fs")
INSN(load_tr, "ltr %w0")

static u64 a, b;
static ulong frame_at; /* where the last handler found its frame */

static bool record_frame(struct regs *r)
{
	frame_at = (ulong)r;
	return hook_record(r);
}

static bool return_from_frame(struct regs *r)
{
	frame_at = (ulong)r;
	return hook_return(r);
}

static void set_user_gate(u64 base, u32 vec, u32 target)
{
	set_gate(mem8(base) + vec * GATE_SIZE, (ulong)vectors + target * 16, SEL_KCODE, 0xee, 0);
}

/* The table at this level is in use, and follows what is written into it. */
static void check_live(void)
{
	pte_t *e = entry(WINDOW, 1);

	check_eq(tag_at(WINDOW), 1);
	set_entry(e, b | RWU);
	invlpg(WINDOW);
	check_eq(tag_at(WINDOW), 2);
	set_entry(e, a | RWU);
	invlpg(WINDOW);
	check_fault(user_peek32(WINDOW, NULL), NO_FAULT);
	check_fault(peek32(NOWHERE, NULL), PF(0, NOWHERE));
	check_fault(user_poke32(NOWHERE, 0), PF(PF_U | PF_W, NOWHERE));
}

static u64 live_table(int level)
{
	a = tagged(1);
	b = tagged(2);
	map_page(WINDOW, a, RWU);
	check_eq(tag_at(WINDOW), 1);
	set_user_gate((ulong)idt, VECTOR, VECTOR);
	return (ulong)entry(WINDOW, level) & ~(PAGE_SIZE - 1);
}

static void put_idt(u64 base)
{
	memcpy(mem8(base), idt, GATES * GATE_SIZE);
	load_idt(base, GATES * GATE_SIZE - 1);
}

/* No segment of it has been loaded, as far as the accessed bits say. */
static void put_gdt(u64 base)
{
	for (u32 i = 0; i < GDT_ENTRIES; i++)
		mem64(base)[i] = gdt[i] & ~(gdt[i] & DESCRIPTOR_S ? DESCRIPTOR_A : 0);
	load_gdt(base, GDT_SIZE - 1);
}

static void put_tss(u64 base)
{
	memcpy(mem8(base), tss, TSS_LIMIT + 1);
	load_tss(base, TSS_LIMIT);
}

static void set_sp0(u64 in_tss, u64 sp)
{
	ulong v = sp;

	memcpy(mem8(in_tss + TSS_SP0), &v, sizeof(v));
}

static void check_frame(ulong stack_end)
{
	if (frame_at >= stack_end || frame_at < stack_end - PAGE_SIZE)
		fail("frame at %lx, stack ends at %lx", frame_at, stack_end);
}

/* INT n, #GP and #PF at CPL 3, as the frame tells them. */
static void check_user_events(void)
{
	write_cr2(CR2_MARK);
	hook(VECTOR, record_frame);
	check_fault(user_try(user_int, 0, 0, NULL), FAULT(VECTOR));
	check_eq(hook_regs.cs, SEL_UCODE);
	check_eq(hook_regs.ss, SEL_UDATA);
	check_eq(hook_regs.sp, user_stack - sizeof(ulong));
	hook(VEC_GP, record_frame);
	check_fault(user_try(user_gp, 0, 0, NULL), FAULT(VEC_GP));
	check_eq(hook_regs.err, 0);
	check_eq(hook_regs.ss, SEL_UDATA);
	check_eq(read_cr2(), CR2_MARK);
	hook(VEC_PF, record_frame);
	check_fault(user_poke32(NOWHERE, 0), PF(PF_U | PF_W, NOWHERE));
	check_eq(hook_regs.sp, user_stack - sizeof(ulong));
	hook(VEC_PF, NULL);
}

CASE(idt_in_a_table)
{
	for (int level = 1; level <= TOP_LEVEL; level++) {
		u64 base = live_table(level) + UPPER_HALF;

		put_idt(base);
		for (u32 i = 0; i < 3; i++) {
			check_live();
			check_user_events();
			set_user_gate(base, VECTOR, SECOND_VECTOR);
			check_fault(user_try(user_int, 0, 0, NULL), FAULT(SECOND_VECTOR));
			check_fault(try(kernel_int, 0, 0, NULL), FAULT(SECOND_VECTOR));
			set_user_gate(base, VECTOR, VECTOR);
			check_fault(try(kernel_int, 0, 0, NULL), FAULT(VECTOR));
		}
		cpu_reset();
	}
}

/* Accessed and busy bits, and nothing else, are written by the loads. */
CASE(gdt_in_a_table)
{
	for (int level = 1; level <= TOP_LEVEL; level++) {
		u64 base = live_table(level) + UPPER_HALF;

		put_gdt(base);
		for (u32 i = 0; i < 3; i++) {
			check_live();
			write_cr2(CR2_MARK);
			mem64(base)[SEL_UDATA / 8] &= ~DESCRIPTOR_A;
			check_fault(try(load_fs, SEL_UDATA, 0, NULL), NO_FAULT);
			check_eq(mem64(base)[SEL_UDATA / 8], gdt[SEL_UDATA / 8] | DESCRIPTOR_A);
			check_fault(try(load_fs, 0, 0, NULL), NO_FAULT);
			mem64(base)[SEL_TSS / 8] &= ~TSS_BUSY;
			check_fault(try(load_tr, SEL_TSS, 0, NULL), NO_FAULT);
			check_eq(mem64(base)[SEL_TSS / 8], gdt[SEL_TSS / 8] | TSS_BUSY);
			check_eq(read_cr2(), CR2_MARK);
			check_user_events();
		}
		for (u32 i = 0; i < GDT_ENTRIES; i++)
			if ((mem64(base)[i] ^ gdt[i]) & ~(gdt[i] & DESCRIPTOR_S ? DESCRIPTOR_A : 0))
				fail("descriptor %u is %llx, was %llx", i, mem64(base)[i], gdt[i]);
		cpu_reset();
	}
}

/* The same bits where an exception and IRET load CS and SS. */
CASE(accessed_by_delivery)
{
	static const u16 loaded[] = { SEL_KCODE, SEL_UCODE, SEL_UDATA };

	for (int level = 1; level <= TOP_LEVEL; level++) {
		u64 base = live_table(level) + UPPER_HALF;

		for (u32 i = 0; i < 3; i++) {
			put_gdt(base);
			check_live();
			put_gdt(base);
			check_user_events();
			for (u32 k = 0; k < ARRAY_SIZE(loaded); k++)
				check_eq(mem64(base)[loaded[k] / 8], gdt[loaded[k] / 8] | DESCRIPTOR_A);
		}
		cpu_reset();
	}
}

CASE(tss_in_a_table)
{
	for (int level = 1; level <= TOP_LEVEL; level++) {
		u64 base = live_table(level) + UPPER_HALF, other = new_frame() + PAGE_SIZE;

		put_tss(base);
		for (u32 i = 0; i < 3; i++) {
			check_live();
			set_sp0(base, other);
			check_user_events();
			check_frame(other);
			set_sp0(base, (ulong)trap_stack_top);
			check_user_events();
			check_frame((ulong)trap_stack_top);
		}
		cpu_reset();
	}
}

static u32 repairs;
static bool repair(struct regs *r)
{
	repairs++;
	set_entry(entry(NOWHERE, 1), a | RWU);
	return return_from_frame(r);
}

/* I07: each push is a write to the table, from the exception and from its handler; IRET reads it back. */
CASE(stack_in_a_table)
{
	for (int level = 1; level <= TOP_LEVEL; level++) {
		u64 end = live_table(level) + PAGE_SIZE;

		set_sp0((ulong)tss, end);
		for (u32 i = 0; i < 3; i++) {
			check_live();
			check_user_events();
			check_frame(end);
			hook(VEC_PF, repair);
			check_fault(user_peek32(NOWHERE, NULL), NO_FAULT); /* back through IRET, and again */
			check_frame(end);
			hook(VEC_PF, NULL);
			hook(VECTOR, return_from_frame);
			check_fault(try(on_stack, end - 16, (ulong)kernel_int, NULL), NO_FAULT);
			check_frame(end);
			set_entry(entry(NOWHERE, 1), 0);
			invlpg(NOWHERE);
		}
		check_eq(repairs, 3 * level);
		cpu_reset();
	}
	repairs = 0;
}

CASE(everything_in_tables)
{
	for (int level = 1; level <= TOP_LEVEL; level++) {
		u64 first = live_table(level) + UPPER_HALF, second = live_table(level % TOP_LEVEL + 1) + UPPER_HALF;

		put_idt(first); /* may fill what there is */
		put_tss(second + GDT_SIZE);
		put_gdt(second);
		set_sp0(second + GDT_SIZE, second + UPPER_HALF);
		for (u32 i = 0; i < 3; i++) {
			check_live();
			check_user_events();
			check_frame(second + UPPER_HALF);
			for (u32 k = 0; k < GDT_ENTRIES; k++)
				mem64(second)[k] &= ~(gdt[k] & DESCRIPTOR_S ? DESCRIPTOR_A : 0);
		}
		cpu_reset();
	}
}

/*
 * GDT and IDT entries on user pages under SMAP: implicit accesses, which EFLAGS.AC does not excuse
 * (SDM vol. 3, 4.6), at CPL 0 too, in event delivery too.
 */
CASE(structures_on_user_pages)
{
	ulong at = WINDOW + 0x8000, gate;
	u64 one, two;

	need_paging();
	if (!cpu.smap)
		skip("no SMAP");
	one = new_frame();
	two = new_frame();
	hook(VEC_PF, hook_record);
	gate = at + PAGE_SIZE + 0x10 * GATE_SIZE; /* of vector VECTOR, the first page ends below 0x40 */
	memcpy(mem8(one + PAGE_SIZE - 0x40 * GATE_SIZE), idt, 0x40 * GATE_SIZE);
	memcpy(mem8(two), idt + 0x40 * GATE_SIZE, 0x40 * GATE_SIZE);
	set_gate(mem8(two) + 0x10 * GATE_SIZE, (ulong)vectors + VECTOR * 16, SEL_KCODE, 0xee, 0);
	for (u32 ac = 0; ac < 2; ac++) {
		map_page(at, one, RW);
		map_page(at + PAGE_SIZE, two, RW);
		flush();
		load_idt(at + PAGE_SIZE - 0x40 * GATE_SIZE, 0x80 * GATE_SIZE - 1);
		check_fault(write_cr4(read_cr4() | CR4_SMAP), NO_FAULT);
		set_ac(ac);
		hook(VECTOR, hook_return);
		check_fault(try(kernel_int, 0, 0, NULL), NO_FAULT);
		for (u32 i = 0; i < 2; i++) {
			map_page(at + PAGE_SIZE, two, RWU);
			invlpg(at + PAGE_SIZE);
			check_fault(try(kernel_int, 0, 0, NULL), PF(PF_P, gate));
			check_fault(user_try(user_int, 0, 0, NULL), PF(PF_P, gate));
			set_entry(entry(at + PAGE_SIZE, 1), two | RW);
			check_fault(try(kernel_int, 0, 0, NULL), NO_FAULT);
		}
		hook(VECTOR, NULL);
		/* a segment load from a GDT whose second page is the user's */
		memcpy(mem8(one), gdt, GDT_SIZE);
		map_page(at + 0x4000, one, RW);
		put_descriptor(two + 8, true);
		map_page(at + 0x5000, two, RWU);
		invlpg(at + 0x5000);
		load_gdt(at + 0x4000, 2 * PAGE_SIZE - 1);
		check_fault(try(load_fs, PAGE_SIZE + 8, 0, NULL), PF(PF_P, at + 0x5008));
		check_fault(try(load_fs, SEL_KDATA, 0, NULL), NO_FAULT);
		map_page(at + 0x5000, two, RW);
		invlpg(at + 0x5000);
		check_fault(try(load_fs, PAGE_SIZE + 8, 0, NULL), NO_FAULT);
		set_ac(false);
		check_fault(write_cr4(read_cr4() & ~CR4_SMAP), NO_FAULT);
		cpu_reset();
		memset(mem8(one), 0, PAGE_SIZE);
		memcpy(mem8(one + PAGE_SIZE - 0x40 * GATE_SIZE), idt, 0x40 * GATE_SIZE);
	}
}
