/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files that handle exits share: exit.c (the loop and the table),
 * fault.c (page faults, step-over), exit_cr.c, exit_io.c and access.c (guest
 * memory as the emulator and these files see it).
 */
#ifndef HV_EXIT_H
#define HV_EXIT_H

#include "emul.h"
#include "vm.h"

/* ---- access.c ---- */
struct access { /* an emulator context and the vCPU that it works on */
	struct emul_ctxt c;
	struct vcpu *v;
	bool faulted; /* c.fault is valid */
};

/* An access that the instruction at RIP itself makes: CPL and EFLAGS.AC count. */
struct shadow_access access_explicit(struct vcpu *v, bool write);
/* The access behind a #PF exit. */
struct shadow_access access_of_fault(struct vcpu *v);
void access_init(struct access *a, struct vcpu *v);
void access_done(const struct access *a); /* the instruction has retired */
/* Decodes at RIP; false: the guest's #PF was queued, or the guest was ended. */
bool access_decode(struct access *a, struct vcpu *v);
/* Guest memory at c.insn's operand; false: #PF or #GP was queued. */
bool access_read(struct access *a, u64 gva, void *buf, unsigned len);
bool access_write(struct access *a, u64 gva, const void *buf, unsigned len);
bool access_check(struct access *a, u64 gva); /* canonical, else #GP or #SS was queued */
bool access_canonical(const struct vcpu *v, u64 gva);
bool access_code64(struct vcpu *v);
/* Length of the instruction at RIP: from the exit, else prefixes + `opcode` bytes. */
u8 access_insn_len(struct vcpu *v, u8 opcode);

/* ---- event.c ---- */
/* Vectors that push an error code. */
#define EVENT_HAS_ERROR (BIT(VEC_DF) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP) | BIT(VEC_PF) | BIT(VEC_AC))
void event_retire(struct vcpu *v); /* an instruction ended: RF, the interrupt shadow, TF */
void event_gp(struct vcpu *v); /* #GP(0) */

/* ---- cr.c, cpuid.c ---- */
bool cr_write_efer(struct vcpu *v, u64 efer); /* false: the caller queues #GP */
u64 cpuid_efer_legal(struct vcpu *v); /* EFER bits that the guest's CPUID offers, LMA too */
u8 cpuid_maxphyaddr(void); /* the host's */

/* ---- fault.c, exit_cr.c, exit_io.c ---- */
void fault_page(struct vcpu *v);
void fault_invlpg(struct vcpu *v);
void fault_stepped(struct vcpu *v); /* EXIT_DEBUG */
void exit_cr(struct vcpu *v);
void exit_io(struct vcpu *v);

#endif
