/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's machine: a 16550 that is always ready to send and has nothing to
 * read but what it sends itself in loopback, the debug-exit port, port 0xe9.  All else is an empty bus,
 * or with devices=pass the machine's own (passthrough.c).
 */
#include "abi.h"
#include "base.h"

#define COM1 0x3f8
#define PORT_E9 0xe9
#define PORT_BOCHS_SHUTDOWN 0x8900
#define LCR_DLAB 0x80
#define IIR_NONE 1
#define LSR_EMPTY 0x60 /* THR empty, transmitter empty */
#define LSR_DATA 1
#define MCR_LOOP 0x10
#define MSR_READY 0xb0 /* CTS, DSR, DCD */

/* In loopback RTS is CTS, DTR is DSR, OUT1 is RI, OUT2 is DCD. */
static u8 modem_status(const struct vm_uart *u)
{
	if (!(u->mcr & MCR_LOOP))
		return MSR_READY;
	return (u->mcr & 2) << 3 | (u->mcr & 1) << 5 | (u->mcr & 0xc) << 4;
}

static u8 receive(struct vm_uart *u)
{
	u->received = false;
	return u->data;
}

static u8 uart_in(struct vm_uart *u, unsigned reg)
{
	bool dlab = u->lcr & LCR_DLAB;

	switch (reg) {
	case 0:
		return dlab ? u->divisor : receive(u);
	case 1:
		return dlab ? u->divisor >> 8 : u->ier;
	case 2:
		return IIR_NONE | (u->fcr & 1 ? 0xc0 : 0);
	case 3:
		return u->lcr;
	case 4:
		return u->mcr;
	case 5:
		return LSR_EMPTY | (u->received ? LSR_DATA : 0);
	case 6:
		return modem_status(u);
	}
	return u->scratch;
}

static void uart_out(struct vm *vm, unsigned reg, u8 value)
{
	struct vm_uart *u = &vm->uart;
	bool dlab = u->lcr & LCR_DLAB;

	switch (reg) {
	case 0:
		if (dlab)
			u->divisor = (u->divisor & 0xff00) | value;
		else if (u->mcr & MCR_LOOP)
			u->data = value, u->received = true;
		else
			output_byte(vm, value);
		break;
	case 1:
		if (dlab)
			u->divisor = (u->divisor & 0xff) | value << 8;
		else
			u->ier = value & 0xf;
		break;
	case 2:
		u->fcr = value;
		break;
	case 3:
		u->lcr = value;
		break;
	case 4:
		u->mcr = value & 0x1f;
		break;
	case 7:
		u->scratch = value;
		break;
	}
}

static u8 in_byte(struct vm *vm, u16 port)
{
	if (port >= COM1 && port < COM1 + 8)
		return uart_in(&vm->uart, port - COM1);
	if (port == PORT_E9)
		return PORT_E9; /* how the hack is found */
	return 0xff;
}

static void out_byte(struct vm *vm, u16 port, u8 value)
{
	if (port >= COM1 && port < COM1 + 8)
		uart_out(vm, port - COM1, value);
	else if (port == PORT_E9)
		output_byte(vm, value);
}

/* Ports that nobody but devices.c answers.  QEMU's debug-exit takes four. */
static bool is_emulated(const struct vm *vm, u16 port, u8 size)
{
	if (!vm_owns_machine(vm))
		return true;
	for (u8 i = 0; i < size; i++) {
		u16 p = port + i;

		if ((p >= COM1 && p < COM1 + 8) || console_owns(p) || (p >= UMBRA_PORT_EXIT && p < UMBRA_PORT_EXIT + 4) ||
		    p == PORT_E9 || p == PORT_BOCHS_SHUTDOWN)
			return true;
	}
	return false;
}

bool device_keeps(const struct vm *vm, u16 port)
{
	return is_emulated(vm, port, 1) || passthrough_filters(port);
}

/* A wider access reaches neighbouring byte ports, as on an ISA bus. */
u32 device_in(struct vm *vm, u16 port, u8 size)
{
	u32 value = 0;

	if (!is_emulated(vm, port, size))
		return passthrough_in(port, size);
	for (unsigned i = 0; i < size; i++)
		value |= (u32)in_byte(vm, port + i) << 8 * i;
	return value;
}

static void debug_exit(struct vm *vm, u32 value)
{
	if (value == UMBRA_EXIT_PASS)
		vm_end(vm, VM_PASS);
	else if (value == UMBRA_EXIT_SKIP)
		vm_end(vm, VM_SKIP);
	else if (value == UMBRA_EXIT_FAIL)
		vm_fail(vm, "the guest says so");
	else
		vm_fail(vm, "debug-exit port: value %#x", value);
}

void device_out(struct vm *vm, u16 port, u8 size, u32 value)
{
	if (port == UMBRA_PORT_EXIT) {
		debug_exit(vm, value);
		return;
	}
	if (!is_emulated(vm, port, size)) {
		passthrough_out(vm, port, size, value);
		return;
	}
	for (unsigned i = 0; i < size; i++)
		out_byte(vm, port + i, value >> 8 * i);
}
