/* SPDX-License-Identifier: BSD-2-Clause */
/* One operation: done on the machine and on the model. */
#include "churn.h"

char why[320];
struct counts counts;
bool allow_reserved;

u64 op_value(struct op op)
{
	u64 v = op.flags & 0xfff, gpa = op.target < NFRAMES ? frame_gpa[op.target] : 0;

	if (op.flags & F_LARGE)
		gpa &= ~(LARGE_SIZE - 1);
	if (op.flags & F_HUGE)
		gpa = 0;
	if (op.flags & F_PAT_LARGE)
		v |= PTE_PAT_LARGE;
	if (op.flags & F_RSVD)
		v |= PTE_SIZE == 8 ? BIT(51) : BIT(21);
	if (PTE_SIZE == 8 && (op.flags & F_NX))
		v |= PTE_NX;
	return v | gpa;
}

static bool failed(const char *what)
{
	print_to(why, sizeof(why), "%s", what);
	return false;
}

/* ---- edits: what each form makes of an entry, and the instruction ----------------- */

#define WORD_MASK ((pte_t)~0ul) /* what one register covers of an entry */

static pte_t edit_result(struct op op, pte_t old)
{
	pte_t v = op_value(op), low = 0xffffffffu;

	switch ((enum edit)op.how) {
	case EDIT_XCHG:
		return (old & ~WORD_MASK) | (v & WORD_MASK);
	case EDIT_CMPXCHG_FAILS:
		return old;
	case EDIT_OR:
		return old | (v & WORD_MASK);
	case EDIT_AND:
		return old & ~(v & WORD_MASK);
	case EDIT_XOR:
		return old ^ (v & WORD_MASK);
	case EDIT_BIT:
		return v & WORD_MASK ? old ^ (v & -v) : old;
	case EDIT_BYTE:
		return (old & ~(pte_t)0xff) | (v & 0xff);
	case EDIT_WORD:
		return (old & ~(pte_t)0xfff) | (v & 0xfff);
	case EDIT_LOW:
		return (old & ~low) | (v & low);
	case EDIT_HIGH:
		return PTE_SIZE == 8 ? (old & low) | (v & ~low) : old;
	default:
		return v;
	}
}

static void compare_exchange(volatile pte_t *p, pte_t expect, pte_t v)
{
#if PT_LEVELS != 2 && !defined(__x86_64__)
	asm volatile("lock cmpxchg8b %0" : "+m"(*p), "+A"(expect) : "b"((u32)v), "c"((u32)(v >> 32)) : "cc", "memory");
#else
	asm volatile("lock cmpxchg %2,%0" : "+m"(*p), "+a"(expect) : "r"(v) : "cc", "memory");
#endif
}

/* The hypercall; without it a store. */
static void batch(volatile pte_t *p, pte_t new)
{
	static struct hc_batch b;

	b.table = (ulong)p & ~0xffful;
	b.index = ((ulong)p & 0xfff) / PTE_SIZE;
	b.value = new;
	if (!under_umbra() || hypercall(HC_BATCH, (u32)(ulong)&b, 1, 0, 0) != 1)
		set_entry((pte_t *)p, new);
}

static void edit_do(struct op op, volatile pte_t *p, pte_t old, pte_t new)
{
	volatile ulong *word = (volatile ulong *)p;
	ulong v = op_value(op), bit = 0;

	switch ((enum edit)op.how) {
	case EDIT_XCHG:
		asm volatile("xchg %0,%1" : "+r"(v), "+m"(*word) : : "memory");
		return;
	case EDIT_CMPXCHG:
		compare_exchange(p, old, new);
		return;
	case EDIT_CMPXCHG_FAILS:
		compare_exchange(p, old ^ F_IGNORED, op_value(op));
		return;
	case EDIT_OR:
		asm volatile("lock or %1,%0" : "+m"(*word) : "r"(v) : "cc", "memory");
		return;
	case EDIT_AND:
		asm volatile("and %1,%0" : "+m"(*word) : "r"(~v) : "cc", "memory");
		return;
	case EDIT_XOR:
		asm volatile("xor %1,%0" : "+m"(*word) : "r"(v) : "cc", "memory");
		return;
	case EDIT_BIT:
		if (!v)
			return;
		while (!(v >> bit & 1))
			bit++;
		if (old >> bit & 1)
			asm volatile("lock btr %1,%0" : "+m"(*word) : "r"(bit) : "cc", "memory");
		else
			asm volatile("lock bts %1,%0" : "+m"(*word) : "r"(bit) : "cc", "memory");
		return;
	case EDIT_BYTE:
		*(volatile u8 *)p = new;
		return;
	case EDIT_WORD:
		*(volatile u16 *)p = new;
		return;
	case EDIT_LOW:
		*(volatile u32 *)p = new;
		return;
	case EDIT_HIGH:
		if (PTE_SIZE == 8)
			((volatile u32 *)p)[1] = (u64)new >> 32;
		return;
	case EDIT_BATCH:
		batch(p, new);
		return;
	default:
		set_entry((pte_t *)p, new);
	}
}

/* The cell is as it should be, but for an A that a speculating processor has set. */
static bool cell_is(u32 f, u32 c, pte_t want)
{
	pte_t is = *cell_ptr(f, c);

	if (is != want && (options.strict || !(want & PTE_P) || (is ^ want) != PTE_A || !(is & PTE_A))) {
		print_to(why, sizeof(why), "cell %u of frame %u is %llx after the edit, want %llx", c, f, (u64)is, (u64)want);
		return false;
	}
	cells[f][c] = is;
	return true;
}

/* REP STOS over the three neighbours; 8-byte entries written as dwords: zeros only. */
static bool edit_stos(struct op op)
{
	ulong v = sizeof(ulong) == PTE_SIZE ? op_value(op) : 0, n = 3 * PTE_SIZE / sizeof(ulong), at = (ulong)cell_ptr(op.a, 0);
	bool good = true;

	if (sizeof(ulong) == 8)
		asm volatile("rep stosq" : "+D"(at), "+c"(n) : "a"(v) : "memory");
	else
		asm volatile("rep stosl" : "+D"(at), "+c"(n) : "a"(v) : "memory");
	for (u32 c = 0; c < 3 && good; c++) {
		cells[op.a][c] = v;
		model_edited(op.a, c);
		good = cell_is(op.a, c, v);
	}
	return good;
}

static bool edit_pdpte(struct op op)
{
	pte_t v = op_value(op) & (PTE_P | PTE_PWT | PTE_PCD | F_IGNORED | ~0xfffull) & ~PTE_NX & ~BIT(51);

	if (op.b >= cells_of(op.a))
		return true;
	cells[op.a][op.b] = v;
	set_entry((pte_t *)cell_ptr(op.a, op.b), v);
	if (op.a != ROOTS + root_now)
		return true;
	if (faulted(write_cr3(frame_gpa[op.a]))) /* at once: some read PDPTEs from memory when they like */
		return failed("MOV CR3 faulted");
	model_load_root(root_now);
	return true;
}

static bool run_edit(struct op op)
{
	pte_t old = cells[op.a][op.b], new = edit_result(op, old);
	bool halves = sizeof(ulong) < PTE_SIZE && (op.how == EDIT_STORE || op.how == EDIT_BATCH);

	if (is_pdpt(op.a))
		return edit_pdpte(op);
	if (op.how == EDIT_STOS)
		return edit_stos(op);
	edit_do(op, cell_ptr(op.a, op.b), old, new);
	if (halves) { /* high half first */
		cells[op.a][op.b] = (new & ~0xffffffffull) | (old & 0xffffffff);
		model_edited(op.a, op.b);
	}
	cells[op.a][op.b] = new;
	if (!cell_is(op.a, op.b, new))
		return false;
	model_edited(op.a, op.b);
	return true;
}

/* ---- the rest ----------------------------------------------------------------------- */

static bool toggle_cr4(u64 bit)
{
	if (faulted(write_cr4(read_cr4() ^ bit)))
		return failed("MOV CR4 faulted");
	state.cr4 ^= bit;
	if (bit == CR4_PGE)
		model_flush(FLUSH_ALL);
	else if (bit == CR4_SMEP && (state.cr4 & CR4_SMEP))
		model_flush(FLUSH_SPACE);
	else if (bit == CR4_PSE)
		model_changed();
	return true;
}

/* 4.10.4.1 names what flushes: not WP, SMAP, PSE, NXE, nor SMEP when it goes. */
static bool run_control(struct op op)
{
	switch (op.how) {
	case CONTROL_WP:
		if (faulted(write_cr0(read_cr0() ^ CR0_WP)))
			return failed("MOV CR0 faulted");
		state.cr0 ^= CR0_WP;
		return true;
	case CONTROL_NXE:
		if (!cpu.nx || PT_LEVELS < 3)
			return true;
		if (faulted(write_efer(state.efer ^ EFER_NXE)))
			return failed("WRMSR EFER faulted");
		state.efer ^= EFER_NXE;
		model_changed();
		return true;
	case CONTROL_SMEP:
		return !cpu.smep || toggle_cr4(CR4_SMEP);
	case CONTROL_SMAP:
		return !cpu.smap || toggle_cr4(CR4_SMAP);
	case CONTROL_PGE:
		return !cpu.pge || toggle_cr4(CR4_PGE);
	case CONTROL_PSE:
		return PT_LEVELS != 2 || !cpu.pse || toggle_cr4(CR4_PSE);
	}
	return true;
}

static bool run_cr3(struct op op)
{
	if (faulted(write_cr3(frame_gpa[ROOTS + op.a % NROOTS])))
		return failed("MOV CR3 faulted");
	model_load_root(op.a % NROOTS);
	return true;
}

/* Out of paging and back; long mode would have to be left for it. */
static bool run_paging(void)
{
	if (PT_LEVELS > 3)
		return true;
	if (faulted(write_cr0(read_cr0() & ~CR0_PG)) || faulted(write_cr0(read_cr0() | CR0_PG)))
		return failed("MOV CR0 faulted");
	model_load_root(root_now);
	model_flush(FLUSH_ALL);
	return true;
}

/* Nothing of it may show. */
static void run_hyper(struct op op)
{
	static const u8 calls[] = { HC_RELOCATE, HC_LOG_DIRTY, HC_LOG_DIRTY, HC_LOG_READ };

	if (under_umbra() && op.a < NFRAMES && op.how < ARRAY_SIZE(calls))
		hypercall(calls[op.how], op.how == HYPER_LOG_ON ? 1 : op.how == HYPER_LOG_OFF ? 0 : frame_gpa[op.a] >> 12, 0, 0, 0);
}

bool run_op(struct op op)
{
	counts.done[op.type % NOPS]++;
	if (op.type == OP_EDIT && (op.a >= NFRAMES || op.b >= CELLS || op.how >= NEDITS))
		return true;
	if ((op.type == OP_ACCESS && (op.a >= NVAS || op.b >= CELLS)))
		return true;
	switch ((enum op_type)op.type) {
	case OP_EDIT:
		return run_edit(op);
	case OP_ACCESS:
		return access_run(op);
	case OP_INVLPG:
		invlpg(op.a < NVAS ? vas[op.a] : WINDOW_END - 0x5000);
		model_invlpg(op.a < NVAS ? op.a : NVAS);
		return true;
	case OP_CR3:
		return run_cr3(op);
	case OP_CONTROL:
		return run_control(op);
	case OP_PAGING:
		return run_paging();
	case OP_HYPER:
		run_hyper(op);
		return true;
	case OP_AUDIT:
		if (under_umbra() && hypercall(HC_AUDIT, 0, 0, 0, 0))
			return failed("the audit found violations");
		return true;
	default:
		return true;
	}
}
