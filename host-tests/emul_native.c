/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The emulator against this processor.  Random instructions of each
 * memory-writing form run natively, in a page of generated code, and in the
 * emulator; memory, registers and flags must come out the same.
 *   emul_native [SEED [ROUNDS]]
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "native.h"

#define DATA 0x20000000ull /* guest data: PAGES pages */
#define PAGES 6
#define CODE 0x21000000ull /* near enough for RIP-relative operands */
#define STATE 0x22000000ull
#define GS_BASE 0x1234ull

struct state {
	u64 regs[16], flags, host_rsp;
	u8 xmm[16][16];
	u8 mmx[8][8];
};

static struct state *const state = (struct state *)STATE;
static struct world w;
static u64 seed;

u64 native_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1dull;
}

static u8 *emit(u8 *p, const char *bytes, unsigned n)
{
	memcpy(p, bytes, n);
	return p + n;
}

/* `op` with the absolute 32-bit address of a field of the state. */
static u8 *emit_abs(u8 *p, const char *op, unsigned n, const void *field)
{
	u32 a = (u64)field;

	p = emit(p, op, n);
	return emit(p, (const char *)&a, 4);
}

static u8 *emit_regs(u8 *p, u8 opcode)
{
	for (unsigned r = 0; r < 16; r++) {
		char op[4] = { r < 8 ? 0x48 : 0x4c, opcode, 0x04 | (r & 7) << 3, 0x25 };

		p = emit_abs(p, op, 4, &state->regs[r]);
	}
	return p;
}

static u8 *emit_entry(u8 *p, bool mmx)
{
	p = emit(p, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10); /* push rbx, rbp, r12-r15 */
	p = emit_abs(p, "\x48\x89\x24\x25", 4, &state->host_rsp);
	for (unsigned r = 0; r < 16; r++) { /* movdqu */
		char op[6] = { 0xf3, r < 8 ? 0x40 : 0x44, 0x0f, 0x6f, 0x04 | (r & 7) << 3, 0x25 };

		p = emit_abs(p, op, 6, state->xmm[r]);
	}
	for (unsigned r = 0; mmx && r < 8; r++) { /* movq */
		char op[4] = { 0x0f, 0x6f, 0x04 | r << 3, 0x25 };

		p = emit_abs(p, op, 4, state->mmx[r]);
	}
	p = emit_abs(p, "\xff\x34\x25", 3, &state->flags);
	p = emit(p, "\x9d", 1);
	return emit_regs(p, 0x8b);
}

static void emit_exit(u8 *p, bool mmx)
{
	p = emit_regs(p, 0x89);
	p = emit_abs(p, "\x48\x8b\x24\x25", 4, &state->host_rsp);
	p = emit_abs(p, "\x9c\x8f\x04\x25", 4, &state->flags);
	if (mmx)
		p = emit(p, "\x0f\x77", 2); /* emms */
	emit(p, "\xfc\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 12);
}

static u64 entry_size(bool mmx)
{
	static u8 scratch[1024];

	return emit_entry(scratch, mmx) - scratch;
}

static void run_native(const struct trial *t)
{
	u8 *p = emit_entry((u8 *)CODE, t->mmx);

	memcpy(p, t->bytes, t->len);
	emit_exit(p + t->len, t->mmx);
	((void (*)(void))CODE)();
}

static void setup(const struct trial *t)
{
	world_init(&w, EMUL_64);
	w.seg[GS].base = GS_BASE;
	for (unsigned i = 0; i < PAGES; i++)
		memcpy(world_page(&w, DATA + i * PAGE_SIZE, true)->data, (u8 *)DATA + i * PAGE_SIZE, PAGE_SIZE);
	memcpy(world_page(&w, CODE, false)->data + t->rip % PAGE_SIZE, t->bytes, t->len);
	memcpy(w.regs, t->regs, sizeof(w.regs));
	memcpy(w.xmm, state->xmm, sizeof(w.xmm));
	memcpy(w.mmx, state->mmx, sizeof(w.mmx));
	memcpy(state->regs, t->regs, sizeof(t->regs));
	state->flags = t->flags;
	w.c.rip = t->rip;
	w.c.rflags = t->flags | RFLAGS_RF;
	w.c.cpl = 3;
	w.c.has_want = t->has_want;
	w.c.want_gva = t->want;
}

static void dump(const struct trial *t, const char *what)
{
	char hex[100];
	unsigned n = 0;

	for (unsigned i = 0; i < t->len; i++)
		n += sprintf(hex + n, "%02x ", t->bytes[i]);
	tap_note("%s: bytes %s flags %#lx want %d %#lx", what, hex, t->flags, t->has_want, t->want);
	for (unsigned r = 0; r < 16; r++)
		if (w.regs[r] != state->regs[r] || t->regs[r] != w.regs[r])
			tap_note("r%u was %#lx native %#lx emulated %#lx", r, t->regs[r], state->regs[r], w.regs[r]);
	tap_note("flags native %#lx emulated %#lx", state->flags, w.c.rflags);
	for (unsigned i = 0; i < PAGES * PAGE_SIZE; i += 8)
		if (memcmp(w.pages[i / PAGE_SIZE].data + i % PAGE_SIZE, (u8 *)DATA + i, 8))
			tap_note("at %#llx native %#lx emulated %#lx", DATA + i, *(u64 *)(DATA + i),
				 world_get(&w, DATA + i, 8));
}

static bool same_memory(void)
{
	for (unsigned i = 0; i < PAGES; i++)
		if (memcmp(w.pages[i].data, (u8 *)DATA + i * PAGE_SIZE, PAGE_SIZE))
			return false;
	return true;
}

static bool same(const struct trial *t)
{
	u64 compare = ~t->undefined & ~RFLAGS_RF;

	return same_memory() && !memcmp(w.regs, state->regs, sizeof(w.regs)) &&
	       (w.c.rflags & compare) == (state->flags & compare) && !(w.c.rflags & RFLAGS_RF) &&
	       w.c.rip == t->rip + t->len;
}

/* A want outside the operand: unknown, and nothing has changed. */
static bool refused(const struct trial *t, enum emul_status s)
{
	return s == EMUL_UNKNOWN && same_memory() && !memcmp(w.regs, t->regs, sizeof(w.regs)) && w.c.rip == t->rip;
}

static bool trial_passes(const struct trial *t)
{
	enum emul_status s;
	unsigned calls = 0;

	setup(t);
	do {
		s = emul_write(&w.c);
		w.c.has_want = false; /* the later calls begin elsewhere in the string */
	} while (s == EMUL_AGAIN && ++calls < 1000);
	if (t->miss) {
		bool ok = refused(t, s);

		if (!ok)
			dump(t, "performed though want_gva is elsewhere");
		return ok;
	}
	run_native(t);
	if (s != EMUL_DONE) {
		tap_note("status %d", s);
		dump(t, "not performed");
		return false;
	}
	if (same(t))
		return true;
	dump(t, "differs");
	return false;
}

static void run_form(const struct native_form *f, unsigned rounds)
{
	unsigned failed = 0;

	if (f->flags & N_VEX && !__builtin_cpu_supports("avx")) {
		tap_ok(true, "%s # SKIP no AVX here", f->name);
		return;
	}
	for (unsigned i = 0; i < rounds && failed < 3; i++) {
		struct trial t;

		for (u64 *p = (u64 *)DATA; p < (u64 *)(DATA + PAGES * PAGE_SIZE); p += 1 + native_random() % 16)
			*p = native_random();
		do {
			t = (struct trial){ .rip = CODE + entry_size(f->flags & N_MMX), .gs_base = GS_BASE };
			native_trial(f, &t, DATA + 2 * PAGE_SIZE, 2 * PAGE_SIZE);
		} while (t.len > 15);
		failed += !trial_passes(&t);
	}
	tap_ok(!failed, "%s", f->name);
}

static void map(u64 at, u64 size, int prot)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;

	if (mmap((void *)at, size, prot, flags, -1, 0) != (void *)at) {
		printf("Bail out! cannot map %#lx\n", at);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 2 ? atoi(argv[2]) : 1000;

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	tap_note("seed %lu rounds %u", seed, rounds);
	seed = seed * 0x9e3779b97f4a7c15ull | 1;
	map(DATA, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE);
	map(CODE, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
	map(STATE, PAGE_SIZE, PROT_READ | PROT_WRITE);
	for (u64 *p = (u64 *)state; p < (u64 *)(state + 1); p++)
		*p = native_random();
	syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE);
	for (unsigned i = 0; i < native_form_count; i++)
		run_form(&native_forms[i], rounds);
	return tap_done();
}
