/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The predictor (T1): what the manuals say an access does, from the control
 * registers, the entries along the path and the access.  Intel SDM vol. 3 ch. 4,
 * AMD APM vol. 2 ch. 5.  It touches no hardware and no memory but through
 * `read`, so it is also a Linux program's reference.  Not modelled: protection
 * keys (would be one more right per leaf), shadow stacks, memory types.
 */
#ifndef LIB_PREDICT_H
#define LIB_PREDICT_H

#include "arch.h"

#define PREDICT_LEVELS 5

enum predict_kind { PREDICT_READ, PREDICT_WRITE, PREDICT_FETCH }; /* a read-modify-write is a write */
enum predict_who { PREDICT_SUPER, PREDICT_USER, PREDICT_IMPLICIT };

struct predict_state {
	u64 cr0, cr3, cr4, efer;
	u64 pdpte[4]; /* PAE paging: the registers, not memory */
	u32 maxphyaddr; /* bits */
	bool pse36, page1g; /* CPUID */
	u64 (*read)(void *ctx, u64 gpa, u32 size); /* an entry of 4 or 8 bytes */
	void *ctx;
};

struct predict_access {
	u64 va;
	enum predict_kind kind;
	enum predict_who who;
	bool ac; /* EFLAGS.AC */
};

struct predict_entry { /* one entry of the path that lies in memory, top first */
	u64 gpa, value;
	u32 size; /* bytes */
	int level;
	u64 must_set, may_set; /* A and D bits that the access sets, or that a processor is free to set */
};

struct prediction {
	bool fault; /* #PF, CR2 = va */
	u32 err;
	u64 gpa; /* of the byte, when there is no fault */
	int leaf_level; /* 0: paging is off, or the walk ended at an entry that is not present or has reserved bits */
	u32 entries;
	struct predict_entry path[PREDICT_LEVELS];
};

struct prediction predict(const struct predict_state *s, const struct predict_access *a);

/* ---- in pieces: for walks that begin at, or translations that come from, something cached ---- */

struct predict_rights {
	bool w, u, x; /* AND of R/W, AND of U/S, no execute-disable */
};
#define PREDICT_ALL_RIGHTS ((struct predict_rights){ true, true, true })

enum predict_what { PREDICT_NOT_PRESENT, PREDICT_RESERVED, PREDICT_TABLE, PREDICT_LEAF };

/* One entry that a walk for va finds at a level: *r loses what the entry does not give; *gpa is the table, or the byte at va. */
enum predict_what predict_entry(const struct predict_state *s, u64 va, u64 e, int level, struct predict_rights *r, u64 *gpa);

/* May the access be done with the rights of a path; the error code that goes with P and RSVD. */
bool predict_allowed(const struct predict_state *s, const struct predict_access *a, struct predict_rights r);
u32 predict_error(const struct predict_state *s, const struct predict_access *a, u32 bits);

#endif
