/* SPDX-License-Identifier: BSD-2-Clause */
/* Formatted text: %s %c %d %i %u %x %p %%, l and ll, flags 0 - #, width, precision of %s. */
#include "hv.h"

struct out {
	char *buf;
	size_t size, len; /* len may pass size: then the rest is cut off */
};

struct spec {
	bool left, zero, alt;
	int width, precision;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void pad(struct out *o, char c, int n)
{
	while (n-- > 0)
		put(o, c);
}

static void put_text(struct out *o, const struct spec *s, const char *text, int len, const char *prefix)
{
	int fill = s->width - len - (int)strlen(prefix);

	if (!s->left && !s->zero)
		pad(o, ' ', fill);
	while (*prefix)
		put(o, *prefix++);
	if (!s->left && s->zero)
		pad(o, '0', fill);
	for (int i = 0; i < len; i++)
		put(o, text[i]);
	if (s->left)
		pad(o, ' ', fill);
}

static void put_number(struct out *o, const struct spec *s, u64 v, unsigned base, const char *prefix)
{
	char digits[24];
	int n = sizeof(digits);

	do
		digits[--n] = "0123456789abcdef"[v % base];
	while (v /= base);
	put_text(o, s, digits + n, sizeof(digits) - n, prefix);
}

static void put_string(struct out *o, struct spec *s, const char *text)
{
	int len = 0;

	if (!text)
		text = "(null)";
	while (text[len] && (s->precision < 0 || len < s->precision))
		len++;
	s->zero = false;
	put_text(o, s, text, len, "");
}

static int number(const char **f)
{
	int n = 0;

	while (**f >= '0' && **f <= '9')
		n = n * 10 + *(*f)++ - '0';
	return n;
}

static void parse_flags(const char **f, struct spec *s)
{
	for (;; (*f)++) {
		if (**f == '-')
			s->left = true;
		else if (**f == '0')
			s->zero = true;
		else if (**f == '#')
			s->alt = true;
		else
			return;
	}
}

int host_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { buf, size, 0 };

	for (const char *f = fmt; *f; f++) {
		struct spec s = { .precision = -1 };
		int longs = 0;
		s64 v;
		char c;

		if (*f != '%') {
			put(&o, *f);
			continue;
		}
		f++;
		parse_flags(&f, &s);
		s.width = *f == '*' ? (f++, va_arg(ap, int)) : number(&f);
		if (*f == '.') {
			f++;
			s.precision = *f == '*' ? (f++, va_arg(ap, int)) : number(&f);
		}
		for (; *f == 'l' || *f == 'z'; f++)
			longs++;
		switch (*f) {
		case 'd':
		case 'i':
			v = longs ? va_arg(ap, s64) : va_arg(ap, int);
			put_number(&o, &s, v < 0 ? -(u64)v : (u64)v, 10, v < 0 ? "-" : "");
			break;
		case 'u':
			put_number(&o, &s, longs ? va_arg(ap, u64) : va_arg(ap, unsigned), 10, "");
			break;
		case 'x':
			put_number(&o, &s, longs ? va_arg(ap, u64) : va_arg(ap, unsigned), 16, s.alt ? "0x" : "");
			break;
		case 'p':
			put_number(&o, &s, (u64)va_arg(ap, void *), 16, "0x");
			break;
		case 's':
			put_string(&o, &s, va_arg(ap, const char *));
			break;
		case 'c':
			c = va_arg(ap, int);
			put_text(&o, &s, &c, 1, "");
			break;
		default:
			put(&o, *f);
			if (!*f)
				f--;
		}
	}
	if (size)
		buf[MIN(o.len, size - 1)] = 0;
	return o.len;
}

int snprintk(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = host_vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

void printk(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	host_vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (const char *s = line; *s; s++)
		console_putc(*s);
}
