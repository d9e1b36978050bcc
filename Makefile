# umbra: one Makefile, not recursive.  V=1 shows commands; CC, QEMU, BOCHS may be set.
MAKEFLAGS += -r
CC ?= gcc
QEMU ?= qemu-system-x86_64
BOCHS ?= bochs
B := build
Q := $(if $(V),,@)

all: $B/umbra.elf guests

WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wundef -Werror
FREESTANDING := -std=gnu11 -O2 -g -ffreestanding -fno-pic -no-pie -fno-stack-protector -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-strict-aliasing -mgeneral-regs-only -MMD -MP

# ---- hv ---------------------------------------------------------------------
HV_CFLAGS := $(FREESTANDING) $(WARN) -m64 -mno-red-zone -mcmodel=small -Ihv
SHADOW_MODES := g0_on_s3 g2_on_s2 g2_on_s3 g3_on_s3 g4_on_s4
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
		-T hv/hv.lds $(HV_OBJ) -o $B/umbra.elf64
	$(Q)objcopy -O elf32-i386 $B/umbra.elf64 $@

-include host-tests/rules.mk guest-tests/rules.mk
-include $(shell find $B -name '*.d' 2>/dev/null)

clean:
	rm -rf $B
.PHONY: all clean guests
