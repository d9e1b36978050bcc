/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that hv/shadow/ and the decoder ask of the world they run in.  hv/ gives
 * them the direct map and the panic; the Linux build (make check-host) gives
 * them an arena and abort().
 */
#ifndef HV_HOST_H
#define HV_HOST_H

#include <stdarg.h>
#include "types.h"

#ifndef HPA_BASE
#define HPA_BASE 0xffff800000000000ull /* the direct map of all RAM */
#endif

/* A host frame as memory.  The one place where a frame number becomes a pointer. */
static inline void *host_ptr(hfn_t f) { return (void *)(HPA_BASE + (f.v << PAGE_SHIFT)); }

/* Prints what, where, the vCPU and the last exits, then ends the run ("Bail out!"). */
__attribute__((noreturn, format(printf, 3, 4))) void host_bug(const char *file, int line, const char *fmt, ...);

/* For what guest input cannot cause.  A guest-caused state is never a BUG. */
#define BUG(...) host_bug(__FILE__, __LINE__, __VA_ARGS__)
#define BUG_ON(cond)                              \
	do {                                      \
		if (__builtin_expect(!!(cond), 0)) \
			BUG("%s", #cond);         \
	} while (0)

/* A zeroed frame below 4 GiB (a PAE root must be there); NO_HFN when out of memory. */
hfn_t host_alloc(void);
void host_free(hfn_t f);
/* `frames` contiguous frames, not zeroed (tables of the p2m and the pool); NO_HFN when out of memory. */
hfn_t host_alloc_run(u64 frames);
void host_free_run(hfn_t f, u64 frames);

/* Is there something on the bus that is not RAM of the machine: a device, ROM, ACPI tables?  What nobody claims counts too. */
bool host_is_device(hfn_t f);
/* Frames of devices are not in the direct map.  An access of 1, 2, 4 or 8 aligned bytes reaches the device as one. */
void host_device_read(hpa_t at, void *buf, size_t len);
void host_device_write(hpa_t at, const void *buf, size_t len);

int host_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap); /* as snprintk() */

void *memcpy(void *d, const void *s, size_t n);
void *memset(void *d, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
