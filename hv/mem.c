/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host frames: which are free, and hv's own page tables.  Frames that are given
 * out lie between 1 MiB and 4 GiB (PAE roots and VMX/SVM structures are happy
 * there, the boot loader's things below 1 MiB stay); RAM above is mapped only.
 *
 * Address space: the image's 8 MiB one to one, text read-only, page 0 and the
 * stack's guard page absent; all RAM at HPA_BASE; a device's page, while hv
 * reads or writes it for a guest, at DEVICE_WINDOW.
 */
#include "base.h"
#include "cpu.h"
#include "exit.h"

#define FRAMES (BIT(32) >> PAGE_SHIFT)
#define LOW_END 0x100000ull
#define IMAGE_LIMIT 0x800000ull
#define SIZE_2M BIT(21)
#define SIZE_1G BIT(30)
#define DIRECT_MAP_SIZE BIT(39) /* one PML4 entry */
#define DEVICE_WINDOW (HPA_BASE + DIRECT_MAP_SIZE)

extern const u8 image_start[], image_data[], image_end[], boot_stack_guard[];

static u64 used[FRAMES / 64]; /* a set bit: taken, or no RAM */
static u64 frames_free;
static u64 hint; /* no free frame below */
static u64 *device_entry, device_flags; /* maps DEVICE_WINDOW */
static u64 physical_end; /* of what the processor can address */

static bool is_used(u64 f)
{
	return used[f / 64] >> f % 64 & 1;
}

static void take(u64 f)
{
	frames_free -= !is_used(f);
	used[f / 64] |= BIT(f % 64);
}

static void give(u64 f)
{
	frames_free += is_used(f);
	used[f / 64] &= ~BIT(f % 64);
}

u64 mem_frames_free(void)
{
	return frames_free;
}

hpa_t mem_hpa(const void *p)
{
	u64 a = (u64)p;

	return mk_hpa(a >= HPA_BASE ? a - HPA_BASE : a);
}

hfn_t host_alloc_run(u64 frames)
{
	u64 run = 0;

	for (u64 f = hint; frames && f < FRAMES;) {
		if (f % 64 == 0 && used[f / 64] == ~0ull) {
			run = 0;
			f += 64;
			continue;
		}
		run = is_used(f) ? 0 : run + 1;
		f++;
		if (run < frames)
			continue;
		for (u64 i = f - frames; i < f; i++)
			take(i);
		return mk_hfn(f - frames);
	}
	return NO_HFN;
}

static hfn_t alloc_frame(void)
{
	hfn_t f = host_alloc_run(1);

	if (f.v != NO_HFN.v)
		hint = f.v + 1;
	return f;
}

hfn_t host_alloc(void)
{
	hfn_t f = alloc_frame();

	if (f.v != NO_HFN.v)
		memset(host_ptr(f), 0, PAGE_SIZE);
	return f;
}

void host_free_run(hfn_t f, u64 frames)
{
	for (u64 i = 0; i < frames; i++) {
		BUG_ON(f.v + i >= FRAMES || !is_used(f.v + i));
		give(f.v + i);
	}
	hint = MIN(hint, f.v);
}

void host_free(hfn_t f)
{
	host_free_run(f, 1);
}

static void reserve(u64 start, u64 end)
{
	for (u64 f = start >> PAGE_SHIFT; f < MIN(FRAMES, (end + PAGE_SIZE - 1) >> PAGE_SHIFT); f++)
		take(f);
}

/* Overlaps and odd ends are settled in favour of what is not RAM. */
static void find_frames(void)
{
	const struct boot_info *b = &boot_info;

	memset(used, 0xff, sizeof(used));
	for (u32 i = 0; i < b->nregions; i++)
		if (b->regions[i].ram)
			for (u64 f = (b->regions[i].start + PAGE_SIZE - 1) >> PAGE_SHIFT;
			     f < MIN(FRAMES, b->regions[i].end >> PAGE_SHIFT); f++)
				give(f);
	for (u32 i = 0; i < b->nregions; i++)
		if (!b->regions[i].ram)
			reserve(b->regions[i].start, b->regions[i].end);
	reserve(0, LOW_END);
	reserve((u64)image_start, (u64)image_end);
	for (u32 i = 0; i < b->nmodules; i++)
		reserve(b->modules[i].start.v, b->modules[i].start.v + b->modules[i].size);
}

/* ---- devices, for a guest that may have them ---- */

static bool overlaps(u64 start, u64 end, hfn_t f)
{
	u64 at = hfn_to_hpa(f).v;

	return start < at + PAGE_SIZE && at < end;
}

/* A module may lie in what the map calls reserved, and is no device all the same. */
bool host_is_device(hfn_t f)
{
	const struct boot_info *b = &boot_info;

	if (f.v >= physical_end >> PAGE_SHIFT || overlaps((u64)image_start, (u64)image_end, f))
		return false;
	for (u32 i = 0; i < b->nregions; i++)
		if (b->regions[i].ram && overlaps(b->regions[i].start, b->regions[i].end, f))
			return false;
	for (u32 i = 0; i < b->nmodules; i++)
		if (overlaps(b->modules[i].start.v, b->modules[i].start.v + b->modules[i].size, f))
			return false;
	return true;
}

/* The bytes from `at` on that one access may take. */
static size_t access_size(hpa_t at, size_t len)
{
	size_t n = 8;

	while (n > len || at.v % n)
		n /= 2;
	return n;
}

static void *map_device(hpa_t at)
{
	*device_entry = (at.v & ~(PAGE_SIZE - 1)) | device_flags;
	invlpg(DEVICE_WINDOW);
	return (void *)(DEVICE_WINDOW + at.v % PAGE_SIZE);
}

void host_device_read(hpa_t at, void *buf, size_t len)
{
	for (size_t n; len; len -= n, at.v += n, buf = (u8 *)buf + n) {
		volatile void *p = map_device(at);
		u64 value = 0;

		n = access_size(at, len);
		switch (n) {
		case 1: value = *(volatile u8 *)p; break;
		case 2: value = *(volatile u16 *)p; break;
		case 4: value = *(volatile u32 *)p; break;
		case 8: value = *(volatile u64 *)p; break;
		}
		memcpy(buf, &value, n);
	}
}

void host_device_write(hpa_t at, const void *buf, size_t len)
{
	for (size_t n; len; len -= n, at.v += n, buf = (const u8 *)buf + n) {
		volatile void *p = map_device(at);
		u64 value = 0;

		n = access_size(at, len);
		memcpy(&value, buf, n);
		switch (n) {
		case 1: *(volatile u8 *)p = value; break;
		case 2: *(volatile u16 *)p = value; break;
		case 4: *(volatile u32 *)p = value; break;
		case 8: *(volatile u64 *)p = value; break;
		}
	}
}

/* ---- page tables; until they are loaded, all below 4 GiB is mapped one to one ---- */

static u64 *new_table(void)
{
	hfn_t f = alloc_frame();

	if (f.v == NO_HFN.v)
		panic_bail("no memory for page tables");
	return memset((void *)(f.v << PAGE_SHIFT), 0, PAGE_SIZE);
}

static u64 *table_below(u64 *entry)
{
	if (!*entry)
		*entry = (u64)new_table() | PTE_P | PTE_W;
	return (u64 *)(*entry & ~0xfffull);
}

static void map_image(u64 *pml4, u64 nx)
{
	u64 *pd = table_below(&table_below(pml4)[0]);

	for (u64 a = PAGE_SIZE; a < IMAGE_LIMIT; a += PAGE_SIZE) {
		u64 flags = a < (u64)image_start || a >= (u64)image_data ? PTE_W | nx : 0;

		if (a != (u64)boot_stack_guard)
			table_below(&pd[a / SIZE_2M])[a / PAGE_SIZE % 512] = a | PTE_P | flags;
	}
}

static bool has_1g_pages(void)
{
	u32 r[4];

	cpuid(0x80000001, 0, r);
	return r[3] & BIT(26);
}

/* RAM that shares a 2 MiB page with something else is mapped with it; MTRRs keep devices uncached. */
static void map_ram(u64 *pdpt, u64 start, u64 end, u64 nx)
{
	bool large = has_1g_pages();
	u64 a = start & ~(SIZE_2M - 1);

	while (a < end && a < DIRECT_MAP_SIZE) {
		u64 *e = &pdpt[a / SIZE_1G];
		bool whole = a % SIZE_1G == 0 && a >= start && a + SIZE_1G <= end;

		if (large && whole && !*e) {
			*e = a | PTE_P | PTE_W | PTE_PS | nx;
			a += SIZE_1G;
			continue;
		}
		if (!(*e & PTE_PS))
			table_below(e)[a / SIZE_2M % 512] = a | PTE_P | PTE_W | PTE_PS | nx;
		a += SIZE_2M;
	}
}

void mem_init(void)
{
	u64 nx = rdmsr(MSR_EFER) & EFER_NXE ? PTE_NX : 0;
	u64 *pml4, *pdpt;

	find_frames();
	if (!frames_free)
		panic_bail("the boot loader gave no memory map");
	pml4 = new_table();
	map_image(pml4, nx);
	pdpt = table_below(&pml4[HPA_BASE >> 39 & 511]);
	device_entry = table_below(table_below(table_below(&pml4[DEVICE_WINDOW >> 39 & 511])));
	for (u32 i = 0; i < boot_info.nregions; i++)
		if (boot_info.regions[i].ram)
			map_ram(pdpt, boot_info.regions[i].start, boot_info.regions[i].end, nx);
	/* modules may lie in what the map calls reserved */
	for (u32 i = 0; i < boot_info.nmodules; i++)
		map_ram(pdpt, boot_info.modules[i].start.v, boot_info.modules[i].start.v + boot_info.modules[i].size, nx);
	device_entry = host_ptr(hpa_to_hfn(mk_hpa((u64)device_entry)));
	device_flags = PTE_P | PTE_W | PTE_PCD | PTE_PWT | nx;
	physical_end = BIT(cpuid_maxphyaddr());
	write_cr3((u64)pml4);
}
