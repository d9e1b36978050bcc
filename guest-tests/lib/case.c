/* SPDX-License-Identifier: BSD-2-Clause */
/* The cases of one test: command line, checks, TAP 14, verdict. */
#include "internal.h"

#define MAX_DIAGNOSTICS 16 /* per case */

extern const struct test_case cases_start[], cases_end[];


struct options options = { .seed = 1, .depth = 1 };
ulong case_sp;

enum outcome { CASE_OK, CASE_FAILED, CASE_SKIPPED };
static struct { /* the case that runs */
	const struct test_case *c;
	enum outcome outcome;
	const char *why;
	u32 diagnostics;
	u32 random;
	bool walk_printed;
	u64 watched;
} now;
static bool seed_printed;

void note(const char *fmt, ...)
{
	va_list ap;

	print("# ");
	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
	print("\n");
}

void watch(u64 va)
{
	now.watched = va;
}

bool check_failed(const char *file, int line, const char *fmt, ...)
{
	const char *base = file;
	va_list ap;

	for (const char *s = file; *s; s++)
		if (*s == '/')
			base = s + 1;
	now.outcome = CASE_FAILED;
	if (now.diagnostics++ >= MAX_DIAGNOSTICS)
		return false;
	print("# %s:%d: ", base, line);
	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
	print("\n");
	if (!now.walk_printed && (now.watched || last_va)) {
		now.walk_printed = true;
		print_walk(now.watched ? now.watched : last_va);
	}
	return false;
}

bool check_true(bool ok, const char *expr, const char *file, int line)
{
	return ok || check_failed(file, line, "%s is false", expr);
}

bool check_equal(u64 got, u64 want, const char *expr, const char *file, int line)
{
	return got == want || check_failed(file, line, "%s = %#llx, want %#llx", expr, got, want);
}

bool check_faults(struct fault got, struct fault want, const char *expr, const char *file, int line)
{
	char a[64], b[64];

	if (fault_equal(got, want))
		return true;
	return check_failed(file, line, "%s = %s at ip %llx, want %s", expr, fault_text(got, a), got.ip, fault_text(want, b));
}

void end_case(void)
{
	if (!case_sp)
		fatal("end_case() outside a case");
	guard_sp = case_sp;
	guard_leave();
}

void skip(const char *why)
{
	if (now.outcome == CASE_OK)
		now.outcome = CASE_SKIPPED;
	now.why = why;
	end_case();
}

void case_unexpected(struct regs *r, struct fault f)
{
	char text[64];

	check_failed(__FILE__, __LINE__, "unexpected %s at %lx:%lx flags %lx", fault_text(f, text), r->cs, r->ip, r->flags);
	note("  ax %lx bx %lx cx %lx dx %lx si %lx di %lx bp %lx sp %lx", (ulong)r->ax, (ulong)r->bx, (ulong)r->cx, (ulong)r->dx,
	     (ulong)r->si, (ulong)r->di, (ulong)r->bp, r->cs & 3 || sizeof(ulong) == 8 ? r->sp : (ulong)&r->sp);
	if (f.vec == VEC_PF)
		print_walk(f.cr2);
	end_case();
}

u32 random32(void)
{
	if (!seed_printed)
		note("seed=%u", (u32)options.seed);
	seed_printed = true;
	now.random ^= now.random << 13;
	now.random ^= now.random >> 17;
	now.random ^= now.random << 5;
	return now.random;
}

void random_seed(u32 seed)
{
	now.random = seed ? seed : 1;
}

/* From the seed and the name: a case alone sees what it saw in the whole run. */
static u32 random_start(const char *name)
{
	u32 h = 2166136261u ^ (u32)options.seed * 2654435761u;

	for (; *name; name++)
		h = (h ^ (u8)*name) * 16777619u;
	return h ? h : 1;
}

static bool glob(const char *pattern, const char *s)
{
	if (*pattern == '*')
		return glob(pattern + 1, s) || (*s && glob(pattern, s + 1));
	if (!*pattern || !*s)
		return !*pattern && !*s;
	return (*pattern == '?' || *pattern == *s) && glob(pattern + 1, s + 1);
}

static bool parse_number(const char *s, u64 *v)
{
	u32 base = 10;

	if (s[0] == '0' && s[1] == 'x') {
		base = 16;
		s += 2;
	}
	*v = 0;
	if (!*s)
		return false;
	for (; *s; s++) {
		u32 digit = *s >= '0' && *s <= '9' ? *s - '0' : *s >= 'a' && *s <= 'f' ? *s - 'a' + 10 : 99;

		if (digit >= base)
			return false;
		*v = *v * base + digit;
	}
	return true;
}

static const char *value_of(const char *word, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(word, name, n) && word[n] == '=' ? word + n + 1 : NULL;
}

static bool parse_word(const char *word)
{
	const char *v;
	u64 n = 0;

	if ((v = value_of(word, "case"))) {
		options.cases = v;
		return *v;
	}
	if ((v = value_of(word, "seed"))) {
		options.seed_given = true;
		return parse_number(v, &options.seed);
	}
	if ((v = value_of(word, "strict"))) {
		options.strict = parse_number(v, &n) && n == 1;
		return n <= 1 && strlen(v) == 1;
	}
	if ((v = value_of(word, "verbose"))) {
		options.verbose = parse_number(v, &n) && n == 1;
		return n <= 1 && strlen(v) == 1;
	}
	if ((v = value_of(word, "depth"))) {
		bool ok = parse_number(v, &n) && n && n <= 100;

		options.depth = n;
		return ok;
	}
	if ((v = value_of(word, "ops"))) {
		bool ok = parse_number(v, &n) && n && n <= 100000000;

		options.ops = n;
		return ok;
	}
	if ((v = value_of(word, "program"))) {
		options.program_given = parse_number(v, &n);
		options.program = n;
		return options.program_given;
	}
	if ((v = value_of(word, "replay"))) {
		options.replay = v;
		return *v;
	}
	options.list |= !strcmp(word, "list");
	return !strcmp(word, "list");
}

/* Some loaders put the image's name first. */
static bool is_image_name(const char *word)
{
	size_t n = strlen(word);

	for (const char *s = word; *s; s++)
		if (*s == '=')
			return false;
	for (const char *s = word; *s; s++)
		if (*s == '/')
			return true;
	return n > 4 && !strcmp(word + n - 4, ".elf");
}

static void parse_command_line(void)
{
	bool first = true;

	options.strict = under_umbra();
	for (char *s = command_line; *s; first = false) {
		char *word;

		while (*s == ' ')
			s++;
		word = s;
		while (*s && *s != ' ')
			s++;
		if (*s)
			*s++ = 0;
		if (!*word || (first && is_image_name(word)))
			continue;
		if (!parse_word(word))
			fatal("command line: `%s': known are case=GLOB seed=N strict=0|1 verbose=0|1 depth=N ops=N program=N replay=TEXT list", word);
	}
}

static ulong run_one(ulong c, ulong unused)
{
	(void)unused;
	case_sp = guard_sp;
	((const struct test_case *)c)->run();
	return 0;
}

static void run_case(const struct test_case *c)
{
	now = (typeof(now)){ .c = c, .random = random_start(c->name) };
	host_reset();
	tables_reset();
	cpu_reset();
	if (PT_LEVELS && cpu.pge)
		flush_global();
	fault_reset();
	mem_reset();
	guarded(run_one, (ulong)c, 0);
	case_sp = 0;
	if (now.diagnostics > MAX_DIAGNOSTICS)
		note("%u more", now.diagnostics - MAX_DIAGNOSTICS);
}

void run_cases(void)
{
	u32 n = 0, count[3] = { 0 };
	int result;

	print("TAP version 14\n");
	parse_command_line();
	note("%s/%s%s%s", test_name, mode_name, under_umbra() ? " under umbra" : "", options.strict ? " strict" : "");
	for (const struct test_case *c = cases_start; c < cases_end; c++) {
		if (options.list)
			note("case %s", c->name);
		if (options.list || (options.cases && !glob(options.cases, c->name)))
			continue;
		run_case(c);
		count[now.outcome]++;
		print("%sok %u - %s%s%s\n", now.outcome == CASE_FAILED ? "not " : "", ++n, c->name,
		      now.outcome == CASE_SKIPPED ? " # SKIP " : "", now.outcome == CASE_SKIPPED ? now.why : "");
	}
	if (options.list) {
		print("1..0 # SKIP list\n");
		power_off(UMBRA_EXIT_SKIP);
	}
	if (!n)
		fatal("no case is called `%s'", options.cases ? options.cases : "");
	print("1..%u\n", n);
	result = count[CASE_FAILED] ? UMBRA_EXIT_FAIL : count[CASE_OK] ? UMBRA_EXIT_PASS : UMBRA_EXIT_SKIP;
	print("# done %s/%s %s %u/%u\n", test_name, mode_name,
	      result == UMBRA_EXIT_PASS ? "PASS" : result == UMBRA_EXIT_FAIL ? "FAIL" : "SKIP", n - count[CASE_FAILED], n);
	power_off(result);
}
