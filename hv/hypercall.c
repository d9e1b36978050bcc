/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypercall door of abi.h. */
#include "abi.h"
#include "base.h"

struct find {
	const char *name;
	u64 value;
};

static void find_stat(void *ctx, const char *name, u64 value)
{
	struct find *f = ctx;

	if (!strcmp(name, f->name))
		f->value = value;
}

static u64 stat(const struct vm *vm, const char *name)
{
	struct find f = { name, 0 };

	shadow_stats(vm->mem, find_stat, &f);
	return f.value;
}

static u64 total_exits(const struct vm *vm)
{
	u64 n = 0;

	for (unsigned k = 0; k < NEXITS; k++)
		n += vm->exits[k];
	return n;
}

static u32 audit(struct vcpu *v)
{
	const char *why = NULL;
	unsigned n = v->vm->opt.shadow.audit ? shadow_audit(&v->mmu, &why) : 0;

	if (n)
		vm_fail(v->vm, "audit: %s", why);
	return n;
}

static bool ends(const char *name, const char *with)
{
	size_t n = strlen(name), w = strlen(with);

	return n >= w && !strcmp(name + n - w, with);
}

struct marking {
	struct vm *vm;
	unsigned next; /* of vm->marks */
};

/* A peak has no change: it shows as it stands. */
static void mark_one(void *ctx, const char *name, u64 value)
{
	struct marking *m = ctx;
	u64 change;

	BUG_ON(m->next == VM_MARKS);
	change = value - m->vm->marks[m->next];
	m->vm->marks[m->next++] = value;
	if (ends(name, "_peak") || ends(name, "_max"))
		change = value;
	if (change)
		printk(" %s=%ld", name, (s64)change); /* what is in use may have shrunk */
}

static void mark(struct vm *vm, u32 n)
{
	struct marking m = { vm, 0 };
	char name[40];

	output_flush(vm);
	printk("    # mark %u", n);
	mark_one(&m, "exits", total_exits(vm));
	for (unsigned k = 0; k < NEXITS; k++) {
		snprintk(name, sizeof(name), "exits_%s", exit_name(k));
		mark_one(&m, name, vm->exits[k]);
	}
	shadow_stats(vm->mem, mark_one, &m);
	printk("\n");
}

/* False: there is work left, the guest comes again. */
static bool finish(enum shadow_done done, u32 good, u32 *result)
{
	*result = done == SHADOW_DONE ? good : 0;
	return done != SHADOW_MORE;
}

static u32 batch(struct vcpu *v, gpa_t at, u32 n)
{
	struct hc_batch e;
	u32 done;

	if (vendor->cpl(v))
		return HC_ENOSYS;
	for (done = 0; done < n && n <= HC_BATCH_MAX; done++) {
		guestmem_read(v->vm->mem, mk_gpa(at.v + done * sizeof(e)), &e, sizeof(e));
		if (!shadow_batch_write(&v->mmu, mk_gpa(e.table), e.index, e.value))
			break;
	}
	return done;
}

static u32 colour(struct vm *vm, gfn_t gfn)
{
	return p2m_lookup(vm->mem, gfn).hfn.v & 63;
}

/* What is done to the guest's memory; false as in finish(). */
static bool memory_call(struct vcpu *v, u32 *result)
{
	u32 bits = 0, a = v->regs[RBX], b = v->regs[RCX];
	bool done;

	switch ((u32)v->regs[RAX]) {
	case HC_RELOCATE:
		return finish(shadow_relocate(&v->mmu, mk_gfn(a)), 1, result);
	case HC_LOG_DIRTY:
		return finish(shadow_log_dirty(&v->mmu, a), 0, result);
	case HC_LOG_READ:
		done = finish(shadow_log_read(&v->mmu, mk_gfn(a), &bits), 0, result);
		*result = bits;
		return done;
	case HC_ROM:
		return finish(shadow_set_rom(&v->mmu, mk_gfn(a), b), 1, result);
	case HC_SHARE:
		return finish(shadow_share(&v->mmu, mk_gfn(a), mk_gfn(b)), 1, result);
	case HC_FRAME_INFO:
		*result = shadow_frame_info(&v->mmu, mk_gfn(a));
		if (*result & HC_FRAME_PRESENT) /* or to ask would bring it */
			*result |= colour(v->vm, mk_gfn(a)) << HC_FRAME_COLOUR_SHIFT;
		return true;
	case HC_BATCH:
		*result = batch(v, mk_gpa(a), b);
		return true;
	}
	*result = HC_ENOSYS;
	return true;
}

static u32 call(struct vcpu *v)
{
	u32 arg = v->regs[RBX];

	switch ((u32)v->regs[RAX]) {
	case HC_AUDIT:
		return audit(v);
	case HC_INJECT_INTR:
		event_intr(v, arg);
		return 0;
	case HC_INJECT_NMI:
		event_nmi(v);
		return 0;
	case HC_STAT_EXITS:
		return total_exits(v->vm);
	case HC_STAT_GUEST_FAULTS:
		return stat(v->vm, "guest_faults");
	case HC_STAT_HIDDEN_FAULTS:
		return stat(v->vm, "hidden_faults");
	case HC_MARK:
		mark(v->vm, arg);
		return 0;
	}
	return HC_ENOSYS;
}

bool hypercall(struct vcpu *v)
{
	u32 result = call(v);

	if (result == HC_ENOSYS && !memory_call(v, &result))
		return false;
	v->regs[RAX] = result;
	return true;
}
