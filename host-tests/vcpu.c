/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vendor-neutral exit handlers on a back end that only keeps segments:
 * control-register rules, PDPTE loads, double faults, port I/O.  Instructions
 * stand in guest memory, an "exit" is told by filling in v->exit.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../hv/base.h"
#include "../hv/exit.h"
#include "host.h"

#define CODE 0x1000u
#define DATA 0x2000u
#define TABLES 0x3000u

static struct vm vm;
static struct vcpu *const v = &vm.vcpu;
static struct segment segs[NSEGS];
static u8 cpl;
static unsigned debug_queued, ports;
static u32 last_out;

/* ---- what the handlers stand on ---- */

static void get_seg(struct vcpu *u, enum seg s, struct segment *out)
{
	(void)u;
	*out = segs[s];
}

static u8 get_cpl(struct vcpu *u)
{
	(void)u;
	return cpl;
}

static void queue_debug(struct vcpu *u)
{
	(void)u;
	debug_queued++;
}

static bool no_msr(struct vcpu *u, u32 msr, u64 *value)
{
	(void)u;
	*value = msr;
	return msr == MSR_LSTAR;
}

static bool set_msr(struct vcpu *u, u32 msr, u64 value)
{
	(void)u;
	(void)value;
	return msr == MSR_LSTAR;
}

static void dump(struct vcpu *u) { (void)u; }
static u64 cr4_can_set(void) { return ~(u64)CR4_LA57; }
static unsigned tlb_tags(void) { return 1; }

/* The script: each entry sets up the next exit. */
static void (*next_exit)(void);
static struct event entered; /* what went in at the last entry */

static void run(struct vcpu *u)
{
	entered = u->inject;
	u->inject.valid = false;
	shadow_flushed(&u->mmu, u->mmu.flush);
	u->mmu.flush = SHADOW_FLUSH_NONE;
	u->exit = (struct vm_exit){ .kind = EXIT_UNKNOWN };
	next_exit();
}

const struct vendor svm_vendor = {
	.name = "host", .run = run, .get_seg = get_seg, .cpl = get_cpl, .get_msr = no_msr, .set_msr = set_msr,
	.dump = dump, .queue_debug = queue_debug, .cr4_can_set = cr4_can_set, .tlb_tags = tlb_tags,
};
const struct vendor *vendor = &svm_vendor;

void vm_fail(struct vm *m, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (m->result == VM_RUNNING)
		vsnprintf(m->why, sizeof(m->why), fmt, ap);
	va_end(ap);
	m->result = VM_FAIL;
}

void trace_exit(const struct vcpu *u) { (void)u; }
void trace_dump(void) {}
const char *exit_name(enum exit_kind k) { return k == EXIT_CR ? "cr" : "exit"; }
u64 clock_ms(u64 tsc) { return tsc * 0; }
bool vm_over_time(const struct vm *m) { return m->opt.limit_ms && clock_ms(m->start_tsc) > m->opt.limit_ms; }
bool idt_rdmsr(u32 msr, u64 *value) { return (void)msr, *value = 0, false; }
void passthrough_relay(struct vcpu *u) { (void)u; }
void passthrough_wait(struct vcpu *u) { (void)u; }
bool hypercall(struct vcpu *u) { u->regs[RAX] = 77; return true; }

u32 device_in(struct vm *m, u16 port, u8 size)
{
	(void)m;
	ports++;
	return 0xa0b0c000u + port + size;
}

void device_out(struct vm *m, u16 port, u8 size, u32 value)
{
	(void)m;
	(void)size;
	ports += port ? 1 : 0;
	last_out = value;
}

/* ---- a fresh guest ---- */

static void fresh(void)
{
	static struct shadow_vm *mem;
	const char *why;

	if (mem)
		shadow_vm_destroy(mem);
	memset(&vm, 0, sizeof(vm));
	memset(segs, 0, sizeof(segs));
	vm.opt.shadow = (struct shadow_config){
		.policy = POLICY_EMULATE, .pool = SHADOW_POOL_MIN, .ram_frames = 64, .maxphyaddr = 40, .pse36 = true,
	};
	vm.opt.refault_limit = 100;
	vm.mem = mem = shadow_vm_create(&vm.opt.shadow, &why);
	shadow_vcpu_init(&v->mmu, mem);
	v->vm = &vm;
	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		segs[i] = (struct segment){ 8, 0xc93, ~0u, 0 };
	segs[SEG_CS].attr = 0xc9b;
	cpl = 0;
	debug_queued = ports = 0;
	v->rip = CODE;
	v->rflags = RFLAGS_RSV1;
	cr_reset(v);
}

static void poke(u32 gpa, const void *p, unsigned n) { guestmem_write(vm.mem, mk_gpa(gpa), p, n); }
static void poke64(u32 gpa, u64 e) { poke(gpa, &e, 8); }

static bool gp(void)
{
	bool is = v->inject.valid && v->inject.vector == VEC_GP && v->inject.error == 0;

	v->inject.valid = false;
	return is;
}

/* An identity map of the first 2 MiB in each format. */
static void tables(void)
{
	for (unsigned i = 0; i < 4; i++)
		poke64(TABLES + 8 * i, i ? 0 : 0x4000 | PTE_P); /* PDPTEs */
	poke64(0x4000, PTE_P | PTE_W | PTE_PS);
	poke64(0x5000, 0x6000 | PTE_P | PTE_W); /* PML4 */
	poke64(0x6000, 0x4000 | PTE_P | PTE_W);
}

static bool long_mode(void)
{
	tables();
	return cr_write(v, 4, CR4_PAE) && cr_write(v, 3, 0x5000) && msr_write(v, MSR_EFER, EFER_LME | EFER_NXE) &&
	       cr_write(v, 0, CR0_PE | CR0_PG);
}

/* ---- control registers ---- */

static void test_cr0(void)
{
	fresh();
	tap_ok(!cr_write(v, 0, CR0_PG) && gp(), "PG without PE");
	tap_ok(!cr_write(v, 0, CR0_PE | CR0_NW) && gp(), "NW without CD");
	tap_ok(!cr_write(v, 0, CR0_PE | BIT(40)) && gp(), "CR0 above 32 bits");
	tap_ok(cr_write(v, 0, CR0_PE | BIT(6)) && v->cr0 == (CR0_PE | CR0_ET), "reserved low bits are ignored, ET is 1");
	tap_ok((v->hw.cr0 & (CR0_WP | CR0_PG | CR0_NE)) == (CR0_WP | CR0_PG | CR0_NE), "hardware runs with WP, PG, NE");
	tap_ok(!cr_write(v, 0, 0) && vm.result == VM_FAIL, "real mode: %s", vm.why);
}

static void test_cr4(void)
{
	u32 r[4];

	fresh();
	tap_ok(!cr_write(v, 4, CR4_VMXE) && gp(), "CR4.VMXE");
	tap_ok(!cr_write(v, 4, CR4_PCIDE) && gp(), "CR4.PCIDE");
	tap_ok(!cr_write(v, 4, CR4_LA57) && gp(), "CR4.LA57");
	tap_ok(!cr_write(v, 4, CR4_OSXSAVE) && gp(), "CR4.OSXSAVE");
	tap_ok(!cr_write(v, 4, BIT(31)) && gp() && v->cr4 == 0, "a reserved bit, nothing changed");
	cpuid_guest(v, 7, 0, r);
	tap_ok(cr_write(v, 4, CR4_SMEP) == !!(r[1] & BIT(7)), "SMEP as CPUID says");
	v->inject.valid = false;
	tap_ok(cr_write(v, 4, CR4_PGE | CR4_PSE) && v->cr4 == (CR4_PGE | CR4_PSE), "PGE and PSE");
	tap_ok(!(v->hw.cr4 & CR4_PGE) && (v->hw.cr4 & CR4_PAE), "hardware: PAE, never PGE");
}

static void test_pdptes(void)
{
	fresh();
	tables();
	cr_write(v, 4, CR4_PAE);
	cr_write(v, 3, TABLES);
	poke64(TABLES + 8, PTE_P | PTE_W);
	tap_ok(!cr_write(v, 0, CR0_PE | CR0_PG) && gp() && !(v->cr0 & CR0_PG), "PG with a bad PDPTE");
	poke64(TABLES + 8, PTE_W); /* not present: ignored */
	tap_ok(cr_write(v, 0, CR0_PE | CR0_PG) && v->mmu.paging.pdpte[0] == (0x4000 | PTE_P), "PG loads PDPTEs");
	poke64(TABLES, 0x7000 | PTE_P);
	tap_ok(cr_write(v, 0, v->cr0 | CR0_WP) && v->mmu.paging.pdpte[0] == (0x4000 | PTE_P), "WP does not");
	tap_ok(cr_write(v, 0, v->cr0 | CR0_CD) && v->mmu.paging.pdpte[0] == (0x7000 | PTE_P), "CD does");
	poke64(TABLES, 0x4000 | PTE_P);
	tap_ok(cr_write(v, 4, v->cr4 | CR4_DE) && v->mmu.paging.pdpte[0] == (0x7000 | PTE_P), "CR4.DE does not");
	tap_ok(cr_write(v, 4, v->cr4 | CR4_PGE) && v->mmu.paging.pdpte[0] == (0x4000 | PTE_P), "CR4.PGE does");
	poke64(TABLES + 0x20, 0x4000 | PTE_P | BIT(7));
	tap_ok(!cr_write(v, 3, TABLES + 0x20) && gp() && v->mmu.paging.cr3 == TABLES, "MOV CR3 to a bad one");
	poke64(TABLES + 0x20, 0x7000 | PTE_P);
	tap_ok(cr_write(v, 3, TABLES + 0x20 + 5) && v->mmu.paging.pdpte[0] == (0x7000 | PTE_P), "CR3 bits 5 to 11 count");
	tap_ok(!msr_write(v, MSR_EFER, EFER_LME), "LME while paging");
}

static void test_long(void)
{
	u64 value;

	fresh();
	msr_write(v, MSR_EFER, EFER_LME);
	tap_ok(!cr_write(v, 0, CR0_PE | CR0_PG) && gp(), "PG with LME, without PAE");
	segs[SEG_CS].attr |= SEG_ATTR_L;
	tables();
	cr_write(v, 4, CR4_PAE);
	tap_ok(!cr_write(v, 0, CR0_PE | CR0_PG) && gp(), "PG with LME and CS.L");
	segs[SEG_CS].attr &= ~SEG_ATTR_L;
	tap_ok(long_mode() && v->efer == (EFER_LME | EFER_LMA | EFER_NXE), "long mode");
	tap_ok(v->hw.efer == (EFER_LME | EFER_LMA | EFER_NXE), "hardware too");
	tap_ok(!cr_write(v, 4, 0) && gp(), "PAE off in long mode");
	tap_ok(!cr_write(v, 3, BIT(40)) && gp(), "CR3 beyond MAXPHYADDR");
	tap_ok(cr_write(v, 3, 0x5fff) && cr_read(v, 3, &value) && value == 0x5fff, "CR3 reads back");
	segs[SEG_CS].attr |= SEG_ATTR_L;
	tap_ok(!cr_write(v, 0, CR0_PE) && gp(), "PG off in 64-bit code");
	tap_ok(!msr_write(v, MSR_EFER, BIT(12)), "EFER.SVME");
	tap_ok(!msr_write(v, MSR_LSTAR, 1ull << 60) && msr_write(v, MSR_LSTAR, ~0ull), "LSTAR is canonical");
	tap_ok(!msr_write(v, MSR_PAT, 2) && msr_write(v, MSR_PAT, 0x0606060606060606), "PAT types");
	tap_ok(!msr_read(v, MSR_APIC_BASE, &value), "no APIC");
	segs[SEG_CS].attr &= ~SEG_ATTR_L;
	tap_ok(cr_write(v, 0, CR0_PE) && v->efer == (EFER_LME | EFER_NXE) && !(v->hw.efer & EFER_LMA), "and out again");
}

/* ---- events ---- */

static int second(int first, u8 vector)
{
	fresh();
	if (first >= 0)
		v->inject = (struct event){ true, EVENT_EXCEPTION, first, true, 0, 0 };
	event_exception(v, vector, true, 5);
	return vm.result == VM_FAIL ? -1 : v->inject.vector;
}

static void test_double_fault(void)
{
	static const u8 contributory[] = { 0, 10, 11, 12, 13 };

	for (unsigned i = 0; i < ARRAY_SIZE(contributory); i++) {
		u8 c = contributory[i];

		tap_ok(second(c, VEC_GP) == VEC_DF && v->inject.error == 0, "%u then #GP", c);
		tap_ok(second(VEC_PF, c) == VEC_DF, "#PF then %u", c);
		tap_ok(second(c, VEC_PF) == VEC_PF, "%u then #PF is serial", c);
		tap_ok(second(VEC_DF, c) == -1, "#DF then %u", c);
		tap_ok(second(VEC_UD, c) == c && second(c, VEC_UD) == VEC_UD, "%u and #UD", c);
	}
	tap_ok(second(VEC_PF, VEC_PF) == VEC_DF, "#PF then #PF");
	tap_ok(second(VEC_DF, VEC_PF) == -1, "#DF then #PF");
	tap_ok(second(-1, VEC_GP) == VEC_GP && v->inject.error == 5 && (v->rflags & RFLAGS_RF), "plain #GP sets RF");
	fresh();
	v->inject = (struct event){ true, EVENT_INTR, VEC_PF, false, 0, 0 };
	event_page_fault(v, mk_gva(0x1234), 2);
	tap_ok(v->inject.vector == VEC_PF && v->cr2 == 0x1234, "an interrupt is no exception, whatever its vector");
}

static void test_windows(void)
{
	fresh();
	event_intr(v, 0x40);
	event_prepare(v);
	tap_ok(!v->inject.valid && v->want_intr_window, "IF=0: a window");
	v->rflags |= RFLAGS_IF;
	v->intr_shadow = true;
	event_prepare(v);
	tap_ok(!v->inject.valid && v->want_intr_window, "interrupt shadow: a window");
	v->intr_shadow = false;
	event_nmi(v);
	event_prepare(v);
	tap_ok(v->inject.valid && v->inject.type == EVENT_NMI && v->want_intr_window, "the NMI first");
	v->inject.valid = false;
	v->nmi_blocked = true;
	event_nmi(v);
	event_prepare(v);
	tap_ok(v->inject.valid && v->inject.vector == 0x40 && v->want_nmi_window && !v->want_intr_window,
	       "the interrupt while NMIs are blocked");
}

/* ---- exits ---- */

static void exit_with(struct vm_exit e)
{
	v->exit = e;
	if (e.kind == EXIT_CR)
		exit_cr(v);
	else if (e.kind == EXIT_IO)
		exit_io(v);
	else if (e.kind == EXIT_INVLPG)
		fault_invlpg(v);
}

static void code(const char *bytes, unsigned n)
{
	v->rip = CODE;
	poke(CODE, bytes, n);
}

#define RUN(bytes, ...) (code(bytes, sizeof(bytes) - 1), exit_with((struct vm_exit){ __VA_ARGS__ }))

static void test_cr_exits(void)
{
	u32 word = 0;

	fresh();
	v->regs[RBX] = 0xffffffff00000000ull | CR4_DE;
	RUN("\x0f\x22\xe3", .kind = EXIT_CR); /* mov cr4, ebx */
	tap_ok(v->cr4 == CR4_DE && v->rip == CODE + 3, "mov cr4, ebx");
	RUN("\x0f\x20\xe7", .kind = EXIT_CR); /* mov edi, cr4 */
	tap_ok(v->regs[RDI] == CR4_DE, "mov edi, cr4");
	v->regs[RAX] = 0xffff000e;
	RUN("\x0f\x01\xf0", .kind = EXIT_CR); /* lmsw ax */
	tap_ok(v->cr0 == (CR0_PE | CR0_ET | CR0_MP | CR0_EM | CR0_TS), "lmsw ax sets, keeps PE");
	RUN("\x0f\x06", .kind = EXIT_CR);
	tap_ok(!(v->cr0 & CR0_TS) && v->rip == CODE + 2, "clts");
	v->regs[RSI] = DATA;
	RUN("\x0f\x01\x26", .kind = EXIT_CR); /* smsw [esi] */
	guestmem_read(vm.mem, mk_gpa(DATA), &word, 4);
	tap_ok(word == (v->cr0 & 0xffff), "smsw [esi]");
	RUN("\x0f\x01\x36", .kind = EXIT_CR); /* lmsw [esi] */
	tap_ok(v->cr0 == (CR0_PE | CR0_ET | CR0_MP | CR0_EM), "lmsw [esi]");
	v->rflags |= RFLAGS_TF;
	RUN("\x0f\x22\xd8", .kind = EXIT_CR); /* mov cr3, eax */
	tap_ok(v->mmu.paging.cr3 == 0xffff000e && debug_queued == 1, "mov cr3, eax under TF");
	v->rflags &= ~RFLAGS_TF;
	RUN("\x0f\x22\xe9", .kind = EXIT_CR); /* mov cr5, ecx */
	tap_ok(v->inject.vector == VEC_UD && v->rip == CODE, "CR5 is undefined");
	v->inject.valid = false;
	RUN("\x0f\x01\x3e", .kind = EXIT_INVLPG);
	tap_ok(v->rip == CODE + 3, "invlpg [esi]");
}

static void test_io(void)
{
	u8 out[8];

	fresh();
	v->regs[RAX] = 0x1122334455667788ull;
	RUN("\xe4\x10", .kind = EXIT_IO, .port = 0x10, .size = 1, .in = true);
	tap_ok(v->regs[RAX] == 0x1122334455667711ull && v->rip == CODE + 2, "in al");
	RUN("\x66\xed", .kind = EXIT_IO, .port = 0x10, .size = 2, .in = true);
	tap_ok(v->regs[RAX] == 0x112233445566c012ull, "in ax");
	RUN("\xed", .kind = EXIT_IO, .port = 0x10, .size = 4, .in = true);
	tap_ok(v->regs[RAX] == 0xa0b0c014ull, "in eax is zero-extended");
	poke(DATA, "abcdef", 6);
	v->regs[RSI] = DATA;
	v->regs[RCX] = 5;
	RUN("\xf3\x6e", .kind = EXIT_IO, .port = 0x3f8, .size = 1, .string = true, .rep = true);
	tap_ok(last_out == 'e' && v->regs[RCX] == 0 && v->regs[RSI] == DATA + 5 && v->rip == CODE + 2, "rep outsb");
	v->regs[RCX] = 0;
	ports = 0;
	RUN("\xf3\x6e", .kind = EXIT_IO, .port = 0x3f8, .size = 1, .string = true, .rep = true);
	tap_ok(!ports && v->rip == CODE + 2, "rep outsb, nothing to do");
	v->regs[RDI] = DATA + 4;
	v->regs[RCX] = 2;
	v->rflags |= RFLAGS_DF;
	RUN("\xf3\x6d", .kind = EXIT_IO, .port = 1, .size = 4, .in = true, .string = true, .rep = true);
	guestmem_read(vm.mem, mk_gpa(DATA), out, 8);
	tap_ok(!memcmp(out, "\x05\xc0\xb0\xa0\x05\xc0\xb0\xa0", 8) && v->regs[RDI] == DATA - 4, "rep insd, backwards");
	tables();
	cr_write(v, 4, CR4_PAE);
	cr_write(v, 3, TABLES);
	cr_write(v, 0, CR0_PE | CR0_PG);
	v->rflags &= ~RFLAGS_DF;
	v->regs[RDI] = 0x1ffffe; /* into the next page, which is not there */
	ports = 0;
	RUN("\x6d", .kind = EXIT_IO, .port = 1, .size = 4, .in = true, .string = true);
	tap_ok(v->inject.vector == VEC_PF && v->cr2 == 0x200000 && !ports && v->rip == CODE, "insd faults before the port");
}

/* A write to a table by an instruction that nobody decodes, under the run loop. */
static unsigned step;

static void script(void)
{
	switch (step++) {
	case 0: /* the fetch: from now on 0x4000 is a table */
		v->exit.kind = EXIT_PAGE_FAULT;
		v->exit.gva = mk_gva(CODE);
		v->exit.error = PF_ERR_I;
		break;
	case 1: /* fist dword [esi] */
		v->exit.kind = EXIT_PAGE_FAULT;
		v->exit.gva = mk_gva(0x4008);
		v->exit.error = PF_ERR_W | PF_ERR_P;
		break;
	case 2:
		tap_ok(shadow_is_open(&v->mmu), "open for the unknown instruction");
		poke64(0x4010, 0x800000 | PTE_P | PTE_PS | PTE_A);
		v->rip += 2;
		v->exit.kind = EXIT_HLT;
		break;
	default:
		v->exit.kind = EXIT_TRIPLE_FAULT;
	}
}

static void test_run(void)
{
	fresh();
	tables();
	cr_write(v, 4, CR4_PAE);
	cr_write(v, 3, TABLES);
	cr_write(v, 0, CR0_PE | CR0_PG);
	vm.opt.shadow.audit = 2;
	code("\xdb\x16\xf4", 3); /* fist dword [esi]; hlt */
	v->regs[RSI] = 0x4008;
	next_exit = script;
	step = 0;
	vcpu_run(v);
	tap_ok(step == 3 && vm.exits[EXIT_PAGE_FAULT] == 2 && vm.exits[EXIT_HLT] == 1, "three exits");
	tap_ok(vm.result == VM_FAIL && !strncmp(vm.why, "guest halted", 12), "%s", vm.why);
}

static void stuck(void)
{
	v->exit.kind = EXIT_PAGE_FAULT;
	v->exit.gva = mk_gva(0x5000);
	v->exit.error = PF_ERR_P;
}

static void test_stuck(void)
{
	fresh();
	next_exit = stuck;
	vcpu_run(v);
	tap_ok(vm.exits[EXIT_PAGE_FAULT] == vm.opt.refault_limit + 1, "%s", vm.why);
}

/* One page fault during the delivery of `e`; what goes in at the next entry. */
static struct event in_flight;
static u64 fault_at;

static void one_fault(void)
{
	if (step++) {
		v->exit.kind = EXIT_TRIPLE_FAULT;
		return;
	}
	v->exit.kind = EXIT_PAGE_FAULT;
	v->exit.gva = mk_gva(fault_at);
	v->exit.error = PF_ERR_W;
	v->exit.vectoring = in_flight;
}

static struct event after_fault(enum event_type type, u8 vector, u64 gva)
{
	fresh();
	tables();
	cr_write(v, 4, CR4_PAE);
	cr_write(v, 3, TABLES);
	cr_write(v, 0, CR0_PE | CR0_PG);
	v->cr2 = 0x99;
	in_flight = (struct event){ true, type, vector, vector == VEC_PF, 7, 0 };
	fault_at = gva;
	next_exit = one_fault;
	step = 0;
	vcpu_run(v);
	return entered;
}

static void test_delivery(void)
{
	struct event e = after_fault(EVENT_INTR, 0x40, 0x10000);

	tap_ok(e.valid && e.type == EVENT_INTR && e.vector == 0x40 && v->cr2 == 0x99, "a hidden fault loses no interrupt");
	e = after_fault(EVENT_EXCEPTION, VEC_PF, 0x10000);
	tap_ok(e.valid && e.vector == VEC_PF && e.error == 7 && v->cr2 == 0x99, "nor a #PF, nor its CR2");
	e = after_fault(EVENT_INTR, 0x40, 0x200000);
	tap_ok(e.valid && e.vector == VEC_PF && e.error == PF_ERR_W && v->cr2 == 0x200000, "a guest fault in delivery");
	e = after_fault(EVENT_EXCEPTION, VEC_PF, 0x200000);
	tap_ok(e.valid && e.vector == VEC_DF && e.has_error && v->cr2 == 0x200000, "and in that of a #PF: #DF");
	e = after_fault(EVENT_EXCEPTION, VEC_DF, 0x200000);
	tap_ok(!strncmp(vm.why, "triple fault", 12), "and in that of a #DF: %s", vm.why);
}

static void test_cpuid(void)
{
	u32 r[4];

	fresh();
	cpuid_guest(v, 1, 0, r);
	tap_ok(!(r[2] & (BIT(3) | BIT(5) | BIT(17) | BIT(21) | BIT(24) | BIT(26) | BIT(27) | BIT(28))) && r[2] >> 31,
	       "no MONITOR VMX PCID x2APIC TSC-deadline XSAVE AVX");
	tap_ok(!(r[3] & (BIT(7) | BIT(9) | BIT(12) | BIT(14))) && r[3] & BIT(6), "no MCE APIC MTRR MCA, but PAE");
	cpuid_guest(v, 7, 0, r);
	tap_ok(!(r[1] & BIT(10)) && !(r[2] & (BIT(3) | BIT(16))), "no INVPCID PKU LA57");
	cpuid_guest(v, 0x80000001, 0, r);
	tap_ok(!(r[2] & BIT(2)) && !(r[3] & (BIT(26) | BIT(27))), "no SVM, RDTSCP, nor 1 GiB pages unless configured");
	cpuid_guest(v, 0x80000008, 0, r);
	tap_ok(r[0] == (40 | 48 << 8), "MAXPHYADDR as configured");
	cpuid_guest(v, 0x40000000, 0, r);
	tap_ok(r[0] == 0x40000001 && !memcmp(r + 1, "umbraumbraum", 12), "umbra");
}

int main(void)
{
	test_delivery();
	test_cpuid();
	test_cr0();
	test_cr4();
	test_pdptes();
	test_long();
	test_double_fault();
	test_windows();
	test_cr_exits();
	test_io();
	test_run();
	test_stuck();
	return tap_done();
}
