/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs: run from a clean state, made shorter, and as text. */
#include "churn.h"

#define SHRINK_BUDGET 400000u /* operations */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* ---- from a clean state; shorter ones --------------------------------------------------- */

int program_run(const struct program *p)
{
	program_begin();
	for (u32 i = 0; i < p->n; i++)
		if (!run_op(p->op[i]))
			return i;
	return -1;
}

static void without(struct program *to, const struct program *from, u32 at, u32 n)
{
	to->n = 0;
	for (u32 i = 0; i < from->n; i++)
		if (i < at || i >= at + n)
			to->op[to->n++] = from->op[i];
}

/* Chunks, halved until they are single operations; these until none can go. */
void program_shrink(struct program *p)
{
	static struct program q;
	u32 spent = 0, chunk = p->n / 2;
	bool shorter = true;

	while (chunk && spent < SHRINK_BUDGET) {
		shorter = false;
		for (u32 at = 0; at < p->n && spent < SHRINK_BUDGET;) {
			int stop;

			without(&q, p, at, chunk);
			spent += q.n + 50;
			stop = program_run(&q);
			if (stop < 0) {
				at += chunk;
				continue;
			}
			q.n = stop + 1;
			*p = q;
			shorter = true;
		}
		if (chunk > 1 || !shorter)
			chunk /= 2;
		if (chunk > p->n / 2 && p->n > 1)
			chunk = p->n / 2;
	}
}

/* ---- as text -------------------------------------------------------------------------------- */

static u64 pack(struct op op)
{
	return op.type | op.a << 4 | op.b << 9 | op.how << 13 | op.target << 19 | (u64)op.flags << 24;
}

static struct op unpack(u64 v)
{
	return (struct op){ .type = v & 15, .a = v >> 4 & 31, .b = v >> 9 & 15, .how = v >> 13 & 63, .target = v >> 19 & 31,
			    .flags = v >> 24 & 0xfffff };
}

static int digit_value(char c)
{
	for (int i = 0; i < 64; i++)
		if (digits[i] == c)
			return i;
	return -1;
}

bool program_parse(struct program *p, const char *text)
{
	p->n = 0;
	while (*text && p->n < PROGRAM_MAX) {
		u64 v = 0;

		for (u32 i = 0; i < 8; i++) {
			int d = digit_value(*text);

			if (d < 0)
				return false;
			text++;
			v |= (u64)d << (6 * i);
		}
		p->op[p->n++] = unpack(v);
	}
	return p->n && !*text;
}

static void print_op(u32 i, struct op op)
{
	static const char *const edits[] = { "mov", "xchg", "cmpxchg", "cmpxchg, fails", "or", "and not", "xor", "btc", "mov byte",
					     "mov word", "mov low half", "mov high half", "rep stos", "batch" };
	static const char *const touches[] = { "read", "write", "fetch", "rmw", "locked rmw", "read cell", "write cell", "write cell high" };
	static const char *const hypers[] = { "relocate", "log-dirty on,", "log-dirty off,", "log-dirty read" };
	static const char *const whose[] = { "super", "user", "implicit", "?" };
	u64 va = op.a < NVAS ? vas[op.a] : 0;

	switch ((enum op_type)op.type) {
	case OP_EDIT:
		note("  %u: %s cell %u of frame %u (%llx), %llx (frame %u)", i, edits[op.how % NEDITS], op.b, op.a,
		     op.a < NFRAMES ? frame_gpa[op.a] + cell_offset(op.a, op.b) : 0, op_value(op), op.target);
		break;
	case OP_ACCESS:
		note("  %u: %s %s%s at va %u (%llx), cell %u value %llx", i, whose[WHO(op)], touches[TOUCH(op)], WITH_AC(op) ? " AC" : "",
		     op.a, va, op.b, op_value(op));
		break;
	case OP_INVLPG:
		note("  %u: invlpg va %u (%llx)", i, op.a, va);
		break;
	case OP_CR3:
		note("  %u: mov cr3, frame %u", i, ROOTS + op.a % NROOTS);
		break;
	case OP_CONTROL:
		note("  %u: toggle%s%s%s%s%s%s", i, op.how & CONTROL_WP ? " CR0.WP" : "", op.how & CONTROL_SMEP ? " CR4.SMEP" : "",
		     op.how & CONTROL_SMAP ? " CR4.SMAP" : "", op.how & CONTROL_PGE ? " CR4.PGE" : "",
		     op.how & CONTROL_PSE ? " CR4.PSE" : "", op.how & CONTROL_NXE ? " EFER.NXE" : "");
		break;
	case OP_PAGING:
		note("  %u: CR0.PG off and on", i);
		break;
	case OP_HYPER:
		note("  %u: %s frame %u (gpa %llx)", i, hypers[op.how & 3], op.a, op.a < NFRAMES ? frame_gpa[op.a] : 0);
		break;
	default:
		note("  %u: audit", i);
	}
}

void program_print(const struct program *p)
{
	for (u32 i = 0; i < p->n; i++)
		print_op(i, p->op[i]);
	print("# replay=");
	for (u32 i = 0; i < p->n; i++)
		for (u32 k = 0; k < 8; k++)
			print("%c", digits[pack(p->op[i]) >> (6 * k) & 63]);
	print("\n");
}
