/* SPDX-License-Identifier: BSD-2-Clause */
/* Accesses: one instruction of prim.S each, at CPL 0 or 3, with the fault as the result. */
#include "internal.h"

#define DESCRIPTOR_DATA3 0x00cff2000000ffffull /* flat data, DPL 3, not accessed */
#define DESCRIPTOR_ACCESSED (1ull << 40)
#define SELECTOR_LDT1 0x0f /* second entry of the LDT, RPL 3 */
#define LDT_TYPE 0x82ull

/* prim.S */
ulong cpl0_peek8(ulong a, ulong v), cpl0_peek16(ulong a, ulong v), cpl0_peek32(ulong a, ulong v), cpl0_poke8(ulong a, ulong v),
	cpl0_poke16(ulong a, ulong v), cpl0_poke32(ulong a, ulong v), cpl0_rmw32(ulong a, ulong v), cpl0_locked32(ulong a, ulong v),
	cpl0_fetch(ulong a, ulong v), cpl0_peek64(ulong a, ulong v), cpl0_poke64(ulong a, ulong v);
ulong cpl3_peek8(ulong a, ulong v), cpl3_peek32(ulong a, ulong v), cpl3_poke8(ulong a, ulong v), cpl3_poke32(ulong a, ulong v),
	cpl3_rmw32(ulong a, ulong v), cpl3_locked32(ulong a, ulong v), cpl3_fetch(ulong a, ulong v),
	cpl3_load_segment(ulong a, ulong v);

u64 last_va;
static bool ac;
static u64 ldt_base;

void mem_reset(void)
{
	set_ac(false);
	ldt_base = 0;
	last_va = 0;
}

void set_ac(bool on)
{
	ac = on;
	user_flags = on ? user_flags | EFLAGS_AC : user_flags & ~EFLAGS_AC;
}

static struct fault at_cpl0(guest_fn fn, u64 va, ulong v, ulong *result)
{
	struct fault f;

	last_va = va;
	if (ac)
		write_flags(read_flags() | EFLAGS_AC);
	f = try(fn, va, v, result);
	if (ac)
		write_flags(read_flags() & ~EFLAGS_AC);
	return f;
}

static struct fault at_cpl3(guest_fn fn, u64 va, ulong v, ulong *result)
{
	last_va = va;
	return user_try(fn, va, v, result);
}

void put_descriptor(u64 gpa, bool accessed)
{
	*mem64(gpa) = DESCRIPTOR_DATA3 | (accessed ? DESCRIPTOR_ACCESSED : 0);
}

static void set_ldt(u64 base)
{
	if (base == ldt_base)
		return;
	ldt_base = base;
	gdt[SEL_LDT / 8] = 0xffff | (base & 0xffffff) << 16 | LDT_TYPE << 40 | (base >> 24 & 0xff) << 56;
	gdt[SEL_LDT / 8 + 1] = base >> 32;
	asm volatile("lldt %w0" : : "r"(SEL_LDT) : "memory");
}

struct fault implicit_load(u64 va)
{
	set_ldt(va - 8);
	return at_cpl3(cpl3_load_segment, va, SELECTOR_LDT1, NULL);
}

struct fault access_at(u64 va, enum access_kind kind, enum access_who who, u32 value, u32 *result)
{
	static const guest_fn super[] = { cpl0_peek32, cpl0_poke32, cpl0_fetch, cpl0_rmw32, cpl0_locked32 };
	static const guest_fn user[] = { cpl3_peek32, cpl3_poke32, cpl3_fetch, cpl3_rmw32, cpl3_locked32 };
	struct fault f;
	ulong v = 0;

	if (who == AS_IMPLICIT)
		f = implicit_load(va);
	else
		f = who == AS_USER ? at_cpl3(user[kind], va, value, &v) : at_cpl0(super[kind], va, value, &v);
	if (result)
		*result = v;
	return f;
}

#define PEEK(name, type, at_cpl, insn) \
	struct fault name(u64 va, type *v) \
	{ \
		ulong r; \
		struct fault f = at_cpl(insn, va, 0, &r); \
\
		if (v) \
			*v = r; \
		return f; \
	}
PEEK(peek8, u8, at_cpl0, cpl0_peek8)
PEEK(peek16, u16, at_cpl0, cpl0_peek16)
PEEK(peek32, u32, at_cpl0, cpl0_peek32)
PEEK(user_peek8, u8, at_cpl3, cpl3_peek8)
PEEK(user_peek32, u32, at_cpl3, cpl3_peek32)

#ifdef __x86_64__
PEEK(peek64, u64, at_cpl0, cpl0_peek64)
struct fault poke64(u64 va, u64 v) { return at_cpl0(cpl0_poke64, va, v, NULL); }
#else
struct fault peek64(u64 va, u64 *v)
{
	u32 lo = 0, hi = 0;
	struct fault f = peek32(va, &lo);

	if (!faulted(f))
		f = peek32(va + 4, &hi);
	if (v)
		*v = (u64)hi << 32 | lo;
	return f;
}

struct fault poke64(u64 va, u64 v)
{
	struct fault f = poke32(va, v);

	return faulted(f) ? f : poke32(va + 4, v >> 32);
}
#endif

struct fault poke8(u64 va, u8 v) { return at_cpl0(cpl0_poke8, va, v, NULL); }
struct fault poke16(u64 va, u16 v) { return at_cpl0(cpl0_poke16, va, v, NULL); }
struct fault poke32(u64 va, u32 v) { return at_cpl0(cpl0_poke32, va, v, NULL); }
struct fault fetch(u64 va) { return at_cpl0(cpl0_fetch, va, 0, NULL); }
struct fault user_poke8(u64 va, u8 v) { return at_cpl3(cpl3_poke8, va, v, NULL); }
struct fault user_poke32(u64 va, u32 v) { return at_cpl3(cpl3_poke32, va, v, NULL); }
struct fault user_fetch(u64 va) { return at_cpl3(cpl3_fetch, va, 0, NULL); }

struct fault poke_entry(u64 va, u64 value)
{
	struct fault f;

	if (PTE_SIZE == 4 || sizeof(ulong) == 8)
		return PTE_SIZE == 4 ? poke32(va, value) : poke64(va, value);
	f = poke32(va + 4, value >> 32); /* the high half first, as set_entry() does */
	return faulted(f) ? f : poke32(va, value);
}
