# Guest tests: build/guest-tests/NAME/MODE.elf for each line of tests.list whose source exists.
GT := guest-tests
GT_TESTS := $(shell awk '!/^\#/ && NF { for (i = 2; i < NF; i++) print $$1 "/" $$i }' $(GT)/tests.list)
GT_ALL := $(foreach t,$(GT_TESTS),$(if $(wildcard $(GT)/$(firstword $(subst /, ,$t)).c),$t))
GT_C := case cpu fault host info mem predict print string tables tag umbra writers
GT_CFLAGS := $(FREESTANDING) $(filter-out -Wundef,$(WARN)) -fno-toplevel-reorder -I$(GT)/lib
GT_32 := -m32 -march=i686 -mregparm=3
GT_64 := -m64 -mno-red-zone -mcmodel=small
gt_flat := $(GT_32) -DPT_LEVELS=0 -DMODE_FLAT
gt_pse := $(GT_32) -DPT_LEVELS=2 -DMODE_PSE
gt_pae := $(GT_32) -DPT_LEVELS=3 -DMODE_PAE
gt_64 := $(GT_64) -DPT_LEVELS=4 -DMODE_64
gt_la57 := $(GT_64) -DPT_LEVELS=5 -DMODE_LA57
gt_entry = $(if $(filter 64 la57,$(1)),entry64,entry32)
gt_user_vma = $(if $(filter flat,$(1)),0,0x3000000)
GT_NAMES = -DTEST_NAME='"$(1)"' -DTEST_MODE='"$(2)"'

guests: $(GT_ALL:%=$B/$(GT)/%.elf)

# $(1): mode.  The library once for each mode, then every test of that mode.
define gt_mode_rules
$B/$(GT)/lib/$(1)/%.o: $(GT)/lib/%.c $(GT)/rules.mk
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(GT_CFLAGS) $(gt_$(1)) -c $$< -o $$@
$B/$(GT)/lib/$(1)/%.o: $(GT)/lib/%.S $(GT)/rules.mk
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(GT_CFLAGS) $(gt_$(1)) -c $$< -o $$@
$B/$(GT)/%/$(1).o: $(GT)/%.c $(GT)/rules.mk
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(GT_CFLAGS) $(gt_$(1)) -c $$< -o $$@
$B/$(GT)/%/$(1).elf: $B/$(GT)/%/$(1).o $(GT)/lib/name.c $(GT)/lib/link.lds $(addprefix $B/$(GT)/lib/$(1)/,$(addsuffix .o,boot prim $(call gt_entry,$(1)) $(GT_C)))
	$$(Q)$$(CC) $$(GT_CFLAGS) $(gt_$(1)) $$(call GT_NAMES,$$*,$(1)) -c $(GT)/lib/name.c -o $$(@D)/$(1).name.o
	$$(Q)$$(CC) $(gt_$(1)) -nostdlib -static -no-pie -Wl,-z,max-page-size=4096 -Wl,--build-id=none -Wl,--no-warn-rwx-segments \
		-Wl,--defsym=USER_VMA=$(call gt_user_vma,$(1)) -T $(GT)/lib/link.lds $$(filter %.o,$$^) $$(@D)/$(1).name.o -o $$@.linked
	$$(Q)objcopy -O elf32-i386 $$@.linked $$@
endef
$(foreach m,flat pse pae 64 la57,$(eval $(call gt_mode_rules,$m)))
# The files of a folder NAME/ belong to test NAME.
$(foreach t,$(GT_ALL),$(eval $B/$(GT)/$t.elf: \
	$(patsubst $(GT)/%.c,$B/$(GT)/%/$(notdir $t).o,$(wildcard $(GT)/$(dir $t)*.c))))
