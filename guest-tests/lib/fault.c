/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions become values.  Every vector has a stub that ends in exception();
 * guard_sp is the innermost try() to go back to.  Outside any try() the case
 * fails, with the registers printed.
 */
#include "internal.h"

ulong user_flags, user_stack;
u32 exception_count[256];
struct regs hook_regs;

static hook_fn hooks[256];
static struct fault caught;
static ulong user_result;

void hook(u8 vector, hook_fn fn)
{
	hooks[vector] = fn;
}

bool hook_record(struct regs *r)
{
	hook_regs = *r;
	return false;
}

bool hook_return(struct regs *r)
{
	hook_regs = *r;
	return true;
}

void fault_reset(void)
{
	memset(hooks, 0, sizeof(hooks));
	memset(exception_count, 0, sizeof(exception_count));
	user_flags = EFLAGS_RSV1;
	user_stack = (ulong)user_stack_top;
}

void exception(struct regs *r)
{
	struct fault f = { .vec = r->vec, .err = r->err, .ip = r->ip, .cr2 = r->vec == VEC_PF ? read_cr2() : 0 };

	exception_count[f.vec]++;
	if (hooks[f.vec] && hooks[f.vec](r))
		return;
	if (f.vec == VEC_USER && (r->cs & 3)) {
		user_result = r->ax;
		guard_leave();
	}
	if (!guard_sp)
		fatal("exception %u error %lx at %lx cr2 %lx before the first case", f.vec, r->err, r->ip, read_cr2());
	if (guard_sp == case_sp)
		case_unexpected(r, f);
	caught = f;
	guard_leave();
}

struct fault try(guest_fn fn, ulong a, ulong b, ulong *result)
{
	ulong v;

	caught = NO_FAULT;
	v = guarded(fn, a, b);
	if (result)
		*result = v;
	return caught;
}

struct fault user_try(guest_fn fn, ulong a, ulong b, ulong *result)
{
	caught = NO_FAULT;
	user_enter(fn, a, b);
	if (result)
		*result = user_result;
	return caught;
}

ulong on_stack(ulong sp, ulong fn)
{
#ifdef __x86_64__
	asm volatile("mov %%rsp,%%rbx; mov %0,%%rsp; call *%1; mov %%rbx,%%rsp"
		     : "+r"(sp), "+r"(fn) : : "rbx", "rcx", "rdx", "memory", "cc");
#else
	asm volatile("mov %%esp,%%ebx; mov %0,%%esp; call *%1; mov %%ebx,%%esp"
		     : "+r"(sp), "+r"(fn) : : "ebx", "ecx", "memory", "cc");
#endif
	return 0;
}

bool fault_equal(struct fault a, struct fault b)
{
	return a.vec == b.vec && (a.vec == VEC_NONE || (a.err == b.err && a.cr2 == b.cr2));
}

const char *fault_text(struct fault f, char buf[64])
{
	static const char names[][4] = { "DE", "DB", "NMI", "BP", "OF", "BR", "UD", "NM", "DF", "9", "TS",
					 "NP", "SS", "GP", "PF", "15", "MF", "AC", "MC", "XM" };

	if (f.vec == VEC_NONE)
		print_to(buf, 64, "no fault");
	else if (f.vec == VEC_PF)
		print_to(buf, 64, "#PF[%04x] cr2=%llx", f.err, f.cr2);
	else if (f.vec < ARRAY_SIZE(names))
		print_to(buf, 64, "#%s[%04x]", names[f.vec], f.err);
	else
		print_to(buf, 64, "vector %#x", f.vec);
	return buf;
}
