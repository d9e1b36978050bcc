/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the boot loader hands over, by Multiboot 1 (QEMU -kernel) or 2 (GRUB).
 * All of it is copied: under UEFI it lies below 1 MiB among other things.
 */
#include "base.h"

#define MB1_LOADER_MAGIC 0x2badb002
#define MB2_LOADER_MAGIC 0x36d76289

#define MB1_CMDLINE BIT(2)
#define MB1_MODS BIT(3)
#define MB1_MMAP BIT(6)
#define MB1_NAME BIT(9)

#define MB2_TAG_END 0
#define MB2_TAG_CMDLINE 1
#define MB2_TAG_MODULE 3
#define MB2_TAG_MMAP 6

#define MMAP_RAM 1

struct mb1_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	u32 mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name;
};

struct mb1_module {
	u32 start, end, string, reserved;
};

struct mb1_mmap {
	u32 size; /* of what follows */
	u64 base, length;
	u32 type;
} __attribute__((packed));

struct mb2_tag {
	u32 type, size;
	union {
		char string[0];
		struct {
			u32 start, end;
			char string[0];
		} module;
		struct {
			u32 entry_size, version;
			u8 entries[0];
		} mmap;
	};
};

struct mb2_mmap {
	u64 base, length;
	u32 type, reserved;
};

struct boot_info boot_info;

static void *at(u32 pa)
{
	return (void *)(uintptr_t)pa;
}

static void copy_string(char *to, size_t size, const char *from)
{
	size_t n = 0;

	for (; from[n] && n + 1 < size; n++)
		to[n] = from[n];
	to[n] = 0;
}

static void add_module(u32 start, u32 end, const char *string)
{
	struct boot_module *m = &boot_info.modules[boot_info.nmodules];

	if (boot_info.nmodules == BOOT_MAX_MODULES) {
		boot_info.dropped++;
		return;
	}
	m->start = mk_hpa(start);
	m->size = end > start ? end - start : 0;
	copy_string(m->string, sizeof(m->string), string);
	boot_info.nmodules++;
}

static void add_region(u64 base, u64 length, u32 type)
{
	struct boot_region *r = &boot_info.regions[boot_info.nregions];
	u64 end = base + length < base ? ~0ull : base + length;

	if (boot_info.nregions < BOOT_MAX_REGIONS && length) {
		*r = (struct boot_region){ base, end, type, type == MMAP_RAM };
		boot_info.nregions++;
	}
}

/* QEMU, and loaders in GRUB Legacy's tradition, put the image's name first. */
static const char *skip_image(const struct mb1_info *mbi, const char *s)
{
	bool qemu = (mbi->flags & MB1_NAME) && !strcmp(at(mbi->boot_loader_name), "qemu");

	if (!qemu && *s != '/')
		return s;
	while (*s && *s != ' ')
		s++;
	return s;
}

static void parse1(const struct mb1_info *mbi)
{
	const struct mb1_module *m = at(mbi->mods_addr);
	u32 pos = mbi->mmap_addr;

	if (mbi->flags & MB1_CMDLINE)
		copy_string(boot_info.cmdline, sizeof(boot_info.cmdline), skip_image(mbi, at(mbi->cmdline)));
	for (u32 i = 0; (mbi->flags & MB1_MODS) && i < mbi->mods_count; i++)
		add_module(m[i].start, m[i].end, m[i].string ? at(m[i].string) : "");
	while ((mbi->flags & MB1_MMAP) && pos - mbi->mmap_addr < mbi->mmap_length) {
		const struct mb1_mmap *e = at(pos);

		add_region(e->base, e->length, e->type);
		pos += e->size + sizeof(e->size);
	}
}

static void parse2_mmap(const struct mb2_tag *t)
{
	const u8 *e = t->mmap.entries;

	for (; e + t->mmap.entry_size <= (const u8 *)t + t->size && t->mmap.entry_size; e += t->mmap.entry_size) {
		const struct mb2_mmap *m = (const void *)e;

		add_region(m->base, m->length, m->type);
	}
}

static void parse2(u32 mbi)
{
	u32 end = mbi + *(const u32 *)at(mbi);
	const struct mb2_tag *t;

	for (u32 pos = mbi + 8; pos < end; pos += (t->size + 7) & ~7u) {
		t = at(pos);
		if (t->type == MB2_TAG_END || t->size < 8)
			break;
		if (t->type == MB2_TAG_CMDLINE)
			copy_string(boot_info.cmdline, sizeof(boot_info.cmdline), t->string);
		else if (t->type == MB2_TAG_MODULE)
			add_module(t->module.start, t->module.end, t->module.string);
		else if (t->type == MB2_TAG_MMAP)
			parse2_mmap(t);
	}
}

bool multiboot_parse(u32 magic, u32 mbi)
{
	if (magic == MB1_LOADER_MAGIC)
		parse1(at(mbi));
	else if (magic == MB2_LOADER_MAGIC)
		parse2(mbi);
	else
		return false;
	return true;
}

void multiboot_owner(const struct boot_module *m, char *name, size_t size)
{
	static const char word[] = "umbra.module-of=";
	size_t n = 0;

	*name = 0;
	for (const char *s = m->string; *s; s += n) {
		while (*s == ' ')
			s++;
		for (n = 0; s[n] && s[n] != ' '; n++)
			;
		if (n >= sizeof(word) && !strncmp(s, word, sizeof(word) - 1))
			snprintk(name, size, "%.*s", (int)(n - (sizeof(word) - 1)), s + sizeof(word) - 1);
	}
}
