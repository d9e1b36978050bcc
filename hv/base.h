/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files around the vCPU share among themselves: what the boot loader
 * said, memory's start, interrupts and time, options, the loader of guests.
 */
#ifndef HV_BASE_H
#define HV_BASE_H

#include "vm.h"

/* ---- multiboot.c ---- */
#define BOOT_MAX_MODULES 256
#define BOOT_MAX_REGIONS 256
#define BOOT_MAX_STRING 384

struct boot_module {
	hpa_t start;
	u64 size;
	char string[BOOT_MAX_STRING]; /* "path/name.elf words" */
};

struct boot_region {
	u64 start, end; /* bytes, end exclusive */
	u32 type; /* Multiboot's: 1 is RAM */
	bool ram;
};

struct boot_info { /* copied from the boot loader, who may put its own anywhere below 4 GiB */
	char cmdline[1024];
	u32 nmodules, nregions;
	u32 dropped; /* modules that did not fit the table */
	struct boot_module modules[BOOT_MAX_MODULES];
	struct boot_region regions[BOOT_MAX_REGIONS];
};

extern struct boot_info boot_info;

/* False: not started by a Multiboot loader. */
bool multiboot_parse(u32 magic, u32 mbi);
/* A module that comes with a guest, "umbra.module-of=NAME" among its words: that name, else "". */
void multiboot_owner(const struct boot_module *m, char *name, size_t size);

/* ---- mem.c ---- */
/* Takes over the memory of boot_info.regions and switches to hv's own page tables. */
void mem_init(void);

/* ---- console.c ---- */
void console_drain(void);

/* ---- idt.c ---- */
void idt_init(void);
void idt_tick(bool on); /* the periodic interrupt that brings a hanging guest back */
void idt_reset_pic(void); /* masked, nothing in service */
/* Takes an interrupt that waits from its controller, in a guest's name: the vector, or -1. */
int idt_take(void);
bool idt_rdmsr(u32 msr, u64 *value); /* false: the processor has none such */
u64 idt_ticks(void);

/* ---- clock.c ---- */
void clock_init(void); /* measures the TSC */
void clock_tick_start(void); /* sets PIT channel 0 going */
void clock_tick_stop(void); /* ... back to the 18.2 Hz of firmware */

/* ---- panic.c ---- */
struct trap_frame;
void panic_vcpu(struct vcpu *v); /* the one to show, NULL: none runs */
__attribute__((noreturn)) void panic_trap(const struct trap_frame *f);
/* The run cannot go on: one line, non-zero exit. */
__attribute__((noreturn, format(printf, 1, 2))) void panic_bail(const char *fmt, ...);

/* ---- options.c ---- */
enum option_id {
	OPT_CONSOLE, OPT_VENDOR, OPT_ONLY, OPT_STATS, OPT_POLICY, OPT_OOS, OPT_CHAOS, OPT_WPROT, OPT_LARGE, OPT_FASTPATH,
	OPT_PREFETCH, OPT_P2M, OPT_POOL, OPT_AUDIT, OPT_G2,
	OPT_MEM, OPT_DEVICES, OPT_SEED, OPT_LIMIT, OPT_REFAULTS, OPT_OUTPUT, OPT_HELP, NOPTIONS,
};

struct options {
	u64 value[NOPTIONS];
	char only[128];
};

void options_default(struct options *o);
/* Words of hv's own command line; false: `why` says which word is wrong and how. */
bool options_parse(struct options *o, const char *cmdline, char *why, size_t size);
/* Takes the words "umbra.name=value" out of a module's string. */
bool options_module(struct options *o, const char *string, char *rest, size_t rest_size, char *why, size_t size);
void options_vm(const struct options *o, struct vm_options *out);
const char *options_text(const struct options *o, enum option_id id, char *buf, size_t size);
void options_help(void);
void options_show(const struct options *o);

/* ---- loader.c ---- */
/* Puts a Multiboot kernel into vm's memory and sets the entry state; else why not. */
const char *loader_load(struct vm *vm, const struct boot_module *m);

/* ---- output.c: a guest's serial line and the TAP on it ---- */
void output_byte(struct vm *vm, char c);
void output_flush(struct vm *vm); /* ends a line that the guest left open */
void output_verdict(struct vm *vm); /* VM_PASS holds only if the guest's own TAP says so */

/* ---- vm.c ---- */
bool vm_over_time(const struct vm *vm);
enum vm_result vm_run_module(const struct boot_module *m, const struct options *global, unsigned number);
void vm_name(const char *string, char *name, size_t size);

#endif
