/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's serial line: buffered by lines, indented as a subtest, and read
 * along, since a guest that says "pass" may still have failed by its own TAP.
 */
#include "base.h"

static bool starts(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

static const char *find(const char *s, const char *what)
{
	for (; *s; s++)
		if (starts(s, what))
			return s;
	return NULL;
}

static void read_plan(struct vm_output *o)
{
	const char *s = o->line + 3, *skip = find(s, "# SKIP");

	o->planned = true;
	o->plan = 0;
	for (; *s >= '0' && *s <= '9'; s++)
		o->plan = o->plan * 10 + *s - '0';
	if (skip)
		snprintk(o->skip, sizeof(o->skip), "%s", skip + 6 + (skip[6] == ' '));
}

static void read_line(struct vm_output *o)
{
	if (starts(o->line, "1..")) {
		read_plan(o);
	} else if (starts(o->line, "ok ")) {
		o->ran++;
	} else if (starts(o->line, "not ok ")) {
		o->ran++;
		o->failed += !find(o->line, "# TODO");
	} else if (starts(o->line, "Bail out!")) {
		o->bailed = true;
	}
}

static void print_line(struct vm_output *o, bool whole)
{
	o->line[o->len] = 0;
	if (!o->continued)
		read_line(o);
	printk("%s%s%s", o->continued || !o->len ? "" : "    ", o->line, whole ? "\n" : "");
	o->continued = !whole;
	o->len = 0;
}

void output_flush(struct vm *vm)
{
	if (vm->out.len || vm->out.continued)
		print_line(&vm->out, true);
}

/* What would spoil the log or its reader is shown as "?". */
void output_byte(struct vm *vm, char c)
{
	struct vm_output *o = &vm->out;

	if (vm->result != VM_RUNNING)
		return;
	if (++vm->output > vm->opt.output_limit && vm->opt.output_limit) {
		vm_fail(vm, "output: more than %lu bytes", vm->opt.output_limit);
		return;
	}
	if (c == '\r')
		return;
	if (c == '\n') {
		print_line(o, true);
		return;
	}
	if ((c < ' ' && c != '\t') || c > '~')
		c = '?';
	o->line[o->len++] = c;
	if (o->len == sizeof(o->line) - 1)
		print_line(o, false);
}

static void judge(struct vm *vm)
{
	const struct vm_output *o = &vm->out;

	vm->result = VM_FAIL;
	if (o->bailed)
		snprintk(vm->why, sizeof(vm->why), "the guest bailed out");
	else if (o->failed)
		snprintk(vm->why, sizeof(vm->why), "%lu of %lu cases failed", o->failed, o->ran);
	else if (!o->planned && !o->ran && vm_owns_machine(vm))
		vm->result = VM_PASS; /* somebody else's kernel, which switched itself off */
	else if (!o->planned)
		snprintk(vm->why, sizeof(vm->why), "the guest printed no plan");
	else if (o->plan != o->ran)
		snprintk(vm->why, sizeof(vm->why), "%lu cases planned, %lu ran", o->plan, o->ran);
	else
		vm->result = VM_PASS;
}

void output_verdict(struct vm *vm)
{
	const struct vm_output *o = &vm->out;
	bool skipped = !o->ran && (vm->result == VM_SKIP || (vm->result == VM_PASS && o->planned && !o->plan));

	if (skipped) {
		vm->result = VM_SKIP;
		snprintk(vm->why, sizeof(vm->why), "%s", o->skip);
	} else if (vm->result != VM_FAIL) {
		judge(vm);
	} else if (o->failed && !strcmp(vm->why, "the guest says so")) {
		snprintk(vm->why, sizeof(vm->why), "%lu of %lu cases failed", o->failed, o->ran);
	}
}
