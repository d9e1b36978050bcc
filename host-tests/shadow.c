/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hv/shadow/ driven by random guests.  The processor is a walk of the *shadow*
 * tables without a TLB; the reference is a fresh walk of the guest's tables
 * before each access.  Every access must end as the reference says, reach the
 * frame that the p2m gives, and leave A and D where the manual wants them; the
 * audit runs after each operation.  Tables point to each other and to
 * themselves at random, so aliases, recursion and garbage are the normal case.
 */
#include <stdlib.h>
#include <stdio.h>

#include "../hv/shadow/private.h"
#include "host.h"

#define RAM 1280u /* frames: two groups and a half */
#define TABLE0 16u
#define NTABLES 12u

static u64 rng;
static struct shadow_vm *vm;
static struct shadow_vcpu sv;
static unsigned long accesses, faults;

static u32 rnd(u32 n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 11) % n;
}

/* ---- the processor -------------------------------------------------------- */

static bool hw_walk(u64 gva, const struct shadow_access *a, u64 *hpa)
{
	unsigned levels = sv.mode->shadow_levels, bits = levels == 2 ? 10 : 9;
	u64 table = sv.root.v, rights = PTE_W | PTE_U, e = 0;
	bool nx = false;

	for (unsigned level = levels; level; level--) {
		unsigned i = gva >> (12 + (level - 1) * bits) & (levels == 3 && level == 3 ? 3 : BIT(bits) - 1);
		void *t = host_ptr(hpa_to_hfn(mk_hpa(table)));

		e = levels == 2 ? ((u32 *)t)[i] : ((u64 *)t)[i];
		if (!(e & PTE_P))
			return false;
		table = e & SPTE_ADDR;
		if (levels == 3 && level == 3)
			continue;
		rights &= e;
		nx |= levels != 2 && e & PTE_NX;
		if (level == 2 && e & PTE_PS) {
			table = (table & ~0x1fffffull) | (gva & 0x1ff000);
			break;
		}
	}
	*hpa = table | (gva & 0xfff);
	if ((a->write && !(rights & PTE_W)) || (a->user && !(rights & PTE_U)) || (a->fetch && nx))
		return false;
	if (a->user || !(rights & PTE_U))
		return true;
	if (a->fetch)
		return !(sv.hw_cr4 & CR4_SMEP);
	return !(sv.hw_cr4 & CR4_SMAP) || (a->ac && !a->implicit);
}

/* What a back end does before it enters: the flush, then the oracle is asked. */
static bool vm_entry(void)
{
	shadow_flushed(&sv, sv.flush);
	sv.flush = SHADOW_FLUSH_NONE;
	return !shadow_flush_missing(&sv);
}

/* ---- the guest -------------------------------------------------------------- */

static u64 random_entry(void)
{
	u64 e = rnd(8) ? PTE_P : 0, gfn = rnd(3) ? TABLE0 + rnd(NTABLES) : rnd(RAM + 8);

	e |= (rnd(4) ? PTE_W : 0) | (rnd(3) ? PTE_U : 0) | (rnd(3) ? PTE_A : 0) | (rnd(2) ? PTE_D : 0);
	e |= (rnd(8) ? 0 : PTE_PS) | (rnd(8) ? 0 : PTE_G) | (rnd(8) ? 0 : PTE_PWT) | (rnd(12) ? 0 : BIT(12 + rnd(40)));
	if (sv.paging.cr4 & CR4_PAE)
		e |= rnd(5) ? 0 : PTE_NX;
	if (e & PTE_PS && rnd(4)) /* else its low address bits are mostly reserved ones */
		gfn = rnd(2) * GROUP;
	return e | gfn << 12;
}

static void edit(void)
{
	u64 e = random_entry();
	unsigned narrow = !(sv.paging.cr4 & CR4_PAE), slot = rnd(4);
	unsigned n = narrow ? 1024 : 512, size = narrow ? 4 : 8;
	unsigned i = slot < 2 ? slot : slot == 2 ? n - 1 : n / 2 + rnd(2);
	gpa_t at = mk_gpa((TABLE0 + rnd(NTABLES)) * PAGE_SIZE + i * size);

	if (rnd(2)) { /* one bit of what is there */
		static const u8 bit[] = { 0, 1, 1, 2, 2, 5, 6, 6, 7, 63 };

		guestmem_read(vm, at, &e, size);
		e ^= BIT(bit[rnd(narrow ? 9 : 10)]);
	} else if (!rnd(5)) {
		at.v += rnd(size); /* across two entries */
	}
	guestmem_write(vm, at, &e, rnd(6) ? size : 1 + rnd(8));
	if (vm->cfg.policy != POLICY_EMULATE)
		shadow_update(&sv, SHADOW_CR3); /* what may lag otherwise the reference does not model */
}

static u64 random_gva(void)
{
	static u64 last;
	unsigned bits = sv.paging.cr4 & CR4_PAE ? 9 : 10, levels = sv.hw_long ? sv.mode->guest_levels : bits == 9 ? 3 : 2;
	unsigned unused = 64 - 12 - levels * bits;
	u64 gva = rnd(4096);

	if (rnd(2)) /* the same page in another way */
		return levels >= 4 ? (u64)((s64)(last << unused) >> unused) : (u32)last;
	for (unsigned l = 0; l < levels; l++) {
		unsigned n = levels == 3 && l == 2 ? 4 : 1u << bits, pick = rnd(4);
		u64 i = pick < 2 ? pick : pick == 2 ? n - 1 : n / 2 + rnd(2);

		gva |= i << (12 + l * bits);
	}
	if (!(sv.paging.cr0 & CR0_PG))
		gva = rnd(RAM + 8) << 12;
	return last = levels >= 4 ? (u64)((s64)(gva << unused) >> unused) : (u32)gva;
}

static void random_mode(void)
{
	struct shadow_paging *p = &sv.paging;
	unsigned kind = rnd(5);

	p->cr0 = CR0_PE | (kind ? CR0_PG : 0) | (rnd(3) ? CR0_WP : 0);
	p->cr4 = (kind >= 2 ? CR4_PAE : 0) | (rnd(2) ? CR4_PSE : 0) | (rnd(3) ? 0 : CR4_SMEP) | (rnd(3) ? 0 : CR4_SMAP);
	p->cr4 |= kind == 4 || !rnd(8) ? CR4_LA57 : 0; /* of no meaning outside long mode */
	p->efer = (kind >= 3 ? EFER_LME | EFER_LMA : 0) | (rnd(2) ? EFER_NXE : 0);
	p->cr3 = (TABLE0 + rnd(3)) << 12;
	for (unsigned i = 0; i < 4; i++)
		p->pdpte[i] = rnd(5) ? (u64)(TABLE0 + rnd(NTABLES)) << 12 | PTE_P : 0;
	shadow_update(&sv, SHADOW_MODE);
}

/* The access went through: did it reach the right frame, and are A and D where the manual wants them? */
static const char *check_done(gva_t gva, const struct shadow_access *a, const struct walk *before, u64 hpa, bool stepped)
{
	struct walk now;

	sv.mode->walk(&sv, gva, &now);
	if (!stepped && hpa >> 12 != p2m_lookup(vm, before->gfn).hfn.v)
		return "wrong frame";
	for (unsigned l = sv.mode->guest_levels == 3 ? 2 : sv.mode->guest_levels; l && l >= before->leaf_level; l--)
		if (!(now.gpte[l].v & PTE_A) && p2m_lookup(vm, gpa_to_gfn(before->at[l])).kind == P2M_RAM)
			return "A is not set";
	if (a->write && !now.dirty)
		return "D is not set";
	if (a->write) {
		u64 e = random_entry();

		memcpy(host_ptr(hpa_to_hfn(mk_hpa(hpa))) + (hpa & 0xff8), &e, 8);
	}
	shadow_close(&sv);
	return NULL;
}

static struct shadow_access random_access(void)
{
	struct shadow_access a = { .write = rnd(3) == 0, .user = rnd(2), .ac = rnd(2) };

	a.fetch = !a.write && !rnd(3);
	a.implicit = !a.user && !a.fetch && !rnd(4);
	return a;
}

static const char *one_access(void)
{
	struct shadow_access a = random_access();
	gva_t gva = mk_gva(random_gva());
	bool want, stepped = false;
	unsigned again = 0;
	struct walk w;
	u32 error;
	u64 hpa;

	sv.mode->walk(&sv, gva, &w);
	want = sv.mode->permits(&sv, &w, &a, &error);
	accesses++;
	faults += !want;
	for (unsigned tries = 0; tries < 4; tries++) {
		struct shadow_verdict v;

		if (!vm_entry())
			return "entered with a flush left out";

		if (hw_walk(gva.v, &a, &hpa))
			return want ? check_done(gva, &a, &w, hpa, stepped) : "the processor lets pass what the guest's tables forbid";
		shadow_begin_exit(&sv);
		v = shadow_page_fault(&sv, gva, &a, PF_ERR_P);
		shadow_end_exit(&sv);
		if (shadow_violation(&sv))
			return shadow_violation(&sv);
		if (v.action == SHADOW_AGAIN && ++again < 1000)
			tries--;
		if (v.action == SHADOW_INJECT)
			return want ? "a fault the guest's tables do not call for" : v.error == error ? NULL : "wrong error code";
		if (v.action == SHADOW_RETRY || v.action == SHADOW_AGAIN)
			continue;
		if (!want)
			return "a forbidden write is emulated";
		if (rnd(2)) {
			struct shadow_fault f;
			u64 e = random_entry();

			gva.v &= ~7ull;
			if (!shadow_write(&sv, gva, &e, rnd(2) ? 8 : 4, &a, &f))
				return "the emulated write faults";
			return NULL;
		}
		shadow_step_over(&sv, gva, &a);
		stepped = true;
	}
	return "no progress";
}

/* Log-dirty is chaos's alone here. */
static void memory_op(void)
{
	gfn_t a = mk_gfn(rnd(2) ? TABLE0 + rnd(NTABLES) : rnd(RAM + 8)), b = mk_gfn(rnd(RAM));
	u64 e = random_entry();
	unsigned op = rnd(4);

	for (enum shadow_done d = SHADOW_MORE; d == SHADOW_MORE;) {
		shadow_begin_exit(&sv);
		d = op == 0 ? shadow_relocate(&sv, a) : op == 1 ? shadow_set_rom(&sv, a, rnd(3) == 0) :
		    op == 2 ? shadow_share(&sv, a, b) : shadow_batch_write(&sv, gfn_to_gpa(a), rnd(4), e) ? SHADOW_DONE : SHADOW_REFUSED;
		shadow_end_exit(&sv);
	}
	if (op == 3 && vm->cfg.policy != POLICY_EMULATE)
		shadow_update(&sv, SHADOW_CR3);
}

static const char *one_op(void)
{
	const char *why;
	unsigned op = rnd(100);

	if (op < 30)
		edit();
	else if (op < 33)
		random_mode();
	else if (op < 36)
		shadow_invlpg(&sv, mk_gva(random_gva()));
	else if (op < 38)
		shadow_update(&sv, SHADOW_CR3);
	else if (op < 44)
		memory_op();
	else if ((why = one_access()))
		return why;
	if (!vm_entry())
		return "a flush is left out";
	shadow_chaos(&sv);
	return shadow_audit(&sv, &why) ? why : NULL;
}

static void run(const char *name, struct shadow_config cfg, u64 seed, unsigned ops)
{
	const char *why = NULL;
	unsigned i;
	u64 before = host_used();

	rng = seed * 0x9e3779b97f4a7c15ull | 1;
	cfg.ram_frames = RAM;
	cfg.hole_start = mk_gfn(100);
	cfg.hole_end = mk_gfn(104);
	cfg.seed = seed;
	cfg.maxphyaddr = 40;
	cfg.page1g = cfg.pse36 = true;
	vm = shadow_vm_create(&cfg, &why);
	if (!vm) {
		tap_ok(false, "%s: %s", name, why);
		return;
	}
	shadow_vcpu_init(&sv, vm);
	sv.paging.pat = 0x0007040600070406ull;
	why = NULL;
	random_mode();
	for (i = 0; i < 600; i++)
		edit();
	for (i = 0; i < ops && !why; i++)
		why = one_op();
	if (!tap_ok(!why, "%s seed=%lu", name, seed))
		tap_note("operation %u, mode g%u_on_s%u: %s", i, sv.mode->guest_levels, sv.mode->shadow_levels, why);
	shadow_vm_destroy(vm);
	if (host_used() != before)
		tap_ok(false, "%s: %lu frames leaked", name, host_used() - before);
}

static const struct {
	const char *name;
	struct shadow_config cfg; /* .chaos 1: the seed's */
} configs[] = {
	{ "emulate rmap", { .policy = POLICY_EMULATE, .pool = 256, .p2m = P2M_SCATTER } },
	{ "emulate scan", { .policy = POLICY_EMULATE, .wprot = WPROT_SCAN, .pool = 256, .p2m = P2M_SCATTER } },
	{ "emulate small pool", { .policy = POLICY_EMULATE, .pool = 16, .p2m = P2M_SPARSE } },
	{ "emulate g2=s2", { .policy = POLICY_EMULATE, .pool = 64, .p2m = P2M_SCATTER, .g2_on_s2 = true } },
	{ "emulate chaos", { .policy = POLICY_EMULATE, .pool = 64, .p2m = P2M_SPARSE, .chaos = 1 } },
	{ "emulate fastpath prefetch", { .policy = POLICY_EMULATE, .pool = 256,
	  .p2m = P2M_CHUNKS, .fastpath = true, .prefetch = 8 } },
	{ "emulate direct", { .policy = POLICY_EMULATE, .pool = 128, .p2m = P2M_CHUNKS, .large = LARGE_DIRECT } },
	{ "emulate direct scan chaos", { .policy = POLICY_EMULATE, .wprot = WPROT_SCAN, .pool = 128,
	  .p2m = P2M_FLAT, .large = LARGE_DIRECT, .chaos = 1 } },
	{ "oos", { .policy = POLICY_OOS, .oos = 3, .pool = 256, .p2m = P2M_SCATTER } },
	{ "oos all scan fastpath", { .policy = POLICY_OOS, .oos = 65536, .wprot = WPROT_SCAN, .pool = 64,
	  .p2m = P2M_CHUNKS, .fastpath = true, .large = LARGE_MIXED, .prefetch = 3 } },
	{ "adaptive", { .policy = POLICY_ADAPTIVE, .oos = 64, .pool = 32, .p2m = P2M_SCATTER } },
	{ "adaptive chaos", { .policy = POLICY_ADAPTIVE, .oos = 4, .pool = 64,
	  .p2m = P2M_FLAT, .fastpath = true, .large = LARGE_DIRECT, .prefetch = 2, .chaos = 1 } },
	{ "vtlb", { .policy = POLICY_VTLB, .pool = 64, .p2m = P2M_FLAT } },
	{ "vtlb direct prefetch", { .policy = POLICY_VTLB, .pool = 64,
	  .p2m = P2M_FLAT, .large = LARGE_DIRECT, .prefetch = 4, .fastpath = true } },
	{ "vtlb g2=s2", { .policy = POLICY_VTLB, .pool = 64, .p2m = P2M_SCATTER, .g2_on_s2 = true } },
};

int main(int argc, char **argv)
{
	u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	unsigned seeds = argc > 2 ? atoi(argv[2]) : 20;

	for (u64 s = seed; s < seed + seeds; s++)
		for (unsigned i = 0; i < sizeof(configs) / sizeof(*configs); i++) {
			struct shadow_config cfg = configs[i].cfg;

			cfg.chaos *= s;
			cfg.audit = 1;
			cfg.tags = 1 + s % 4;
			run(configs[i].name, cfg, s, 1500);
		}
	tap_note("%lu accesses, %lu guest faults", accesses, faults);
	return tap_done();
}
