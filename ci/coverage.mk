# SPDX-License-Identifier: BSD-2-Clause
# make coverage: hv/shadow/, the decoder and the emulator, as the host tests and the guests reach them.
# COVER_ROWS= takes the guests' runs from other sets of ci/matrix (rows of svm-tcg); empty: no guests.
COVER_ROWS ?= cover
COVER := -O0 --coverage -Wno-error
COVER_HOST = $(filter-out -O1 -fsanitize=% -fno-sanitize-recover=% -MMD -MP,$(HOST_CFLAGS)) -fsanitize=address -MMD -MP $(COVER)
COVER_HV = $(HV_CFLAGS) $(COVER) -fprofile-info-section

# A build folder of its own for each; nothing of gcov is linked into umbra (see ci/gcov-ram).
coverage: guests
	$(Q)rm -rf $B/coverage/data
	+$(Q)$(MAKE) --no-print-directory B=$B/coverage/host HOST_CFLAGS="$(COVER_HOST)" host-tests
	+$(Q)$(MAKE) --no-print-directory B=$B/coverage/hv HV_CFLAGS="$(COVER_HV)" \
		HV_LDFLAGS=-Wl,--defsym=__gcov_merge_add=0 $B/coverage/hv/umbra.elf
	$(Q)ci/coverage $(COVER_ROWS)
.PHONY: coverage
