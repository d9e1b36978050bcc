/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which translations and upper entries a processor may have cached: SDM vol. 3,
 * 4.10.2 to 4.10.4.  It may walk to any address at any time, from the root or
 * from any upper entry that it has cached, and keep what it finds until a flush
 * takes it.  So after each change of an entry all that can be reached through
 * it is added, and only flushes take away.
 *
 * Cached is only what is present, without reserved bits, and accessed.  Where
 * nothing sets A but accesses (strict), A in memory decides; a processor that
 * speculates may set it itself, so there A is no bar.  D is as memory has it:
 * it is never set ahead of a write.
 */
#include "churn.h"

struct predict_state state;
u32 root_now;
struct cached_set upper[NVAS][6], leaves[NVAS];

static pte_t pdpte[3]; /* PAE: registers */

static bool same(const struct cached *a, const struct cached *b)
{
	return a->frame == b->frame && a->level == b->level && a->dirty == b->dirty && a->global == b->global &&
	       a->r.w == b->r.w && a->r.u == b->r.u && a->r.x == b->r.x;
}

/* True: it is new, or as good as new. */
static bool add(struct cached_set *s, struct cached c)
{
	c.settled = false;
	for (u32 i = 0; i < s->n; i++)
		if (same(&s->e[i], &c)) {
			bool settled = s->e[i].settled;

			s->e[i].settled = s->e[i].fetch_only = false;
			return settled;
		}
	if (s->n == SET_MAX) {
		s->full = true;
		return false;
	}
	s->e[s->n++] = c;
	return true;
}

/* What the processor may learn from the entry of one table that it may know. */
static void expand(u32 va, int level, struct cached table)
{
	struct cached found = table;
	pte_t e;
	u64 gpa;

	if (table.frame == OUTSIDE)
		return;
	e = cells[table.frame][va_cell[va][level]];
	if (options.strict && !(e & PTE_A))
		return;
	switch (predict_entry(&state, vas[va], e, level, &found.r, &gpa)) {
	case PREDICT_TABLE:
		found.frame = frame_at(gpa);
		if (add(&upper[va][level - 1], found))
			expand(va, level - 1, found);
		break;
	case PREDICT_LEAF:
		found.frame = frame_at(gpa);
		found.level = level;
		found.dirty = e & PTE_D;
		found.global = (state.cr4 & CR4_PGE) && (e & PTE_G);
		add(&leaves[va], found);
		break;
	default:
		break;
	}
}

bool model_no_pdpte(u32 va)
{
	return PT_LEVELS == 3 && !(pdpte[va_cell[va][3]] & PTE_P);
}

/* Where walks begin: the root, or in PAE paging what the register names. */
static void start_walk(u32 va)
{
	struct cached start = { .frame = ROOTS + root_now, .r = PREDICT_ALL_RIGHTS };
	int level = PT_LEVELS;

	if (PT_LEVELS == 3) {
		if (model_no_pdpte(va))
			return;
		start.frame = frame_at(pte_gpa(pdpte[va_cell[va][3]]));
		level = 2;
	}
	if (add(&upper[va][level], start))
		expand(va, level, start);
}

static void drop_upper(u32 va)
{
	for (int level = 1; level <= PT_LEVELS; level++) {
		upper[va][level].n = 0;
		upper[va][level].full = false;
	}
}

static void drop_leaves(u32 va, bool globals)
{
	struct cached_set *s = &leaves[va];
	u32 kept = 0;

	for (u32 i = 0; i < s->n && !globals; i++)
		if (s->e[i].global)
			s->e[kept++] = s->e[i];
	s->n = kept;
	s->full = s->full && !globals && (state.cr4 & CR4_PGE);
}

void model_edited(u32 frame, u32 cell)
{
	for (u32 va = 0; va < NVAS; va++)
		for (int level = PT_LEVELS == 3 ? 2 : PT_LEVELS; level; level--) {
			struct cached_set *s = &upper[va][level];

			for (u32 i = 0; va_cell[va][level] == cell && i < s->n; i++)
				if (s->e[i].frame == frame)
					expand(va, level, s->e[i]);
		}
}

void model_changed(void)
{
	for (u32 va = 0; va < NVAS; va++)
		for (int level = PT_LEVELS; level; level--)
			for (u32 i = 0; i < upper[va][level].n; i++)
				expand(va, level, upper[va][level].e[i]);
}

void model_flush(enum flush_scope scope)
{
	for (u32 va = 0; va < NVAS && scope != FLUSH_NONE; va++) {
		drop_upper(va);
		drop_leaves(va, scope == FLUSH_ALL);
		start_walk(va);
	}
}

void model_load_root(u32 root)
{
	root_now = root;
	if (PT_LEVELS == 3)
		memcpy(pdpte, cells[ROOTS + root], sizeof(pdpte));
	model_flush(FLUSH_SPACE);
}

/* The level at which a walk of memory ends, by a leaf or for want of one. */
static int end_of_walk(u32 va)
{
	u32 frame = ROOTS + root_now;

	for (int level = PT_LEVELS; level; level--) {
		struct predict_rights r = PREDICT_ALL_RIGHTS;
		pte_t e = PT_LEVELS == 3 && level == 3 ? pdpte[va_cell[va][3]] : cells[frame][va_cell[va][level]];
		u64 gpa = pte_gpa(e);

		if (is_pdpte(level) ? !(e & PTE_P) : predict_entry(&state, vas[va], e, level, &r, &gpa) != PREDICT_TABLE)
			return level;
		frame = frame_at(gpa);
		if (frame == OUTSIDE)
			return 0;
	}
	return 0;
}

/*
 * "One execution of INVLPG is sufficient even for a page with size greater than
 * 4 KBytes": pieces of a large page go at every address in it, if memory maps it
 * by such a page still or not at all.  A table in its place: only what was named.
 * Fetches are let off when not strict: QEMU keeps its translated code of the other
 * pieces, which the case `code_in_a_large_page` shows.
 */
static void drop_pieces(u32 named, int level)
{
	for (u32 va = 0; va < NVAS; va++) {
		struct cached_set *s = &leaves[va];
		u32 kept = 0;

		if (va == named || (vas[va] ^ vas[named]) >> level_shift(level))
			continue;
		for (u32 i = 0; i < s->n; i++) {
			s->e[i].fetch_only |= s->e[i].level == level;
			if (s->e[i].level != level || !options.strict)
				s->e[kept++] = s->e[i];
		}
		s->n = kept;
	}
}

void model_invlpg(u32 named)
{
	if (named < NVAS) {
		int level = end_of_walk(named);

		drop_leaves(named, true);
		if (level > 1)
			drop_pieces(named, level);
	}
	for (u32 va = 0; va < NVAS; va++) {
		drop_upper(va);
		start_walk(va);
	}
}

/*
 * 4.10.4.1: a page fault takes what is cached for its address, so that it does
 * not come again if memory allows the access.  Asked for is only the latter: what
 * was cached may still be used (TCG keeps it), but no longer to refuse.
 */
void model_faulted(u32 va)
{
	for (u32 i = 0; i < leaves[va].n; i++)
		leaves[va].e[i].settled = true;
	for (int level = 1; level <= PT_LEVELS; level++)
		for (u32 i = 0; i < upper[va][level].n; i++)
			upper[va][level].e[i].settled = true;
	start_walk(va);
}

void model_reset(void)
{
	state = (struct predict_state){ .cr0 = default_cr0, .cr4 = default_cr4, .efer = default_efer,
					.maxphyaddr = cpu.maxphyaddr, .pse36 = cpu.pse36, .page1g = cpu.page1g };
	model_flush(FLUSH_ALL);
	model_load_root(0);
}
