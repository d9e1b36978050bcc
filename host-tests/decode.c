/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decoder: bytes against the fields that they must give, as text:
 *   op size [lock] [rep] [SEG:base+index<<scale+disp/address-size] rREG|mRM [repne] [imm]
 * and for each case every shorter piece of it, which must ask for more.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host.h"
#include "../hv/emul.h"

static const char *const ops[] = {
	[INSN_MOV] = "mov", [INSN_XCHG] = "xchg", [INSN_CMPXCHG] = "cmpxchg", [INSN_CMPXCHG8B] = "cmpxchg8b",
	[INSN_XADD] = "xadd", [INSN_ADD] = "add", [INSN_OR] = "or", [INSN_ADC] = "adc", [INSN_SBB] = "sbb",
	[INSN_AND] = "and", [INSN_SUB] = "sub", [INSN_XOR] = "xor", [INSN_INC] = "inc", [INSN_DEC] = "dec",
	[INSN_NOT] = "not", [INSN_NEG] = "neg", [INSN_BTS] = "bts", [INSN_BTR] = "btr", [INSN_BTC] = "btc",
	[INSN_MOVS] = "movs", [INSN_STOS] = "stos", [INSN_PUSH] = "push", [INSN_PUSHF] = "pushf",
	[INSN_CALL] = "call", [INSN_MOVNTI] = "movnti", [INSN_SSE_STORE] = "sse", [INSN_SETCC] = "setcc",
	[INSN_MOV_TO_CR] = "tocr", [INSN_MOV_FROM_CR] = "fromcr", [INSN_CLTS] = "clts", [INSN_LMSW] = "lmsw",
	[INSN_SMSW] = "smsw", [INSN_INVLPG] = "invlpg", [INSN_INS] = "ins", [INSN_OUTS] = "outs",
	[INSN_OTHER_IO] = "io", [INSN_INTN] = "int", [INSN_INT3] = "int3", [INSN_INTO] = "into",
	[INSN_INT1] = "int1", [INSN_LOAD] = "load",
};

static const struct {
	int mode;
	const char *hex, *want; /* "?": unknown */
} cases[] = {
	/* addressing: 32 and 64 bits */
	{ 64, "89 08", "mov 4 [DS:0/8] r1" },
	{ 64, "48 89 0c 25 78 56 34 12", "mov 8 [DS:+0x12345678/8] r1" },
	{ 64, "89 0d fc ff ff ff", "mov 4 [DS:rip-0x4/8] r1" },
	{ 64, "67 89 0d fc ff ff ff", "mov 4 [DS:rip-0x4/4] r1" },
	{ 32, "89 0d fc ff ff ff", "mov 4 [DS:-0x4/4] r1" },
	{ 64, "89 4d 10", "mov 4 [SS:5+0x10/8] r1" },
	{ 64, "41 89 4d 10", "mov 4 [DS:13+0x10/8] r1" },
	{ 64, "89 4c 24 f8", "mov 4 [SS:4-0x8/8] r1" },
	{ 64, "41 89 4c 24 f8", "mov 4 [DS:12-0x8/8] r1" },
	{ 64, "45 89 84 e4 00 01 00 00", "mov 4 [DS:12+0x100/8] r8" },
	{ 64, "47 89 84 e4 00 01 00 00", "mov 4 [DS:12+12<<3+0x100/8] r8" },
	{ 64, "89 04 8d 00 00 00 80", "mov 4 [DS:1<<2-0x80000000/8] r0" },
	{ 64, "43 89 04 0d 10 00 00 00", "mov 4 [DS:9<<0+0x10/8] r0" }, /* mod 0: R13 is no base either */
	{ 64, "43 89 44 0d 00", "mov 4 [DS:13+9<<0/8] r0" },
	{ 64, "89 44 ad 00", "mov 4 [SS:5+5<<2/8] r0" },
	{ 64, "89 44 28 00", "mov 4 [DS:0+5<<0/8] r0" }, /* only the base chooses SS */
	{ 64, "3e 89 45 00", "mov 4 [SS:5/8] r0" }, /* null prefix */
	{ 64, "64 2e 89 45 00", "mov 4 [FS:5/8] r0" },
	{ 64, "65 64 89 00", "mov 4 [FS:0/8] r0" },
	{ 32, "3e 89 45 00", "mov 4 [DS:5/4] r0" },
	{ 32, "36 2e 89 00", "mov 4 [CS:0/4] r0" },
	{ 32, "89 04 64", "mov 4 [SS:4/4] r0" },
	/* addressing: 16 bits */
	{ 16, "89 00", "mov 2 [DS:3+6<<0/2] r0" },
	{ 16, "89 02", "mov 2 [SS:5+6<<0/2] r0" },
	{ 16, "89 43 ff", "mov 2 [SS:5+7<<0-0x1/2] r0" },
	{ 16, "89 01", "mov 2 [DS:3+7<<0/2] r0" },
	{ 16, "89 04", "mov 2 [DS:6/2] r0" },
	{ 16, "89 05", "mov 2 [DS:7/2] r0" },
	{ 16, "89 06 34 92", "mov 2 [DS:-0x6dcc/2] r0" },
	{ 16, "89 46 02", "mov 2 [SS:5+0x2/2] r0" },
	{ 16, "89 87 00 10", "mov 2 [DS:3+0x1000/2] r0" },
	{ 32, "67 89 07", "mov 4 [DS:3/2] r0" },
	{ 16, "67 89 07", "mov 2 [DS:7/4] r0" },
	{ 16, "66 89 07", "mov 4 [DS:3/2] r0" },
	{ 16, "67 66 89 04 24", "mov 4 [SS:4/4] r0" },
	/* prefixes */
	{ 64, "66 89 08", "mov 2 [DS:0/8] r1" },
	{ 64, "66 48 89 08", "mov 8 [DS:0/8] r1" },
	{ 64, "48 66 89 08", "mov 2 [DS:0/8] r1" }, /* REX not before the opcode */
	{ 64, "4f 40 89 08", "mov 4 [DS:0/8] r1" },
	{ 64, "f0 01 08", "add 4 lock [DS:0/8] r1" },
	{ 64, "f0 89 08", "?" },
	{ 64, "f0 01 c8", "?" },
	{ 64, "01 c8", "add 4 m0 r1" },
	{ 64, "f0 48 0f c7 08", "cmpxchg8b 16 lock [DS:0/8] r1" },
	{ 32, "0f c7 08", "cmpxchg8b 8 [DS:0/4] r1" },
	{ 32, "0f c7 c9", "?" },
	{ 32, "0f c7 30", "?" },
	{ 32, "49", "?" },
	/* moffs */
	{ 64, "a3 88 77 66 55 44 33 22 11", "mov 4 [DS:+0x1122334455667788/8] r0" },
	{ 64, "67 a2 88 77 66 f5", "mov 1 [DS:+0xf5667788/4] r0" },
	{ 32, "a3 88 77 66 f5", "mov 4 [DS:+0xf5667788/4] r0" },
	{ 16, "65 a3 00 f0", "mov 2 [GS:+0xf000/2] r0" },
	{ 64, "48 a1 00 00 00 00 01 00 00 00", "load 8 [DS:+0x100000000/8] r0 to 8" },
	/* immediates and groups */
	{ 64, "48 c7 00 ff ff ff ff", "mov 8 [DS:0/8] r0 imm 0xffffffffffffffff" },
	{ 64, "66 c7 00 34 12", "mov 2 [DS:0/8] r0 imm 0x1234" },
	{ 64, "c6 05 01 00 00 00 80", "mov 1 [DS:rip+0x1/8] r0 imm 0xffffffffffffff80" },
	{ 64, "c7 f8 00 00 00 00", "?" },
	{ 16, "81 0e 00 10 34 12", "or 2 [DS:+0x1000/2] r1 imm 0x1234" },
	{ 32, "83 20 fe", "and 4 [DS:0/4] r4 imm 0xfffffffffffffffe" },
	{ 32, "82 30 01", "xor 1 [DS:0/4] r6 imm 0x1" },
	{ 64, "82 30 01", "?" },
	{ 32, "83 38 00", "?" },
	{ 32, "f7 00 01 00 00 00", "?" },
	{ 32, "f6 10", "not 1 [DS:0/4] r2" },
	{ 32, "f7 18", "neg 4 [DS:0/4] r3" },
	{ 32, "fe 08", "dec 1 [DS:0/4] r1" },
	{ 64, "48 ff 00", "inc 8 [DS:0/8] r0" },
	{ 32, "f0 ff 30", "?" },
	{ 64, "48 0f ba 28 3f", "bts 8 [DS:0/8] r5 imm 0x3f" },
	{ 64, "0f ba 20 01", "?" },
	{ 64, "f0 0f b3 08", "btr 4 lock [DS:0/8] r1" },
	{ 64, "40 88 20", "mov 1 [DS:0/8] r4 rex" },
	{ 64, "0f 95 00", "setcc 1 [DS:0/8] r0 cc 5" },
	{ 64, "0f c3 08", "movnti 4 [DS:0/8] r1" },
	{ 64, "66 0f c3 08", "?" },
	/* strings, stack, port I/O */
	{ 64, "f3 48 ab", "stos 8 rep r0" },
	{ 64, "67 f2 65 a4", "movs 1 r0 repne" },
	{ 64, "54", "push 8 r4" },
	{ 64, "66 41 57", "push 2 r15" },
	{ 16, "66 50", "push 4 r0" },
	{ 64, "68 00 00 00 80", "push 8 r0 imm 0xffffffff80000000" },
	{ 16, "68 34 12", "push 2 r0 imm 0x1234" },
	{ 64, "ff 30", "push 8 [DS:0/8] r6" },
	{ 32, "06", "push 4 r0" },
	{ 64, "06", "?" },
	{ 64, "0f a0", "push 8 r0" },
	{ 64, "9c", "pushf 8 r0" },
	{ 64, "e8 00 00 00 80", "call 8 r0 imm 0xffffffff80000000" },
	{ 64, "66 e8 00 00 00 00", "?" }, /* vendors differ */
	{ 32, "66 e8 fe ff", "call 2 r0 imm 0xfffffffffffffffe" },
	{ 64, "ff 10", "call 8 [DS:0/8] r2" },
	{ 32, "f3 6d", "ins 4 rep r0" },
	{ 64, "48 6f", "outs 4 r0" },
	{ 64, "e7 80", "io 4 r0 imm 0x80" },
	{ 16, "ed", "io 2 r0" },
	/* vectors */
	{ 64, "0f 7f 38", "sse 8 [DS:0/8] r7 mmx" },
	{ 64, "44 0f 7f 38", "sse 8 [DS:0/8] r7 mmx" },
	{ 64, "66 44 0f 7f 38", "sse 16 [DS:0/8] r15 aligned" },
	{ 64, "66 f3 0f 7f 38", "sse 16 [DS:0/8] r7" }, /* F3 before 66 */
	{ 64, "f3 f2 0f 11 00", "sse 8 [DS:0/8] r0 repne" },
	{ 64, "66 48 0f 7e 00", "sse 8 [DS:0/8] r0" },
	{ 64, "0f 17 00", "sse 8 [DS:0/8] r0 high" },
	{ 64, "f3 0f 7e 00", "?" },
	{ 64, "0f 29 c0", "?" },
	{ 64, "c5 fd 7f 00", "sse 32 [DS:0/8] r0 aligned" },
	{ 64, "c4 41 79 d6 3c 24", "sse 8 [DS:12/8] r15" },
	{ 64, "c5 f1 7f 00", "?" }, /* VEX.vvvv in use */
	{ 64, "66 c5 f9 7f 00", "?" },
	{ 64, "c5 f8 7f 00", "?" },
	{ 32, "c5 f9 7f 00", "sse 16 [DS:0/4] r0 aligned" },
	{ 32, "c5 39 7f 00", "?" }, /* LDS */
	/* not memory writes */
	{ 64, "0f 22 c0", "tocr 8 m0 r0" },
	{ 64, "44 0f 22 c1", "tocr 8 m1 r8" },
	{ 32, "0f 20 5d", "fromcr 4 m5 r3" }, /* mod is ignored */
	{ 32, "f0 0f 20 c0", "fromcr 4 lock m0 r8" },
	{ 64, "0f 06", "clts 0 r0" },
	{ 64, "0f 01 38", "invlpg 2 [DS:0/8] r7" },
	{ 64, "0f 01 f8", "?" }, /* SWAPGS */
	{ 32, "0f 01 f3", "lmsw 2 m3 r6" },
	{ 32, "0f 01 e3", "smsw 4 m3 r4" },
	{ 32, "0f 01 20", "smsw 2 [DS:0/4] r4" },
	{ 64, "cd 80", "int 0 r0 imm 0x80" },
	{ 32, "ce", "into 0 r0" },
	{ 64, "ce", "?" },
	{ 64, "8a 20", "load 1 [DS:0/8] r4 to 1" },
	{ 64, "48 63 08", "load 4 [DS:0/8] r1 to 8 signed" },
	{ 32, "63 08", "?" },
	{ 64, "0f bf 08", "load 2 [DS:0/8] r1 to 4 signed" },
	{ 64, "48 0f b6 08", "load 1 [DS:0/8] r1 to 8" },
	/* length limit */
	{ 64, "66 66 66 66 66 66 66 66 66 66 66 66 66 89 08", "mov 2 [DS:0/8] r1" },
	{ 64, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 89", "?" },
};

static char text[200];

static void add(const char *fmt, ...)
{
	size_t n = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - n, fmt, ap);
	va_end(ap);
}

static void add_memory(const struct insn *i)
{
	static const char *const segs[] = { "ES", "CS", "SS", "DS", "FS", "GS" };
	const char *plus = "";

	add(" [%s:", segs[i->seg]);
	if (i->base == 0xfe)
		add("rip");
	else if (i->base != 0xff)
		add("%u", i->base);
	if (i->base != 0xff)
		plus = "+";
	if (i->index != 0xff)
		add("%s%u<<%u", plus, i->index, i->scale);
	if (i->disp)
		add("%c%#llx", i->disp < 0 ? '-' : '+', i->disp < 0 ? -(long long)i->disp : (long long)i->disp);
	add("/%u]", i->addr_size);
}

static void render(const struct insn *i)
{
	bool vector = i->op == INSN_SSE_STORE, cr = i->op == INSN_MOV_TO_CR || i->op == INSN_MOV_FROM_CR;
	bool modrm = cr || i->op == INSN_ADD || i->op == INSN_LMSW || i->op == INSN_SMSW;

	text[0] = 0;
	add("%s %u", ops[i->op], i->op_size);
	if (i->lock)
		add(" lock");
	if (i->rep && !vector)
		add(" rep");
	if (i->has_mem)
		add_memory(i);
	else if (modrm)
		add(" m%u", i->rm);
	add(" r%u", i->reg);
	if (i->repne)
		add(" repne");
	if (i->rex && i->op_size == 1 && i->op == INSN_MOV)
		add(" rex");
	if (i->imm_src)
		add(" imm %#lx", i->imm);
	if (i->op == INSN_SETCC)
		add(" cc %u", i->cc);
	if (i->op == INSN_LOAD)
		add(" to %u%s", i->dst_size, i->sign ? " signed" : "");
	if (vector)
		add("%s%s", i->sse == INSN_MMX ? " mmx" : i->sse == INSN_XMM_HIGH ? " high" : "",
		    i->aligned ? " aligned" : "");
}

static unsigned parse(const char *hex, u8 *out)
{
	unsigned n = 0, v;

	for (; sscanf(hex, "%2x", &v) == 1; hex += hex[2] ? 3 : 2)
		out[n++] = v;
	return n;
}

static bool asks_for_more(const u8 *bytes, unsigned n, enum emul_mode mode)
{
	for (unsigned k = 0; k < n; k++) {
		u8 piece[15]; /* at the end of the array: ASan sees a read beyond */
		u8 *p = piece + 15 - k;
		struct insn i;
		bool more;

		memcpy(p, bytes, k);
		if (insn_decode(p, k, mode, &i, &more) || !more) {
			tap_note("%u of %u bytes are taken for an instruction", k, n);
			return false;
		}
	}
	return true;
}

int main(void)
{
	for (unsigned k = 0; k < ARRAY_SIZE(cases); k++) {
		u8 bytes[15];
		unsigned n = parse(cases[k].hex, bytes);
		enum emul_mode mode = cases[k].mode == 64 ? EMUL_64 : cases[k].mode == 32 ? EMUL_32 : EMUL_16;
		struct insn i;
		bool more, ok, known = insn_decode(bytes, n, mode, &i, &more);

		if (known)
			render(&i);
		else
			strcpy(text, more ? "more" : "?");
		ok = !strcmp(text, cases[k].want) && (!known || (i.len == n && asks_for_more(bytes, n, mode)));
		if (!tap_ok(ok, "%d-bit %s", cases[k].mode, cases[k].hex))
			tap_note("got  %s length %u, want %s length %u", text, i.len, cases[k].want, n);
	}
	return tap_done();
}
