/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hv/shadow/ driven by random guests.  The processor (processor.c) walks the
 * *shadow* tables and has a TLB that forgets only what is flushed; the reference
 * is a fresh walk of the guest's tables before each access.  Every access must
 * end as the reference says, reach the frame that the p2m gives under the memory
 * type of the guest's PAT, and leave A and D where the manual wants them; the
 * audit runs after each operation.  Tables point to each other and to themselves
 * at random, so aliases, recursion and garbage are the normal case.
 */
#include <stdlib.h>
#include <stdio.h>

#include "processor.h"
#include "host.h"

#define RAM 1280u /* frames: two groups and a half */
#define TABLE0 16u /* first of the guest's tables */
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

/* What a back end does before it enters: the flush, then the oracle is asked. */
static bool vm_entry(void)
{
	processor_flush(&sv);
	shadow_flushed(&sv, sv.flush);
	sv.flush = SHADOW_FLUSH_NONE;
	return !shadow_flush_missing(&sv);
}

#include "shadow_guest.h"

/* By the guest's PAT and the entry that ended the walk. */
static unsigned type_of(const struct walk *w)
{
	u64 e = w->gpte[w->leaf_level].v;
	unsigned pat = !!(e & (w->leaf_level > 1 ? PTE_PAT_LARGE : PTE_PAT));

	if (!w->leaf_level)
		return 6; /* WB */
	return sv.paging.pat >> 8 * (pat << 2 | !!(e & PTE_PCD) << 1 | !!(e & PTE_PWT)) & 7;
}

/* The access went through: did it reach the right frame, and are A and D where the manual wants them? */
static const char *check_done(gva_t gva, const struct shadow_access *a, const struct walk *before,
			      const struct processor_result *r, bool stepped)
{
	struct walk now;

	sv.mode->walk(&sv, gva, &now);
	if (!stepped && r->hpa >> 12 != p2m_lookup(vm, before->gfn).hfn.v)
		return "wrong frame";
	if ((SHADOW_HOST_PAT >> 8 * r->pat_index & 7) != type_of(before))
		return "wrong memory type";
	for (unsigned l = sv.mode->guest_levels == 3 ? 2 : sv.mode->guest_levels; l && l >= before->leaf_level; l--)
		if (!(now.gpte[l].v & PTE_A) && p2m_lookup(vm, gpa_to_gfn(before->at[l])).kind == P2M_RAM)
			return "A is not set";
	if (a->write && !now.dirty)
		return "D is not set";
	if (a->write) {
		u64 e = random_entry();

		memcpy(host_ptr(hpa_to_hfn(mk_hpa(r->hpa))) + (r->hpa & 0xff8), &e, 8);
	}
	warm[nwarm % 8].gva = gva.v;
	warm[nwarm++ % 8].acc = *a;
	shadow_close(&sv);
	if (a->write && before->gfn.v - TABLE0 < NTABLES)
		guest_flushes();
	return NULL;
}

static const char *try_access(gva_t gva, struct shadow_access a)
{
	struct shadow_access told = a;
	bool want, stepped = false;
	struct processor_result r;
	unsigned again = 0;
	struct walk w;
	u32 error;

	told.implicit = a.implicit && (a.write || rnd(2)); /* not every exit tells it */
	sv.mode->walk(&sv, gva, &w);
	want = sv.mode->permits(&sv, &w, &a, &error);
	accesses++;
	faults += !want;
	for (unsigned tries = 0; tries < 4; tries++) {
		struct shadow_verdict v;

		if (!vm_entry())
			return "entered with a flush left out";

		if (processor_access(&sv, gva.v, &a, &r))
			return want ? check_done(gva, &a, &w, &r, stepped) : "the processor lets pass what the guest's tables forbid";
		shadow_begin_exit(&sv);
		v = shadow_page_fault(&sv, gva, &told, PF_ERR_P);
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

static const char *one_access(void)
{
	unsigned i = rnd(8);

	if (i < nwarm && rnd(2))
		return try_access(mk_gva(formed(warm[i].gva)), warm[i].acc);
	return try_access(mk_gva(random_gva()), random_access());
}

static bool leaf_entry(gva_t gva, gpa_t *at)
{
	struct walk w;

	sv.mode->walk(&sv, gva, &w);
	*at = w.at[w.leaf_level];
	return w.leaf_level;
}

/* What a tag remembers, while the guest runs under another, and something changes behind its back. */
static const char *there_and_back(void)
{
	struct shadow_paging here = sv.paging;
	unsigned i = rnd(8);
	struct shadow_access first = warm[i].acc, acc = rnd(3) ? first : random_access();
	const char *why;
	gpa_t at;
	gva_t gva;

	if (i >= nwarm)
		return NULL;
	gva = mk_gva(formed(warm[i].gva));
	acc.write |= !acc.fetch && rnd(2);
	if (rnd(2) && leaf_entry(gva, &at)) { /* a clean page is read-only in the shadow */
		change(at, ~(u64)PTE_D, 0);
		first.write = false;
	}
	why = try_access(gva, first);
	if (why || !leaf_entry(gva, &at))
		return why;
	if (!rnd(3)) {
		sv.paging.cr4 ^= rnd(2) ? CR4_SMEP : CR4_SMAP;
		shadow_update(&sv, SHADOW_MODE);
	} else {
		random_root();
		shadow_update(&sv, SHADOW_CR3);
		if (rnd(2) && (why = one_access()))
			return why;
		if (acc.write && rnd(2)) {
			change(at, ~(u64)(PTE_W | PTE_D), PTE_W | PTE_D);
			acc.user &= rnd(2);
			acc.ac |= !acc.user; /* as a kernel writes to its user's memory */
		} else {
			change(at, ~0ull, rnd(2) ? some_flag() : PTE_U);
		}
		if (!vm_entry())
			return "a flush is left out";
		sv.paging = here;
		shadow_update(&sv, SHADOW_CR3);
	}
	return try_access(gva, acc);
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
	if (op == 3)
		guest_flushes();
}

static const char *one_op(void)
{
	const char *why;
	unsigned op = rnd(100);

	if (op < 20)
		edit();
	else if (op < 21)
		random_mode();
	else if (op < 24)
		shadow_invlpg(&sv, mk_gva(random_gva()));
	else if (op < 30)
		switch_root();
	else if (op < 35)
		memory_op();
	else if ((why = op < 70 ? there_and_back() : one_access()))
		return why;
	if (!vm_entry())
		return "a flush is left out";
	processor_speculate(&sv, random_gva());
	shadow_chaos(&sv);
	return shadow_audit(&sv, &why) ? why : NULL;
}

static void run(const char *name, struct shadow_config cfg, u64 seed, unsigned ops)
{
	const char *why = NULL;
	unsigned i;
	u64 before = host_used();

	rng = seed * 0x9e3779b97f4a7c15ull | 1;
	nwarm = 0;
	last_gva = 0;
	other = (struct shadow_paging){ 0 };
	processor_reset(rnd);
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
	tap_note("%lu accesses, %lu by a remembered translation, %lu guest faults", accesses, processor_recalled(), faults);
	return tap_done();
}
