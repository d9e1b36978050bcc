/* SPDX-License-Identifier: BSD-2-Clause */
/* The emulator's strings and pushes: see emul.c. */
#include "emul_cases.h"

CASE(rep_stos_pauses_at_the_page)
{
	begin(EMUL_64);
	w.regs[RDI] = DATA + 0xff0;
	w.regs[RCX] = 10;
	w.regs[RAX] = 0xabcdabcd;
	w.c.has_want = true;
	w.c.want_gva = DATA + 0xff2;
	equal(run("f3 ab"), EMUL_AGAIN);
	equal(w.regs[RCX], 6);
	equal(w.regs[RDI], DATA + 0x1000);
	equal(w.c.rip, CODE + 0x100);
	equal(w.c.rflags & RFLAGS_RF, RFLAGS_RF);
	w.c.want_gva = DATA + 0x1000;
	equal(run("f3 ab"), EMUL_DONE);
	equal(w.regs[RCX], 0);
	equal(world_get(&w, DATA + 0x1014, 4), 0xabcdabcd);
	equal(world_get(&w, DATA + 0x1018, 4), 0x11111111);
	equal(w.c.rip, CODE + 0x102);
}

CASE(rep_stos_faults_midway)
{
	begin(EMUL_64);
	w.regs[RDI] = RODATA - 10;
	w.regs[RCX] = 5;
	equal(run("f3 ab"), EMUL_FAULT); /* the third crosses into RODATA */
	equal(w.regs[RCX], 3);
	equal(w.regs[RDI], RODATA - 2);
	equal(w.c.fault.gva, RODATA);
	equal(w.c.fault.error, PF_ERR_P | PF_ERR_W);
	equal(world_get(&w, RODATA - 2, 2), 0x1111);
	equal(w.writes, 2);
	equal(w.c.rip, CODE + 0x100);
}

CASE(rep_movs_source_faults)
{
	begin(EMUL_32);
	w.regs[RSI] = RODATA + 0xffe;
	w.regs[RDI] = DATA;
	w.regs[RCX] = 4;
	equal(run("f3 66 a5"), EMUL_FAULT);
	equal(w.regs[RSI], RODATA + 0x1000);
	equal(w.regs[RDI], DATA + 2);
	equal(w.regs[RCX], 3);
	equal(w.c.fault.gva, RODATA + 0x1000);
	equal(w.c.fault.error, 0);
}

CASE(rep_movs_down)
{
	begin(EMUL_64);
	w.c.rflags |= RFLAGS_DF;
	world_set(&w, DATA + 0x100, 0x0807060504030201, 8);
	w.regs[RSI] = DATA + 0x107;
	w.regs[RDI] = DATA + 0x109;
	w.regs[RCX] = 8;
	equal(run("f3 a4"), EMUL_DONE);
	equal(world_get(&w, DATA + 0x102, 8), 0x0807060504030201);
	equal(w.regs[RSI], DATA + 0xff);
	equal(w.regs[RDI], DATA + 0x101);
}

CASE(rep_of_16_bit_addresses)
{
	begin(EMUL_32);
	w.seg[ES].base = DATA - 0x100;
	w.regs[RDI] = 0xabcd0100;
	w.regs[RCX] = 0xffff0002;
	equal(run("67 f3 ab"), EMUL_DONE);
	equal(w.regs[RDI], 0xabcd0108);
	equal(w.regs[RCX], 0xffff0000);
	equal(world_get(&w, DATA, 8), 0);
}

/* Only the first iteration has been checked against the limit. */
CASE(rep_limits)
{
	begin(EMUL_32);
	w.seg[ES].limit = DATA + 0x103;
	w.regs[RDI] = DATA + 0x100;
	w.regs[RCX] = 2;
	equal(run("f3 ab"), EMUL_AGAIN);
	equal(w.regs[RCX], 1);
	equal(w.writes, 1);
	begin(EMUL_32);
	w.seg[ES].attr |= 4; /* expand-down */
	w.seg[ES].limit = 0;
	w.regs[RDI] = DATA + 0x100;
	w.regs[RCX] = 2;
	equal(run("f3 ab"), EMUL_AGAIN);
	equal(w.regs[RCX], 1);
}

CASE(rep_is_paused)
{
	begin(EMUL_64);
	w.c.max_iterations = 3;
	w.regs[RDI] = DATA;
	w.regs[RCX] = 4;
	equal(run("f3 aa"), EMUL_AGAIN);
	equal(w.regs[RCX], 1);
	equal(w.regs[RDI], DATA + 3);
	w.regs[RCX] = 4;
	w.c.rflags |= RFLAGS_TF;
	equal(run("f3 aa"), EMUL_AGAIN);
	equal(w.regs[RCX], 3);
	w.regs[RCX] = 1;
	equal(run("f3 aa"), EMUL_DONE);
}

CASE(rep_of_nothing)
{
	begin(EMUL_64);
	w.regs[RDI] = RODATA;
	equal(run("f3 aa"), EMUL_DONE);
	equal(w.c.rip, CODE + 0x102);
	equal(w.regs[RDI], RODATA);
}

CASE(movs_segments)
{
	begin(EMUL_32);
	w.seg[ES].base = 0x100;
	w.seg[FS].base = 0x200;
	world_set(&w, DATA + 0x200, 0x5a, 1);
	w.regs[RSI] = w.regs[RDI] = DATA;
	equal(run("64 a4"), EMUL_DONE); /* the override is the source's */
	equal(world_get(&w, DATA + 0x100, 1), 0x5a);
}

CASE(string_want)
{
	begin(EMUL_64);
	w.c.has_want = true;
	w.c.want_gva = DATA + 0x1000;
	w.regs[RDI] = DATA + 0xffc;
	w.regs[RSI] = DATA + 0x1000;
	w.regs[RCX] = 9;
	equal(run("f3 a5"), EMUL_UNKNOWN);
	equal(w.writes, 0);
	equal(w.regs[RCX], 9);
}

CASE(push_on_16_bit_stack)
{
	begin(EMUL_32);
	w.seg[SS].attr &= ~0x400;
	w.seg[SS].base = DATA - 0xf000;
	w.regs[RSP] = 0x5678f004;
	w.regs[RAX] = 0x12345678;
	equal(run("50"), EMUL_DONE);
	equal(w.regs[RSP], 0x5678f000);
	equal(world_get(&w, DATA, 4), 0x12345678);
	w.seg[SS].base = DATA - 0xfffc + 0x100;
	w.regs[RSP] = 0x56780000;
	equal(run("50"), EMUL_DONE); /* SP wraps */
	equal(w.regs[RSP], 0x5678fffc);
	equal(world_get(&w, DATA + 0x100, 4), 0x12345678);
}

CASE(push_rsp)
{
	begin(EMUL_64);
	w.regs[RSP] = DATA + 0x100;
	equal(run("54"), EMUL_DONE);
	equal(world_get(&w, DATA + 0xf8, 8), DATA + 0x100);
	equal(w.regs[RSP], DATA + 0xf8);
}

CASE(push_fault_keeps_rsp)
{
	begin(EMUL_64);
	w.regs[RSP] = RODATA + 4;
	equal(run("50"), EMUL_FAULT);
	equal(w.regs[RSP], RODATA + 4);
	equal(world_get(&w, RODATA - 4, 4), 0x11111111);
	equal(run("e8 00 00 00 00"), EMUL_FAULT);
	equal(w.regs[RSP], RODATA + 4);
	equal(w.c.rip, CODE + 0x100);
}

CASE(push_flags)
{
	begin(EMUL_32);
	w.regs[RSP] = DATA + 0x100;
	w.c.rflags |= RFLAGS_VM | RFLAGS_IF | RFLAGS_IOPL | RFLAGS_CF;
	equal(run("9c"), EMUL_DONE);
	equal(world_get(&w, DATA + 0xfc, 4), RFLAGS_RSV1 | RFLAGS_IF | RFLAGS_IOPL | RFLAGS_CF);
	w.c.cr4 = CR4_VME; /* a virtual IF */
	equal(run("9c"), EMUL_UNKNOWN);
}

CASE(push_segment_is_left)
{
	begin(EMUL_32);
	w.regs[RSP] = DATA + 0x100;
	equal(run("1e"), EMUL_UNKNOWN);
	equal(run("0f a0"), EMUL_UNKNOWN);
	equal(w.writes, 0);
}

CASE(push_memory)
{
	begin(EMUL_64);
	w.regs[RSP] = DATA + 0x100;
	world_set(&w, DATA + 0x108, 0x1234, 8);
	equal(run("ff 74 24 08"), EMUL_DONE); /* push [rsp + 8]: by the old RSP */
	equal(world_get(&w, DATA + 0xf8, 8), 0x1234);
}

CASE(call_32)
{
	begin(EMUL_32);
	w.seg[CS].base = 0x800;
	w.c.rip = CODE - 0x700;
	w.regs[RSP] = DATA + 0x100;
	equal(run("e8 00 02 00 00"), EMUL_DONE);
	equal(w.c.rip, CODE - 0x700 + 5 + 0x200);
	equal(world_get(&w, DATA + 0xfc, 4), CODE - 0x700 + 5);
	equal(w.c.rflags & RFLAGS_RF, 0);
}

CASE(call_16)
{
	begin(EMUL_16);
	w.regs[RSP] = DATA + 0x100;
	w.c.rip = CODE + 0x100;
	equal(run("e8 00 f0"), EMUL_DONE);
	equal(w.c.rip, 0x103);
	equal(world_get(&w, DATA + 0xfe, 2), CODE + 0x103);
	equal(w.regs[RSP], DATA + 0xfe);
}

CASE(call_bad_target)
{
	begin(EMUL_32);
	w.regs[RSP] = DATA + 0x100;
	w.seg[CS].limit = CODE + 0xfff;
	equal(run("e8 00 10 00 00"), EMUL_UNKNOWN);
	begin(EMUL_64);
	w.regs[RSP] = DATA + 0x100;
	w.regs[RAX] = 1ull << 47;
	equal(run("ff d0"), EMUL_UNKNOWN);
	equal(w.writes, 0);
	equal(w.regs[RSP], DATA + 0x100);
}

CASE(stack_want)
{
	begin(EMUL_64);
	w.c.has_want = true;
	w.c.want_gva = DATA + 0x100;
	w.regs[RSP] = DATA + 0x100;
	equal(run("50"), EMUL_UNKNOWN);
	w.c.want_gva = DATA + 0xff;
	equal(run("50"), EMUL_DONE);
}
