/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Part of shadow.c: what its guest does at random.  Its tables are NTABLES frames,
 * of which four slots are used; what an access got through by is tried again often.
 */

static u64 random_entry(void)
{
	u64 e = rnd(8) ? PTE_P : 0, gfn = rnd(3) ? TABLE0 + rnd(NTABLES) : rnd(RAM + 8);

	if (rnd(2))
		return e | PTE_W | PTE_U | PTE_A | (rnd(2) ? PTE_D : 0) | gfn << 12;
	e |= (rnd(4) ? PTE_W : 0) | (rnd(3) ? PTE_U : 0) | (rnd(3) ? PTE_A : 0) | (rnd(2) ? PTE_D : 0);
	e |= (rnd(8) ? 0 : PTE_PS) | (rnd(8) ? 0 : PTE_G) | (rnd(8) ? 0 : PTE_PWT) | (rnd(12) ? 0 : BIT(12 + rnd(40)));
	if (sv.paging.cr4 & CR4_PAE)
		e |= rnd(5) ? 0 : PTE_NX;
	if (e & PTE_PS && rnd(4)) /* else its low address bits are mostly reserved ones */
		gfn = rnd(2) * GROUP;
	return e | gfn << 12;
}

static struct {
	u64 gva;
	struct shadow_access acc;
} warm[8]; /* what went through: a TLB may remember it */
static unsigned nwarm;
static u64 last_gva;
static struct shadow_paging other; /* what the guest ran on before */

/* An address that this mode can form: canonical, or 32 bits. */
static u64 formed(u64 gva)
{
	unsigned unused = 64 - PAGE_SHIFT - sv.mode->guest_levels * 9;

	return sv.hw_long ? (u64)((s64)(gva << unused) >> unused) : (u32)gva;
}

/* After a change of a table: what may lag otherwise the reference does not model. */
static void guest_flushes(void)
{
	if (vm->cfg.policy != POLICY_EMULATE)
		shadow_update(&sv, SHADOW_CR3);
}

static u64 some_flag(void)
{
	static const u8 bit[] = { 0, 1, 1, 2, 2, 3, 4, 5, 6, 6, 7, 63 };

	return BIT(bit[rnd(sv.paging.cr4 & CR4_PAE ? 12 : 11)]);
}

/* Of the entry at this address some bits are kept, then some inverted. */
static void change(gpa_t at, u64 keep, u64 invert)
{
	bool narrow = !(sv.paging.cr4 & CR4_PAE);
	u64 e = 0;

	guestmem_read(vm, at, &e, narrow ? 4 : 8);
	e = (e & keep) ^ invert;
	guestmem_write(vm, at, &e, narrow ? 4 : 8);
	guest_flushes();
}

static void edit(void)
{
	u64 e = random_entry();
	unsigned narrow = !(sv.paging.cr4 & CR4_PAE), slot = rnd(4);
	unsigned n = narrow ? 1024 : 512, size = narrow ? 4 : 8;
	unsigned i = slot < 2 ? slot : slot == 2 ? n - 1 : n / 2 + rnd(2);
	gpa_t at = mk_gpa((TABLE0 + rnd(NTABLES)) * PAGE_SIZE + i * size);

	if (rnd(2)) {
		change(at, ~0ull, some_flag());
		return;
	}
	if (!rnd(3))
		at.v += rnd(size); /* across two entries */
	guestmem_write(vm, at, &e, rnd(6) ? size : 1 + rnd(8));
	guest_flushes();
}

static u64 random_gva(void)
{
	unsigned bits = sv.paging.cr4 & CR4_PAE ? 9 : 10, levels = sv.hw_long ? sv.mode->guest_levels : bits == 9 ? 3 : 2;
	u64 gva = rnd(4096);

	if (rnd(3)) { /* the same page in another way */
		if (nwarm && rnd(3))
			last_gva = warm[rnd(MIN(nwarm, 8u))].gva;
		return formed(last_gva);
	}
	for (unsigned l = 0; l < levels; l++) {
		unsigned n = levels == 3 && l == 2 ? 4 : 1u << bits, pick = rnd(4);
		u64 i = pick < 2 ? pick : pick == 2 ? n - 1 : n / 2 + rnd(2);

		gva |= i << (12 + l * bits);
	}
	if (!(sv.paging.cr0 & CR0_PG))
		gva = rnd(RAM + 8) << 12;
	return last_gva = formed(gva);
}

static void random_root(void)
{
	sv.paging.cr3 = (TABLE0 + rnd(3)) << 12;
	for (unsigned i = 0; i < 4; i++)
		sv.paging.pdpte[i] = rnd(5) ? (u64)(TABLE0 + rnd(NTABLES)) << 12 | PTE_P : 0;
}

static void random_mode(void)
{
	struct shadow_paging *p = &sv.paging;
	unsigned kind = rnd(5);

	p->cr0 = CR0_PE | (kind ? CR0_PG : 0) | (rnd(3) ? CR0_WP : 0);
	p->cr4 = (kind >= 2 ? CR4_PAE : 0) | (rnd(2) ? CR4_PSE : 0) | (rnd(2) ? 0 : CR4_SMEP) | (rnd(2) ? 0 : CR4_SMAP);
	p->cr4 |= kind == 4 || !rnd(8) ? CR4_LA57 : 0; /* of no meaning outside long mode */
	p->efer = (kind >= 3 ? EFER_LME | EFER_LMA : 0) | (rnd(2) ? EFER_NXE : 0);
	for (unsigned i = 0; i < 8; i++)
		p->pat = p->pat << 8 | (const u8[]){ 0, 1, 4, 5, 6, 7, 6, 6 }[rnd(8)];
	random_root();
	shadow_update(&sv, SHADOW_MODE);
}

static void switch_root(void)
{
	struct shadow_paging now = sv.paging;

	if (!rnd(6))
		random_root();
	else if (other.cr0 == now.cr0 && other.cr4 == now.cr4 && other.efer == now.efer && other.pat == now.pat)
		sv.paging = other; /* back and forth: the same roots again */
	other = now;
	shadow_update(&sv, SHADOW_CR3);
}

static struct shadow_access random_access(void)
{
	struct shadow_access a = { .write = rnd(3) == 0, .user = rnd(2), .ac = rnd(2) };

	a.fetch = !a.write && !rnd(3);
	a.implicit = !a.user && !a.fetch && !rnd(4);
	return a;
}
