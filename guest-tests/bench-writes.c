/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes to one table between two flushes, from 1 to all of it: used afterwards
 * (remap), not used (rewrite), or handed over in one hypercall (batch); and
 * edits without any order.
 */
#include "bench.h"

#define WRITES 2048u /* in all, whatever their number between flushes */
#define FRAMES 64u

static u64 frame[FRAMES];

static u64 make_table(void)
{
	for (u32 i = 0; i < FRAMES; i++)
		frame[i] = new_frame();
	for (u32 i = 0; i < 512; i++) {
		map_page(WINDOW + i * PAGE_SIZE, frame[i % FRAMES], USED);
		at8(WINDOW + i * PAGE_SIZE) = i;
	}
	return current_root();
}

enum how { REWRITE, REMAP, BATCH };

static void write_batch(const pte_t *e, u32 n, u32 round)
{
	static struct hc_batch batch[HC_BATCH_MAX] __attribute__((aligned(4096)));
	u64 table = (ulong)e & ~(PAGE_SIZE - 1);

	for (u32 i = 0; i < n; i++)
		batch[i] = (struct hc_batch){ table, i, frame[(i + round) % FRAMES] | USED };
	check_eq(hypercall(HC_BATCH, (ulong)batch, n, 0, 0), n);
}

static void curve(const char *name, u32 n, enum how how)
{
	u64 root = make_table();
	pte_t *e = entry(WINDOW, 1);

	if (how == BATCH && hypercall(HC_BATCH, (ulong)e, 0, 0, 0) == HC_ENOSYS)
		skip("no batches here");
	begin();
	for (u32 round = 1; round <= WRITES / n; round++) {
		if (how == BATCH)
			write_batch(e, n, round);
		for (u32 i = 0; i < n && how != BATCH; i++)
			set_entry(e + i, frame[(i + round) % FRAMES] | USED);
		use_space(root);
		for (u32 i = 0; i < n && how == REMAP; i++)
			at8(WINDOW + i * PAGE_SIZE) = i;
	}
	end(name, WRITES);
	*mem32(frame[WRITES / n % FRAMES]) = n;
	check_eq(*(volatile u32 *)(ulong)WINDOW, n);
}

#define CURVE(n) \
	CASE(rewrite_##n) { curve("rewrite-" #n, n, REWRITE); } \
	CASE(remap_##n) { curve("remap-" #n, n, REMAP); } \
	CASE(batch_##n) { curve("batch-" #n, n, BATCH); }
CURVE(1)
CURVE(2)
CURVE(4)
CURVE(8)
CURVE(16)
CURVE(32)
CURVE(64)
CURVE(128)
CURVE(256)
CURVE(512)

/* Map, protect, unmap and use, all mixed, over several tables; a flush of everything now and then. */
static void edit(const char *name, u32 tables, u32 flush_every)
{
	u64 root = make_table();

	for (u32 t = 0; t < tables; t++)
		make_entry(WINDOW + t * LARGE_SIZE, 1);
	begin();
	for (u32 i = 1; i <= 4096; i++) {
		u32 r = random32();
		u64 va = WINDOW + r % tables * LARGE_SIZE + (r >> 8) % 64 * PAGE_SIZE, f = frame[(r >> 16) % FRAMES];

		switch (r >> 28) {
		case 0 ... 3:
			set_entry(entry_in(root, va, 1), f | USED);
			break;
		case 4:
			set_entry(entry_in(root, va, 1), (f | USED) & ~PTE_W);
			break;
		case 5:
			set_entry(entry_in(root, va, 1), 0);
			invlpg(va);
			break;
		default:
			poke8(va, i); /* a fault is as good */
		}
		if (i % flush_every == 0)
			use_space(root);
	}
	end(name, 4096);
	set_entry(entry_in(root, WINDOW, 1), frame[0] | USED);
	invlpg(WINDOW);
	check_fault(poke8(WINDOW, 1), NO_FAULT);
}

CASE(edits_spread) { edit("edits", 16, 64); }
CASE(edits_one) { edit("edits-one", 1, 64); }
CASE(edits_flushed) { edit("edits-flushed", 16, 8); }
