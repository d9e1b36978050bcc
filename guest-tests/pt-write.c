/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes to live page tables: what each edit means at each level, in pieces
 * and both orders, through every kind of mapping of the table, and by the
 * processor itself (fault frames, descriptors, A and D).  The forms of
 * instruction are in pt-forms.c.
 */
#include "test.h"

#define ALL (PTE_P | PTE_W | PTE_U)
#define HERE (WINDOW + 4 * LARGE_SIZE + 0x5000) /* what the tables map */
#ifdef __x86_64__
#define SP "rsp"
#else
#define SP "esp"
#endif
#define ALIAS (WINDOW + 0x20000) /* where a table is mapped once more */

static u64 first, second; /* two frames with their own gpa inside */

static void set_up(void)
{
	if (!PT_LEVELS)
		skip("no page tables");
	first = new_frame();
	second = new_frame();
	*mem32(first) = first;
	*mem32(second) = second;
	map_page(HERE, first, ALL);
	check_fault(poke32(HERE + 4, 1), NO_FAULT);
}

static bool has_rights(int level)
{
	return !(PT_LEVELS == 3 && level == 3);
}

static u64 table_of(u64 va)
{
	return (ulong)entry(va, 1) & ~0xfffull;
}

static void reads(u64 va, u64 frame)
{
	u32 v = 0;

	if (check_fault(peek32(va, &v), NO_FAULT))
		check_eq(v, (u32)frame);
}

static void store_whole(volatile pte_t *e, u64 v)
{
#if PT_LEVELS == 3
	u32 lo = *(u32 *)e, hi = ((u32 *)e)[1];

	asm volatile("1: lock cmpxchg8b %0; jnz 1b" : "+m"(*(volatile u64 *)e), "+a"(lo), "+d"(hi) : "b"((u32)v), "c"((u32)(v >> 32)) : "cc");
#else
	*e = v;
#endif
}

/* One entry in pieces of 1, 2, 4 or 8 bytes, upwards or downwards. */
static void store(volatile pte_t *e, u64 v, u32 piece, bool down)
{
	u32 n = PTE_SIZE / piece;

	if (n <= 1) {
		store_whole(e, v);
		return;
	}
	for (u32 i = 0; i < n; i++) {
		u32 k = (down ? n - 1 - i : i) * piece;
		u64 part = v >> (k * 8);

		if (piece == 1)
			((volatile u8 *)e)[k] = part;
		else if (piece == 2)
			*(volatile u16 *)((volatile u8 *)e + k) = part;
		else
			*(volatile u32 *)((volatile u8 *)e + k) = part;
	}
}

/* A bit goes, is missed after INVLPG, comes back, and is there again without one. */
static void lose_and_regain(int level, u32 piece, bool down)
{
	volatile pte_t *e = entry(HERE, level);
	pte_t full = *e;

	store(e, full & ~PTE_W, piece, down);
	invlpg(HERE);
	check_fault(poke32(HERE + 4, 2), PF(PF_P | PF_W, HERE + 4));
	reads(HERE, first);
	store(e, full, piece, down);
	check_fault(poke32(HERE + 4, 3), NO_FAULT);
	store(e, full & ~PTE_U, piece, down);
	invlpg(HERE);
	check_fault(user_peek32(HERE, NULL), PF(PF_P | PF_U, HERE));
	check_fault(poke32(HERE + 4, 4), NO_FAULT);
	store(e, full, piece, down);
	check_fault(user_poke32(HERE + 4, 5), NO_FAULT);
	store(e, full & ~PTE_P, piece, down);
	invlpg(HERE);
	check_fault(poke32(HERE + 4, 6), PF(PF_W, HERE + 4));
	check_fault(user_peek32(HERE, NULL), PF(PF_U, HERE));
	store(e, full, piece, down);
	check_fault(user_poke32(HERE + 4, 7), NO_FAULT);
	if (PTE_SIZE == 8 && cpu.nx) {
		mem8(first)[8] = 0xc3;
		check_fault(fetch(HERE + 8), NO_FAULT);
		store(e, full | PTE_NX, piece, down);
		invlpg(HERE);
		check_fault(fetch(HERE + 8), PF(PF_P | PF_I, HERE + 8));
		store(e, full, piece, down);
		check_fault(user_fetch(HERE + 8), NO_FAULT);
	}
}

CASE(rights_at_every_level)
{
	set_up();
	for (int level = 1; level <= PT_LEVELS; level++)
		for (u32 piece = 1; piece <= PTE_SIZE && has_rights(level); piece *= 2)
			for (int down = 0; down < 2; down++)
				lose_and_regain(level, piece, down);
}

/* Tables from `level` - 1 down to 1 that map HERE to frame; the entry that leads there. */
static u64 chain_to(u64 frame, int level)
{
	for (int l = 1; l < level; l++) {
		u64 t = new_table();

		((pte_t *)(ulong)t)[level_index(HERE, l)] = frame | ALL;
		frame = t;
	}
	return frame | ALL;
}

CASE(frames_at_every_level)
{
	set_up();
	for (int level = 1; level <= PT_LEVELS; level++) {
		volatile pte_t *e = entry(HERE, level);
		u64 old = *e, new = chain_to(second, level);

		for (u32 piece = 1; piece <= PTE_SIZE && has_rights(level); piece *= 2)
			for (int down = 0; down < 2; down++) {
				store(e, new, piece, down);
				invlpg(HERE);
				reads(HERE, second);
				store(e, 0, piece, down);
				invlpg(HERE);
				check_fault(peek32(HERE, NULL), PF(0, HERE));
				store(e, old, piece, down); /* from not present: at once */
				reads(HERE, first);
			}
	}
}

CASE(accessed_and_dirty_cleared)
{
	set_up();
	for (int level = 1; level <= PT_LEVELS; level++)
		for (u32 piece = 1; piece <= PTE_SIZE && has_rights(level); piece *= 2) {
			volatile pte_t *e = entry(HERE, level);
			u64 dirty = level == 1 ? PTE_D : 0;

			store(e, *e & ~(PTE_A | PTE_D), piece, piece == 2);
			invlpg(HERE);
			reads(HERE, first);
			check_eq(*e & (PTE_A | PTE_D), PTE_A);
			check_fault(poke32(HERE + 4, 1), NO_FAULT);
			check_eq(*e & (PTE_A | PTE_D), PTE_A | dirty);
		}
}

/* High halves whose bit 0 is not P; low halves alone; neighbours of what is written. */
CASE(half_entries)
{
	volatile u32 *e;
	u64 high;

	set_up();
	if (PTE_SIZE != 8)
		skip("entries are one word");
	map_page(HERE + PAGE_SIZE, second, ALL);
	reads(HERE + PAGE_SIZE, second);
	e = (volatile u32 *)entry(HERE, 1);
	high = cpu.nx ? PTE_NX >> 32 : 0;
	for (int i = 0; i < 2; i++) {
		e[0] = 0;
		invlpg(HERE);
		check_fault(peek32(HERE, NULL), PF(0, HERE));
		e[1] = 1; /* looks like P, is an address bit of an absent entry */
		check_fault(peek32(HERE, NULL), PF(0, HERE));
		e[1] = high;
		check_fault(peek32(HERE, NULL), PF(0, HERE));
		e[0] = second | ALL;
		reads(HERE, second);
		if (high)
			check_fault(fetch(HERE), PF(PF_P | PF_I, HERE));
		e[1] = 0; /* bit 0 is clear, and the entry stays present */
		reads(HERE, second);
		e[0] = first | ALL;
		invlpg(HERE);
		reads(HERE, first);
		reads(HERE + PAGE_SIZE, second);
		check_fault(peek32(HERE - PAGE_SIZE, NULL), PF(0, HERE - PAGE_SIZE));
	}
}

CASE(large_and_small)
{
	volatile pte_t *e;
	u64 table, large;
	int rounds = 3;

	set_up();
	if (!cpu.pse)
		skip("no large pages");
	large = new_large();
	*mem32(large + 0x5000) = 0x1a49e;
	e = entry(HERE, 2);
	table = *e;
	while (rounds--) {
		store(e, large | ALL | PTE_PS, 4, rounds & 1);
		invlpg(HERE);
		reads(HERE, 0x1a49e);
		check_fault(poke32(HERE + 4, rounds), NO_FAULT);
		check_eq(mem32(large + 0x5004)[0], rounds);
		check_eq(*e & (PTE_A | PTE_D), PTE_A | PTE_D);
		store(e, table, PTE_SIZE, false);
		invlpg(HERE);
		reads(HERE, first);
	}
}

CASE(many_tables)
{
	enum { TABLES = 90 };
	u64 va = WINDOW + 16 * LARGE_SIZE;

	set_up();
	for (u32 i = 0; i < TABLES; i++) {
		map_page(va + i * LARGE_SIZE, i & 1 ? first : second, ALL);
		reads(va + i * LARGE_SIZE, i & 1 ? first : second);
	}
	for (u32 i = 0; i < TABLES; i++) {
		u64 e = (i & 1 ? second : first) | ALL;

		map_page(ALIAS, table_of(va + i * LARGE_SIZE), ALL);
		invlpg(ALIAS);
		check_fault(PTE_SIZE == 8 ? poke64(ALIAS, e) : poke32(ALIAS, e), NO_FAULT);
		invlpg(va + i * LARGE_SIZE);
		reads(va + i * LARGE_SIZE, e & ~0xfffull);
	}
	for (u32 i = 0; i < TABLES; i++)
		reads(va + i * LARGE_SIZE, i & 1 ? second : first);
}

/* Writable and dirty before it becomes a table, at many addresses, one of them in a large page. */
CASE(many_aliases)
{
	enum { ALIASES = 20 };
	u64 t, large = 0, big = WINDOW + 8 * LARGE_SIZE, at;

	set_up();
	t = new_table();
	if (cpu.pse) {
		large = new_large();
		t = large + 0x7000;
		memset(mem8(t), 0, PAGE_SIZE);
		map_large(big, large, ALL);
		check_fault(user_poke32(big + 0x7000, 0), NO_FAULT);
	}
	for (u32 i = 0; i < ALIASES; i++) {
		map_page(ALIAS + i * PAGE_SIZE, t, ALL);
		check_fault(poke32(ALIAS + i * PAGE_SIZE, 0), NO_FAULT);
	}
	link_table(current_root(), HERE, 2, t);
	invlpg(HERE);
	check_fault(peek32(HERE, NULL), PF(0, HERE));
	for (u32 i = 0; i <= ALIASES; i++) {
		u64 frame = i & 1 ? first : second;

		if (i == ALIASES && !large)
			break;
		at = (i == ALIASES ? big + 0x7000 : ALIAS + i * PAGE_SIZE) + 5 * PTE_SIZE;
		check_fault(user_poke32(at, frame | ALL), NO_FAULT);
		invlpg(HERE);
		reads(HERE, frame);
	}
}

/* A table no more: writes to it must soon be as cheap as any. */
CASE(dropped_and_reused)
{
	enum { WRITES = 3000 };
	u64 t;
	u32 exits;

	set_up();
	t = table_of(HERE);
	map_page(ALIAS, t, ALL);
	check_fault(poke32(ALIAS, 0), NO_FAULT);
	reads(HERE, first);
	set_entry(entry(HERE, 2), 0);
	flush();
	exits = hypercall(HC_STAT_EXITS, 0, 0, 0, 0);
	for (u32 i = 0; i < WRITES; i++)
		*(volatile u32 *)(ulong)(ALIAS + (i * 36 & 0xffc)) = i;
	if (under_umbra())
		check(hypercall(HC_STAT_EXITS, 0, 0, 0, 0) - exits < WRITES / 10);
	check_fault(peek32(HERE, NULL), PF(0, HERE));
	memset(mem8(t), 0, PAGE_SIZE);
	((pte_t *)(ulong)t)[level_index(HERE, 1)] = second | ALL;
	link_table(current_root(), HERE, 2, t); /* and a table again */
	reads(HERE, second);
	check_fault(poke32(ALIAS + 5 * PTE_SIZE, first | ALL), NO_FAULT);
	invlpg(HERE);
	reads(HERE, first);
}

CASE(read_only_table)
{
	u64 t, at = ALIAS + 5 * PTE_SIZE;
	volatile pte_t *e;
	pte_t old;

	set_up();
	t = table_of(HERE);
	map_page(ALIAS, t, PTE_P | PTE_U);
	e = entry(HERE, 1);
	old = *e;
	for (int i = 0; i < 2; i++) {
		check_fault(poke32(at, second | ALL), PF(PF_P | PF_W, at));
		check_fault(access_at(at, ACCESS_LOCKED, AS_SUPER, 0, NULL), PF(PF_P | PF_W, at));
		check_fault(access_at(at, ACCESS_RMW, AS_USER, 0, NULL), PF(PF_P | PF_W | PF_U, at));
		check_eq(*e, old);
		reads(HERE, first);
		write_cr0(default_cr0 & ~CR0_WP);
		check_fault(poke32(at, second | ALL), NO_FAULT);
		invlpg(HERE);
		reads(HERE, second);
		check_fault(user_poke32(at, 0), PF(PF_P | PF_W | PF_U, at));
		check_fault(poke32(at, old), NO_FAULT);
		invlpg(HERE);
		reads(HERE, first);
		write_cr0(default_cr0);
	}
}

static ulong cmpxchg(ulong va, ulong old)
{
	asm volatile("lock cmpxchg %2, (%1)" : "+a"(old) : "r"(va), "r"(0ul) : "cc", "memory");
	return old;
}

/* A miss stores what was there: no edit, but a write, with D on the alias and a fault where it may not. */
CASE(cmpxchg_that_misses)
{
	volatile pte_t *e, *a;
	ulong at = ALIAS + 5 * PTE_SIZE, found = 0;

	set_up();
	e = entry(HERE, 1);
	a = map_page(ALIAS, table_of(HERE), ALL);
	check_fault(try(cmpxchg, at, 0x5555, &found), NO_FAULT);
	check_eq(found, (ulong)*e);
	check_eq(*a & PTE_D, PTE_D);
	reads(HERE, first);
	set_entry((pte_t *)a, table_of(HERE) | PTE_P);
	invlpg(ALIAS);
	check_fault(try(cmpxchg, at, 0x5555, NULL), PF(PF_P | PF_W, at));
	check_eq(*e & PTE_P, PTE_P);
}

/* A and D that the processor sets in a table are seen through its alias, and are no write through that. */
CASE(write_back_seen_elsewhere)
{
	volatile pte_t *a;
	u32 v;

	set_up();
	map_page(HERE, first, ALL);
	invlpg(HERE);
	a = map_page(ALIAS, table_of(HERE), ALL);
	for (int i = 0; i < 3; i++) {
		check_fault(peek32(ALIAS + 5 * PTE_SIZE, &v), NO_FAULT);
		check_eq(v & 0xfff, ALL);
		reads(HERE, first);
		check_fault(peek32(ALIAS + 5 * PTE_SIZE, &v), NO_FAULT);
		check_eq(v & 0xfff, ALL | PTE_A);
		check_fault(user_poke32(HERE + 4, 1), NO_FAULT);
		check_fault(peek32(ALIAS + 5 * PTE_SIZE, &v), NO_FAULT);
		check_eq(v & 0xfff, ALL | PTE_A | PTE_D);
		check_eq(*a & (PTE_A | PTE_D), PTE_A | (i ? PTE_D : 0));
		check_fault(poke32(ALIAS + 5 * PTE_SIZE, first | ALL), NO_FAULT);
		invlpg(HERE);
	}
}

USER_CODE static ulong undefined(ulong a, ulong b)
{
	(void)b;
	asm volatile("ud2");
	return a;
}

static void repair(volatile pte_t *table)
{
	for (u32 k = PT_ENTRIES / 2; k < PT_ENTRIES; k++) {
		u64 want = k < PT_ENTRIES - 16 ? 0 : (k & 1 ? first : second) | ALL;

		if (table[k] != want)
			set_entry((pte_t *)table + k, want);
	}
}

/* The frame of an exception, and then the handler's whole stack, in a live table. */
CASE(stack_in_a_table)
{
	ulong *top;
	u64 t;

	set_up();
	t = table_of(HERE);
	map_page(ALIAS, t, PTE_P | PTE_W);
	top = (ulong *)(ulong)(t + PAGE_SIZE);
	for (int i = 0; i < 4; i++) {
		ulong sp0 = ALIAS + PAGE_SIZE, old;

		memcpy(&old, tss + TSS_SP0, sizeof(old));
		memcpy(tss + TSS_SP0, &sp0, sizeof(sp0));
		check_fault(user_try(undefined, 0, 0, NULL), FAULT(VEC_UD));
		memcpy(tss + TSS_SP0, &old, sizeof(old));
		check_eq(top[-1] & 0xffff, SEL_UDATA);
		check_eq(top[-4] & 0xffff, SEL_UCODE);
		check(top[-2] - ((ulong)user_stack_top - 64) <= 64);
		reads(HERE, first);
		repair((volatile pte_t *)(ulong)t); /* what the handler left is an entry like any other */
		flush();
		for (u32 k = PT_ENTRIES - 9; k < PT_ENTRIES; k++)
			reads((HERE & ~(LARGE_SIZE - 1)) + k * PAGE_SIZE, k & 1 ? first : second);
		if (i == 1) {
			set_entry(entry(ALIAS, 1), t | PTE_P | PTE_W); /* not in any TLB when the frame is pushed */
			invlpg(ALIAS);
		}
	}
}

/* The processor sets the accessed bit of descriptors that lie in live tables. */
CASE(descriptors_in_a_table)
{
	u64 t, large_va = HERE & ~(LARGE_SIZE - 1);
	u32 at = 0x800, i = at / PTE_SIZE;

	set_up();
	t = table_of(HERE);
	map_page(ALIAS, t, PTE_P | PTE_W);
	map_page(large_va + i * PAGE_SIZE, second, ALL);
	reads(large_va + i * PAGE_SIZE, second);
	put_descriptor(t + at, false);
	check_fault(implicit_load(ALIAS + at), NO_FAULT);
	check_eq(mem64(t + at)[0], 0x00cff3000000ffffull);
	reads(HERE, first);
	*mem64(t + at) = 0;
	map_page(large_va + i * PAGE_SIZE, first, ALL);
	invlpg(large_va + i * PAGE_SIZE);
	reads(large_va + i * PAGE_SIZE, first);
	memcpy(mem8(t + at), gdt, 256); /* the GDT as a whole */
	mem64(t + at)[SEL_SPARE / 8] = 0x00cf92000000ffffull;
	load_gdt(ALIAS + at, 255);
	asm volatile("mov %w0, %%fs" : : "r"(SEL_SPARE));
	check_eq(mem64(t + at)[SEL_SPARE / 8], 0x00cf93000000ffffull);
	check_fault(user_peek32(HERE, NULL), NO_FAULT);
	load_gdt((ulong)gdt, 255);
	memset(mem8(t + at), 0, 256);
	flush();
	check_fault(peek32(large_va + i * PAGE_SIZE, NULL), PF(0, large_va + i * PAGE_SIZE));
}

static u32 steps, steps_seen;

static bool on_step(struct regs *r)
{
	ulong status, clear = 0xffff0ff0;

	(void)r;
	asm volatile("mov %%dr6, %0; mov %1, %%dr6" : "=&r"(status) : "r"(clear));
	steps++;
	steps_seen += status >> 14 & 1; /* DR6.BS */
	return true;
}

/* The guest's own single step: one #DB for each instruction, and for each round of REP. */
CASE(stepped_writes)
{
	ulong at, di, count = 3;
	volatile u32 *e;

	set_up();
	hook(VEC_DB, on_step);
	at = di = table_of(HERE) + 0x800;
	e = mem32(at);
	steps = steps_seen = 0;
	asm volatile("pushf\n orw $0x100, (%%" SP ")\n popf\n"
		     "movl $0x1000, (%2)\n sidt 16(%2)\n lock addl $0x20, (%2)\n rep stosl\n"
		     "pushf\n andw $~0x100, (%%" SP ")\n popf\n nop"
		     : "+D"(di), "+c"(count) : "r"(at + 64), "a"(0x77e0) : "memory", "cc");
	check_eq(steps, 9);
	check_eq(steps_seen, 9);
	check_eq(count, 0);
	check_eq(di - at, 12);
	check_eq(e[2], 0x77e0);
	check_eq(e[3], 0);
	check_eq(e[16], 0x1020);
	check_eq(*(volatile ulong *)(ulong)(at + 64 + 18), (ulong)idt);
}

/* After an instruction that nobody would decode the table is as watched as before. */
CASE(after_an_odd_store)
{
	ulong at = ALIAS + 0x800;
	u64 base = HERE & ~(LARGE_SIZE - 1);

	set_up();
	map_page(ALIAS, table_of(HERE), ALL);
	map_page(ALIAS + PAGE_SIZE, new_frame(), ALL);
	for (int i = 0; i < 4; i++) {
		u64 frame = i & 1 ? first : second;

		asm volatile("sidt (%0); sgdt 16(%0)" : : "r"(at) : "memory");
		if (i & 2)
			asm volatile("sidt (%0)" : : "r"((ulong)(ALIAS + PAGE_SIZE - 4)) : "memory"); /* and across the end */
		check_fault(poke32(ALIAS + 5 * PTE_SIZE, frame | ALL), NO_FAULT);
		invlpg(HERE);
		reads(HERE, frame);
		asm volatile("sldt (%0)" : : "r"((ulong)(ALIAS + 6 * PTE_SIZE)) : "memory"); /* 0: not present */
		check_fault(poke32(ALIAS + 6 * PTE_SIZE, frame | ALL), NO_FAULT);
		reads(base + 6 * PAGE_SIZE, frame);
		asm volatile("sldt (%0)" : : "r"((ulong)(ALIAS + 6 * PTE_SIZE)) : "memory");
		check_fault(poke32(ALIAS + 5 * PTE_SIZE, 0), NO_FAULT);
		invlpg(base + 6 * PAGE_SIZE);
		invlpg(HERE);
		check_fault(peek32(HERE, NULL), PF(0, HERE));
		check_eq(*entry(HERE + PAGE_SIZE, 1) & 0xffff, 0);
		check_fault(peek32(HERE + PAGE_SIZE, NULL), PF(0, HERE + PAGE_SIZE));
	}
}

/* Nonsense in an entry is for the guest to see as a fault, and to repair. */
CASE(reserved_bits)
{
	volatile pte_t *e;

	set_up();
	if (PTE_SIZE != 8 || cpu.maxphyaddr > 51)
		skip("no reserved bit");
	for (int level = 1; level <= PT_LEVELS; level++) {
		u64 old;

		if (!has_rights(level))
			continue;
		e = entry(HERE, level);
		old = *e;
		for (u32 piece = 1; piece <= 8; piece *= 2) {
			store(e, old | BIT(51), piece, true);
			invlpg(HERE);
			check_fault(peek32(HERE, NULL), PF(PF_P | PF_RSVD, HERE));
			check_fault(user_poke32(HERE, 0), PF(PF_P | PF_RSVD | PF_W | PF_U, HERE));
			store(e, ~0ull & ~PTE_P, piece, false);
			invlpg(HERE);
			check_fault(peek32(HERE, NULL), PF(0, HERE));
			store(e, old, piece, true);
			reads(HERE, first);
		}
	}
}

/* Roots and the tables under them come, go and come back as something else. */
CASE(roots_reused)
{
	u64 home, a, b;

	set_up();
	home = current_root();
	a = new_space();
	b = new_space();
	for (int i = 0; i < 4; i++) {
		u64 t = new_table();

		map_at(a, HERE, i & 1 ? second : first, ALL, 1);
		use_space(a);
		reads(HERE, i & 1 ? second : first);
		map_at(b, HERE, first, ALL, 1);
		link_table(b, HERE, 2, t); /* from here on another table of b */
		use_space(b);
		check_fault(peek32(HERE, NULL), PF(0, HERE));
		*entry_in(b, HERE, 1) = second | ALL;
		reads(HERE, second);
		link_table(a, HERE, 2, t);
		use_space(a);
		reads(HERE, second);
		*entry_in(b, HERE, 1) = first | ALL;
		use_space(home);
		reads(HERE, first);
		use_space(b);
		reads(HERE, first);
		use_space(home);
		link_table(a, HERE, 2, new_table());
	}
}

#ifdef __x86_64__
asm(".code32\ncompat_code: movl %ebx, %fs:-0xee0\n movl %ebx, %fs:-8(%ecx)\n lret\n.code64\n");
extern u8 compat_code[];

/* 32-bit code under long mode: a segment base counts, addresses wrap at 4 GiB, no RIP-relative. */
CASE(compatibility_mode)
{
	struct { u32 ip; u16 cs; } __attribute__((packed)) target = { (ulong)compat_code, SEL_KCODE32 };
	u64 t, va = HERE & ~(LARGE_SIZE - 1);

	set_up();
	t = table_of(HERE);
	gdt[SEL_SPARE / 8] = 0x00cf93000000ffffull;
	set_segment_base(SEL_SPARE, t + 0x1000);
	check_fault(peek32(va + 36 * PAGE_SIZE, NULL), PF(0, va + 36 * PAGE_SIZE));
	asm volatile("mov %w2, %%fs\n lcall *%0" : : "m"(target), "b"((u32)second | (u32)ALL), "r"(SEL_SPARE), "c"(0xfffff138u) : "memory");
	reads(va + 36 * PAGE_SIZE, second);
	reads(va + 38 * PAGE_SIZE, second);
	check_fault(peek32(va + 37 * PAGE_SIZE, NULL), PF(0, va + 37 * PAGE_SIZE));
}
#endif
