/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine in the guest's hands: interrupts of the PIT through the PIC, with
 * STI, HLT, CPL 3, and deliveries through pages that nothing has mapped yet.
 * Alone on a machine, or under umbra with devices=pass.  SDM vol. 3, 6.8 and
 * 6.12; the 8259's and 8254's data sheets.  devices-mmio.c has the local APIC.
 */
#include "test.h"

#define IRQ_VECTOR 0x40 /* and the next 15 */
#define PIC1 0x20
#define PIC2 0xa0
#define PIC_EOI 0x20
#define PIC_READ_IRR 0x0a
#define PIC_READ_ISR 0x0b
#define PIT_COMMAND 0x43
#define PIT_CH0 0x40
#define PIT_ONCE 0x30 /* channel 0, both bytes, mode 0: the line goes up at 0 and stays */
#define PIT_RATE 0x34 /* mode 2: again and again */
#define SHORT 60 /* ticks of 0.84 us */
#define CR2_MARK 0x7654000
#define PATIENCE 50000000

static u64 next_va;
static volatile u32 ticks; /* interrupts that came and were acknowledged */

static bool pic_tick(struct regs *r)
{
	hook_record(r);
	ticks++;
	outb(PIC1, PIC_EOI);
	return true;
}

static bool spurious(struct regs *r)
{
	(void)r;
	return true;
}

static void pit(u8 mode, u16 count)
{
	outb(PIT_COMMAND, mode);
	outb(PIT_CH0, count);
	outb(PIT_CH0, count >> 8);
}

static void pic_mask(u8 mask)
{
	outb(PIC1 + 1, mask);
}

/* Vectors out of the way of exceptions, all masked, nothing in service. */
static void pic_init(u8 base)
{
	outb(PIC1, 0x11);
	outb(PIC1 + 1, base);
	outb(PIC1 + 1, 4);
	outb(PIC1 + 1, 1);
	outb(PIC2, 0x11);
	outb(PIC2 + 1, base + 8);
	outb(PIC2 + 1, 2);
	outb(PIC2 + 1, 1);
	pic_mask(0xff);
	outb(PIC2 + 1, 0xff);
	outb(PIC1, PIC_EOI);
}

/* IRQ 0 alone, from a PIT that is quiet until it is set going. */
static void need_pit(void)
{
	need_devices();
	next_va = WINDOW;
	ticks = 0;
	pic_init(IRQ_VECTOR);
	pit(PIT_ONCE, 0xffff);
	pic_init(IRQ_VECTOR); /* an edge that came before */
	hook(IRQ_VECTOR, pic_tick);
	hook(IRQ_VECTOR + 7, spurious);
	pic_mask(0xfe);
}

static void sti_hlt(void)
{
	asm volatile("sti; hlt; cli" ::: "memory");
}

/* Until n have come; interrupts are on meanwhile. */
static bool wait_for(u32 n)
{
	u32 i;

	asm volatile("sti");
	for (i = 0; ticks < n && i < PATIENCE; i++)
		asm volatile("" ::: "memory");
	asm volatile("cli");
	return check_true(ticks >= n, "the interrupt comes", __FILE__, __LINE__);
}

/* A second address for what lies at gpa, never used before. */
static u64 fresh(u64 gpa)
{
	u64 va = next_va;

	if (!PT_LEVELS)
		return gpa;
	map_page(va, gpa, RW);
	next_va += 2 * PAGE_SIZE;
	return va + (gpa & 0xfff);
}

/* All that delivery reads or writes lies in such places. */
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

static void check_frame(void)
{
	check(hook_regs.flags & EFLAGS_IF);
	check_eq(hook_regs.flags & EFLAGS_TF, 0);
	check_eq(hook_regs.cs, SEL_KCODE);
}

CASE(pit_once)
{
	need_pit();
	for (u32 i = 1; i <= 4; i++) {
		pit(PIT_ONCE, SHORT);
		if (!wait_for(i))
			break;
		check_frame();
	}
	for (u32 i = 0; i < 3; i++) { /* and no more */
		asm volatile("sti; nop; nop; cli");
		check_eq(ticks, 4);
	}
	pic_mask(0xff);
}

extern u8 behind_hlt[];
extern void hlt_once(void);
asm(".text\n hlt_once: sti\n hlt\n behind_hlt: cli\n ret\n");

CASE(hlt_waits)
{
	need_pit();
	for (u32 i = 1; i <= 8; i++) {
		pit(PIT_ONCE, i * 500);
		hlt_once();
		check_eq(ticks, i);
		check_eq(hook_regs.ip, (ulong)behind_hlt);
		check_frame();
	}
	pic_mask(0xff);
}

CASE(hlt_goes_on_at_once_when_one_waits)
{
	need_pit();
	for (u32 i = 1; i <= 4; i++) {
		pit(PIT_ONCE, SHORT);
		do
			outb(PIC1, PIC_READ_IRR);
		while (!(inb(PIC1) & 1));
		check_eq(ticks, i - 1); /* IF is 0 */
		hlt_once();
		check_eq(ticks, i);
		check(hook_regs.ip == (ulong)behind_hlt);
	}
	pic_mask(0xff);
}

CASE(periodic)
{
	need_pit();
	pit(PIT_RATE, 2000);
	while (ticks < 20) /* on a slow machine two may come at once */
		sti_hlt();
	wait_for(40);
	pic_mask(0xff);
}

CASE(masked_at_the_pic)
{
	u32 i = 0;

	need_pit();
	pic_mask(0xff);
	pit(PIT_ONCE, SHORT);
	asm volatile("sti");
	do
		outb(PIC1, PIC_READ_IRR);
	while (!(inb(PIC1) & 1) && ++i < PATIENCE);
	asm volatile("cli");
	check_eq(ticks, 0);
	check(i < PATIENCE);
	pic_mask(0xfe);
	wait_for(1);
	outb(PIC1, PIC_READ_ISR);
	check_eq(inb(PIC1) & 1, 0); /* the handler's EOI went to the chip */
	pic_mask(0xff);
}

USER_CODE static ulong user_spin(ulong n, ulong b)
{
	asm volatile("1: cmpl $0, (%1); jne 2f; dec %0; jnz 1b; 2:" : "+r"(n) : "r"(b) : "memory");
	return n;
}

static bool user_tick(struct regs *r)
{
	*(volatile u32 *)user_data = 1;
	return pic_tick(r);
}

/* Stack switch through a fresh TSS and stack. */
CASE(from_user_mode)
{
	ulong left;

	need_pit();
	hook(IRQ_VECTOR, user_tick);
	for (u32 i = 1; i <= 4; i++) {
		all_fresh();
		*(volatile u32 *)user_data = 0;
		user_flags |= EFLAGS_IF;
		pit(PIT_ONCE, 4 * SHORT);
		check_fault(user_try(user_spin, PATIENCE, (ulong)user_data, &left), NO_FAULT);
		check_eq(ticks, i);
		check(left > 0);
		check_eq(hook_regs.cs, SEL_UCODE);
		check_eq(hook_regs.ss, SEL_UDATA);
		check_eq(read_cr2(), CR2_MARK);
	}
	pic_mask(0xff);
}

/* IDT, GDT and TSS unseen by any shadow: each delivery faults once or more, and none of it shows. */
CASE(delivery_through_fresh_pages)
{
	need_pit();
	for (u32 i = 1; i <= 8; i++) {
		all_fresh();
		pit(PIT_ONCE, SHORT);
		sti_hlt();
		check_eq(ticks, i);
		check_eq(read_cr2(), CR2_MARK);
		check_frame();
	}
	pic_mask(0xff);
}

/* The same while instructions run, with vectors that no HLT has seen. */
CASE(delivery_between_instructions)
{
	need_pit();
	for (u32 i = 1; i <= 8; i++) {
		pic_init(IRQ_VECTOR + 16 * (i & 3));
		hook(IRQ_VECTOR + 16 * (i & 3), pic_tick);
		all_fresh();
		pit(PIT_ONCE, SHORT);
		pic_mask(0xfe);
		if (!wait_for(i))
			break;
		check_eq(ticks, i);
		check_eq(exception_count[IRQ_VECTOR + 16 * (i & 3)], (i + 3) / 4);
		check_eq(read_cr2(), CR2_MARK);
		check_frame();
	}
	pic_mask(0xff);
}

static ulong pit_and_hlt(ulong a, ulong b)
{
	(void)b;
	pit(PIT_ONCE, SHORT);
	sti_hlt();
	return a;
}

/* The frame goes across two pages of a stack that nothing has touched. */
CASE(delivery_to_a_fresh_stack)
{
	need_paging();
	need_pit();
	for (u32 i = 1; i <= 4; i++) {
		u64 low = next_va;

		map_page(low, new_frame(), RW);
		map_page(low + PAGE_SIZE, new_frame(), RW);
		next_va += 3 * PAGE_SIZE;
		write_cr2(CR2_MARK);
		check_fault(try(on_stack, low + PAGE_SIZE + 0x20 + 8 * i, (ulong)pit_and_hlt, NULL), NO_FAULT);
		check_eq(ticks, i);
		check_eq(read_cr2(), CR2_MARK);
		check(*entry(low, 1) & PTE_D);
	}
	pic_mask(0xff);
}

/* A new CR3 before each one: a shadow that starts from nothing. */
CASE(delivery_after_new_cr3)
{
	u64 roots[2];

	need_paging();
	need_pit();
	roots[0] = current_root();
	roots[1] = new_space();
	for (u32 i = 1; i <= 10; i++) {
		pit(PIT_ONCE, SHORT);
		do
			outb(PIC1, PIC_READ_IRR);
		while (!(inb(PIC1) & 1));
		write_cr2(CR2_MARK);
		use_space(roots[i & 1]);
		sti_hlt();
		check_eq(ticks, i);
		check_eq(read_cr2(), CR2_MARK);
	}
	pic_mask(0xff);
}

/* The IDT's page moves while interrupts come: its entry is edited, each copy has another handler. */
CASE(idt_moves_under_interrupts)
{
	u64 copies[2];
	pte_t *e;

	need_paging();
	need_pit();
	for (u32 i = 0; i < 2; i++) {
		copies[i] = new_frame();
		memcpy(mem8(copies[i]), idt, 256 * GATE_SIZE);
		set_gate(mem8(copies[i]) + IRQ_VECTOR * GATE_SIZE, (ulong)vectors + (IRQ_VECTOR + 0x20 + i) * 16, SEL_KCODE, 0x8e, 0);
		hook(IRQ_VECTOR + 0x20 + i, pic_tick);
	}
	e = map_page(WINDOW, copies[0], RW);
	load_idt(WINDOW, 256 * GATE_SIZE - 1);
	for (u32 i = 1; i <= 20; i++) {
		set_entry(e, copies[i & 1] | RW);
		invlpg(WINDOW);
		pit(PIT_ONCE, SHORT);
		sti_hlt();
		check_eq(ticks, i);
		check_eq(exception_count[IRQ_VECTOR + 0x20 + (i & 1)], (i + 1) / 2);
	}
	pic_mask(0xff);
}

/*
 * CR0.WP=0, and a write to a table in use through a read-only user page by an
 * instruction that few emulators know: a hypervisor must single-step it.  No
 * interrupt comes with the borrowed TF, no trap is left over.
 */
CASE(interrupts_beside_table_writes)
{
	u64 a = tagged(1), b = tagged(2), other = WINDOW + 16 * PAGE_SIZE;
	u32 steps, wrong = 0;
	pte_t *e;

	need_paging();
	need_pit();
	map_page(WINDOW, a, RW);
	e = entry(WINDOW, 1);
	check_eq(tag_at(WINDOW), 1);
	map_page(other, (ulong)e & ~(PAGE_SIZE - 1), PTE_P | PTE_U);
	other += PTE_SIZE * 7;
	write_cr0(default_cr0 & ~CR0_WP);
	if (cpu.smap) { /* such a page cannot be lent for longer than one instruction */
		write_cr4(default_cr4 | CR4_SMAP);
		write_flags(read_flags() | EFLAGS_AC);
	}
	pit(PIT_RATE, 400);
	for (steps = 0; ticks < 20 && steps < PATIENCE; steps++) {
		u64 to = steps & 1 ? a : b;

		set_entry(e, to | RW);
		asm volatile("sti; nop; rolb $4, (%0); nop; nop; cli" : : "r"((ulong)other) : "memory", "cc");
		asm volatile("sti; rorb $4, (%0); nop; nop; cli" : : "r"((ulong)other) : "memory", "cc");
		invlpg(WINDOW);
		wrong += *mem32(WINDOW + TAG_AT) != (steps & 1 ? 1 : 2);
		wrong += (hook_regs.flags & EFLAGS_TF) != 0;
	}
	write_flags(read_flags() & ~EFLAGS_AC);
	pic_mask(0xff);
	check_eq(wrong, 0);
	check_eq(exception_count[VEC_DB], 0);
	check(ticks >= 20);
	verbose("%u steps", steps);
}

/* An interrupt on its way and the guest's own page fault: both are served, in whatever order. */
CASE(interrupts_beside_page_faults)
{
	struct fault f;

	need_paging();
	need_pit();
	pit(PIT_RATE, 300);
	for (u32 i = 0; ticks < 20 && i < PATIENCE; i++) {
		asm volatile("sti");
		f = poke32(WINDOW + (u64)(i & 63) * PAGE_SIZE, 1);
		asm volatile("cli");
		if (!check_fault(f, PF(PF_W, WINDOW + (u64)(i & 63) * PAGE_SIZE)))
			break;
	}
	pic_mask(0xff);
	check(ticks >= 20);
}
