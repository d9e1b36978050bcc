/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the shadow MMU.  Reading order: p2m.c, guestmem.c, pool.c, page.c,
 * rmap.c, mode.c (compiled once per pair of guest and shadow levels), unsync.c,
 * access.c, shadow.c, audit.c.
 *
 * A shadow page has a *role* and, with a gfn, that is all its contents depend
 * on.  Entries above level 1 grant everything; the rights of a whole path are
 * in the leaf, so a table reached under different rights has several shadows.
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
	};
	u32 v;
};

#define NO_LINK 0u /* links are page * entries + index + 1 */

struct link { /* an entry's place in its chain (page.c) */
	u32 next, prev;
};

struct shadow_page {
	union role role;
	gfn_t gfn;
	const struct shadow_mode *mode;
	u32 hash_next; /* page number + 1 */
	u32 refs; /* entries that point here */
	u32 parents; /* the chain of those entries */
	u32 present; /* entries in use */
	u32 stamp; /* == vm->stamp: part of the fault being served, not to be recycled */
	bool pinned; /* a vCPU's root */
	bool large; /* vtlb, level 2: some leaf below came from a guest large page */
};

struct frame { /* one host frame of the guest's RAM */
	u32 rmap; /* chain of the leaves that map it */
	u32 tables; /* shadows of it as a table */
	u32 gfn; /* who it is now */
	u32 unsync; /* slot + 1 among the tables out of sync */
	u32 writes, epoch; /* emulated ones, since the flush that began the epoch */
};

/* Not in the p2m, but among the frames: */
#define FRAME_ONES 0 /* what a hole reads as */
#define FRAME_SCRATCH 1 /* takes the write of a stepped-over instruction to a hole */
#define FRAME_RAM 2
#define SPARE_FRAMES 16 /* at the end: where relocation goes to, longest unused first */

#define STATS(X)                                                                                                 \
	X(hidden_faults) X(guest_faults) X(emulate_verdicts) X(table_writes) X(table_writes_stepped)             \
	X(ad_writes) X(leaf_fills) X(shadow_allocs) X(shadow_recycles) X(shadow_pages_peak) X(tables_shadowed)   \
	X(unshadowed_by_write) X(wprot_calls) X(wprot_hits) X(wprot_visited) X(flushes) X(cr3_loads) X(invlpgs)  \
	X(vtlb_drops) X(audits) X(unsyncs) X(resyncs) X(resync_changes) X(unsync_evictions) \
	X(relocations) X(chaos_evictions)

struct stats {
#define X(name) u64 name;
	STATS(X)
#undef X
};

#define OPEN_MAX 16

struct shadow_vm {
	struct shadow_config cfg;
	struct shadow_vcpu *vcpu; /* one per VM so far */

	hfn_t ram_base; /* run of nframes host frames */
	u32 nframes;
	struct frame *frames; /* by host frame - ram_base */
	u32 *p2m; /* by gfn: frame index, 0 for a hole */
	u64 max_gfn; /* exclusive */
	u32 spare[SPARE_FRAMES]; /* frames of nobody */
	u32 spare_hand;
	u64 chaos; /* generator state */

	hfn_t pool_base;
	struct shadow_page *pages; /* by host frame - pool_base */
	struct link *links; /* by link - 1 */
	u32 entries; /* per shadow page: 512, or 1024 where 2-level shadows are used */
	u32 hand; /* of the recycler */
	u32 used;
	u32 stamp;
	u64 edits; /* of shadow entries */
	u32 *hash;
	u32 hash_mask;

	/* Stepping over (shadow.c) */
	struct step {
		gva_t gva;
		struct shadow_access acc;
	} steps[OPEN_MAX]; /* what the instruction under way needs open */
	unsigned nsteps;
	bool faulted; /* since the last shadow_close() */
	gfn_t open[OPEN_MAX]; /* tables that take writes unseen */
	unsigned nopen;
	gva_t lent[OPEN_MAX]; /* leaves with more rights than the guest gives */
	unsigned nlent;
	bool hole_open; /* holes take writes, into FRAME_SCRATCH */

	gfn_t *unsync; /* tables out of sync */
	hfn_t snapshots; /* what they held when they left */
	u32 nunsync, unsync_limit, unsync_hand;
	u32 epoch; /* counts the guest's flushes of everything */

	u64 pat; /* the guest's, that all leaves were made with */
	struct stats stats;
	hfn_t blocks[12]; /* of host_alloc_run, to give back */
	u64 block_frames[12];
	unsigned nblocks;
	char why[160];
};

/* ---- spte bits: the hardware's, and three that it ignores ---- */
#define SPTE_WP0 BIT(9) /* a user page lent to the supervisor for a CR0.WP=0 write */
#define SPTE_ADDR 0x000ffffffffff000ull
#define SPTE_LINK (PTE_P | PTE_W | PTE_U | PTE_A)

/* ---- the guest walk ---- */
struct walk {
	bool ok; /* a translation exists; rights are not yet judged */
	u32 error; /* else: P or P|RSVD of the fault */
	u8 leaf_level; /* 0: unpaged */
	gpte_t gpte[6]; /* by level */
	gpa_t at[6];
	gfn_t gfn; /* the 4 KiB frame */
	u8 access; /* AND over the path */
	u8 memtype; /* host PAT index */
	bool dirty;
};

struct shadow_mode {
	u8 guest_levels, shadow_levels;
	void (*walk)(const struct shadow_vcpu *sv, gva_t gva, struct walk *w);
	bool (*permits)(const struct shadow_vcpu *sv, const struct walk *w, const struct shadow_access *acc, u32 *error);
	/* Sets A (and D for a write) along a permitted walk; false: an entry changed, walk again. */
	bool (*set_ad)(struct shadow_vcpu *sv, const struct walk *w, bool write);
	/* Builds the path to gva and its leaf. */
	void (*fill)(struct shadow_vcpu *sv, gva_t gva, const struct walk *w, bool lend);
	void (*drop)(struct shadow_vcpu *sv, gva_t gva); /* the leaf of gva, if there is one */
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
u32 p2m_frame(const struct shadow_vm *vm, gfn_t gfn); /* index into frames[]; FRAME_ONES for a hole */
static inline hfn_t frame_hfn(const struct shadow_vm *vm, u32 f) { return mk_hfn(vm->ram_base.v + f); }
bool p2m_owns(const struct shadow_vm *vm, hfn_t hfn);
void *vm_alloc(struct shadow_vm *vm, u64 bytes); /* zeroed, lives as long as the VM; NULL */
hfn_t vm_alloc_run(struct shadow_vm *vm, u64 frames);

/* guestmem.c */
void *guestmem_frame(struct shadow_vm *vm, gfn_t gfn); /* for reading; holes read as ones */
void *guestmem_frame_rw(struct shadow_vm *vm, gfn_t gfn); /* NULL for a hole */

/* pool.c: shadow pages, their hash, recycling */
bool pool_init(struct shadow_vm *vm);
struct shadow_page *pool_find(struct shadow_vm *vm, gfn_t gfn, union role role);
struct shadow_page *pool_get(struct shadow_vm *vm, gfn_t gfn, union role role, const struct shadow_mode *mode);
void pool_free(struct shadow_vm *vm, struct shadow_page *p);
void pool_free_all(struct shadow_vm *vm);
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
void page_set_leaf(struct shadow_vm *vm, struct shadow_page *p, unsigned i, spte_t e);
void page_set_child(struct shadow_vm *vm, struct shadow_page *p, unsigned i, struct shadow_page *child);
void page_clear(struct shadow_vm *vm, struct shadow_page *p, unsigned i);
void page_clear_all(struct shadow_vm *vm, struct shadow_page *p);
void page_unlink(struct shadow_vm *vm, struct shadow_page *p); /* every entry that points to p is cleared */
void page_write_protect(struct shadow_vm *vm, u32 link);
void page_owe_flush(struct shadow_vm *vm);
static inline u32 page_next_link(const struct shadow_vm *vm, u32 link) { return vm->links[link - 1].next; }
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

/* rmap.c: wprot= */
void rmap_add(struct shadow_vm *vm, u32 frame, u32 link);
void rmap_remove(struct shadow_vm *vm, u32 frame, u32 link);
void rmap_write_protect(struct shadow_vm *vm, gfn_t gfn); /* every leaf that maps gfn loses W */
void rmap_drop(struct shadow_vm *vm, u32 frame); /* every leaf that maps the frame goes */
void chain_add(struct shadow_vm *vm, u32 *head, u32 link);
void chain_remove(struct shadow_vm *vm, u32 *head, u32 link);

/* unsync.c: tables that the guest may write unseen until it flushes */
bool unsync_init(struct shadow_vm *vm);
bool unsync_try(struct shadow_vm *vm, gfn_t gfn); /* a write to a table: true, it is out of sync now */
void unsync_note_followed(struct shadow_vm *vm, gpa_t gpa, size_t len);
void unsync_follow(struct shadow_vm *vm, gpa_t gpa, size_t len);
void unsync_note_write(struct shadow_vm *vm, gfn_t gfn);
void unsync_resync(struct shadow_vm *vm, gfn_t gfn);
void unsync_resync_all(struct shadow_vm *vm); /* and a new epoch */
void unsync_linked(struct shadow_vm *vm, const struct shadow_page *child);
void unsync_forget(struct shadow_vm *vm, gfn_t gfn);
static inline bool unsync_is(const struct shadow_vm *vm, gfn_t gfn) { return vm->frames[p2m_frame(vm, gfn)].unsync; }

/* shadow.c */
bool shadow_is_table(const struct shadow_vm *vm, gfn_t gfn); /* in sync: writes must be seen */
void shadow_guest_wrote(struct shadow_vm *vm, gpa_t gpa, size_t len); /* shadow_table_written(), and the guest did it */
/* Guest memory at [gpa, gpa + len), inside one page, was changed by hv on behalf of anybody. */
void shadow_table_written(struct shadow_vm *vm, gpa_t gpa, size_t len);

/* audit.c */
__attribute__((format(printf, 2, 3))) unsigned audit_fail(struct shadow_vm *vm, const char *fmt, ...);

#endif
