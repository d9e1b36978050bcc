/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMCS fields, controls and exit reasons under the names of the Intel SDM
 * (vol. 3, appendices A to C), and what the files of the VMX back end share.
 * Nobody else includes this.
 */
#ifndef HV_VMX_VMX_H
#define HV_VMX_VMX_H

#include "vm.h"

#define FEATURE_CONTROL_LOCKED BIT(0)
#define FEATURE_CONTROL_VMX BIT(2) /* outside SMX */

#define MSR_VMX_BASIC 0x480
#define VMX_BASIC_TRUE_CTLS BIT(55)
#define MSR_VMX_PINBASED_CTLS 0x481
#define MSR_VMX_PROCBASED_CTLS 0x482
#define MSR_VMX_EXIT_CTLS 0x483
#define MSR_VMX_ENTRY_CTLS 0x484
#define MSR_VMX_MISC 0x485
#define VMX_MISC_TIMER_SHIFT 0x1f
#define MSR_VMX_CR0_FIXED0 0x486
#define MSR_VMX_CR0_FIXED1 0x487
#define MSR_VMX_CR4_FIXED0 0x488
#define MSR_VMX_CR4_FIXED1 0x489
#define MSR_VMX_PROCBASED_CTLS2 0x48b
#define MSR_VMX_EPT_VPID_CAP 0x48c
#define VPID_CAP_INVVPID BIT(32)
#define VPID_CAP_ADDRESS BIT(40)
#define VPID_CAP_SINGLE BIT(41)
#define MSR_VMX_TRUE_PINBASED_CTLS 0x48d
#define MSR_VMX_TRUE_PROCBASED_CTLS 0x48e
#define MSR_VMX_TRUE_EXIT_CTLS 0x48f
#define MSR_VMX_TRUE_ENTRY_CTLS 0x490

#define PIN_EXTERNAL_INTERRUPT BIT(0)
#define PIN_NMI BIT(3)
#define PIN_VIRTUAL_NMI BIT(5)
#define PIN_PREEMPTION_TIMER BIT(6)

#define PROC_INTR_WINDOW BIT(2)
#define PROC_HLT BIT(7)
#define PROC_INVLPG BIT(9)
#define PROC_MWAIT BIT(10)
#define PROC_CR3_LOAD BIT(15)
#define PROC_CR3_STORE BIT(16)
#define PROC_CR8_LOAD BIT(19)
#define PROC_CR8_STORE BIT(20)
#define PROC_NMI_WINDOW BIT(22)
#define PROC_UNCONDITIONAL_IO BIT(24)
#define PROC_IO_BITMAPS BIT(25)
#define PROC_MONITOR_TRAP BIT(27)
#define PROC_MONITOR BIT(29)
#define PROC_PAUSE BIT(30)
#define PROC_SECONDARY BIT(31)
#define PROC2_VPID BIT(5)

#define INVVPID_ADDRESS 0
#define INVVPID_SINGLE 1

#define VMEXIT_SAVE_DEBUG BIT(2)
#define VMEXIT_HOST_64 BIT(9)
#define VMENTRY_LOAD_DEBUG BIT(2)
#define VMENTRY_IA32E BIT(9)

enum vmcs_field {
	VPID = 0x0000,
	GUEST_ES_SELECTOR = 0x0800, /* then CS SS DS FS GS LDTR TR, in steps of 2, as enum seg */
	HOST_ES_SELECTOR = 0x0c00,
	HOST_CS_SELECTOR = 0x0c02,
	HOST_SS_SELECTOR = 0x0c04,
	HOST_DS_SELECTOR = 0x0c06,
	HOST_FS_SELECTOR = 0x0c08,
	HOST_GS_SELECTOR = 0x0c0a,
	HOST_TR_SELECTOR = 0x0c0c,
	IO_BITMAP_A = 0x2000,
	IO_BITMAP_B = 0x2002,
	VMCS_LINK_POINTER = 0x2800,
	GUEST_DEBUGCTL = 0x2802,
	PIN_CONTROLS = 0x4000,
	PROC_CONTROLS = 0x4002,
	EXCEPTION_BITMAP = 0x4004,
	PF_ERROR_MASK = 0x4006,
	PF_ERROR_MATCH = 0x4008,
	CR3_TARGET_COUNT = 0x400a,
	EXIT_CONTROLS = 0x400c,
	EXIT_MSR_STORE_COUNT = 0x400e,
	EXIT_MSR_LOAD_COUNT = 0x4010,
	ENTRY_CONTROLS = 0x4012,
	ENTRY_MSR_LOAD_COUNT = 0x4014,
	ENTRY_INTR_INFO = 0x4016,
	ENTRY_ERROR = 0x4018,
	ENTRY_INSN_LEN = 0x401a,
	PROC2_CONTROLS = 0x401e,
	INSTRUCTION_ERROR = 0x4400,
	EXIT_REASON = 0x4402,
	EXIT_INTR_INFO = 0x4404,
	EXIT_INTR_ERROR = 0x4406,
	IDT_VECTORING_INFO = 0x4408,
	IDT_VECTORING_ERROR = 0x440a,
	EXIT_INSN_LEN = 0x440c,
	GUEST_ES_LIMIT = 0x4800, /* ... TR, GDTR, IDTR */
	GUEST_ES_AR = 0x4814, /* ... TR */
	GUEST_INTERRUPTIBILITY = 0x4824,
	GUEST_ACTIVITY = 0x4826,
	GUEST_SYSENTER_CS = 0x482a,
	PREEMPTION_TIMER = 0x482e,
	HOST_SYSENTER_CS = 0x4c00,
	CR0_MASK = 0x6000,
	CR4_MASK = 0x6002,
	CR0_SHADOW = 0x6004,
	CR4_SHADOW = 0x6006,
	EXIT_QUALIFICATION = 0x6400,
	GUEST_CR0 = 0x6800,
	GUEST_CR3 = 0x6802,
	GUEST_CR4 = 0x6804,
	GUEST_ES_BASE = 0x6806, /* ... TR, GDTR, IDTR */
	GUEST_DR7 = 0x681a,
	GUEST_RSP = 0x681c,
	GUEST_RIP = 0x681e,
	GUEST_RFLAGS = 0x6820,
	GUEST_PENDING_DEBUG = 0x6822,
	GUEST_SYSENTER_ESP = 0x6824,
	GUEST_SYSENTER_EIP = 0x6826,
	HOST_CR0 = 0x6c00,
	HOST_CR3 = 0x6c02,
	HOST_CR4 = 0x6c04,
	HOST_FS_BASE = 0x6c06,
	HOST_GS_BASE = 0x6c08,
	HOST_TR_BASE = 0x6c0a,
	HOST_GDTR_BASE = 0x6c0c,
	HOST_IDTR_BASE = 0x6c0e,
	HOST_SYSENTER_ESP = 0x6c10,
	HOST_SYSENTER_EIP = 0x6c12,
	HOST_RIP = 0x6c16, /* HOST_RSP, 0x6c14: vmx_entry.S */
};

#define GUEST_SEG(first, s) ((first) + 2 * (s))
#define AR_UNUSABLE BIT(16)

#define INTERRUPTIBILITY_STI BIT(0)
#define INTERRUPTIBILITY_MOV_SS BIT(1)
#define INTERRUPTIBILITY_NMI BIT(3)

#define PENDING_DEBUG_BS BIT(14)

/* ENTRY_INTR_INFO, EXIT_INTR_INFO, IDT_VECTORING_INFO */
#define INTR_INFO_VECTOR 0xffu
#define INTR_INFO_TYPE_SHIFT 8
#define INTR_INFO_TYPE_INT1 5 /* privileged software exception */
#define INTR_INFO_ERROR BIT(11)
#define INTR_INFO_NMI_UNBLOCKED BIT(12) /* by the IRET that faulted */
#define INTR_INFO_VALID BIT(31)

#define REASON_ENTRY_FAILED BIT(31)

enum exit_reason { /* SDM vol. 3, appendix C */
	REASON_EXCEPTION = 0,
	REASON_EXTERNAL_INTERRUPT = 1,
	REASON_TRIPLE_FAULT = 2,
	REASON_INTR_WINDOW = 7,
	REASON_NMI_WINDOW = 8,
	REASON_TASK_SWITCH = 9,
	REASON_CPUID = 10,
	REASON_GETSEC = 11,
	REASON_HLT = 12,
	REASON_INVD = 13,
	REASON_INVLPG = 14,
	REASON_RSM = 17,
	REASON_VMCALL = 18,
	REASON_VMCLEAR = 19,
	REASON_VMXON = 27, /* the other VMX instructions lie between */
	REASON_CR = 28,
	REASON_IO = 30,
	REASON_RDMSR = 31,
	REASON_WRMSR = 32,
	REASON_MWAIT = 36,
	REASON_MONITOR_TRAP = 37,
	REASON_MONITOR = 39,
	REASON_PAUSE = 40,
	REASON_INVEPT = 50,
	REASON_PREEMPTION_TIMER = 52,
	REASON_INVVPID = 53,
	REASON_WBINVD = 54,
	REASON_XSETBV = 55,
	REASON_INVPCID = 58,
};

/* What the processor offers of what hv would like: const after enable(). */
struct vmx_caps {
	u32 revision;
	u32 pin, proc, exit, entry; /* controls that are always on */
	bool timer, monitor_trap, vpid;
	u32 timer_start;
	u64 cr0_fixed, cr4_fixed; /* bits that must be 1 */
	u64 cr4_allowed; /* bits that may be 1 */
};
extern struct vmx_caps vmx_caps;

#define VMX_MSRS 5 /* not in the VMCS; hv does not use them, so they stay loaded */

#define IOPM_FRAMES 2

struct vmx_vcpu {
	u64 vmcs_pa;
	u32 proc; /* controls that are always on for this guest */
	bool has_iopm;
	hfn_t iopm;
	u64 msrs[VMX_MSRS]; /* while another vCPU is loaded */
	u64 dr6;
	bool launched, failed;
	bool borrowed_tf; /* v->step without a monitor trap flag */
	struct event injected; /* at the last entry */
};

/* vmx_state.c */
u64 vmcs_read(enum vmcs_field f);
void vmcs_write(enum vmcs_field f, u64 value);
void vmx_load(struct vcpu *v); /* makes this vCPU's VMCS and MSRs the processor's */
void vmx_unload(struct vcpu *v); /* VMCLEAR, before the VMCS is freed */
void vmx_get_seg(struct vcpu *v, enum seg s, struct segment *out);
void vmx_set_seg(struct vcpu *v, enum seg s, const struct segment *in);
u8 vmx_cpl(struct vcpu *v);
bool vmx_get_msr(struct vcpu *v, u32 msr, u64 *value);
bool vmx_set_msr(struct vcpu *v, u32 msr, u64 value);
void vmx_dump(struct vcpu *v);

/* vmx_exit.c: fills v->exit from the VMCS */
void vmx_decode_exit(struct vcpu *v);

/* vmx_setup.c */
const char *vmx_probe(void);
const char *vmx_enable(void);
void vmx_init_vmcs(void);

/* vmx_entry.S: 0: the guest ran; 1: VMLAUNCH or VMRESUME refused at once */
int vmx_enter(u64 *regs, bool launched);
extern char vmx_exit_point[];

#endif
