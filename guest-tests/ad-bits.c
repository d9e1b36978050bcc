/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accessed and dirty bits (SDM vol. 3, "Accessed and Dirty Flags"): A at every level that an access used, D only
 * at the leaf and only by a write, nothing by an access that faults, and never a change that nobody asked for.
 * A processor may set A bits early; where that is so, clear ones are wanted only with strict=1.
 */
#include "test.h"

#define AD (PTE_A | PTE_D)
#define FETCH_AT 0x40
#define DATA_AT 0x80
#define DESCRIPTOR_AT 0x10

struct use {
	const char *name;
	enum access_kind kind;
	enum access_who who;
	u32 at;
	u64 sets;
};

static const struct use uses[] = {
	{ "read", ACCESS_READ, AS_SUPER, DATA_AT, PTE_A },
	{ "write", ACCESS_WRITE, AS_SUPER, DATA_AT, AD },
	{ "fetch", ACCESS_FETCH, AS_SUPER, FETCH_AT, PTE_A },
	{ "read-modify-write", ACCESS_RMW, AS_SUPER, DATA_AT, AD },
	{ "locked", ACCESS_LOCKED, AS_SUPER, DATA_AT, AD },
	{ "user read", ACCESS_READ, AS_USER, DATA_AT, PTE_A },
	{ "user write", ACCESS_WRITE, AS_USER, DATA_AT, AD },
	{ "user fetch", ACCESS_FETCH, AS_USER, FETCH_AT, PTE_A },
	{ "user read-modify-write", ACCESS_RMW, AS_USER, DATA_AT, AD },
	{ "user locked", ACCESS_LOCKED, AS_USER, DATA_AT, AD },
	{ "implicit read", ACCESS_READ, AS_IMPLICIT, DESCRIPTOR_AT, PTE_A },
};

static u64 new_page(void)
{
	u64 f = new_frame();

	mem8(f)[FETCH_AT] = 0xc3;
	put_descriptor(f + DESCRIPTOR_AT, true);
	return f;
}

static void clear_ad(u64 va, int leaf)
{
	for (int l = leaf; l <= PT_LEVELS; l++)
		if (!is_pdpte(l))
			set_entry(entry(va, l), *entry(va, l) & ~AD);
	flush();
}

/* want: the leaf's bits; every level above has `above` and never D.  PDPTEs have a case of their own. */
static void check_path(u64 va, int leaf, u64 want, u64 above, const char *what)
{
	for (int l = leaf; l <= PT_LEVELS; l++) {
		u64 got = *entry(va, l) & AD, w = l == leaf ? want : above;

		if (got != w && !is_pdpte(l))
			fail("%s: level %d has A/D %llx, want %llx", what, l, got, w);
	}
}

static struct fault use_page(u64 va, const struct use *u)
{
	return access_at(va + u->at, u->kind, u->who, 0x1234, NULL);
}

static void try_uses(u64 va, int leaf)
{
	for (u32 i = 0; i < ARRAY_SIZE(uses); i++) {
		clear_ad(va, leaf);
		check_fault(use_page(va, &uses[i]), NO_FAULT);
		check_path(va, leaf, uses[i].sets, PTE_A, uses[i].name);
	}
}

CASE(each_use_of_a_page)
{
	map_page(WINDOW + 0x3000, new_page(), RWU);
	try_uses(WINDOW + 0x3000, 1);
}

/* Warm tables: the bits are missing one at a time, all else is as after the use before. */
CASE(one_bit_missing_at_a_time)
{
	u64 va = WINDOW + 0x3000;

	map_page(va, new_page(), RWU);
	for (int l = 1; l <= PT_LEVELS; l++) {
		if (is_pdpte(l))
			continue;
		for (u32 i = 0; i < ARRAY_SIZE(uses); i++) {
			u64 before;

			check_fault(poke32(va + DATA_AT, 1), NO_FAULT);
			set_entry(entry(va, l), *entry(va, l) & ~AD);
			invlpg(va);
			before = l == 1 ? 0 : PTE_D;
			check_fault(use_page(va, &uses[i]), NO_FAULT);
			check_path(va, 1, before | uses[i].sets, PTE_A, uses[i].name);
		}
	}
}

static void large_leaf(u64 va, int level)
{
	u64 f = new_large(), base = f & ~(level_size(level) - 1);

	mem8(f)[FETCH_AT] = 0xc3;
	put_descriptor(f + DESCRIPTOR_AT, true);
	map_at(current_root(), va, base, RWU | PTE_PS, level);
	try_uses(va + (f - base), level);
}

CASE(pdpte_is_left_alone)
{
	u64 va = WINDOW + 0x3000, soft = BIT(9) | BIT(11);
	pte_t *pdpte;

	if (PT_LEVELS != 3)
		skip("no PAE");
	map_page(va, new_page(), RWU);
	pdpte = entry(va, 3);
	set_entry(pdpte, *pdpte | soft);
	flush();
	for (u32 i = 0; i < ARRAY_SIZE(uses); i++) {
		check_fault(use_page(va, &uses[i]), NO_FAULT);
		check_eq(*pdpte & ~PTE_P, pte_gpa(*pdpte) | soft);
	}
}

CASE(each_use_of_a_large_page)
{
	if (!cpu.pse)
		skip("no large pages");
	large_leaf(WINDOW, 2);
}

CASE(each_use_of_a_huge_page)
{
	if (PT_LEVELS < 4 || !cpu.page1g)
		skip("no 1 GiB pages");
	large_leaf(WINDOW, 3);
}

/* D06, D03: what a read installed must not let the first write pass unseen. */
static void read_then_write(u64 va, int leaf)
{
	u32 v = 0;

	clear_ad(va, leaf);
	check_fault(peek32(va + DATA_AT, &v), NO_FAULT);
	check_path(va, leaf, PTE_A, PTE_A, "after a read");
	check_fault(user_peek32(va + DATA_AT, &v), NO_FAULT);
	check_fault(fetch(va + FETCH_AT), NO_FAULT);
	check_path(va, leaf, PTE_A, PTE_A, "after reads and a fetch");
	check_fault(user_poke32(va + DATA_AT, 0xd1d1), NO_FAULT);
	check_path(va, leaf, AD, PTE_A, "after the first write");
	check_fault(peek32(va + DATA_AT, &v), NO_FAULT);
	check_eq(v, 0xd1d1);
	check_path(va, leaf, AD, PTE_A, "D stays");
}

CASE(read_before_write)
{
	map_page(WINDOW + 0x7000, new_page(), RWU);
	read_then_write(WINDOW + 0x7000, 1);
}

CASE(read_before_write_large)
{
	u64 f;

	if (!cpu.pse)
		skip("no large pages");
	f = new_large();
	mem8(f)[FETCH_AT] = 0xc3;
	map_large(WINDOW, f, RWU);
	read_then_write(WINDOW, 2);
	/* another 4 KiB piece of it, read first as well */
	mem8(f)[0x5000 + FETCH_AT] = 0xc3;
	read_then_write(WINDOW + 0x5000, 2);
	clear_ad(WINDOW, 2);
	check_fault(peek32(WINDOW, NULL), NO_FAULT);
	check_fault(peek32(WINDOW + 0x9000, NULL), NO_FAULT);
	check_path(WINDOW, 2, PTE_A, PTE_A, "reads of two pieces");
	check_fault(poke32(WINDOW + 0x9000, 1), NO_FAULT);
	check_path(WINDOW, 2, AD, PTE_A, "write of the second piece");
}

/* ---- accesses that fault change nothing ---------------------------------- */

struct refusal {
	const char *name;
	u64 set, clear; /* in the leaf */
	enum access_kind kind;
	enum access_who who;
	u32 err;
};

static void check_unchanged(u64 va, const u64 before[], const char *what)
{
	for (int l = 1; l <= PT_LEVELS; l++) {
		u64 now = *entry(va, l), allowed = l > 1 && !options.strict ? PTE_A : 0;

		if ((now ^ before[l]) & ~allowed && !is_pdpte(l))
			fail("%s: level %d was %llx, is %llx", what, l, before[l], now);
	}
}

static void refuse(u64 va, const struct refusal *r)
{
	u64 before[6];

	set_entry(entry(va, 1), (*entry(va, 1) & ~(AD | r->clear)) | r->set);
	clear_ad(va, 1);
	for (int l = 1; l <= PT_LEVELS; l++)
		before[l] = *entry(va, l);
	check_fault(access_at(va + FETCH_AT, r->kind, r->who, 0x55, NULL), PF(r->err, va + FETCH_AT));
	for (int l = 1; l <= PT_LEVELS && (r->kind == ACCESS_RMW || r->kind == ACCESS_LOCKED); l++)
		before[l] |= *entry(va, l) & PTE_A; /* its read may count on its own */
	check_unchanged(va, before, r->name);
	set_entry(entry(va, 1), (before[1] & ~(AD | r->set)) | r->clear);
}

CASE(faulting_accesses_set_nothing)
{
	static const struct refusal list[] = {
		{ "not present", 0, PTE_P, ACCESS_READ, AS_SUPER, 0 },
		{ "not present, write", 0, PTE_P, ACCESS_WRITE, AS_USER, PF_W | PF_U },
		{ "read-only", 0, PTE_W, ACCESS_WRITE, AS_SUPER, PF_P | PF_W },
		{ "read-only, user", 0, PTE_W, ACCESS_WRITE, AS_USER, PF_P | PF_W | PF_U },
		{ "read-only, RMW", 0, PTE_W, ACCESS_RMW, AS_USER, PF_P | PF_W | PF_U },
		{ "read-only, locked", 0, PTE_W, ACCESS_LOCKED, AS_SUPER, PF_P | PF_W },
		{ "supervisor, read", 0, PTE_U, ACCESS_READ, AS_USER, PF_P | PF_U },
		{ "supervisor, write", 0, PTE_U, ACCESS_WRITE, AS_USER, PF_P | PF_W | PF_U },
	};
	u64 va = WINDOW + 0x5000;

	map_page(va, new_page(), RWU);
	for (u32 i = 0; i < ARRAY_SIZE(list); i++)
		refuse(va, &list[i]);
}

CASE(faulting_fetches_set_nothing)
{
	static const struct refusal list[] = {
		{ "NX", PTE_NX, 0, ACCESS_FETCH, AS_SUPER, PF_P | PF_I },
		{ "NX, user", PTE_NX, 0, ACCESS_FETCH, AS_USER, PF_P | PF_U | PF_I },
	};
	u64 va = WINDOW + 0x5000;

	if (PTE_SIZE == 4 || !cpu.nx)
		skip("no NX");
	map_page(va, new_page(), RWU);
	for (u32 i = 0; i < ARRAY_SIZE(list); i++)
		refuse(va, &list[i]);
}

/* D01 at each level: a walk that ends above the leaf leaves what lies below alone. */
CASE(holes_above_set_nothing)
{
	u64 va = WINDOW + 0x5000, before[6];

	map_page(va, new_page(), RWU);
	for (int hole = 2; hole <= PT_LEVELS; hole++) {
		if (is_pdpte(hole))
			continue;
		clear_ad(va, 1);
		for (int l = 1; l <= PT_LEVELS; l++)
			before[l] = *entry(va, l);
		set_entry(entry(va, hole), before[hole] & ~PTE_P);
		flush();
		check_fault(poke32(va, 1), PF(PF_W, va));
		set_entry(entry(va, hole), *entry(va, hole) | PTE_P);
		check_unchanged(va, before, "hole above");
		check_eq(*entry(va, hole), before[hole]);
		flush();
		check_fault(poke32(va, 1), NO_FAULT);
		check_path(va, 1, AD, PTE_A, "hole filled");
	}
}

/* The same page, refused because of an upper level's rights. */
CASE(rights_lost_above_set_nothing)
{
	u64 va = WINDOW + 0x5000, before[6];

	map_page(va, new_page(), RWU);
	for (int at = 2; at <= PT_LEVELS; at++) {
		if (is_pdpte(at))
			continue;
		set_entry(entry(va, at), *entry(va, at) & ~PTE_W);
		clear_ad(va, 1);
		check_fault(user_peek32(va, NULL), NO_FAULT);
		check_path(va, 1, PTE_A, PTE_A, "read through it");
		clear_ad(va, 1);
		for (int l = 1; l <= PT_LEVELS; l++)
			before[l] = *entry(va, l);
		check_fault(user_poke32(va, 1), PF(PF_P | PF_W | PF_U, va));
		check_unchanged(va, before, "read-only above");
		set_entry(entry(va, at), *entry(va, at) | PTE_W);
		check_fault(user_poke32(va, 1), NO_FAULT); /* raised right: seen at once */
		check_path(va, 1, AD, PTE_A, "right given back");
		flush();
	}
}

CASE(refused_write_then_right_given)
{
	u64 va = WINDOW + 0x6000;
	pte_t *e = map_page(va, new_page(), PTE_P | PTE_U);

	check_fault(peek32(va, NULL), NO_FAULT);
	check_fault(poke32(va + 4, 5), PF(PF_P | PF_W, va + 4));
	check_eq(*e & AD, PTE_A);
	set_entry(e, *e | PTE_W);
	check_fault(peek32(va, NULL), NO_FAULT);
	check_eq(*e & AD, PTE_A);
	check_fault(poke32(va + 4, 5), NO_FAULT);
	check_eq(*e & AD, AD);
}

CASE(supervisor_write_with_wp_clear)
{
	u64 va = WINDOW + 0x6000;
	pte_t *e = map_page(va, new_page(), PTE_P | PTE_U);

	check_fault(peek32(va, NULL), NO_FAULT);
	check_fault(write_cr0(default_cr0 & ~CR0_WP), NO_FAULT);
	check_fault(peek32(va, NULL), NO_FAULT);
	check_eq(*e & AD, PTE_A);
	check_fault(poke32(va + 8, 7), NO_FAULT);
	check_eq(*e & AD, AD);
	set_entry(e, *e & ~PTE_D);
	invlpg(va);
	check_fault(user_peek32(va, NULL), NO_FAULT);
	check_fault(user_poke32(va, 8), PF(PF_P | PF_W | PF_U, va));
	check_eq(*e & AD, PTE_A);
	check_fault(poke32(va + 8, 9), NO_FAULT);
	check_eq(*e & AD, AD);
}

/* ---- what must stay as it is --------------------------------------------- */

/* D09: the tables, their neighbours in memory and the page hold what they held, but for the right entry's bits. */
CASE(neighbours_unchanged)
{
	static u8 copy[PAGE_SIZE];
	u64 pad_low = new_frame(), f, va = WINDOW + 0x8000, pad_high;
	pte_t *e;

	memset(mem8(pad_low), 0x3c, PAGE_SIZE);
	f = new_page();
	e = map_page(va, f, RWU);
	pad_high = new_frame();
	memset(mem8(pad_high), 0xc3, PAGE_SIZE);
	for (u32 i = 0; i < 64; i++)
		if (i != 8)
			map_page(WINDOW + i * PAGE_SIZE, i & 1 ? pad_low : pad_high, i & 2 ? RWU : PTE_P);
	memcpy(copy, mem8((ulong)e & ~0xffful), PAGE_SIZE);
	check_fault(peek32(va, NULL), NO_FAULT);
	check_fault(user_poke32(va + DATA_AT, 0x77), NO_FAULT);
	check_eq(*e, f | RWU | AD);
	for (u32 i = 0; i < PT_ENTRIES; i++) {
		pte_t now = ((pte_t *)((ulong)e & ~0xffful))[i], was = ((pte_t *)copy)[i];

		if (i != level_index(va, 1) && (now ^ was) & ~(options.strict || !(was & PTE_P) ? 0 : PTE_A))
			fail("entry %u was %llx, is %llx", i, (u64)was, (u64)now);
	}
	for (u32 i = 0; i < PAGE_SIZE; i++)
		if (mem8(pad_low)[i] != 0x3c || mem8(pad_high)[i] != 0xc3)
			fail("byte %u of a neighbour changed", i);
}

/* D07: as long as A is clear the entry is in no TLB, so taking it away needs no flush. */
CASE(nothing_is_used_before_a_is_set)
{
	u64 f = new_page(), va = WINDOW + 0x10000;

	for (u32 i = 0; i < 32; i++)
		map_page(va + i * PAGE_SIZE, f, RWU);
	for (u32 i = 0; i < 32; i++)
		set_entry(entry(va + i * PAGE_SIZE, 1), f | RWU);
	flush();
	check_fault(peek32(va + 15 * PAGE_SIZE, NULL), NO_FAULT);
	check_fault(poke32(va + 16 * PAGE_SIZE, 1), NO_FAULT);
	for (u32 i = 0; i < 32; i++) {
		pte_t *e = entry(va + i * PAGE_SIZE, 1);

		if (i == 15 || i == 16)
			continue;
		check_eq(*e & PTE_D, 0);
		if (options.strict)
			check_eq(*e & PTE_A, 0);
		if (*e & PTE_A)
			continue;
		if (i & 1) {
			check_fault(peek32(va + i * PAGE_SIZE, NULL), NO_FAULT);
			check_eq(*e & AD, PTE_A);
			continue;
		}
		set_entry(e, 0);
		check_fault(peek32(va + i * PAGE_SIZE, NULL), PF(0, va + i * PAGE_SIZE));
	}
}

/* The same with the tables warm and the neighbours given away one by one by INVLPG. */
CASE(clean_neighbours_of_a_written_page)
{
	u64 f = new_page(), va = WINDOW + 0x10000;

	for (u32 i = 0; i < 16; i++)
		map_page(va + i * PAGE_SIZE, f, RWU);
	for (u32 i = 0; i < 16; i++)
		check_fault(peek32(va + i * PAGE_SIZE, NULL), NO_FAULT);
	for (u32 i = 0; i < 16; i += 3) {
		check_fault(poke32(va + i * PAGE_SIZE, i), NO_FAULT);
		for (u32 k = 0; k < 16; k++)
			check_eq(*entry(va + k * PAGE_SIZE, 1) & AD, k <= i && k - (k * 11 >> 5) * 3 == 0 ? AD : PTE_A);
	}
}

CASE(software_bits_survive)
{
	u64 f = new_page(), va = WINDOW + 0x9000, soft = BIT(9) | BIT(11);
	pte_t *e = map_page(va, f, PTE_P | AD | soft); /* dirty and read-only: legal, and stays */

	check_fault(peek32(va, NULL), NO_FAULT);
	check_fault(poke32(va, 1), PF(PF_P | PF_W, va));
	check_eq(*e, f | PTE_P | AD | soft);
	set_entry(e, f | RWU | PTE_D | soft); /* D without A */
	invlpg(va);
	check_fault(peek32(va, NULL), NO_FAULT);
	check_eq(*e, f | RWU | AD | soft);
	flush();
	check_fault(peek32(va, NULL), NO_FAULT);
	check_fault(fetch(va + FETCH_AT), NO_FAULT);
	check_eq(*e, f | RWU | AD | soft);
	set_entry(e, f | AD | soft); /* not present */
	invlpg(va);
	check_fault(peek32(va, NULL), PF(0, va));
	check_eq(*e, f | AD | soft);
}
