/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The door of the shadow MMU.  Everything outside hv/shadow/ sees guest paging
 * through this file alone; hv/shadow/ sees the outside through host.h alone.
 *
 * The caller (cr.c) owns the guest's view of the control registers, copies it
 * into `paging` and says what changed; the shadow MMU answers with the root and
 * the control bits that the hardware must run on.
 */
#ifndef SHADOW_SHADOW_H
#define SHADOW_SHADOW_H

#include "../host.h"
#include "../x86.h"

struct shadow_vm; /* one guest: p2m, pool, hash, reverse map */

/* ---- configuration ---------------------------------------------------- */

enum shadow_policy { POLICY_VTLB, POLICY_EMULATE, POLICY_OOS, POLICY_ADAPTIVE };
enum shadow_wprot { WPROT_RMAP, WPROT_SCAN };
enum shadow_large { LARGE_SPLINTER, LARGE_DIRECT, LARGE_MIXED };
enum p2m_layout { P2M_FLAT, P2M_SCATTER, P2M_CHUNKS, P2M_SPARSE };

/*
 * What the host's IA32_PAT must hold: WB WT UC- UC WP WC UC- UC.  The guest's
 * memory types are translated to these; its own PAT never reaches the hardware.
 */
#define SHADOW_HOST_PAT 0x0007010500070406ull

#define SHADOW_POOL_MIN 64 /* frames; see pool.c for the sum */

struct shadow_config {
	enum shadow_policy policy;
	enum shadow_wprot wprot;
	enum p2m_layout p2m;
	u32 pool; /* shadow pages, >= SHADOW_POOL_MIN */
	enum shadow_large large;
	bool fastpath;
	bool mmio; /* where there is no RAM, the machine's devices */
	u32 prefetch; /* neighbours filled along with a leaf */
	u32 oos; /* tables that may be out of sync at once */
	u32 tags; /* address-space tags of the TLB that the back end offers, 0 or 1: none */
	u32 audit; /* 0, 1, 2 */
	bool g2_on_s2; /* 2-level shadows for 2-level guests */
	u64 ram_frames; /* guest RAM from gfn 0, less the hole below */
	gfn_t hole_start, hole_end; /* no RAM in [start, end) */
	u64 seed; /* of the scatter */
	u64 chaos; /* seed of shadow_chaos(), 0: none */
	u8 maxphyaddr; /* what CPUID tells the guest, <= the processor's */
	bool page1g; /* guest may use 1 GiB pages */
	bool pse36; /* guest may use PSE-36 */
	bool la57; /* guest may use 5-level paging */
};

/* NULL when memory does not suffice: *why then says what was wanted. */
struct shadow_vm *shadow_vm_create(const struct shadow_config *cfg, const char **why);
void shadow_vm_destroy(struct shadow_vm *vm);

/* ---- guest physical memory (p2m.c, guestmem.c) ------------------------- */

enum p2m_kind { P2M_RAM, P2M_ROM, P2M_HOLE, P2M_MMIO };

struct p2m_entry {
	hfn_t hfn; /* for a hole: a frame of ones that nobody writes */
	enum p2m_kind kind;
};

struct p2m_entry p2m_lookup(struct shadow_vm *vm, gfn_t gfn);

/* Holes read as ones, they and ROM swallow writes; devices are holes here.  Any length, any alignment. */
void guestmem_read(struct shadow_vm *vm, gpa_t gpa, void *buf, size_t len);
/* As a device or a loader would write: shadows of tables in the way follow. */
void guestmem_write(struct shadow_vm *vm, gpa_t gpa, const void *buf, size_t len);

/* ---- one virtual processor's paging ------------------------------------ */

struct shadow_paging { /* the guest's own values */
	u64 cr0, cr3, cr4, efer, pat;
	u64 pdpte[4]; /* I12: registers, valid while PAE paging is on */
};

struct shadow_stats;
struct shadow_mode;

enum shadow_flush {
	SHADOW_FLUSH_NONE,
	SHADOW_FLUSH_ONE, /* the translations of flush_gva under the current tag */
	SHADOW_FLUSH_ALL, /* all under the current tag */
};

#define SHADOW_TAGS_MAX 8u

struct shadow_vcpu {
	struct shadow_vm *vm;
	struct shadow_paging paging; /* written by cr.c before shadow_update() */

	/* What the hardware must run on; valid after shadow_update(). */
	hpa_t root; /* CR3 */
	u64 hw_cr4; /* PAE, PSE, SMEP, SMAP, LA57 as the shadow needs them; no other bits */
	bool hw_long; /* EFER.LMA */
	enum shadow_flush flush; /* owed before the next VM entry; cleared by the caller */
	gva_t flush_gva;
	unsigned tag; /* < cfg.tags: the address-space tag to run under */

	/* The rest belongs to hv/shadow/. */
	const struct shadow_mode *mode;
	struct shadow_page *root_page;
};

void shadow_vcpu_init(struct shadow_vcpu *sv, struct shadow_vm *vm);

enum shadow_change {
	SHADOW_CR3, /* MOV to CR3 (same value too): non-global translations go */
	SHADOW_MODE, /* CR0.PG/WP, CR4, EFER, PAT, reset: everything goes */
};

/* Reads and checks the four PDPTEs at `cr3` (SDM vol. 3, 4.4.1); false: #GP, nothing changed. */
bool shadow_read_pdptes(struct shadow_vcpu *sv, u64 cr3, u64 pdpte[4]);
/*
 * To be called before an instruction that may flush is carried out.  False: there
 * is more to resynchronise than one exit should do; a piece of it is done, let the
 * guest run into the same exit again.
 */
bool shadow_prepare_flush(struct shadow_vcpu *sv);
bool shadow_prepare_pat(struct shadow_vcpu *sv, u64 pat); /* likewise, before the PAT changes */
/* After any change of sv->paging. */
void shadow_update(struct shadow_vcpu *sv, enum shadow_change what);
/* INVLPG retired for this address; the caller has dropped non-canonical ones. */
void shadow_invlpg(struct shadow_vcpu *sv, gva_t gva);

/* ---- accesses ----------------------------------------------------------- */

struct shadow_access {
	bool write, fetch;
	bool user; /* CPL 3 and not implicit */
	bool implicit; /* descriptor table, TSS, event delivery: supervisor, EFLAGS.AC ignored */
	bool ac; /* EFLAGS.AC */
	bool wide; /* by 64-bit code: does not go on at 0 behind 4 GiB */
};

struct shadow_fault { /* a guest #PF: what to inject */
	gva_t gva;
	u32 error;
};

enum shadow_action {
	SHADOW_RETRY, /* hidden fault, repaired: run on */
	SHADOW_AGAIN, /* hidden fault, a piece of the repair is done: run on, and come again */
	SHADOW_INJECT, /* the guest's own fault: inject #PF with `error` and CR2 = gva */
	SHADOW_EMULATE, /* allowed by the guest, not possible in place: a write to a table, to a hole,
			   or past CR0.WP=0.  Decode and perform, or shadow_step_over(). */
};

struct shadow_verdict {
	enum shadow_action action;
	u32 error; /* SHADOW_INJECT */
	gpa_t gpa; /* SHADOW_EMULATE */
};

/* A #PF exit.  `acc` is what the guest did; hw_error is the processor's error code. */
struct shadow_verdict shadow_page_fault(struct shadow_vcpu *sv, gva_t gva, const struct shadow_access *acc,
					u32 hw_error);

/*
 * After SHADOW_EMULATE for an instruction (or event delivery) that is not
 * decoded: opens the way for it.  What was opened is closed and resynchronised
 * by shadow_close(), to be called first thing at every exit.  Returns true if
 * the caller must single-step (a right was granted that must not outlive one
 * instruction), false if it may run on until any next exit.
 */
bool shadow_step_over(struct shadow_vcpu *sv, gva_t gva, const struct shadow_access *acc);
void shadow_close(struct shadow_vcpu *sv);
/* After shadow_step_over() for an event delivery: the next fetch at gva exits.  False: not with these tables. */
bool shadow_trap_fetch(struct shadow_vcpu *sv, gva_t gva);
bool shadow_is_open(const struct shadow_vcpu *sv);

/*
 * Emulated accesses by guest linear address, at most 4096 bytes, of any
 * alignment, across pages: all pages are checked before anything is done.
 * False: *fault is the guest's fault and nothing was changed.
 */
bool shadow_read(struct shadow_vcpu *sv, gva_t gva, void *buf, size_t len, const struct shadow_access *acc,
		 struct shadow_fault *fault);
bool shadow_write(struct shadow_vcpu *sv, gva_t gva, const void *buf, size_t len, const struct shadow_access *acc,
		  struct shadow_fault *fault);
/*
 * Compare-exchange of 1, 2, 4, 8 or 16 bytes, atomic when it lies in one page
 * and is naturally aligned.  *swapped tells; if not, `old` is updated with what was there.
 * The write access is checked (and D set) whether it swaps or not, as the processor does.
 */
bool shadow_cmpxchg(struct shadow_vcpu *sv, gva_t gva, void *old, const void *new_val, size_t len, bool *swapped,
		    const struct shadow_access *acc, struct shadow_fault *fault);
/* The translation alone: neither A nor D is touched. */
bool shadow_probe(struct shadow_vcpu *sv, gva_t gva, const struct shadow_access *acc, gpa_t *gpa,
		  struct shadow_fault *fault);

/* ---- flushes: the oracle of I10 -------------------------------------------- */

/* The back end has ordered this flush for the coming entry. */
void shadow_flushed(struct shadow_vcpu *sv, enum shadow_flush what);
/* Right before VM entry: true, a translation may be used that the shadow has taken back. */
bool shadow_flush_missing(struct shadow_vcpu *sv);

/* ---- what a hypervisor may do to a running guest ---------------------------- */

enum shadow_done {
	SHADOW_REFUSED, /* a hole, or not what is asked for */
	SHADOW_DONE,
	SHADOW_MORE, /* a piece of it is done: ask again at a later exit */
};

enum shadow_done shadow_relocate(struct shadow_vcpu *sv, gfn_t gfn); /* to another host frame */
enum shadow_done shadow_log_dirty(struct shadow_vcpu *sv, bool on);
/* *bits: gfn + i was written since it was clean, i < 16; they are clean again. */
enum shadow_done shadow_log_read(struct shadow_vcpu *sv, gfn_t gfn, u32 *bits);
enum shadow_done shadow_set_rom(struct shadow_vcpu *sv, gfn_t gfn, bool rom);
enum shadow_done shadow_share(struct shadow_vcpu *sv, gfn_t a, gfn_t b); /* of equal contents */
/* One entry of a page table written by hypercall, followed like any write; false: not in RAM. */
bool shadow_batch_write(struct shadow_vcpu *sv, gpa_t table, u64 index, u64 value);
u32 shadow_frame_info(struct shadow_vcpu *sv, gfn_t gfn); /* SHADOW_FRAME_* */
#define SHADOW_FRAME_PRESENT 1u
#define SHADOW_FRAME_SHARED 2u
#define SHADOW_FRAME_ROM 4u
#define SHADOW_FRAME_TABLE 8u
/* chaos=SEED: now and then something of the kind.  To be called after each exit. */
void shadow_chaos(struct shadow_vcpu *sv);

/* ---- audit and counters -------------------------------------------------- */

/* First thing at every exit: closes what was opened for one instruction, begins to count the exit's work. */
void shadow_begin_exit(struct shadow_vcpu *sv);
void shadow_end_exit(struct shadow_vcpu *sv);
/* What the fast path's replay found wrong, once; NULL: nothing. */
const char *shadow_violation(struct shadow_vcpu *sv);
/* Checks I1-I6, I8, I9; returns the number of violations, *why names the first. */
unsigned shadow_audit(struct shadow_vcpu *sv, const char **why);

/* Calls f(ctx, name, value) for each counter. */
void shadow_stats(const struct shadow_vm *vm, void (*f)(void *ctx, const char *name, u64 value), void *ctx);

#endif
