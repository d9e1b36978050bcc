/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest tests' predictor, for programs that also include hv/: both sides
 * define the manual's constants for themselves, so they meet in plain numbers.
 */
#ifndef HOST_TESTS_REFERENCE_H
#define HOST_TESTS_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

enum { REF_READ, REF_WRITE, REF_FETCH };
enum { REF_SUPER, REF_USER, REF_IMPLICIT };

struct reference {
	uint64_t cr0, cr3, cr4, efer, pdpte[4]; /* in */
	uint32_t maxphyaddr;
	bool pse36, page1g;
	unsigned long long (*read)(void *ctx, unsigned long long gpa, uint32_t size);
	void *ctx;
	uint64_t va;
	int kind, who;
	bool ac;

	bool fault; /* out */
	uint32_t error;
	uint64_t gpa;
	uint64_t must_set[6]; /* A and D, by level */
};

void reference_predict(struct reference *r);

#endif
