/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual processor as vendor-neutral code sees it, and the table behind
 * which the two back ends (hv/svm/, hv/vmx/) stand.
 */
#ifndef HV_VCPU_H
#define HV_VCPU_H

#include "hv.h"
#include "shadow/shadow.h"

enum reg { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, NREGS };
enum seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEG_GDTR, SEG_IDTR, NSEGS };

struct segment {
	u16 selector;
	u16 attr; /* VMCB/descriptor layout: type 0-3, S 4, DPL 5-6, P 7, AVL 8, L 9, D/B 10, G 11; 0: unusable */
	u32 limit; /* bytes, expanded */
	u64 base;
};

#define SEG_ATTR_P BIT(7)
#define SEG_ATTR_L BIT(9)
#define SEG_ATTR_DB BIT(10)
#define SEG_ATTR_G BIT(11)

enum event_type { /* the numbers of VMX interruption types */
	EVENT_INTR = 0,
	EVENT_NMI = 2,
	EVENT_EXCEPTION = 3,
	EVENT_SOFT_INT = 4, /* INT n */
	EVENT_SOFT_EXCEPTION = 6, /* INT3, INTO */
};

struct event {
	bool valid;
	enum event_type type;
	u8 vector;
	bool has_error;
	u32 error;
	u8 insn_len; /* software events: bytes to step over, 0 if unknown */
};

enum exit_kind {
	EXIT_PAGE_FAULT, /* gva, error */
	EXIT_EXCEPTION, /* an intercepted exception other than #PF: vector, error */
	EXIT_DEBUG, /* #DB while single stepping was asked for: `dr6` bits pending */
	EXIT_INTR, /* host interrupt; already taken by the host when run() returns */
	EXIT_NMI,
	EXIT_INTR_WINDOW,
	EXIT_NMI_WINDOW,
	EXIT_CPUID,
	EXIT_HLT,
	EXIT_PAUSE,
	EXIT_INVLPG, /* has_gva: gva is the operand's linear address, else decode */
	EXIT_INVPCID,
	EXIT_CR, /* MOV to/from CR, CLTS, LMSW, SMSW: decode at RIP */
	EXIT_RDMSR,
	EXIT_WRMSR,
	EXIT_IO, /* port, size, in, string, rep */
	EXIT_HYPERCALL,
	EXIT_XSETBV,
	EXIT_WBINVD,
	EXIT_VM_INSN, /* a VMX or SVM instruction: #UD */
	EXIT_TASK_SWITCH,
	EXIT_TRIPLE_FAULT,
	EXIT_ENTRY_FAILED, /* the processor refused the state; `reason`, info1, info2 tell */
	EXIT_ISOLATION, /* hardware ran on a root or control bits that hv did not set */
	EXIT_UNKNOWN,
	NEXITS,
};

struct vm_exit {
	enum exit_kind kind;
	u64 reason, info1, info2; /* as the processor gave them, for the log */
	gva_t gva;
	bool has_gva;
	u8 vector;
	bool has_error;
	u32 error;
	u64 dr6;
	u8 insn_len; /* 0: unknown, decode */
	u16 port;
	u8 size; /* I/O bytes: 1, 2, 4 */
	bool in, string, rep;
	struct event vectoring; /* the event whose delivery this exit cut short; normalised, fit to re-inject */
};

struct vm;

struct vcpu_progress { /* fault.c: does the guest get anywhere between two page faults? */
	u64 rip, gva, regs[NREGS];
};

struct vcpu {
	u64 regs[NREGS]; /* by enum reg; RSP too */
	u64 rip, rflags;
	u64 cr0, cr2, cr4, efer; /* the guest's view; cr3, PDPTEs and PAT live in mmu.paging */
	struct shadow_vcpu mmu;

	struct { /* what the hardware runs on: written by cr.c, loaded and checked by run() */
		u64 cr0, cr3, cr4, efer;
	} hw;

	bool intr_shadow; /* in: to be loaded (where the platform can), out: as saved: STI or MOV SS shadow */
	bool nmi_blocked; /* an NMI was delivered and no IRET retired */
	struct event inject; /* goes in at the next entry; cleared by run() when it was taken */
	struct event pending_nmi, pending_intr; /* wait for their window */
	bool want_intr_window, want_nmi_window;
	bool step; /* single step for hv: TF or MTF; EXIT_DEBUG follows */

	/* The FPU and SSE state of the guest stays in the registers: hv is built without them. */
	struct vm *vm;
	void *arch; /* the back end's own */
	struct vm_exit exit;
	struct vcpu_progress progress;
	bool entry_tf; /* the guest's own TF at the last entry: what EXIT_DEBUG may owe it */
};

struct vendor {
	const char *name; /* "svm", "vmx" */
	const char *(*probe)(void); /* NULL: usable; else why not, naming the CPUID bit or MSR */
	const char *(*enable)(void); /* once; NULL or why not */
	unsigned (*tlb_tags)(void); /* address-space tags that mmu.tag may name, at least 1 */
	u64 (*cr4_can_set)(void); /* the bits that a guest's hardware CR4 may have */
	bool (*vcpu_init)(struct vcpu *v); /* reset state: flat 32-bit segments; false: out of memory */
	void (*vcpu_free)(struct vcpu *v);
	/*
	 * Enters the guest with regs, rip, rflags, cr2, hw, inject, windows, step and the
	 * flush of mmu as in *v, and returns after one exit with all of them and v->exit filled in.
	 */
	void (*run)(struct vcpu *v);
	void (*get_seg)(struct vcpu *v, enum seg s, struct segment *out); /* GDTR, IDTR: base and limit only */
	void (*set_seg)(struct vcpu *v, enum seg s, const struct segment *in);
	u8 (*cpl)(struct vcpu *v);
	/* MSRs that the back end switches (STAR.., SYSENTER.., FS/GS/KERNEL_GS base); false: not one of mine. */
	bool (*get_msr)(struct vcpu *v, u32 msr, u64 *value);
	bool (*set_msr)(struct vcpu *v, u32 msr, u64 value);
	void (*dump)(struct vcpu *v); /* raw control state, for the panic */
	void (*queue_debug)(struct vcpu *v); /* a #DB (BS) is owed: TF was set over an instruction that hv skipped */
};

extern const struct vendor svm_vendor, vmx_vendor;
extern const struct vendor *vendor; /* the chosen one */

/* ---- exit.c: one exit handled; vcpu_run() until the VM ends ---- */
void vcpu_run(struct vcpu *v);

/* ---- event.c ---- */
/* The guest's own exception: double-fault rules against v->inject (a cut-short delivery) applied. */
void event_exception(struct vcpu *v, u8 vector, bool has_error, u32 error);
void event_page_fault(struct vcpu *v, gva_t gva, u32 error); /* also sets CR2 */
void event_intr(struct vcpu *v, u8 vector); /* an external interrupt becomes pending */
void event_nmi(struct vcpu *v);
void event_prepare(struct vcpu *v); /* before each entry: chooses what to inject, asks for windows */
/* The instruction at RIP is done: RIP += len, the interrupt shadow ends, TF is honoured. */
void vcpu_skip(struct vcpu *v, u8 len);

/* ---- cr.c, cpuid.c, msr.c ---- */
void cr_reset(struct vcpu *v); /* guest and hardware control registers of a Multiboot entry */
bool cr_write(struct vcpu *v, unsigned cr, u64 value); /* false: #GP was queued */
bool cr_read(struct vcpu *v, unsigned cr, u64 *value);
void cr_sync_hw(struct vcpu *v); /* v->hw from the guest's view and v->mmu */
bool msr_read(struct vcpu *v, u32 msr, u64 *value); /* false: the caller queues #GP */
bool msr_write(struct vcpu *v, u32 msr, u64 value);
void cpuid_guest(struct vcpu *v, u32 leaf, u32 subleaf, u32 out[4]);
void cpuid_shadow_config(struct shadow_config *cfg); /* maxphyaddr, page1g, pse36, la57 from the host, before the VM is made */

static inline bool vcpu_is_long(const struct vcpu *v) { return v->efer & EFER_LMA; }
static inline bool vcpu_is_paged(const struct vcpu *v) { return v->cr0 & CR0_PG; }

/* ---- trace.c: the last 64 exits ---- */
void trace_exit(const struct vcpu *v);
void trace_dump(void);
const char *exit_name(enum exit_kind k);

#endif
