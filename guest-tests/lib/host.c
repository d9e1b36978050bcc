/* SPDX-License-Identifier: BSD-2-Clause */
/* What umbra can do to a guest's frames, and frames compared. */
#include "host.h"
#include "internal.h"

#define FRAMES (RAM_END / PAGE_SIZE)
#define LOG_FRAMES 16
#define NEAR_FRAMES 64
#define ROMS 64

static u64 roms[ROMS]; /* read-only now; 0: free */
static bool logging;
static u8 dirty[FRAMES];

void need_umbra(void)
{
	if (!under_umbra())
		skip("needs umbra's hypercalls");
}

static u32 call(u32 nr, u32 a, u32 b)
{
	u32 r;

	need_umbra();
	r = hypercall(nr, a, b, 0, 0);
	if (r == HC_ENOSYS) {
		fail("hypercall %u is not known", nr);
		end_case();
	}
	return r;
}

bool relocate(u64 gpa) { return call(HC_RELOCATE, gpa >> 12, 0); }
u32 frame_info(u64 gpa) { return call(HC_FRAME_INFO, gpa >> 12, 0); }
bool share(u64 a, u64 b) { return call(HC_SHARE, a >> 12, b >> 12); }
u32 batch(const struct hc_batch *list, u32 n) { return call(HC_BATCH, (ulong)list, n); }
u32 log_read(u64 gpa) { return call(HC_LOG_READ, gpa >> 12, 0); }

static void note_rom(u64 gpa, bool rom)
{
	for (u32 i = 0; i < ROMS; i++)
		if (roms[i] == gpa) {
			roms[i] = rom ? gpa : 0;
			return;
		}
	for (u32 i = 0; rom && i < ROMS; i++)
		if (!roms[i]) {
			roms[i] = gpa;
			return;
		}
}

bool set_rom(u64 gpa, bool rom)
{
	bool done = call(HC_ROM, gpa >> 12, rom);

	note_rom(gpa, rom && done);
	return done;
}

void log_dirty(bool on)
{
	check_eq(call(HC_LOG_DIRTY, on, 0), 0);
	logging = on;
}

static void collect(u32 first, u32 end)
{
	for (u32 i = first; i < end; i += LOG_FRAMES) {
		u32 bits = log_read(i * PAGE_SIZE);

		for (u32 k = 0; k < LOG_FRAMES; k++)
			dirty[i + k] = bits >> k & 1;
	}
}

void log_collect(void) { collect(arena_start >> 12, (arena_start >> 12) + NEAR_FRAMES); }
void log_collect_all(void) { collect(0, FRAMES); }

bool was_written(u64 gpa) { return dirty[gpa >> 12]; }

/* First thing of a case: a failed one may have left something. */
void host_reset(void)
{
	if (logging)
		log_dirty(false);
	for (u32 i = 0; i < ROMS; i++)
		if (roms[i])
			set_rom(roms[i], false);
}

u64 window_at(u32 n, u64 gpa, u64 flags)
{
#if PT_LEVELS
	u64 va = WINDOW + n * PAGE_SIZE;

	map_page(va, gpa, flags);
	invlpg(va);
	return va;
#else
	(void)n;
	(void)flags;
	return gpa;
#endif
}

void fill_pattern(u64 gpa, u32 seed)
{
	for (u32 i = 0; i < PAGE_SIZE / 4; i++)
		mem32(gpa)[i] = ((seed + i) * 0x9e3779b1u) | 0x01010101;
}

bool same_frames(u64 a, u64 b) { return !memcmp(mem8(a), mem8(b), PAGE_SIZE); }

u32 frame_sum(u64 gpa)
{
	const volatile ulong *p = (const volatile ulong *)(ulong)gpa;
	ulong sum = 0;

	for (u32 i = 0; i < PAGE_SIZE / sizeof(ulong); i++)
		sum = (sum << 1 | sum >> (sizeof(ulong) * 8 - 1)) + p[i];
	return sum ^ (u64)sum >> 32;
}
