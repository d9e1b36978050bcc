/* SPDX-License-Identifier: BSD-2-Clause */
/* The C library functions that hv and the compiler itself call. */
#include "hv.h"

/* Eight bytes at a time: an emulator counts every step of REP. */
void *memcpy(void *d, const void *s, size_t n)
{
	size_t words = n / 8, bytes = n % 8;
	void *to = d;

	__asm__ volatile("rep movsq" : "+D"(to), "+S"(s), "+c"(words) : : "memory");
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(s), "+c"(bytes) : : "memory");
	return d;
}

void *memset(void *d, int c, size_t n)
{
	size_t words = n / 8, bytes = n % 8;
	u64 fill = (u8)c * 0x0101010101010101ull;
	void *to = d;

	__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(fill) : "memory");
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(fill) : "memory");
	return d;
}

void *memmove(void *d, const void *s, size_t n)
{
	u8 *to = (u8 *)d + n - 1;
	const u8 *from = (const u8 *)s + n - 1;

	if ((uintptr_t)d - (uintptr_t)s >= n)
		return memcpy(d, s, n);
	__asm__ volatile("std; rep movsb; cld" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return d;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, ~0ul);
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++)
		if (*a != *b || !*a)
			return (u8)*a - (u8)*b;
	return 0;
}
