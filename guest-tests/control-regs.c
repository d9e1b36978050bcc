/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control registers: bits that change what warm translations allow, without
 * any CR3 load; values that are refused and must change nothing; read-back;
 * every form of the instructions.  SDM vol. 3, 2.5 "Control Registers", 4.10.4.
 */
#include "test.h"

#define WARM (PTE_A | PTE_D)

/* I/D in error codes of fetches: only where NXE or SMEP makes fetches special. */
static u32 fetch_bit(void)
{
	return (read_cr4() & CR4_SMEP) || (PT_LEVELS >= 3 && (read_efer() & EFER_NXE)) ? PF_I : 0;
}

/* ---- toggles on warm tables ------------------------------------------------- */

CASE(wp)
{
	u64 f = new_frame();
	pte_t *e;

	need_paging();
	e = map_page(WINDOW, f, PTE_P);
	map_page(WINDOW + 0x1000, f, PTE_P | PTE_U);
	for (u32 i = 0; i < 3; i++) {
		check_fault(peek32(WINDOW, NULL), NO_FAULT);
		check_fault(poke32(WINDOW, i), PF(PF_P | PF_W, WINDOW));
		check_fault(poke32(WINDOW + 0x1000, i), PF(PF_P | PF_W, WINDOW + 0x1000));
		check_eq(*e & PTE_D, i ? PTE_D : 0);
		check_fault(write_cr0(default_cr0 & ~CR0_WP), NO_FAULT);
		check_fault(poke32(WINDOW, 0x10 + i), NO_FAULT);
		check_eq(*mem32(f), 0x10 + i);
		check_eq(*e, f | PTE_P | PTE_A | PTE_D);
		check_fault(poke32(WINDOW + 0x1000, 0x20 + i), NO_FAULT);
		check_fault(user_peek32(WINDOW + 0x1000, NULL), NO_FAULT);
		check_fault(user_poke32(WINDOW + 0x1000, i), PF(PF_P | PF_W | PF_U, WINDOW + 0x1000));
		check_fault(poke32(WINDOW + 0x1000, 0x30 + i), NO_FAULT);
		check_fault(user_poke32(WINDOW, i), PF(PF_P | PF_W | PF_U, WINDOW));
		check_fault(write_cr0(default_cr0), NO_FAULT);
	}
}

CASE(smep)
{
	u64 f = new_frame();
	u32 bit;

	need_paging();
	if (!cpu.smep)
		skip("no SMEP");
	*mem8(f) = RET;
	map_page(WINDOW, f, RWU | WARM);
	map_page(WINDOW + 0x1000, f, RWU);
	bit = fetch_bit();
	for (u32 i = 0; i < 2; i++) {
		check_fault(user_fetch(WINDOW), NO_FAULT);
		check_fault(fetch(WINDOW), NO_FAULT);
		check_fault(write_cr4(default_cr4 | CR4_SMEP), NO_FAULT);
		check_fault(fetch(WINDOW), PF(PF_P | PF_I, WINDOW));
		check_fault(user_fetch(WINDOW), NO_FAULT);
		check_fault(user_fetch(WINDOW + 0x1000), NO_FAULT); /* the user's access must not open it */
		check_fault(fetch(WINDOW + 0x1000), PF(PF_P | PF_I, WINDOW + 0x1000));
		check_fault(poke32(WINDOW, RET), NO_FAULT);
		check_fault(fetch(WINDOW + 0x2000), PF(PF_I, WINDOW + 0x2000));
		check_fault(write_cr4(default_cr4), NO_FAULT);
		check_fault(fetch(WINDOW + 0x1000), NO_FAULT);
		check_fault(fetch(WINDOW + 0x2000), PF(bit, WINDOW + 0x2000));
	}
}

CASE(smap)
{
	u64 f = new_frame();
	pte_t *e;

	need_paging();
	if (!cpu.smap)
		skip("no SMAP");
	*mem8(f) = RET;
	e = map_page(WINDOW, f, RWU);
	for (u32 i = 0; i < 2; i++) {
		check_fault(peek32(WINDOW, NULL), NO_FAULT);
		check_eq(*e & PTE_D, i ? PTE_D : 0);
		check_fault(write_cr4(default_cr4 | CR4_SMAP), NO_FAULT);
		check_fault(peek32(WINDOW, NULL), PF(PF_P, WINDOW));
		check_fault(poke32(WINDOW, RET), PF(PF_P | PF_W, WINDOW));
		check_fault(user_poke32(WINDOW, RET), NO_FAULT);
		check_fault(peek32(WINDOW, NULL), PF(PF_P, WINDOW));
		check_fault(poke32(WINDOW, RET), PF(PF_P | PF_W, WINDOW));
		check_fault(fetch(WINDOW), NO_FAULT);
		set_ac(true);
		check_fault(poke32(WINDOW, RET), NO_FAULT);
		set_ac(false);
		check_fault(peek32(WINDOW, NULL), PF(PF_P, WINDOW));
		check_fault(write_cr4(default_cr4), NO_FAULT);
		check_fault(poke32(WINDOW, RET), NO_FAULT);
	}
}

CASE(nxe)
{
	u64 f = new_frame();
	u64 without = default_efer & ~EFER_NXE;

	need_paging();
	if (PT_LEVELS < 3 || !cpu.nx)
		skip("no NX bit");
	*mem8(f) = RET;
	map_page(WINDOW, f, RWU | WARM | PTE_NX);
	map_page(WINDOW + 0x1000, f, RWU | WARM);
	for (u32 i = 0; i < 2; i++) {
		check_fault(poke8(WINDOW, RET), NO_FAULT);
		check_fault(fetch(WINDOW), PF(PF_P | PF_I, WINDOW));
		check_fault(fetch(WINDOW + 0x2000), PF(PF_I, WINDOW + 0x2000));
		check_fault(write_efer(without), NO_FAULT);
		flush(); /* the manuals do not say that WRMSR ends translations */
		check_fault(peek8(WINDOW, NULL), PF(PF_P | PF_RSVD, WINDOW));
		check_fault(user_poke8(WINDOW, 0), PF(PF_P | PF_W | PF_U | PF_RSVD, WINDOW));
		check_fault(fetch(WINDOW), PF(PF_P | PF_RSVD, WINDOW));
		check_fault(fetch(WINDOW + 0x1000), NO_FAULT);
		check_fault(fetch(WINDOW + 0x2000), PF(0, WINDOW + 0x2000));
		check_fault(write_efer(default_efer), NO_FAULT); /* nothing of WINDOW may be cached: it faulted */
	}
}

#ifdef MODE_PSE
CASE(pse)
{
	u64 large = new_large(), small = new_frame();
	u32 v = 0;

	if (!cpu.pse)
		skip("no PSE");
	memset(mem8(large), 0, PAGE_SIZE);
	*mem32(large + 0x5000) = 0x4;
	*mem32(small) = 0x5;
	mem32(large)[5] = small | RWU; /* the large page's first frame is a table as well */
	map_large(WINDOW, large, RWU);
	for (u32 i = 0; i < 2; i++) {
		check_fault(peek32(WINDOW + 0x5000, &v), NO_FAULT);
		check_eq(v, 0x4);
		check_fault(write_cr4(default_cr4 & ~CR4_PSE), NO_FAULT);
		if (!options.strict)
			flush(); /* AMD says that the write did it, Intel does not */
		check_fault(peek32(WINDOW + 0x5000, &v), NO_FAULT);
		check_eq(v, 0x5);
		check_fault(peek32(WINDOW + 0x6000, NULL), PF(0, WINDOW + 0x6000));
		check_fault(write_cr4(default_cr4), NO_FAULT);
		if (!options.strict)
			flush();
	}
}
#endif

/* Toggling PGE ends all translations; without PGE the G bit means nothing. */
CASE(pge)
{
	u64 a = new_frame(), b = new_frame();
	pte_t *e;
	u32 v = 0;

	need_paging();
	if (!cpu.pge)
		skip("no PGE");
	*mem32(a) = 0xa;
	*mem32(b) = 0xb;
	e = map_page(WINDOW, a, RWU | PTE_G);
	for (u32 i = 0; i < 2; i++) {
		check_fault(write_cr4(default_cr4 | CR4_PGE), NO_FAULT);
		check_fault(peek32(WINDOW, &v), NO_FAULT);
		check_eq(v, 0xa);
		set_entry(e, b | RWU | PTE_G);
		check_fault(write_cr4(default_cr4), NO_FAULT);
		check_fault(peek32(WINDOW, &v), NO_FAULT);
		check_eq(v, 0xb);
		set_entry(e, a | RWU | PTE_G);
		flush(); /* PGE is clear: not spared */
		check_fault(peek32(WINDOW, &v), NO_FAULT);
		check_eq(v, 0xa);
		set_entry(e, 0);
		check_fault(write_cr4(default_cr4 | CR4_PGE), NO_FAULT);
		check_fault(peek32(WINDOW, NULL), PF(0, WINDOW));
		set_entry(e, a | RWU | PTE_G);
	}
}

CASE(cache_disable)
{
	u64 f = new_frame();
	u32 v = 0;

	if (PT_LEVELS)
		map_page(WINDOW, f, RWU);
	*mem32(f) = 0xcd;
	check_fault(write_cr0(default_cr0 | CR0_CD), NO_FAULT);
	check_eq(read_cr0(), default_cr0 | CR0_CD);
	check_fault(peek32(PT_LEVELS ? WINDOW : f, &v), NO_FAULT);
	check_eq(v, 0xcd);
	check_fault(poke32(PT_LEVELS ? WINDOW : f, 0xce), NO_FAULT);
	check_eq(*mem32(f), 0xce);
	check_fault(write_cr0(default_cr0), NO_FAULT);
	check_eq(*mem32(f), 0xce);
}

/* ---- read-back and forms ---------------------------------------------------- */

CASE(read_back)
{
	static const u32 cr0_bits[] = { CR0_MP, CR0_EM, CR0_TS, CR0_AM, CR0_WP, CR0_NE };
	static const u32 cr4_bits[] = { CR4_PSE, CR4_PGE, CR4_OSFXSR, CR4_SMEP, CR4_SMAP };
	const bool have[] = { cpu.pse, cpu.pge, cpu.sse, cpu.smep, cpu.smap };
	ulong root = read_cr3() & ~0xffful;

	for (u32 i = 0; i < ARRAY_SIZE(cr0_bits); i++) {
		check_fault(write_cr0(default_cr0 ^ cr0_bits[i]), NO_FAULT);
		check_eq(read_cr0(), default_cr0 ^ cr0_bits[i]);
	}
	check_fault(write_cr0(default_cr0 & ~CR0_ET), NO_FAULT); /* ET is always 1 */
	check_eq(read_cr0(), default_cr0);
	for (ulong bits = 0; bits <= (CR3_PWT | CR3_PCD); bits += CR3_PWT) {
		check_fault(write_cr3(root | bits), NO_FAULT);
		check_eq(read_cr3(), root | bits);
	}
	for (u32 i = 0; i < ARRAY_SIZE(cr4_bits); i++) {
		if (!have[i])
			continue;
		check_fault(write_cr4(default_cr4 ^ cr4_bits[i]), NO_FAULT);
		check_eq(read_cr4(), default_cr4 ^ cr4_bits[i]);
		check_fault(write_cr4(default_cr4), NO_FAULT);
	}
	write_cr2(0x1234567);
	check_eq(read_cr2(), 0x1234567);
	if (read_efer() || cpu.nx)
		check_eq(read_efer(), default_efer);
}

#ifdef __x86_64__
#define EACH_REGISTER(f) \
	f("ax") f("cx") f("dx") f("bx") f("bp") f("si") f("di") \
	f("8") f("9") f("10") f("11") f("12") f("13") f("14") f("15")
#else
#define EACH_REGISTER(f) f("ax") f("cx") f("dx") f("bx") f("bp") f("si") f("di")
#endif

/* MOV to and from CR2 (no paging at stake) and CR3 through one register each: ax and the stack pass the value. */
#ifdef __x86_64__
#define THROUGH(r) \
	asm volatile("push %%rbp; push %%rax; pop %%r" r "; mov %%r" r ",%%cr2; xor %%eax,%%eax; mov %%cr2,%%r" r "; push %%r" r ";" \
		     "mov %%cr3,%%r" r "; mov %%r" r ",%%cr3; pop %%rax; pop %%rbp" \
		     : "+a"(v) : : "rcx", "rdx", "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory"); \
	check_through(r, v);
#else
#define THROUGH(r) \
	asm volatile("push %%ebp; push %%eax; pop %%e" r "; mov %%e" r ",%%cr2; xor %%eax,%%eax; mov %%cr2,%%e" r "; push %%e" r ";" \
		     "mov %%cr3,%%e" r "; mov %%e" r ",%%cr3; pop %%eax; pop %%ebp" : "+a"(v) : : "ecx", "edx", "ebx", "esi", "edi", "memory"); \
	check_through(r, v);
#endif

static ulong through_cr3;

static void check_through(const char *r, ulong v)
{
	if (v != 0x5a5a5000 || read_cr2() != v || read_cr3() != through_cr3)
		fail("through %s: value %lx, cr2 %lx, cr3 %lx", r, v, read_cr2(), read_cr3());
}

CASE(mov_through_each_register)
{
	ulong v = 0x5a5a5000, from_sp, kept;

	through_cr3 = read_cr3();
	EACH_REGISTER(THROUGH)
#ifdef __x86_64__
	asm volatile("mov %%rsp,%1; mov %%cr3,%%rsp; mov %%rsp,%0; mov %%rsp,%%cr3; mov %1,%%rsp" : "=&r"(from_sp), "=&r"(kept) : : "memory");
#else
	asm volatile("mov %%esp,%1; mov %%cr3,%%esp; mov %%esp,%0; mov %%esp,%%cr3; mov %1,%%esp" : "=&r"(from_sp), "=&r"(kept) : : "memory");
#endif
	check_eq(from_sp, through_cr3);
}

INSN(mov_cr1, "mov %%cr1,%0")
INSN(mov_cr5, "mov %0,%%cr5")

CASE(no_such_register)
{
	check_fault(try(mov_cr1, 0, 0, NULL), FAULT(VEC_UD));
	check_fault(try(mov_cr5, 0, 0, NULL), FAULT(VEC_UD));
}

INSN(smsw_mem, "smsw (%0)")
INSN(lmsw_mem, "lmsw (%0)")
INSN(lmsw_reg, "lmsw %w0")

CASE(smsw_lmsw_clts)
{
	u64 f = new_frame(), at = PT_LEVELS ? WINDOW : f;
	ulong v;

	if (PT_LEVELS)
		map_page(WINDOW, f, RWU);
	*mem32(f) = *mem32(f + 4) = 0xffffffff;
	v = ~0ul;
	asm volatile("smsw %w0" : "+r"(v)); /* 16 bits: the rest stays */
	check_eq(v, (~0ul << 16) | (default_cr0 & 0xffff));
	asm volatile("smsw %0" : "+r"(v));
	check_eq(v, default_cr0);
	check_fault(try(smsw_mem, at, 0, NULL), NO_FAULT);
	check_eq(*mem32(f), 0xffff0000 | (default_cr0 & 0xffff)); /* memory: always 16 bits */
	check_fault(try(lmsw_reg, (default_cr0 & ~CR0_PE) | CR0_TS, 0, NULL), NO_FAULT); /* cannot clear PE */
	check_eq(read_cr0(), default_cr0 | CR0_TS);
	asm volatile("clts");
	check_eq(read_cr0(), default_cr0);
	*mem32(f) = 0xfff1 | CR0_EM; /* only the low four bits count */
	check_fault(try(lmsw_mem, at, 0, NULL), NO_FAULT);
	check_eq(read_cr0(), (default_cr0 & ~0xeull) | CR0_EM);
	check_fault(write_cr0(default_cr0), NO_FAULT);
	if (!PT_LEVELS)
		return;
	check_fault(try(smsw_mem, WINDOW + 0x1000, 0, NULL), PF(PF_W, WINDOW + 0x1000));
	check_fault(try(lmsw_mem, WINDOW + 0x1fff, 0, NULL), PF(0, WINDOW + 0x1fff));
	check_fault(try(lmsw_mem, WINDOW + 0xfff, 0, NULL), PF(0, WINDOW + 0x1000));
	check_eq(read_cr0(), default_cr0);
}
