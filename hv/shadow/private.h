/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the shadow MMU: the functions; state.h has the data.  Reading order:
 * p2m.c, guestmem.c, pool.c, page.c, chain.c, rmap.c, guess.c, mode.c (compiled
 * once per pair of guest and shadow levels), unsync.c, access.c, shadow.c,
 * step.c, flush.c, remap.c, audit.c.
 *
 * No exit may take time in proportion to the pool.  What could take long is cut
 * into pieces: a function that answers "not yet" has done one, and the guest's
 * instruction runs into the same exit again, with room for an interrupt between.
 */
#ifndef SHADOW_PRIVATE_H
#define SHADOW_PRIVATE_H

#include "state.h"

static inline void work(struct shadow_vm *vm, u64 n) { vm->work += n; }

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

/* A supervisor's write to a read-only user page, possible because CR0.WP=0. */
static inline bool needs_lending(const struct walk *w, const struct shadow_access *acc)
{
	return acc->write && !acc->user && (w->access & (ACC_U | ACC_W)) == ACC_U;
}

/* p2m.c */
bool p2m_init(struct shadow_vm *vm);
struct guest_frame *p2m_gfn(struct shadow_vm *vm, gfn_t gfn); /* never NULL */
/* Index into frames[], FRAME_ONES for a hole.  Looked at is touched: what was absent is there afterwards. */
u32 p2m_frame(struct shadow_vm *vm, gfn_t gfn);
bool p2m_is_absent(const struct shadow_vm *vm, gfn_t gfn);
bool p2m_is_run(struct shadow_vm *vm, gfn_t gfn);
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
void shadow_guest_wrote(struct shadow_vm *vm, gpa_t gpa, size_t len); /* shadow_table_written(), and the guest did it */
/* Guest memory at [gpa, gpa + len), inside one page, was changed by hv on behalf of anybody. */
void shadow_table_written(struct shadow_vm *vm, gpa_t gpa, size_t len);
__attribute__((format(printf, 2, 3))) void shadow_violated(struct shadow_vm *vm, const char *fmt, ...);

/* step.c */
bool shadow_is_opened(const struct shadow_vm *vm, gfn_t gfn); /* it takes writes until the next exit */

/* audit.c */
bool audit_init(struct shadow_vm *vm);
__attribute__((format(printf, 2, 3))) unsigned audit_fail(struct shadow_vm *vm, const char *fmt, ...);

#endif
