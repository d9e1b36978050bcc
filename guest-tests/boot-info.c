/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a Multiboot 1 loader must tell: memory, command line, modules.  The
 * Multiboot specification 0.6.96, 3.3.  Each module is expected to be the output of
 * "seq N" and to have "count=N" among its words; ci/bad-input gives some.
 */
#include "test.h"

#define MB1_LOADER_MAGIC 0x2badb002
#define FLAG_MEMORY BIT(0)
#define FLAG_CMDLINE BIT(2)
#define FLAG_MODS BIT(3)
#define FLAG_MMAP BIT(6)
#define RAM 1

struct module {
	u32 start, end, string, reserved;
};

struct info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
};

struct region {
	u32 size;
	u64 base, length;
	u32 type;
} __attribute__((packed));

extern u32 boot_magic, boot_info; /* entry.S */
extern u8 image_end[];

static const struct info *need_multiboot(u32 flag)
{
	const struct info *in = (const void *)(ulong)boot_info;

	if (boot_magic != MB1_LOADER_MAGIC)
		skip("not started by Multiboot 1");
	if ((in->flags & flag) != flag) {
		fail("flags = %x lack %x", in->flags, flag);
		end_case();
	}
	return in;
}

/* Is [start, end) in one region of this type, and in no region of another? */
static bool all_of(const struct info *in, u64 start, u64 end, u32 type)
{
	bool inside = false;

	for (u32 at = in->mmap_addr; at < in->mmap_addr + in->mmap_length; at += *(u32 *)(ulong)at + 4) {
		const struct region *r = (const void *)(ulong)at;

		if (r->type == type)
			inside = inside || (r->base <= start && end <= r->base + r->length);
		else if (r->base < end && start < r->base + r->length)
			return false;
	}
	return inside;
}

CASE(memory)
{
	const struct info *in = need_multiboot(FLAG_MEMORY);

	check(in->mem_lower >= 512 && in->mem_lower <= 640);
	check(in->mem_upper >= 3 * 1024);
	in = need_multiboot(FLAG_MMAP);
	check(all_of(in, 0x2000, (u64)in->mem_lower << 10, RAM));
	check(all_of(in, MIB, MIB + ((u64)in->mem_upper << 10), RAM));
	check(all_of(in, MIB, (ulong)image_end, RAM));
	check(all_of(in, boot_info, boot_info + sizeof(*in), RAM));
	check(!all_of(in, 0xa0000, 0xc0000, RAM));
	check(!all_of(in, 0xfee00000, 0xfee01000, RAM));
}

/* A number behind `at`, which goes past it and the one byte that ends it. */
static u32 number(u64 *at)
{
	u32 n = 0;

	for (; *mem8(*at) >= '0' && *mem8(*at) <= '9'; ++*at)
		n = n * 10 + *mem8(*at) - '0';
	++*at;
	return n;
}

static u32 count_of(u64 at)
{
	for (; *mem8(at); at++) {
		check(memcmp(mem8(at), "umbra.", 6));
		if (!memcmp(mem8(at), "count=", 6)) {
			at += 6;
			return number(&at);
		}
	}
	fail("a module without count=");
	return 0;
}

static bool apart(u64 start, u64 end, u64 other, u64 other_end)
{
	return end <= other || other_end <= start;
}

static void check_module(const struct info *in, const struct module *m, const struct module *before)
{
	u32 count = count_of(m->string), n = 0;
	u64 at = m->start;

	check_eq(m->start & (PAGE_SIZE - 1), 0); /* as the header asks for */
	check(m->start < m->end);
	check(all_of(in, m->start, m->end, RAM));
	check(apart(m->start, m->end, MIB, (ulong)image_end));
	check(apart(m->start, m->end, boot_info, boot_info + sizeof(*in)));
	check(apart(m->start, m->end, in->mods_addr, in->mods_addr + in->mods_count * sizeof(*m)));
	check(!before || apart(m->start, m->end, before->start, before->end));
	while (at < m->end && number(&at) == n + 1)
		n++;
	check_eq(n, count);
	check_eq(at, m->end);
}

CASE(modules)
{
	const struct info *in = need_multiboot(0);
	const struct module *m = (const void *)(ulong)in->mods_addr;

	if (!(in->flags & FLAG_MODS) || !in->mods_count)
		skip("no modules");
	for (u32 i = 0; i < in->mods_count; i++)
		check_module(in, &m[i], i ? &m[i - 1] : NULL);
	note("%u modules", in->mods_count);
}
