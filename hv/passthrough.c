/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * devices=pass: the machine in the hands of a guest.  Its port accesses reach
 * the hardware, but for those that would switch off, reset or cripple the
 * machine under hv; what hv itself needs of it is put back when the guest ends.
 *
 * Such a guest is trusted with the devices: nothing here stops DMA to any
 * address, or a PCI device that is moved onto RAM.
 */
#include "base.h"
#include "cpu.h"

#define KBD_DATA 0x60
#define KBD_COMMAND 0x64
#define KBD_WRITE_OUTPUT_PORT 0xd1
#define KBD_DISABLE_A20 0xdd
#define KBD_PULSE 0xf0 /* the lines whose bits are 0, for a moment; bit 0 is reset */
#define KBD_KEEP 3 /* A20 on, no reset */
#define PORT_A 0x92
#define PORT_A_RESET BIT(0)
#define PORT_A_A20 BIT(1)
#define PORT_RESET_CONTROL 0xcf9
#define RESET_CPU BIT(2)
#define PORT_ACPI_PIIX 0x604 /* PM1a_CNT of QEMU's and, next, of Bochs' chipset */
#define PORT_ACPI_BOCHS 0xb004
#define SLP_EN_HIGH BIT(13 - 8) /* in the second byte */

#define PORT_B 0x61
#define ELCR 0x4d0
#define RTC_INDEX 0x70
#define RTC_DATA 0x71
#define RTC_B 0x0b
#define RTC_C 0x0c

#define APIC_ADDRESS 0xffffff000ull
#define APIC_TPR 0x80
#define APIC_EOI 0xb0
#define APIC_SVR 0xf0
#define APIC_LVT_TIMER 0x320
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_DIVIDE 0x3e0
#define IOAPIC 0xfec00000
#define IOAPIC_DATA (IOAPIC + 0x10)
#define IOAPIC_VERSION 1
#define IOAPIC_REDIRECTION 0x10
#define IOAPIC_MAX 64
#define HPET_CONFIG 0xfed00010
#define HPET_TIMER0 0xfed00100
#define HPET_TIMERS 3
#define HPET_TIMER_SIZE 0x20

#define DRAIN_MAX 64

/* The order in which they are written back: LVT entries stay masked while SVR says so. */
static const u16 apic_registers[] = {
	APIC_SVR, APIC_TPR, APIC_TIMER_INITIAL, APIC_TIMER_DIVIDE, APIC_LVT_TIMER, 0x330, 0x340, 0x350, 0x360, 0x370,
};

static struct {
	u8 port_b, elcr[2], rtc_b;
	bool has_apic;
	u64 apic_base;
	u32 apic[ARRAY_SIZE(apic_registers)];
	u32 ioapic_entries, ioapic[2 * IOAPIC_MAX];
	bool has_hpet;
	u32 hpet_config, hpet[HPET_TIMERS];
} saved;

/* ---- ports ---- */

bool passthrough_filters(u16 port)
{
	switch (port) {
	case KBD_DATA:
	case KBD_COMMAND:
	case PORT_A:
	case PORT_RESET_CONTROL:
	case PORT_ACPI_PIIX + 1:
	case PORT_ACPI_BOCHS + 1:
		return true;
	}
	return false;
}

u32 passthrough_in(u16 port, u8 size)
{
	return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

static void reset(struct vm *vm)
{
	vm_fail(vm, "the guest resets the machine");
}

static u8 kbd_command(struct vm *vm, u8 value)
{
	vm->pass.kbd_output_port = value == KBD_WRITE_OUTPUT_PORT;
	if (value >= KBD_PULSE && !(value & 1))
		reset(vm);
	return value == KBD_DISABLE_A20 ? KBD_PULSE | 0xf : value;
}

/* What may be written to the port's byte, if the guest is still there afterwards. */
static u8 filter(struct vm *vm, u16 port, u8 size, u8 value)
{
	switch (port) {
	case KBD_COMMAND:
		return kbd_command(vm, value);
	case KBD_DATA:
		if (vm->pass.kbd_output_port)
			value |= KBD_KEEP;
		vm->pass.kbd_output_port = false;
		break;
	case PORT_A:
		if (value & PORT_A_RESET)
			reset(vm);
		return value | PORT_A_A20;
	case PORT_RESET_CONTROL: /* four bytes at 0xcf8 are the address of a PCI register */
		if (size < 4 && value & RESET_CPU)
			reset(vm);
		break;
	case PORT_ACPI_PIIX + 1:
	case PORT_ACPI_BOCHS + 1:
		if (value & SLP_EN_HIGH)
			vm_end(vm, VM_PASS);
		break;
	}
	return value;
}

void passthrough_out(struct vm *vm, u16 port, u8 size, u32 value)
{
	for (unsigned i = 0; i < size; i++) {
		u32 byte = filter(vm, port + i, size, value >> 8 * i);

		value = (value & ~(0xffu << 8 * i)) | byte << 8 * i;
	}
	if (vm->result != VM_RUNNING)
		return;
	if (size == 1)
		outb(port, value);
	else if (size == 2)
		outw(port, value);
	else
		outl(port, value);
}

/* ---- interrupts ---- */

void passthrough_relay(struct vcpu *v)
{
	int vector = idt_take();

	if (vector >= 0)
		event_intr(v, vector);
}

void passthrough_wait(struct vcpu *v)
{
	while (!v->pending_intr.valid && !vm_over_time(v->vm))
		passthrough_relay(v);
}

/* ---- the machine before and after ---- */

static u32 mmio_read(u64 at)
{
	u32 value;

	host_device_read(mk_hpa(at), &value, sizeof(value));
	return value;
}

static void mmio_write(u64 at, u32 value)
{
	host_device_write(mk_hpa(at), &value, sizeof(value));
}

static u8 rtc_read(u8 reg)
{
	outb(RTC_INDEX, reg);
	return inb(RTC_DATA);
}

static u32 ioapic_read(u32 reg)
{
	mmio_write(IOAPIC, reg);
	return mmio_read(IOAPIC_DATA);
}

static void ioapic_write(u32 reg, u32 value)
{
	mmio_write(IOAPIC, reg);
	mmio_write(IOAPIC_DATA, value);
}

static u64 apic_at(u32 reg)
{
	return (saved.apic_base & APIC_ADDRESS) + reg;
}

static void save_apic(void)
{
	u32 r[4];

	cpuid(1, 0, r);
	saved.has_apic = r[3] & BIT(9);
	if (saved.has_apic)
		saved.apic_base = rdmsr(MSR_APIC_BASE);
	if (!saved.has_apic || (saved.apic_base & (APIC_BASE_EN | APIC_BASE_EXTD)) != APIC_BASE_EN) {
		saved.has_apic = false; /* x2APIC mode, or switched off: the guest is not told of it */
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(apic_registers); i++)
		saved.apic[i] = mmio_read(apic_at(apic_registers[i]));
}

/* Whatever waits or is in service goes. */
static void drain(void)
{
	for (unsigned i = 0; i < DRAIN_MAX; i++) {
		int vector = idt_take();

		if (saved.has_apic)
			mmio_write(apic_at(APIC_EOI), 0);
		if (vector < 0 && i >= 16) /* priority classes: no more can be in service */
			break;
	}
}

static void restore_apic(void)
{
	if (!saved.has_apic)
		return;
	wrmsr(MSR_APIC_BASE, saved.apic_base);
	mmio_write(apic_at(APIC_LVT_TIMER), mmio_read(apic_at(APIC_LVT_TIMER)) | BIT(16));
	mmio_write(apic_at(APIC_TPR), 0);
	drain();
	for (unsigned i = 0; i < ARRAY_SIZE(apic_registers); i++)
		mmio_write(apic_at(apic_registers[i]), saved.apic[i]);
}

static void save_ioapic(void)
{
	u32 version = ioapic_read(IOAPIC_VERSION);

	saved.ioapic_entries = version == ~0u || !version ? 0 : MIN((version >> 16 & 0xff) + 1, IOAPIC_MAX);
	for (u32 i = 0; i < 2 * saved.ioapic_entries; i++)
		saved.ioapic[i] = ioapic_read(IOAPIC_REDIRECTION + i);
}

static void restore_ioapic(void)
{
	for (u32 i = 0; i < 2 * saved.ioapic_entries; i++)
		ioapic_write(IOAPIC_REDIRECTION + i, saved.ioapic[i]);
}

static void save_hpet(void)
{
	saved.hpet_config = mmio_read(HPET_CONFIG);
	saved.has_hpet = saved.hpet_config != ~0u;
	for (unsigned i = 0; saved.has_hpet && i < HPET_TIMERS; i++)
		saved.hpet[i] = mmio_read(HPET_TIMER0 + i * HPET_TIMER_SIZE);
}

static void restore_hpet(void)
{
	if (!saved.has_hpet)
		return;
	mmio_write(HPET_CONFIG, saved.hpet_config);
	for (unsigned i = 0; i < HPET_TIMERS; i++)
		mmio_write(HPET_TIMER0 + i * HPET_TIMER_SIZE, saved.hpet[i]);
}

/* The PICs stay as idt.c has set them: all masked.  The PIT ticks as firmware leaves it. */
void passthrough_begin(void)
{
	saved.port_b = inb(PORT_B);
	saved.elcr[0] = inb(ELCR);
	saved.elcr[1] = inb(ELCR + 1);
	saved.rtc_b = rtc_read(RTC_B);
	save_apic();
	save_ioapic();
	save_hpet();
	clock_tick_stop();
}

void passthrough_end(void)
{
	restore_hpet();
	outb(RTC_INDEX, RTC_B);
	outb(RTC_DATA, saved.rtc_b);
	rtc_read(RTC_C);
	outb(PORT_B, saved.port_b & 3);
	idt_reset_pic();
	restore_apic();
	restore_ioapic();
	outb(ELCR, saved.elcr[0]);
	outb(ELCR + 1, saved.elcr[1]);
	idt_reset_pic();
	clock_tick_start();
}
