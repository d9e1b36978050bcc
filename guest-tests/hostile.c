/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests that misbehave, one case each: not in tests.list, ci/bad-input runs
 * them one by one (case=NAME).  What they do may end them, and nothing else.
 */
#include "test.h"

#define MIB_FRAMES (MIB / PAGE_SIZE)
#define MEMORY_MIB 32 /* of a guest under umbra by default */
#define HOST_MIB 512 /* of the machine that ci/bad-input boots */

CASE(hang)
{
	for (;;)
		asm volatile("pause");
}

/* Interrupts off and halted: nothing can wake it. */
CASE(halt)
{
	for (;;)
		asm volatile("cli; hlt");
}

static bool change_nothing(struct regs *r)
{
	(void)r;
	return true;
}

CASE(refault)
{
	if (!PT_LEVELS)
		skip("paging is off");
	hook(VEC_PF, change_nothing);
	*(volatile u32 *)(ulong)WINDOW = 1;
	fail("a page that is not present was written");
}

CASE(triple_fault)
{
	load_idt(0, 0);
	asm volatile("int3");
}

CASE(flood)
{
	for (;;)
		note("................................................................");
}

CASE(control_bytes)
{
	for (u32 i = 0; i < 4096; i++)
		print("%c", random32() & 0xff);
	print("\nok 1 - forged\n1..1\n# done: 99 passed, 0 failed, 0 skipped\n");
	for (;;)
		asm volatile("cli; hlt");
}

/* A table of those in use, by some steps down from the root. */
static u64 some_table(void)
{
	u64 table = current_root();

	for (u32 steps = random32() % (PT_LEVELS + 1); steps; steps--) {
		pte_t e = ((pte_t *)(ulong)table)[random32() % PT_ENTRIES];

		if ((e & PTE_P) && pte_gpa(e) < MEMORY_MIB * MIB)
			table = pte_gpa(e);
	}
	return table & ~(PAGE_SIZE - 1);
}

/* The tables in use, byte by byte, through mappings that go with them. */
CASE(random_tables)
{
	if (!PT_LEVELS)
		skip("paging is off");
	for (u32 n = 0; n < 100000; n++) {
		*mem8(some_table() + random32() % PAGE_SIZE) = random32();
		if (!(n % 16))
			flush();
	}
}

CASE(cr3_outside)
{
	if (!PT_LEVELS)
		skip("paging is off");
	write_cr3(0x7ffff000);
	*mem32(arena_start) = 1;
}

/* Every frame number that the machine has but this VM has not, written through. */
CASE(foreign_frames)
{
	pte_t *e;
	u32 seen = 0, v;

	if (!PT_LEVELS)
		skip("paging is off");
	e = map_page(WINDOW, arena_start, PTE_P | PTE_W);
	for (u64 frame = MEMORY_MIB * MIB_FRAMES; frame < HOST_MIB * MIB_FRAMES; frame += 13) {
		set_entry(e, frame * PAGE_SIZE | PTE_P | PTE_W);
		invlpg(WINDOW);
		v = ~0u;
		poke32(WINDOW, 0x5a5a5a5a);
		peek32(WINDOW, &v);
		seen += v == 0x5a5a5a5a;
	}
	check_eq(seen, 0);
}

/* ---- with devices=pass ---- */

CASE(reset_by_keyboard)
{
	outb(0x64, 0xfe);
}

CASE(reset_by_port_a)
{
	outb(0x92, inb(0x92) | 1);
}

CASE(reset_by_chipset)
{
	outb(0xcf9, 6);
}

CASE(power_off)
{
	print("1..1\n");
	outw(0x604, 0x2000);
	outw(0xb004, 0x2000);
}

/* As a kernel does that knows nothing of TAP. */
CASE(power_off_without_tap)
{
	outw(0x604, 0x2000);
	outw(0xb004, 0x2000);
}

/* What hv itself stands on: address line 20, and the interrupts of the next guests. */
CASE(leaves_a_mess)
{
	static const u8 pic[4] = { 0x11, 0x08, 4, 1 }; /* vectors of exceptions */

	outb(0x92, inb(0x92) & ~2);
	outb(0x64, 0xd1);
	outb(0x60, 0xdd);
	outb(0x64, 0xdd);
	for (u32 i = 0; i < 4; i++) {
		outb(i ? 0x21 : 0x20, pic[i]);
		outb(i ? 0xa1 : 0xa0, i == 2 ? 2 : pic[i]);
	}
	outb(0x21, 0);
	outb(0xa1, 0);
	outb(0x43, 0x34);
	outb(0x40, 100);
	outb(0x40, 0);
	outb(0x70, 0x0b); /* RTC: 1024 interrupts a second */
	outb(0x71, inb(0x71) | 0x40);
	if (!PT_LEVELS) {
		*mem32(0xfee000f0) = 0x10f;
		*mem32(0xfee003e0) = 0xb;
		*mem32(0xfee00320) = 0x20010; /* periodic */
		*mem32(0xfee00380) = 1000;
	}
}
