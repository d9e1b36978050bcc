# Linux programs that test parts of hv/ under ASan and UBSan: make check-host.
# A program is one line in HOST_TESTS and one HOST_SRC_<name> of its sources.
# HPA_BASE: clear of ASan's shadow memory, which covers 0x100000000000.
HOST_CFLAGS := -std=gnu11 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-strict-aliasing -DHPA_BASE=0x200000000000ull -Ihv -MMD -MP $(WARN)
HOST_TESTS += decode emul emul_native
HOST_DECODER := host-tests/host.c $(wildcard hv/decode*.c)
HOST_EMUL := $(HOST_DECODER) host-tests/world.c $(wildcard hv/emul*.c)
HOST_SRC_decode := host-tests/decode.c $(HOST_DECODER)
HOST_SRC_emul := host-tests/emul.c host-tests/emul_more.c $(HOST_EMUL)
HOST_SRC_emul_native := host-tests/emul_native.c host-tests/native_forms.c host-tests/native_gen.c $(HOST_EMUL)
HOST_TESTS += shadow walk
HOST_SRC_shadow := host-tests/shadow.c host-tests/processor.c host-tests/host.c $(SHADOW_SRC)
HOST_MODES_shadow := y
HOST_SRC_walk := host-tests/walk.c host-tests/reference.c guest-tests/lib/predict.c host-tests/host.c $(SHADOW_SRC)
HOST_MODES_walk := y
HOST_TESTS += vcpu
HOST_SRC_vcpu := host-tests/vcpu.c host-tests/host.c $(wildcard hv/decode*.c hv/emul*.c) $(SHADOW_SRC) \
	$(addprefix hv/,exit.c fault.c exit_cr.c exit_io.c access.c event.c cr.c cpuid.c msr.c)
HOST_MODES_vcpu := y

host_obj = $(patsubst %.c,$B/host-obj/%.o,$(1))

$B/host-obj/%.o: %.c Makefile host-tests/rules.mk
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) -c $< -o $@

$B/host-obj/hv/shadow/shadow_%.o: hv/shadow/mode.c Makefile host-tests/rules.mk
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) $(call shadow_mode_flags,$*) -c $< -o $@

define host_test
$B/host-tests/$(1): $(call host_obj,$(HOST_SRC_$(1))) $(if $(HOST_MODES_$(1)),$(SHADOW_MODES:%=$B/host-obj/hv/shadow/shadow_%.o))
	@mkdir -p $$(@D)
	$(Q)$(CC) $(HOST_CFLAGS) $$^ -o $$@
endef
$(foreach t,$(HOST_TESTS),$(eval $(call host_test,$(t))))

HOST_BINARIES := $(HOST_TESTS:%=$B/host-tests/%)
host-tests: $(HOST_BINARIES)
check-host: $(HOST_BINARIES)
	$(Q)prove -e '' $(HOST_BINARIES)
.PHONY: host-tests check-host
