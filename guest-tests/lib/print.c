/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Console: COM1 where it answers (scratch register), else port 0xe9.
 * No division of 64-bit values: 32-bit builds have no libgcc.
 */
#include "test.h"

#define COM1 0x3f8
#define UART_FCR (COM1 + 2)
#define UART_LCR (COM1 + 3)
#define UART_MCR (COM1 + 4)
#define UART_LSR (COM1 + 5)
#define UART_SCR (COM1 + 7)
#define LSR_THRE 0x20
#define LSR_TEMT 0x40
#define PORT_E9 0xe9
#define UART_SPIN 10000000

static bool have_uart;

void console_init(void)
{
	outb(UART_SCR, 0xa5);
	have_uart = inb(UART_SCR) == 0xa5;
	outb(UART_SCR, 0x5a);
	have_uart = have_uart && inb(UART_SCR) == 0x5a;
	if (!have_uart)
		return;
	outb(COM1 + 1, 0);
	outb(UART_LCR, 0x80);
	outb(COM1, 1); /* 115200 */
	outb(COM1 + 1, 0);
	outb(UART_LCR, 3);
	outb(UART_FCR, 1);
	outb(UART_MCR, 3);
}

static void wait_for(u8 bits)
{
	for (u32 i = 0; i < UART_SPIN && (inb(UART_LSR) & bits) != bits; i++)
		;
}

void console_char(char c)
{
	if (!have_uart) {
		outb(PORT_E9, c);
		return;
	}
	if (c == '\n')
		console_char('\r');
	wait_for(LSR_THRE);
	outb(COM1, c);
}

void console_drain(void)
{
	if (have_uart)
		wait_for(LSR_TEMT);
}

struct out {
	char *at, *end; /* at NULL: the console */
	int n;
};

static void put(struct out *o, char c)
{
	if (!o->at)
		console_char(c);
	else if (o->at < o->end)
		*o->at++ = c;
	o->n++;
}

static void put_padded(struct out *o, const char *s, int len, int width, bool left, char pad)
{
	for (int i = len; !left && i < width; i++)
		put(o, pad);
	for (int i = 0; i < len; i++)
		put(o, s[i]);
	for (int i = len; left && i < width; i++)
		put(o, ' ');
}

/* Shift and subtract: one decimal digit of a 64-bit number. */
static u32 div10(u64 *v)
{
	u64 q = 0, r = 0;

	for (int i = 63; i >= 0; i--) {
		r = r << 1 | ((*v >> i) & 1);
		q <<= 1;
		if (r >= 10) {
			r -= 10;
			q |= 1;
		}
	}
	*v = q;
	return r;
}

static char *number(char *end, u64 v, int base)
{
	do {
		u32 digit;

		if (base == 16) {
			digit = v & 15;
			v >>= 4;
		} else if (v >> 32) {
			digit = div10(&v);
		} else {
			digit = (u32)v % 10;
			v = (u32)v / 10;
		}
		*--end = "0123456789abcdef"[digit];
	} while (v);
	return end;
}

struct spec { /* of one conversion */
	int width, precision, longs;
	bool left, alt;
	char pad;
};

static const char *parse_spec(const char *f, struct spec *s, va_list *ap)
{
	*s = (struct spec){ .precision = -1, .pad = ' ' };
	for (; *f == '-' || *f == '0' || *f == '#'; f++) {
		s->left |= *f == '-';
		s->alt |= *f == '#';
		if (*f == '0')
			s->pad = '0';
	}
	if (*f == '*') {
		s->width = va_arg(*ap, int);
		f++;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		s->width = s->width * 10 + *f - '0';
	if (*f == '.' && f[1] == '*') {
		s->precision = va_arg(*ap, int);
		f += 2;
	} else if (*f == '.') {
		s->precision = 0;
		for (f++; *f >= '0' && *f <= '9'; f++)
			s->precision = s->precision * 10 + *f - '0';
	}
	for (; *f == 'l' || *f == 'z' || *f == 'h'; f++)
		s->longs += *f == 'l' ? 1 : *f == 'z' ? 1 : 0;
	return f;
}

static void put_string(struct out *o, const struct spec *s, const char *str)
{
	int len = 0;

	if (!str)
		str = "(null)";
	while (str[len] && (s->precision < 0 || len < s->precision))
		len++;
	put_padded(o, str, len, s->width, s->left, ' ');
}

static void put_number(struct out *o, const struct spec *s, char conv, va_list *ap)
{
	char buf[32], *end = buf + sizeof(buf), *p;
	bool negative = false;
	u64 v;

	if (conv == 'p')
		v = (ulong)va_arg(*ap, void *);
	else if (s->longs >= 2)
		v = va_arg(*ap, u64);
	else if (conv == 'd')
		v = s->longs ? (u64)va_arg(*ap, long) : (u64)va_arg(*ap, int);
	else
		v = s->longs ? va_arg(*ap, unsigned long) : va_arg(*ap, unsigned int);
	if (conv == 'd' && (long long)v < 0) {
		negative = true;
		v = -v;
	}
	p = number(end, v, conv == 'd' || conv == 'u' ? 10 : 16);
	if (negative)
		*--p = '-';
	if (conv == 'p' || s->alt) {
		put(o, '0');
		put(o, 'x');
	}
	put_padded(o, p, end - p, s->width, s->left, s->pad);
}

static int format(struct out *o, const char *f, va_list *ap)
{
	struct spec s;

	for (; *f; f++) {
		if (*f != '%') {
			put(o, *f);
			continue;
		}
		f = parse_spec(f + 1, &s, ap);
		if (!*f)
			break;
		if (*f == 's')
			put_string(o, &s, va_arg(*ap, const char *));
		else if (*f == 'c')
			put(o, va_arg(*ap, int));
		else if (*f == 'd' || *f == 'u' || *f == 'x' || *f == 'p')
			put_number(o, &s, *f, ap);
		else
			put(o, *f);
	}
	return o->n;
}

int print_vto(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { .at = buf, .end = buf + size - 1 };
	va_list args;
	int n;

	va_copy(args, ap);
	n = format(&o, fmt, &args);
	va_end(args);
	*o.at = 0;
	return n;
}

int print_to(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = print_vto(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

void vprint(const char *fmt, va_list ap)
{
	struct out o = { .at = NULL };
	va_list args;

	va_copy(args, ap);
	format(&o, fmt, &args);
	va_end(args);
}

void print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
}
