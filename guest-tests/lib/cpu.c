/* SPDX-License-Identifier: BSD-2-Clause */
/* Features, control registers, descriptor tables: what a case starts with, and writes that may fault. */
#include "internal.h"

#define TSS_SIZE 104
#define LDT_NONE 0

struct cpu cpu;
ulong default_cr0, default_cr4;
u64 default_efer;
static bool have_efer;

u8 idt[256 * GATE_SIZE] __attribute__((aligned(4096)));
u8 tss[4096] __attribute__((aligned(4096)));

void cpu_read_features(void)
{
	u32 r[4], max, max_ext;

	cpuid(0, 0, r);
	max = r[0];
	cpu.intel = r[1] == 0x756e6547;
	cpuid(1, 0, r);
	cpu.pse = r[3] >> 3 & 1;
	cpu.pae = r[3] >> 6 & 1;
	cpu.pge = r[3] >> 13 & 1;
	cpu.pat = r[3] >> 16 & 1;
	cpu.pse36 = r[3] >> 17 & 1;
	cpu.sse = r[3] >> 25 & 1;
	cpu.sse2 = r[3] >> 26 & 1;
	cpu.cx16 = r[2] >> 13 & 1;
	cpu.pcid = r[2] >> 17 & 1;
	if (max >= 7) {
		cpuid(7, 0, r);
		cpu.fsgsbase = r[1] & 1;
		cpu.smep = r[1] >> 7 & 1;
		cpu.invpcid = r[1] >> 10 & 1;
		cpu.smap = r[1] >> 20 & 1;
		cpu.umip = r[2] >> 2 & 1;
		cpu.la57 = r[2] >> 16 & 1;
	}
	cpuid(0x80000000, 0, r);
	max_ext = r[0];
	cpu.maxphyaddr = cpu.pae || cpu.pse36 ? 36 : 32;
	if (max_ext >= 0x80000001) {
		cpuid(0x80000001, 0, r);
		cpu.nx = r[3] >> 20 & 1;
		cpu.page1g = r[3] >> 26 & 1;
		have_efer = cpu.nx || (r[3] >> 29 & 1);
	}
	if (max_ext >= 0x80000008) {
		cpuid(0x80000008, 0, r);
		cpu.maxphyaddr = r[0] & 0xff;
	}
}

INSN(do_cr0, "mov %0,%%cr0")
INSN(do_cr3, "mov %0,%%cr3")
INSN(do_cr4, "mov %0,%%cr4")

static ulong do_rdmsr(ulong msr, ulong to)
{
	u32 *v = (u32 *)to;

	asm volatile("rdmsr" : "=a"(v[0]), "=d"(v[1]) : "c"((u32)msr));
	return 0;
}

static ulong do_wrmsr(ulong msr, ulong from)
{
	const u32 *v = (const u32 *)from;

	asm volatile("wrmsr" : : "a"(v[0]), "d"(v[1]), "c"((u32)msr) : "memory");
	return 0;
}

struct fault write_cr0(ulong v) { return try(do_cr0, v, 0, NULL); }
struct fault write_cr3(ulong v) { return try(do_cr3, v, 0, NULL); }
struct fault write_cr4(ulong v) { return try(do_cr4, v, 0, NULL); }
struct fault rdmsr(u32 msr, u64 *v) { return try(do_rdmsr, msr, (ulong)v, NULL); }
struct fault wrmsr(u32 msr, u64 v) { return try(do_wrmsr, msr, (ulong)&v, NULL); }

u64 read_efer(void)
{
	u64 v = 0;

	if (have_efer)
		rdmsr(MSR_EFER, &v);
	return v;
}

struct fault write_efer(u64 v)
{
	return wrmsr(MSR_EFER, v);
}

void flush(void)
{
	load_cr3(read_cr3());
}

void flush_global(void)
{
	ulong cr4 = read_cr4();

	do_cr4(cr4 ^ CR4_PGE, 0);
	do_cr4(cr4, 0);
}

void set_gate(void *gate, ulong target, u16 selector, u8 type, u8 ist)
{
	u32 *g = gate;

	g[0] = (u32)selector << 16 | (target & 0xffff);
	g[1] = (target & 0xffff0000) | type << 8 | ist;
	if (GATE_SIZE == 16) {
		g[2] = (u64)target >> 32;
		g[3] = 0;
	}
}

void load_gdt(ulong base, u16 limit)
{
	struct table_ptr p = { limit, base };

	asm volatile("lgdt %0" : : "m"(p) : "memory");
}

void load_idt(ulong base, u16 limit)
{
	struct table_ptr p = { limit, base };

	asm volatile("lidt %0" : : "m"(p) : "memory");
}

void load_tss(ulong base, u16 limit)
{
	u64 b = base;

	gdt[SEL_TSS / 8] = limit | (b & 0xffffff) << 16 | 0x89ull << 40 | (b >> 24 & 0xff) << 56;
	gdt[SEL_TSS / 8 + 1] = b >> 32;
	asm volatile("ltr %w0" : : "r"(SEL_TSS) : "memory");
}

void set_segment_base(u16 selector, ulong base)
{
	u64 d = gdt[selector / 8] & 0x00ffff000000ffffull;
	u32 b = base;

	gdt[selector / 8] = d | (u64)(b & 0xffffff) << 16 | (u64)(b >> 24) << 56;
}

static void put_word(u8 *at, ulong v)
{
	memcpy(at, &v, sizeof(v));
}

static void build_tables(void)
{
	static u64 pristine[GDT_ENTRIES];
	static bool saved;

	if (!saved)
		memcpy(pristine, gdt, sizeof(pristine));
	saved = true;
	memcpy(gdt, pristine, sizeof(pristine));
	for (int i = 0; i < 256; i++)
		set_gate(idt + i * GATE_SIZE, (ulong)vectors + i * 16, SEL_KCODE, i == VEC_USER ? 0xee : 0x8e, 0);
	memset(tss, 0, sizeof(tss));
	put_word(tss + TSS_SP0, (ulong)trap_stack_top);
	tss[102] = TSS_SIZE; /* no I/O bitmap */
#ifdef __x86_64__
	put_word(tss + TSS_IST1, (ulong)df_stack_top);
	set_gate(idt + VEC_DF * GATE_SIZE, (ulong)vectors + VEC_DF * 16, SEL_KCODE, 0x8e, 1);
#else
	*(u16 *)(tss + 8) = SEL_KDATA; /* SS0 */
#endif
}

/* Descriptor tables and control registers as a case finds them. */
void cpu_reset(void)
{
	build_tables();
	load_gdt((ulong)gdt, GDT_ENTRIES * 8 - 1);
	load_idt((ulong)idt, 256 * GATE_SIZE - 1);
	load_tss((ulong)tss, TSS_SIZE - 1);
	asm volatile("lldt %w0" : : "r"(LDT_NONE));
	asm volatile("mov %0,%%ds; mov %0,%%es; mov %0,%%ss" : : "r"(SEL_KDATA) : "memory");
	asm volatile("mov %0,%%fs; mov %0,%%gs" : : "r"(0) : "memory");
	cpu_set_defaults();
}

void cpu_set_defaults(void)
{
	if (default_cr0 && read_cr0() != default_cr0)
		do_cr0(default_cr0, 0);
	if (default_cr4 && read_cr4() != default_cr4)
		do_cr4(default_cr4, 0);
	if (default_efer && read_efer() != default_efer)
		write_efer(default_efer);
}

void cpu_init(void)
{
	cpu_reset();
	outb(0x21, 0xff); /* PICs: nothing interrupts */
	outb(0xa1, 0xff);
	default_efer = read_efer();
	if (cpu.nx && PT_LEVELS >= 2) {
		default_efer |= EFER_NXE;
		write_efer(default_efer);
	}
	default_cr0 = (read_cr0() & CR0_PG) | CR0_PE | CR0_ET | CR0_NE | CR0_MP | (PT_LEVELS ? CR0_WP | CR0_PG : 0);
	default_cr4 = (PT_LEVELS == 2 && cpu.pse ? CR4_PSE : 0) | (PT_LEVELS >= 3 ? CR4_PAE : 0) |
		      (PT_LEVELS == 5 ? CR4_LA57 : 0) | (cpu.sse ? CR4_OSFXSR | CR4_OSXMMEXCPT : 0);
	do_cr4(default_cr4, 0);
}
