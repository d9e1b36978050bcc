/* SPDX-License-Identifier: BSD-2-Clause */
/* What the loader left (Multiboot 1 or PVH), the arena of test frames, and the way out. */
#include "internal.h"

#define MB1_LOADER_MAGIC 0x2badb002
#define MB1_MEMORY BIT(0)
#define MB1_CMDLINE BIT(2)
#define MB1_MMAP BIT(6)
#define PVH_MAGIC 0x336ec578
#define RAM_TYPE 1
#define MAPPED_END (32 * MIB)
#define ARENA_MIN (12 * MIB)
#define ARENA_ALIGN (4 * MIB)

char command_line[512];
u64 arena_start, arena_end;

struct mb1_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
};

struct mb1_mmap {
	u32 size;
	u64 base, length;
	u32 type;
} __attribute__((packed));

struct pvh_info {
	u32 magic, version, flags, nr_modules;
	u64 modlist, cmdline, rsdp, memmap;
	u32 entries, reserved;
};

struct pvh_mmap {
	u64 base, length;
	u32 type, reserved;
};

static void take_command_line(u64 at)
{
	const char *s = (const char *)(ulong)at;

	for (u32 i = 0; at && i + 1 < sizeof(command_line) && s[i]; i++)
		command_line[i] = s[i];
}

/* The first aligned run of RAM below 32 MiB that is large enough: OVMF leaves holes at 8 MiB. */
static void consider(u64 base, u64 length)
{
	u64 start = (base + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1), end = base + length;

	if (start < ARENA_ALIGN)
		start = ARENA_ALIGN;
	if (end > MAPPED_END)
		end = MAPPED_END;
	end &= ~(ARENA_ALIGN - 1);
	if (arena_end || end < start + ARENA_MIN)
		return;
	arena_start = start;
	arena_end = end;
}

static void read_mb1(const struct mb1_info *mb)
{
	if (mb->flags & MB1_CMDLINE)
		take_command_line(mb->cmdline);
	if (!(mb->flags & MB1_MMAP)) {
		if (mb->flags & MB1_MEMORY)
			consider(MIB, (u64)mb->mem_upper << 10);
		return;
	}
	for (u32 at = mb->mmap_addr; at < mb->mmap_addr + mb->mmap_length;) {
		const struct mb1_mmap *m = (const void *)(ulong)at;

		if (m->type == RAM_TYPE)
			consider(m->base, m->length);
		at += m->size + 4;
	}
}

static void read_pvh(const struct pvh_info *pvh)
{
	const struct pvh_mmap *m = (const void *)(ulong)pvh->memmap;

	take_command_line(pvh->cmdline);
	if (!pvh->version || !pvh->entries)
		consider(MIB, MAPPED_END - MIB);
	for (u32 i = 0; pvh->version && i < pvh->entries; i++)
		if (m[i].type == RAM_TYPE)
			consider(m[i].base, m[i].length);
}

void boot_read_info(void)
{
	const void *info = (const void *)(ulong)boot_info;

	if (boot_info >= MAPPED_END - PAGE_SIZE)
		fatal("boot information at %x, outside the first 32 MiB", boot_info);
	if (boot_magic == MB1_LOADER_MAGIC)
		read_mb1(info);
	else if (*(const u32 *)info == PVH_MAGIC)
		read_pvh(info);
	else
		fatal("neither Multiboot 1 nor PVH started this kernel");
	if (!arena_end)
		fatal("no 12 MiB of RAM in one piece between 4 and 32 MiB");
}

void power_off(int result)
{
	console_drain();
	outb(UMBRA_PORT_EXIT, result); /* umbra, QEMU's isa-debug-exit */
	for (const char *s = "Shutdown"; *s; s++)
		outb(0x8900, *s); /* Bochs */
	outw(0x604, 0x2000); /* ACPI S5: QEMU pc and q35, Bochs */
	outw(0xb004, 0x2000);
	for (;;)
		asm volatile("cli; hlt");
}

void fatal(const char *fmt, ...)
{
	va_list ap;

	print("Bail out! %s/%s: ", test_name, mode_name);
	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
	print("\n");
	power_off(UMBRA_EXIT_FAIL);
}

static void skip_all(const char *why)
{
	print("TAP version 14\n1..0 # SKIP %s\n# done %s/%s SKIP 0/0\n", why, test_name, mode_name);
	power_off(UMBRA_EXIT_SKIP);
}

void start(void)
{
	console_init();
	boot_read_info();
	cpu_read_features();
	if (PT_LEVELS == 5 && !cpu.la57)
		skip_all("the processor has no LA57");
	cpu_init();
	tables_init();
	run_cases();
}
