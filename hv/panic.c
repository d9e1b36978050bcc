/* SPDX-License-Identifier: BSD-2-Clause */
/* When hv itself is wrong: say what, where, and in what state, then end the run. */
#include "base.h"
#include "cpu.h"
#include "trap.h"

extern const u8 boot_stack_guard[]; /* the page below the stack */

static struct vcpu *current;
static bool panicking;

void panic_vcpu(struct vcpu *v)
{
	current = v;
}

static void show_vcpu(const struct vcpu *v)
{
	static const char *const names[NREGS] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
						  "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };

	printk("# guest %s\n", v->vm->name);
	for (unsigned r = 0; r < NREGS; r += 4) {
		printk("#  ");
		for (unsigned i = r; i < r + 4; i++)
			printk(" %3s %016lx", names[i], v->regs[i]);
		printk("\n");
	}
	printk("#   rip %016lx rflags %08lx cr0 %08lx cr2 %016lx cr3 %09lx cr4 %06lx efer %04lx\n", v->rip, v->rflags,
	       v->cr0, v->cr2, v->mmu.paging.cr3, v->cr4, v->efer);
	printk("#   hw: cr0 %08lx cr3 %09lx cr4 %06lx efer %04lx\n", v->hw.cr0, v->hw.cr3, v->hw.cr4, v->hw.efer);
}

/* A fault while this is printed ends the run at once. */
static void show_all(void)
{
	struct vcpu *v = current;

	if (v) {
		show_vcpu(v);
		if (vendor && v->arch)
			vendor->dump(v);
	}
	trace_dump();
}

static void begin(void)
{
	cpu_cli();
	if (panicking) {
		printk("\nBail out! again, while reporting\n");
		power_off(false);
	}
	panicking = true;
	if (current)
		output_flush(current->vm);
}

void host_bug(const char *file, int line, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	begin();
	va_start(ap, fmt);
	host_vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printk("# BUG %s:%d: %s\n", file, line, text);
	printk("# called from %p\n", __builtin_return_address(0));
	show_all();
	printk("Bail out! BUG %s:%d: %s\n", file, line, text);
	power_off(false);
}

void panic_trap(const struct trap_frame *f)
{
	static const char *const names[32] = {
		"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "9", "#TS", "#NP", "#SS", "#GP", "#PF", "15",
		"#MF", "#AC", "#MC", "#XM", "#VE", "#CP", "22", "23", "24", "25", "26", "27", "#HV", "#VC", "#SX", "31",
	};
	const char *name = names[f->vector & 31];

	begin();
	printk("# exception %s error %#lx at rip %#lx rflags %#lx\n", name, f->error, f->rip, f->rflags);
	printk("#   rax %016lx rcx %016lx rdx %016lx rbx %016lx\n", f->rax, f->rcx, f->rdx, f->rbx);
	printk("#   rsp %016lx rbp %016lx rsi %016lx rdi %016lx\n", f->rsp, f->rbp, f->rsi, f->rdi);
	printk("#   r8  %016lx r9  %016lx r10 %016lx r11 %016lx\n", f->r8, f->r9, f->r10, f->r11);
	printk("#   r12 %016lx r13 %016lx r14 %016lx r15 %016lx\n", f->r12, f->r13, f->r14, f->r15);
	printk("#   cs %lx ss %lx cr0 %08lx cr2 %016lx cr3 %09lx cr4 %06lx\n", f->cs, f->ss, read_cr0(), read_cr2(),
	       read_cr3(), read_cr4());
	if (f->rsp < (u64)boot_stack_guard + PAGE_SIZE)
		printk("# the stack is full\n");
	show_all();
	printk("Bail out! exception %s in the hypervisor at rip %#lx, cr2 %#lx\n", name, f->rip, read_cr2());
	power_off(false);
}

void panic_bail(const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	host_vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printk("Bail out! %s\n", text);
	power_off(false);
}
