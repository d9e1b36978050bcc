/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where kernels keep the writable mapping of a page that becomes a page table:
 * what umbra's guesses of wprot=scan have to find.  The identity map of the
 * library must not give the answer away, so the tables' frames are taken out of
 * it and reached through the layout alone.
 */
#include "bench.h"

#define TABLES 256u
#define SPARE (WINDOW + (PT_LEVELS == 2 ? 0x60000000 : 0x30000000)) /* behind the window of the tables */
#define KMAP_SLOTS 16u

/* ---- the tables ------------------------------------------------------------- */

static u64 table[TABLES], data, root_now;
static u32 made;

static u64 va_of(u32 i)
{
	return WINDOW + i * LARGE_SIZE;
}

static void set_identity(u64 flags)
{
	for (u32 i = 0; i < TABLES; i++)
		set_entry(entry_in(root_now, table[i], 1), flags ? table[i] | flags : 0);
	flush();
}

static void prepare(void)
{
	root_now = current_root();
	data = new_frame();
	for (u32 i = 0; i < TABLES; i++) {
		table[i] = new_frame();
		make_entry(va_of(i), 2);
	}
	made = 0;
}

/* ---- layouts: an address at which table i can be written ---------------------------- */

struct layout {
	const char *name;
	void (*init)(u64 where);
	u64 (*window)(u32 i); /* before and after it is linked */
	u64 (*linked)(u32 i);
	u64 where;
};

static u64 base;
static u32 kmap_next;

static void no_init(u64 where)
{
	base = where;
}

/* All memory in a row, and a kernel has used more of it than these tables. */
static void linear_init(u64 where)
{
	u64 used = arena_start + 8 * MIB, end = used + 4 * MIB;

	base = where;
	for (u64 gpa = table[0]; gpa < end; gpa += PAGE_SIZE)
		map_page(base + gpa, gpa, RW | PTE_A | PTE_D);
	for (u64 gpa = used; gpa < end; gpa += PAGE_SIZE)
		at8(base + gpa) = 0;
}

static u64 linear_at(u32 i)
{
	return base + table[i];
}

/* Each page somewhere, and nothing says where. */
static void none_init(u64 where)
{
	base = where;
	for (u32 i = 0; i < TABLES; i++)
		map_page(base + (i * 37 + 11) % TABLES * PAGE_SIZE, table[i], RW | PTE_A | PTE_D);
}

static u64 none_at(u32 i)
{
	return base + (i * 37 + 11) % TABLES * PAGE_SIZE;
}

static void both_init(u64 where)
{
	linear_init(where);
	for (u32 i = 0; i < TABLES; i++)
		map_page(SPARE + (i * 37 + 11) % TABLES * PAGE_SIZE, table[i], RW | PTE_A | PTE_D);
}

static u64 both_at(u32 i)
{
	u64 second = SPARE + (i * 37 + 11) % TABLES * PAGE_SIZE;

	at8(second + PAGE_SIZE - 1) = 0;
	return linear_at(i);
}

/* A few slots, used in turn (Linux with page tables in high memory). */
static u64 kmap_at(u32 i)
{
	u64 va = base + kmap_next++ % KMAP_SLOTS * PAGE_SIZE;

	set_entry(make_entry_in(root_now, va, 1), table[i] | RW | PTE_A | PTE_D);
	invlpg(va);
	return va;
}

/* One slot of the root points to the root: all tables lie in a row behind it. */
static void self_init(u64 where)
{
	base = where;
	if (PT_LEVELS != 3) {
		set_entry(entry_in(root_now, base, PT_LEVELS), root_now | RW | PTE_A | PTE_D);
	} else {
		for (u64 slot = 0; slot < 4; slot++)
			make_entry(slot << 30, 2);
		for (u64 slot = 0; slot < 4; slot++)
			set_entry(entry_in(root_now, base + slot * LARGE_SIZE, 2),
				  pte_gpa(*entry_in(root_now, slot << 30, 3)) | RW | PTE_A | PTE_D);
	}
	flush();
}

static u64 self_at(u32 i)
{
	return base + (va_of(i) >> 12) * PTE_SIZE;
}

/* ---- the workload: n tables made as a kernel makes them ------------------------------- */

static pte_t *at(u64 va)
{
	return (pte_t *)(ulong)va;
}

static void zero(u64 va)
{
	for (u32 n = 0; n < PAGE_SIZE; n += sizeof(ulong))
		*(volatile ulong *)(ulong)(va + n) = 0;
}

static void make_table(const struct layout *l, u32 i)
{
	pte_t *pde = entry_in(root_now, va_of(i), 2);
	u64 va;

	if (l->window) {
		va = l->window(i);
		zero(va);
		set_entry(at(va), data | USED);
	}
	set_entry(pde, table[i] | USED);
	if (!l->window) { /* reachable only now */
		va = l->linked(i);
		zero(va);
		set_entry(at(va), data | USED);
	}
	at8(va_of(i)) = i; /* the first use makes it a table */
	set_entry(at(l->linked(i)) + 1, data | USED);
	at8(va_of(i) + PAGE_SIZE) = i;
	made++;
}

static void layout(struct layout l)
{
	prepare();
	l.init(l.where);
	set_identity(0);
	begin();
	for (u32 i = 0; i < TABLES; i++)
		make_table(&l, i);
	end(l.name, TABLES);
	set_identity(RW | PTE_A | PTE_D);
	check_eq(made, TABLES);
	check_eq(mem32(table[TABLES - 1])[0] & PTE_P, PTE_P);
}

#if PT_LEVELS == 4
#define SELF_SLOT(n) (~0ull << 48 | (u64)(n) << 39)
#define SELF SELF_SLOT(0x1ed)
#define SELF_MOVED SELF_SLOT(0x1ee)
#define LINEAR 0xffff888000000000ull
#define LINEAR_MOVED (LINEAR + 0x1b40000000ull)
#else
#define SELF 0xc0000000ull
#define SELF_MOVED (PT_LEVELS == 2 ? 0xc0400000ull : 0xc0800000ull)
#define LINEAR 0xc0000000ull
#define LINEAR_MOVED 0xb0000000ull
#endif

CASE(self_fixed) { layout((struct layout){ "self-fixed", self_init, NULL, self_at, SELF }); }
CASE(self_moved) { layout((struct layout){ "self-moved", self_init, NULL, self_at, SELF_MOVED }); }
CASE(linear_fixed) { layout((struct layout){ "linear-fixed", linear_init, linear_at, linear_at, LINEAR }); }
CASE(linear_moved) { layout((struct layout){ "linear-moved", linear_init, linear_at, linear_at, LINEAR_MOVED }); }
CASE(kmap) { layout((struct layout){ "kmap", no_init, kmap_at, kmap_at, SPARE }); }
CASE(none) { layout((struct layout){ "none", none_init, none_at, none_at, SPARE }); }
CASE(two_mappings) { layout((struct layout){ "two", both_init, both_at, both_at, LINEAR }); }
