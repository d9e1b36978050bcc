/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every part of the hypervisor may use: console, assertions, memory,
 * options, port I/O.  hv/shadow/ and the decoder do not include this file;
 * they need host.h alone.
 */
#ifndef HV_HV_H
#define HV_HV_H

#include "host.h"
#include "types.h"
#include "x86.h"

/* console.c: 16550, polled */
void console_init(u16 port);
bool console_owns(u16 port); /* one of its ports? */
void console_putc(char c); /* raw byte, "\n" becomes "\r\n" */
/* Writes one line's worth of text; %s %c %d %u %x %lu %lx %llx %llu %p, flags 0 - # and width. */
void printk(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int snprintk(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Milliseconds since the TSC stood at `tsc` (vm->start_tsc). */
u64 clock_ms(u64 tsc);

/* power.c: waits for the UART, then ends the machine by every known way. */
__attribute__((noreturn)) void power_off(bool success);

/* mem.c: all RAM is mapped at HPA_BASE (host.h); frames are 4 KiB. */
/* host_alloc() and the like (host.h) live here too. */
u64 mem_frames_free(void);
hpa_t mem_hpa(const void *p); /* of a pointer into the direct map or the image */

/* lib.c */
void *memcpy(void *d, const void *s, size_t n);
void *memset(void *d, int c, size_t n);
void *memmove(void *d, const void *s, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);

/* cpu.h has the instructions (rdmsr, cpuid, in/out, ...) */

#endif
