/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames and page tables of the mode that this build is for.  The library's
 * own mappings (identity, supervisor; .user at USER_VMA for user mode) have A
 * and D set and stay out of the test window.
 */
#include "internal.h"

#define IDENTITY_END (32 * MIB)
#define KERNEL_TABLES 24 /* root, upper levels, 16 or 8 last-level tables, .user's */
#define KERNEL_LEAF (PTE_P | PTE_W | PTE_A | PTE_D)

extern u8 user_start[], user_end[], user_phys[];

static u8 kernel_tables[KERNEL_TABLES][PAGE_SIZE] __attribute__((aligned(4096)));
static u32 kernel_tables_used;
static u8 pristine_root[PAGE_SIZE];
static u64 kernel_root, next_frame, next_large;

static void zero_frame(u64 gpa)
{
	ulong n = PAGE_SIZE / sizeof(ulong), at = gpa;

	if (sizeof(ulong) == 8)
		asm volatile("rep stosq" : "+D"(at), "+c"(n) : "a"(0ul) : "memory");
	else
		asm volatile("rep stosl" : "+D"(at), "+c"(n) : "a"(0ul) : "memory");
}

u64 new_frame(void)
{
	u64 f = next_frame;

	if (!kernel_root) {
		if (kernel_tables_used == KERNEL_TABLES)
			fatal("KERNEL_TABLES is too small");
		return (ulong)kernel_tables[kernel_tables_used++];
	}
	if (next_frame + PAGE_SIZE > next_large) {
		fail("out of frames");
		end_case();
	}
	next_frame += PAGE_SIZE;
	zero_frame(f);
	return f;
}

u64 new_table(void)
{
	return new_frame();
}

u64 new_large(void)
{
	u64 f = next_large - 4 * MIB;

	if (f < next_frame || next_large < 4 * MIB) {
		fail("out of large frames");
		end_case();
	}
	next_large = f;
	return f;
}

u64 frames_left(void)
{
	return (next_large - next_frame) >> 12;
}

int level_shift(int level)
{
	return 12 + (level - 1) * PT_BITS;
}

u32 level_index(u64 va, int level)
{
	return (va >> level_shift(level)) & (PT_LEVELS == 3 && level == 3 ? 3 : PT_ENTRIES - 1);
}

u64 level_size(int level)
{
	return 1ull << level_shift(level);
}

u64 pte_gpa(pte_t e)
{
	return e & (PTE_SIZE == 4 ? 0xfffff000ull : 0x000ffffffffff000ull);
}

u64 current_root(void)
{
	return read_cr3() & ~0xfffull;
}

void set_entry(pte_t *e, u64 value)
{
#if PT_LEVELS != 2 && !defined(__x86_64__)
	volatile u32 *half = (volatile u32 *)e;

	half[1] = value >> 32;
	half[0] = value;
#else
	*(volatile pte_t *)e = value;
#endif
}

static pte_t *slot(u64 table, u64 va, int level)
{
	return (pte_t *)(ulong)table + level_index(va, level);
}

pte_t *entry_in(u64 root, u64 va, int level)
{
	u64 table = root;

	for (int l = PT_LEVELS; l > level; l--) {
		pte_t e = *slot(table, va, l);

		if (!(e & PTE_P) || (l <= 3 && !(PT_LEVELS == 3 && l == 3) && (e & PTE_PS)))
			return NULL;
		table = pte_gpa(e);
	}
	return slot(table, va, level);
}

void link_table(u64 root, u64 va, int level, u64 table)
{
	bool pdpte = PT_LEVELS == 3 && level == 3;

	set_entry(entry_in(root, va, level), table | (pdpte ? PTE_P : TABLE_FLAGS));
	if (pdpte && kernel_root && root == current_root() && (read_cr0() & CR0_PG))
		flush(); /* PDPTEs are registers */
}

pte_t *make_entry_in(u64 root, u64 va, int level)
{
	for (int l = PT_LEVELS; l > level; l--)
		if (!(*entry_in(root, va, l) & PTE_P))
			link_table(root, va, l, new_table());
	return entry_in(root, va, level);
}

pte_t *entry(u64 va, int level) { return entry_in(current_root(), va, level); }
pte_t *make_entry(u64 va, int level) { return make_entry_in(current_root(), va, level); }
pte_t *map_page(u64 va, u64 gpa, u64 flags) { return map_at(current_root(), va, gpa, flags, 1); }
pte_t *map_large(u64 va, u64 gpa, u64 flags) { return map_at(current_root(), va, gpa, flags | PTE_PS, 2); }

/* PTE_PS is the caller's at levels 2 and 3. */
pte_t *map_at(u64 root, u64 va, u64 gpa, u64 flags, int level)
{
	pte_t *e = make_entry_in(root, va, level);

	if (!e) {
		fail("a large page is in the way of va %llx", va);
		end_case();
	}
	set_entry(e, gpa | flags);
	return e;
}

static void kernel_map(u64 root, u64 va, u64 gpa, u64 flags)
{
	set_entry(make_entry_in(root, va, 1), gpa | flags);
}

void tables_init(void)
{
	u64 root;

	next_frame = arena_start;
	next_large = arena_end;
	if (!PT_LEVELS) {
		kernel_root = arena_start; /* frames come from the arena; there are no tables */
		return;
	}
	root = new_frame();
	for (u64 gpa = 0; gpa < IDENTITY_END; gpa += PAGE_SIZE)
		kernel_map(root, gpa, gpa, KERNEL_LEAF);
	for (u64 off = 0; off < (u64)(user_end - user_start); off += PAGE_SIZE)
		kernel_map(root, (ulong)user_start + off, (ulong)user_phys + off, KERNEL_LEAF | PTE_U);
	memcpy(pristine_root, mem8(root), PAGE_SIZE);
	kernel_root = root;
	load_cr3(root);
	write_cr0(default_cr0);
}

/* Frames back, the library's root loaded and free of the last case's slots. */
void tables_reset(void)
{
	volatile ulong *root = (volatile ulong *)(ulong)kernel_root;
	const ulong *clean = (const ulong *)pristine_root;

	next_frame = arena_start;
	next_large = arena_end;
	if (!PT_LEVELS)
		return;
	for (u32 i = 0; i < PAGE_SIZE / sizeof(ulong); i++)
		if (root[i] != clean[i])
			root[i] = clean[i];
	load_cr3(kernel_root);
}

u64 new_space(void)
{
	u64 root = new_frame();

	memcpy(mem8(root), pristine_root, PAGE_SIZE);
	return root;
}

void use_space(u64 root)
{
	load_cr3(root);
}

void print_walk(u64 va)
{
	u64 table = current_root();

	if (!PT_LEVELS)
		return;
	note("  walk of %llx: cr0=%lx cr3=%lx cr4=%lx efer=%llx", va, read_cr0(), read_cr3(), read_cr4(), read_efer());
	for (int l = PT_LEVELS; l > 0; l--) {
		u64 at = (ulong)slot(table, va, l), e;

		if (at >= IDENTITY_END) {
			note("    level %d: table at %llx is not mapped here", l, at);
			return;
		}
		e = *(pte_t *)(ulong)at;
		note("    level %d: [%llx] = %0*llx%s%s%s%s%s%s%s", l, at, (int)PTE_SIZE * 2, e, e & PTE_P ? " P" : "",
		     e & PTE_W ? " W" : "", e & PTE_U ? " U" : "", e & PTE_A ? " A" : "", e & PTE_D ? " D" : "",
		     e & PTE_PS ? (l > 1 ? " PS" : " PAT") : "", PTE_SIZE == 8 && (e & PTE_NX) ? " NX" : "");
		if (!(e & PTE_P) || (l > 1 && (e & PTE_PS)))
			return;
		table = pte_gpa(e);
	}
}
