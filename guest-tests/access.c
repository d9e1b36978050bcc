/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every access against the predictor: outcome, error code, CR2, A and D of every
 * entry, what was read or written, and what must not have changed.
 *
 * The product of all flags of all levels is out of reach, so: all flags of a leaf
 * (4 KiB, large, 1 GiB) times all flags of one level above it, for each such level,
 * times the control bits, times every access, on cold translations (after INVLPG)
 * and on warm ones; plus control bits toggled under warm translations, entries
 * changed under them, and random paths.
 */
#include "test.h"
#include "predict.h"

#define TOP (PT_LEVELS == 3 ? 2 : PT_LEVELS) /* PAE's PDPTEs are registers: pdpte.c */
#define MAX_SHOWN 4
#define IS64 (PT_LEVELS >= 4)

#define AT_FETCH 0 /* offsets in a target frame */
#define AT_DESCRIPTOR 8
#define AT_READ 16
#define AT_WRITE 20
#define WRITTEN 0x77777777u

static const struct probe {
	const char *name;
	enum access_kind kind;
	enum access_who who;
	bool ac;
} probes[] = {
	{ "read", ACCESS_READ, AS_SUPER, false },	{ "user read", ACCESS_READ, AS_USER, false },
	{ "write", ACCESS_WRITE, AS_SUPER, false },	{ "user write", ACCESS_WRITE, AS_USER, false },
	{ "fetch", ACCESS_FETCH, AS_SUPER, false },	{ "user fetch", ACCESS_FETCH, AS_USER, false },
	{ "read AC", ACCESS_READ, AS_SUPER, true },	{ "implicit read", ACCESS_READ, AS_IMPLICIT, false },
	{ "write AC", ACCESS_WRITE, AS_SUPER, true },
};

/* Apart: an emulator that reads before it asks for the right to write shows here alone. */
static const struct probe rmw_probes[] = {
	{ "add", ACCESS_RMW, AS_SUPER, false },		{ "locked add", ACCESS_LOCKED, AS_SUPER, false },
	{ "user add", ACCESS_RMW, AS_USER, false },	{ "user locked add", ACCESS_LOCKED, AS_USER, false },
	{ "add AC", ACCESS_RMW, AS_SUPER, true },	{ "user read", ACCESS_READ, AS_USER, false },
};

/* Apart as well: EFLAGS.AC excuses explicit accesses only. */
static const struct probe implicit_probes[] = {
	{ "implicit read", ACCESS_READ, AS_IMPLICIT, false },
	{ "implicit read AC", ACCESS_READ, AS_IMPLICIT, true },
};

static struct { /* built by setup() */
	u64 va;
	u64 table[6]; /* the table that entry[level] points to when it is no leaf */
	pte_t *entry[6];
	u64 target[4]; /* leaf of level n at va maps this gpa (page offset 0) */
	u64 base[4]; /* its address field */
	struct predict_state s;
	u64 known_cr2;
	const struct probe *probes; /* of probe_all() */
	u32 nprobes, turn;
	u32 ran, left_out, wrong;
} t;

static u64 read_entry(void *ctx, u64 gpa, u32 size)
{
	(void)ctx;
	return size == 4 ? *mem32(gpa) : *mem64(gpa);
}

static int max_leaf(void)
{
	if (IS64 && cpu.page1g)
		return 3;
	return PT_LEVELS == 2 && !cpu.pse ? 1 : 2;
}

static void fill_target(u64 gpa)
{
	*mem8(gpa + AT_FETCH) = 0xc3;
	put_descriptor(gpa + AT_DESCRIPTOR, true);
	*mem32(gpa + AT_READ) = gpa ^ 0x5a5a5a5a;
}

/* Tables lie where bits 21:13 of their address are not 0, so that PTE_PS above them is malformed. */
static void setup(const struct probe *list, u32 n)
{
	u64 tables = new_large() + LARGE_SIZE / 2 + 0x3000, spread = new_large(), f;

	do
		f = new_frame();
	while (level_index(f, 1) < PT_ENTRIES / 2);
	t.va = WINDOW + f; /* so a 1 GiB page at 0 maps it to f */
	t.base[1] = t.target[1] = new_frame();
	t.base[2] = spread;
	t.target[2] = spread + (t.va & (LARGE_SIZE - 1));
	t.base[3] = 0;
	t.target[3] = f;
	if (PT_LEVELS == 3)
		link_table(current_root(), t.va, 3, tables + 0x10000);
	for (int level = TOP; level > 0; level--) {
		t.table[level] = tables + level * 0x2000;
		memset(mem8(t.table[level]), 0, PAGE_SIZE);
	}
	memset(mem8(tables + 0x10000), 0, PAGE_SIZE);
	memset(mem8(spread), 0, PAGE_SIZE); /* CR4.PSE off: it is read as a table */
	t.entry[TOP] = PT_LEVELS == 3 ? (pte_t *)(ulong)(tables + 0x10000) + level_index(t.va, 2) : entry(t.va, TOP);
	for (int level = TOP - 1; level > 0; level--)
		t.entry[level] = (pte_t *)(ulong)t.table[level + 1] + level_index(t.va, level);
	for (int level = 1; level <= 3; level++)
		if (level <= max_leaf())
			fill_target(t.target[level]);
	watch(t.va);
	t.s = (struct predict_state){ .cr3 = read_cr3(), .maxphyaddr = cpu.maxphyaddr, .pse36 = cpu.pse36,
				      .page1g = cpu.page1g, .read = read_entry,
				      .cr0 = default_cr0, .cr4 = default_cr4, .efer = default_efer };
	t.s.pdpte[t.va >> 30 & 3] = (tables + 0x10000) | PTE_P;
	t.known_cr2 = read_cr2();
	t.probes = list;
	t.nprobes = n;
	t.ran = t.left_out = t.wrong = 0;
}

/* Control bits: x is EFER.NXE, or CR4.PSE with 2 levels.  Only a change of x is followed by a flush. */
static void set_controls(bool wp, bool smep, bool smap, bool x)
{
	ulong cr0 = (default_cr0 & ~CR0_WP) | (wp ? CR0_WP : 0);
	ulong cr4 = (default_cr4 & ~CR4_PSE) | (smep ? CR4_SMEP : 0) | (smap ? CR4_SMAP : 0);
	u64 efer = default_efer & ~EFER_NXE;
	bool changed;

	if (PT_LEVELS == 2)
		cr4 |= x ? CR4_PSE : 0;
	else
		efer |= x ? EFER_NXE : 0;
	changed = efer != t.s.efer || ((cr4 ^ t.s.cr4) & CR4_PSE);
	if (cr0 != t.s.cr0)
		write_cr0(cr0);
	if (cr4 != t.s.cr4)
		write_cr4(cr4);
	if (efer != t.s.efer && default_efer)
		write_efer(efer);
	if (changed)
		flush();
	t.s.cr0 = cr0;
	t.s.cr4 = cr4;
	t.s.efer = efer;
}

static void need_controls(bool smep, bool smap, bool x)
{
	if (smep && !cpu.smep)
		skip("no SMEP");
	if (smap && !cpu.smap)
		skip("no SMAP");
	if (x && PT_LEVELS > 2 && !cpu.nx)
		skip("no NX");
	if (x && PT_LEVELS == 2 && !cpu.pse)
		skip("no PSE");
}

static struct prediction predict_probe(const struct probe *p, u64 va)
{
	struct predict_access a = { .va = va, .ac = p->ac };

	a.kind = p->kind == ACCESS_READ ? PREDICT_READ : p->kind == ACCESS_FETCH ? PREDICT_FETCH : PREDICT_WRITE;
	a.who = p->who == AS_SUPER ? PREDICT_SUPER : p->who == AS_USER ? PREDICT_USER : PREDICT_IMPLICIT;
	return predict(&t.s, &a);
}

static u32 offset_of(const struct probe *p)
{
	if (p->who == AS_IMPLICIT)
		return AT_DESCRIPTOR;
	return p->kind == ACCESS_FETCH ? AT_FETCH : p->kind == ACCESS_READ ? AT_READ : AT_WRITE;
}

static void wrong(const struct probe *p, const char *when, const struct prediction *want, const pte_t before[6], struct fault got,
		  const char *what)
{
	char a[64], b[64];

	if (t.wrong++ >= MAX_SHOWN)
		return; /* the case has failed by now; finish() has the count */
	fail("%s %s: %s", when, p->name, what);
	note("  got %s, predicted %s gpa %llx", fault_text(got, a),
	     fault_text(want->fault ? PF(want->err, t.va + offset_of(p)) : NO_FAULT, b), want->gpa);
	note("  controls: cr0=%llx cr4=%llx efer=%llx va=%llx", t.s.cr0, t.s.cr4, t.s.efer, t.va + offset_of(p));
	for (int level = TOP; level > 0; level--)
		note("  level %d: [%lx] before %0*llx after %0*llx", level, (ulong)t.entry[level], (int)PTE_SIZE * 2,
		     (u64)before[level], (int)PTE_SIZE * 2, (u64)*t.entry[level]);
}

/* A and D where predicted and nowhere else; the neighbours of each entry untouched. */
static bool entries_right(const struct prediction *want, const pte_t before[6])
{
	for (int level = TOP; level > 0; level--) {
		u64 must = 0, may = 0, now = *(volatile pte_t *)t.entry[level];

		for (u32 i = 0; i < want->entries; i++)
			if (want->path[i].gpa == (ulong)t.entry[level]) {
				must = want->path[i].must_set;
				may = want->fault && options.strict ? 0 : want->path[i].may_set;
			}
		if (((now ^ before[level]) & ~may) || (must & ~now))
			return false;
		if (level < PT_LEVELS && (t.entry[level][1] || t.entry[level][-1]))
			return false;
	}
	return true;
}

static u64 target_of(u64 gpa)
{
	for (int level = 1; level <= max_leaf(); level++)
		if (gpa - t.target[level] < PAGE_SIZE)
			return t.target[level];
	return 0;
}

static void probe_now(const struct probe *p, const char *when)
{
	u64 va = t.va + offset_of(p), target;
	struct prediction want = predict_probe(p, va);
	pte_t before[6];
	struct fault got;
	u32 read = 0, *cell;

	target = want.fault ? t.target[1] : target_of(want.gpa);
	if (!target) { /* well-formed, but not our memory */
		t.left_out++;
		return;
	}
	for (int level = TOP; level > 0; level--)
		before[level] = *t.entry[level];
	cell = (u32 *)mem8(target + AT_WRITE);
	*cell = 0;
	set_ac(p->ac);
	got = access_at(va, p->kind, p->who, WRITTEN, &read);
	t.ran++;
	if (!fault_equal(got, want.fault ? PF(want.err, va) : NO_FAULT))
		wrong(p, when, &want, before, got, "outcome");
	else if (!entries_right(&want, before))
		wrong(p, when, &want, before, got, "accessed and dirty bits");
	else if (!want.fault && read_cr2() != t.known_cr2)
		wrong(p, when, &want, before, got, "CR2 changed without a fault");
	else if (!want.fault && offset_of(p) == AT_READ && read != (u32)(target ^ 0x5a5a5a5a))
		wrong(p, when, &want, before, got, "value read");
	else if (*(volatile u32 *)cell != (!want.fault && offset_of(p) == AT_WRITE ? WRITTEN : 0))
		wrong(p, when, &want, before, got, "value in memory");
	if (got.vec == VEC_PF)
		t.known_cr2 = got.cr2;
}

static void put(int level, u64 value)
{
	if (*t.entry[level] != (pte_t)value)
		set_entry(t.entry[level], value);
}

/* The whole path: `leaf` at leaf_level, `upper` at upper_level, the rest permissive with A set. */
static void put_path(int leaf_level, u64 leaf, int upper_level, u64 upper)
{
	for (int level = TOP; level > leaf_level; level--)
		put(level, level == upper_level ? upper : t.table[level] | RWU | PTE_A);
	put(leaf_level, leaf);
}

static u64 leaf_value(int level, u64 flags)
{
	return t.base[level] | flags | (level > 1 ? PTE_PS : 0);
}

/*
 * The probes in threes: the first of each on a cold translation, the others on what it left warm.  Which ones are
 * cold rotates from path to path; depth=3 gives every path every rotation.
 */
static void probe_all(int leaf_level, u64 leaf, int upper_level, u64 upper)
{
	for (u32 turn = 0; turn < options.depth; turn++, t.turn++)
		for (u32 i = 0; i < t.nprobes; i++) {
			if (i % 3 == 0) {
				put_path(leaf_level, leaf, upper_level, upper);
				invlpg(t.va);
			}
			probe_now(&t.probes[(i + t.turn) % t.nprobes], i % 3 ? "warm" : "cold");
		}
}

static u64 rights(u32 n) /* 0..7 */
{
	return PTE_P | (n & 1 ? PTE_W : 0) | (n & 2 ? PTE_U : 0) | (n & 4 && PTE_SIZE == 8 ? PTE_NX : 0);
}

#define NRIGHTS (PTE_SIZE == 8 ? 8u : 4u)

/* With NXE off, NX is a reserved bit: formats() has those. */
static u32 rights_under(bool x)
{
	return PT_LEVELS > 2 && !x ? 4 : NRIGHTS;
}

static void finish(void)
{
	note("%u accesses, %u not made (not our memory), %u wrong", t.ran, t.left_out, t.wrong);
}

typedef void (*path_fn)(int leaf, int upper, bool x);

static void for_each_pair(path_fn fn, bool x)
{
	for (int leaf = 1; leaf <= max_leaf(); leaf++)
		for (int upper = leaf + 1; upper <= (TOP > leaf ? TOP : leaf + 1); upper++)
			fn(leaf, upper <= TOP ? upper : 0, x); /* 0: no level above */
}

static void rights_of(int leaf, int upper, bool x)
{
	for (u32 i = 0; i < rights_under(x); i++)
		for (u32 j = 0; j < (upper ? rights_under(x) : 1); j++)
			probe_all(leaf, leaf_value(leaf, rights(i)), upper, t.table[upper] | rights(j));
}

static void ad_bits_of(int leaf, int upper, bool x)
{
	(void)x;
	for (u32 i = 0; i < 16; i++) {
		u64 ad = (i & 1 ? PTE_A : 0) | (i & 2 ? PTE_D : 0), up = i & 8 ? PTE_A | PTE_D : 0;

		probe_all(leaf, leaf_value(leaf, PTE_P | PTE_U | (i & 4 ? PTE_W : 0) | ad), upper, t.table[upper] | RWU | up);
	}
}

static u64 malformed(u64 plain, int level, bool leaf, u32 n)
{
	u64 wide = PTE_SIZE == 8 ? ~0ull : 0;

	switch (n) {
	case 1:
		return 0;
	case 2:
		return 0xfffffffffffffffeull & (wide | 0xffffffff); /* not present, all else set */
	case 3:
		return plain | (cpu.maxphyaddr < 52 ? BIT(cpu.maxphyaddr) & wide : 0);
	case 4:
		return plain | (BIT(52) & wide); /* pae: reserved */
	case 5:
		return plain | (PTE_NX & wide);
	case 6:
		if (leaf)
			return plain | PTE_PWT | PTE_PCD | PTE_G | 0xe00 | (level == 1 ? PTE_PAT : PTE_PAT_LARGE);
		return plain | PTE_PWT | PTE_PCD | 0xe00 | PTE_D | (level < 4 ? PTE_G : 0);
	case 7: /* bit 21 is reserved in a 4 MiB page, part of the address in a 2 MiB one */
		return plain | (!leaf ? PTE_PS : level == 1 ? 0 : PTE_SIZE == 4 ? BIT(21) : BIT(13));
	case 8:
		return plain | (IS64 ? BIT(62) : BIT(62) & wide);
	default:
		return plain;
	}
}

static void formats_of(int leaf, int upper, bool x)
{
	u64 plain = leaf_value(leaf, RWU), plain_up = t.table[upper] | RWU;

	(void)x;
	for (u32 i = 0; i <= 8; i++)
		for (u32 j = 0; j <= (upper ? 8 : 0); j++) {
			u64 l = malformed(plain, leaf, true, i), u = malformed(plain_up, upper, false, j);

			if ((i && l == plain) || (j && u == plain_up))
				continue;
			probe_all(leaf, l, upper, u);
		}
}

static void run_rights(bool wp, bool smep, bool smap, bool x)
{
	need_controls(smep, smap, x);
	setup(probes, ARRAY_SIZE(probes));
	set_controls(wp, smep, smap, x);
	for_each_pair(rights_of, x);
	if (!smep)
		for_each_pair(ad_bits_of, x);
	finish();
}

static void run_formats(bool smep, bool x)
{
	need_controls(smep, false, x);
	setup(probes, ARRAY_SIZE(probes));
	set_controls(true, smep, false, x);
	for_each_pair(formats_of, x);
	finish();
}

/* x: NXE, in pse mode CR4.PSE */
CASE(rights_wp0_smep0_smap0_x0) { run_rights(0, 0, 0, 0); }
CASE(rights_wp1_smep0_smap0_x0) { run_rights(1, 0, 0, 0); }
CASE(rights_wp0_smep1_smap0_x0) { run_rights(0, 1, 0, 0); }
CASE(rights_wp1_smep1_smap0_x0) { run_rights(1, 1, 0, 0); }
CASE(rights_wp0_smep0_smap1_x0) { run_rights(0, 0, 1, 0); }
CASE(rights_wp1_smep0_smap1_x0) { run_rights(1, 0, 1, 0); }
CASE(rights_wp0_smep1_smap1_x0) { run_rights(0, 1, 1, 0); }
CASE(rights_wp1_smep1_smap1_x0) { run_rights(1, 1, 1, 0); }
CASE(rights_wp0_smep0_smap0_x1) { run_rights(0, 0, 0, 1); }
CASE(rights_wp1_smep0_smap0_x1) { run_rights(1, 0, 0, 1); }
CASE(rights_wp0_smep1_smap0_x1) { run_rights(0, 1, 0, 1); }
CASE(rights_wp1_smep1_smap0_x1) { run_rights(1, 1, 0, 1); }
CASE(rights_wp0_smep0_smap1_x1) { run_rights(0, 0, 1, 1); }
CASE(rights_wp1_smep0_smap1_x1) { run_rights(1, 0, 1, 1); }
CASE(rights_wp0_smep1_smap1_x1) { run_rights(0, 1, 1, 1); }
CASE(rights_wp1_smep1_smap1_x1) { run_rights(1, 1, 1, 1); }

CASE(read_modify_write)
{
	bool x = PT_LEVELS == 2 ? cpu.pse : cpu.nx;

	setup(rmw_probes, ARRAY_SIZE(rmw_probes));
	for (u32 c = 0; c < 4; c++) {
		if (c & 2 && !cpu.smap)
			continue;
		set_controls(c & 1, false, c & 2, x);
		for_each_pair(rights_of, x);
		for_each_pair(ad_bits_of, x);
	}
	finish();
}

CASE(implicit_ignores_ac)
{
	bool x = PT_LEVELS == 2 ? cpu.pse : cpu.nx;

	need_controls(false, true, x);
	setup(implicit_probes, ARRAY_SIZE(implicit_probes));
	for (u32 smap = 0; smap < 2; smap++) {
		set_controls(true, false, smap, x);
		for_each_pair(rights_of, x);
	}
	finish();
}

CASE(formats_smep0_x0) { run_formats(0, 0); }
CASE(formats_smep0_x1) { run_formats(0, 1); }
CASE(formats_smep1_x0) { run_formats(1, 0); }
CASE(formats_smep1_x1) { run_formats(1, 1); }

/* One control bit changes at a time and nothing is flushed: MOV to CR0 or CR4 must be enough. */
static void toggles_of(int leaf, int upper, bool x)
{
	static const u8 gray[] = { 0, 1, 3, 2, 6, 7, 5, 4, 0 };

	for (u32 i = 0; i < rights_under(x) * (upper ? rights_under(x) : 1); i++) {
		u32 l = i % rights_under(x), u = i / rights_under(x);

		put_path(leaf, leaf_value(leaf, rights(l)), upper, t.table[upper] | rights(u));
		invlpg(t.va);
		for (u32 g = 0; g < ARRAY_SIZE(gray); g++) {
			set_controls(gray[g] & 1, gray[g] & 2 && cpu.smep, gray[g] & 4 && cpu.smap, x);
			for (u32 n = 0; n < ARRAY_SIZE(probes); n++)
				probe_now(&probes[n], "toggled");
		}
	}
}

CASE(control_bits_toggled_warm)
{
	bool x = PT_LEVELS == 2 ? cpu.pse : cpu.nx;

	setup(probes, ARRAY_SIZE(probes));
	set_controls(false, false, false, x);
	for_each_pair(toggles_of, x);
	finish();
}

/* Every change of rights at every level under warm translations; from not present no INVLPG is owed. */
static void changes_of(int leaf, int level, bool x)
{
	u32 n = rights_under(x) + 1;

	for (u32 i = 0; i < n * n; i++) {
		u64 base = level == leaf ? leaf_value(leaf, 0) : t.table[level];
		u64 from = i % n ? base | rights(i % n - 1) : 0, to = i / n ? base | rights(i / n - 1) : 0;
		u64 plain = leaf_value(leaf, RWU);

		put_path(leaf, level == leaf ? from : plain, level, from);
		invlpg(t.va);
		for (u32 k = 0; k < ARRAY_SIZE(probes); k++)
			probe_now(&probes[k], "before change");
		put(level, to);
		if (from)
			invlpg(t.va);
		for (u32 k = 0; k < ARRAY_SIZE(probes); k++)
			probe_now(&probes[k], "after change");
	}
}

CASE(entries_changed_warm)
{
	bool x = PT_LEVELS == 2 ? cpu.pse : cpu.nx;

	setup(probes, ARRAY_SIZE(probes));
	set_controls(true, false, false, x);
	for (int leaf = 1; leaf <= max_leaf(); leaf++)
		for (int level = leaf; level <= TOP; level++)
			changes_of(leaf, level, x);
	finish();
}

#define RANDOM_PATHS 700

/* Any bits at all levels at once, any controls; no reserved address bits (formats_ has them, TCG misreports). */
CASE(random_paths)
{
	u64 mask = PTE_W | PTE_U | PTE_A | PTE_D | PTE_PWT | PTE_PCD | 0xe00;

	setup(probes, ARRAY_SIZE(probes));
	for (u32 n = 0; n < RANDOM_PATHS * options.depth; n++) {
		int leaf = 1 + random32() % max_leaf();
		bool x = PT_LEVELS == 2 ? leaf > 1 || (cpu.pse && (random32() & 1)) : cpu.nx;
		u32 c = random32();

		set_controls(c & 1, c & 2 && cpu.smep, c & 4 && cpu.smap, x);
		for (int level = TOP; level >= leaf; level--) {
			u64 flags = (random32() & mask) | (random32() & 15 ? PTE_P : 0) | (random32() & 1 ? PTE_W | PTE_U : 0);

			if (x && PTE_SIZE == 8 && !(random32() & 7))
				flags |= PTE_NX;
			put(level, level == leaf ? leaf_value(leaf, flags) : t.table[level] | flags);
		}
		invlpg(t.va);
		for (u32 k = 0; k < 6; k++) {
			probe_now(&probes[random32() % ARRAY_SIZE(probes)], "random");
			if (k % 3 == 2)
				c ^= 1 << random32() % 3;
			set_controls(c & 1, c & 2 && cpu.smep, c & 4 && cpu.smap, x);
		}
	}
	finish();
}
