/* SPDX-License-Identifier: BSD-2-Clause */
/* The last 64 exits, for whoever has to explain what went wrong. */
#include "vcpu.h"

#define TRACE_SIZE 64

static struct trace_entry {
	enum exit_kind kind;
	u32 error;
	u64 number, rip, cr3, gva, reason, info1;
	struct event vectoring;
} ring[TRACE_SIZE];
static u64 count;

static const char *const names[NEXITS] = {
	[EXIT_PAGE_FAULT] = "page_fault", [EXIT_EXCEPTION] = "exception", [EXIT_DEBUG] = "debug",
	[EXIT_INTR] = "intr", [EXIT_NMI] = "nmi", [EXIT_INTR_WINDOW] = "intr_window",
	[EXIT_NMI_WINDOW] = "nmi_window", [EXIT_CPUID] = "cpuid", [EXIT_HLT] = "hlt", [EXIT_PAUSE] = "pause",
	[EXIT_INVLPG] = "invlpg", [EXIT_INVPCID] = "invpcid", [EXIT_CR] = "cr", [EXIT_RDMSR] = "rdmsr",
	[EXIT_WRMSR] = "wrmsr", [EXIT_IO] = "io", [EXIT_HYPERCALL] = "hypercall", [EXIT_XSETBV] = "xsetbv",
	[EXIT_WBINVD] = "wbinvd", [EXIT_VM_INSN] = "vm_insn", [EXIT_TASK_SWITCH] = "task_switch",
	[EXIT_TRIPLE_FAULT] = "triple_fault", [EXIT_ENTRY_FAILED] = "entry_failed",
	[EXIT_ISOLATION] = "isolation", [EXIT_UNKNOWN] = "unknown",
};

const char *exit_name(enum exit_kind k)
{
	return k < NEXITS && names[k] ? names[k] : "?";
}

void trace_exit(const struct vcpu *v)
{
	const struct vm_exit *e = &v->exit;

	ring[count % TRACE_SIZE] = (struct trace_entry){
		.kind = e->kind, .error = e->error, .number = count, .rip = v->rip, .cr3 = v->mmu.paging.cr3,
		.gva = e->gva.v, .reason = e->reason, .info1 = e->info1, .vectoring = e->vectoring,
	};
	count++;
}

void trace_dump(void)
{
	printk("# last exits, oldest first\n");
	for (u64 i = count > TRACE_SIZE ? count - TRACE_SIZE : 0; i < count; i++) {
		const struct trace_entry *t = &ring[i % TRACE_SIZE];

		printk("#   %lu %s rip %#lx cr3 %#lx gva %#lx error %#x reason %#lx info %#lx", t->number,
		       exit_name(t->kind), t->rip, t->cr3, t->gva, t->error, t->reason, t->info1);
		if (t->vectoring.valid)
			printk(" delivering %u type %u", t->vectoring.vector, t->vectoring.type);
		printk("\n");
	}
}
