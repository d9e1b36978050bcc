/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest walk of hv/shadow/ against the guest tests' predictor: two readings
 * of the manuals, written apart.  One entry of the path takes every combination
 * of its flags, the others one of a few shapes; under all control bits; for all
 * accesses.  Outcome, error code, address and the A and D bits set must agree.
 */
#include <stdio.h>

#include "../hv/shadow/private.h"
#include "host.h"
#include "reference.h"

static struct shadow_vm *vm;
static struct shadow_vcpu sv;
static unsigned long walks;
static unsigned failures;

static const u64 flag[] = { PTE_P, PTE_W, PTE_U, PTE_A, PTE_D, PTE_PS, BIT(13), BIT(21), BIT(39), PTE_NX, BIT(45) };
static const u64 shape[] = { 7, 5, 3, 7 | PTE_NX, 0, 7 | BIT(51), 0x67, 7 | PTE_PS }; /* of the other entries */
#define TABLE(level) (0x10u + 4 * (level)) /* the frame of the table at a level: bit 13 of an entry leads to no other */
#define TARGET 0x30u

static unsigned entry_size(void) { return sv.mode->guest_levels == 2 ? 4 : 8; }

static void put(unsigned level, u64 e)
{
	if (sv.mode->guest_levels == 3 && level == 3)
		sv.paging.pdpte[0] = e & PTE_P ? (u64)TABLE(2) << 12 | PTE_P : 0;
	else
		memcpy(guestmem_frame_rw(vm, mk_gfn(TABLE(level))), &e, entry_size());
}

static u64 get(unsigned level)
{
	u64 e = 0;

	memcpy(&e, guestmem_frame(vm, mk_gfn(TABLE(level))), entry_size());
	return e;
}

static unsigned long long read_entry(void *ctx, unsigned long long gpa, u32 size)
{
	u64 e = 0;

	(void)ctx;
	guestmem_read(vm, mk_gpa(gpa), &e, size);
	return e;
}

static u64 address(unsigned level) { return (u64)(level > 1 ? TABLE(level - 1) : TARGET) << 12; }

static void report(const struct reference *r, bool ok, u32 error, const struct walk *w)
{
	if (++failures > 10)
		return;
	tap_note("g%u va %lx kind %d who %d ac %d cr0 %lx cr4 %lx efer %lx: %s error %x gfn %lx, predicted %s error %x gpa %lx",
		 sv.mode->guest_levels, r->va, r->kind, r->who, r->ac, r->cr0, r->cr4, r->efer, ok ? "ok" : "fault", error,
		 w->gfn.v, r->fault ? "fault" : "ok", r->error, r->gpa);
	for (unsigned l = sv.mode->guest_levels; l; l--)
		tap_note("  level %u: %lx, to set %lx", l, w->gpte[l].v, r->must_set[l]);
}

static bool same_ad(const u64 before[6], const struct reference *r)
{
	for (unsigned l = sv.mode->guest_levels == 3 ? 2 : sv.mode->guest_levels; l; l--)
		if (get(l) != (before[l] | r->must_set[l]))
			return false;
	return true;
}

static void one(struct reference *r)
{
	struct shadow_access a = {
		.write = r->kind == REF_WRITE, .fetch = r->kind == REF_FETCH, .user = r->who == REF_USER,
		.implicit = r->who == REF_IMPLICIT, .ac = r->ac,
	};
	struct walk w;
	u64 before[6];
	u32 error;
	bool ok;

	walks++;
	for (unsigned l = 1; l <= sv.mode->guest_levels; l++)
		before[l] = get(l);
	reference_predict(r);
	sv.mode->walk(&sv, mk_gva(r->va), &w);
	ok = sv.mode->permits(&sv, &w, &a, &error);
	if (ok == r->fault || (!ok && error != r->error) || (ok && (w.gfn.v << 12 | (r->va & 0xfff)) != r->gpa)) {
		report(r, ok, error, &w);
		return;
	}
	while (ok && !sv.mode->set_ad(&sv, &w, a.write))
		sv.mode->walk(&sv, mk_gva(r->va), &w);
	if (!same_ad(before, r))
		report(r, ok, error, &w);
	for (unsigned l = 1; ok && l <= sv.mode->guest_levels; l++)
		if (sv.mode->guest_levels != 3 || l != 3)
			put(l, before[l]);
}

static void all_accesses(void)
{
	struct reference r = {
		.cr0 = sv.paging.cr0, .cr3 = sv.paging.cr3, .cr4 = sv.paging.cr4, .efer = sv.paging.efer,
		.maxphyaddr = vm->cfg.maxphyaddr, .pse36 = vm->cfg.pse36, .page1g = vm->cfg.page1g,
		.read = read_entry, .va = 0x123,
	};

	memcpy(r.pdpte, sv.paging.pdpte, sizeof(r.pdpte));
	for (r.kind = REF_READ; r.kind <= REF_FETCH; r.kind++)
		for (r.who = REF_SUPER; r.who <= REF_IMPLICIT; r.who++)
			for (unsigned ac = 0; ac < 2; ac++) {
				r.ac = ac;
				if (r.kind != REF_FETCH || r.who != REF_IMPLICIT)
					one(&r);
			}
}

/* Entry `level` in all its forms; the others in one shape each, turn by turn. */
static void all_forms(unsigned level)
{
	unsigned levels = sv.mode->guest_levels, flags = entry_size() == 4 ? 8 : ARRAY_SIZE(flag);

	for (unsigned form = 0; form < 1u << flags; form++)
		for (unsigned turn = 0; turn < 2; turn++) {
			unsigned other = turn ? 1 + form % levels : 0;
			u64 e = address(level);

			for (unsigned i = 0; i < flags; i++)
				e |= form >> i & 1 ? flag[i] : 0;
			for (unsigned l = 1; l <= levels; l++)
				put(l, address(l) | (l == other ? shape[form / levels % ARRAY_SIZE(shape)] : 7));
			put(level, e);
			all_accesses();
		}
}

static void run(const char *name, unsigned levels, bool pse36, bool page1g, u8 maxphyaddr)
{
	struct shadow_config cfg = {
		.pool = 64, .ram_frames = 64, .p2m = P2M_SCATTER, .seed = 1, .maxphyaddr = maxphyaddr, .pse36 = pse36, .page1g = page1g,
	};
	const char *why;

	vm = shadow_vm_create(&cfg, &why);
	shadow_vcpu_init(&sv, vm);
	failures = 0;
	walks = 0;
	for (unsigned c = 0; c < 32; c++) {
		sv.paging = (struct shadow_paging){
			.cr0 = CR0_PE | CR0_PG | (c & 1 ? CR0_WP : 0),
			.cr4 = (levels > 2 ? CR4_PAE : 0) | (levels == 5 ? CR4_LA57 : 0) | (c & 2 ? CR4_PSE : 0) |
			       (c & 4 ? CR4_SMEP : 0) | (c & 8 ? CR4_SMAP : 0),
			.efer = (c & 16 ? EFER_NXE : 0) | (levels >= 4 ? EFER_LME | EFER_LMA : 0),
			.cr3 = (u64)TABLE(levels) << 12,
			.pat = 0x0007040600070406ull,
		};
		shadow_update(&sv, SHADOW_MODE);
		for (unsigned level = 1; level <= levels; level++)
			if (levels != 3 || level != 3)
				all_forms(level);
	}
	if (!tap_ok(!failures, "%s", name))
		tap_note("%u of %lu disagree", failures, walks);
	tap_note("%s: %lu walks", name, walks);
	shadow_vm_destroy(vm);
}

int main(void)
{
	run("2-level, PSE-36", 2, true, false, 40);
	run("2-level, PSE-36, 36 bits", 2, true, false, 36);
	run("2-level, no PSE-36", 2, false, false, 40);
	run("PAE", 3, true, false, 40);
	run("4-level, 1 GiB pages", 4, true, true, 40);
	run("4-level, no 1 GiB pages, 46 bits", 4, true, false, 46);
	run("5-level, 52 bits", 5, true, true, 52);
	return tap_done();
}
