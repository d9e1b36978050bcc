/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's interrupts: exceptions end the run, the PIC's timer line brings
 * control back from a guest that hangs, the rest is let go.
 */
#include "base.h"
#include "cpu.h"
#include "trap.h"

#define PIC1 0x20
#define PIC2 0xa0
#define PIC_EOI 0x20
#define PIC_READ_ISR 0x0b
#define PIC_VECTORS 0x20 /* and the next 16 */
#define IST_FATAL 1

struct gate {
	u16 offset0, selector;
	u8 ist, type;
	u16 offset16;
	u32 offset32, reserved;
};

extern const u8 trap_stubs[256][16], take_stubs[256][16];

static struct gate idt[256];
static struct gate take_idt[256]; /* for idt_take(): a guest chooses its vectors, and may choose those of exceptions */
static u64 ticks;
s64 idt_taken; /* trap.S */

void idt_reset_pic(void)
{
	for (unsigned i = 0; i < 8; i++) {
		outb(PIC2, PIC_EOI);
		outb(PIC1, PIC_EOI);
	}
	outb(PIC1, 0x11);
	outb(PIC1 + 1, PIC_VECTORS);
	outb(PIC1 + 1, 4);
	outb(PIC1 + 1, 1);
	outb(PIC2, 0x11);
	outb(PIC2 + 1, PIC_VECTORS + 8);
	outb(PIC2 + 1, 2);
	outb(PIC2 + 1, 1);
	outb(PIC1 + 1, 0xff);
	outb(PIC2 + 1, 0xff);
}

static struct gate make_gate(const u8 *stub, u8 ist)
{
	u64 a = (u64)stub;

	return (struct gate){ a, 0x08, ist, 0x8e, a >> 16, a >> 32, 0 };
}

void idt_init(void)
{
	struct descriptor_pointer p = { sizeof(idt) - 1, (u64)idt };

	for (unsigned i = 0; i < 256; i++) {
		idt[i] = make_gate(trap_stubs[i], i == VEC_DF ? IST_FATAL : 0);
		take_idt[i] = make_gate(take_stubs[i], 0);
	}
	take_idt[VEC_DB] = idt[VEC_DB];
	take_idt[VEC_NMI] = idt[VEC_NMI];
	take_idt[VEC_MC] = idt[VEC_MC];
	lidt(&p);
	idt_reset_pic();
}

int idt_take(void)
{
	struct descriptor_pointer own = { sizeof(idt) - 1, (u64)idt }, take = { sizeof(take_idt) - 1, (u64)take_idt };

	idt_taken = -1;
	lidt(&take);
	__asm__ volatile("sti; nop; cli" ::: "memory");
	lidt(&own);
	return idt_taken;
}

void idt_tick(bool on)
{
	outb(PIC1 + 1, on ? 0xfe : 0xff);
}

u64 idt_ticks(void)
{
	return ticks;
}

extern const u8 idt_rdmsr_at[], idt_rdmsr_refused[];

bool idt_rdmsr(u32 msr, u64 *value)
{
	u32 low = 0, high = 0, good = 0;

	__asm__ volatile(".globl idt_rdmsr_at, idt_rdmsr_refused\n"
			 "idt_rdmsr_at: rdmsr\n mov $1, %2\n"
			 "idt_rdmsr_refused:"
			 : "+a"(low), "+d"(high), "+r"(good)
			 : "c"(msr)
			 : "memory");
	*value = low | (u64)high << 32;
	return good;
}

static void pic_interrupt(unsigned irq)
{
	u16 pic = irq < 8 ? PIC1 : PIC2;

	if (irq % 8 == 7) { /* spurious, if it is not in service */
		outb(pic, PIC_READ_ISR);
		if (!(inb(pic) & 0x80)) {
			if (pic == PIC2)
				outb(PIC1, PIC_EOI);
			return;
		}
	}
	ticks += irq == 0;
	outb(PIC1, PIC_EOI);
	if (pic == PIC2)
		outb(PIC2, PIC_EOI);
}

/*
 * Bochs leaves a #DB behind when a guest that single-steps exits; an NMI that
 * comes between two guests has no owner; vectors of the local APIC neither.
 */
void trap_handler(struct trap_frame *f)
{
	if (f->vector == VEC_DB || f->vector == VEC_NMI)
		return;
	if (f->vector == VEC_GP && f->rip == (u64)idt_rdmsr_at) {
		f->rip = (u64)idt_rdmsr_refused;
		return;
	}
	if (f->vector < PIC_VECTORS)
		panic_trap(f);
	if (f->vector < PIC_VECTORS + 16)
		pic_interrupt(f->vector - PIC_VECTORS);
}
