/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plain integers, the manuals' constants and one-instruction wrappers.
 * Written apart from hv/x86.h on purpose: the guest tests share nothing with
 * hv/ but abi.h, so that one mistake cannot sit on both sides.
 * MODE_xxx and PT_LEVELS come from the make rule (one build for each mode).
 */
#ifndef LIB_ARCH_H
#define LIB_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;
typedef unsigned long ulong; /* a register */

#define BIT(n) (1ull << (n))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIB 0x100000ull

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR3_PWT BIT(3)
#define CR3_PCD BIT(4)

#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_PGE BIT(7)
#define CR4_OSFXSR BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_LA57 BIT(12)
#define CR4_PCIDE BIT(17)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define CR4_PKE BIT(22)

#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)

#define EFLAGS_RSV1 BIT(1)
#define EFLAGS_TF BIT(8)
#define EFLAGS_IF BIT(9)
#define EFLAGS_DF BIT(10)
#define EFLAGS_IOPL3 (BIT(12) | BIT(13))
#define EFLAGS_NT BIT(14)
#define EFLAGS_RF BIT(16)
#define EFLAGS_AC BIT(18)

#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7) /* levels 2 and 3 */
#define PTE_PAT BIT(7) /* level 1 */
#define PTE_G BIT(8)
#define PTE_PAT_LARGE BIT(12)
#define PTE_NX BIT(63) /* pae and above */

#define PF_P BIT(0)
#define PF_W BIT(1)
#define PF_U BIT(2)
#define PF_RSVD BIT(3)
#define PF_I BIT(4)

#define VEC_DE 0
#define VEC_DB 1
#define VEC_NMI 2
#define VEC_BP 3
#define VEC_OF 4
#define VEC_UD 6
#define VEC_NM 7
#define VEC_DF 8
#define VEC_TS 10
#define VEC_NP 11
#define VEC_SS 12
#define VEC_GP 13
#define VEC_PF 14
#define VEC_AC 17
#define VEC_USER 0x20 /* int $0x20 at CPL 3 ends user_call() */

#define MSR_TSC 0x10
#define MSR_PAT 0x277
#define MSR_EFER 0xc0000080u

#include "selectors.h"

/* Register reads that cannot fault at CPL 0.  Writes that may: see test.h. */
static inline ulong read_cr0(void) { ulong v; asm volatile("mov %%cr0,%0" : "=r"(v) : : "memory"); return v; }
static inline ulong read_cr2(void) { ulong v; asm volatile("mov %%cr2,%0" : "=r"(v) : : "memory"); return v; }
static inline ulong read_cr3(void) { ulong v; asm volatile("mov %%cr3,%0" : "=r"(v) : : "memory"); return v; }
static inline ulong read_cr4(void) { ulong v; asm volatile("mov %%cr4,%0" : "=r"(v) : : "memory"); return v; }
static inline void write_cr2(ulong v) { asm volatile("mov %0,%%cr2" : : "r"(v) : "memory"); }
static inline void load_cr3(ulong v) { asm volatile("mov %0,%%cr3" : : "r"(v) : "memory"); }
static inline void invlpg(u64 va) { asm volatile("invlpg (%0)" : : "r"((ulong)va) : "memory"); }
static inline ulong read_flags(void) { ulong v; asm volatile("pushf; pop %0" : "=r"(v) : : "memory"); return v; }
static inline void write_flags(ulong v) { asm volatile("push %0; popf" : : "r"(v) : "memory", "cc"); }
static inline void outb(u16 port, u8 v) { asm volatile("outb %0,%1" : : "a"(v), "Nd"(port)); }
static inline void outw(u16 port, u16 v) { asm volatile("outw %0,%1" : : "a"(v), "Nd"(port)); }
static inline u8 inb(u16 port) { u8 v; asm volatile("inb %1,%0" : "=a"(v) : "Nd"(port)); return v; }

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

static inline void cpuid(u32 leaf, u32 sub, u32 r[4])
{
	asm volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
}

#endif
