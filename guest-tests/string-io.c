/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INS and OUTS, which a hypervisor performs: into live page tables, over pages
 * that come late, and with operands that fault, when the port must not have been read.
 */
#include "watched.h"

#define SCRATCH 0x3ff /* the serial port's byte that keeps what is written */

static ulong ins_at(ulong at, ulong count)
{
	ulong left = count;

	asm volatile("rep insb" : "+D"(at), "+c"(left) : "d"(SCRATCH) : "memory");
	return left;
}

static bool fix_and_go_on(struct regs *r)
{
	(void)r;
	set_entry(entry(ALIAS + PAGE_SIZE, 1), first | ALL);
	return true;
}

/* REP INS and OUTS over a page that comes late, and into a table: each byte once, registers at each stop. */
CASE(string_io)
{
	ulong si, count;

	set_up();
	outb(SCRATCH, 0x60);
	if (inb(SCRATCH) != 0x60)
		skip("no serial port with a scratch register");
	map_page(ALIAS + PAGE_SIZE, first, ALL);
	set_entry(entry(ALIAS + PAGE_SIZE, 1), 0);
	invlpg(ALIAS + PAGE_SIZE);
	hook(VEC_PF, fix_and_go_on);
	check_eq(ins_at(ALIAS + 0xffc, 8), 0);
	check_eq(mem32(table)[1023], 0x60606060);
	check_eq(mem32(first)[0], 0x60606060);
	check_eq(mem32(first)[1], 0);
	check_eq(exception_count[VEC_PF], 1);
	hook(VEC_PF, NULL);
	mem32(table)[1023] = 0;
	still_watched(7);
	memcpy(mem8(first) + 0x100, "\x11\x22\x33\x44", 4);
	si = first + 0x100;
	count = 4;
	asm volatile("rep outsb" : "+S"(si), "+c"(count) : "d"(SCRATCH) : "memory");
	check_eq(si, first + 0x104);
	check_eq(count, 0);
	check_eq(inb(SCRATCH), 0x44);
	asm volatile("insb" : : "D"((ulong)(table + 0x900)), "d"(SCRATCH) : "memory");
	check_eq(mem32(table)[0x900 / 4], 0x44);
	asm volatile("std\n rep insb\n cld" : "=D"(si), "=c"(count) : "0"((ulong)(table + 0x90f)), "1"(3ul), "d"(SCRATCH) : "memory");
	check_eq(si, table + 0x90c);
	check_eq(mem32(table)[0x90c / 4], 0x44444400);
	check_fault(try(ins_at, WINDOW + 0x3000, 2, NULL), PF(PF_W, WINDOW + 0x3000));
	map_page(WINDOW + 0x3000, second, PTE_P);
	check_fault(try(ins_at, WINDOW + 0x3000, 2, NULL), PF(PF_P | PF_W, WINDOW + 0x3000));
}

#define PIT_CHANNEL_2 0x42
#define PIT_COMMAND 0x43
#define PIT_CHANNEL_2_MODE_2 0xb4
#define PIT_STATUS_OF_2 0xe8 /* read-back: the next read of the channel gives its status, the one after it not */

static ulong ins_status(ulong at, ulong unused)
{
	asm volatile("insb" : "+D"(at) : "d"(PIT_CHANNEL_2) : "memory");
	return unused;
}

static u8 pit_status(void)
{
	outb(PIT_COMMAND, PIT_STATUS_OF_2);
	return inb(PIT_CHANNEL_2) & 0x3f;
}

/* An INS whose operand faults reads no port: what the device would have given is still there. */
CASE(ins_that_faults_takes_nothing)
{
	set_up();
	outb(PIT_COMMAND, PIT_CHANNEL_2_MODE_2);
	outb(PIT_CHANNEL_2, 0);
	outb(PIT_CHANNEL_2, 0);
	if (pit_status() != 0x34)
		skip("no PIT with a read-back command");
	map_page(WINDOW + 0x3000, second, PTE_P);
	for (u32 i = 0; i < 8; i++) {
		outb(PIT_COMMAND, PIT_STATUS_OF_2);
		check_fault(try(ins_status, WINDOW + (i & 1 ? 0x3010 : 0x4000), 0, NULL),
			    PF(PF_W | (i & 1 ? PF_P : 0), WINDOW + (i & 1 ? 0x3010 : 0x4000)));
		check_eq(inb(PIT_CHANNEL_2) & 0x3f, 0x34);
		outb(PIT_COMMAND, PIT_STATUS_OF_2);
		check_fault(try(ins_status, WINDOW + 0x5010, 0, NULL), NO_FAULT); /* first */
		check_eq(mem8(first)[0x10] & 0x3f, 0x34);
	}
}

#define UART 0x3f8
#define UART_MCR (UART + 4)
#define UART_LSR (UART + 5)
#define MCR_LOOP 0x10
#define LSR_DATA 1
#define LSR_SENT 0x40

static ulong ins_uart(ulong at, ulong unused)
{
	asm volatile("insb" : "+D"(at) : "d"(UART) : "memory");
	return unused;
}

static bool wait_lsr(u8 bit)
{
	for (u32 i = 0; i < 100000; i++)
		if (inb(UART_LSR) & bit)
			return true;
	return false;
}

/* The same with the byte that the serial port sent to itself.  Nothing is printed meanwhile. */
CASE(ins_that_faults_leaves_the_byte)
{
	struct fault f[2];
	bool came, still;
	u8 mcr, got, gone;

	set_up();
	if (inb(UART_LSR) == 0xff || !wait_lsr(LSR_SENT))
		skip("no serial port");
	map_page(WINDOW + 0x3000, second, PTE_P);
	mcr = inb(UART_MCR);
	outb(UART_MCR, mcr | MCR_LOOP);
	while (inb(UART_LSR) & LSR_DATA)
		inb(UART);
	outb(UART, 0x5a);
	came = wait_lsr(LSR_DATA);
	f[0] = try(ins_uart, WINDOW + 0x3010, 0, NULL);
	f[1] = try(ins_uart, WINDOW + 0x4000, 0, NULL);
	still = inb(UART_LSR) & LSR_DATA;
	got = inb(UART);
	gone = inb(UART_LSR) & LSR_DATA;
	outb(UART_MCR, mcr);
	if (!came)
		skip("no loopback");
	check_fault(f[0], PF(PF_P | PF_W, WINDOW + 0x3010));
	check_fault(f[1], PF(PF_W, WINDOW + 0x4000));
	check_eq(still, true);
	check_eq(got, 0x5a);
	check_eq(gone, 0);
}
