/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The options: one table.  hv's command line sets them for all guests; words
 * "umbra.name=value" in a module's own string override them for that guest.
 */
#include "base.h"

enum option_type {
	TYPE_NUMBER, /* decimal or 0x..., with k or m: times 1024 or 1024 squared */
	TYPE_CHOICE,
	TYPE_TEXT, /* only one: struct options.only */
	TYPE_FLAG, /* a bare word */
};

struct option {
	const char *name;
	enum option_type type;
	const char *deflt;
	const char *choices; /* "a|b": the value is the index */
	u64 min, max;
	bool global; /* not for a single module */
	const char *help;
};

static const struct option table[NOPTIONS] = {
	[OPT_CONSOLE] = { "console", TYPE_NUMBER, "0x3f8", NULL, 0x10, 0xfff8, true, "I/O port of the 16550 to talk on" },
	[OPT_VENDOR] = { "vendor", TYPE_CHOICE, "auto", "auto|svm|vmx", 0, 0, true, "which virtualization extension to use" },
	[OPT_ONLY] = { "only", TYPE_TEXT, "*", NULL, 0, 0, true, "run only guests of this name; * and ? match" },
	[OPT_STATS] = { "stats", TYPE_NUMBER, "1", NULL, 0, 1, false, "1: counters after each guest" },
	[OPT_POLICY] = { "policy", TYPE_CHOICE, "emulate", "vtlb|emulate|oos|adaptive", 0, 0, false, "how writes to page tables are noticed" },
	[OPT_OOS] = { "oos", TYPE_NUMBER, "16", NULL, 1, 65536, false,
			"tables that may be out of sync at once (policy=oos, adaptive), or all" },
	[OPT_WPROT] = { "wprot", TYPE_CHOICE, "rmap", "rmap|scan", 0, 0, false, "how mappings of a table are found" },
	[OPT_LARGE] = { "large", TYPE_CHOICE, "splinter", "splinter|direct|mixed", 0, 0, false,
			"large pages: in pieces, as one entry, or as one when many pieces are in use" },
	[OPT_FASTPATH] = { "fastpath", TYPE_CHOICE, "off", "off|on", 0, 0, false, "guest faults known from notes in the shadow" },
	[OPT_PREFETCH] = { "prefetch", TYPE_NUMBER, "0", NULL, 0, 64, false, "neighbours filled along with an entry" },
	[OPT_P2M] = { "p2m", TYPE_CHOICE, "scatter", "flat|scatter|chunks|sparse", 0, 0, false, "how guest frames lie in host memory" },
	[OPT_POOL] = { "pool", TYPE_NUMBER, "1024", NULL, SHADOW_POOL_MIN, 65536, false, "shadow pages for a guest" },
	[OPT_AUDIT] = { "audit", TYPE_NUMBER, "1", NULL, 0, 2, false,
			"0 never, 1 when asked and at the end, 2 at each exit (every 16th after 4096)" },
	[OPT_G2] = { "g2", TYPE_CHOICE, "s3", "s2|s3", 0, 0, false, "shadow levels for 2-level guests" },
	[OPT_MEM] = { "mem", TYPE_NUMBER, "32", NULL, 4, 2048, false, "MiB of memory for a guest" },
	[OPT_DEVICES] = { "devices", TYPE_CHOICE, "emulate", "emulate|pass|relay", 0, 0, false,
			"pass: the guest owns the machine; relay: so too, and hv hands it each interrupt (SVM)" },
	[OPT_CHAOS] = { "chaos", TYPE_NUMBER, "0", NULL, 0, ~0ull, false, "seed of relocations, evictions and the like between exits, 0: none" },
	[OPT_SEED] = { "seed", TYPE_NUMBER, "1", NULL, 0, ~0ull, false, "of the scatter" },
	[OPT_LIMIT] = { "limit", TYPE_NUMBER, "60000", NULL, 0, 86400000, false, "ms that a guest may run, 0: no limit" },
	[OPT_REFAULTS] = { "refaults", TYPE_NUMBER, "10000", NULL, 0, ~0u, false, "page faults without progress, 0: no limit" },
	[OPT_OUTPUT] = { "output", TYPE_NUMBER, "4m", NULL, 0, ~0ull, false, "bytes that a guest may print, 0: no limit" },
	[OPT_HELP] = { "help", TYPE_FLAG, "0", NULL, 0, 1, true, "list the options and end" },
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The index of the choice, -1 if there is none such. */
static int find_choice(const char *choices, const char *s, size_t len)
{
	for (int i = 0;; i++) {
		size_t n = 0;

		while (choices[n] && choices[n] != '|')
			n++;
		if (n == len && !strncmp(choices, s, n))
			return i;
		if (!choices[n])
			return -1;
		choices += n + 1;
	}
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

static bool parse_number(const char *s, size_t len, u64 *out)
{
	const char *end = s + len;
	int base = 10;
	u64 v = 0;

	if (len > 2 && s[0] == '0' && (s[1] | 0x20) == 'x') {
		base = 16;
		s += 2;
	}
	if (s == end || digit(*s) >= base)
		return false;
	for (; s < end && digit(*s) < base; s++)
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit(*s), &v))
			return false;
	if (s < end && ((*s | 0x20) == 'k' || (*s | 0x20) == 'm')) {
		u64 unit = (*s++ | 0x20) == 'k' ? BIT(10) : BIT(20);

		if (__builtin_mul_overflow(v, unit, &v))
			return false;
	}
	*out = v;
	return s == end;
}

static bool set_number(struct options *o, enum option_id id, const char *s, size_t len, char *why, size_t size)
{
	const struct option *t = &table[id];
	u64 v;

	if (id == OPT_OOS && len == 3 && !strncmp(s, "all", 3)) {
		o->value[id] = t->max;
		return true;
	}
	if (!parse_number(s, len, &v)) {
		snprintk(why, size, "option %s: \"%.*s\" is no number", t->name, (int)len, s);
		return false;
	}
	if (v < t->min) {
		snprintk(why, size, "option %s: %lu is below the minimum of %lu", t->name, v, t->min);
		return false;
	}
	if (v > t->max) {
		snprintk(why, size, "option %s: %lu is above the maximum of %lu", t->name, v, t->max);
		return false;
	}
	o->value[id] = v;
	return true;
}

static bool set_choice(struct options *o, enum option_id id, const char *s, size_t len, char *why, size_t size)
{
	int i = find_choice(table[id].choices, s, len);

	if (i < 0)
		snprintk(why, size, "option %s: \"%.*s\" is none of %s", table[id].name, (int)len, s, table[id].choices);
	else
		o->value[id] = i;
	return i >= 0;
}

static bool set(struct options *o, enum option_id id, const char *s, size_t len, char *why, size_t size)
{
	switch (table[id].type) {
	case TYPE_NUMBER:
		return set_number(o, id, s, len, why, size);
	case TYPE_CHOICE:
		return set_choice(o, id, s, len, why, size);
	case TYPE_FLAG:
		o->value[id] = 1;
		return true;
	case TYPE_TEXT:
		break;
	}
	if (!len || len >= sizeof(o->only)) {
		snprintk(why, size, "option %s: a name of 1 to %lu characters", table[id].name, sizeof(o->only) - 1);
		return false;
	}
	memcpy(o->only, s, len);
	o->only[len] = 0;
	return true;
}

static bool set_word(struct options *o, const char *word, size_t len, bool module, char *why, size_t size)
{
	size_t n = 0;

	while (n < len && word[n] != '=')
		n++;
	if (n == 7 && n == len && !strncmp(word, "options", n))
		return set_word(o, "help", 4, module, why, size);
	for (enum option_id id = 0; id < NOPTIONS; id++) {
		if (strlen(table[id].name) != n || strncmp(table[id].name, word, n))
			continue;
		if (module && table[id].global) {
			snprintk(why, size, "option %s is not for a single guest", table[id].name);
			return false;
		}
		if ((n == len) == (table[id].type == TYPE_FLAG))
			return set(o, id, word + n + 1, n == len ? 0 : len - n - 1, why, size);
		break;
	}
	snprintk(why, size, "unknown option \"%.*s\"", (int)len, word);
	return false;
}

static size_t next_word(const char **s)
{
	size_t n = 0;

	while (is_space(**s))
		(*s)++;
	while ((*s)[n] && !is_space((*s)[n]))
		n++;
	return n;
}

void options_default(struct options *o)
{
	char why[80];

	memset(o, 0, sizeof(*o));
	for (enum option_id id = 0; id < NOPTIONS; id++)
		if (table[id].type != TYPE_FLAG && !set(o, id, table[id].deflt, strlen(table[id].deflt), why, sizeof(why)))
			BUG("default of %s: %s", table[id].name, why);
}

bool options_parse(struct options *o, const char *cmdline, char *why, size_t size)
{
	size_t n;

	for (; (n = next_word(&cmdline)); cmdline += n)
		if (!set_word(o, cmdline, n, false, why, size))
			return false;
	return true;
}

bool options_module(struct options *o, const char *string, char *rest, size_t rest_size, char *why, size_t size)
{
	bool good = true;
	size_t n, len = 0;

	for (; (n = next_word(&string)); string += n) {
		if (n > 16 && !strncmp(string, "umbra.module-of=", 16)) /* multiboot_owner() */
			continue;
		if (n > 6 && !strncmp(string, "umbra.", 6)) {
			good = good && set_word(o, string + 6, n - 6, true, why, size);
			continue;
		}
		len += snprintk(rest + len, rest_size - len, "%s%.*s", len ? " " : "", (int)n, string);
		len = MIN(len, rest_size - 1);
	}
	rest[len] = 0;
	return good;
}

void options_vm(const struct options *o, struct vm_options *out)
{
	const u64 *v = o->value;

	*out = (struct vm_options){
		.shadow = {
			.policy = v[OPT_POLICY],
			.oos = v[OPT_OOS],
			.chaos = v[OPT_CHAOS],
			.wprot = v[OPT_WPROT] ? WPROT_SCAN : WPROT_RMAP,
			.p2m = v[OPT_P2M],
			.large = v[OPT_LARGE],
			.fastpath = v[OPT_FASTPATH],
			.prefetch = v[OPT_PREFETCH],
			.mmio = v[OPT_DEVICES],
			.pool = v[OPT_POOL],
			.audit = v[OPT_AUDIT],
			.g2_on_s2 = v[OPT_G2] == 0,
			.ram_frames = v[OPT_MEM] << (20 - PAGE_SHIFT),
			.hole_start = mk_gfn(0xa0),
			.hole_end = mk_gfn(0x100),
			.seed = v[OPT_SEED],
		},
		.devices = v[OPT_DEVICES],
		.limit_ms = v[OPT_LIMIT],
		.refault_limit = v[OPT_REFAULTS],
		.output_limit = v[OPT_OUTPUT],
	};
}

const char *options_text(const struct options *o, enum option_id id, char *buf, size_t size)
{
	const char *c = table[id].choices;
	u64 skip = o->value[id];
	size_t n = 0;

	if (table[id].type == TYPE_TEXT) {
		snprintk(buf, size, "%s", o->only);
	} else if (table[id].type == TYPE_CHOICE) {
		for (; skip; c++)
			skip -= *c == '|';
		while (c[n] && c[n] != '|')
			n++;
		snprintk(buf, size, "%.*s", (int)n, c);
	} else {
		snprintk(buf, size, id == OPT_CONSOLE ? "%#lx" : "%lu", o->value[id]);
	}
	return buf;
}

void options_help(void)
{
	for (enum option_id id = 0; id < NOPTIONS; id++) {
		const struct option *t = &table[id];

		printk("option %s %s %s%s%s%s\n", t->name, t->deflt, t->help, t->choices ? " (" : "",
		       t->choices ? t->choices : "", t->choices ? ")" : "");
	}
}

void options_show(const struct options *o)
{
	char buf[sizeof(o->only)];

	printk("# options");
	for (enum option_id id = 0; id < OPT_HELP; id++)
		printk(" %s=%s", table[id].name, options_text(o, id, buf, sizeof(buf)));
	printk("\n");
}
