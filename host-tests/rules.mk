# Linux programs that test parts of hv/ under ASan and UBSan: make check-host.
# A program is one line in HOST_TESTS and one HOST_SRC_<name> of its sources.
# HPA_BASE: clear of ASan's shadow memory, which covers 0x100000000000.
HOST_CFLAGS := -std=gnu11 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-strict-aliasing -DHPA_BASE=0x200000000000ull -Ihv -MMD -MP $(WARN)
HOST_TESTS += decode emul
HOST_SRC_decode := host-tests/decode.c host-tests/host.c hv/decode.c
HOST_SRC_emul := host-tests/emul.c host-tests/host.c hv/decode.c $(wildcard hv/emul*.c)

host_obj = $(patsubst %.c,$B/host-obj/%.o,$(1))

$B/host-obj/%.o: %.c Makefile host-tests/rules.mk
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) -c $< -o $@

define host_test
$B/host-tests/$(1): $(call host_obj,$(HOST_SRC_$(1)))
	@mkdir -p $$(@D)
	$(Q)$(CC) $(HOST_CFLAGS) $$^ -o $$@
endef
$(foreach t,$(HOST_TESTS),$(eval $(call host_test,$(t))))

HOST_BINARIES := $(HOST_TESTS:%=$B/host-tests/%)
host-tests: $(HOST_BINARIES)
check-host: $(HOST_BINARIES)
	$(Q)prove -e '' $(HOST_BINARIES)
.PHONY: host-tests check-host
