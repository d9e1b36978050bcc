/* SPDX-License-Identifier: BSD-2-Clause */
/* The GDT's layout, for C and assembly. */
#ifndef LIB_SELECTORS_H
#define LIB_SELECTORS_H

#define SEL_KCODE32 0x08
#define SEL_KDATA 0x10
#define SEL_UCODE32 0x1b
#define SEL_UDATA 0x23
#define SEL_KCODE64 0x28
#define SEL_UCODE64 0x33
#define SEL_TSS 0x38 /* two slots */
#define SEL_LDT 0x48 /* two slots */
#define SEL_SPARE 0x58 /* free for tests up to GDT_ENTRIES */
#define GDT_ENTRIES 32

#ifdef __x86_64__
#define SEL_KCODE SEL_KCODE64
#define SEL_UCODE SEL_UCODE64
#else
#define SEL_KCODE SEL_KCODE32
#define SEL_UCODE SEL_UCODE32
#endif

#endif
