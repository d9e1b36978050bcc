/* SPDX-License-Identifier: BSD-2-Clause */
/* Who this kernel is: compiled once for each test and mode. */
#include "test.h"

const char test_name[] = TEST_NAME, mode_name[] = TEST_MODE;
