/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The paging half of a processor for hv/shadow/ to run under, which forgets
 * only what it must: what it once read from the shadow tables, whole
 * translations and upper entries, it keeps under the address-space tag of that
 * moment until a flush covers it (SDM vol. 3, 4.10 and 29.4; APM vol. 2, 5.5 and
 * 15.16).  Where it remembers something it uses that or the tables, at random.
 */
#ifndef HOST_TESTS_PROCESSOR_H
#define HOST_TESTS_PROCESSOR_H

#include "../hv/shadow/private.h"

struct processor_result {
	u64 hpa;
	u8 pat_index;
};

void processor_reset(u32 (*rnd)(u32 n));
/* What the back end does before an entry: the flush that is owed under the current tag. */
void processor_flush(const struct shadow_vcpu *sv);
/* false: a page fault. */
bool processor_access(const struct shadow_vcpu *sv, u64 gva, const struct shadow_access *a, struct processor_result *r);
unsigned long processor_recalled(void); /* accesses by a translation that it kept */
/* Walks ahead of the program: a translation to remember, if there is one. */
void processor_speculate(const struct shadow_vcpu *sv, u64 gva);

#endif
