/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instruction decoder: bytes to struct insn.  It says "unknown" to all that
 * decode_forms.c does not list, so also to encodings that the processor answers
 * with #UD.
 */
#include "decode.h"

struct decoder {
	const u8 *bytes;
	unsigned n, pos;
	bool cut; /* ran out of bytes */
	enum emul_mode mode;
	bool opsize, addrsize; /* 66, 67 */
	u8 rep; /* 0, F2 or F3: the last one counts */
	u8 seg; /* override, or NO_REG */
	u8 rex; /* the whole byte, or 0 */
	u8 prefix; /* PFX_*: the mandatory prefix of a vector instruction */
	bool vex, vex_256;
	u8 mod, reg, rm;
};

#define NO_REG 0xff
#define RIP_REG 0xfe

enum { REX_B = 1, REX_X = 2, REX_R = 4, REX_W = 8 };
enum { ES, CS, SS, DS, FS, GS };

static u8 next(struct decoder *d)
{
	if (d->pos < d->n)
		return d->bytes[d->pos++];
	d->cut = true;
	return 0;
}

static u64 next_int(struct decoder *d, unsigned bytes)
{
	u64 v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (u64)next(d) << 8 * i;
	return v;
}

static s64 next_signed(struct decoder *d, unsigned bytes)
{
	unsigned shift = 64 - 8 * bytes;

	return (s64)(next_int(d, bytes) << shift) >> shift;
}

/* In 64-bit mode the ES, CS, SS and DS overrides are null prefixes. */
static void set_override(struct decoder *d, u8 seg)
{
	if (d->mode != EMUL_64 || seg >= FS)
		d->seg = seg;
}

/* Returns the first opcode byte.  REX counts only right before it (SDM vol. 2, "REX Prefixes"). */
static u8 decode_prefixes(struct decoder *d, struct insn *out)
{
	for (;;) {
		u8 b = next(d);

		switch (b) {
		case 0x26: set_override(d, ES); break;
		case 0x2e: set_override(d, CS); break;
		case 0x36: set_override(d, SS); break;
		case 0x3e: set_override(d, DS); break;
		case 0x64: set_override(d, FS); break;
		case 0x65: set_override(d, GS); break;
		case 0x66: d->opsize = true; break;
		case 0x67: d->addrsize = true; break;
		case 0xf0: out->lock = true; break;
		case 0xf2:
		case 0xf3: d->rep = b; break;
		case 0x40 ... 0x4f:
			if (d->mode != EMUL_64)
				return b;
			d->rex = b;
			continue;
		default:
			return b;
		}
		d->rex = 0;
	}
}

static u8 operand_size(const struct decoder *d, u8 size)
{
	bool wide = (d->mode != EMUL_16) != d->opsize, is_64 = d->mode == EMUL_64;

	switch (size) {
	case SZ_B: return 1;
	case SZ_W: return 2;
	case SZ_V: return d->rex & REX_W ? 8 : wide ? 4 : 2;
	case SZ_D64: return is_64 && (wide || d->rex & REX_W) ? 8 : wide ? 4 : 2;
	case SZ_CALL: return is_64 ? 8 : wide ? 4 : 2;
	case SZ_IO: return wide ? 4 : 2; /* REX.W is ignored */
	case SZ_FULL: return is_64 ? 8 : 4;
	case SZ_MOVNTI: return d->rex & REX_W ? 8 : 4;
	case SZ_PAIR: return d->rex & REX_W ? 16 : 8;
	default: return 0;
	}
}

static u8 address_size(const struct decoder *d)
{
	if (d->mode == EMUL_64)
		return d->addrsize ? 4 : 8;
	return (d->mode == EMUL_16) != d->addrsize ? 2 : 4;
}

static void decode_mem16(struct decoder *d, struct insn *out)
{
	static const u8 bases[8] = { 3, 3, 5, 5, 6, 7, 5, 3 }; /* BX BX BP BP SI DI BP BX */
	static const u8 indexes[8] = { 6, 7, 6, 7, NO_REG, NO_REG, NO_REG, NO_REG };

	out->base = bases[d->rm & 7];
	out->index = indexes[d->rm & 7];
	if (d->mod == 0 && (d->rm & 7) == 6) {
		out->base = NO_REG;
		out->disp = next_signed(d, 2);
	} else if (d->mod) {
		out->disp = next_signed(d, d->mod);
	}
	out->seg = out->base == 5 ? SS : DS;
}

static void decode_sib(struct decoder *d, struct insn *out)
{
	u8 sib = next(d);
	u8 index = (sib >> 3 & 7) | (d->rex & REX_X ? 8 : 0);

	out->scale = sib >> 6;
	out->index = index == 4 ? NO_REG : index;
	out->base = (sib & 7) | (d->rex & REX_B ? 8 : 0);
	if ((sib & 7) == 5 && d->mod == 0)
		out->base = NO_REG;
}

static void decode_mem32(struct decoder *d, struct insn *out)
{
	unsigned disp = d->mod == 1 ? 1 : d->mod == 2 ? 4 : 0;

	if ((d->rm & 7) == 4) {
		decode_sib(d, out);
		if (out->base == NO_REG)
			disp = 4;
	} else if ((d->rm & 7) == 5 && d->mod == 0) {
		out->base = d->mode == EMUL_64 ? RIP_REG : NO_REG;
		disp = 4;
	} else {
		out->base = d->rm;
	}
	if (disp)
		out->disp = next_signed(d, disp);
	out->seg = out->base == 4 || out->base == 5 ? SS : DS; /* not R12, R13 */
}

static void decode_modrm(struct decoder *d, struct insn *out, bool reg_only)
{
	u8 b = next(d);

	d->mod = reg_only ? 3 : b >> 6;
	d->reg = out->reg = (b >> 3 & 7) | (d->rex & REX_R ? 8 : 0);
	d->rm = out->rm = (b & 7) | (d->rex & REX_B ? 8 : 0);
	if (d->mod == 3)
		return;
	out->has_mem = true;
	if (out->addr_size == 2)
		decode_mem16(d, out);
	else
		decode_mem32(d, out);
}

static void decode_imm(struct decoder *d, u8 kind, struct insn *out)
{
	switch (kind) {
	case IMM_B: out->imm = next_signed(d, 1); break;
	case IMM_UB: out->imm = next_int(d, 1); break;
	case IMM_Z: out->imm = next_signed(d, out->op_size == 2 ? 2 : 4); break;
	case IMM_MOFFS:
		out->disp = next_int(d, out->addr_size);
		out->has_mem = true;
		return;
	default: return;
	}
	out->imm_src = true;
}

/* Encodings that the form does not have: #UD, another instruction, or one on which vendors differ. */
static bool is_allowed(const struct decoder *d, const struct form *f, unsigned flags, const struct insn *out)
{
	if (d->mode == EMUL_64 ? flags & NO_64 : flags & ONLY_64)
		return false;
	if (flags & MEM_ONLY && !out->has_mem)
		return false;
	if ((flags & NO_66 && d->opsize) || (flags & NO_REP && d->rep))
		return false;
	if (out->lock && !(flags & LOCK && (out->has_mem || (flags & REG_ONLY && d->reg == 0))))
		return false;
	/* Intel ignores 66 on a near CALL in 64-bit mode, AMD does not. */
	return !(f->size == SZ_CALL && d->mode == EMUL_64 && d->opsize);
}

static void load_sizes(const struct form *f, struct insn *out)
{
	out->dst_size = out->op_size;
	out->sign = f->flags & SIGN;
	if (f->flags & (SRC_B | SRC_W | SRC_D))
		out->op_size = f->flags & SRC_B ? 1 : f->flags & SRC_W ? 2 : 4;
}

static bool decode_form(struct decoder *d, const struct form *entry, struct insn *out)
{
	struct form f = *entry;

	if (f.flags & MODRM)
		decode_modrm(d, out, f.flags & REG_ONLY);
	if (f.group) {
		const struct form *g = &decode_groups[f.group][d->reg & 7];

		f.op = g->op;
		f.flags |= g->flags;
		f.size = g->size ? g->size : f.size;
	}
	out->op = f.op;
	if (f.op == INSN_UNKNOWN)
		return false;
	out->op_size = operand_size(d, f.size);
	/* Register forms store the operand size; only memory is always a word. */
	if (f.op == INSN_SMSW && !out->has_mem)
		out->op_size = operand_size(d, SZ_V);
	if (f.flags & OP_REG)
		out->reg = (out->opcode & 7) | (d->rex & REX_B ? 8 : 0);
	decode_imm(d, f.imm, out);
	if (f.op == INSN_LOAD)
		load_sizes(&f, out);
	if (f.flags & REG_ONLY && out->lock)
		out->reg |= 8;
	out->cc = out->opcode & 15;
	return is_allowed(d, &f, f.flags, out);
}

static bool decode_sse(struct decoder *d, struct insn *out)
{
	const struct sse_form *f = decode_sse_forms, *end = f + decode_sse_count;

	while (f < end && !(f->opcode == out->opcode && f->prefix == d->prefix && (f->vex || !d->vex)))
		f++;
	if (f == end)
		return false;
	decode_modrm(d, out, false);
	out->op = INSN_SSE_STORE;
	out->op_size = f->bytes ? f->bytes : d->vex_256 ? 32 : 16;
	out->sse = f->src;
	out->aligned = f->aligned;
	if (f->opcode == 0x7e && d->rex & REX_W)
		out->op_size = 8;
	if (f->src == INSN_MMX)
		out->reg &= 7;
	if (d->vex_256 && f->bytes && f->opcode != 0x11) /* VMOVSS and VMOVSD ignore VEX.L */
		return false;
	return out->has_mem && !out->lock;
}

/* C4 and C5; outside 64-bit mode they are LES and LDS unless ModRM.mod would be 3 (SDM vol. 2, 2.3.5). */
static bool decode_vex(struct decoder *d, u8 first, struct insn *out)
{
	u8 b = next(d), map = 1, w = 0;

	if (d->mode != EMUL_64 && b >> 6 != 3)
		return false;
	if (d->rex || d->opsize || d->rep || out->lock)
		return false;
	d->rex = b & 0x80 ? 0 : REX_R;
	if (first == 0xc4) {
		d->rex |= (b & 0x40 ? 0 : REX_X) | (b & 0x20 ? 0 : REX_B);
		map = b & 31;
		b = next(d);
		w = b & 0x80 ? REX_W : 0;
	}
	d->rex = d->mode == EMUL_64 ? d->rex | w : 0;
	d->vex = true;
	d->vex_256 = b & 4;
	d->prefix = b & 3;
	out->opcode = next(d);
	return map == 1 && (b >> 3 & 15) == 15 && decode_sse(d, out);
}

static bool decode_opcode(struct decoder *d, struct insn *out)
{
	u8 b = decode_prefixes(d, out);

	out->rex = d->rex;
	out->rep = d->rep == 0xf3;
	out->repne = d->rep == 0xf2;
	out->addr_size = address_size(d);
	out->opcode = b;
	if (b == 0xc4 || b == 0xc5)
		return decode_vex(d, b, out);
	if (b != 0x0f)
		return decode_form(d, &decode_one_byte[b], out);
	b = out->opcode = next(d);
	d->prefix = d->rep ? (out->rep ? PFX_F3 : PFX_F2) : d->opsize ? PFX_66 : PFX_NONE;
	return decode_sse(d, out) || decode_form(d, &decode_two_byte[b], out);
}

bool insn_decode(const u8 *bytes, unsigned n, enum emul_mode mode, struct insn *out, bool *need_more)
{
	struct decoder d = { .bytes = bytes, .n = MIN(n, 15u), .mode = mode, .seg = NO_REG };
	bool known;

	*out = (struct insn){ .seg = DS, .base = NO_REG, .index = NO_REG };
	known = decode_opcode(&d, out);
	if (d.seg != NO_REG)
		out->seg = d.seg;
	out->len = d.pos;
	/* What was decoded from missing bytes means nothing. */
	*need_more = d.cut && n < 15;
	if (known && !d.cut)
		return true;
	out->op = INSN_UNKNOWN;
	return false;
}
