/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a run, by every way that some machine knows, the one with a status first. */
#include "base.h"
#include "cpu.h"

#define PORT_DEBUG_EXIT 0xf4 /* QEMU: status (value << 1) | 1 */
#define PORT_BOCHS_SHUTDOWN 0x8900
#define PORT_ACPI_PIIX 0x604 /* PM1a_CNT of QEMU's and, next, of Bochs' chipset */
#define PORT_ACPI_BOCHS 0xb004
#define ACPI_S5 0x2000

void power_off(bool success)
{
	static const struct descriptor_pointer empty;

	cpu_cli();
	console_drain();
	outb(PORT_DEBUG_EXIT, success ? 0x10 : 0x11);
	for (const char *s = "Shutdown"; *s; s++)
		outb(PORT_BOCHS_SHUTDOWN, *s);
	outw(PORT_ACPI_PIIX, ACPI_S5);
	outw(PORT_ACPI_BOCHS, ACPI_S5);
	/* On a real machine the text stays on the screen of whoever listens. */
	lidt(&empty);
	__asm__ volatile("int3");
	for (;;)
		cpu_hlt();
}
