/* SPDX-License-Identifier: BSD-2-Clause */
/* The run: memory, console, options, the processor's extension, then one guest after the other. */
#include "base.h"
#include "cpu.h"
#include "vendor.h"

void main_start(u32 magic, u32 mbi);

/* `*` is any text, `?` one character. */
static bool match(const char *glob, const char *s)
{
	for (; *glob; glob++, s++) {
		if (*glob == '*') {
			do
				if (match(glob + 1, s))
					return true;
			while (*s++);
			return false;
		}
		if (!*s || (*glob != '?' && *glob != *s))
			return false;
	}
	return !*s;
}

static bool wanted(const struct boot_module *m, const struct options *o)
{
	char name[80];

	multiboot_owner(m, name, sizeof(name));
	if (*name)
		return false;
	vm_name(m->string, name, sizeof(name));
	return match(o->only, name);
}

/* A module for a guest that is not there is a slip of the pen. */
static void check_owners(void)
{
	char owner[80], name[80];

	for (u32 i = 0; i < boot_info.nmodules; i++) {
		bool found = false;

		multiboot_owner(&boot_info.modules[i], owner, sizeof(owner));
		for (u32 j = 0; *owner && j < boot_info.nmodules; j++) {
			multiboot_owner(&boot_info.modules[j], name, sizeof(name));
			if (!*name) {
				vm_name(boot_info.modules[j].string, name, sizeof(name));
				found = found || !strcmp(name, owner);
			}
		}
		if (*owner && !found)
			panic_bail("module %u is for %s, and there is no such guest", i + 1, owner);
	}
}

static const char *cpu_brand(char brand[49])
{
	u32 r[4];

	cpuid(0x80000000, 0, r);
	brand[0] = 0;
	for (u32 i = 0; r[0] >= 0x80000004 && i < 3; i++)
		cpuid(0x80000002 + i, 0, (u32 *)(void *)(brand + 16 * i));
	brand[48] = 0;
	for (u32 i = 48; i && (!brand[i] || brand[i] == ' '); i--)
		brand[i] = 0;
	while (*brand == ' ')
		brand++;
	return *brand ? brand : "unnamed processor";
}

/* What the shadow MMU translates guest memory types to. */
static void init_pat(void)
{
	u32 r[4];

	cpuid(1, 0, r);
	if (r[3] & BIT(16))
		wrmsr(MSR_PAT, SHADOW_HOST_PAT);
}

static void choose_vendor(const struct options *o)
{
	char want[16];
	const char *why = vendor_choose(options_text(o, OPT_VENDOR, want, sizeof(want)));

	if (why)
		panic_bail("%s", why);
}

/* Errors in the options are reported on the console that they may have named. */
static void init_options(struct options *o)
{
	char why[160];
	bool good;

	options_default(o);
	good = options_parse(o, boot_info.cmdline, why, sizeof(why));
	console_init(o->value[OPT_CONSOLE]);
	printk("\nUMBRA\nTAP version 14\n");
	if (!good)
		panic_bail("%s", why);
	if (o->value[OPT_HELP]) {
		options_help();
		power_off(true);
	}
}

static bool run_all(const struct options *o, unsigned count)
{
	unsigned results[VM_SKIP + 1] = { 0 }, number = 0;

	printk("1..%u\n", count);
	for (u32 i = 0; i < boot_info.nmodules; i++)
		if (wanted(&boot_info.modules[i], o))
			results[vm_run_module(&boot_info.modules[i], o, ++number)]++;
	printk("# done: %u passed, %u failed, %u skipped\n", results[VM_PASS], results[VM_FAIL], results[VM_SKIP]);
	return !results[VM_FAIL];
}

void main_start(u32 magic, u32 mbi)
{
	struct options o;
	unsigned count = 0;
	char brand[49];

	console_init(0x3f8);
	idt_init();
	if (!multiboot_parse(magic, mbi))
		panic_bail("not started by a Multiboot loader: EAX %#x", magic);
	init_options(&o);
	mem_init();
	init_pat();
	clock_init();
	clock_tick_start();
	for (u32 i = 0; i < boot_info.nmodules; i++)
		count += wanted(&boot_info.modules[i], &o);
	if (boot_info.dropped)
		panic_bail("%u modules more than the %u that umbra takes", boot_info.dropped, BOOT_MAX_MODULES);
	if (!boot_info.nmodules)
		panic_bail("no guest: the boot loader gave no module");
	check_owners();
	if (!count)
		panic_bail("no guest: no module is named %s", o.only);
	choose_vendor(&o);
	printk("# umbra %s %s\n", vendor->name, cpu_brand(brand));
	printk("# memory: %lu MiB free\n", mem_frames_free() >> (20 - PAGE_SHIFT));
	options_show(&o);
	power_off(run_all(&o, count));
}
