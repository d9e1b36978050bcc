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
		printk(" %s=%lu", name, change);
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
	case HC_RELOCATE:
		return shadow_relocate(&v->mmu, mk_gfn(arg));
	case HC_MARK:
		mark(v->vm, arg);
		return 0;
	}
	return HC_ENOSYS;
}

void hypercall(struct vcpu *v)
{
	v->regs[RAX] = call(v);
}
