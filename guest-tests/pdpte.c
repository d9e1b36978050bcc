/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PAE paging keeps its four PDPTEs in registers (SDM vol. 3, "PDPTE Registers"): memory counts when they are
 * loaded and at no other time; a load checks all four and is refused whole.
 */
#include "test.h"

#define SLOT 0x40000000ull /* what one PDPTE maps */

static u32 cold; /* pages not used so far: an address of each 2 MiB once */
static u64 home; /* the library's root */

static void begin(void)
{
	cold = 1;
	home = current_root();
	set_ac(true); /* SMAP is switched as well */
}

/* A directory that shows one frame, which holds its tag, at every address. */
static u64 directory(u32 tag)
{
	u64 dir = new_table(), table = new_table(), f = tagged(tag);

	for (u32 i = 0; i < PT_ENTRIES; i++) {
		set_entry((pte_t *)mem8(dir) + i, table | RWU);
		set_entry((pte_t *)mem8(table) + i, f | RWU);
	}
	return dir;
}

static pte_t *pdpte(u32 slot)
{
	return (pte_t *)mem8(current_root()) + slot;
}

/* tag 0: the slot is not present */
static void check_slot_at(u64 va, u32 tag, const char *what)
{
	u32 v = 0;
	struct fault f = peek32(va + TAG_AT, &v), want = tag ? NO_FAULT : PF(0, va + TAG_AT);

	if (!fault_equal(f, want) || (tag && v != tag))
		fail("%s: at %llx vector %u, tag %x, want %x", what, va, f.vec, v, tag);
}

static void check_cold(u32 slot, u32 tag, const char *what)
{
	check_slot_at(slot * SLOT + (cold++ & 511) * LARGE_SIZE, tag, what);
}

static void check_warm(u32 slot, u32 tag, const char *what)
{
	check_slot_at(slot * SLOT, tag, what);
}

/* ---- what loads the registers, and what does not ------------------------------ */

static ulong touch_unmapped(void)
{
	return peek32(3 * SLOT + 0x1000, NULL).vec;
}

static void toggle_cr0(ulong bits)
{
	ulong cr0 = read_cr0();

	check_fault(write_cr0(cr0 ^ bits), NO_FAULT);
}

static void toggle_cr4(ulong bits)
{
	ulong cr4 = read_cr4();

	check_fault(write_cr4(cr4 ^ bits), NO_FAULT);
}

static void same_cr3(void) { check_fault(write_cr3(read_cr3()), NO_FAULT); }
static void cr3_pwt(void) { check_fault(write_cr3(read_cr3() ^ CR3_PWT), NO_FAULT); }
static void paging_off_and_on(void) { toggle_cr0(CR0_PG); toggle_cr0(CR0_PG); }
static void cr0_cd(void) { toggle_cr0(CR0_CD | (read_cr0() & CR0_NW)); } /* NW without CD is refused */
static void cr0_nw(void) { toggle_cr0(CR0_NW | (~read_cr0() & CR0_CD)); }
static void cr4_pge(void) { toggle_cr4(CR4_PGE); }
static void cr4_pse(void) { toggle_cr4(CR4_PSE); }
static void cr4_smep(void) { toggle_cr4(CR4_SMEP); }

static void invlpg_all(void)
{
	for (u32 slot = 1; slot < 4; slot++)
		for (u32 i = 0; i < 4; i++)
			invlpg(slot * SLOT + i * LARGE_SIZE);
}

static void cr0_wp(void) { toggle_cr0(CR0_WP); }
static void cr0_ts(void) { toggle_cr0(CR0_TS); toggle_cr0(CR0_TS); }
static void clts(void) { asm volatile("clts"); }
static void cr0_am(void) { toggle_cr0(CR0_AM); }
static void same_cr0(void) { check_fault(write_cr0(read_cr0()), NO_FAULT); }
static void same_cr4(void) { check_fault(write_cr4(read_cr4()), NO_FAULT); }
static void cr4_tsd(void) { toggle_cr4(BIT(2)); }
static void cr4_smap(void) { toggle_cr4(CR4_SMAP); }
static void efer_nxe(void) { check_fault(write_efer(read_efer() ^ EFER_NXE), NO_FAULT); }
static void a_fault(void) { touch_unmapped(); }

struct event {
	const char *name;
	void (*run)(void);
	const bool *when; /* the CPU has it */
	bool flushes; /* cached translations are gone as well */
};

static const struct event loads[] = {
	{ "MOV CR3, same value", same_cr3, NULL, true },
	{ "MOV CR3, other value", cr3_pwt, NULL, true },
	{ "CR0.PG", paging_off_and_on, NULL, true },
	{ "CR0.CD", cr0_cd, NULL, false },
	{ "CR0.CD", cr0_cd, NULL, false },
	{ "CR0.CD and NW", cr0_nw, NULL, false },
	{ "CR0.NW", cr0_nw, NULL, false },
	{ "CR4.PGE", cr4_pge, &cpu.pge, true },
	{ "CR4.PGE", cr4_pge, &cpu.pge, true },
	{ "CR4.PSE", cr4_pse, &cpu.pse, false },
	{ "CR4.PSE", cr4_pse, &cpu.pse, false },
	{ "CR4.SMEP", cr4_smep, &cpu.smep, true },
	{ "CR4.SMEP", cr4_smep, &cpu.smep, false },
};

static const struct event no_loads[] = {
	{ "a page fault", a_fault, NULL, false },
	{ "INVLPG", invlpg_all, NULL, false },
	{ "CR4, same value", same_cr4, NULL, false },
	{ "CR4.TSD", cr4_tsd, NULL, false },
	{ "EFER.NXE", efer_nxe, &cpu.nx, false },
	{ "EFER.NXE", efer_nxe, &cpu.nx, false },
};

static const struct event smap_no_loads[] = {
	{ "CR4.SMAP", cr4_smap, NULL, false },
	{ "CR4.SMAP", cr4_smap, NULL, false },
};

static const struct event cr0_no_loads[] = {
	{ "CLTS", clts, NULL, false },
	{ "CR0.WP", cr0_wp, NULL, false },
	{ "CR0.WP", cr0_wp, NULL, false },
	{ "CR0.TS", cr0_ts, NULL, false },
	{ "CR0.AM", cr0_am, NULL, false },
	{ "CR0, same value", same_cr0, NULL, false },
};

/* P08: each of them brings a new directory, takes a slot away (P03) and gives one. */
CASE(what_loads)
{
	u64 a = directory(0xa), b = directory(0xb);

	begin();
	*pdpte(1) = a | PTE_P;
	*pdpte(2) = a | PTE_P;
	same_cr3();
	for (u32 i = 0; i < ARRAY_SIZE(loads); i++) {
		const struct event *e = &loads[i];
		bool odd = i & 1;

		if (e->when && !*e->when)
			continue;
		check_warm(1, odd ? 0xb : 0xa, "before");
		set_entry(pdpte(1), (odd ? a : b) | PTE_P);
		set_entry(pdpte(2), odd ? a | PTE_P : 0);
		set_entry(pdpte(3), odd ? 0 : b | PTE_P);
		e->run();
		check_cold(1, odd ? 0xa : 0xb, e->name);
		check_cold(2, odd ? 0xa : 0, e->name);
		check_cold(3, odd ? 0 : 0xb, e->name);
		if (e->flushes) {
			check_warm(1, odd ? 0xa : 0xb, e->name);
			check_warm(2, odd ? 0xa : 0, e->name);
			check_warm(3, odd ? 0 : 0xb, e->name);
		} else {
			same_cr3();
		}
	}
}

/*
 * An address that its slot has not been asked for takes the new directory, whatever is known of the old
 * one by other ways: two slots share it, and only one of them is changed.
 */
CASE(cold_beside_what_the_other_slot_knows)
{
	u64 a = directory(0xa), b = directory(0xb);

	begin();
	for (u32 i = 0; i < ARRAY_SIZE(loads); i++) {
		const struct event *e = &loads[i];

		if (e->when && !*e->when)
			continue;
		set_entry(pdpte(1), a | PTE_P);
		set_entry(pdpte(2), a | PTE_P);
		same_cr3();
		for (u32 j = 0; j < 6; j++)
			check_slot_at(2 * SLOT + j * LARGE_SIZE, 0xa, "by the other slot");
		check_slot_at(SLOT, 0xa, "before");
		set_entry(pdpte(1), i & 1 ? 0 : b | PTE_P);
		e->run();
		for (u32 j = 1; j < 6; j++) {
			check_slot_at(SLOT + j * LARGE_SIZE, i & 1 ? 0 : 0xb, e->name);
			check_slot_at(2 * SLOT + j * LARGE_SIZE, 0xa, e->name);
		}
	}
}

/* Each slot has its own directory, all known before: none takes another's place. */
CASE(directories_go_round)
{
	u64 dir[3] = { directory(0xa), directory(0xb), directory(0xc) };

	begin();
	for (u32 n = 0; n < 6; n++) {
		for (u32 slot = 1; slot < 4; slot++)
			set_entry(pdpte(slot), dir[(slot + n) % 3] | PTE_P);
		for (u32 i = 0; i < 2; i++) {
			same_cr3();
			for (u32 slot = 3; slot; slot--)
				check_warm(slot, 0xa + (slot + n) % 3, "going round");
		}
	}
}

static void check_no_load(const struct event *events, u32 n)
{
	u64 a = directory(0xa), b = directory(0xb);

	begin();
	for (u32 i = 0; i < n; i++) {
		const struct event *e = &events[i];

		if (e->when && !*e->when)
			continue;
		set_entry(pdpte(1), a | PTE_P);
		set_entry(pdpte(2), a | PTE_P);
		set_entry(pdpte(3), 0);
		same_cr3();
		check_warm(1, 0xa, "loaded");
		set_entry(pdpte(1), b | PTE_P);
		set_entry(pdpte(2), 0);
		set_entry(pdpte(3), b | PTE_P);
		e->run();
		check_cold(1, 0xa, e->name);
		check_warm(1, 0xa, e->name);
		check_cold(2, 0xa, e->name);
		check_cold(3, 0, e->name);
	}
	same_cr3();
	check_warm(1, 0xb, "at last");
	check_warm(2, 0, "at last");
	check_warm(3, 0xb, "at last");
}

CASE(what_does_not_load)
{
	check_no_load(no_loads, ARRAY_SIZE(no_loads));
}

CASE(what_does_not_load_cr0)
{
	check_no_load(cr0_no_loads, ARRAY_SIZE(cr0_no_loads));
}

CASE(what_does_not_load_smap)
{
	if (!cpu.smap)
		skip("no SMAP");
	check_no_load(smap_no_loads, ARRAY_SIZE(smap_no_loads));
}

/* Any sequence: `regs` are what the processor must have. */
CASE(random_edits_and_loads)
{
	u64 dirs[4] = { 0, directory(1), directory(2), directory(3) };
	u32 regs[4] = { 0 }, memory[4] = { 0 };

	begin();
	for (u32 step = 0; step < 400; step++) {
		u32 r = random32(), slot = 1 + (r >> 8) % 3u, tag = r >> 16 & 3;
		const struct event *e;

		switch (r & 7) {
		case 0:
		case 1:
		case 2:
			memory[slot] = tag;
			set_entry(pdpte(slot), tag ? dirs[tag] | PTE_P : dirs[1]);
			break;
		case 3:
			e = &loads[(r >> 20) % ARRAY_SIZE(loads)];
			if (e->when && !*e->when)
				break;
			e->run();
			memcpy(regs, memory, sizeof(regs));
			break;
		case 4:
			e = &no_loads[(r >> 20) % ARRAY_SIZE(no_loads)];
			if (!e->when || *e->when)
				e->run();
			break;
		default:
			check_cold(slot, regs[slot], "after random steps");
		}
	}
}

/* ---- reserved bits ---------------------------------------------------------------- */

static bool reserved(u32 bit)
{
	return bit == 1 || bit == 2 || (bit >= 5 && bit <= 8) || bit >= cpu.maxphyaddr;
}

/* P09: #GP(0), and CR3 as well as all four registers are as before. */
CASE(reserved_bits_refuse_mov_to_cr3)
{
	u64 a = directory(0xa), b = directory(0xb);
	ulong cr3 = read_cr3();

	begin();
	set_entry(pdpte(1), a | PTE_P);
	same_cr3();
	set_entry(pdpte(1), b | PTE_P);
	for (u32 bit = 1; bit < 64; bit++) {
		if (!reserved(bit))
			continue;
		set_entry(pdpte(3), a | PTE_P | BIT(bit));
		check_fault(write_cr3(cr3 ^ CR3_PWT), FAULT_ERR(VEC_GP, 0));
		check_eq(read_cr3(), cr3);
		check_warm(1, 0xa, "refused");
		check_cold(1, 0xa, "refused");
		set_entry(pdpte(3), (a | BIT(bit)) & ~PTE_P); /* not present: nothing is checked */
		check_fault(write_cr3(cr3), NO_FAULT);
		check_cold(1, 0xb, "accepted");
		check_cold(3, 0, "accepted");
		set_entry(pdpte(1), a | PTE_P);
		check_fault(write_cr3(cr3), NO_FAULT);
		set_entry(pdpte(1), b | PTE_P);
	}
}

CASE(reserved_bits_in_each_slot)
{
	u64 a = directory(0xa), other = new_space();
	ulong cr3 = read_cr3();

	begin();
	set_entry(pdpte(1), a | PTE_P);
	same_cr3();
	for (u32 slot = 0; slot < 4; slot++) {
		pte_t *bad = (pte_t *)mem8(other) + slot, good = *bad;

		set_entry(bad, (good & PTE_P ? good : a | PTE_P) | PTE_W);
		check_fault(write_cr3(other), FAULT_ERR(VEC_GP, 0));
		check_eq(read_cr3(), cr3);
		check_cold(1, 0xa, "refused");
		set_entry(bad, good);
	}
	check_fault(write_cr3(other), NO_FAULT);
	check_cold(1, 0, "other space");
}

CASE(reserved_bits_refuse_cr0_and_cr4)
{
	u64 a = directory(0xa), b = directory(0xb);

	begin();
	set_entry(pdpte(1), a | PTE_P);
	same_cr3();
	set_entry(pdpte(1), b | PTE_P);
	set_entry(pdpte(2), a | PTE_P | BIT(1));
	if (cpu.pge)
		check_fault(write_cr4(default_cr4 ^ CR4_PGE), FAULT_ERR(VEC_GP, 0));
	check_fault(write_cr4(default_cr4 ^ CR4_PSE), FAULT_ERR(VEC_GP, 0));
	if (cpu.smep)
		check_fault(write_cr4(default_cr4 ^ CR4_SMEP), FAULT_ERR(VEC_GP, 0));
	check_eq(read_cr4(), default_cr4);
	check_fault(write_cr0(default_cr0 ^ CR0_CD), FAULT_ERR(VEC_GP, 0));
	check_eq(read_cr0(), default_cr0);
	check_cold(1, 0xa, "refused");
	check_fault(write_cr0(default_cr0 & ~CR0_PG), NO_FAULT);
	check_fault(write_cr0(default_cr0), FAULT_ERR(VEC_GP, 0));
	check_eq(read_cr0(), default_cr0 & ~CR0_PG);
	set_entry(pdpte(2), (a | BIT(1)) & ~PTE_P);
	check_fault(write_cr0(default_cr0), NO_FAULT);
	check_cold(1, 0xb, "paging on again");
	check_cold(2, 0, "paging on again");
}

/* Bits that are ignored or say how to cache: a translation like any other. */
CASE(bits_that_are_not_reserved)
{
	u64 a = directory(0xa), bits = BIT(9) | BIT(10) | BIT(11) | PTE_PWT | PTE_PCD;

	begin();
	set_entry(pdpte(1), a | PTE_P | bits);
	check_fault(write_cr3(read_cr3() | CR3_PWT | CR3_PCD | 7), NO_FAULT); /* 2:0 of CR3 are ignored as well */
	check_cold(1, 0xa, "bits set");
	check_fault(user_poke32(SLOT + 0x100, 5), NO_FAULT); /* a PDPTE has no rights to give or keep */
	check_eq(*pdpte(1) & ~bits, a | PTE_P);
}

/* ---- where the PDPT is ---------------------------------------------------------------- */

/* A PDPT at any 32 bytes of a page, with the library's slot 0. */
static u64 pdpt_at(u64 gpa, u64 one, u64 two)
{
	pte_t *p = (pte_t *)mem8(gpa);

	set_entry(p, *(pte_t *)mem8(home));
	set_entry(p + 1, one ? one | PTE_P : 0);
	set_entry(p + 2, two ? two | PTE_P : 0);
	set_entry(p + 3, 0);
	return gpa;
}

/* P06 */
CASE(pdpt_anywhere_in_a_page)
{
	u64 page = new_frame(), a = directory(0xa), b = directory(0xb);
	static const u32 at[] = { 0x20, 0x40, 0x7e0, 0xfe0, 0 };

	begin();
	memset(mem8(page), 0xff, PAGE_SIZE);
	for (u32 i = 0; i < ARRAY_SIZE(at); i++) {
		pdpt_at(page + at[i], i & 1 ? b : a, i & 1 ? 0 : b);
		check_fault(write_cr3(page + at[i]), NO_FAULT);
		check_eq(read_cr3(), page + at[i]);
		check_cold(1, i & 1 ? 0xb : 0xa, "not page-aligned");
		check_cold(2, i & 1 ? 0 : 0xb, "not page-aligned");
		check_warm(1, i & 1 ? 0xb : 0xa, "not page-aligned");
		if (cpu.pge) { /* a load at that place, not at the page's start */
			cr4_pge();
			check_warm(1, i & 1 ? 0xb : 0xa, "CR4.PGE");
		}
		check_fault(write_cr3(page + at[0]), NO_FAULT);
		check_warm(1, 0xa, "first again");
	}
}

/* P10: two in one page; edits of one are nothing to the other. */
CASE(two_pdpts_in_one_page)
{
	u64 page = new_frame(), a = directory(0xa), b = directory(0xb), c = directory(0xc);
	u64 first = page + 0x100, second = page + 0x120;

	begin();
	pdpt_at(first, a, 0);
	pdpt_at(second, b, b);
	for (u32 i = 0; i < 4; i++) {
		check_fault(write_cr3(first), NO_FAULT);
		check_cold(1, i ? 0xc : 0xa, "first");
		check_cold(2, 0, "first");
		pdpt_at(second, i & 1 ? b : a, c); /* while the first is loaded */
		check_cold(1, i ? 0xc : 0xa, "first, second edited");
		check_fault(write_cr3(second), NO_FAULT);
		check_cold(1, i & 1 ? 0xb : 0xa, "second");
		check_cold(2, 0xc, "second");
		check_warm(1, i & 1 ? 0xb : 0xa, "second");
		pdpt_at(first, c, 0);
		check_cold(1, i & 1 ? 0xb : 0xa, "second, first edited");
	}
}

/* P10: the page's other contents are data, written and read as such, also through a mapping by user code. */
CASE(data_beside_a_pdpt)
{
	u64 page = new_frame(), a = directory(0xa), view;
	u64 root = page + 0x200;
	u32 v = 0;

	begin();
	pdpt_at(root, a, new_table());
	check_fault(write_cr3(root), NO_FAULT);
	view = 2 * SLOT + 0x5000;
	set_entry(make_entry_in(root, view, 1), page | RWU);
	for (u32 off = 0; off < PAGE_SIZE; off += 52) {
		if (off + 4 > 0x200 && off < 0x220)
			continue;
		check_fault(off & 4 ? user_poke32(view + off, off | 1) : poke32(view + off, off | 1), NO_FAULT);
	}
	check_fault(poke16(view + 0x21f + 1, 0xffff), NO_FAULT);
	for (u32 off = 0; off < PAGE_SIZE; off += 52) {
		if (off + 4 > 0x200 && off < 0x224)
			continue;
		check_fault(peek32(view + off, &v), NO_FAULT);
		check_eq(v, off | 1);
		check_eq(*mem32(page + off), off | 1);
	}
	check_cold(1, 0xa, "after the writes");
	check_fault(write_cr3(root), NO_FAULT);
	check_cold(1, 0xa, "loaded again");
}

/* The PDPT written through a mapping of its page: memory changes at once, the registers at the load. */
CASE(pdpt_written_through_a_mapping)
{
	u64 a = directory(0xa), b = directory(0xb), view = 2 * SLOT + 0x7000, root = current_root();
	u32 v = 0;

	begin();
	set_entry(pdpte(1), a | PTE_P);
	map_page(view, root, RWU);
	same_cr3();
	for (u32 i = 0; i < 4; i++) {
		u32 e = (i & 1 ? a : b) | PTE_P;

		check_warm(1, i & 1 ? 0xb : 0xa, "before");
		check_fault(i & 2 ? user_poke32(view + 8, e) : poke32(view + 8, e), NO_FAULT);
		check_fault(peek32(view + 8, &v), NO_FAULT);
		check_eq(v, e);
		invlpg(SLOT);
		check_warm(1, i & 1 ? 0xb : 0xa, "written");
		check_cold(1, i & 1 ? 0xb : 0xa, "written");
		same_cr3();
		check_warm(1, i & 1 ? 0xa : 0xb, "loaded");
	}
}

/* D12: no A bit ever, whatever is done through it. */
CASE(no_accessed_bit)
{
	u64 a = directory(0xa);

	set_entry(pdpte(1), a | PTE_P);
	same_cr3();
	check_fault(user_poke32(SLOT, 1), NO_FAULT);
	check_fault(peek32(SLOT + 5 * LARGE_SIZE, NULL), NO_FAULT);
	check_eq(*pdpte(1), a | PTE_P);
	check_eq(*pdpte(0) & (PTE_A | PTE_D), 0);
	same_cr3(); /* and if there were one, this would fault */
	check_fault(write_cr3(read_cr3()), NO_FAULT);
}

/* ---- directories and spaces ---------------------------------------------------------------- */

/* One directory in three slots, and the PDPT's own page as a directory. */
CASE(shared_directories)
{
	u64 a = directory(0xa), root = current_root();
	u32 v = 0;

	begin();
	set_entry(pdpte(1), a | PTE_P);
	set_entry(pdpte(2), a | PTE_P);
	set_entry(pdpte(3), root | PTE_P); /* its entries: slot 0..3's directories as last-level tables */
	same_cr3();
	check_warm(1, 0xa, "slot 1");
	check_warm(2, 0xa, "slot 2");
	check_fault(poke32(SLOT + 0x3000 + TAG_AT, 0xcc), NO_FAULT);
	check_warm(2, 0xcc, "slot 2, written through 1");
	check_fault(peek32(3 * SLOT + LARGE_SIZE, &v), NO_FAULT); /* a's first entry maps a's table */
	check_eq(v & ~(PTE_A | PTE_D), *mem32(pte_gpa(*(pte_t *)mem8(a))) & ~(PTE_A | PTE_D));
	check_fault(poke32(3 * SLOT + LARGE_SIZE, 0), PF(PF_P | PF_W, 3 * SLOT + LARGE_SIZE)); /* no R/W in a PDPTE */
	for (u32 slot = 1; slot < 4; slot++) /* as directory entries they got A bits */
		set_entry(pdpte(slot), slot < 3 ? a | PTE_P : 0);
	set_entry(pdpte(0), *pdpte(0) & ~(u64)PTE_A);
	((pte_t *)mem8(a))[7] = 0;
	flush();
	check_slot_at(SLOT + 7 * LARGE_SIZE, 0, "slot 1, entry taken");
	check_slot_at(2 * SLOT + 7 * LARGE_SIZE, 0, "slot 2, entry taken");
}

/* Spaces in turn, edited while they are not loaded; frames of gone PDPTs become something else. */
CASE(switching_spaces)
{
	u64 dirs[3] = { directory(1), directory(2), directory(3) }, roots[3];
	u64 data = new_frame();

	begin();
	for (u32 i = 0; i < 3; i++)
		roots[i] = new_space();
	for (u32 round = 0; round < 12; round++) {
		u32 i = round % 3u;

		set_entry((pte_t *)mem8(roots[i]) + 1, dirs[(i + round) % 3u] | PTE_P);
		set_entry((pte_t *)mem8(roots[i]) + 2, round & 1 ? dirs[i] | PTE_P : 0);
		use_space(roots[i]);
		check_warm(1, (i + round) % 3u + 1, "slot 1");
		check_warm(2, round & 1 ? i + 1 : 0, "slot 2");
	}
	use_space(home);
	memset(mem8(roots[0]), 0, PAGE_SIZE);
	*mem32(data + TAG_AT) = 0x55;
	for (u32 i = 0; i < PT_ENTRIES; i++)
		set_entry((pte_t *)mem8(roots[0]) + i, data | RWU); /* now a last-level table */
	set_entry((pte_t *)mem8(dirs[0]), roots[0] | RWU);
	set_entry(pdpte(1), dirs[0] | PTE_P);
	same_cr3();
	check_warm(1, 0x55, "PDPT as a table");
	use_space(roots[1]);
	check_fault(peek32(2 * SLOT, NULL), *((pte_t *)mem8(roots[1]) + 2) & PTE_P ? NO_FAULT : PF(0, 2 * SLOT));
}

/* CR4.PAE with paging on: 32-bit paging takes the directory from the start of the page that CR3 points into. */
CASE(cr4_pae_under_paging)
{
	u64 page = new_frame(), a = directory(0xa), b = directory(0xb), root = page + 0x800;

	if (!cpu.pse)
		skip("no 4 MiB pages");
	begin();
	for (u32 i = 0; i < 8; i++)
		mem32(page)[i] = i << 22 | PTE_P | PTE_W | PTE_PS;
	pdpt_at(root, a, 0);
	check_fault(write_cr4(default_cr4 | CR4_PSE), NO_FAULT);
	check_fault(write_cr3(root), NO_FAULT);
	check_warm(1, 0xa, "PAE");
	for (u32 i = 0; i < 4; i++) {
		check_fault(write_cr4(read_cr4() & ~CR4_PAE), NO_FAULT);
		check_fault(peek32(SLOT, NULL), PF(0, SLOT));
		pdpt_at(root, i & 1 ? a : b, b);
		check_fault(write_cr4(read_cr4() | CR4_PAE), NO_FAULT);
		check_eq(read_cr3(), root);
		check_warm(1, i & 1 ? 0xa : 0xb, "PAE again");
		check_warm(2, 0xb, "PAE again");
	}
	check_fault(write_cr4(read_cr4() & ~CR4_PAE), NO_FAULT);
	set_entry((pte_t *)mem8(root) + 1, a | PTE_P | PTE_W);
	check_fault(write_cr4(read_cr4() | CR4_PAE), FAULT_ERR(VEC_GP, 0));
	check_eq(read_cr4() & CR4_PAE, 0);
	set_entry((pte_t *)mem8(root) + 1, a | PTE_P);
	check_fault(write_cr4(read_cr4() | CR4_PAE), NO_FAULT);
	check_warm(1, 0xa, "after the refusal");
}
