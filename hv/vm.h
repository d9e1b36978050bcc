/* SPDX-License-Identifier: BSD-2-Clause */
/* One guest: its module, options, limits, devices and result. */
#ifndef HV_VM_H
#define HV_VM_H

#include "vcpu.h"

enum vm_result { VM_RUNNING, VM_PASS, VM_FAIL, VM_SKIP };

enum vm_devices {
	DEVICES_EMULATE, /* those of devices.c and no others */
	DEVICES_PASS, /* the machine's; interrupts go through the guest's IDT without an exit */
	DEVICES_RELAY, /* the machine's; SVM: hv takes an interrupt when the guest is ready for it, and injects it */
};

struct vm_options { /* per VM: hv's command line, overridden by the module's own */
	struct shadow_config shadow; /* policy, wprot, p2m, pool, audit, g2_on_s2, ram_frames from mem=, seed */
	enum vm_devices devices;
	u64 limit_ms; /* run time; 0: none */
	u32 refault_limit; /* same RIP and CR2 without progress */
	u64 output_limit; /* bytes on the serial line */
};

struct vm_uart { /* devices.c */
	u8 ier, fcr, lcr, mcr, scratch, data;
	bool received; /* data is there */
	u16 divisor;
};

struct vm_passthrough { /* passthrough.c */
	bool kbd_output_port; /* the next byte to the keyboard controller goes there: A20 and reset */
};

struct vm_output { /* output.c: the line being printed, and the guest's TAP so far */
	char line[200];
	u32 len;
	bool continued; /* the start of this line is out already */
	bool planned, bailed;
	u64 plan, ran, failed;
	char skip[100]; /* "1..0 # SKIP" this */
};

#define VM_MARKS 160 /* counters of HC_MARK, at most */

struct vm {
	const char *name; /* "access/pae": first word of the module's string, folders and .elf dropped */
	const char *cmdline; /* what the guest gets */
	struct vm_options opt;
	struct shadow_vm *mem;
	struct vcpu vcpu;

	enum vm_result result;
	char why[160]; /* of a failure */
	u64 start_tsc;
	u64 exits[NEXITS]; /* counters by kind */
	u64 audit_turns; /* exits that audit=2 may audit */
	u64 refaults; /* current run of same RIP, same CR2 */
	u64 output; /* bytes */
	struct vm_uart uart;
	struct vm_passthrough pass;
	struct vm_output out;
	u64 marks[VM_MARKS]; /* counters at the last HC_MARK */
};

/* Ends the guest with a reason; the first reason stays. */
void vm_fail(struct vm *vm, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void vm_end(struct vm *vm, enum vm_result r);

/* devices.c: a 16550 at COM1 (polled, output only), debug-exit at 0xf4, port 0xe9. Others read as ones. */
u32 device_in(struct vm *vm, u16 port, u8 size);
void device_out(struct vm *vm, u16 port, u8 size, u32 value);
bool device_keeps(const struct vm *vm, u16 port); /* accesses must exit: the bits of the back ends' I/O bitmaps */

/* passthrough.c: the machine in the hands of a guest */
static inline bool vm_owns_machine(const struct vm *vm) { return vm->opt.devices != DEVICES_EMULATE; }
bool passthrough_filters(u16 port); /* not every access may reach the hardware */
u32 passthrough_in(u16 port, u8 size);
void passthrough_out(struct vm *vm, u16 port, u8 size, u32 value);
void passthrough_begin(void); /* remembers the machine's state */
void passthrough_end(void); /* and puts it back */
void passthrough_relay(struct vcpu *v); /* an interrupt that waits becomes pending */
void passthrough_wait(struct vcpu *v); /* HLT: until an interrupt comes, which then is pending */

/* hypercall.c: abi.h */
bool hypercall(struct vcpu *v); /* false: there is work left, do not skip the instruction */

#endif
