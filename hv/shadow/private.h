/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the shadow MMU.  Reading order: p2m.c, guestmem.c, pool.c, page.c,
 * chain.c, rmap.c, guess.c, mode.c (compiled once per pair of guest and shadow
 * levels), unsync.c, access.c, shadow.c, flush.c, remap.c, audit.c.
 *
 * A shadow page has a *role* and, with a gfn, that is all its contents depend
 * on.  Entries above level 1 grant everything; the rights of a whole path are
 * in the leaf, so a table reached under different rights has several shadows.
 *
 * No exit may take time in proportion to the pool.  What could take long is cut
 * into pieces: a function that answers "not yet" has done one, and the guest's
 * instruction runs into the same exit again, with room for an interrupt between.
 */
#ifndef SHADOW_PRIVATE_H
#define SHADOW_PRIVATE_H

#include "shadow.h"

#define ACC_W 1u
#define ACC_U 2u
#define ACC_X 4u
#define ACC_ALL 7u

/* Control bits that change what a guest entry means to a leaf. */
#define CTL_WP 1u
#define CTL_NXE 2u
#define CTL_PSE 4u
#define CTL_SMEP 8u
#define CTL_SMAP 16u

enum page_kind {
	PAGE_FREE,
	PAGE_TABLE, /* shadows the guest table at gfn (one quadrant of it), in sync */
	PAGE_SPLINTER, /* a piece of a guest large page (or of the unpaged space): entry i maps gfn + i */
	PAGE_VTLB, /* filled leaf by leaf, tied to no guest table; one parent, not in the hash */
	PAGE_ROOT, /* a PAE root: four entries made from registers */
	PAGE_ZOMBIE, /* was PAGE_VTLB: nothing points to it, it waits to be used again */
};

union role {
	struct {
		u32 kind : 3;
		u32 level : 3; /* of the shadow */
		u32 quadrant : 2; /* which part of a 1024-entry guest table */
		u32 access : 3; /* AND of all entries above */
		u32 ctl : 5;
		u32 memtype : 3; /* splinters: host PAT index */
		u32 dirty : 1; /* splinters: D of the large entry */
		u32 guest_levels : 3; /* two formats may share a frame */
		u32 shadow_levels : 3;
		u32 pat : 3; /* slot of the guest's PAT, see pool.c */
	};
	u32 v;
};

#define NO_LINK 0u /* an entry has the number page * entries + index + 1 */

/*
 * A chain of entries: none, one (its number), or knots of several.  Only the
 * first knot may have room left.
 */
#define KNOT BIT(31)
#define KNOT_LINKS 6u
#define CHAIN_MAX 512u /* more, and one of them is dropped: it comes back by a fault */

struct knot {
	u32 link[KNOT_LINKS];
	u32 next; /* knot number + 1 */
	u16 used;
	u16 total; /* in this knot and all that follow */
};

struct shadow_page {
	union role role;
	gfn_t gfn;
	const struct shadow_mode *mode;
	u32 hash_next; /* page number + 1 */
	u32 refs; /* entries that point here */
	u32 parents; /* the chain of those entries; in a free page or a zombie the next one's number + 1 */
	u32 present; /* entries in use */
	u32 stamp; /* == vm->stamp: part of the fault being served, not to be recycled */
	bool pinned; /* a vCPU's root */
	bool large; /* vtlb, level 2: some leaf below came from a guest large page */
	bool noted; /* some absent entry holds a note for the fast path */
};

struct guest_frame { /* what is known of a gfn */
	u32 frame; /* index into frames[] */
	u32 tables; /* shadows of it as a table */
	u32 unsync; /* slot + 1 among the tables out of sync */
	u32 writes, epoch; /* emulated ones, since the flush that began the epoch */
	s8 bursts; /* adaptive: > 0 it was worth letting it go out of sync, < 0 it was not */
	bool rom;
	u32 dirty; /* == vm->log_epoch: written since it was read last */
};

struct frame { /* one host frame of the guest's RAM */
	u32 rmap; /* chain of the leaves that map it; wprot=scan: how many */
	u32 writable; /* how many of them are */
	u32 gfn; /* one that it stands behind: for the guesses */
	u16 sharers; /* gfns that it stands behind */
	u8 want; /* what a scan under way does to each leaf that maps it */
};

#define POISON 0xdb /* what a frame holds that is nobody's */

#define WANT_PROTECT 1
#define WANT_DROP 2

struct group { /* GROUP frames that a large leaf may map */
	u32 rmap, writable; /* of large leaves, as in struct frame */
	u32 wants; /* frames in it with a want */
};
#define GROUP 512u

/* Frames of nobody: */
#define FRAME_ONES 0u /* what a hole reads as */
#define FRAME_ABSENT 1u /* not a frame: p2m=sparse, not touched yet */
#define FRAME_SCRATCH 2u /* OPEN_MAX of them take the write of a stepped-over instruction to a hole or ROM */
#define FRAME_FREE (FRAME_SCRATCH + OPEN_MAX) /* from here to FRAME_RAM: spare */
#define FRAME_RAM GROUP /* + gfn, when the p2m is flat */

#define STATS(X)                                                                                                 \
	X(hidden_faults) X(guest_faults) X(fast_faults) X(again) X(emulate_verdicts) X(table_writes)             \
	X(table_writes_stepped) X(batch_writes) X(ad_writes) X(leaf_fills) X(large_fills) X(large_breaks)        \
	X(prefetches) X(prefetches_unused) X(shadow_allocs) X(shadow_recycles) X(shadow_pages_peak)              \
	X(tables_shadowed) X(unshadowed_by_write) X(wprot_calls) X(wprot_hits) X(wprot_visited) X(scans)         \
	X(guess_last_hit) X(guess_last_miss) X(guess_linear_hit) X(guess_linear_miss) X(guess_selfmap_fixed_hit) \
	X(guess_selfmap_fixed_miss) X(guess_selfmap_learned_hit) X(guess_selfmap_learned_miss)                   \
	X(guess_parent_hit) X(guess_parent_miss) X(rmap_mapped) X(rmap_mapped_peak) X(rmap_knots)                \
	X(rmap_knots_peak) X(rmap_bytes_peak) X(rmap_dropped) X(work_exit_max) X(flushes) X(flushes_one)         \
	X(cr3_loads) X(invlpgs) X(vtlb_drops) X(audits) X(unsyncs) X(resyncs) X(resync_changes)                  \
	X(unsync_evictions) X(relocations) X(populated) X(shares) X(unshares) X(dirty_marks) X(policy_switches)  \
	X(chaos_evictions)

#define OPEN_MAX 16

struct stats {
#define X(name) u64 name;
	STATS(X)
#undef X
};

struct want { /* a frame that a scan has yet to finish with */
	u32 frame;
	u64 until; /* done when vm->scanned gets there */
};
#define WANTS_MAX 16

struct tag { /* an address-space tag of the TLB */
	u64 root; /* that it stands for, 0: none */
};

struct shadow_vm {
	struct shadow_config cfg;
	struct shadow_vcpu *vcpu; /* one per VM so far */

	hfn_t ram_base; /* run of nframes host frames, aligned to GROUP */
	u32 nframes;
	struct frame *frames; /* by host frame - ram_base */
	struct group *groups; /* by frame / GROUP */
	struct guest_frame *gfns; /* by gfn */
	struct guest_frame nowhere; /* any gfn outside */
	u64 max_gfn; /* exclusive */
	u32 *spare; /* ring of the frames of nobody, longest unused first */
	u32 spare_first, nspare;
	u64 chaos; /* generator state */
	bool log_dirty, guest_logs; /* it is on; the guest has used it */
	u32 log_epoch; /* counts the times that it went on */

	hfn_t pool_base;
	struct shadow_page *pages; /* by host frame - pool_base */
	struct knot *knots;
	u32 nknots, free_knot, victim;
	u32 entries; /* per shadow page: 512, or 1024 where 2-level shadows are used */
	u32 hand; /* of the recycler */
	u32 used;
	u32 free, zombies; /* lists through ->parents */
	u32 stamp;
	u64 edits; /* of shadow entries */
	u32 *hash;
	u32 hash_mask;

	u64 scanned; /* pages, ever */
	unsigned pieces; /* of scans, at this exit */
	struct want wants[WANTS_MAX];
	unsigned nwants;
	u64 log_until; /* turning log-dirty on: done when vm->scanned gets there */
	gva_t fault_gva; /* being served */

	/* wprot=scan: where the guesses look */
	struct {
		u32 frame, link;
	} last_writable[64];
	u64 linear, linear_votes; /* gva - gpa of most writable mappings of the supervisor */
	u64 selfmap; /* base of the map that the root makes of itself, as seen last */

	/* Stepping over (shadow.c) */
	struct step {
		gva_t gva;
		struct shadow_access acc;
	} steps[OPEN_MAX]; /* what the instruction under way needs open */
	unsigned nsteps;
	bool faulted; /* since the last shadow_close() */
	gfn_t open[OPEN_MAX]; /* tables that take writes unseen */
	unsigned nopen;
	gfn_t scratch[OPEN_MAX]; /* holes and ROM that take writes into a scratch frame */
	unsigned nscratch;
	gva_t lent[OPEN_MAX + 1]; /* leaves with more rights than they may keep */
	unsigned nlent;
	gva_t trap; /* of the last shadow_trap_fetch() */
	bool trap_needed; /* the delivery itself reads in that page */

	gfn_t *unsync; /* tables out of sync */
	hfn_t snapshots; /* what they held when they left */
	u32 nunsync, unsync_limit, unsync_hand;
	u32 epoch; /* counts the guest's flushes of everything */
	u32 patience; /* adaptive: writes that a table of no history takes in an epoch before it may leave */

	u64 pats[8]; /* by role.pat */
	u32 pat_pages[8], pat_slot, pat_hand;

	/* flush.c */
	struct tag tags[SHADOW_TAGS_MAX];
	unsigned tag_hand;
	bool scoped; /* what is lost now is lost at scope alone */
	gva_t scope;
	u32 owed_all, owed_one; /* rights lost and not yet flushed: the oracle's own count */
	gva_t owed_gva;

	u64 work, work_begun; /* entries visited: guest's, shadow's, of chains */
	struct stats stats;
	hfn_t blocks[16]; /* of host_alloc_run, to give back */
	u64 block_frames[16];
	unsigned nblocks;
	char why[160]; /* of the audit */
	struct recount {
		u32 mapped, writable;
	} *recount; /* the audit's, by frame and then by group */
	char violation[160]; /* seen in passing: see shadow_violation() */
};

static inline void work(struct shadow_vm *vm, u64 n) { vm->work += n; }

/* ---- spte bits: the hardware's, and some that it ignores ---- */
#define SPTE_WP0 BIT(9) /* a user page lent to the supervisor for a CR0.WP=0 write */
#define SPTE_GW BIT(11) /* fastpath: the guest's path allows writes, whatever W says */
/* An entry that is not present may be a note of what the guest has there (fastpath), with W, U, NX as in a leaf. */
#define SPTE_NOTE BIT(10)
#define SPTE_NOTE_P BIT(11) /* present there */
#define SPTE_ADDR 0x000ffffffffff000ull
#define SPTE_LINK (PTE_P | PTE_W | PTE_U | PTE_A)

/* ---- the guest walk ---- */
struct walk {
	bool ok; /* a translation exists; rights are not yet judged */
	u32 error; /* else: P or P|RSVD of the fault */
	u8 leaf_level; /* 0: unpaged, or no translation */
	u8 stopped; /* the level of the last entry read */
	gpte_t gpte[6]; /* by level */
	gpa_t at[6];
	gfn_t gfn; /* the 4 KiB frame */
	u8 access; /* AND over the path */
	u8 memtype; /* host PAT index */
	bool dirty;
};

#define FILL_LEND 1u /* to the supervisor, what CR0.WP=0 lets it write */
#define FILL_OPEN 2u /* writable though it is a table, a hole or ROM: for one instruction */

struct shadow_mode {
	u8 guest_levels, shadow_levels;
	void (*walk)(const struct shadow_vcpu *sv, gva_t gva, struct walk *w);
	bool (*permits)(const struct shadow_vcpu *sv, const struct walk *w, const struct shadow_access *acc, u32 *error);
	/* Sets A (and D for a write) along a permitted walk; false: an entry changed, walk again. */
	bool (*set_ad)(struct shadow_vcpu *sv, const struct walk *w, bool write);
	/* Builds the path to gva and its leaf; false: not yet. */
	bool (*fill)(struct shadow_vcpu *sv, gva_t gva, const struct walk *w, unsigned how);
	/* fastpath: true if the shadow alone tells that this access is the guest's own fault. */
	bool (*fast)(struct shadow_vcpu *sv, gva_t gva, const struct shadow_access *acc, u32 *error);
	void (*note)(struct shadow_vcpu *sv, gva_t gva, const struct walk *w); /* for the next time */
	struct shadow_page *(*leaf_at)(struct shadow_vcpu *sv, gva_t gva, unsigned *i); /* NULL: none */
	void (*invlpg)(struct shadow_vcpu *sv, gva_t gva); /* the shadow of gva is fresh afterwards */
	void (*set_root)(struct shadow_vcpu *sv);
	/* Bytes [first, last] of the guest table behind this in-sync page changed. */
	void (*sync)(struct shadow_vcpu *sv, struct shadow_page *p, unsigned first, unsigned last);
	unsigned (*audit_page)(struct shadow_vcpu *sv, struct shadow_page *p);
	unsigned (*audit_root)(struct shadow_vcpu *sv);
};

extern const struct shadow_mode shadow_g0_on_s3, shadow_g2_on_s2, shadow_g2_on_s3, shadow_g3_on_s3, shadow_g4_on_s4,
	shadow_g5_on_s5;

unsigned ctl_of(const struct shadow_paging *p);
/* CR0.WP=0: may a read-only user page become the supervisor's, until a user's fault takes it back? */
static inline bool may_lend(unsigned access, unsigned ctl, unsigned shadow_levels)
{
	return (access & (ACC_U | ACC_W)) == ACC_U && !(ctl & (CTL_WP | CTL_SMAP)) &&
	       !(shadow_levels == 2 && ctl & CTL_SMEP); /* no NX to stop the fetch */
}

/* p2m.c */
bool p2m_init(struct shadow_vm *vm);
struct guest_frame *p2m_gfn(struct shadow_vm *vm, gfn_t gfn); /* never NULL */
/* Index into frames[], FRAME_ONES for a hole.  Looked at is touched: what was absent is there afterwards. */
u32 p2m_frame(struct shadow_vm *vm, gfn_t gfn);
bool p2m_is_absent(const struct shadow_vm *vm, gfn_t gfn);
bool p2m_is_whole(struct shadow_vm *vm, gfn_t gfn);
bool p2m_may_write(const struct shadow_vm *vm, const struct guest_frame *g);
void p2m_before_write(struct shadow_vm *vm, gfn_t gfn);
bool p2m_move(struct shadow_vm *vm, gfn_t gfn);
void p2m_share(struct shadow_vm *vm, struct guest_frame *a, struct guest_frame *b);
void p2m_give_back(struct shadow_vm *vm, u32 frame);
static inline hfn_t frame_hfn(const struct shadow_vm *vm, u32 f) { return mk_hfn(vm->ram_base.v + f); }
bool p2m_owns(const struct shadow_vm *vm, hfn_t hfn);
void *vm_alloc(struct shadow_vm *vm, u64 bytes); /* zeroed, lives as long as the VM; NULL */
hfn_t vm_alloc_run(struct shadow_vm *vm, u64 frames);

/* guestmem.c */
void *guestmem_frame(struct shadow_vm *vm, gfn_t gfn); /* for reading; holes read as ones */
void *guestmem_frame_rw(struct shadow_vm *vm, gfn_t gfn); /* NULL for a hole or ROM; counts as a write */

/* pool.c: shadow pages, their hash, recycling */
bool pool_init(struct shadow_vm *vm);
struct shadow_page *pool_find(struct shadow_vm *vm, gfn_t gfn, union role role);
struct shadow_page *pool_get(struct shadow_vm *vm, gfn_t gfn, union role role, const struct shadow_mode *mode);
void pool_free(struct shadow_vm *vm, struct shadow_page *p);
void pool_bury(struct shadow_vm *vm, struct shadow_page *p);
bool pool_ready(struct shadow_vm *vm, const struct shadow_page *p);
bool pool_pat_slot(struct shadow_vm *vm, u64 pat);
/* The next page in use from number *i on, NULL at the end. */
struct shadow_page *pool_iterate(struct shadow_vm *vm, u32 *i);
/* The table shadows of one gfn, one after the other: start with NULL. */
struct shadow_page *pool_next_table(struct shadow_vm *vm, gfn_t gfn, struct shadow_page *prev);
static inline u32 pool_number(const struct shadow_vm *vm, const struct shadow_page *p) { return p - vm->pages; }
static inline hfn_t pool_hfn(const struct shadow_vm *vm, const struct shadow_page *p)
{
	return mk_hfn(vm->pool_base.v + pool_number(vm, p));
}

/* page.c: entries and the links between pages */
spte_t page_read(const struct shadow_vm *vm, const struct shadow_page *p, unsigned i);
struct shadow_page *page_child(const struct shadow_vm *vm, spte_t e);
u32 page_leaf_frame(const struct shadow_vm *vm, spte_t e);
bool page_leaf_is_ram(const struct shadow_vm *vm, spte_t e); /* not a device's */
void page_set_leaf(struct shadow_vm *vm, struct shadow_page *p, unsigned i, spte_t e);
void page_set_child(struct shadow_vm *vm, struct shadow_page *p, unsigned i, struct shadow_page *child);
void page_set_note(struct shadow_vm *vm, struct shadow_page *p, unsigned i, spte_t note);
void page_clear(struct shadow_vm *vm, struct shadow_page *p, unsigned i);
void page_clear_all(struct shadow_vm *vm, struct shadow_page *p);
void page_unlink(struct shadow_vm *vm, struct shadow_page *p); /* every entry that points to p is cleared */
void page_write_protect(struct shadow_vm *vm, u32 link);
void page_forbid_fetch(struct shadow_vm *vm, struct shadow_page *p, unsigned i);
static inline u32 page_link(const struct shadow_vm *vm, const struct shadow_page *p, unsigned i)
{
	return pool_number(vm, p) * vm->entries + i + 1;
}
static inline struct shadow_page *page_of_link(const struct shadow_vm *vm, u32 link)
{
	return &vm->pages[(link - 1) / vm->entries];
}
static inline unsigned page_index_of_link(const struct shadow_vm *vm, u32 link) { return (link - 1) % vm->entries; }
static inline unsigned page_entries(const struct shadow_page *p)
{
	return p->role.kind == PAGE_ROOT ? 4 : p->role.shadow_levels == 2 ? 1024 : 512;
}
static inline bool page_is_large(const struct shadow_page *p, spte_t e)
{
	return p->role.level == 2 && (e.v & (PTE_P | PTE_PS)) == (PTE_P | PTE_PS);
}
static inline bool page_is_leaf(const struct shadow_page *p, spte_t e)
{
	return e.v & PTE_P && (p->role.level == 1 || page_is_large(p, e));
}

/* chain.c */
bool chain_init(struct shadow_vm *vm);
void chain_add(struct shadow_vm *vm, u32 *head, u32 link);
void chain_remove(struct shadow_vm *vm, u32 *head, u32 link);
u32 chain_length(const struct shadow_vm *vm, u32 head);
u32 chain_member(struct shadow_vm *vm, u32 head, u32 n);
void chain_each(struct shadow_vm *vm, u32 head, void (*visit)(struct shadow_vm *vm, u32 link));

/* rmap.c: wprot= */
void rmap_add(struct shadow_vm *vm, u32 frame, bool large, u32 link);
void rmap_remove(struct shadow_vm *vm, u32 frame, bool large, u32 link);
void rmap_count_writable(struct shadow_vm *vm, u32 frame, bool large, u32 link, int change);
bool rmap_is_protected(struct shadow_vm *vm, u32 frame); /* no leaf of it is writable */
/* These three: true, done; false, not yet: ask again at a later exit. */
bool rmap_protect(struct shadow_vm *vm, u32 frame); /* every leaf that maps the frame loses W */
bool rmap_drop(struct shadow_vm *vm, u32 frame); /* every leaf that maps the frame goes */
bool rmap_protect_all(struct shadow_vm *vm);
bool rmap_pending(const struct shadow_vm *vm, spte_t leaf); /* one of them has yet to get to this leaf */

/* guess.c */
void guess_note_writable(struct shadow_vm *vm, u32 frame, u32 link);
void guess_note_linear(struct shadow_vm *vm, gva_t gva, gpa_t gpa);
bool guess_protect(struct shadow_vm *vm, u32 frame); /* true: no writable leaf is left */

/* flush.c */
void page_owe_flush(struct shadow_vm *vm);
void flush_note_loss(struct shadow_vm *vm);
void flush_root(struct shadow_vcpu *sv, bool mode);
void flush_spurious(struct shadow_vcpu *sv, gva_t gva);

/* unsync.c: tables that the guest may write unseen until it flushes */
bool unsync_init(struct shadow_vm *vm);
bool unsync_try(struct shadow_vm *vm, gfn_t gfn); /* a write to a table: true, it is out of sync now */
void unsync_note_followed(struct shadow_vm *vm, gpa_t gpa, size_t len);
void unsync_follow(struct shadow_vm *vm, gpa_t gpa, size_t len);
void unsync_note_write(struct shadow_vm *vm, gfn_t gfn);
void unsync_resync(struct shadow_vm *vm, gfn_t gfn);
bool unsync_trim(struct shadow_vm *vm); /* false: not yet few enough for one unsync_resync_all() */
void unsync_resync_all(struct shadow_vm *vm);
bool unsync_linked(struct shadow_vm *vm, const struct shadow_page *child); /* false: not yet */
void unsync_forget(struct shadow_vm *vm, gfn_t gfn);
static inline bool unsync_is(struct shadow_vm *vm, gfn_t gfn) { return p2m_gfn(vm, gfn)->unsync; }

/* remap.c */
enum shadow_done remap_log_dirty(struct shadow_vm *vm, bool on);

/* shadow.c */
bool shadow_is_table(struct shadow_vm *vm, gfn_t gfn); /* in sync: writes must be seen */
/* Are its entries kept equal to the guest's?  An upper-level page whose table is still writable is empty. */
bool shadow_is_followed(struct shadow_vm *vm, const struct shadow_page *p);
bool shadow_is_opened(const struct shadow_vm *vm, gfn_t gfn); /* it takes writes until the next exit */
void shadow_guest_wrote(struct shadow_vm *vm, gpa_t gpa, size_t len); /* shadow_table_written(), and the guest did it */
/* Guest memory at [gpa, gpa + len), inside one page, was changed by hv on behalf of anybody. */
void shadow_table_written(struct shadow_vm *vm, gpa_t gpa, size_t len);
__attribute__((format(printf, 2, 3))) void shadow_violated(struct shadow_vm *vm, const char *fmt, ...);

/* audit.c */
bool audit_init(struct shadow_vm *vm);
__attribute__((format(printf, 2, 3))) unsigned audit_fail(struct shadow_vm *vm, const char *fmt, ...);

#endif
