/* SPDX-License-Identifier: BSD-2-Clause */
#include "../guest-tests/lib/predict.h"
#include "reference.h"

void reference_predict(struct reference *r)
{
	struct predict_state s = {
		.cr0 = r->cr0, .cr3 = r->cr3, .cr4 = r->cr4, .efer = r->efer,
		.pdpte = { r->pdpte[0], r->pdpte[1], r->pdpte[2], r->pdpte[3] },
		.maxphyaddr = r->maxphyaddr, .pse36 = r->pse36, .page1g = r->page1g,
		.read = r->read, .ctx = r->ctx,
	};
	struct predict_access a = { .va = r->va, .kind = r->kind, .who = r->who, .ac = r->ac };
	struct prediction p = predict(&s, &a);

	r->fault = p.fault;
	r->error = p.fault ? p.err : 0;
	r->gpa = p.gpa;
	for (unsigned l = 0; l < 6; l++)
		r->must_set[l] = 0;
	for (unsigned i = 0; i < p.entries; i++)
		r->must_set[p.path[i].level] = p.path[i].must_set;
}

_Static_assert((int)REF_FETCH == (int)PREDICT_FETCH && (int)REF_IMPLICIT == (int)PREDICT_IMPLICIT, "the same numbers");
