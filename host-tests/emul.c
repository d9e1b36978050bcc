/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The emulator where emul_native.c cannot go: 16- and 32-bit code, segments,
 * faults and pauses in the middle, refusals.  Each case runs one instruction
 * in a world of a few pages; CODE is its page, DATA to DATA + 0x2fff are the
 * writable ones, then RODATA.
 */
#include <stdio.h>

#include "emul_cases.h"

struct world w;
static bool failed;

void check_value(const char *file, int line, const char *what, u64 got, u64 want)
{
	if (got == want)
		return;
	tap_note("%s:%d: %s is %#lx, want %#lx", file, line, what, got, want);
	failed = true;
}

void begin(enum emul_mode mode)
{
	world_init(&w, mode);
	world_page(&w, CODE, false);
	for (u64 p = DATA; p < RODATA; p += PAGE_SIZE)
		memset(world_page(&w, p, true)->data, 0x11, PAGE_SIZE);
	world_page(&w, RODATA, false);
	w.c.rip = CODE + 0x100;
	w.c.rflags |= RFLAGS_RF;
}

enum emul_status run(const char *hex)
{
	u64 at = w.c.rip + w.seg[CS].base;
	unsigned v;

	for (; sscanf(hex, "%2x", &v) == 1; hex += hex[2] ? 3 : 2)
		world_set(&w, at++, v, 1);
	return emul_write(&w.c);
}

CASE(offset_of_16_bits_wraps)
{
	begin(EMUL_16);
	w.seg[DS].base = DATA - 0x100;
	w.regs[RBX] = 0xdead8000; /* the upper half does not count */
	w.regs[RSI] = 0xffff8ff0;
	w.regs[RAX] = 0x1234;
	equal(run("89 40 20"), EMUL_DONE); /* mov [bx+si+0x20], ax */
	equal(world_get(&w, DATA - 0x100 + 0x1010, 2), 0x1234);
	equal(w.c.rip, CODE + 0x103);
	equal(w.c.rflags & RFLAGS_RF, 0);
}

CASE(linear_address_of_32_bits_wraps)
{
	begin(EMUL_32);
	w.seg[DS].base = 0xfffff000;
	w.regs[RDI] = DATA + 0x1008;
	w.regs[RAX] = 0x12345678;
	equal(run("89 07"), EMUL_DONE);
	equal(world_get(&w, DATA + 8, 4), 0x12345678);
}

CASE(operand_across_4_gib_is_left)
{
	begin(EMUL_32);
	w.regs[RDI] = 0xfffffffe;
	equal(run("89 07"), EMUL_UNKNOWN);
}

CASE(want_wraps_with_the_address)
{
	begin(EMUL_32);
	w.c.has_want = true;
	w.c.want_gva = DATA + 1;
	w.seg[DS].base = 0xffff0000;
	w.regs[RDI] = DATA + 0x10000;
	equal(run("66 89 07"), EMUL_DONE);
	w.c.want_gva = DATA + 2;
	equal(run("66 89 07"), EMUL_UNKNOWN);
	equal(w.writes, 1);
}

CASE(override_and_default_segments)
{
	begin(EMUL_32);
	w.seg[SS].base = 0x100;
	w.seg[DS].base = 0x200;
	w.seg[FS].base = 0x300;
	w.regs[RBP] = w.regs[RBX] = DATA;
	w.regs[RAX] = 7;
	equal(run("89 45 00"), EMUL_DONE); /* [ebp] */
	equal(run("89 03"), EMUL_DONE); /* [ebx] */
	equal(run("64 89 45 00"), EMUL_DONE);
	equal(world_get(&w, DATA + 0x100, 4), 7);
	equal(world_get(&w, DATA + 0x200, 4), 7);
	equal(world_get(&w, DATA + 0x300, 4), 7);
}

CASE(long_mode_ignores_four_bases)
{
	begin(EMUL_64);
	w.seg[CS].base = 0;
	w.seg[SS].base = w.seg[DS].base = w.seg[ES].base = 0x5000;
	w.seg[FS].base = 0x10;
	w.regs[RBP] = DATA;
	w.regs[RAX] = 7;
	equal(run("48 89 45 00"), EMUL_DONE);
	equal(run("64 48 89 45 00"), EMUL_DONE);
	equal(world_get(&w, DATA, 8), 7);
	equal(world_get(&w, DATA + 0x10, 8), 7);
}

CASE(rip_relative_counts_the_immediate)
{
	begin(EMUL_64);
	w.c.rip = CODE;
	equal(run("c7 05 f6 0f 00 00 78 56 34 12"), EMUL_DONE); /* 10 bytes: CODE + 10 + 0xff6 */
	equal(world_get(&w, DATA, 4), 0x12345678);
}

CASE(bit_string_below_and_above)
{
	begin(EMUL_16);
	w.regs[RBX] = DATA + 0x100;
	w.regs[RCX] = 0x7fffff71; /* CX: -143, that is bit 1 of the word 9 words down */
	world_set(&w, DATA + 0x100 - 18, 0, 2);
	equal(run("0f ab 0f"), EMUL_DONE);
	equal(world_get(&w, DATA + 0x100 - 18, 2), 2);
	equal(w.c.rflags & RFLAGS_CF, 0);
	w.regs[RCX] = 100; /* word 6, bit 4 */
	equal(run("0f bb 0f"), EMUL_DONE); /* btc */
	equal(world_get(&w, DATA + 0x10c, 2), 0x1101);
	equal(w.c.rflags & RFLAGS_CF, RFLAGS_CF);
}

CASE(bit_string_want_is_where_it_lands)
{
	begin(EMUL_32);
	w.regs[RBX] = DATA;
	w.regs[RCX] = 0x8000; /* 0x1000 bytes on */
	w.c.has_want = true;
	w.c.want_gva = DATA + 0x1003;
	equal(run("0f ab 0b"), EMUL_DONE);
	w.c.want_gva = DATA;
	equal(run("0f ab 0b"), EMUL_UNKNOWN);
}

CASE(second_page_refuses)
{
	begin(EMUL_64);
	w.regs[RDI] = RODATA - 3;
	w.regs[RAX] = 0x1122334455667788;
	equal(run("48 89 07"), EMUL_FAULT);
	equal(w.c.fault.gva, RODATA);
	equal(w.c.fault.error, PF_ERR_P | PF_ERR_W);
	equal(run("48 01 07"), EMUL_FAULT);
	equal(w.c.fault.gva, RODATA);
	equal(world_get(&w, RODATA - 3, 3), 0x111111);
	equal(w.c.rip, CODE + 0x100);
	equal(w.c.rflags & RFLAGS_RF, RFLAGS_RF);
}

CASE(failed_compare_still_writes)
{
	begin(EMUL_64);
	w.regs[RDI] = RODATA;
	equal(run("0f b1 0f"), EMUL_FAULT);
	equal(w.c.fault.error, PF_ERR_W | PF_ERR_P);
	equal(w.regs[RAX], 0);
	w.regs[RDI] = DATA;
	w.regs[RCX] = 5;
	equal(run("f0 0f b1 0f"), EMUL_DONE);
	equal(w.cmpxchgs, 1);
	equal(w.regs[RAX], 0x11111111);
	equal(world_get(&w, DATA, 4), 0x11111111);
	equal(w.c.rflags & RFLAGS_ZF, 0);
}

CASE(cmpxchg16b_wants_alignment)
{
	begin(EMUL_64);
	w.regs[RDI] = DATA + 8;
	equal(run("48 0f c7 0f"), EMUL_EXCEPTION);
	equal(w.c.vector, VEC_GP);
	equal(w.c.error, 0);
	equal(run("0f c7 0f"), EMUL_DONE);
}

CASE(aligned_stores)
{
	begin(EMUL_64);
	w.regs[RDI] = DATA + 8;
	equal(run("0f 29 07"), EMUL_EXCEPTION); /* movaps */
	equal(w.c.vector, VEC_GP);
	equal(run("0f 11 07"), EMUL_DONE);
	equal(run("c5 fe 7f 07"), EMUL_UNKNOWN); /* 256 bits */
	equal(run("0f ae 07"), EMUL_UNKNOWN); /* fxsave */
}

CASE(races_are_retried)
{
	begin(EMUL_64);
	w.regs[RDI] = DATA;
	w.regs[RAX] = 0x100;
	w.races = 3;
	equal(run("f0 48 0f c1 07"), EMUL_DONE);
	equal(w.regs[RAX], 0x1111111111111114);
	equal(world_get(&w, DATA, 8), 0x1111111111111214);
	w.races = ~0u;
	equal(run("48 01 07"), EMUL_UNKNOWN);
	equal(w.cmpxchgs, 1);
}

CASE(hole_anywhere_in_the_operand)
{
	begin(EMUL_64);
	w.regs[RDI] = w.regs[RBP] = 0x00007ffffffffffc;
	equal(run("48 89 07"), EMUL_EXCEPTION);
	equal(w.c.vector, VEC_GP);
	equal(run("48 89 45 00"), EMUL_EXCEPTION);
	equal(w.c.vector, VEC_SS);
	w.regs[RDI] = 0x00007ffffffffffc;
	equal(run("0f c7 0f"), EMUL_EXCEPTION); /* cmpxchg8b */
	w.regs[RDI] = 0xffff7ffffffffffc;
	equal(run("89 07"), EMUL_EXCEPTION);
}

CASE(alignment_check_is_left)
{
	begin(EMUL_64);
	w.regs[RDI] = DATA + 2;
	w.c.cpl = 3;
	w.c.cr0 |= CR0_AM;
	w.c.rflags |= RFLAGS_AC;
	equal(run("89 07"), EMUL_UNKNOWN);
	w.c.cpl = 0;
	equal(run("89 07"), EMUL_DONE);
}

CASE(fetch_reads_no_further_than_needed)
{
	begin(EMUL_64);
	w.npages = 0;
	world_page(&w, CODE, false); /* nothing follows */
	memset(world_page(&w, DATA + 0x8000, true)->data, 0, PAGE_SIZE);
	w.regs[RDI] = DATA + 0x8000;
	w.c.rip = CODE + 0xffe;
	equal(run("89 07"), EMUL_DONE);
	w.c.rip = CODE + 0xffe;
	world_set(&w, CODE + 0xffe, 0x8748, 2); /* xchg, and its ModRM is missing */
	equal(emul_write(&w.c), EMUL_FAULT);
	equal(w.c.fetch_fault, true);
	equal(w.c.fault.gva, CODE + 0x1000);
	equal(w.c.fault.error, PF_ERR_I);
}

CASE(fetch_across_pages)
{
	begin(EMUL_64);
	w.regs[RDI] = DATA + 0x800;
	w.c.rip = CODE + 0xffe;
	equal(run("c7 47 10 78 56 34 12"), EMUL_DONE); /* CODE + 0x1000 is DATA */
	equal(world_get(&w, DATA + 0x810, 4), 0x12345678);
	equal(w.c.rip, CODE + 0x1005);
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
#define ENTRY(name) { #name, case_##name },
	ENTRY(offset_of_16_bits_wraps)
	ENTRY(linear_address_of_32_bits_wraps)
	ENTRY(operand_across_4_gib_is_left)
	ENTRY(want_wraps_with_the_address)
	ENTRY(override_and_default_segments)
	ENTRY(long_mode_ignores_four_bases)
	ENTRY(rip_relative_counts_the_immediate)
	ENTRY(bit_string_below_and_above)
	ENTRY(bit_string_want_is_where_it_lands)
	ENTRY(second_page_refuses)
	ENTRY(failed_compare_still_writes)
	ENTRY(cmpxchg16b_wants_alignment)
	ENTRY(aligned_stores)
	ENTRY(races_are_retried)
	ENTRY(hole_anywhere_in_the_operand)
	ENTRY(alignment_check_is_left)
	ENTRY(fetch_reads_no_further_than_needed)
	ENTRY(fetch_across_pages)
	STRING_CASES(ENTRY)
	STACK_CASES(ENTRY)
};

int main(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		failed = false;
		cases[i].run();
		tap_ok(!failed, "%s", cases[i].name);
	}
	return tap_done();
}
