/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the shadow MMU remembers: its pages, what it knows of each frame, and all
 * else of one guest.
 *
 * A shadow page has a *role* and, with a gfn, that is all its contents depend
 * on.  Entries above level 1 grant everything; the rights of a whole path are
 * in the leaf, so a table reached under different rights has several shadows.
 */
#ifndef SHADOW_STATE_H
#define SHADOW_STATE_H

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
	struct spurious { /* the last fault that called for nothing but a flush */
		u64 gva, root, edits;
	} spurious;

	/* wprot=scan: where the guesses look */
	struct {
		u32 frame, link;
	} last_writable[64];
	u64 linear, linear_votes; /* gva - gpa of most writable mappings of the supervisor */
	u64 selfmap; /* base of the map that the root makes of itself, as seen last */

	/* Stepping over (step.c) */
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

/* ---- spte bits: the hardware's, and some that it ignores ---- */
#define SPTE_WP0 BIT(9) /* a user page lent to the supervisor for a CR0.WP=0 write */
#define SPTE_GW BIT(11) /* fastpath: the guest's path allows writes, whatever W says */
/* An entry that is not present may be a note of what the guest has there (fastpath), with W, U, NX as in a leaf. */
#define SPTE_NOTE BIT(10)
#define SPTE_NOTE_P BIT(11) /* present there */
#define SPTE_ADDR 0x000ffffffffff000ull
#define SPTE_LINK (PTE_P | PTE_W | PTE_U | PTE_A)

#endif
