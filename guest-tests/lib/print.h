/* SPDX-License-Identifier: BSD-2-Clause */
/* Console and formatted output: %c %s %d %u %x %p, l ll z, width, 0, - and .precision for %s. */
#ifndef LIB_PRINT_H
#define LIB_PRINT_H

#include <stdarg.h>
#include <stddef.h>

void console_init(void);
void console_char(char c);
void console_drain(void); /* until the UART has sent everything */
int print_to(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int print_vto(char *buf, size_t size, const char *fmt, va_list ap);
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void vprint(const char *fmt, va_list ap);

size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
void *memset(void *p, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
