/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces in turn and control bits over warm tables: what MOV CR3 must bring up to date, and that CR0.WP,
 * CR4.SMEP, CR4.SMAP and EFER.NXE count with their values of now.  Flushes as such: tlb.c.
 */
#include "test.h"

/* ---- address spaces ---------------------------------------------------------------- */

/* U03: tables of a space are edited while another is in use; coming back is a flush. */
CASE(edits_while_away)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, b, va = WINDOW + 0x5000, home, away;

	need_paging();
	b = tagged(0xb);
	home = current_root();
	away = new_space();
	map_page(va, a, RWU);
	map_page(va + PAGE_SIZE, a, RWU);
	for (u32 i = 0; i < 6; i++) {
		check_eq(tag_at(va), i & 1 ? 0xb : 0xa);
		check_fault(poke32(va + PAGE_SIZE, 1), NO_FAULT);
		use_space(away);
		check_fault(peek32(va, NULL), PF(0, va));
		set_entry(entry_in(home, va, 1), (i & 1 ? a : b) | RWU);
		set_entry(entry_in(home, va + PAGE_SIZE, 1), a | PTE_P);
		set_entry(entry_in(home, va + 2 * PAGE_SIZE, 1), i & 1 ? a | RWU : 0);
		use_space(home);
		check_eq(tag_at(va), i & 1 ? 0xa : 0xb);
		check_fault(poke32(va + PAGE_SIZE, 1), PF(PF_P | PF_W, va + PAGE_SIZE));
		check_fault(peek32(va + 2 * PAGE_SIZE, NULL), i & 1 ? NO_FAULT : PF(0, va + 2 * PAGE_SIZE));
		set_entry(entry(va + PAGE_SIZE, 1), a | RWU);
	}
}

/* The same through a mapping of the tables in the other space, and for each level's entry. */
CASE(upper_entries_edited_while_away)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, b, va = WINDOW + 0x5000, home, away, view = WINDOW + 0x20000;

	need_paging();
	b = tagged(0xb);
	home = current_root();
	away = new_space();
	for (int level = 1; level <= PT_LEVELS; level++) {
		u64 below = b, at;
		pte_t old, want;

		map_page(va, a, RWU);
		flush();
		check_eq(tag_at(va), 0xa);
		for (int l = 1; l < level; l++) {
			u64 t = new_table();

			set_entry((pte_t *)mem8(t) + level_index(va, l), below | RWU);
			below = t;
		}
		old = *entry(va, level);
		want = below | (is_pdpte(level) ? PTE_P : RWU);
		at = (ulong)entry(va, level);
		map_at(away, view, at & ~0xfffull, RWU, 1);
		use_space(away);
		if (PTE_SIZE == 8)
			check_fault(poke64(view + (at & 0xfff), want), NO_FAULT);
		else
			check_fault(user_poke32(view + (at & 0xfff), want), NO_FAULT);
		use_space(home);
		check_eq(tag_at(va), 0xb);
		set_entry(entry(va, level), old);
		flush();
	}
}

/* A space that ends; its frames are another space's tables and data at once. */
CASE(recycled_table_frames)
{
	u64 home, space, frames[8], va = WINDOW + 0x5000;

	need_paging();
	home = current_root();
	for (u32 i = 0; i < 8; i++)
		frames[i] = new_frame();
	for (u32 round = 0; round < 16; round++) {
		u32 at = round & 7;

		for (u32 i = 0; i < 8; i++)
			memset(mem8(frames[i]), 0, PAGE_SIZE);
		space = frames[at];
		memcpy(mem8(space), mem8(new_space()), PAGE_SIZE);
		for (int l = PT_LEVELS; l > 1; l--)
			link_table(space, va, l, frames[++at & 7]);
		at = (at + 1) & 7;
		set_entry(entry_in(space, va, 1), frames[at] | RWU);
		*mem32(frames[at] + TAG_AT) = 0x1000 + round;
		use_space(space);
		check_eq(tag_at(va), 0x1000 + round);
		check_fault(user_poke32(va + 8, round), NO_FAULT);
		check_eq(mem32(frames[at])[2], round);
		check_fault(peek32(va + PAGE_SIZE, NULL), PF(0, va + PAGE_SIZE));
		use_space(home);
		check_fault(peek32(va, NULL), PF(0, va));
	}
}

/* A few spaces in turn that share a table; one edit is seen in all of them. */
CASE(shared_table_in_many_spaces)
{
	u64 roots[4], a = PT_LEVELS ? tagged(0xa) : 0, b, va = WINDOW + 0x5000, table;

	need_paging();
	b = tagged(0xb);
	map_page(va, a, RWU);
	table = pte_gpa(*entry(va, 2));
	for (u32 i = 0; i < 4; i++) {
		roots[i] = new_space();
		make_entry_in(roots[i], va, 2);
		link_table(roots[i], va, 2, table);
		if (i & 1)
			set_entry(entry_in(roots[i], va, 2), table | PTE_P);
	}
	for (u32 i = 0; i < 24; i++) {
		u32 k = (random32() >> 5) & 3;

		use_space(roots[k]);
		check_eq(tag_at(va), i & 1 ? 0xb : 0xa);
		check_fault(user_poke32(va, 1), k & 1 ? PF(PF_P | PF_W | PF_U, va) : NO_FAULT);
		set_entry((pte_t *)mem8(table) + level_index(va, 1), (i & 1 ? a : b) | RWU);
		invlpg(va);
		check_eq(tag_at(va), i & 1 ? 0xa : 0xb);
	}
}

/* ---- control bits over warm tables ---------------------------------------------------- */

/* T17: CR0.WP is no part of a translation; what is cached is judged by its value of now. */
CASE(wp_over_warm_tables)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, va = WINDOW + 0x5000;
	pte_t *ro, *rw;

	need_paging();
	ro = map_page(va, a, PTE_P | PTE_U);
	rw = map_page(va + PAGE_SIZE, a, RWU);
	for (u32 i = 0; i < 3; i++) {
		check_eq(tag_at(va), 0xa);
		check_fault(poke32(va, i), PF(PF_P | PF_W, va));
		check_fault(write_cr0(default_cr0 & ~CR0_WP), NO_FAULT);
		check_fault(poke32(va, 0x40 + i), NO_FAULT);
		check_eq(*mem32(a), 0x40 + i);
		check_fault(user_poke32(va, i), PF(PF_P | PF_W | PF_U, va));
		check_fault(user_peek32(va, NULL), NO_FAULT);
		check_fault(user_poke32(va + PAGE_SIZE, i), NO_FAULT);
		check_fault(poke32(va, 0x50 + i), NO_FAULT);
		check_fault(write_cr0(default_cr0), NO_FAULT);
		check_fault(poke32(va, i), PF(PF_P | PF_W, va));
		check_fault(poke32(va + PAGE_SIZE, i), NO_FAULT);
	}
	check_eq(*ro & ~(PTE_A | PTE_D), a | PTE_P | PTE_U);
	check_eq(*rw & ~(PTE_A | PTE_D), a | RWU);
}

/* R02: what WP=0 let be written must not thereby become the kernel's to execute. */
CASE(smep_over_warm_tables)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, va = WINDOW + 0x5000;

	need_paging();
	if (!cpu.smep)
		skip("no SMEP");
	map_page(va, a, PTE_P | PTE_U);
	map_page(va + PAGE_SIZE, a, PTE_P | PTE_W);
	for (u32 i = 0; i < 4; i++) {
		check_fault(fetch(va), NO_FAULT);
		check_fault(write_cr0(i & 1 ? default_cr0 & ~CR0_WP : default_cr0), NO_FAULT);
		if (i & 1)
			check_fault(poke32(va + 8, 1), NO_FAULT);
		check_fault(write_cr4(default_cr4 | CR4_SMEP), NO_FAULT); /* setting it is a flush */
		if (i & 1)
			check_fault(poke32(va + 8, 1), NO_FAULT);
		check_fault(fetch(va), PF(PF_P | PF_I, va));
		check_fault(fetch(va + PAGE_SIZE), NO_FAULT);
		check_fault(user_fetch(va), NO_FAULT);
		check_fault(fetch(va), PF(PF_P | PF_I, va));
		check_eq(tag_at(va), 0xa);
		check_fault(write_cr4(default_cr4), NO_FAULT);
		flush();
		check_fault(fetch(va), NO_FAULT);
	}
}

/* R07, R08: CR4.SMAP and EFLAGS.AC are judged at the access as well. */
CASE(smap_over_warm_tables)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, va = WINDOW + 0x5000;

	need_paging();
	if (!cpu.smap)
		skip("no SMAP");
	map_page(va, a, RWU);
	map_page(va + PAGE_SIZE, a, PTE_P | PTE_W);
	for (u32 i = 0; i < 3; i++) {
		check_fault(user_poke32(va + 8, 1), NO_FAULT); /* the user first */
		check_eq(tag_at(va), 0xa);
		check_fault(write_cr4(default_cr4 | CR4_SMAP), NO_FAULT);
		flush();
		check_fault(user_peek32(va, NULL), NO_FAULT);
		check_fault(peek32(va, NULL), PF(PF_P, va));
		check_fault(poke32(va, 1), PF(PF_P | PF_W, va));
		check_eq(tag_at(va + PAGE_SIZE), 0xa);
		check_fault(fetch(va), NO_FAULT);
		set_ac(true);
		check_eq(tag_at(va), 0xa);
		check_fault(poke32(va + 8, 2), NO_FAULT);
		set_ac(false);
		check_fault(peek32(va, NULL), PF(PF_P, va));
		check_fault(user_poke32(va + 8, 3), NO_FAULT);
		check_fault(poke32(va + 8, 1), PF(PF_P | PF_W, va + 8));
		check_fault(write_cr4(default_cr4), NO_FAULT);
		flush();
		check_fault(poke32(va + 8, 1), NO_FAULT);
	}
}

/* A supervisor page is no business of SMAP, and turning the U bit is. */
CASE(user_bit_under_smap)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, va = WINDOW + 0x5000;

	need_paging();
	if (!cpu.smap)
		skip("no SMAP");
	map_page(va, a, RWU);
	check_fault(write_cr4(default_cr4 | CR4_SMAP), NO_FAULT);
	for (int level = 1; level <= PT_LEVELS; level++) {
		pte_t *e = entry(va, level), old = *e;

		if (is_pdpte(level))
			continue;
		flush();
		check_fault(peek32(va, NULL), PF(PF_P, va));
		set_entry(e, old & ~PTE_U);
		check_eq(tag_at(va), 0xa); /* raised for the supervisor, after a fault */
		check_fault(poke32(va, 1), NO_FAULT);
		check_fault(user_peek32(va, NULL), PF(PF_P | PF_U, va));
		set_entry(e, old);
		check_fault(user_peek32(va, NULL), NO_FAULT);
		invlpg(va);
		check_fault(poke32(va, 1), PF(PF_P | PF_W, va));
	}
}

/* EFER.NXE, with the flush that software owes: bit 63 is a right, then reserved, then a right. */
CASE(nxe_over_warm_tables)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, va = WINDOW + 0x5000;

	need_paging();
	if (PTE_SIZE == 4 || !cpu.nx)
		skip("no NX");
	map_page(va, a, RWU | PTE_NX);
	map_page(va + PAGE_SIZE, a, RWU);
	for (u32 i = 0; i < 3; i++) {
		check_eq(tag_at(va), 0xa);
		check_fault(fetch(va), PF(PF_P | PF_I, va)); /* W15: after a read */
		check_fault(user_fetch(va), PF(PF_P | PF_I | PF_U, va));
		check_fault(fetch(va + PAGE_SIZE), NO_FAULT);
		check_fault(write_efer(default_efer & ~EFER_NXE), NO_FAULT);
		flush();
		check_fault(fetch(va + PAGE_SIZE), NO_FAULT);
		check_eq(tag_at(va + PAGE_SIZE), 0xa);
		set_entry(entry(va + 2 * PAGE_SIZE, 1), 0);
		check_fault(fetch(va + 2 * PAGE_SIZE), PF(0, va + 2 * PAGE_SIZE)); /* no I/D bit now */
		check_fault(write_efer(default_efer), NO_FAULT);
		flush();
	}
}

CASE(nx_is_reserved_without_nxe)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, va = WINDOW + 0x5000;

	need_paging();
	if (PTE_SIZE == 4 || !cpu.nx)
		skip("no NX");
	map_page(va, a, RWU | PTE_NX);
	check_eq(tag_at(va), 0xa);
	check_fault(write_efer(default_efer & ~EFER_NXE), NO_FAULT);
	flush();
	check_fault(peek32(va, NULL), PF(PF_P | PF_RSVD, va));
	check_fault(user_fetch(va), PF(PF_P | PF_RSVD | PF_U, va));
	set_entry(entry(va, 1), a | PTE_NX); /* not present: nothing is reserved */
	invlpg(va);
	check_fault(peek32(va, NULL), PF(0, va));
	set_entry(entry(va, 1), a | RWU | PTE_NX);
	check_fault(write_efer(default_efer), NO_FAULT);
	flush();
	check_eq(tag_at(va), 0xa);
	check_fault(fetch(va), PF(PF_P | PF_I, va));
}

/* V07: paging off and on again, with the tables edited in between. */
CASE(edits_while_paging_is_off)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, b, va = WINDOW + 0x5000;

	need_paging();
	if (PT_LEVELS >= 4)
		skip("paging stays on in long mode");
	b = tagged(0xb);
	map_page(va, a, RWU);
	for (u32 i = 0; i < 4; i++) {
		check_eq(tag_at(va), i & 1 ? 0xb : 0xa);
		check_fault(poke32(va, 1), NO_FAULT);
		check_fault(write_cr0(default_cr0 & ~CR0_PG), NO_FAULT);
		check_fault(poke32((ulong)entry(va, 1), ((i & 1) ? a : b) | PTE_P | PTE_U), NO_FAULT);
		check_fault(write_cr0(default_cr0), NO_FAULT);
		check_eq(tag_at(va), i & 1 ? 0xa : 0xb);
		check_fault(poke32(va, 1), PF(PF_P | PF_W, va));
		set_entry(entry(va, 1), *entry(va, 1) | PTE_W);
	}
}

/* I04: faults that a hypervisor takes for itself leave CR2 alone. */
CASE(cr2_keeps_its_value)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, va = WINDOW + 0x70000;

	need_paging();
	map_page(va, a, RWU);
	write_cr2(0x1234567);
	for (u32 i = 0; i < 16; i++) {
		map_page(va + i * PAGE_SIZE, a, RWU);
		check_eq(tag_at(va + i * PAGE_SIZE), 0xa);
		check_fault(i & 1 ? user_poke32(va + i * PAGE_SIZE, 1) : poke32(va + i * PAGE_SIZE, 1), NO_FAULT);
		set_entry(entry(va + i * PAGE_SIZE, 1), a | PTE_P);
		flush();
		check_eq(read_cr2(), 0x1234567);
	}
	check_eq(exception_count[VEC_PF], 0);
}

/* ---- what a handler changes before the access is tried again ------------------------- */

static struct {
	void (*step[4])(void);
	struct fault fault[4];
	u32 count;
	u64 away;
} pending;

static bool next_step(struct regs *r)
{
	if (pending.count >= ARRAY_SIZE(pending.step) || !pending.step[pending.count])
		return false;
	pending.fault[pending.count] = (struct fault){ .vec = r->vec, .err = r->err, .cr2 = read_cr2() };
	pending.step[pending.count++]();
	return true;
}

static void to_away(void) { use_space(pending.away); }
static void clear_wp(void) { check_fault(write_cr0(default_cr0 & ~CR0_WP), NO_FAULT); }
static void set_smep(void) { check_fault(write_cr4(default_cr4 | CR4_SMEP), NO_FAULT); }

static void steps(void (*first)(void), void (*second)(void))
{
	memset(&pending, 0, sizeof(pending));
	pending.step[0] = first;
	pending.step[1] = second;
	hook(VEC_PF, next_step);
}

/* V07: the access is judged by the space and the bits of now, not by those under which it faulted. */
CASE(handler_changes_the_space)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, b, va = WINDOW + 0x5000, home;
	pte_t *here, *there;
	u32 v = 0;

	need_paging();
	b = tagged(0xb);
	home = current_root();
	here = map_page(va, a, 0);
	for (u32 i = 0; i < 3; i++) {
		steps(to_away, NULL);
		pending.away = new_space();
		there = map_at(pending.away, va, b, RWU, 1);
		check_fault(i & 1 ? user_peek32(va, NULL) : peek32(va + TAG_AT, &v), NO_FAULT);
		check_eq(pending.count, 1);
		check_fault(pending.fault[0], PF(i & 1 ? PF_U : 0, i & 1 ? va : va + TAG_AT));
		check_eq(current_root(), pending.away);
		check_eq(v, 0xb);
		check_eq(*there & (PTE_A | PTE_D), PTE_A);
		check_eq(*here, a);
		use_space(home);
		check_fault(peek32(va, NULL), PF(0, va)); /* the hook is at its end */
	}
}

CASE(handler_changes_space_and_wp)
{
	u64 a = PT_LEVELS ? tagged(0xa) : 0, b, va = WINDOW + 0x5000, home;
	pte_t *here, *there;

	need_paging();
	b = tagged(0xb);
	home = current_root();
	here = map_page(va, a, PTE_P | PTE_U); /* warm */
	check_eq(tag_at(va), 0xa);
	for (u32 i = 0; i < 3; i++) {
		steps(to_away, clear_wp);
		pending.away = new_space();
		there = map_at(pending.away, va, b, i & 1 ? PTE_P | PTE_U : PTE_P, 1);
		check_fault(poke32(va, 0x77 + i), NO_FAULT);
		check_eq(pending.count, 2);
		check_fault(pending.fault[0], PF(PF_P | PF_W, va));
		check_fault(pending.fault[1], PF(PF_P | PF_W, va));
		check_eq(*mem32(b), 0x77 + i);
		check_eq(*there & (PTE_A | PTE_D), PTE_A | PTE_D);
		check_eq(*here & PTE_D, 0);
		check_fault(write_cr0(default_cr0), NO_FAULT);
		check_fault(poke32(va, 0), PF(PF_P | PF_W, va));
		use_space(home);
		check_fault(poke32(va, 0), PF(PF_P | PF_W, va));
	}
}

/* A right taken away meanwhile: the access that faulted for one reason faults again for another. */
CASE(handler_takes_a_right)
{
	u64 b = PT_LEVELS ? tagged(0xb) : 0, va = WINDOW + 0x5000, home;

	need_paging();
	if (!cpu.smep)
		skip("no SMEP");
	home = current_root();
	for (u32 i = 0; i < 3; i++) {
		u32 bit = PT_LEVELS >= 3 && cpu.nx ? PF_I : 0;

		steps(i & 1 ? set_smep : to_away, i & 1 ? to_away : set_smep);
		pending.away = new_space();
		map_at(pending.away, va, b, RWU, 1);
		check_fault(fetch(va), i & 1 ? PF(PF_P | PF_I, va) : NO_FAULT);
		check_fault(pending.fault[0], PF(bit, va));
		if (i & 1)
			check_fault(pending.fault[1], PF(PF_I, va));
		check_fault(write_cr4(default_cr4), NO_FAULT);
		check_fault(fetch(va), NO_FAULT);
		use_space(home);
	}
}
