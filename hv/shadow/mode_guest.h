/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's side of mode.c and part of that one source: what an entry of
 * GUEST_LEVELS paging means, the walk, the judgement of an access, A and D.
 */
#include "private.h"

#define GUEST_BITS (GUEST_LEVELS == 2 ? 10 : 9) /* index bits per level */
#define GPTE_SIZE (GUEST_LEVELS == 2 ? 4 : 8)
/* The highest level with entries in memory that have A bits: a PAE PDPTE is a register (I12). */
#define TOP_IN_MEMORY (GUEST_LEVELS == 3 ? 2 : GUEST_LEVELS)

static unsigned guest_index(gva_t gva, unsigned level)
{
	return gva.v >> (PAGE_SHIFT + (level - 1) * GUEST_BITS) & (BIT(GUEST_BITS) - 1);
}

/* ---- guest entries: SDM vol. 3, 4.3 to 4.5 -------------------------------- */

static gpte_t read_gpte(struct shadow_vm *vm, gfn_t table, unsigned i)
{
	void *p = guestmem_frame(vm, table);
	u64 e = GPTE_SIZE == 4 ? __atomic_load_n((u32 *)p + i, __ATOMIC_RELAXED) : __atomic_load_n((u64 *)p + i, __ATOMIC_RELAXED);

	work(vm, 1);
	if (p2m_gfn(vm, table)->rom) /* the processor's A and D are lost there, and it goes on all the same */
		e |= PTE_A | PTE_D;
	return mk_gpte(e);
}

static bool is_large(const struct shadow_vm *vm, unsigned ctl, unsigned level, gpte_t e)
{
	if (!(e.v & PTE_PS))
		return false;
	if (level == 2)
		return GUEST_LEVELS != 2 || ctl & CTL_PSE;
	return level == 3 && GUEST_LEVELS >= 4 && vm->cfg.page1g;
}

static u64 bits(unsigned high, unsigned low) { return high < low ? 0 : (~0ull >> (63 - high)) & (~0ull << low); }

/* Reserved bits of an entry that is present. */
static u64 reserved_bits(const struct shadow_vm *vm, unsigned ctl, unsigned level, gpte_t e)
{
	unsigned width = vm->cfg.maxphyaddr;
	bool large = is_large(vm, ctl, level, e);
	u64 rsvd;

	if (GUEST_LEVELS == 2)
		/* PSE-36 keeps address bits 32 and up, to 39 at most, in bits 13 to 20 (4.3, table 4-4). */
		return !large ? 0 : bits(21, !vm->cfg.pse36 || width <= 32 ? 13 : 13 + MIN(width, 40) - 32);
	rsvd = bits(GUEST_LEVELS == 3 ? 62 : 51, width);
	if (!(ctl & CTL_NXE))
		rsvd |= PTE_NX;
	if (large)
		rsvd |= bits(level == 2 ? 20 : 29, 13);
	else if (level > 2)
		rsvd |= PTE_PS;
	return rsvd;
}

static gfn_t next_gfn(gpte_t e) { return mk_gfn((e.v & SPTE_ADDR) >> PAGE_SHIFT); }

static gfn_t large_gfn(unsigned level, gpte_t e)
{
	u64 addr = e.v & SPTE_ADDR & (~0ull << (PAGE_SHIFT + (level - 1) * GUEST_BITS));

	if (GUEST_LEVELS == 2)
		addr |= (e.v & bits(20, 13)) << 19;
	return mk_gfn(addr >> PAGE_SHIFT);
}

static unsigned access_of(gpte_t e)
{
	return (e.v & PTE_W ? ACC_W : 0) | (e.v & PTE_U ? ACC_U : 0) |
	       (GUEST_LEVELS >= 3 && e.v & PTE_NX ? 0 : ACC_X);
}

/* The guest's memory type, as an index into the host's PAT. */
static unsigned memtype_of(const struct shadow_vm *vm, unsigned pat_slot, gpte_t e, bool large)
{
	static const u8 host_index[8] = { 3, 5, 0, 0, 1, 4, 0, 2 }; /* by type: UC WC - - WT WP WB UC-; see SHADOW_HOST_PAT */
	unsigned pat = e.v & (large ? PTE_PAT_LARGE : PTE_PAT) ? 4 : 0;
	unsigned i = pat | (e.v & PTE_PCD ? 2 : 0) | (e.v & PTE_PWT ? 1 : 0);

	return host_index[vm->pats[pat_slot] >> 8 * i & 7];
}

static bool is_usable(const struct shadow_vm *vm, unsigned ctl, unsigned level, gpte_t e)
{
	return (e.v & (PTE_P | PTE_A)) == (PTE_P | PTE_A) && !(e.v & reserved_bits(vm, ctl, level, e));
}

/* ---- the guest walk -------------------------------------------------------- */

static void walk(const struct shadow_vcpu *sv, gva_t gva, struct walk *w)
{
	struct shadow_vm *vm = sv->vm;
	unsigned ctl = ctl_of(&sv->paging), level = GUEST_LEVELS;
	gfn_t table = mk_gfn((GUEST_LEVELS == 2 ? (u32)sv->paging.cr3 : sv->paging.cr3 & SPTE_ADDR) >> PAGE_SHIFT);

	*w = (struct walk){ .ok = true, .access = ACC_ALL, .gfn = mk_gfn(gva.v >> PAGE_SHIFT), .dirty = true };
	for (; level > 0; level--) {
		unsigned i = guest_index(gva, level);
		bool pdpte = GUEST_LEVELS == 3 && level == 3;
		gpte_t e = pdpte ? mk_gpte(sv->paging.pdpte[i & 3]) : read_gpte(vm, table, i);

		w->stopped = level;
		w->gpte[level] = e;
		w->at[level] = mk_gpa(gfn_to_gpa(table).v + i * GPTE_SIZE);
		w->ok = e.v & PTE_P;
		if (!w->ok)
			return;
		table = next_gfn(e);
		if (pdpte)
			continue;
		if (e.v & reserved_bits(vm, ctl, level, e)) {
			w->ok = false;
			w->error = PF_ERR_P | PF_ERR_RSVD;
			return;
		}
		w->access &= access_of(e);
		if (level == 1 || is_large(vm, ctl, level, e))
			break;
	}
	w->leaf_level = level;
	if (!level)
		return;
	w->dirty = w->gpte[level].v & PTE_D;
	w->memtype = memtype_of(vm, vm->pat_slot, w->gpte[level], level > 1);
	w->gfn = table;
	if (level > 1)
		w->gfn = mk_gfn(large_gfn(level, w->gpte[level]).v |
				(gva.v >> PAGE_SHIFT & (BIT((level - 1) * GUEST_BITS) - 1)));
}

/* SDM vol. 3, 4.6 (rights) and 4.7 (error code).  W0x in shared/BUGS.md are the ways to get this wrong. */
static bool permits(const struct shadow_vcpu *sv, const struct walk *w, const struct shadow_access *acc, u32 *error)
{
	const struct shadow_paging *p = &sv->paging;
	bool smep = p->cr4 & CR4_SMEP, user_page = w->access & ACC_U;
	bool reports_fetch = smep || (p->cr4 & CR4_PAE && p->efer & EFER_NXE);
	bool ok = w->ok;

	*error = (acc->write ? PF_ERR_W : 0) | (acc->user ? PF_ERR_U : 0) |
		 (acc->fetch && reports_fetch ? PF_ERR_I : 0) | (w->ok ? PF_ERR_P : w->error);
	if (GUEST_LEVELS == 0)
		return true;
	if (acc->fetch && !(w->access & ACC_X))
		ok = false;
	if (acc->write && !(w->access & ACC_W) && (acc->user || p->cr0 & CR0_WP))
		ok = false;
	if (acc->user && !user_page)
		ok = false;
	if (!acc->user && user_page && acc->fetch && smep)
		ok = false;
	if (!acc->user && user_page && !acc->fetch && p->cr4 & CR4_SMAP && (acc->implicit || !acc->ac))
		ok = false;
	return ok;
}

static bool set_bits(struct shadow_vm *vm, gpa_t at, gpte_t old, u64 want)
{
	u32 old32 = old.v;
	u8 *p;

	if ((old.v & want) == want)
		return true;
	p = guestmem_frame_rw(vm, gpa_to_gfn(at));
	BUG_ON(!p); /* holes and ROM show A and D set */
	p += at.v % PAGE_SIZE;
	vm->stats.ad_writes++;
	if (GPTE_SIZE == 4)
		__atomic_compare_exchange_n((u32 *)p, &old32, old32 | (u32)want, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	else
		__atomic_compare_exchange_n((u64 *)p, &old.v, old.v | want, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	shadow_table_written(vm, at, GPTE_SIZE);
	return false;
}

static bool set_ad(struct shadow_vcpu *sv, const struct walk *w, bool write)
{
	bool clean = true;

	for (unsigned level = TOP_IN_MEMORY; level && level >= w->leaf_level; level--) {
		bool d = write && level == w->leaf_level;

		clean &= set_bits(sv->vm, w->at[level], w->gpte[level], PTE_A | (d ? PTE_D : 0));
	}
	return clean;
}

_Static_assert(PAGE_SIZE / GPTE_SIZE == BIT(GUEST_BITS), "a guest table is a page");
