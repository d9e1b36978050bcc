/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the Linux programs of host-tests/ share: TAP output, and knobs on the
 * arena that plays host memory (host.c).
 */
#ifndef HOST_TESTS_HOST_H
#define HOST_TESTS_HOST_H

#include "../hv/host.h"

/* ---- arena ---- */
u64 host_used(void); /* frames in use now: compare before and after to find leaks */
void host_limit(u64 frames); /* at most so many in use at once; ~0ull: all there are */

/* ---- TAP ---- */
/* One test point; `ok` and the name, returns ok.  On failure say more with tap_note(). */
bool tap_ok(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tap_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Prints the plan; the value for main() to return. */
int tap_done(void);

#endif
