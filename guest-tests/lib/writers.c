/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ways to write to a page, one instruction or one event each: those that a
 * hypervisor may carry out itself, and some that it hardly knows.
 */
#include "host.h"

#define AT 0x800
#define VECTOR 0x51
#ifdef __x86_64__
#define SP "%%rsp"
#else
#define SP "%%esp"
#endif

/* %0 is the value, and the result; %1 the address. */
#define WRITER(name, text) \
	static ulong name(ulong a, ulong v) \
	{ \
		asm volatile(text : "+q"(v) : "r"(a + AT) : "eax", "edx", "memory", "cc"); \
		return v; \
	}

WRITER(store8, "movb %b0, 3(%1)")
WRITER(store16, "movw %w0, 6(%1)")
WRITER(store32, "movl %k0, 8(%1)")
WRITER(store_ulong, "mov %0, 16(%1)")
WRITER(store_immediate, "movl $0x12345678, 4(%1)")
WRITER(store_misaligned, "movl %k0, 13(%1)")
WRITER(exchange, "xchg %k0, (%1)")
WRITER(exchange_add, "lock xaddl %k0, (%1)")
WRITER(add, "addl %k0, (%1)")
WRITER(locked_or, "lock orl %k0, (%1)")
WRITER(negate, "negl (%1)")
WRITER(locked_dec, "lock decl 4(%1)")
WRITER(complement, "btcl $5, (%1)\n setc %b0")
WRITER(compare_exchange, "movl (%1), %%eax\n lock cmpxchgl %k0, (%1)\n sete %b0")
WRITER(compare_exchange_bad, "xorl %%eax, %%eax\n cmpxchgl %k0, (%1)\n movl %%eax, %k0\n addl $1, 32(%1)")
WRITER(shift, "shll $3, (%1)")
WRITER(rotate, "roll $3, (%1)") /* not RCL: when its store faults, QEMU 7.2 has changed CF already */
WRITER(subtract_borrow, "stc\n sbbl %k0, (%1)")
WRITER(set_if, "cmp %0, %0\n sete 1(%1)")
WRITER(pop_into, "push %0\n pop (%1)")
WRITER(store_gdtr, "sgdt (%1)")
WRITER(store_nontemporal, "movnti %k0, (%1)")
WRITER(store_sse, "movd %k0, %%xmm0\n pshufd $0, %%xmm0, %%xmm0\n movups %%xmm0, 1(%1)")
WRITER(save_fpu, "fxsave (%1)")

static ulong compare_exchange_8(ulong a, ulong v)
{
	u32 lo = mem32(a + AT)[0], hi = mem32(a + AT)[1];

	asm volatile("lock cmpxchg8b (%3)\n sete %%bl" : "+a"(lo), "+d"(hi), "+b"(v) : "S"(a + AT), "c"(77) : "memory", "cc");
	return v & 0xff;
}

static ulong rep_stos(ulong a, ulong v)
{
	ulong di = a + AT, n = 11;

	asm volatile("rep stosl" : "+D"(di), "+c"(n) : "a"(v) : "memory");
	return di - a + n;
}

static ulong rep_stos_down(ulong a, ulong v)
{
	ulong di = a + AT, n = 9;

	asm volatile("std\n rep stosb\n cld" : "+D"(di), "+c"(n) : "a"(v) : "memory", "cc");
	return di - a + n;
}

static ulong rep_movs(ulong a, ulong v)
{
	ulong si = a + 64, di = a + AT + v % 16, n = 9;

	asm volatile("rep movsl" : "+S"(si), "+D"(di), "+c"(n) : : "memory");
	return di + si - 2 * a + n;
}

static ulong push(ulong a, ulong v)
{
	ulong sp;

	asm volatile("mov " SP ", %0\n mov %1, " SP "\n push %2\n mov %0, " SP : "=&r"(sp) : "r"(a + AT), "r"(v) : "memory");
	return 0;
}

static ulong call_there(ulong a, ulong v)
{
	ulong sp;

	asm volatile("mov " SP ", %0\n mov %1, " SP "\n call 1f\n1:\n mov %0, " SP : "=&r"(sp) : "r"(a + AT) : "memory");
	return v;
}

INSN(interrupt, "int $0x51")

/* The frame, and all that the handler pushes. */
static ulong event(ulong a, ulong v)
{
	set_gate(idt + VECTOR * GATE_SIZE, (ulong)vectors + VECTOR * 16, SEL_KCODE, 0x8e, 0);
	hook(VECTOR, hook_return);
	on_stack(a + PAGE_SIZE - 64, (ulong)interrupt);
	return v;
}

const struct writer writers[] = {
	{ "mov8", store8, 0 },
	{ "mov16", store16, 0 },
	{ "mov32", store32, 0 },
	{ "mov", store_ulong, 0 },
	{ "mov imm", store_immediate, 0 },
	{ "mov misaligned", store_misaligned, 0 },
	{ "xchg", exchange, 0 },
	{ "lock xadd", exchange_add, 0 },
	{ "add", add, 0 },
	{ "lock or", locked_or, 0 },
	{ "neg", negate, 0 },
	{ "lock dec", locked_dec, 0 },
	{ "btc", complement, 0 },
	{ "lock cmpxchg", compare_exchange, 0 },
	{ "cmpxchg unequal", compare_exchange_bad, 0 },
	{ "lock cmpxchg8b", compare_exchange_8, 0 },
	{ "shl", shift, 0 },
	{ "rol", rotate, 0 },
	{ "sbb", subtract_borrow, 0 },
	{ "sete", set_if, 0 },
	{ "pop", pop_into, 0 },
	{ "push", push, 0 },
	{ "call", call_there, 0 },
	{ "rep stos", rep_stos, 0 },
	{ "rep stos down", rep_stos_down, 0 },
	{ "rep movs", rep_movs, 0 },
	{ "sgdt", store_gdtr, 0 },
	{ "movnti", store_nontemporal, WRITER_SSE2 },
	{ "movups", store_sse, WRITER_SSE2 },
	{ "fxsave", save_fpu, WRITER_SSE2 },
	{ "int", event, WRITER_LOOSE },
};
const u32 nwriters = ARRAY_SIZE(writers);

bool writer_usable(const struct writer *w) { return !(w->flags & WRITER_SSE2) || cpu.sse2; }

ulong write_by(const struct writer *w, u64 va, u32 value)
{
	ulong result = 0;

	if (!check_fault(try(w->fn, va, value, &result), NO_FAULT))
		note("  by %s", w->name);
	return result;
}
