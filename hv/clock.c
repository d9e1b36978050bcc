/* SPDX-License-Identifier: BSD-2-Clause */
/* Time: the TSC, measured against PIT channel 2, and channel 0 as a periodic tick. */
#include "base.h"
#include "cpu.h"

#define PIT_HZ 1193182
#define PIT_CH0 0x40
#define PIT_CH2 0x42
#define PIT_COMMAND 0x43
#define PIT_CH0_RATE 0x34 /* both bytes, mode 2 */
#define PIT_CH0_SQUARE 0x36 /* both bytes, mode 3 */
#define PIT_CH2_ONCE 0xb0 /* both bytes, mode 0 */
#define PORT_B 0x61
#define PORT_B_GATE2 BIT(0)
#define PORT_B_SPEAKER BIT(1)
#define PORT_B_OUT2 BIT(5)

#define TICK_HZ 100
#define SAMPLE_MS 20
#define POLLS 4000000

static u64 tsc_khz = 1000000;

u64 clock_ms(u64 tsc)
{
	return (rdtsc() - tsc) / tsc_khz;
}

void clock_init(void)
{
	u32 count = PIT_HZ * SAMPLE_MS / 1000, polls = POLLS;
	u8 port_b = inb(PORT_B) & ~(PORT_B_SPEAKER | PORT_B_GATE2);
	u64 start, khz;

	outb(PORT_B, port_b | PORT_B_GATE2);
	outb(PIT_COMMAND, PIT_CH2_ONCE);
	outb(PIT_CH2, count);
	outb(PIT_CH2, count >> 8);
	start = rdtsc();
	while (!(inb(PORT_B) & PORT_B_OUT2) && --polls)
		;
	khz = (rdtsc() - start) / SAMPLE_MS;
	outb(PORT_B, port_b);
	if (polls && khz >= 1000)
		tsc_khz = khz;
	else
		printk("# PIT channel 2 does not count: time limits take the TSC for 1 GHz\n");
}

static void set_channel0(u8 mode, u16 count)
{
	outb(PIT_COMMAND, mode);
	outb(PIT_CH0, count);
	outb(PIT_CH0, count >> 8);
}

void clock_tick_start(void)
{
	set_channel0(PIT_CH0_RATE, PIT_HZ / TICK_HZ);
}

void clock_tick_stop(void)
{
	set_channel0(PIT_CH0_SQUARE, 0);
}
