/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plain integers, and the address kinds that a shadow MMU must never mix up.
 * Addresses and entries are one-field structs: mk_gpa(x) boxes, .v unboxes.
 */
#ifndef HV_TYPES_H
#define HV_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int32_t s32;
typedef int64_t s64;

typedef struct { u64 v; } gva_t; /* guest linear address; 32 bits unless the guest is in long mode */
typedef struct { u64 v; } gpa_t; /* guest physical address, byte */
typedef struct { u64 v; } gfn_t; /* guest frame number, gpa >> 12 */
typedef struct { u64 v; } hpa_t; /* host physical address, byte */
typedef struct { u64 v; } hfn_t; /* host frame number, hpa >> 12 */
typedef struct { u64 v; } gpte_t; /* a guest entry as read, widened to 64 bits */
typedef struct { u64 v; } spte_t; /* a shadow entry, widened to 64 bits */

static inline gva_t mk_gva(u64 v) { return (gva_t){ v }; }
static inline gpa_t mk_gpa(u64 v) { return (gpa_t){ v }; }
static inline gfn_t mk_gfn(u64 v) { return (gfn_t){ v }; }
static inline hpa_t mk_hpa(u64 v) { return (hpa_t){ v }; }
static inline hfn_t mk_hfn(u64 v) { return (hfn_t){ v }; }
static inline gpte_t mk_gpte(u64 v) { return (gpte_t){ v }; }
static inline spte_t mk_spte(u64 v) { return (spte_t){ v }; }

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ul

static inline gfn_t gpa_to_gfn(gpa_t a) { return mk_gfn(a.v >> PAGE_SHIFT); }
static inline gpa_t gfn_to_gpa(gfn_t f) { return mk_gpa(f.v << PAGE_SHIFT); }
static inline hfn_t hpa_to_hfn(hpa_t a) { return mk_hfn(a.v >> PAGE_SHIFT); }
static inline hpa_t hfn_to_hpa(hfn_t f) { return mk_hpa(f.v << PAGE_SHIFT); }

#define NO_HFN mk_hfn(~0ull)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define BIT(n) (1ull << (n))

#endif
