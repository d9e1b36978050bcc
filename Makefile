# umbra: one Makefile, not recursive.  V=1 shows commands; CC, QEMU, BOCHS may be set.
#
#   make run            builds build/umbra.iso and boots it in QEMU
#   make check          the default matrix; PLATFORMS= TESTS= OPTIONS= narrow it; check-full: the larger one
#   make check-host     parts of hv/ as Linux programs under ASan and UBSan
#   make mutants        does the suite notice hundreds of mistakes made on purpose?  M= picks some
#   make list           platforms, tests and options
#   make coverage           lines and branches of hv/shadow/ and the decoder that host tests and guests reach
#   make bench lint clean
#   make deps           installs what is missing; goes before any of them: make deps check
MAKEFLAGS += -r
AFTER_DEPS := $(and $(filter deps,$(MAKECMDGOALS)),$(filter-out deps,$(MAKECMDGOALS)))
ifneq ($(AFTER_DEPS),)
# On a fresh machine nothing else may begin before the packages are there, not even with -j.
$(AFTER_DEPS): after-deps
after-deps: deps
	+@$(MAKE) --no-print-directory $(AFTER_DEPS)
deps:
	@ci/deps
.PHONY: deps after-deps $(AFTER_DEPS)
else

ifeq ($(origin CC),default)
CC := gcc
endif
QEMU ?= qemu-system-x86_64
BOCHS ?= bochs
B := build
# make bench Q=A5: the recipes' own Q is taken back
QUESTIONS := $(if $(filter command,$(firstword $(origin Q))),$(Q))
override Q := $(if $(V),,@)

all: $B/umbra.elf guests

WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wundef -Werror
FREESTANDING := -std=gnu11 -O2 -g -ffreestanding -fno-pic -no-pie -fno-stack-protector -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-strict-aliasing -mgeneral-regs-only -MMD -MP

# ---- hv ---------------------------------------------------------------------
HV_CFLAGS := $(FREESTANDING) $(WARN) -m64 -mno-red-zone -mcmodel=small -Ihv
SHADOW_MODES := g0_on_s3 g2_on_s2 g2_on_s3 g3_on_s3 g4_on_s4 g5_on_s5
SHADOW_SRC := $(filter-out hv/shadow/mode.c,$(wildcard hv/shadow/*.c))
shadow_mode_flags = -DMODE_NAME=shadow_$(1) -DGUEST_LEVELS=$(patsubst g%,%,$(word 1,$(subst _, ,$(1)))) \
	-DSHADOW_LEVELS=$(patsubst s%,%,$(word 3,$(subst _, ,$(1))))
HV_SRC := $(wildcard hv/*.c hv/svm/*.c hv/vmx/*.c) $(SHADOW_SRC)
HV_OBJ := $(patsubst %.S,$B/%.o,$(wildcard hv/*.S hv/svm/*.S hv/vmx/*.S)) $(HV_SRC:%.c=$B/%.o) \
	$(SHADOW_MODES:%=$B/hv/shadow/shadow_%.o)

$B/hv/%.o: hv/%.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_CFLAGS) -c $< -o $@
$B/hv/%.o: hv/%.S Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_CFLAGS) -c $< -o $@
# One source, one object for each pair of guest and shadow levels: shadow_g3_on_s3.o
$B/hv/shadow/shadow_%.o: hv/shadow/mode.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_CFLAGS) $(call shadow_mode_flags,$*) -c $< -o $@

$B/umbra.elf: $(HV_OBJ) hv/hv.lds
	$(Q)$(CC) -m64 -nostdlib -static -no-pie -Wl,-z,max-page-size=4096 -Wl,--build-id=none -Wl,--no-warn-rwx-segments \
		-T hv/hv.lds $(HV_LDFLAGS) $(HV_OBJ) -o $B/umbra.elf64
	$(Q)objcopy -O elf32-i386 $B/umbra.elf64 $@

-include host-tests/rules.mk guest-tests/rules.mk ci/coverage.mk

# ---- iso and ci -------------------------------------------------------------
HOSTILE := $(addprefix $B/guest-tests/hostile/,flat.elf pse.elf pae.elf 64.elf)
BENCH := $(foreach t,bench bench-writes bench-layout bench-space bench-host,$(addprefix $B/guest-tests/$t/,pse.elf pae.elf 64.elf))
TESTED := $B/umbra.elf guests

$B/umbra.iso: $B/umbra.elf $(GT_ALL:%=$B/guest-tests/%.elf) iso/mkiso iso/menu.cfg guest-tests/tests.list
	$(Q)iso/mkiso $@
iso: $B/umbra.iso

export B QEMU BOCHS
run: $B/umbra.iso $(TESTED)
	@ci/boot iso-bios all $(OPTIONS)
check: $B/umbra.iso $(TESTED) $(HOSTILE)
	@ci/check check
check-full: $B/umbra.iso $(TESTED) $(HOSTILE)
	@ci/check full
bench: $(TESTED) $(BENCH)
	@ci/bench $(QUESTIONS)
bad-input: $(TESTED) $(HOSTILE)
	@ci/bad-input
mutants: $(TESTED)
	@ci/mutate run $(foreach m,$(M),'$(m)')
list:
	@ci/list
lint:
	@ci/lint "$(CC)" "$(HV_CFLAGS)"
deps:
	@ci/deps
.PHONY: iso run check check-full bench bad-input mutants list lint deps

-include $(shell find $B -name '*.d' 2>/dev/null)

clean:
	rm -rf $B
.PHONY: all clean guests
.SECONDARY: # objects stay, however they were reached
endif
