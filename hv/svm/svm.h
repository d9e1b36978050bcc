/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual machine control block (AMD APM vol. 2, appendix B) and what the
 * files of the SVM back end share.  Nobody else includes this.
 */
#ifndef HV_SVM_SVM_H
#define HV_SVM_SVM_H

#include "../vm.h"

#define MSR_VM_CR 0xc0010114
#define VM_CR_SVMDIS BIT(4)
#define MSR_VM_HSAVE_PA 0xc0010117

#define CPUID_SVM_LEAF 0x8000000a
#define CPUID_SVM_NRIP BIT(3) /* EDX */
#define CPUID_SVM_FLUSH_ASID BIT(6)

struct vmcb_seg {
	u16 selector, attr;
	u32 limit;
	u64 base;
};

struct vmcb_control {
	u16 cr_read, cr_write, dr_read, dr_write; /* 0x00 */
	u32 exceptions;
	u32 intercept1, intercept2, intercept3; /* 0x0c 0x10 0x14 */
	u8 reserved1[0x40 - 0x18];
	u64 iopm_pa, msrpm_pa, tsc_offset;
	u32 asid;
	u8 tlb_control, reserved2[3];
	u64 vintr; /* 0x60 */
	u64 int_state;
	u64 exit_code, exit_info1, exit_info2;
	u32 exit_int_info, exit_int_error; /* 0x88 */
	u64 np_enable; /* 0x90: stays 0 */
	u8 reserved3[0xa8 - 0x98];
	u32 event_inj, event_inj_error; /* 0xa8 */
	u64 nested_cr3, lbr_enable;
	u64 clean; /* 0xc0: stays 0, all is loaded anew */
	u64 next_rip;
	u8 reserved4[0x400 - 0xd0];
};

struct vmcb_save {
	struct vmcb_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	u8 reserved1[0xcb - 0xa0];
	u8 cpl;
	u32 reserved2;
	u64 efer; /* 0xd0 */
	u8 reserved3[0x148 - 0xd8];
	u64 cr4, cr3, cr0, dr7, dr6, rflags, rip; /* 0x148 */
	u8 reserved4[0x1d8 - 0x180];
	u64 rsp; /* 0x1d8 */
	u8 reserved5[0x1f8 - 0x1e0];
	u64 rax; /* 0x1f8 */
	u64 star, lstar, cstar, sfmask, kernel_gs_base, sysenter_cs, sysenter_esp, sysenter_eip, cr2;
	u8 reserved6[0xc00 - 0x248];
};

struct vmcb {
	struct vmcb_control c;
	struct vmcb_save s;
};

_Static_assert(offsetof(struct vmcb, c.iopm_pa) == 0x40, "VMCB control area");
_Static_assert(offsetof(struct vmcb, c.vintr) == 0x60, "VMCB control area");
_Static_assert(offsetof(struct vmcb, c.exit_int_info) == 0x88, "VMCB control area");
_Static_assert(offsetof(struct vmcb, c.event_inj) == 0xa8, "VMCB control area");
_Static_assert(offsetof(struct vmcb, c.next_rip) == 0xc8, "VMCB control area");
_Static_assert(offsetof(struct vmcb, s.cpl) == 0x4cb, "VMCB save area");
_Static_assert(offsetof(struct vmcb, s.efer) == 0x4d0, "VMCB save area");
_Static_assert(offsetof(struct vmcb, s.cr4) == 0x548, "VMCB save area");
_Static_assert(offsetof(struct vmcb, s.rip) == 0x578, "VMCB save area");
_Static_assert(offsetof(struct vmcb, s.rsp) == 0x5d8, "VMCB save area");
_Static_assert(offsetof(struct vmcb, s.rax) == 0x5f8, "VMCB save area");
_Static_assert(offsetof(struct vmcb, s.cr2) == 0x640, "VMCB save area");
_Static_assert(sizeof(struct vmcb) == PAGE_SIZE, "VMCB is a page");

/* intercept1 */
#define INTERCEPT_INTR BIT(0)
#define INTERCEPT_NMI BIT(1)
#define INTERCEPT_VINTR BIT(4)
#define INTERCEPT_CPUID BIT(18)
#define INTERCEPT_RSM BIT(19)
#define INTERCEPT_IRET BIT(20)
#define INTERCEPT_INVD BIT(22)
#define INTERCEPT_PAUSE BIT(23)
#define INTERCEPT_HLT BIT(24)
#define INTERCEPT_INVLPG BIT(25)
#define INTERCEPT_INVLPGA BIT(26)
#define INTERCEPT_IOIO BIT(27)
#define INTERCEPT_MSR BIT(28)
#define INTERCEPT_TASK_SWITCH BIT(29)
#define INTERCEPT_SHUTDOWN BIT(31)
/* intercept2 */
#define INTERCEPT_VMRUN BIT(0)
#define INTERCEPT_VMMCALL BIT(1)
#define INTERCEPT_VMLOAD BIT(2)
#define INTERCEPT_VMSAVE BIT(3)
#define INTERCEPT_STGI BIT(4)
#define INTERCEPT_CLGI BIT(5)
#define INTERCEPT_SKINIT BIT(6)
#define INTERCEPT_WBINVD BIT(9)
#define INTERCEPT_MONITOR BIT(10)
#define INTERCEPT_MWAIT BIT(11)
#define INTERCEPT_MWAIT_ARMED BIT(12)
#define INTERCEPT_XSETBV BIT(13)
/* intercept3 */
#define INTERCEPT_INVPCID BIT(2)

/* vintr */
#define V_IRQ BIT(8)
#define V_INTR_PRIO (0xfull << 16)
#define V_IGN_TPR BIT(20)
#define V_INTR_MASKING BIT(24)

#define INT_STATE_SHADOW BIT(0)
#define TLB_FLUSH_ALL 1
#define TLB_FLUSH_ASID 3

/* event_inj, exit_int_info */
#define EVENTINJ_VECTOR 0xffu
#define EVENTINJ_TYPE_SHIFT 8
#define EVENTINJ_TYPE_INTR 0
#define EVENTINJ_TYPE_EXCEPTION 3
#define EVENTINJ_TYPE_SOFT 4
#define EVENTINJ_ERROR BIT(11)
#define EVENTINJ_VALID BIT(31)

enum vmexit { /* APM vol. 2, appendix C */
	VMEXIT_CR0_READ = 0x00,
	VMEXIT_CR0_WRITE = 0x10,
	VMEXIT_CR15_WRITE = 0x1f,
	VMEXIT_EXCP0 = 0x40,
	VMEXIT_EXCP31 = 0x5f,
	VMEXIT_INTR = 0x60,
	VMEXIT_NMI = 0x61,
	VMEXIT_VINTR = 0x64,
	VMEXIT_CPUID = 0x72,
	VMEXIT_RSM = 0x73,
	VMEXIT_IRET = 0x74,
	VMEXIT_INVD = 0x76,
	VMEXIT_PAUSE = 0x77,
	VMEXIT_HLT = 0x78,
	VMEXIT_INVLPG = 0x79,
	VMEXIT_INVLPGA = 0x7a,
	VMEXIT_IOIO = 0x7b,
	VMEXIT_MSR = 0x7c,
	VMEXIT_TASK_SWITCH = 0x7d,
	VMEXIT_SHUTDOWN = 0x7f,
	VMEXIT_VMRUN = 0x80,
	VMEXIT_VMMCALL = 0x81,
	VMEXIT_VMLOAD = 0x82,
	VMEXIT_VMSAVE = 0x83,
	VMEXIT_STGI = 0x84,
	VMEXIT_CLGI = 0x85,
	VMEXIT_SKINIT = 0x86,
	VMEXIT_WBINVD = 0x89,
	VMEXIT_MONITOR = 0x8a,
	VMEXIT_MWAIT = 0x8b,
	VMEXIT_MWAIT_ARMED = 0x8c,
	VMEXIT_XSETBV = 0x8d,
	VMEXIT_INVPCID = 0xa2,
	VMEXIT_INVALID = 0xffffffff, /* compared in 32 bits: TCG does not sign-extend it */
};

/* Why TF is set in hardware although the guest may not have set it. */
enum svm_trap {
	TRAP_NONE,
	TRAP_STEP, /* v->step */
	TRAP_IRET, /* the IRET that ends the NMI window */
	TRAP_SHADOW, /* the instruction in the interrupt shadow, with a window wanted behind it */
};

struct svm_vcpu {
	struct vmcb *vmcb;
	u64 vmcb_pa, host_pa; /* host_pa: for VMSAVE and VMLOAD of hv's own state */
	hfn_t iopm, msrpm;
	bool has_nrip, has_flush_asid;
	bool direct; /* interrupts do not exit */
	bool intr_first; /* one did, because of TF: its turn */
	u64 vintr;

	bool iret_begun; /* the IRET intercept fired: NMIs come back after that instruction */
	enum svm_trap trap; /* of the last entry */
	struct event injected; /* at the last entry */
	u64 entry_rip, entry_dr6;
	u16 hidden_l; /* CS whose L bit the VMCB does not show */
	struct vmcb_save entered; /* for the dump: VMEXIT_INVALID overwrites the save area */
};

/* svm.c */
void svm_queue_debug(struct vcpu *v);

/* svm_exit.c: fills v->exit from the VMCB. */
void svm_decode_exit(struct vcpu *v);

/* svm_state.c */
void svm_get_seg(struct vcpu *v, enum seg s, struct segment *out);
void svm_set_seg(struct vcpu *v, enum seg s, const struct segment *in);
u8 svm_cpl(struct vcpu *v);
bool svm_get_msr(struct vcpu *v, u32 msr, u64 *value);
bool svm_set_msr(struct vcpu *v, u32 msr, u64 value);
void svm_dump(struct vcpu *v);

/* svm_entry.S */
void svm_enter(u64 *regs, u64 vmcb_pa, u64 host_pa);

#endif
