/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who maps this frame?  wprot=rmap keeps the answer as a chain of leaves, so
 * they are found at once.  wprot=scan keeps only how many there are, and how
 * many of them can write; it tries the guesses of guess.c, and then looks
 * at every leaf of the pool, a piece at each exit.  The pieces of one scan
 * serve all frames that want one: whatever was wanted before a page is
 * looked at is done there.
 *
 * A frame shared by several gfns always has a chain: it loses all leaves before it
 * is shared, and all when it is shared no more.
 */
#include "private.h"

#define SCAN_ENTRIES 4096u /* in one piece */
#define SCAN_PAGES 512u /* free ones are passed by at little cost */
#define PIECES_MAX 2u /* at one exit */

static bool has_chain(const struct shadow_vm *vm, const struct frame *f)
{
	return vm->cfg.wprot == WPROT_RMAP || f->sharers > 1;
}

static struct group *group_of(struct shadow_vm *vm, u32 frame) { return &vm->groups[frame / GROUP]; }

/* ---- book-keeping, called for each leaf ---- */

void rmap_add(struct shadow_vm *vm, u32 frame, bool large, u32 link)
{
	u32 *head = large ? &group_of(vm, frame)->rmap : &vm->frames[frame].rmap;
	struct stats *s = &vm->stats;
	u64 bytes;

	if (frame == FRAME_ONES)
		return;
	if (has_chain(vm, &vm->frames[frame]))
		chain_add(vm, head, link);
	else
		++*head;
	if (++s->rmap_mapped <= s->rmap_mapped_peak)
		return;
	s->rmap_mapped_peak = s->rmap_mapped;
	bytes = (u64)vm->nframes * sizeof(*head) + s->rmap_knots * sizeof(struct knot);
	s->rmap_bytes_peak = vm->cfg.wprot == WPROT_RMAP ? bytes : (u64)vm->nframes * sizeof(*head);
}

void rmap_remove(struct shadow_vm *vm, u32 frame, bool large, u32 link)
{
	u32 *head = large ? &group_of(vm, frame)->rmap : &vm->frames[frame].rmap;

	if (frame == FRAME_ONES)
		return;
	vm->stats.rmap_mapped--;
	if (has_chain(vm, &vm->frames[frame]))
		chain_remove(vm, head, link);
	else
		--*head;
}

/* A leaf gained (+1) or lost (-1) its W. */
void rmap_count_writable(struct shadow_vm *vm, u32 frame, bool large, u32 link, int change)
{
	if (large)
		group_of(vm, frame)->writable += change;
	else
		vm->frames[frame].writable += change;
	if (change > 0)
		guess_note_writable(vm, frame, link);
}

bool rmap_is_protected(struct shadow_vm *vm, u32 frame)
{
	return !vm->frames[frame].writable && !group_of(vm, frame)->writable;
}

static bool is_unmapped(struct shadow_vm *vm, u32 frame)
{
	return !vm->frames[frame].rmap && !group_of(vm, frame)->rmap;
}

/* ---- with a chain ---- */

static void drop_link(struct shadow_vm *vm, u32 link)
{
	page_clear(vm, page_of_link(vm, link), page_index_of_link(vm, link));
}

/* A large leaf cannot lose a part of itself: it goes, and comes back in pieces. */
static void break_large(struct shadow_vm *vm, struct group *g)
{
	while (g->rmap) {
		vm->stats.large_breaks++;
		drop_link(vm, chain_member(vm, g->rmap, 0));
	}
}

static void protect_link(struct shadow_vm *vm, u32 link)
{
	vm->stats.wprot_visited++;
	work(vm, 1);
	page_write_protect(vm, link);
}

/* ---- by scanning ---- */

static void visit(struct shadow_vm *vm, struct shadow_page *p, unsigned i, spte_t e)
{
	bool large = page_is_large(p, e);
	u32 frame = page_leaf_frame(vm, e);
	u8 want = large ? 0 : vm->frames[frame].want;

	if (frame == FRAME_ONES)
		return;
	if (large && (vm->log_until || group_of(vm, frame)->wants)) {
		vm->stats.large_breaks++;
		page_clear(vm, p, i);
	} else if (want & WANT_DROP && !has_chain(vm, &vm->frames[frame])) {
		page_clear(vm, p, i);
	} else if (vm->log_until || want & WANT_PROTECT) {
		page_write_protect(vm, page_link(vm, p, i));
	}
}

static void scan_page(struct shadow_vm *vm, struct shadow_page *p)
{
	if (p->role.kind == PAGE_FREE || p->role.level > 2)
		return;
	for (unsigned i = 0, left = p->present; left && i < page_entries(p); i++) {
		spte_t e = page_read(vm, p, i);

		work(vm, 1);
		vm->stats.wprot_visited++;
		if (!(e.v & PTE_P))
			continue;
		left--;
		if (page_is_leaf(p, e) && page_leaf_is_ram(vm, e))
			visit(vm, p, i, e);
	}
}

static void want_done(struct shadow_vm *vm, unsigned i)
{
	u32 frame = vm->wants[i].frame;

	vm->frames[frame].want = 0;
	group_of(vm, frame)->wants--;
	vm->wants[i] = vm->wants[--vm->nwants];
}

static void piece(struct shadow_vm *vm)
{
	u64 begun = vm->work;

	if (vm->pieces++ >= PIECES_MAX) /* enough for one exit */
		return;
	for (unsigned n = 0; n < SCAN_PAGES && vm->work - begun < SCAN_ENTRIES; n++) {
		work(vm, 1);
		scan_page(vm, &vm->pages[vm->scanned++ % vm->cfg.pool]);
	}
	for (unsigned i = 0; i < vm->nwants;)
		if (vm->scanned >= vm->wants[i].until)
			want_done(vm, i);
		else
			i++;
}

static void want(struct shadow_vm *vm, u32 frame, u8 what)
{
	struct frame *f = &vm->frames[frame];

	if (f->want & what || vm->nwants == WANTS_MAX) /* if there is no room: another one is done first */
		return;
	for (unsigned i = 0; i < vm->nwants; i++)
		if (vm->wants[i].frame == frame) {
			f->want |= what;
			vm->wants[i].until = vm->scanned + vm->cfg.pool;
			return;
		}
	f->want = what;
	group_of(vm, frame)->wants++;
	vm->wants[vm->nwants++] = (struct want){ frame, vm->scanned + vm->cfg.pool };
	vm->stats.scans++;
}

/* Nothing is left to be found: the scan need not go on for this one. */
static bool wanted_no_more(struct shadow_vm *vm, u32 frame)
{
	for (unsigned i = 0; i < vm->nwants; i++)
		if (vm->wants[i].frame == frame) {
			want_done(vm, i);
			break;
		}
	return true;
}

/* ---- the two questions.  True: done.  False: not yet, and meanwhile no leaf of the frame gains a W, or a leaf. ---- */

bool rmap_protect(struct shadow_vm *vm, u32 frame)
{
	if (frame < FRAME_SCRATCH || rmap_is_protected(vm, frame))
		return wanted_no_more(vm, frame);
	vm->stats.wprot_calls++;
	if (vm->cfg.wprot == WPROT_RMAP) {
		chain_each(vm, vm->frames[frame].rmap, protect_link);
		break_large(vm, group_of(vm, frame));
		return true;
	}
	if (!vm->frames[frame].want && guess_protect(vm, frame))
		return true;
	want(vm, frame, WANT_PROTECT);
	piece(vm);
	return rmap_is_protected(vm, frame) && wanted_no_more(vm, frame);
}

bool rmap_drop(struct shadow_vm *vm, u32 frame)
{
	if (frame < FRAME_SCRATCH || is_unmapped(vm, frame))
		return wanted_no_more(vm, frame);
	if (has_chain(vm, &vm->frames[frame]))
		while (vm->frames[frame].rmap)
			drop_link(vm, chain_member(vm, vm->frames[frame].rmap, 0));
	if (vm->cfg.wprot == WPROT_RMAP)
		break_large(vm, group_of(vm, frame));
	if (is_unmapped(vm, frame))
		return wanted_no_more(vm, frame);
	want(vm, frame, WANT_DROP);
	piece(vm);
	return is_unmapped(vm, frame) && wanted_no_more(vm, frame);
}

/* Every leaf loses its W.  The caller has seen to it that none gains one. */
bool rmap_protect_all(struct shadow_vm *vm)
{
	if (!vm->log_until)
		vm->log_until = vm->scanned + vm->cfg.pool;
	piece(vm);
	if (vm->scanned < vm->log_until)
		return false;
	vm->log_until = 0;
	return true;
}

bool rmap_pending(const struct shadow_vm *vm, spte_t leaf)
{
	u64 frame = ((leaf.v & SPTE_ADDR) >> PAGE_SHIFT) - vm->ram_base.v;

	return frame < vm->nframes && (vm->log_until || vm->frames[frame].want || vm->groups[frame / GROUP].wants);
}
