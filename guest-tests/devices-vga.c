/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is a device and bytes all the same: the VGA's text, and the BIOS.
 * Strings go between it and ports, writes go to it and to a page table at once:
 * what an emulator does on the guest's behalf must reach it too.  Alone on a
 * machine, or under umbra with devices=pass.
 */
#include "test.h"

#define VGA_TEXT 0xb8000ull
#define VGA_SIZE 0x2000
#define BIOS 0xf0000ull
#define SCRATCH 0x3ff /* a register of the UART that keeps what it is given */

static u8 saved[VGA_SIZE];
static u64 text; /* where the case has it mapped */

static void need_text(void)
{
	need_devices();
	memcpy(saved, mem8(VGA_TEXT), VGA_SIZE);
	*mem32(VGA_TEXT) = 0x07550741;
	if (*mem32(VGA_TEXT) != 0x07550741)
		skip("no VGA text memory");
	text = VGA_TEXT;
	if (PT_LEVELS) {
		map_page(WINDOW, VGA_TEXT, RW);
		map_page(WINDOW + PAGE_SIZE, VGA_TEXT + PAGE_SIZE, RW);
		text = WINDOW;
	}
}

static void done(void)
{
	memcpy(mem8(VGA_TEXT), saved, VGA_SIZE);
}

/* A large page with RAM, the VGA, the BIOS and RAM again in it is not all of one kind. */
CASE(large_page_of_many_kinds)
{
	u64 va = WINDOW + 4 * LARGE_SIZE, ram = new_frame();
	pte_t *e;

	need_paging();
	need_large();
	need_text();
	e = map_large(va, 0, RW);
	for (u32 i = 0; i < 3; i++) {
		check_eq(*mem32(va + VGA_TEXT), 0x07550741);
		*mem32(va + VGA_TEXT + 8) = 0x1234 + i;
		check_eq(*mem32(VGA_TEXT + 8), 0x1234 + i);
		check(!memcmp(mem8(va + BIOS), mem8(BIOS), 0x10000));
		check(!memcmp(mem8(va + MIB), mem8(MIB), 0x8000)); /* this program */
		set_entry(e, 0);
		invlpg(va);
		flush();
		map_page(va + VGA_TEXT, ram, RW); /* a table takes the large page's place */
		*mem32(va + VGA_TEXT + 8) = 7;
		check_eq(*mem32(ram + 8), 7);
		check_eq(*mem32(VGA_TEXT + 8), 0x1234 + i);
		set_entry(e, RW | PTE_PS);
		flush();
	}
	done();
}

/* Bytes, words and whole strings. */
CASE(widths)
{
	static u8 line[160];
	u64 to = text;

	need_text();
	to = text + 0x100;
	for (u32 i = 0; i < sizeof(line); i++)
		line[i] = random32();
	memcpy(mem8(to), line, sizeof(line));
	check(!memcmp(mem8(VGA_TEXT + 0x100), line, sizeof(line)));
	check_fault(poke8(to + 3, 0x5a), NO_FAULT);
	check_fault(poke16(to + 5, 0x6b7c), NO_FAULT);
	check_fault(poke64(to + 9, 0x1122334455667788ull), NO_FAULT);
	line[3] = 0x5a, line[5] = 0x7c, line[6] = 0x6b;
	for (u32 i = 0; i < 8; i++)
		line[9 + i] = 0x88 - 0x11 * i;
	check(!memcmp(mem8(VGA_TEXT + 0x100), line, sizeof(line)));
	check(!memcmp(mem8(to), line, sizeof(line)));
	done();
}

/* Code runs in the BIOS: some RETs of it. */
CASE(code_in_the_bios)
{
	u32 found = 0;

	need_devices();
	for (u64 at = BIOS; at < MIB && found < 20; at++) {
		u64 va = PT_LEVELS ? WINDOW + (u64)found * PAGE_SIZE + (at & 0xfff) : at;

		if (*mem8(at) != RET)
			continue;
		if (PT_LEVELS)
			map_page(va & ~(PAGE_SIZE - 1), at & ~(PAGE_SIZE - 1), PTE_P);
		check_fault(fetch(va), NO_FAULT);
		check_eq(*mem8(va), RET);
		found++;
		at = (at | 0x3ff) + 0x3ff * (found & 1);
	}
	if (!found)
		skip("no BIOS with a RET in it");
}

/* OUTS from it and INS to it, on a port that umbra keeps. */
CASE(string_io)
{
	ulong si, di, cx;

	need_text();
	outb(SCRATCH, 0);
	*mem8(VGA_TEXT + 0x20) = 0x11, *mem8(VGA_TEXT + 0x21) = 0x12, *mem8(VGA_TEXT + 0x22) = 0x13;
	si = text + 0x20, cx = 3;
	asm volatile("rep outsb" : "+S"(si), "+c"(cx) : "d"(SCRATCH) : "memory");
	if (inb(SCRATCH) != 0x13)
		skip("no scratch register"); /* umbra's UART has one */
	check_eq(si, text + 0x23);
	*mem32(VGA_TEXT + 0x40) = 0;
	di = text + 0x40, cx = 3;
	asm volatile("rep insb" : "+D"(di), "+c"(cx) : "d"(SCRATCH) : "memory");
	check_eq(*mem32(VGA_TEXT + 0x40), 0x131313);
	check_eq(di, text + 0x43);
	done();
}

/* Table entries copied out of the device into a table in use. */
CASE(entries_from_video_memory)
{
	u64 a = tagged(1), b = tagged(2), va = WINDOW + 16 * PAGE_SIZE;
	ulong si, di, cx;
	pte_t *e;

	need_paging();
	need_text();
	e = map_page(va, a, RW);
	map_page(va + PAGE_SIZE, b, RW);
	for (u32 i = 0; i < 4; i++) {
		check_eq(tag_at(va), i & 1 ? 2 : 1);
		check_eq(tag_at(va + PAGE_SIZE), i & 1 ? 1 : 2);
		((volatile pte_t *)(ulong)(text + 0x80))[0] = (i & 1 ? a : b) | RW;
		((volatile pte_t *)(ulong)(text + 0x80))[1] = (i & 1 ? b : a) | RW;
		si = text + 0x80, di = (ulong)e, cx = 2 * PTE_SIZE / 4;
		asm volatile("rep movsl" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
		invlpg(va);
		invlpg(va + PAGE_SIZE);
	}
	done();
}

/* One store into the end of a table in use and the start of the device: an entry and a character change. */
CASE(across_table_and_device)
{
	u64 a = tagged(1), b = tagged(2), last = WINDOW + LARGE_SIZE - PAGE_SIZE, both = WINDOW + 4 * LARGE_SIZE;
	u8 *store;
	pte_t *e;

	need_paging();
	need_text();
	e = map_page(last, a, RW);
	map_page(both, (ulong)e & ~(PAGE_SIZE - 1), RW);
	map_page(both + PAGE_SIZE, VGA_TEXT, RW);
	store = mem8(both + PAGE_SIZE - 3);
	for (u32 i = 0; i < 6; i++) { /* the upper bytes of an entry whose frames are below 16 MiB differ in one */
		u64 to = i & 1 ? a : b;
		u32 upper = PTE_SIZE == 8 ? 0 : (u32)to >> 8;

		check_eq(tag_at(last), i & 1 ? 2 : 1);
		*mem32(VGA_TEXT) = 0;
		set_entry(e, (to & 0xff) | (*e & 0xffff00) | RW);
		if (PTE_SIZE == 8)
			set_entry(e, to | RW);
		*(volatile u32 *)store = (upper & 0xffffff) | (0x30u + i) << 24;
		invlpg(last);
		check_eq(*mem8(VGA_TEXT), 0x30 + i);
		check_eq(*e & ~(PTE_A | PTE_D), to | RW);
	}
	done();
}
