/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of one VM: made from its module and options, run, judged, taken apart. */
#include <stdarg.h>
#include "base.h"
#include "cpu.h"

void vm_end(struct vm *vm, enum vm_result r)
{
	if (vm->result == VM_RUNNING)
		vm->result = r;
}

void vm_fail(struct vm *vm, const char *fmt, ...)
{
	va_list ap;

	if (vm->result != VM_RUNNING)
		return;
	va_start(ap, fmt);
	host_vsnprintf(vm->why, sizeof(vm->why), fmt, ap);
	va_end(ap);
	vm->result = VM_FAIL;
}

/* "/boot/guest-tests/access/pae.elf words" is "access/pae". */
void vm_name(const char *string, char *name, size_t size)
{
	size_t len = 0, start, slashes = 0;

	while (string[len] && string[len] != ' ')
		len++;
	for (start = len; start; start--)
		if (string[start - 1] == '/' && ++slashes == 2)
			break;
	if (len - start > 4 && !strncmp(string + len - 4, ".elf", 4))
		len -= 4;
	snprintk(name, size, "%.*s", (int)(len - start), string + start);
}

static bool prepare(struct vm *vm, const struct boot_module *m)
{
	const char *why = NULL;

	cpuid_shadow_config(&vm->opt.shadow);
	vm->mem = shadow_vm_create(&vm->opt.shadow, &why);
	if (!vm->mem) {
		vm_fail(vm, "%s", why);
		return false;
	}
	vm->vcpu.vm = vm;
	shadow_vcpu_init(&vm->vcpu.mmu, vm->mem);
	if (!vendor->vcpu_init(&vm->vcpu)) {
		vm_fail(vm, "no memory for the vCPU");
		return false;
	}
	cr_reset(&vm->vcpu);
	why = loader_load(vm, m);
	if (why)
		vm_fail(vm, "%s", why);
	return !why;
}

bool vm_over_time(const struct vm *vm)
{
	return vm->opt.limit_ms && clock_ms(vm->start_tsc) > vm->opt.limit_ms;
}

static void run_vcpu(struct vm *vm)
{
	bool own = vm_owns_machine(vm);

	if (own)
		passthrough_begin();
	idt_tick(!own);
	vcpu_run(&vm->vcpu);
	idt_tick(false);
	if (own)
		passthrough_end();
}

static void run(struct vm *vm)
{
	const char *why = NULL;

	panic_vcpu(&vm->vcpu);
	vm->start_tsc = rdtsc();
	run_vcpu(vm);
	if (shadow_is_open(&vm->vcpu.mmu))
		shadow_close(&vm->vcpu.mmu);
	if (vm->opt.shadow.audit && shadow_audit(&vm->vcpu.mmu, &why) && vm->result != VM_FAIL) {
		vm->result = VM_FAIL;
		snprintk(vm->why, sizeof(vm->why), "audit at the end: %s", why);
	}
	panic_vcpu(NULL);
}

static void show_stat(void *ctx, const char *name, u64 value)
{
	(void)ctx;
	printk("# stat %s=%lu\n", name, value);
}

static void show_stats(const struct vm *vm, u64 ms)
{
	u64 total = 0;
	char name[40];

	for (unsigned k = 0; k < NEXITS; k++) {
		total += vm->exits[k];
		if (!vm->exits[k])
			continue;
		snprintk(name, sizeof(name), "exits_%s", exit_name(k));
		show_stat(NULL, name, vm->exits[k]);
	}
	show_stat(NULL, "exits", total);
	shadow_stats(vm->mem, show_stat, NULL);
	show_stat(NULL, "output_bytes", vm->output);
	show_stat(NULL, "run_ms", ms);
}

static void show_result(const struct vm *vm, unsigned number)
{
	printk("%sok %u - %s", vm->result == VM_FAIL ? "not " : "", number, vm->name);
	if (vm->result == VM_SKIP)
		printk(" # SKIP %s", vm->why);
	else if (vm->result == VM_FAIL)
		printk(" # %s", vm->why);
	printk("\n");
}

static void destroy(struct vm *vm)
{
	if (vm->vcpu.arch)
		vendor->vcpu_free(&vm->vcpu);
	if (vm->mem)
		shadow_vm_destroy(vm->mem);
}

enum vm_result vm_run_module(const struct boot_module *m, const struct options *global, unsigned number)
{
	static struct vm vm; /* one at a time; large for a stack */
	static char cmdline[BOOT_MAX_STRING], name[80];
	struct options o = *global;
	u64 frames = mem_frames_free(), ms = 0;
	bool ran = false;

	memset(&vm, 0, sizeof(vm));
	vm_name(m->string, name, sizeof(name));
	vm.name = name;
	vm.cmdline = cmdline;
	printk("# Subtest: %s\n", name);
	if (!options_module(&o, m->string, cmdline, sizeof(cmdline), vm.why, sizeof(vm.why)))
		vm.result = VM_FAIL;
	options_vm(&o, &vm.opt);
	if (vm.result == VM_RUNNING && prepare(&vm, m)) {
		run(&vm);
		ms = clock_ms(vm.start_tsc);
		ran = true;
	}
	output_flush(&vm);
	output_verdict(&vm);
	show_result(&vm, number);
	if (ran && o.value[OPT_STATS])
		show_stats(&vm, ms);
	destroy(&vm);
	if (mem_frames_free() != frames)
		BUG("%s left %lu frames behind", name, frames - mem_frames_free());
	return vm.result;
}
