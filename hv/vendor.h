/* SPDX-License-Identifier: BSD-2-Clause */
/* The choice of the back end. */
#ifndef HV_VENDOR_H
#define HV_VENDOR_H

#include "vcpu.h"

/*
 * `want`: "auto" (or empty), "svm" or "vmx".  Probes, enables, sets `vendor` and
 * returns NULL; else prints each reason and returns the last word on it.
 */
const char *vendor_choose(const char *want);

#endif
