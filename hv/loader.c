/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Puts a Multiboot 1 kernel (ELF32, or ELF64 with a 32-bit entry) into a
 * guest's memory, with the boot information that the standard asks for.
 * A module is input: nothing in it is believed.
 */
#include "base.h"

#define MB1_MAGIC 0x1badb002
#define MB1_LOADER_MAGIC 0x2badb002
#define MB1_SEARCH 8192
#define MB1_FLAGS_MUST 0xffff /* flags that a loader must understand */
#define MB1_FLAGS_KNOWN 3

#define MBI_ADDRESS 0x1000ull /* below the image, above the real-mode tables */
#define MBI_END (MBI_ADDRESS + PAGE_SIZE)
#define MBI_FLAGS (BIT(0) | BIT(2) | BIT(6) | BIT(9)) /* memory, cmdline, mmap, loader's name */
#define MBI_MODS BIT(3)
#define MBI_MAX_MODULES 16
#define MMAP_RAM 1

#define BIOS_DATA_END 0x500 /* interrupt vectors, then the BIOS data area */

#define EM_386 3
#define EM_X86_64 62
#define ET_EXEC 2
#define PT_LOAD 1

struct elf_header { /* up to the entry both classes agree */
	u8 ident[16];
	u16 type, machine;
	u32 version;
};

struct elf32_tail {
	u32 entry, phoff, shoff, flags;
	u16 ehsize, phentsize, phnum;
};

struct elf64_tail {
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum;
};

struct elf32_phdr {
	u32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

struct elf64_phdr {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};

struct image { /* a module on its way into a guest */
	const u8 *data;
	u64 size;
	u64 entry, phoff;
	u32 phentsize, phnum;
	bool elf64;
	bool entry_seen; /* a segment holds it */
	u64 end; /* of what it takes in the guest's memory */
	struct vm *vm;
};

struct segment_load {
	u64 offset, vaddr, paddr, filesz, memsz;
};

static bool within(u64 offset, u64 len, u64 size)
{
	return offset <= size && len <= size - offset;
}

static const char *parse_header(struct image *im)
{
	const struct elf_header *h = (const void *)im->data;
	const u8 *tail = im->data + sizeof(*h);

	if (im->size < sizeof(*h) || memcmp(h->ident, "\x7f" "ELF", 4))
		return "module is no ELF file";
	if (im->size < sizeof(*h) + sizeof(struct elf64_tail))
		return "module is truncated: ELF header";
	if ((h->ident[4] != 1 && h->ident[4] != 2) || h->ident[5] != 1)
		return "module is no little-endian ELF file";
	if (h->type != ET_EXEC)
		return "module is no executable ELF file";
	if (h->machine != (h->ident[4] == 1 ? EM_386 : EM_X86_64))
		return "module is for another machine";
	im->elf64 = h->ident[4] == 2;
	if (im->elf64) {
		const struct elf64_tail *t = (const void *)tail;

		im->entry = t->entry;
		im->phoff = t->phoff;
		im->phentsize = t->phentsize;
		im->phnum = t->phnum;
	} else {
		const struct elf32_tail *t = (const void *)tail;

		im->entry = t->entry;
		im->phoff = t->phoff;
		im->phentsize = t->phentsize;
		im->phnum = t->phnum;
	}
	if (!im->entry)
		return "module has no entry";
	if (im->phentsize < (im->elf64 ? sizeof(struct elf64_phdr) : sizeof(struct elf32_phdr)))
		return "module has no program headers";
	if (!within(im->phoff, (u64)im->phnum * im->phentsize, im->size))
		return "module is truncated: program headers";
	return NULL;
}

static const char *check_multiboot(const struct image *im)
{
	for (u64 at = 0; at + 12 <= MIN(im->size, MB1_SEARCH); at += 4) {
		u32 h[3];

		memcpy(h, im->data + at, sizeof(h));
		if (h[0] != MB1_MAGIC || h[0] + h[1] + h[2])
			continue;
		return h[1] & MB1_FLAGS_MUST & ~MB1_FLAGS_KNOWN ? "module wants Multiboot features that umbra lacks" : NULL;
	}
	return "module has no Multiboot header";
}

static bool get_segment(const struct image *im, u32 i, struct segment_load *s)
{
	const u8 *p = im->data + im->phoff + (u64)i * im->phentsize;
	struct elf32_phdr a;
	struct elf64_phdr b;

	if (im->elf64) {
		memcpy(&b, p, sizeof(b));
		*s = (struct segment_load){ b.offset, b.vaddr, b.paddr, b.filesz, b.memsz };
		return b.type == PT_LOAD && b.memsz;
	}
	memcpy(&a, p, sizeof(a));
	*s = (struct segment_load){ a.offset, a.vaddr, a.paddr, a.filesz, a.memsz };
	return a.type == PT_LOAD && a.memsz;
}

static void zero_guest(struct vm *vm, u64 at, u64 len)
{
	static const u8 zeroes[PAGE_SIZE];

	for (u64 n; len; at += n, len -= n) {
		n = MIN(len, PAGE_SIZE);
		guestmem_write(vm->mem, mk_gpa(at), zeroes, n);
	}
}

static const char *load_segment(struct image *im, const struct segment_load *s)
{
	const struct shadow_config *cfg = &im->vm->opt.shadow;
	u64 ram = cfg->ram_frames << PAGE_SHIFT, end = s->paddr + s->memsz;
	u64 low_end = cfg->hole_start.v << PAGE_SHIFT, high = cfg->hole_end.v << PAGE_SHIFT;

	if (s->filesz > s->memsz)
		return "module has a segment larger in the file than in memory";
	if (!within(s->offset, s->filesz, im->size))
		return "module is truncated: a segment lies past its end";
	if (end < s->paddr || end > ram)
		return "module wants memory that the VM does not have";
	if (s->paddr < MBI_END || (s->paddr < high && end > low_end))
		return "module wants memory below 1 MiB that is not free";
	guestmem_write(im->vm->mem, mk_gpa(s->paddr), im->data + s->offset, s->filesz);
	zero_guest(im->vm, s->paddr + s->filesz, s->memsz - s->filesz);
	/* paging is off at the entry: it is a physical address */
	if (im->entry - s->paddr < s->memsz)
		im->entry_seen = true;
	im->end = MAX(im->end, end);
	return NULL;
}

/* ---- boot information: one page, filled from its start ---- */

struct mbi {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
	u32 drives_length, drives_addr, config_table, boot_loader_name;
};

struct mbi_module {
	u32 start, end, string, reserved;
};

struct info {
	struct vm *vm;
	u64 at; /* the next free byte */
	struct mbi mbi;
	struct mbi_module modules[MBI_MAX_MODULES];
};

/* Where it went; past MBI_END it is not written, and loader_load() finds that out. */
static u32 put(struct info *in, const void *p, size_t size)
{
	u64 at = in->at;

	in->at += size;
	if (in->at <= MBI_END)
		guestmem_write(in->vm->mem, mk_gpa(at), p, size);
	return at;
}

static u32 put_string(struct info *in, const char *s)
{
	return put(in, s, strlen(s) + 1);
}

static void put_region(struct info *in, u64 start, u64 end, u32 type)
{
	struct {
		u32 size;
		u64 base, length;
		u32 type;
	} __attribute__((packed)) e = { 20, start, end - start, type };

	if (start >= end)
		return;
	put(in, &e, sizeof(e));
	in->mbi.mmap_length += sizeof(e);
}

/* What the machine's map has in [from, to) that is no RAM. */
static void put_reserved(struct info *in, u64 from, u64 to)
{
	for (u32 i = 0; vm_owns_machine(in->vm) && i < boot_info.nregions; i++) {
		const struct boot_region *r = &boot_info.regions[i];

		if (!r->ram)
			put_region(in, MAX(r->start, from), MIN(r->end, to), r->type);
	}
}

/*
 * The end of low memory.  Who has the machine finds the BIOS data areas, one
 * of them from there on; the frames behind them are its own.
 */
static u64 low_memory(struct vm *vm)
{
	u64 end = vm->opt.shadow.hole_start.v << PAGE_SHIFT, low = end;

	if (!vm_owns_machine(vm))
		return end;
	for (u32 i = 0; i < boot_info.nregions; i++)
		if (boot_info.regions[i].ram && boot_info.regions[i].start < MBI_END && boot_info.regions[i].end < end)
			low = boot_info.regions[i].end;
	guestmem_write(vm->mem, mk_gpa(0), host_ptr(mk_hfn(0)), BIOS_DATA_END);
	guestmem_write(vm->mem, mk_gpa(low), (u8 *)host_ptr(mk_hfn(0)) + low, end - low);
	return low;
}

static void put_memory(struct info *in)
{
	const struct shadow_config *cfg = &in->vm->opt.shadow;
	u64 low = low_memory(in->vm), high = cfg->hole_end.v << PAGE_SHIFT, end = cfg->ram_frames << PAGE_SHIFT;

	in->mbi.mem_lower = low >> 10;
	in->mbi.mem_upper = (end - high) >> 10;
	in->mbi.mmap_addr = in->at;
	put_region(in, 0, low, MMAP_RAM);
	put_reserved(in, low, high);
	put_region(in, high, end, MMAP_RAM);
	put_reserved(in, end, ~0ull);
}

/* One module behind the image, on a page of its own. */
static const char *load_module(struct info *in, struct image *im, const struct boot_module *m)
{
	u64 start = (im->end + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1), ram = in->vm->opt.shadow.ram_frames << PAGE_SHIFT;
	static char words[BOOT_MAX_STRING];
	struct options ignored;
	char why[8];

	if (in->mbi.mods_count == MBI_MAX_MODULES)
		return "more modules than umbra hands on";
	if (start > ram || m->size > ram - start)
		return "a module of the guest wants memory that the VM does not have";
	guestmem_write(in->vm->mem, mk_gpa(start), (u8 *)host_ptr(mk_hfn(0)) + m->start.v, m->size);
	im->end = start + m->size;
	options_module(&ignored, m->string, words, sizeof(words), why, sizeof(why));
	in->modules[in->mbi.mods_count++] = (struct mbi_module){ start, im->end, put_string(in, words), 0 };
	return NULL;
}

static const char *load_modules(struct info *in, struct image *im)
{
	const char *why = NULL;
	char owner[80];

	for (u32 i = 0; !why && i < boot_info.nmodules; i++) {
		multiboot_owner(&boot_info.modules[i], owner, sizeof(owner));
		if (*owner && !strcmp(owner, in->vm->name))
			why = load_module(in, im, &boot_info.modules[i]);
	}
	if (in->mbi.mods_count) {
		in->mbi.flags |= MBI_MODS;
		in->at = (in->at + 3) & ~3ull;
		in->mbi.mods_addr = put(in, in->modules, in->mbi.mods_count * sizeof(in->modules[0]));
	}
	return why;
}

static const char *put_info(struct image *im)
{
	struct info in = { .vm = im->vm, .at = MBI_ADDRESS + sizeof(in.mbi), .mbi = { .flags = MBI_FLAGS } };
	const char *why;

	put_memory(&in);
	in.mbi.boot_loader_name = put_string(&in, "umbra");
	in.mbi.cmdline = put_string(&in, im->vm->cmdline);
	why = load_modules(&in, im);
	if (!why && in.at > MBI_END)
		why = "the boot information does not fit a page";
	guestmem_write(im->vm->mem, mk_gpa(MBI_ADDRESS), &in.mbi, sizeof(in.mbi));
	return why;
}

/* Segments, CR0, CR4 and EFER are vendor->vcpu_init()'s and cr_reset()'s. */
static void set_entry(struct vm *vm, u64 entry)
{
	struct vcpu *v = &vm->vcpu;

	v->regs[RAX] = MB1_LOADER_MAGIC;
	v->regs[RBX] = MBI_ADDRESS;
	v->rip = entry;
	v->rflags = RFLAGS_RSV1;
}

const char *loader_load(struct vm *vm, const struct boot_module *m)
{
	struct image im = { .data = host_ptr(mk_hfn(0)), .size = m->size, .vm = vm };
	struct segment_load s;
	const char *why;

	im.data += m->start.v;
	why = parse_header(&im);
	if (!why)
		why = check_multiboot(&im);
	for (u32 i = 0; !why && i < im.phnum; i++)
		if (get_segment(&im, i, &s))
			why = load_segment(&im, &s);
	if (!why && !im.entry_seen)
		why = "module's entry lies outside its segments";
	if (!why)
		why = put_info(&im);
	if (!why)
		set_entry(vm, im.entry);
	return why;
}
