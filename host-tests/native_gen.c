/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random encodings of a form, with register values that put its operand at a
 * chosen place.  Knows nothing of hv/decode.c: it encodes, that decodes.
 */
#include "native.h"

struct gen {
	const struct native_form *f;
	struct trial *t;
	u64 at, size; /* where operands begin */
	unsigned bytes; /* the operand */
	bool opsize, addr32, gs, lock;
	u8 rep, rex; /* rex: 0, or 0x40 with its bits */
	u8 reg;
	u16 fixed; /* registers whose value is settled */
	u64 ea; /* linear address of the memory operand */
	u8 modrm[6]; /* ModRM, SIB, displacement */
	unsigned modrm_len;
	int rip_disp; /* index in modrm of a RIP-relative displacement, or -1 */
};

static u64 below(u64 n) { return native_random() % n; }
static bool one_in(unsigned n) { return below(n) == 0; }
static u64 mask(unsigned bytes) { return bytes == 8 ? ~0ull : BIT(8 * bytes) - 1; }

static void put(struct gen *g, u64 v, unsigned bytes)
{
	memcpy(g->t->bytes + g->t->len, &v, bytes);
	g->t->len += bytes;
}

static void choose_size(struct gen *g)
{
	unsigned flags = g->f->flags, choice = below(3);

	if (choice == 1 && !(flags & N_VECTOR && g->f->bytes) && !(flags & N_STACK))
		g->rex = 0x48;
	if (choice == 2 && !(flags & (N_NO_66 | N_BYTE | N_VECTOR)))
		g->opsize = true;
	if (one_in(4))
		g->rex |= 0x40;
	if (flags & N_BYTE)
		g->bytes = 1;
	else if (flags & N_PAIR)
		g->bytes = g->rex & 8 ? 16 : 8;
	else if (flags & N_VECTOR && g->f->bytes)
		g->bytes = g->f->bytes;
	else if (flags & N_STACK)
		g->bytes = g->opsize ? 2 : 8;
	else
		g->bytes = g->rex & 8 ? 8 : g->opsize ? 2 : 4;
}

static void choose_place(struct gen *g)
{
	g->ea = g->at + below(g->size);
	if (one_in(4)) /* across a page */
		g->ea = g->at + PAGE_SIZE - below(g->bytes + 1);
	if (g->f->flags & N_ALIGN || (g->bytes == 16 && g->f->flags & N_PAIR))
		g->ea &= ~(u64)(g->bytes - 1);
}

static unsigned free_reg(struct gen *g, unsigned not_this)
{
	unsigned r;

	do
		r = below(16);
	while (g->fixed & BIT(r) || r == not_this);
	return r;
}

/* The wanted offset within the segment; with 67 the upper half of registers is noise. */
static u64 offset_of(const struct gen *g) { return g->ea - (g->gs ? g->t->gs_base : 0); }

static u64 noise(const struct gen *g) { return g->addr32 ? native_random() << 32 : 0; }

static void encode_disp(struct gen *g, s64 disp, unsigned bytes)
{
	memcpy(g->modrm + g->modrm_len, &disp, bytes);
	g->modrm_len += bytes;
}

/* No base: an absolute disp32, with or without an index. */
static void encode_absolute(struct gen *g, bool with_index)
{
	unsigned index = with_index ? free_reg(g, RSP) : 4, scale = below(4);
	s64 value = 0;

	if (with_index) {
		value = (s64)below(512) - 256;
		g->t->regs[index] = g->addr32 ? (value & 0xffffffff) | noise(g) : (u64)value;
		g->rex |= index & 8 ? 0x42 : 0;
	}
	g->modrm[g->modrm_len++] = (g->reg & 7) << 3 | 4;
	g->modrm[g->modrm_len++] = scale << 6 | (index & 7) << 3 | 5;
	encode_disp(g, (s64)offset_of(g) - value * (1 << scale), 4);
}

static void encode_rip(struct gen *g)
{
	g->modrm[g->modrm_len++] = (g->reg & 7) << 3 | 5;
	g->rip_disp = g->modrm_len;
	encode_disp(g, 0, 4);
}

static void encode_based(struct gen *g, bool with_index)
{
	unsigned base = free_reg(g, 16), index = 4, scale = 0, mod = below(3);
	u64 value = 0;
	s64 disp = mod == 0 ? 0 : mod == 1 ? (s64)below(256) - 128 : (int32_t)native_random();

	if (with_index) {
		index = free_reg(g, RSP);
		with_index = index != base;
	}
	if (with_index) {
		scale = below(4);
		value = g->t->regs[index] = native_random() >> below(60);
		g->rex |= index & 8 ? 0x42 : 0;
	}
	if (mod == 0 && (base & 7) == 5)
		mod = 1;
	g->t->regs[base] = offset_of(g) - disp - (value << scale);
	if (g->addr32)
		g->t->regs[base] = (g->t->regs[base] & 0xffffffff) | noise(g);
	g->rex |= base & 8 ? 0x41 : 0;
	if (with_index || (base & 7) == 4) {
		g->modrm[g->modrm_len++] = mod << 6 | (g->reg & 7) << 3 | 4;
		g->modrm[g->modrm_len++] = scale << 6 | (with_index ? index & 7 : 4) << 3 | (base & 7);
	} else {
		g->modrm[g->modrm_len++] = mod << 6 | (g->reg & 7) << 3 | (base & 7);
	}
	encode_disp(g, disp, mod == 0 ? 0 : mod == 1 ? 1 : 4);
}

static void encode_memory(struct gen *g)
{
	switch (below(6)) {
	case 0: encode_rip(g); break;
	case 1: encode_absolute(g, false); break;
	case 2: encode_absolute(g, true); break;
	case 3: encode_based(g, false); break;
	default: encode_based(g, true); break;
	}
}

static void put_vex(struct gen *g)
{
	u8 pp = g->f->prefix == 0x66 ? 1 : g->f->prefix == 0xf3 ? 2 : g->f->prefix == 0xf2 ? 3 : 0;
	u8 r = g->rex & 4 ? 0 : 0x80;

	if (!(g->rex & 11) && one_in(2)) {
		put(g, 0xc5, 1);
		put(g, r | 0x78 | pp, 1);
	} else {
		put(g, 0xc4, 1);
		put(g, r | (g->rex & 2 ? 0 : 0x40) | (g->rex & 1 ? 0 : 0x20) | 1, 1);
		put(g, (g->rex & 8 ? 0x80 : 0) | 0x78 | pp, 1);
	}
}

/* Legacy prefixes in random order, then REX. */
static void put_prefixes(struct gen *g)
{
	bool vex = g->f->flags & N_VEX;
	u8 list[] = { g->opsize ? 0x66 : 0, g->addr32 ? 0x67 : 0, g->gs ? 0x65 : 0, g->lock ? 0xf0 : 0, g->rep,
		      vex ? 0 : g->f->prefix, one_in(8) ? 0x3e : 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
		unsigned j = i + below(ARRAY_SIZE(list) - i);
		u8 p = list[j];

		list[j] = list[i];
		if (p)
			put(g, p, 1);
	}
	if (vex)
		put_vex(g);
	else if (g->rex)
		put(g, g->rex, 1);
}

static void encode(struct gen *g, u8 opcode, u64 imm, unsigned imm_bytes)
{
	unsigned disp_at;

	g->t->len = 0;
	put_prefixes(g);
	if (g->f->two_byte && !(g->f->flags & N_VEX))
		put(g, 0x0f, 1);
	put(g, opcode, 1);
	disp_at = g->t->len + (g->rip_disp >= 0 ? g->rip_disp : 0);
	memcpy(g->t->bytes + g->t->len, g->modrm, g->modrm_len);
	g->t->len += g->modrm_len;
	put(g, imm, imm_bytes);
	if (g->rip_disp >= 0) {
		u32 disp = offset_of(g) - g->t->rip - g->t->len;

		memcpy(g->t->bytes + disp_at, &disp, 4);
	}
}

/* MOVS and STOS: returns the first destination. */
static u64 setup_string(struct gen *g)
{
	u64 *r = g->t->regs, dst = g->ea, src = one_in(2) ? dst + below(32) - 16 : g->at + below(g->size), count = below(60);

	g->rep = one_in(3) ? 0 : one_in(3) ? 0xf2 : 0xf3;
	r[RDI] = dst | noise(g);
	r[RSI] = (src - (g->gs ? g->t->gs_base : 0)) | noise(g);
	if (g->rep)
		r[RCX] = (count ? count : 1) | noise(g);
	if (one_in(2))
		g->t->flags |= RFLAGS_DF;
	return dst;
}

/* A bit offset that stays near; the bits above the operand size are noise.  Returns where the access is. */
static u64 setup_bit_offset(struct gen *g)
{
	s64 bit = (s64)below(50000) - 25000, unit = 8 * g->bytes, index = bit / unit - (bit % unit < 0);

	g->t->regs[g->reg] = ((u64)bit & mask(g->bytes)) | (native_random() & ~mask(g->bytes));
	return g->ea + index * g->bytes;
}

static void setup_compare(struct gen *g)
{
	if (g->f->flags & N_CMPXCHG && one_in(2))
		memcpy((void *)g->ea, &g->t->regs[RAX], g->bytes);
	if (g->f->flags & N_PAIR && !one_in(3)) {
		unsigned half = g->bytes / 2;

		memcpy((void *)g->ea, &g->t->regs[RAX], half);
		memcpy((void *)(g->ea + half), &g->t->regs[RDX], half);
		if (one_in(3))
			((u8 *)g->ea)[below(g->bytes)] ^= 1 << below(8);
	}
}

static void setup_want(struct gen *g, u64 dst)
{
	struct trial *t = g->t;

	t->has_want = one_in(2);
	t->miss = t->has_want && one_in(8);
	t->want = dst + below(g->bytes);
	if (t->miss)
		t->want = one_in(2) ? dst + g->bytes + below(3) : dst - 1 - below(3);
}

static void choose_prefixes(struct gen *g)
{
	g->addr32 = one_in(5);
	g->gs = one_in(5);
	g->lock = g->f->flags & N_LOCK && one_in(3);
	g->t->flags = RFLAGS_RSV1 | RFLAGS_IF |
		      (native_random() & (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF));
	g->t->undefined = g->f->undefined;
	g->t->mmx = g->f->flags & N_MMX;
}

static void choose_operands(struct gen *g)
{
	unsigned flags = g->f->flags;

	if (flags & N_STACK) {
		g->t->regs[RSP] = g->at + below(g->size);
		g->fixed |= BIT(RSP);
	}
	g->reg = g->f->ext >= 0 ? (u8)g->f->ext : (u8)below(16);
	if (flags & N_MMX)
		g->reg &= 7;
	if (flags & N_BITS)
		g->fixed |= BIT(g->reg);
	if (g->f->ext < 0 && g->reg & 8)
		g->rex |= flags & N_REG ? 0x41 : 0x44;
	if (flags & N_REG && g->f->ext >= 0) {
		unsigned r = free_reg(g, RSP);

		g->modrm[g->modrm_len++] = 0xc0 | g->f->ext << 3 | (r & 7);
		g->rex |= r & 8 ? 0x41 : 0;
		g->fixed |= BIT(r);
		g->reg = r;
	} else if (!(flags & (N_REG | N_NO_OPERAND | N_STRING | N_MOFFS))) {
		encode_memory(g);
	}
}

void native_trial(const struct native_form *f, struct trial *t, u64 at, u64 size)
{
	struct gen g = { .f = f, .t = t, .at = at, .size = size, .rip_disp = -1 };
	u64 imm = native_random(), dst;
	unsigned imm_bytes = f->imm;
	u8 opcode = f->opcode;

	for (unsigned r = 0; r < 16; r++)
		t->regs[r] = native_random();
	choose_prefixes(&g);
	choose_size(&g);
	choose_place(&g);
	dst = g.ea;
	choose_operands(&g);
	if (f->flags & N_BITS)
		dst = setup_bit_offset(&g);
	if (f->flags & N_STRING)
		dst = setup_string(&g);
	if (f->flags & N_STACK)
		dst = t->regs[RSP] - g.bytes;
	if (f->flags & N_REG && f->ext < 0)
		opcode += g.reg & 7;
	if (f->flags & N_CC)
		opcode += below(16);
	if (f->imm == 4)
		imm_bytes = g.opsize ? 2 : 4;
	if (f->flags & N_MOFFS) {
		imm = offset_of(&g);
		imm_bytes = g.addr32 ? 4 : 8;
	}
	if (f->flags & N_CALL && f->flags & N_NO_OPERAND)
		imm = 0;
	setup_compare(&g);
	encode(&g, opcode, imm, imm_bytes);
	if (f->flags & N_CALL && f->flags & N_REG)
		t->regs[g.reg] = t->rip + t->len;
	else if (f->flags & N_CALL && !(f->flags & N_NO_OPERAND))
		memcpy((void *)g.ea, (u64[]){ t->rip + t->len }, 8);
	setup_want(&g, dst);
}
