/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The door: a VM made and unmade, changes of the guest's control registers,
 * and page faults.
 */
#include "private.h"

struct shadow_vm *shadow_vm_create(const struct shadow_config *cfg, const char **why)
{
	u64 frames = (sizeof(struct shadow_vm) + PAGE_SIZE - 1) / PAGE_SIZE;
	hfn_t self = host_alloc_run(frames);
	struct shadow_vm *vm;

	*why = "not enough memory for the guest and its shadow pool";
	if (self.v == NO_HFN.v)
		return NULL;
	vm = memset(host_ptr(self), 0, frames * PAGE_SIZE);
	vm->cfg = *cfg;
	for (unsigned i = 0; i < ARRAY_SIZE(vm->pats); i++)
		vm->pats[i] = ~0ull; /* no PAT has such a value */
	vm->blocks[vm->nblocks] = self;
	vm->block_frames[vm->nblocks++] = frames;
	if (!p2m_init(vm) || !pool_init(vm) || !chain_init(vm) || !unsync_init(vm) || !audit_init(vm)) {
		shadow_vm_destroy(vm);
		return NULL;
	}
	/* A PAE root, and all of a 2-level shadow, are named by 32 bits. */
	if (vm->pool_base.v + cfg->pool > BIT(20) || (cfg->g2_on_s2 && vm->ram_base.v + vm->nframes > BIT(20))) {
		*why = "not enough memory below 4 GiB for the shadow pool";
		shadow_vm_destroy(vm);
		return NULL;
	}
	return vm;
}

void shadow_vm_destroy(struct shadow_vm *vm)
{
	while (vm->nblocks > 1) {
		unsigned i = --vm->nblocks;

		host_free_run(vm->blocks[i], vm->block_frames[i]);
	}
	host_free_run(vm->blocks[0], vm->block_frames[0]); /* vm itself */
}

void shadow_vcpu_init(struct shadow_vcpu *sv, struct shadow_vm *vm)
{
	*sv = (struct shadow_vcpu){ .vm = vm };
	vm->vcpu = sv;
}

unsigned ctl_of(const struct shadow_paging *p)
{
	if (!(p->cr0 & CR0_PG))
		return CTL_WP;
	return (p->efer & EFER_NXE ? CTL_NXE : 0) | (p->cr4 & CR4_PSE ? CTL_PSE : 0) |
	       (p->cr0 & CR0_WP ? CTL_WP : (p->cr4 & CR4_SMEP ? CTL_SMEP : 0) | (p->cr4 & CR4_SMAP ? CTL_SMAP : 0));
}

static const struct shadow_mode *mode_of(const struct shadow_vcpu *sv)
{
	const struct shadow_paging *p = &sv->paging;

	if (!(p->cr0 & CR0_PG))
		return &shadow_g0_on_s3;
	if (p->efer & EFER_LMA)
		return p->cr4 & CR4_LA57 ? &shadow_g5_on_s5 : &shadow_g4_on_s4;
	if (p->cr4 & CR4_PAE)
		return &shadow_g3_on_s3;
	return sv->vm->cfg.g2_on_s2 ? &shadow_g2_on_s2 : &shadow_g2_on_s3;
}

/* SDM vol. 3, 4.4.1: P, PWT, PCD and the address may be set, and nothing is checked in an absent one. */
bool shadow_read_pdptes(struct shadow_vcpu *sv, u64 cr3, u64 pdpte[4])
{
	u64 rsvd = ~(BIT(sv->vm->cfg.maxphyaddr) - 1) | 0x1e6;
	u64 e[4];

	guestmem_read(sv->vm, mk_gpa(cr3 & 0xffffffe0), e, sizeof(e));
	for (unsigned i = 0; i < 4; i++)
		if (e[i] & PTE_P && e[i] & rsvd)
			return false;
	memcpy(pdpte, e, sizeof(e));
	return true;
}

bool shadow_prepare_flush(struct shadow_vcpu *sv)
{
	return unsync_trim(sv->vm) || (sv->vm->stats.again++, false);
}

bool shadow_prepare_pat(struct shadow_vcpu *sv, u64 pat)
{
	u32 now = sv->vm->pat_slot;
	bool done = pool_pat_slot(sv->vm, pat);

	sv->vm->pat_slot = now; /* shadow_update() takes it into use */
	return done || (sv->vm->stats.again++, false);
}

void shadow_update(struct shadow_vcpu *sv, enum shadow_change what)
{
	struct shadow_vm *vm = sv->vm;
	bool paged = sv->paging.cr0 & CR0_PG;

	if (what == SHADOW_CR3)
		vm->stats.cr3_loads++;
	unsync_resync_all(vm);
	if (vm->cfg.policy == POLICY_VTLB)
		vm->stats.vtlb_drops++; /* a vtlb's root goes with all below it in set_root() */
	while (!pool_pat_slot(vm, sv->paging.pat)) /* shadow_prepare_pat() has seen to it */
		;
	sv->mode = mode_of(sv);
	sv->mode->set_root(sv);
	flush_root(sv, what == SHADOW_MODE);
	sv->hw_long = sv->mode->shadow_levels >= 4;
	sv->hw_cr4 = (sv->mode->shadow_levels == 2 ? 0 : CR4_PAE) | (sv->mode->shadow_levels == 5 ? CR4_LA57 : 0) |
		     (paged ? sv->paging.cr4 & (CR4_SMEP | CR4_SMAP) : 0);
}

void shadow_invlpg(struct shadow_vcpu *sv, gva_t gva)
{
	sv->vm->stats.invlpgs++;
	if (sv->vm->cfg.policy == POLICY_VTLB || sv->vm->nunsync)
		sv->mode->invlpg(sv, gva);
}

bool shadow_is_table(struct shadow_vm *vm, gfn_t gfn)
{
	const struct guest_frame *g = p2m_gfn(vm, gfn);

	return g->frame != FRAME_ONES && g->tables && !g->unsync; /* a hole may be a table, but no write changes it */
}

bool shadow_is_followed(struct shadow_vm *vm, const struct shadow_page *p)
{
	struct guest_frame *g = p2m_gfn(vm, p->gfn);

	if (p->role.kind != PAGE_TABLE || g->frame == FRAME_ABSENT)
		return true;
	return g->unsync ? p->role.level == 1 : rmap_is_protected(vm, g->frame);
}

void shadow_table_written(struct shadow_vm *vm, gpa_t gpa, size_t len)
{
	gfn_t gfn = gpa_to_gfn(gpa);
	unsigned first = gpa.v % PAGE_SIZE;

	if (!p2m_gfn(vm, gfn)->tables)
		return;
	unsync_note_followed(vm, gpa, len);
	for (struct shadow_page *p = pool_next_table(vm, gfn, NULL); p; p = pool_next_table(vm, gfn, p))
		if (shadow_is_followed(vm, p))
			p->mode->sync(vm->vcpu, p, first, first + len - 1);
}

/* A table that nothing points to is written: it is probably a table no more. */
static bool unshadow_idle(struct shadow_vm *vm, gfn_t gfn)
{
	for (struct shadow_page *p = pool_next_table(vm, gfn, NULL); p; p = pool_next_table(vm, gfn, p))
		if (!p->refs && !p->pinned) {
			vm->stats.unshadowed_by_write++;
			pool_free(vm, p);
			return true;
		}
	return false;
}

void shadow_guest_wrote(struct shadow_vm *vm, gpa_t gpa, size_t len)
{
	if (!p2m_gfn(vm, gpa_to_gfn(gpa))->tables)
		return;
	vm->stats.table_writes++;
	unsync_note_write(vm, gpa_to_gfn(gpa));
	shadow_table_written(vm, gpa, len);
	while (unshadow_idle(vm, gpa_to_gfn(gpa)))
		;
}

/* ---- page faults ---- */

static bool writable_in_place(const struct shadow_vcpu *sv, const struct walk *w, const struct shadow_access *acc)
{
	enum p2m_kind kind = p2m_lookup(sv->vm, w->gfn).kind;

	if (kind == P2M_HOLE || kind == P2M_ROM)
		return false;
	if (shadow_is_table(sv->vm, w->gfn)) {
		p2m_before_write(sv->vm, w->gfn);
		if (!unsync_try(sv->vm, w->gfn))
			return false;
	}
	return !needs_lending(w, acc) || may_lend(w->access, ctl_of(&sv->paging), sv->mode->shadow_levels);
}

/*
 * All is as it should be, no TLB remembers otherwise, and the processor still
 * refuses: an implicit supervisor access (GDT, IDT, TSS on a user page) at CPL 0,
 * for which SMAP ignores EFLAGS.AC.  Nothing in the exit tells it from an explicit one.
 */
static bool is_implicit_smap(const struct shadow_vcpu *sv, const struct walk *w, const struct shadow_access *acc, u32 hw_error)
{
	return hw_error & PF_ERR_P && sv->paging.cr4 & CR4_SMAP && w->access & ACC_U && !acc->user && !acc->fetch;
}

/* Nothing was changed for this fault.  True: nor has anything since the same one was last met with a flush. */
static bool flush_did_not_help(struct shadow_vcpu *sv, gva_t gva)
{
	struct spurious *last = &sv->vm->spurious, now = { gva.v, sv->root.v, sv->vm->edits };
	bool same = !memcmp(last, &now, sizeof(now));

	*last = now;
	flush_spurious(sv, gva);
	return same;
}

void shadow_violated(struct shadow_vm *vm, const char *fmt, ...)
{
	va_list ap;

	if (vm->violation[0]) /* the first one stays */
		return;
	va_start(ap, fmt);
	host_vsnprintf(vm->violation, sizeof(vm->violation), fmt, ap);
	va_end(ap);
}

const char *shadow_violation(struct shadow_vcpu *sv)
{
	return sv->vm->violation[0] ? sv->vm->violation : NULL;
}

/* fastpath: the guest's own fault, known without a look at its tables.  The audit looks all the same. */
static bool is_fast_fault(struct shadow_vcpu *sv, gva_t gva, const struct shadow_access *acc, u32 *error)
{
	struct walk w;
	u32 slow;

	if (!sv->vm->cfg.fastpath || !sv->mode->fast(sv, gva, acc, error))
		return false;
	sv->vm->stats.fast_faults++;
	if (!sv->vm->cfg.audit)
		return true;
	sv->mode->walk(sv, gva, &w);
	if (sv->mode->permits(sv, &w, acc, &slow) || slow != *error)
		shadow_violated(sv->vm, "fast path: fault at %lx with error %x, by the tables %s %x", gva.v, *error,
				w.ok ? "rights, error" : "error", slow);
	return true;
}

static void guest_fault(struct shadow_vm *vm, struct shadow_verdict *v)
{
	vm->stats.guest_faults++;
	v->action = SHADOW_INJECT;
}

struct shadow_verdict shadow_page_fault(struct shadow_vcpu *sv, gva_t gva, const struct shadow_access *acc, u32 hw_error)
{
	struct shadow_vm *vm = sv->vm;
	struct shadow_verdict v = { .action = SHADOW_RETRY };
	u64 edits = vm->edits;
	struct walk w;

	vm->faulted = true;
	vm->trap_needed |= vm->nsteps && !acc->fetch && gva.v / PAGE_SIZE == vm->trap.v / PAGE_SIZE;
	if (is_fast_fault(sv, gva, acc, &v.error)) {
		guest_fault(vm, &v);
		return v;
	}
	do {
		sv->mode->walk(sv, gva, &w);
		if (!sv->mode->permits(sv, &w, acc, &v.error)) {
			if (vm->cfg.fastpath)
				sv->mode->note(sv, gva, &w);
			guest_fault(vm, &v);
			return v;
		}
		v.gpa = mk_gpa(gfn_to_gpa(w.gfn).v | gva.v % PAGE_SIZE);
		if (acc->write && !writable_in_place(sv, &w, acc)) {
			vm->stats.emulate_verdicts++;
			v.action = SHADOW_EMULATE;
			return v;
		}
	} while (!sv->mode->set_ad(sv, &w, acc->write));
	if (acc->write)
		p2m_before_write(vm, w.gfn);
	if (!sv->mode->fill(sv, gva, &w, needs_lending(&w, acc) ? FILL_LEND : 0)) {
		vm->stats.again++;
		v.action = SHADOW_AGAIN;
		return v;
	}
	if (vm->edits == edits && flush_did_not_help(sv, gva) && is_implicit_smap(sv, &w, acc, hw_error)) {
		guest_fault(vm, &v);
		return v;
	}
	vm->stats.hidden_faults++;
	return v;
}

void shadow_begin_exit(struct shadow_vcpu *sv)
{
	sv->vm->work_begun = sv->vm->work;
	sv->vm->pieces = 0;
	if (shadow_is_open(sv))
		shadow_close(sv);
}

void shadow_end_exit(struct shadow_vcpu *sv)
{
	struct shadow_vm *vm = sv->vm;
	u64 n = vm->work - vm->work_begun;

	if (n > vm->stats.work_exit_max)
		vm->stats.work_exit_max = n;
}

void shadow_stats(const struct shadow_vm *vm, void (*f)(void *ctx, const char *name, u64 value), void *ctx)
{
#define X(name) f(ctx, #name, vm->stats.name);
	STATS(X)
#undef X
}
