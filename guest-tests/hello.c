/* SPDX-License-Identifier: BSD-2-Clause */
/* The library itself: accesses, faults as values, user mode, tables.  Everything else stands on these. */
#include "test.h"


CASE(memory)
{
	u64 f = new_frame();
	u32 v = 0;

	check(arena_end - arena_start >= 12 * MIB);
	check_eq(f & 0xfff, 0);
	check_fault(poke32(f, 0x12345678), NO_FAULT);
	check_fault(peek32(f, &v), NO_FAULT);
	check_eq(v, 0x12345678);
}

static ulong undefined(ulong a, ulong b)
{
	(void)b;
	asm volatile("ud2");
	return a;
}

static ulong load_gs(ulong selector, ulong b)
{
	(void)b;
	asm volatile("mov %w0,%%gs" : : "r"(selector));
	return 0;
}

CASE(exceptions_are_values)
{
	ulong v = 0;

	check_fault(try(undefined, 1, 0, NULL), FAULT(VEC_UD));
	check_fault(try(load_gs, 0xff8, 0, NULL), FAULT_ERR(VEC_GP, 0xff8)); /* beyond the GDT */
	check_fault(try(load_gs, SEL_KDATA, 0, &v), NO_FAULT);
	check_eq(exception_count[VEC_GP], 1);
}

USER_CODE static ulong add(ulong a, ulong b)
{
	return a + b;
}

USER_CODE static ulong halt(ulong a, ulong b)
{
	(void)b;
	asm volatile("hlt");
	return a;
}

CASE(user_mode)
{
	ulong sum = 0;

	check_fault(user_try(add, 40, 2, &sum), NO_FAULT);
	check_eq(sum, 42);
	check_fault(user_try(halt, 0, 0, NULL), FAULT_ERR(VEC_GP, 0));
}

CASE(mapping)
{
	u64 f = new_frame();
	u32 v = 0;
	pte_t *e;

	need_paging();
	e = map_page(WINDOW + 0x5000, f, RWU);
	*mem32(f) = 0xc0de;
	check_fault(peek32(WINDOW + 0x5000, &v), NO_FAULT);
	check_eq(v, 0xc0de);
	check_eq(*e, f | RWU | PTE_A);
	check_fault(user_poke32(WINDOW + 0x5004, 7), NO_FAULT);
	check_eq(mem32(f)[1], 7);
	check_eq(*e, f | RWU | PTE_A | PTE_D);
	check_fault(peek32(WINDOW + 0x6000, NULL), PF(0, WINDOW + 0x6000));
	check_fault(user_poke32(WINDOW + 0x6000, 1), PF(PF_U | PF_W, WINDOW + 0x6000));
}

CASE(remapping)
{
	u64 a = new_frame(), b = new_frame();
	u32 v = 0;
	pte_t *e;

	need_paging();
	*mem32(a) = 1;
	*mem32(b) = 2;
	e = map_page(WINDOW, a, RWU);
	check_fault(peek32(WINDOW, &v), NO_FAULT);
	check_eq(v, 1);
	set_entry(e, b | RWU);
	invlpg(WINDOW);
	check_fault(peek32(WINDOW, &v), NO_FAULT);
	check_eq(v, 2);
	set_entry(e, b | PTE_P);
	invlpg(WINDOW);
	check_fault(poke32(WINDOW, 3), PF(PF_P | PF_W, WINDOW));
	check_fault(user_peek32(WINDOW, NULL), PF(PF_P | PF_U, WINDOW));
}

CASE(implicit_access)
{
	u64 f = new_frame();

	need_paging();
	put_descriptor(f + 8, true);
	map_page(WINDOW, f, PTE_P);
	check_fault(implicit_load(WINDOW + 8), NO_FAULT);
	check_fault(user_peek32(WINDOW + 8, NULL), PF(PF_P | PF_U, WINDOW + 8));
	check_fault(implicit_load(WINDOW + 0x1008), PF(0, WINDOW + 0x1008));
}

CASE(fetch_and_spaces)
{
	u64 f = new_frame(), first, second;

	need_paging();
	*mem8(f) = 0xc3;
	map_page(WINDOW, f, RWU);
	check_fault(user_fetch(WINDOW), NO_FAULT);
	first = current_root();
	second = new_space();
	use_space(second);
	check_fault(peek8(WINDOW, NULL), PF(0, WINDOW));
	use_space(first);
	check_fault(fetch(WINDOW), NO_FAULT);
}

CASE(large_page)
{
	u64 f;
	u32 v = 0;

	need_paging();
	if (!cpu.pse)
		skip("no large pages");
	f = new_large();
	map_large(WINDOW, f, RWU);
	*mem32(f + LARGE_SIZE - 4) = 99;
	check_fault(user_peek32(WINDOW + LARGE_SIZE - 4, &v), NO_FAULT);
	check_eq(v, 99);
}
