/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is a device: the page of the local APIC, mapped small and large,
 * with all rights, through tables that are edited live, and the timer's
 * interrupts acknowledged there.  Alone on a machine, or under umbra with
 * devices=pass.  SDM vol. 3, 10.4 and 10.5.4, 4.6, 4.9.
 */
#include "test.h"

#define MSR_APIC_BASE 0x1b
#define APIC_BASE_EXTD BIT(10)
#define APIC_BASE_EN BIT(11)
#define VERSION 0x30
#define TPR 0x80
#define EOI 0xb0
#define SVR 0xf0
#define SVR_EN 0x100
#define LVT_TIMER 0x320
#define LVT_PERIODIC BIT(17)
#define LVT_MASKED BIT(16)
#define INITIAL 0x380
#define CURRENT 0x390
#define DIVIDE 0x3e0
#define BY_1 0xb
#define BY_2 0
#define BY_4 1
#define BY_16 3

#define VECTOR 0x90
#define SPURIOUS_VECTOR 0x9f
#define CR2_MARK 0x7654000
#define PATIENCE 50000000
#define MMIO (PTE_P | PTE_W | PTE_PCD | PTE_PWT)

static u64 apic; /* gpa */
static u64 at; /* where the case has it mapped */
static u64 eoi_at; /* ... and the handler */
static u64 next_va;
static volatile u32 ticks;
static u32 saved_svr;

static u32 get(u32 reg) { return *mem32(at + reg); }
static void put(u32 reg, u32 value) { *mem32(at + reg) = value; }

static bool timer_tick(struct regs *r)
{
	hook_record(r);
	ticks++;
	*mem32(eoi_at + EOI) = 0;
	return true;
}

static bool spurious(struct regs *r)
{
	(void)r;
	return true;
}

static u64 fresh(u64 gpa, u64 flags)
{
	u64 va = next_va;

	if (!PT_LEVELS)
		return gpa;
	map_page(va, gpa & ~(PAGE_SIZE - 1), flags);
	next_va += 2 * PAGE_SIZE;
	return va + (gpa & 0xfff);
}

static void need_apic(void)
{
	u32 r[4];
	u64 base;

	need_devices();
	cpuid(1, 0, r);
	if (!(r[3] & BIT(9)))
		skip("no local APIC");
	rdmsr(MSR_APIC_BASE, &base);
	if ((base & (APIC_BASE_EN | APIC_BASE_EXTD)) != APIC_BASE_EN)
		skip("the local APIC has no page");
	apic = base & 0xffffff000;
	next_va = WINDOW + LARGE_SIZE;
	if (PT_LEVELS)
		map_page(WINDOW, apic, MMIO);
	at = eoi_at = PT_LEVELS ? WINDOW : apic;
	ticks = 0;
}

static void need_timer(void)
{
	need_apic();
	hook(VECTOR, timer_tick);
	hook(SPURIOUS_VECTOR, spurious);
	saved_svr = get(SVR);
	put(SVR, SVR_EN | SPURIOUS_VECTOR);
	put(TPR, 0);
	put(DIVIDE, BY_1);
}

static void timer_off(void)
{
	at = PT_LEVELS ? fresh(apic, MMIO) : apic;
	put(LVT_TIMER, LVT_MASKED);
	put(INITIAL, 0);
	asm volatile("sti; nop; nop; cli"); /* one may be on its way */
	put(SVR, saved_svr);
}

static void timer(u32 mode, u32 count)
{
	put(LVT_TIMER, mode | VECTOR);
	put(INITIAL, count);
}

static bool wait_for(u32 n)
{
	asm volatile("sti");
	for (u32 i = 0; ticks < n && i < PATIENCE; i++)
		asm volatile("" ::: "memory");
	asm volatile("cli");
	return check_true(ticks >= n, "the interrupt comes", __FILE__, __LINE__);
}

static void sti_hlt(void)
{
	asm volatile("sti; hlt; cli" ::: "memory");
}

/* Every access reaches the device: the count goes down, what cannot be written stays. */
CASE(registers)
{
	u32 version, first;

	need_timer();
	version = get(VERSION);
	check((version & 0xff) >= 0x10 && (version & 0xff) <= 0x15);
	put(VERSION, ~version);
	check_eq(get(VERSION), version);
	put(LVT_TIMER, LVT_MASKED);
	put(DIVIDE, BY_16);
	check_eq(get(DIVIDE), BY_16);
	put(INITIAL, ~0u);
	first = get(CURRENT);
	for (u32 i = 0; get(CURRENT) == first && i < PATIENCE; i++)
		;
	check(get(CURRENT) < first);
	timer_off();
}

CASE(timer_interrupts)
{
	need_timer();
	for (u32 i = 1; i <= 6; i++) {
		timer(0, 3000 * i);
		if (i & 1)
			sti_hlt();
		else if (!wait_for(i))
			break;
		check_eq(ticks, i);
	}
	timer(LVT_PERIODIC, 50000);
	while (ticks < 20)
		sti_hlt();
	wait_for(30);
	timer_off();
}

/* What delivery reads and writes, and the page where the handler says EOI, are new each time. */
CASE(delivery_and_eoi_through_fresh_pages)
{
	ulong sp0;

	need_timer();
	for (u32 i = 1; i <= 8; i++) {
		load_tss(fresh((ulong)tss, RW), 103);
		sp0 = fresh(new_frame(), RW) + PAGE_SIZE;
		memcpy(tss + TSS_SP0, &sp0, sizeof(sp0));
		load_idt(fresh((ulong)idt, RW), 256 * GATE_SIZE - 1);
		load_gdt(fresh((ulong)gdt, RW), GDT_ENTRIES * 8 - 1);
		eoi_at = fresh(apic, MMIO);
		write_cr2(CR2_MARK);
		timer(0, 2000);
		if (i & 1)
			sti_hlt();
		else if (!wait_for(i))
			break;
		check_eq(ticks, i);
		check_eq(read_cr2(), CR2_MARK);
	}
	timer_off();
}

USER_CODE static ulong user_spin(ulong n, ulong b)
{
	asm volatile("1: cmpl $0, (%1); jne 2f; dec %0; jnz 1b; 2:" : "+r"(n) : "r"(b) : "memory");
	return n;
}

static bool user_tick(struct regs *r)
{
	*(volatile u32 *)user_data = 1;
	return timer_tick(r);
}

CASE(timer_from_user_mode)
{
	ulong left;

	need_timer();
	hook(VECTOR, user_tick);
	for (u32 i = 1; i <= 4; i++) {
		*(volatile u32 *)user_data = 0;
		user_flags |= EFLAGS_IF;
		timer(0, 20000);
		check_fault(user_try(user_spin, PATIENCE, (ulong)user_data, &left), NO_FAULT);
		check_eq(ticks, i);
		check_eq(hook_regs.cs, SEL_UCODE);
	}
	timer_off();
}

/* The same device through a page of each size: what one writes, the others read. */
CASE(page_sizes)
{
	u64 views[3], large = WINDOW + 4 * LARGE_SIZE;
	u32 version, n = 1;

	need_paging();
	need_large();
	need_apic();
	views[0] = at;
	version = get(VERSION);
	map_large(large, apic & ~(LARGE_SIZE - 1), MMIO);
	views[n++] = large + (apic & (LARGE_SIZE - 1));
#if PT_LEVELS >= 4
	if (cpu.page1g) {
		map_at(current_root(), WINDOW + 2 * HUGE_SIZE, apic & ~(HUGE_SIZE - 1), MMIO | PTE_PS, 3);
		views[n++] = WINDOW + 2 * HUGE_SIZE + (apic & (HUGE_SIZE - 1));
	}
#endif
	for (u32 i = 0; i < 4 * n; i++) {
		static const u32 divide[4] = { BY_1, BY_2, BY_4, BY_16 };

		check_eq(*mem32(views[i % n] + VERSION), version);
		*mem32(views[i % n] + DIVIDE) = divide[i & 3];
		for (u32 j = 0; j < n; j++)
			check_eq(*mem32(views[j] + DIVIDE), divide[i & 3]);
	}
	check_eq(*entry(large, 2) & (MMIO | PTE_PS | PTE_A | PTE_D), MMIO | PTE_PS | PTE_A | PTE_D);
}

/* The entry of a page in use: device, RAM, other RAM, device. */
CASE(remapped_live)
{
	u64 ram[2] = { new_frame(), new_frame() };
	u32 version;
	pte_t *e;

	need_paging();
	need_apic();
	version = get(VERSION);
	e = entry(WINDOW, 1);
	for (u32 i = 0; i < 24; i++) {
		u64 r = ram[i & 1];

		set_entry(e, r | RW);
		invlpg(WINDOW);
		put(DIVIDE, i);
		put(VERSION, ~i);
		check_eq(*mem32(r + DIVIDE), i);
		check_eq(*mem32(r + VERSION), ~i);
		set_entry(e, apic | MMIO);
		invlpg(WINDOW);
		check_eq(get(VERSION), version);
		put(DIVIDE, i & 3);
		check_eq(get(DIVIDE), i & 3);
		check_eq(*mem32(r + DIVIDE), i); /* the RAM has not seen it */
		set_entry(e, 0); /* from not present no flush is needed */
		invlpg(WINDOW);
		check_fault(peek32(WINDOW + VERSION, NULL), PF(0, WINDOW + VERSION));
	}
}

/* One level up: a large page of devices, one of RAM, and a table of small pages, in turn. */
CASE(large_remapped_live)
{
	u64 va = WINDOW + 4 * LARGE_SIZE, ram, table;
	u32 version, off;
	pte_t *e;

	need_paging();
	need_large();
	need_apic();
	ram = tagged_large(5);
	version = get(VERSION);
	off = apic & (LARGE_SIZE - 1);
	map_page(va + off, apic, MMIO);
	e = entry(va, 2);
	table = *e;
	for (u32 i = 0; i < 8; i++) {
		set_entry(e, table);
		invlpg(va + off);
		check_eq(*mem32(va + off + VERSION), version);
		check_fault(peek32(va + (off ^ PAGE_SIZE), NULL), PF(0, va + (off ^ PAGE_SIZE)));
		set_entry(e, ram | RW | PTE_PS);
		invlpg(va);
		invlpg(va + off);
		check_pieces(va, 5);
		set_entry(e, (apic & ~(LARGE_SIZE - 1)) | MMIO | PTE_PS);
		flush();
		check_eq(*mem32(va + off + VERSION), version);
		*mem32(va + off + DIVIDE) = i & 3;
		check_eq(get(DIVIDE), i & 3);
	}
	check_pieces((set_entry(e, ram | RW | PTE_PS), flush(), va), 5);
}

static void check_kept(pte_t *e, u64 flags)
{
	check_eq(*e & ~(PTE_A | PTE_D), (apic | flags) & ~(PTE_A | PTE_D));
	check(*e & PTE_A);
}

CASE(rights_and_bits)
{
	pte_t *e;

	need_paging();
	need_apic();
	e = entry(WINDOW, 1);
	for (u32 i = 0; i < 4; i++) { /* all of PWT and PCD */
		u64 type = i * PTE_PWT;

		set_entry(e, apic | PTE_P | type);
		flush();
		check_fault(poke32(WINDOW + DIVIDE, 0), PF(PF_P | PF_W, WINDOW + DIVIDE));
		check_eq(*e & PTE_D, 0);
		check_fault(peek32(WINDOW + VERSION, NULL), NO_FAULT);
		check_kept(e, PTE_P | type);
		check_fault(user_peek32(WINDOW + VERSION, NULL), PF(PF_P | PF_U, WINDOW + VERSION));
		set_entry(e, apic | PTE_P | PTE_U | type);
		flush();
		check_fault(user_peek32(WINDOW + VERSION, NULL), NO_FAULT);
		check_fault(user_poke32(WINDOW + DIVIDE, 0), PF(PF_P | PF_U | PF_W, WINDOW + DIVIDE));
		check_kept(e, PTE_P | PTE_U | type);
		set_entry(e, apic | RWU | type);
		flush();
		check_eq(*e & (PTE_A | PTE_D), 0);
		check_fault(user_peek32(WINDOW + VERSION, NULL), NO_FAULT);
		check_eq(*e & (PTE_A | PTE_D), PTE_A);
		check_fault(user_poke32(WINDOW + DIVIDE, i), NO_FAULT);
		check_eq(get(DIVIDE), i);
		check_eq(*e & (PTE_A | PTE_D), PTE_A | PTE_D);
		check_kept(e, RWU | type);
	}
}

CASE(not_executable)
{
	need_paging();
	need_apic();
	if (!cpu.nx || PT_LEVELS < 3)
		skip("no NX");
	set_entry(entry(WINDOW, 1), apic | MMIO | PTE_NX);
	flush();
	check_fault(fetch(WINDOW), PF(PF_P | PF_I, WINDOW));
	check_fault(peek32(WINDOW + VERSION, NULL), NO_FAULT);
}

/* CR0.WP=0: the supervisor's writes reach the device through what is read-only, the user's do not. */
CASE(write_protect_off)
{
	need_paging();
	need_apic();
	for (u32 i = 0; i < 4; i++) {
		u64 flags = i & 1 ? PTE_U : 0;

		set_entry(entry(WINDOW, 1), apic | PTE_P | PTE_PCD | flags);
		flush();
		check_fault(poke32(WINDOW + DIVIDE, i), PF(PF_P | PF_W, WINDOW + DIVIDE));
		write_cr0(default_cr0 & ~CR0_WP);
		check_fault(poke32(WINDOW + DIVIDE, i), NO_FAULT);
		check_eq(get(DIVIDE), i);
		check(*entry(WINDOW, 1) & PTE_D);
		check_fault(user_poke32(WINDOW + DIVIDE, 0), PF(PF_P | PF_U | PF_W, WINDOW + DIVIDE));
		check_eq(get(DIVIDE), i);
		write_cr0(default_cr0);
		check_fault(poke32(WINDOW + DIVIDE, 0), PF(PF_P | PF_W, WINDOW + DIVIDE));
		check_eq(get(DIVIDE), i);
	}
}

/* Read-modify-write and string instructions, on a page just mapped. */
CASE(instructions)
{
	u32 v = 0x20, copy[2] = { 0, 0 };
	ulong di, si, cx;

	need_apic();
	at = fresh(apic, MMIO);
	asm volatile("movl %1, %0" : "=m"(*mem32(at + TPR)) : "r"(0x10));
	asm volatile("orl $0x40, %0" : "+m"(*mem32(at + TPR)));
	check_eq(get(TPR), 0x50);
	asm volatile("addl $0x10, %0" : "+m"(*mem32(fresh(apic, MMIO) + TPR)));
	check_eq(get(TPR), 0x60);
	asm volatile("xchgl %0, %1" : "+r"(v), "+m"(*mem32(fresh(apic, MMIO) + TPR)));
	check_eq(v, 0x60);
	check_eq(get(TPR), 0x20);
	asm volatile("lock; andl $0, %0" : "+m"(*mem32(fresh(apic, MMIO) + TPR)));
	check_eq(get(TPR), 0);
	di = fresh(apic, MMIO) + TPR, cx = 1;
	asm volatile("rep stosl" : "+D"(di), "+c"(cx) : "a"(0x30) : "memory");
	check_eq(get(TPR), 0x30);
	si = fresh(apic, MMIO) + TPR, di = (ulong)copy, cx = 1;
	asm volatile("rep movsl" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
	check_eq(copy[0], 0x30);
	check_eq(copy[1], 0);
	put(TPR, 0);
}

/* Two address spaces, the device in one and RAM in the other at the same place; the timer runs. */
CASE(address_spaces)
{
	u64 roots[2], ram, handler;
	u32 version;

	need_paging();
	need_timer();
	version = get(VERSION);
	ram = new_frame();
	*mem32(ram + VERSION) = 0x1234;
	roots[0] = current_root();
	roots[1] = new_space();
	handler = WINDOW + 64 * LARGE_SIZE;
	map_at(roots[0], handler, apic, MMIO, 1);
	map_at(roots[1], handler, apic, MMIO, 1);
	map_at(roots[1], WINDOW, ram, RW, 1);
	eoi_at = handler;
	timer(LVT_PERIODIC, 100000);
	asm volatile("sti");
	for (u32 i = 0; (i < 40 || ticks < 5) && i < PATIENCE; i++) {
		use_space(roots[i & 1]);
		if (!check_eq(get(VERSION), i & 1 ? 0x1234 : version))
			break;
	}
	asm volatile("cli");
	use_space(roots[0]);
	check(ticks >= 5);
	timer_off();
}

/* The handler's mapping of the APIC is edited between interrupts that come all the time. */
CASE(edited_under_interrupts)
{
	u64 a = tagged(1), b = tagged(2);
	u32 wrong = 0, n = 0;
	pte_t *e, *h;

	need_paging();
	need_timer();
	e = map_page(WINDOW + 16 * PAGE_SIZE, a, RW);
	h = map_page(WINDOW + 17 * PAGE_SIZE, apic, MMIO);
	eoi_at = WINDOW + 17 * PAGE_SIZE;
	timer(LVT_PERIODIC, 200000);
	for (; ticks < 30 && n < PATIENCE; n++) {
		set_entry(e, (n & 1 ? a : b) | RW);
		invlpg(WINDOW + 16 * PAGE_SIZE);
		set_entry(h, 0);
		invlpg(eoi_at);
		set_entry(h, apic | MMIO);
		asm volatile("sti; nop; nop; cli");
		wrong += tag_at(WINDOW + 16 * PAGE_SIZE) != (n & 1 ? 1 : 2);
	}
	check_eq(wrong, 0);
	check(ticks >= 30);
	timer_off();
}
