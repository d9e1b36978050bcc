/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hv/host.h for Linux programs: host memory is an arena at HPA_BASE.  Every
 * frame that is not allocated is poisoned for AddressSanitizer, so that a use
 * after free or a wild frame number is reported where it happens.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "host.h"

#define FIRST_FRAME 0x100ull /* frame numbers near 0 are never valid: a zero entry must not hit */
#define END_FRAME 0x20000ull /* 512 MiB, below 4 GiB as host_alloc() promises */

void __asan_poison_memory_region(void const volatile *p, size_t n);
void __asan_unpoison_memory_region(void const volatile *p, size_t n);

static bool in_use[END_FRAME];
static u64 used, limit = ~0ull, hint = FIRST_FRAME;
static unsigned tests, failures;

__attribute__((constructor)) static void host_init(void)
{
	void *want = host_ptr(mk_hfn(FIRST_FRAME));
	size_t size = (END_FRAME - FIRST_FRAME) << PAGE_SHIFT;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;

	if (mmap(want, size, PROT_READ | PROT_WRITE, flags, -1, 0) != want) {
		printf("Bail out! no memory at %p\n", want);
		exit(1);
	}
	__asan_poison_memory_region(want, size);
}

void host_bug(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("Bail out! %s:%d: ", file, line);
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	fflush(NULL);
	abort();
}

int host_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap) { return vsnprintf(buf, size, fmt, ap); }

static bool run_is_free(u64 first, u64 frames)
{
	for (u64 i = first; i < first + frames; i++)
		if (in_use[i])
			return false;
	return true;
}

hfn_t host_alloc_run(u64 frames)
{
	u64 tried = 0, first = hint;

	if (!frames || frames > END_FRAME - FIRST_FRAME || limit < frames || used > limit - frames)
		return NO_HFN;
	for (; tried < END_FRAME; tried++, first++) {
		if (first + frames > END_FRAME)
			first = FIRST_FRAME;
		if (run_is_free(first, frames))
			break;
	}
	if (tried == END_FRAME)
		return NO_HFN;
	for (u64 i = first; i < first + frames; i++)
		in_use[i] = true;
	used += frames;
	hint = first + frames;
	__asan_unpoison_memory_region(host_ptr(mk_hfn(first)), frames << PAGE_SHIFT);
	return mk_hfn(first);
}

void host_free_run(hfn_t f, u64 frames)
{
	BUG_ON(f.v < FIRST_FRAME || f.v >= END_FRAME || frames > END_FRAME - f.v);
	for (u64 i = f.v; i < f.v + frames; i++) {
		BUG_ON(!in_use[i]);
		in_use[i] = false;
	}
	used -= frames;
	__asan_poison_memory_region(host_ptr(f), frames << PAGE_SHIFT);
}

hfn_t host_alloc(void)
{
	hfn_t f = host_alloc_run(1);

	if (f.v != NO_HFN.v)
		memset(host_ptr(f), 0, PAGE_SIZE);
	return f;
}

void host_free(hfn_t f) { host_free_run(f, 1); }

/* No devices here. */
bool host_is_device(hfn_t f)
{
	(void)f;
	return false;
}

void host_device_read(hpa_t at, void *buf, size_t len)
{
	(void)buf;
	BUG("read of %zu bytes from a device at %#llx", len, (unsigned long long)at.v);
}

void host_device_write(hpa_t at, const void *buf, size_t len)
{
	(void)buf;
	BUG("write of %zu bytes to a device at %#llx", len, (unsigned long long)at.v);
}

u64 host_used(void) { return used; }
void host_limit(u64 frames) { limit = frames; }

bool tap_ok(bool ok, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("%sok %u - ", ok ? "" : "not ", ++tests);
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	failures += !ok;
	return ok;
}

void tap_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("# ");
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
}

int tap_done(void)
{
	printf("1..%u\n", tests);
	fflush(stdout);
	return failures || !tests;
}
