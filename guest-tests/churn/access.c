/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All outcomes that an access may have now: by each cached translation, and by
 * a walk from the root or from each cached upper entry.  It must have had one
 * of them, whole: the fault or the frame, A and D, and nothing else changed.
 */
#include "churn.h"

#define MAX_OUTCOMES 160

struct touched {
	u8 frame, cell;
	pte_t must, may; /* bits that are set then, that may be set */
};

struct outcome {
	bool fault;
	u32 err, err_any; /* bits of the error code that are not compared */
	u32 frame; /* without a fault */
	u32 n;
	struct touched t[PT_LEVELS];
};

struct attempt {
	struct op op;
	struct predict_access a;
	u32 offset, value;
	struct fault fault;
	u32 result;
};

static struct outcome outcomes[MAX_OUTCOMES];
static u32 noutcomes;
static bool hopeless; /* the model cannot tell: do not touch */
static pte_t is[NFRAMES][CELLS]; /* memory after the access */
static u32 scratch_is[NFRAMES];

/* TCG reads first, also with LOCK, then asks for the right to write: A may be set, W lack in the error code. */
static bool is_rmw(const struct attempt *t)
{
	return TOUCH(t->op) == TOUCH_RMW || TOUCH(t->op) == TOUCH_LOCKED;
}

/* With the rights of a path; o has what the walk touched so far. */
static void add_allowed(const struct attempt *t, struct outcome o, const struct cached *from, struct predict_rights r, u32 frame)
{
	bool unclear = t->a.kind == PREDICT_FETCH && !r.x && PTE_SIZE == 8 && !(state.efer & EFER_NXE);

	o.fault = !predict_allowed(&state, &t->a, r);
	o.err = predict_error(&state, &t->a, PF_P);
	o.err_any = (is_rmw(t) ? PF_W : 0) | (unclear ? PF_I : 0);
	o.frame = frame;
	for (u32 i = 0; i < o.n && !o.fault; i++)
		o.t[i].must = PTE_A & ~cells[o.t[i].frame][o.t[i].cell];
	if (!o.fault && o.n && t->a.kind == PREDICT_WRITE)
		o.t[o.n - 1].must |= PTE_D & ~cells[o.t[o.n - 1].frame][o.t[o.n - 1].cell];
	hopeless |= noutcomes + 2 > MAX_OUTCOMES || (!o.fault && frame == OUTSIDE);
	if (hopeless)
		return;
	if (!o.fault || !from->settled)
		outcomes[noutcomes++] = o;
	r.x = true;
	if (unclear) /* NX cached while it meant something */
		add_allowed(t, o, from, r, frame);
}

static void add_fault(const struct attempt *t, struct outcome o, u32 bits)
{
	o.fault = true;
	o.err = predict_error(&state, &t->a, bits);
	o.err_any = is_rmw(t) ? PF_W : 0;
	hopeless |= noutcomes == MAX_OUTCOMES || ((bits & PF_RSVD) && !allow_reserved);
	if (!hopeless)
		outcomes[noutcomes++] = o;
}

/* From a table that is the root or cached; the entries below are memory's. */
static void add_walk(const struct attempt *t, int level, const struct cached *from)
{
	u32 va = t->op.a;
	struct cached at = *from;
	struct outcome o = { .n = 0 };
	enum predict_what what;
	u64 gpa = 0;

	for (;; level--) {
		u32 cell = va_cell[va][level];
		pte_t e;

		if (at.frame == OUTSIDE) {
			hopeless = true;
			return;
		}
		e = cells[at.frame][cell];
		what = predict_entry(&state, vas[va], e, level, &at.r, &gpa);
		if (what == PREDICT_NOT_PRESENT || what == PREDICT_RESERVED) {
			if (!from->settled)
				add_fault(t, o, what == PREDICT_RESERVED ? PF_P | PF_RSVD : 0);
			return;
		}
		o.t[o.n++] = (struct touched){ at.frame, cell, 0, options.strict && !is_rmw(t) ? 0 : PTE_A };
		at.frame = frame_at(gpa);
		if (what == PREDICT_LEAF) {
			add_allowed(t, o, from, at.r, at.frame);
			return;
		}
	}
}

/* A write through a clean translation walks, so as to set D. */
static void add_cached(const struct attempt *t, const struct cached *c)
{
	struct outcome o = { .n = 0 };

	if (c->fetch_only && t->a.kind != PREDICT_FETCH)
		return;
	if (t->a.kind == PREDICT_WRITE && !c->dirty && predict_allowed(&state, &t->a, c->r))
		return;
	add_allowed(t, o, c, c->r, c->frame);
}

static void gather(const struct attempt *t)
{
	u32 va = t->op.a;

	noutcomes = 0;
	hopeless = leaves[va].full;
	for (u32 i = 0; i < leaves[va].n; i++)
		add_cached(t, &leaves[va].e[i]);
	for (int level = PT_LEVELS; level; level--) {
		hopeless |= upper[va][level].full;
		for (u32 i = 0; i < upper[va][level].n; i++)
			add_walk(t, level, &upper[va][level].e[i]);
	}
	if (model_no_pdpte(va))
		add_fault(t, (struct outcome){ .n = 0 }, 0);
	for (u32 i = 1; i < noutcomes; i++)
		if (outcomes[i].fault != outcomes[0].fault ||
		    (outcomes[i].fault ? outcomes[i].err != outcomes[0].err : outcomes[i].frame != outcomes[0].frame)) {
			counts.vague++;
			break;
		}
}

static void read_memory(void)
{
	for (u32 f = 0; f < NFRAMES; f++) {
		for (u32 c = 0; c < cells_of(f); c++)
			is[f][c] = *cell_ptr(f, c);
		scratch_is[f] = *mem32(frame_gpa[f] + AT_SCRATCH);
	}
}

static pte_t with_half(pte_t e, u32 half, bool high)
{
	return high && PTE_SIZE == 8 ? (e & 0xffffffffu) | (u64)half << 32 : (e & ~(pte_t)0xffffffffu) | half;
}

/* What the write makes of a cell. */
static pte_t cell_written(const struct attempt *t, pte_t e)
{
	if (TOUCH(t->op) == TOUCH_WRITE_LOW)
		return with_half(e, op_value(t->op), false);
	if (sizeof(ulong) == 8 && t->a.who == PREDICT_SUPER)
		return op_value(t->op);
	return with_half(e, op_value(t->op) >> (PTE_SIZE == 8 ? 32 : 0), true);
}

static bool writes_cell(const struct attempt *t)
{
	return TOUCH(t->op) == TOUCH_WRITE_LOW || TOUCH(t->op) == TOUCH_WRITE_HIGH;
}

static bool scratch_fits(const struct attempt *t, const struct outcome *o)
{
	for (u32 f = 0; f < NFRAMES; f++) {
		bool written = !o->fault && f == o->frame;
		u32 want = scratch[f];

		if (written && is_rmw(t)) { /* what it read, a stale translation may have given */
			if (scratch_is[f] == want)
				return false;
			continue;
		}
		if (written && TOUCH(t->op) == TOUCH_WRITE)
			want = t->value;
		if (scratch_is[f] != want)
			return false;
	}
	return true;
}

static bool memory_fits(const struct attempt *t, const struct outcome *o, pte_t want[NFRAMES][CELLS])
{
	for (u32 i = 0; i < o->n; i++)
		want[o->t[i].frame][o->t[i].cell] |= o->t[i].must;
	if (writes_cell(t) && !o->fault)
		want[o->frame][t->op.b] = cell_written(t, want[o->frame][t->op.b]);
	for (u32 f = 0; f < NFRAMES; f++)
		for (u32 c = 0; c < cells_of(f); c++) {
			pte_t diff = is[f][c] ^ want[f][c], may = 0;

			if (!diff)
				continue;
			if (!options.strict && (want[f][c] & PTE_P))
				may = PTE_A; /* by speculation; TCG does it to PDPTEs */
			for (u32 i = 0; i < o->n; i++)
				if (o->t[i].frame == f && o->t[i].cell == c)
					may |= o->t[i].may;
			if ((diff & ~may) || (want[f][c] & diff))
				return false;
		}
	return true;
}

static bool result_fits(const struct attempt *t, const struct outcome *o, pte_t want[NFRAMES][CELLS])
{
	pte_t ignore = options.strict ? 0 : PTE_A;

	if (o->fault)
		return t->fault.vec == VEC_PF && !((t->fault.err ^ o->err) & ~o->err_any) && t->fault.cr2 == vas[t->op.a] + t->offset;
	if (faulted(t->fault))
		return false;
	if (TOUCH(t->op) == TOUCH_READ && t->a.who != PREDICT_IMPLICIT)
		return t->result == frame_tag(o->frame);
	if (TOUCH(t->op) == TOUCH_READ_CELL)
		return !((t->result ^ (u32)want[o->frame][t->op.b]) & ~ignore);
	return true;
}

/* Also leaves in want[][] what memory held when the walk was done. */
static bool fits(const struct attempt *t, const struct outcome *o)
{
	static pte_t want[NFRAMES][CELLS];

	if (o->fault != faulted(t->fault))
		return false;
	memcpy(want, cells, sizeof(want));
	return scratch_fits(t, o) && memory_fits(t, o, want) && result_fits(t, o, want);
}

static void touch(struct attempt *t)
{
	static const enum access_kind kinds[] = { ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH, ACCESS_RMW, ACCESS_LOCKED, ACCESS_READ,
						  ACCESS_WRITE, ACCESS_WRITE };
	u64 va = vas[t->op.a] + t->offset;

	set_ac(t->a.ac);
	if (sizeof(ulong) == 8 && TOUCH(t->op) == TOUCH_WRITE_HIGH && t->a.who == PREDICT_SUPER)
		t->fault = poke_entry(va, op_value(t->op));
	else
		t->fault = access_at(va, kinds[TOUCH(t->op)], (enum access_who)t->a.who, t->value, &t->result);
	set_ac(false);
}

static void prepare(struct attempt *t)
{
	static u32 unique;
	u32 cell = cell_offset(0, t->op.b);

	switch (TOUCH(t->op)) {
	case TOUCH_READ:
		t->offset = t->a.who == PREDICT_IMPLICIT ? AT_DESCRIPTOR : AT_TAG;
		break;
	case TOUCH_FETCH:
		t->offset = AT_RET;
		break;
	case TOUCH_READ_CELL:
		t->offset = cell;
		break;
	case TOUCH_WRITE_LOW:
		t->offset = cell;
		t->value = op_value(t->op);
		break;
	case TOUCH_WRITE_HIGH:
		t->offset = cell + (PTE_SIZE == 8 && (t->a.who != PREDICT_SUPER || sizeof(ulong) == 4) ? 4 : 0);
		t->value = op_value(t->op) >> (PTE_SIZE == 8 ? 32 : 0);
		break;
	default:
		t->offset = AT_SCRATCH;
		unique = (unique ^ 0x5bd1e995u) * 2246822519u;
		t->value = (unique ^ unique >> 13) << 1; /* even: not present; no sum of earlier ones */
	}
}

static void explain(const struct attempt *t)
{
	char got[64];
	int n;

	n = print_to(why, sizeof(why), "got %s", fault_text(t->fault, got));
	if (!faulted(t->fault) && TOUCH(t->op) <= TOUCH_READ)
		n += print_to(why + n, sizeof(why) - n, ", tag %x", t->result);
	n += print_to(why + n, sizeof(why) - n, ";%s%s; allowed:", universe_differs() ? " " : "", universe_differs() ?: " memory as before");
	for (u32 i = 0; i < noutcomes && n < 220; i++) {
		const struct outcome *o = &outcomes[i];

		n += o->fault ? print_to(why + n, sizeof(why) - n, " #PF[%04x]", o->err)
			      : print_to(why + n, sizeof(why) - n, " frame %u", o->frame);
		for (u32 k = 0; k < o->n && n < 240; k++)
			if (o->t[k].must)
				n += print_to(why + n, sizeof(why) - n, "+%u.%u|%x", o->t[k].frame, o->t[k].cell, (u32)o->t[k].must);
	}
}

/* Where the access overwrote what its own walk had used: that may be cached as the walk left it. */
static void learn_before_write(const struct attempt *t)
{
	static pte_t before[NFRAMES][CELLS];

	memcpy(before, cells, sizeof(before));
	for (u32 i = 0; i < noutcomes; i++) {
		const struct outcome *o = &outcomes[i];

		if (o->fault || !fits(t, o))
			continue;
		for (u32 k = 0; k < o->n; k++)
			cells[o->t[k].frame][o->t[k].cell] |= o->t[k].must;
		for (u32 k = 0; k < o->n; k++)
			model_edited(o->t[k].frame, o->t[k].cell);
		memcpy(cells, before, sizeof(before));
	}
}

static void accept(const struct attempt *t)
{
	if (writes_cell(t) && !faulted(t->fault))
		learn_before_write(t);
	memcpy(scratch, scratch_is, sizeof(scratch));
	for (u32 f = 0; f < NFRAMES; f++)
		for (u32 c = 0; c < cells_of(f); c++)
			if (cells[f][c] != is[f][c]) {
				cells[f][c] = is[f][c];
				model_edited(f, c);
			}
	if (faulted(t->fault))
		model_faulted(t->op.a);
}

bool access_run(struct op op)
{
	static const enum predict_kind kinds[] = { PREDICT_READ, PREDICT_WRITE, PREDICT_FETCH, PREDICT_WRITE, PREDICT_WRITE, PREDICT_READ,
						   PREDICT_WRITE, PREDICT_WRITE };
	struct attempt t = { .op = op, .a = { vas[op.a], kinds[TOUCH(op)], WHO(op), WITH_AC(op) } };

	prepare(&t);
	gather(&t);
	if (hopeless) {
		counts.skipped++;
		return true;
	}
	touch(&t);
	counts.faults += faulted(t.fault);
	read_memory();
	for (u32 i = 0; i < noutcomes; i++)
		if (fits(&t, &outcomes[i])) {
			accept(&t);
			return true;
		}
	explain(&t);
	return false;
}
