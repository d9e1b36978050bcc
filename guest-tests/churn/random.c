/* SPDX-License-Identifier: BSD-2-Clause */
/* Random operations, such as lead somewhere: given the state that the model is in. */
#include "churn.h"

static pte_t before[NFRAMES][CELLS]; /* what random edits have replaced */
static struct op queue[5]; /* what comes next, last first */
static u32 nqueued;

static u32 below(u32 n)
{
	return (u32)(((u64)(random32() >> 8) * n) >> 24);
}

static bool chance(u32 percent)
{
	return below(100) < percent;
}

static u32 any_frame(void)
{
	return below(PT_LEVELS == 3 ? ROOTS : NFRAMES);
}

/* By habit a table has tables of the level below under it; now and then anything. */
static u32 frame_for(int level)
{
	u32 f;

	if (chance(8))
		return any_frame();
	do
		f = below(ROOTS);
	while (home_level(f) != level);
	return f;
}

static u32 random_flags(int level)
{
	u32 f = chance(96) ? F_P : 0;

	f |= chance(88) ? F_W : 0;
	f |= chance(88) ? F_U : 0;
	f |= chance(50) ? F_A : 0;
	f |= chance(40) ? F_D : 0;
	f |= chance(20) ? F_G : 0;
	f |= chance(5) ? F_PWT : 0;
	f |= chance(5) ? F_PCD : 0;
	f |= chance(20) ? random32() & F_IGNORED : 0;
	f |= level == 1 && chance(5) ? F_PS : 0; /* PAT */
	f |= cpu.nx && (state.efer & EFER_NXE) && chance(15) ? F_NX : 0;
	if (allow_reserved) {
		f |= cpu.nx && chance(8) ? F_NX : 0;
		f |= PTE_SIZE == 8 && chance(4) ? F_RSVD : 0;
		f |= level >= 3 && chance(4) ? F_PS : 0;
	}
	return f;
}

/* What a table of that level might be given as an entry. */
static void random_entry(struct op *op, int level)
{
	op->flags = random_flags(level);
	if (is_pdpte(level))
		op->flags &= F_P;
	if (level == 3 && PT_LEVELS > 3 && cpu.page1g && chance(12)) {
		op->flags |= F_HUGE | F_PS;
		op->target = OUTSIDE;
	} else if (level == 2 && cpu.pse && chance(30)) {
		op->flags |= F_LARGE | F_PS | (chance(5) ? F_PAT_LARGE : 0) | (allow_reserved && PTE_SIZE == 4 && chance(6) ? F_RSVD : 0);
		op->target = chance(50) ? PIECE0 : PIECE1;
	} else {
		op->target = frame_for(level - 1);
	}
}

static u32 random_bits(void)
{
	static const u32 bits[] = { F_P, F_W, F_U, F_A, F_D, F_G, F_W | F_U, F_A | F_D, F_PCD, F_W, F_U, F_A, F_D, BIT(9), F_W, F_A };

	return bits[below(ARRAY_SIZE(bits))];
}

/* The table that a walk to va finds at a level, from some root; false: there is none. */
static bool find_table(u32 va, int level, u32 *frame)
{
	*frame = ROOTS + (chance(85) ? root_now : below(NROOTS));
	for (int l = PT_LEVELS; l > level; l--) {
		*frame = frame_at(pte_gpa(cells[*frame][va_cell[va][l]]));
		if (*frame == OUTSIDE)
			return false;
	}
	return true;
}

/* The level at which a walk to va is not present; 0: it is mapped. */
static int gap(u32 va)
{
	u32 frame = ROOTS + root_now;

	for (int level = PT_LEVELS; level; level--) {
		pte_t e = cells[frame][va_cell[va][level]];

		if (!(e & PTE_P))
			return level;
		frame = frame_at(pte_gpa(e));
		if (frame == OUTSIDE || (e & PTE_PS))
			return 0;
	}
	return 0;
}

/* The operation that writes a certain entry again. */
static struct op again(struct op op, pte_t e)
{
	u64 gpa = pte_gpa(e);

	op.flags = e & 0xfff;
	op.target = frame_at(gpa);
	if (e & PTE_PS && op.target == OUTSIDE) {
		op.target = gpa == (frame_gpa[PIECE1] & ~(LARGE_SIZE - 1)) ? PIECE1 : PIECE0;
		op.flags |= gpa ? F_LARGE : F_HUGE;
	}
	op.flags |= PTE_SIZE == 8 && (e & PTE_NX) ? F_NX : 0;
	return op;
}

/* Of an entry on the way to the focus: that which is missing, or any; the upper ones more seldom. */
static struct op choose_edit(u32 va)
{
	struct op op = { .type = OP_EDIT, .target = OUTSIDE };
	int level = gap(va);
	u32 frame = 0;

	if (!level || chance(25))
		level = 1 + below(PT_LEVELS);
	if (!gap(va) && level > 2 && chance(50))
		level = 1 + below(2);
	while (!find_table(va, level, &frame))
		level++;
	op.a = frame;
	op.b = va_cell[va][level];
	if (chance(4) && !is_pdpt(frame))
		op.b = below(CELLS);
	if (chance(10)) { /* what it was */
		op = again(op, before[frame][op.b]);
		return op;
	}
	random_entry(&op, level);
	if (!(cells[frame][op.b] & PTE_P) || chance(45)) {
		static const u8 how[] = { EDIT_STORE, EDIT_STORE, EDIT_XCHG, EDIT_CMPXCHG, EDIT_LOW, EDIT_STORE, EDIT_BATCH };

		op.how = how[below(ARRAY_SIZE(how))];
	} else if (chance(70)) {
		op.how = EDIT_OR + below(4);
		op.flags = random_bits();
		op.target = OUTSIDE;
		if (allow_reserved && level > 1 && chance(5))
			op.flags = F_PS;
	} else {
		op.how = below(NEDITS);
		if (op.how == EDIT_STOS && chance(60))
			op.flags &= ~F_P;
		if (op.how >= EDIT_OR && op.how <= EDIT_BIT)
			op.how = EDIT_HIGH;
	}
	return op;
}

static struct op random_edit(u32 va)
{
	struct op op = choose_edit(va);

	before[op.a][op.b] = cells[op.a][op.b];
	return op;
}

static struct op random_access(u32 va)
{
	static const u8 touches[] = { TOUCH_READ, TOUCH_READ, TOUCH_READ, TOUCH_WRITE, TOUCH_WRITE, TOUCH_WRITE, TOUCH_FETCH, TOUCH_FETCH,
				      TOUCH_RMW, TOUCH_LOCKED, TOUCH_READ_CELL, TOUCH_WRITE_LOW, TOUCH_WRITE_LOW, TOUCH_WRITE_HIGH };
	u32 touch = touches[below(ARRAY_SIZE(touches))], who = chance(45) ? PREDICT_USER : PREDICT_SUPER, ac = chance(50);
	struct op op = { .type = OP_ACCESS, .a = va, .b = below(CELLS), .target = OUTSIDE };

	if (touch == TOUCH_READ && chance(15)) {
		who = PREDICT_IMPLICIT;
		ac = 0; /* some let AC excuse it; the test `access` has that */
	}
	op.how = touch | who << 3 | ac << 5;
	if (touch >= TOUCH_WRITE_LOW)
		random_entry(&op, 1 + below(PT_LEVELS == 3 ? 2 : PT_LEVELS));
	return op;
}

/* SMAP and SMEP are off most of the time: with them little is allowed. */
static struct op random_control(void)
{
	static const u8 bits[] = { CONTROL_WP, CONTROL_WP, CONTROL_SMEP, CONTROL_SMAP, CONTROL_PGE, CONTROL_PSE };
	struct op op = { .type = OP_CONTROL, .how = bits[below(ARRAY_SIZE(bits))] };

	if (state.cr4 & (CR4_SMAP | CR4_SMEP) && chance(50))
		op.how = state.cr4 & CR4_SMAP ? CONTROL_SMAP : CONTROL_SMEP;
	if (allow_reserved && chance(40))
		op.how = CONTROL_NXE;
	return op;
}

/* Another address in the same large page, if there is one. */
static u32 neighbour(u32 va)
{
	for (u32 i = 0, other = below(NVAS); i < NVAS; i++, other = (other + 1) % NVAS)
		if (other != va && !((vas[va] ^ vas[other]) >> level_shift(2)))
			return other;
	return va;
}

/*
 * An entry gets a new value, which is used, and then its old one again, and a
 * flush: to whoever compares before with after, nothing happened.
 */
static void queue_there_and_back(u32 va)
{
	struct op there = { .type = OP_EDIT, .target = OUTSIDE };
	u32 frame = 0;

	if (!find_table(va, 1, &frame))
		return;
	there.a = frame;
	there.b = va_cell[va][1];
	random_entry(&there, 1);
	queue[4] = there;
	queue[3] = random_access(va);
	queue[2] = again(there, cells[frame][there.b]);
	queue[1] = chance(60) ? (struct op){ .type = OP_INVLPG, .a = va } : (struct op){ .type = OP_CR3, .a = root_now };
	queue[0] = random_access(va);
	nqueued = 5;
}

void program_begin(void)
{
	memset(before, 0, sizeof(before));
	nqueued = 0;
	universe_reset();
	model_reset();
}

struct op program_next(u32 focus)
{
	u32 r = below(1000);

	if (!nqueued && r < 15)
		queue_there_and_back(focus);
	if (nqueued)
		return queue[--nqueued];
	if (r < 370)
		return random_edit(focus);
	if (r < 800)
		return random_access(chance(80) ? focus : below(NVAS));
	if (r < 890)
		return (struct op){ .type = OP_INVLPG, .a = chance(60) ? focus : chance(60) ? neighbour(focus) : below(NVAS + 1) };
	if (r < 940)
		return (struct op){ .type = OP_CR3, .a = chance(60) ? root_now : below(NROOTS) };
	if (r < 980)
		return random_control();
	if (r < 985)
		return (struct op){ .type = OP_PAGING };
	if (r < 998)
		return (struct op){ .type = OP_HYPER, .a = below(NFRAMES), .how = chance(75) ? HYPER_RELOCATE : HYPER_LOG_ON + below(3) };
	return (struct op){ .type = OP_AUDIT };
}
