/* SPDX-License-Identifier: BSD-2-Clause */
/* The 16550 that hv talks on, polled.  Where none answers, output is lost, time is not. */
#include "base.h"
#include "cpu.h"

#define UART_DATA 0
#define UART_IER 1
#define UART_FCR 2
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define LCR_8N1 3
#define LCR_DLAB 0x80
#define LSR_THRE BIT(5)
#define LSR_TEMT BIT(6)

#define POLLS 200000 /* about 0.2 s of port reads; a byte takes 0.1 ms at 115200 */
#define MAX_TIMEOUTS 4

static u16 uart = 0x3f8;
static bool absent;
static unsigned timeouts;

static bool wait_for(u8 bits)
{
	for (unsigned n = 0; n < POLLS && !absent; n++)
		if (inb(uart + UART_LSR) & bits)
			return true;
	if (!absent && ++timeouts == MAX_TIMEOUTS)
		absent = true;
	return false;
}

void console_init(u16 port)
{
	uart = port;
	timeouts = 0;
	absent = inb(port + UART_LSR) == 0xff; /* an empty bus reads as ones */
	if (absent)
		return;
	outb(port + UART_IER, 0);
	outb(port + UART_LCR, LCR_8N1 | LCR_DLAB);
	outb(port + UART_DATA, 1); /* 115200 */
	outb(port + UART_IER, 0);
	outb(port + UART_LCR, LCR_8N1);
	outb(port + UART_FCR, 7);
	outb(port + UART_MCR, 3);
}

bool console_owns(u16 port)
{
	return port >= uart && port < uart + 8;
}

static void send(char c)
{
	if (wait_for(LSR_THRE))
		outb(uart + UART_DATA, c);
}

void console_putc(char c)
{
	if (c == '\n')
		send('\r');
	send(c);
}

void console_drain(void)
{
	wait_for(LSR_TEMT);
}
