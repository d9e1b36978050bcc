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

static void mark(struct vm *vm, u32 n)
{
	u64 now[VM_MARKS] = { total_exits(vm), vm->exits[EXIT_PAGE_FAULT], stat(vm, "guest_faults"),
			      stat(vm, "hidden_faults"), stat(vm, "table_writes") };

	output_flush(vm);
	printk("    # mark %u exits=%lu page_faults=%lu guest_faults=%lu hidden_faults=%lu table_writes=%lu\n", n,
	       now[0] - vm->marks[0], now[1] - vm->marks[1], now[2] - vm->marks[2], now[3] - vm->marks[3],
	       now[4] - vm->marks[4]);
	memcpy(vm->marks, now, sizeof(now));
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
