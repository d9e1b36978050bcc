/* SPDX-License-Identifier: BSD-2-Clause */
/* Which back end runs the guests: the one asked for, else the first that the processor has. */
#include "vendor.h"

const struct vendor *vendor;

static const struct vendor *const vendors[] = { &vmx_vendor, &svm_vendor };

static const char *try(const struct vendor *candidate)
{
	const char *why = candidate->probe();

	if (!why)
		why = candidate->enable();
	if (why)
		printk("# %s: %s\n", candidate->name, why);
	else
		vendor = candidate;
	return why;
}

const char *vendor_choose(const char *want)
{
	bool any = !*want || !strcmp(want, "auto"), known = any;
	const char *why = NULL;

	for (unsigned i = 0; i < ARRAY_SIZE(vendors) && !vendor; i++) {
		if (!any && strcmp(want, vendors[i]->name))
			continue;
		known = true;
		why = try(vendors[i]);
	}
	if (vendor)
		return NULL;
	if (!known)
		return "vendor: auto, svm or vmx";
	return any ? "neither VMX nor SVM can be used (reasons above)" : why;
}
