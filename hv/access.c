/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory as the instruction at RIP sees it: the emulator's callbacks on
 * a real vCPU, and the one place that says who makes an access (CPL, EFLAGS.AC,
 * implicit supervisor accesses: SDM vol. 3, "Determination of Access Rights").
 */
#include "cpu.h"
#include "exit.h"

#define MAX_REP 512 /* iterations of a string instruction for one exit */

bool access_code64(struct vcpu *v)
{
	struct segment cs;

	if (!vcpu_is_long(v))
		return false;
	vendor->get_seg(v, SEG_CS, &cs);
	return cs.attr & SEG_ATTR_L;
}

bool access_canonical(const struct vcpu *v, u64 gva)
{
	unsigned unused = v->cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;

	return (u64)((s64)(gva << unused) >> unused) == gva;
}

struct shadow_access access_explicit(struct vcpu *v, bool write)
{
	return (struct shadow_access){
		.write = write, .user = vendor->cpl(v) == 3, .ac = v->rflags & RFLAGS_AC,
	};
}

/*
 * Without PAE and SMEP the processor does not tell a fetch from a read (error
 * bit I), yet SMAP does: what lies at RIP, or where the instruction crosses into
 * the next page, is taken for a fetch.
 */
static bool looks_like_fetch(struct vcpu *v)
{
	u64 gva = v->exit.gva.v, at;
	struct segment cs;

	if ((v->hw.cr4 & (CR4_PAE | CR4_SMEP)) || (v->exit.error & PF_ERR_W) || v->exit.vectoring.valid)
		return false;
	vendor->get_seg(v, SEG_CS, &cs);
	at = (u32)(v->rip + cs.base);
	return gva == at || (gva % PAGE_SIZE == 0 && gva - at < 15);
}

/*
 * A fault in event delivery, and a supervisor access at CPL 3, come from the
 * processor itself: implicit.  At CPL < 3 a descriptor-table access looks like
 * data; the shadow MMU finds out when there is nothing to repair.
 */
struct shadow_access access_of_fault(struct vcpu *v)
{
	bool user = v->exit.error & PF_ERR_U;

	return (struct shadow_access){
		.write = v->exit.error & PF_ERR_W,
		.fetch = (v->exit.error & PF_ERR_I) || looks_like_fetch(v),
		.user = user,
		.implicit = !user && (vendor->cpl(v) == 3 || v->exit.vectoring.valid),
		.ac = v->rflags & RFLAGS_AC,
	};
}

/* ---- the emulator's callbacks ---- */

static bool fault_out(struct emul_ctxt *c, const struct shadow_fault *f)
{
	struct access *a = c->priv;

	c->fault.gva = f->gva.v;
	c->fault.error = f->error;
	a->faulted = true;
	return false;
}

/* An access of the instruction that the emulator works on. */
static struct shadow_access access_by(const struct access *a, bool write)
{
	struct shadow_access acc = access_explicit(a->v, write);

	acc.wide = a->c.mode == EMUL_64;
	return acc;
}

static bool op_fetch(struct emul_ctxt *c, u64 gva, void *buf, unsigned len)
{
	struct access *a = c->priv;
	struct shadow_access acc = access_by(a, false);
	struct shadow_fault f;

	acc.fetch = true;
	return shadow_read(&a->v->mmu, mk_gva(gva), buf, len, &acc, &f) || fault_out(c, &f);
}

static bool read_as(struct emul_ctxt *c, u64 gva, void *buf, unsigned len, bool rmw)
{
	struct access *a = c->priv;
	struct shadow_access acc = access_by(a, rmw);
	struct shadow_fault f;

	return shadow_read(&a->v->mmu, mk_gva(gva), buf, len, &acc, &f) || fault_out(c, &f);
}

static bool op_read(struct emul_ctxt *c, u64 gva, void *buf, unsigned len)
{
	return read_as(c, gva, buf, len, false);
}

static bool op_read_rmw(struct emul_ctxt *c, u64 gva, void *buf, unsigned len)
{
	return read_as(c, gva, buf, len, true);
}

static bool op_write(struct emul_ctxt *c, u64 gva, const void *buf, unsigned len)
{
	struct access *a = c->priv;
	struct shadow_access acc = access_by(a, true);
	struct shadow_fault f;

	return shadow_write(&a->v->mmu, mk_gva(gva), buf, len, &acc, &f) || fault_out(c, &f);
}

static bool op_cmpxchg(struct emul_ctxt *c, u64 gva, void *old, const void *new_val, unsigned len, bool *swapped)
{
	struct access *a = c->priv;
	struct shadow_access acc = access_by(a, true);
	struct shadow_fault f;

	return shadow_cmpxchg(&a->v->mmu, mk_gva(gva), old, new_val, len, swapped, &acc, &f) || fault_out(c, &f);
}

static void op_seg(struct emul_ctxt *c, unsigned seg, u64 *base, u32 *limit, u16 *attr)
{
	struct access *a = c->priv;
	struct segment s;

	vendor->get_seg(a->v, seg, &s);
	*base = s.base;
	*limit = s.limit;
	*attr = s.attr;
}

/*
 * The guest's FPU state is live in the registers.  FXSAVE stores the XMM
 * registers only under CR4.OSFXSR, and hv's own CR0.TS is clear; whether the
 * guest may use them the processor has judged before the page fault.
 */
static void fxsave(u8 area[512])
{
	u64 cr4 = read_cr4();

	write_cr4(cr4 | CR4_OSFXSR);
	__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
	write_cr4(cr4);
}

static void op_read_xmm(struct emul_ctxt *c, unsigned n, u8 out[16])
{
	u8 area[512] __attribute__((aligned(16)));

	(void)c;
	fxsave(area);
	memcpy(out, area + 160 + 16 * (n & 15), 16);
}

/* The image is in stack order from TOP; MMn is the physical register n. */
static void op_read_mmx(struct emul_ctxt *c, unsigned n, u8 out[8])
{
	u8 area[512] __attribute__((aligned(16)));
	unsigned top;

	(void)c;
	fxsave(area);
	top = area[3] >> 3 & 7;
	memcpy(out, area + 32 + 16 * ((n - top) & 7), 8);
}

/* A store from MMn ends as each MMX instruction does: TOP is 0, all registers are valid (SDM vol. 1, 9.5.1). */
void access_done(const struct access *a)
{
	u64 mm0;

	if (a->c.insn.op == INSN_SSE_STORE && a->c.insn.sse == INSN_MMX)
		__asm__ volatile("movq %%mm0, %0" : "=m"(mm0));
}

static const struct emul_ops access_ops = {
	.fetch = op_fetch,
	.read = op_read,
	.write = op_write,
	.read_rmw = op_read_rmw,
	.cmpxchg = op_cmpxchg,
	.seg = op_seg,
	.read_xmm = op_read_xmm,
	.read_mmx = op_read_mmx,
};

static enum emul_mode code_mode(struct vcpu *v)
{
	struct segment cs;

	if (access_code64(v))
		return EMUL_64;
	vendor->get_seg(v, SEG_CS, &cs);
	return cs.attr & SEG_ATTR_DB ? EMUL_32 : EMUL_16;
}

void access_init(struct access *a, struct vcpu *v)
{
	memset(a, 0, sizeof(*a));
	a->v = v;
	a->c = (struct emul_ctxt){
		.ops = &access_ops,
		.priv = a,
		.mode = code_mode(v),
		.regs = v->regs,
		.rip = v->rip,
		.rflags = v->rflags,
		.cr0 = v->cr0,
		.cr4 = v->cr4,
		.cpl = vendor->cpl(v),
		/* a single-stepping guest sees every iteration */
		.max_iterations = v->rflags & RFLAGS_TF ? 1 : MAX_REP,
	};
}

bool access_decode(struct access *a, struct vcpu *v)
{
	access_init(a, v);
	if (emul_fetch_decode(&a->c))
		return true;
	if (a->faulted)
		event_page_fault(v, mk_gva(a->c.fault.gva), a->c.fault.error);
	else
		vm_fail(v->vm, "exit %s: cannot decode the instruction at rip %#llx", exit_name(v->exit.kind),
			(unsigned long long)v->rip);
	return false;
}

static bool settle(struct access *a, u64 gva, bool done)
{
	if (!done && a->faulted)
		event_page_fault(a->v, mk_gva(a->c.fault.gva), a->c.fault.error);
	else if (!done)
		BUG("access to %#llx refused without a fault", (unsigned long long)gva);
	return done;
}

bool access_check(struct access *a, u64 gva)
{
	if (a->c.mode != EMUL_64 || access_canonical(a->v, gva))
		return true;
	event_exception(a->v, a->c.insn.seg == SEG_SS ? VEC_SS : VEC_GP, true, 0);
	return false;
}

bool access_read(struct access *a, u64 gva, void *buf, unsigned len)
{
	return access_check(a, gva) && settle(a, gva, op_read(&a->c, gva, buf, len));
}

bool access_write(struct access *a, u64 gva, const void *buf, unsigned len)
{
	return access_check(a, gva) && settle(a, gva, op_write(&a->c, gva, buf, len));
}

static bool is_prefix(u8 b, bool code64)
{
	static const u8 prefix[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };

	for (unsigned i = 0; i < ARRAY_SIZE(prefix); i++)
		if (b == prefix[i])
			return true;
	return code64 && (b & 0xf0) == 0x40;
}

u8 access_insn_len(struct vcpu *v, u8 opcode)
{
	struct access a;
	struct segment cs;
	u8 byte, n = 0;

	if (v->exit.insn_len)
		return v->exit.insn_len;
	access_init(&a, v);
	vendor->get_seg(v, SEG_CS, &cs);
	while (n < 15 - opcode) {
		u64 gva = v->rip + n + (a.c.mode == EMUL_64 ? 0 : cs.base);

		if (!op_fetch(&a.c, a.c.mode == EMUL_64 ? gva : (u32)gva, &byte, 1))
			break;
		if (!is_prefix(byte, a.c.mode == EMUL_64))
			break;
		n++;
	}
	return n + opcode;
}
