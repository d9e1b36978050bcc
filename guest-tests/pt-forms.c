/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every form of instruction that can store, storing into a live page table.
 * The oracle is the processor: the same instruction runs first on a plain page
 * with the same bytes; then memory, registers, flags and fault must be equal,
 * and the entries that changed must translate as they now say.
 * Cases: aligned, from CPL 3, unaligned, across two pages; the later ones run a third of the forms each.
 */
#include "test.h"
#include "predict.h"

#ifdef __x86_64__
#define R(x) "%r" #x
#define ST(n) "user_data+8*" #n
#define PUSH_ST8 "pushq " ST(8) "\n"
#define POP_ST8 "popq " ST(8) "\n"
#define MORE(op) op " %r12\n" op " %r13\n"
#define LOAD_MORE "mov %rdi, %r12\n mov %rdi, %r13\n"
#define A0 "%rdi"
#else
#define R(x) "%e" #x
#define ST(n) "user_data+4*" #n
#define PUSH_ST8 "pushl " ST(8) "\n"
#define POP_ST8 "popl " ST(8) "\n"
#define MORE(op)
#define LOAD_MORE
#define A0 "%eax"
#endif

/* form_enter(code): registers from user_data, one instruction, registers back. */
asm(".pushsection .user.text, \"ax\"\n"
    ".globl form_enter, form_done\n"
    "form_enter: push " R(bx) "\n push " R(bp) "\n push " R(si) "\n push " R(di) "\n" MORE("push")
    "mov " A0 ", " ST(10) "\n mov " R(sp) ", " ST(9) "\n" PUSH_ST8 "popf\n"
    "mov " ST(0) ", " R(ax) "\n mov " ST(1) ", " R(bx) "\n mov " ST(2) ", " R(cx) "\n mov " ST(3) ", " R(dx) "\n"
    "mov " ST(4) ", " R(si) "\n mov " ST(5) ", " R(di) "\n mov " ST(6) ", " R(bp) "\n" LOAD_MORE
    "mov " ST(7) ", " R(sp) "\n jmp *" ST(10) "\n"
    "form_done: mov " R(ax) ", " ST(0) "\n mov " R(bx) ", " ST(1) "\n mov " R(cx) ", " ST(2) "\n mov " R(dx) ", " ST(3) "\n"
    "mov " R(si) ", " ST(4) "\n mov " R(di) ", " ST(5) "\n mov " R(bp) ", " ST(6) "\n mov " R(sp) ", " ST(7) "\n"
    "mov " ST(9) ", " R(sp) "\n pushf\n" POP_ST8 "cld\n"
#ifdef __x86_64__
    "pop %r13\n pop %r12\n"
#endif
    "pop " R(di) "\n pop " R(si) "\n pop " R(bp) "\n pop " R(bx) "\n ret\n"
    ".popsection\n"
    ".macro form kind:req, insn:vararg\n"
    ".pushsection .user.text, \"ax\"\nform_\\@: \\insn\n jmp form_done\n.popsection\n"
    ".pushsection .rodata.forms, \"a\"\n.long form_\\@, \\kind, name_\\@\n.popsection\n"
    ".pushsection .rodata.names, \"a\"\nname_\\@: .asciz \"\\insn\"\n.popsection\n"
    ".endm\n");
extern ulong form_enter(ulong code, ulong unused);
extern u8 form_done[];

enum kind {
	STORE, /* DI = target */
	STRING, /* CX = 5 */
	BACKWARD, /* CX = 5, DF */
	WHOLE, /* CX fills a table, DI = its start */
	BITS, /* BX: a bit offset far from DI */
	STACK, /* SP = the target's end */
	POPPING, /* SP = a plain stack */
	SEGMENT, /* FS base = target's page */
};

struct form {
	u32 code, kind, name;
};
#define K_STORE "0"
#define K_STRING "1"
#define K_BACKWARD "2"
#define K_WHOLE "3"
#define K_BITS "4"
#define K_STACK "5"
#define K_POPPING "6"
#define K_SEGMENT "7"
#define F(kind, insn) "form " K_##kind ", " insn "\n"
#define EACH(list) ".irp op, " list "\n"
#define END ".endr\n"
#define OP "\\op\\()"
#define D "(" R(di) ")"

asm(".pushsection .rodata.forms, \"a\"\n.globl forms_start\n.balign 4\nforms_start:\n.popsection\n"
    F(STORE, "movb %bl, " D) F(STORE, "movw %bx, " D) F(STORE, "movl %ebx, " D) F(STORE, "movl %ebx, 8" D)
    F(STORE, "movb $0x25, " D) F(STORE, "movw $0x1027, " D) F(STORE, "movl $0x1027, " D) F(STORE, "movl %ebx, (" R(bp) ")")
    F(STRING, "movl %ebx, 4(" R(di) "," R(cx) ",4)") F(STRING, "movw %bx, -0x10(" R(di) "," R(cx) ",2)") F(STORE, "movb %bh, " D)
    F(STORE, "xchgb %bl, " D) F(STORE, "xchgw %bx, " D) F(STORE, "xchgl %ebx, " D) F(STORE, "lock xchgl %ebx, " D)
    EACH("cmpxchg, xadd") F(STORE, OP "b %bl, " D) F(STORE, OP "w %bx, " D) F(STORE, OP "l %ebx, " D) F(STORE, "lock " OP "l %ebx, " D) END
    F(STORE, "cmpxchg8b " D) F(STORE, "lock cmpxchg8b " D)
    EACH("and, or, xor, add, adc, sub, sbb") F(STORE, OP "b %bl, " D) F(STORE, OP "l %ebx, " D) F(STORE, OP "w $0x1002, " D)
    F(STORE, OP "l $2, " D) F(STORE, OP "l $0x1002, " D) F(STORE, "lock " OP "l %ebx, " D) F(STORE, "lock " OP "b $2, " D) END
    EACH("inc, dec, not, neg") F(STORE, OP "b " D) F(STORE, OP "w " D) F(STORE, OP "l " D) F(STORE, "lock " OP "l " D) END
    EACH("bts, btr, btc") F(STORE, OP "l $1, " D) F(STORE, OP "w $12, " D) F(BITS, OP "l %ebx, " D) F(BITS, OP "w %bx, " D)
    F(STORE, "lock " OP "l $0, " D) F(BITS, "lock " OP "l %ebx, " D) END
    EACH("shl, sar, rcl, ror") F(STORE, OP "l " D) F(STORE, OP "l %cl, " D) END
    F(STORE, "shldl $4, %ebx, " D) F(STORE, "shrdl %cl, %ebx, " D) F(STORE, "setc " D) F(STORE, "setnc " D)
    EACH("stos, movs") F(STRING, OP "b") F(STRING, OP "w") F(STRING, OP "l") F(STRING, "rep " OP "b") F(STRING, "rep " OP "w")
    F(STRING, "rep " OP "l") F(BACKWARD, "rep " OP "b") F(BACKWARD, "rep " OP "l") F(BACKWARD, OP "l") F(WHOLE, "rep " OP "l") END
    F(STACK, "push " R(bx)) F(STACK, "push $0x67") F(STACK, "push $0x1067") F(STACK, "push (" R(si) ")") F(STACK, "pushw %bx")
    F(STACK, "pushw $0x67") F(STACK, "push %fs") F(STACK, "pushf") F(STACK, "enter $16, $0") F(STACK, "enter $8, $3")
    F(STACK, "call form_done") F(STACK, "call *" ST(14)) F(STACK, "lcall *" ST(12))
    F(POPPING, "pop " D) F(POPPING, "popw " D)
    F(SEGMENT, "movl %ebx, %fs:0x128") F(STORE, "movw %ds, " D) F(STORE, "str " D) F(STORE, "sldt " D) F(STORE, "smsw " D)
    F(STORE, "sidt " D) F(STORE, "sgdt " D) F(STORE, "fnstcw " D) F(STORE, "fnstsw " D) F(STORE, "fnstenv " D) F(STORE, "fnsave " D)
    F(STORE, "fstps " D) F(STORE, "fstpl " D) F(STORE, "fstpt " D) F(STORE, "fistpl " D) F(STORE, "fxsave " D) F(STORE, "stmxcsr " D)
    F(STORE, "movntil %ebx, " D) F(STORE, "movups %xmm0, " D) F(STORE, "movaps %xmm0, " D) F(STORE, "movdqu %xmm0, " D)
    F(STORE, "movdqa %xmm0, " D) F(STORE, "movntps %xmm0, " D) F(STORE, "movntdq %xmm0, " D) F(STORE, "movlps %xmm0, " D)
    F(STORE, "movhps %xmm0, " D) F(STORE, "movss %xmm0, " D) F(STORE, "movsd %xmm0, " D) F(STORE, "movd %xmm0, " D)
    F(STORE, "movq %xmm0, " D) F(STORE, "maskmovdqu %xmm1, %xmm0")
#ifdef __x86_64__
    F(STORE, "movq %rbx, " D) F(STORE, "movq $-2, " D) F(STORE, "xchgq %rbx, " D) F(STORE, "movntiq %rbx, " D)
    EACH("cmpxchg, xadd, and, or, xor, add, sub, sbb") F(STORE, OP "q %rbx, " D) F(STORE, "lock " OP "q %rbx, " D) END
    EACH("inc, dec, not, neg") F(STORE, OP "q " D) F(STORE, "lock " OP "q " D) END
    EACH("bts, btr, btc") F(STORE, OP "q $63, " D) F(BITS, OP "q %rbx, " D) END
    EACH("stos, movs") F(STRING, OP "q") F(STRING, "rep " OP "q") F(BACKWARD, "rep " OP "q") F(STRING, "addr32 rep " OP "q") END
    F(STORE, "cmpxchg16b " D) F(STORE, "lock cmpxchg16b " D) F(STORE, "movl %ebx, (%r12)") F(STRING, "movq %rbx, 0x10(%r13,%rcx,8)")
    F(STORE, "movb %spl, " D) F(SEGMENT, "movabs %eax, %fs:0x128") F(SEGMENT, "movabs %rax, %fs:0x128") F(SEGMENT, "movabs %al, %fs:0x128")
    F(STORE, "shldq $12, %rbx, " D) F(STORE, "fxsave64 " D) F(STACK, "push %gs")
#else
    F(SEGMENT, "movl %eax, %fs:0x128") F(SEGMENT, "movb %al, %fs:0x128") F(SEGMENT, "movw %ax, %fs:0x128")
    F(STACK, "pusha") F(STACK, "pushaw") F(STACK, "push %ds") F(STACK, "push %cs") F(STACK, "pushfw")
#endif
    ".pushsection .rodata.forms, \"a\"\n.globl forms_end\nforms_end:\n.popsection\n");
extern const struct form forms_start[], forms_end[];

#define TARGET (WINDOW + 0x10000) /* two pages: the tables, or their plain copies */
#define SOURCE (WINDOW + 0x30000)
#define BELOW(n) (WINDOW + (4 + (n)) * LARGE_SIZE) /* what table n maps */
#define ALL (PTE_P | PTE_W | PTE_U)
#define MSR_FS_BASE 0xc0000100u
#define WORDS (PAGE_SIZE / sizeof(ulong))

enum second { NOTHING, TABLE, DATA };
struct how {
	bool user;
	u32 offset, set, part; /* part: 1 to 3, every third form, and the seed moves them */
	enum second second;
};

struct outcome {
	ulong reg[9];
	struct fault fault;
};

static u64 pool[8], live[2], plain[2];
static pte_t *target;
static ulong before[2][WORDS];
static struct { u32 count, table[16], index[16]; bool more; } seen; /* more: others changed too */
static struct predict_state model;
static struct fault form_caught;
static bool running;

static u64 read_entry(void *ctx, u64 gpa, u32 size)
{
	(void)ctx;
	return size == 4 ? *mem32(gpa) : *mem64(gpa);
}

static ulong *words(u64 frame)
{
	return (ulong *)(ulong)frame;
}

static volatile pte_t *pte_of(u32 table, u32 i)
{
	return (volatile pte_t *)(ulong)live[table] + i;
}

static u64 some_entry(u32 i)
{
	u64 e = pool[i * 5 & 7] | PTE_P | (i % 5 ? PTE_W : 0) | (i % 7 ? PTE_U : 0) | (i & 1 ? PTE_A | PTE_D : 0);

	if (PTE_SIZE == 8 && cpu.nx && i % 11 == 4)
		e |= PTE_NX;
	return i % 4 == 3 ? e & ~PTE_P : e;
}

static void copy(ulong *to, const ulong *from)
{
	for (u32 i = 0; i < WORDS; i++)
		to[i] = from[i];
}

static bool on_fault(struct regs *r)
{
	if (!running)
		return false; /* an access to see how things are */
	form_caught = (struct fault){ .vec = r->vec, .err = r->err, .ip = r->ip };
	if (r->vec == VEC_PF)
		form_caught.cr2 = read_cr2();
	r->ip = (ulong)form_done;
	return true;
}

static void set_up(enum second second)
{
	static const u8 vectors_seen[] = { VEC_UD, VEC_NM, VEC_SS, VEC_GP, VEC_PF, VEC_AC, 16, 19 };
	u64 source = new_frame();

	for (u32 i = 0; i < ARRAY_SIZE(pool); i++)
		*mem32(pool[i] = new_frame()) = 0xf00d0000 + i;
	for (u32 t = 0; t < 2; t++) {
		live[t] = new_table();
		plain[t] = new_frame();
		for (u32 i = 0; i < PT_ENTRIES; i++)
			*pte_of(t, i) = some_entry(i + t);
		make_entry(BELOW(t), 2);
		if (!t || second != DATA)
			link_table(current_root(), BELOW(t), 2, live[t]);
	}
	target = map_page(TARGET, plain[0], ALL);
	map_page(SOURCE, source, ALL);
	for (u32 i = 0; i < PT_ENTRIES; i++)
		((pte_t *)(ulong)source)[i] = some_entry(i * 3 + 2);
	for (u32 i = 0; i < ARRAY_SIZE(vectors_seen); i++)
		hook(vectors_seen[i], on_fault);
	model = (struct predict_state){ .cr0 = read_cr0(), .cr3 = read_cr3(), .cr4 = read_cr4(), .efer = read_efer(),
		.maxphyaddr = cpu.maxphyaddr, .pse36 = cpu.pse36, .page1g = cpu.page1g, .read = read_entry };
	for (u32 i = 0; PT_LEVELS == 3 && i < 4; i++)
		model.pdpte[i] = mem64(current_root())[i];
	gdt[SEL_SPARE / 8] = 0x00cff3000000ffffull;
}

static void set_fs(ulong base)
{
	if (sizeof(ulong) == 4)
		set_segment_base(SEL_SPARE, base);
	asm volatile("mov %w0, %%fs" : : "r"(SEL_SPARE | 3));
	if (sizeof(ulong) == 8)
		wrmsr(MSR_FS_BASE, base);
}

static void load_state(const struct form *f, const struct how *h)
{
	static const ulong masks[] = { PTE_P | PTE_U | PTE_A, ~(ulong)PTE_W, 0x1000 | PTE_W };
	ulong *s = (ulong *)user_data, at = TARGET + h->offset;
	const u32 *old = (const u32 *)((u8 *)before + h->offset);
	u32 count = f->kind == WHOLE ? 1024 : 5;

	s[0] = h->set == 1 ? 0x1234567 : sizeof(ulong) == 8 ? *(const ulong *)old : old[0];
	s[1] = (h->set == 0 ? pool[5] : 0) | masks[h->set];
	s[2] = f->kind == STRING || f->kind == BACKWARD || f->kind == WHOLE ? count : sizeof(ulong) == 8 ? pool[3] | 3 : 0;
	s[3] = sizeof(ulong) == 8 ? ((const ulong *)old)[1] : old[1];
	s[4] = SOURCE + (f->kind == WHOLE ? 0 : 0x180);
	s[5] = f->kind == WHOLE ? TARGET : at;
	s[6] = at;
	s[7] = (ulong)user_data + 4096;
	s[8] = h->set == 1 ? 0x2 : 0x8d7;
	if (f->kind == BITS)
		s[1] = h->set == 0 ? 0x281 : h->set == 1 ? (ulong)-63 : 1;
	if (f->kind == BACKWARD)
		s[8] |= EFLAGS_DF;
	if (f->kind == STACK)
		s[7] = s[6] = at + (h->offset > 0xf00 ? 8 : 0x40);
	if (f->kind == POPPING)
		((u32 *)(ulong)(s[7] = (ulong)user_data + 2048))[0] = pool[6] | ALL;
	((u32 *)s)[12 * sizeof(ulong) / 4] = (ulong)form_done;
	*(u16 *)((u8 *)s + 12 * sizeof(ulong) + 4) = h->user ? SEL_UCODE : SEL_KCODE;
	s[14] = (ulong)form_done;
	if (f->kind == SEGMENT)
		set_fs(TARGET);
}

static void show(const u64 *frames, const struct how *h)
{
	for (u32 t = 0; t < (h->second == NOTHING ? 1 : 2); t++) {
		set_entry(target + t, frames[t] | ALL);
		invlpg(TARGET + t * PAGE_SIZE);
		peek8(TARGET + t * PAGE_SIZE, NULL);
	}
}

static struct outcome execute(const struct form *f, const struct how *h, const u64 *frames)
{
	static const u32 xmm[8] = { 0x81234067, 0x77, 0x55555123, 0x67, 0x80808000, 0x00800080, 0x80000000, 0x80 };
	struct outcome o;
	ulong *s = (ulong *)user_data;

	show(frames, h);
	load_state(f, h);
	asm volatile("fninit; movups (%0), %%xmm0; movups 16(%0), %%xmm1" : : "r"(xmm), "m"(xmm));
	form_caught = NO_FAULT;
	running = true;
	o.fault = h->user ? user_try(form_enter, f->code, 0, NULL) : try(form_enter, f->code, 0, NULL);
	running = false;
	if (!faulted(o.fault))
		o.fault = form_caught;
	memcpy(o.reg, s, sizeof(o.reg));
	return o;
}

static bool in_pool(u64 gpa)
{
	for (u32 i = 0; i < ARRAY_SIZE(pool); i++)
		if ((gpa & ~0xfffull) == pool[i])
			return true;
	return false;
}

static void access_as_predicted(const struct form *f, u64 va, enum access_kind kind, enum access_who who)
{
	struct predict_access a = { .va = va, .kind = kind == ACCESS_WRITE ? PREDICT_WRITE : PREDICT_READ,
				    .who = who == AS_USER ? PREDICT_USER : PREDICT_SUPER };
	struct prediction p = predict(&model, &a);
	struct fault got, want = p.fault ? PF(p.err, va) : NO_FAULT;
	char t[64], u[64];
	u32 v = 0;

	if ((p.fault && (p.err & PF_RSVD)) || (!p.fault && !in_pool(p.gpa)))
		return;
	got = access_at(va, kind, who, 0xabcd0000 + (u32)(va >> 12), &v);
	if (!fault_equal(got, want))
		fail("%s: then access to %llx %s, want %s", (char *)(ulong)f->name, va, fault_text(got, t), fault_text(want, u));
	else if (!p.fault && *mem32(p.gpa) != (kind == ACCESS_WRITE ? 0xabcd0000 + (u32)(va >> 12) : v))
		fail("%s: then %llx reaches another frame than %llx", (char *)(ulong)f->name, va, p.gpa);
}

static void note_entry(u32 table, u32 i)
{
	u32 last = seen.count - 1;

	if (i >= PT_ENTRIES || seen.count == ARRAY_SIZE(seen.index) || (seen.count && seen.table[last] == table && seen.index[last] == i))
		return;
	seen.table[seen.count] = table;
	seen.index[seen.count++] = i;
}

/* Entries that the plain copy shows as changed, and their neighbours; not all of many. */
static void find_changed(u32 tables)
{
	seen.count = 0;
	seen.more = false;
	for (u32 t = 0; t < tables; t++) {
		const pte_t *a = (const pte_t *)before[t], *b = (const pte_t *)(ulong)plain[t];
		u32 first = PT_ENTRIES, last = 0;

		for (u32 i = 0; i < PT_ENTRIES; i++)
			if (a[i] != b[i]) {
				if (first == PT_ENTRIES)
					note_entry(t, (first = i) - 1);
				if (i - first < 2)
					note_entry(t, i);
				last = i;
			}
		if (first < PT_ENTRIES && last - first >= 2) {
			note_entry(t, last);
			seen.more = true;
		}
		if (first < PT_ENTRIES)
			note_entry(t, last + 1);
	}
}

static void same_outcome(const struct form *f, struct outcome *a, struct outcome *b, u32 tables)
{
	static const char names[][6] = { "ax", "bx", "cx", "dx", "si", "di", "bp", "sp", "flags" };
	const char *name = (const char *)(ulong)f->name;
	char t[64], u[64];

	if (!fault_equal(b->fault, a->fault) || b->fault.ip != a->fault.ip)
		fail("%s: %s, on a plain page %s", name, fault_text(b->fault, t), fault_text(a->fault, u));
	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		if (a->reg[i] != b->reg[i])
			fail("%s: %s = %lx, on a plain page %lx", name, names[i], b->reg[i], a->reg[i]);
	for (u32 k = 0; k < tables; k++)
		for (u32 i = 0; i < WORDS; i++)
			if (words(live[k])[i] != words(plain[k])[i]) {
				fail("%s: table %u word %u = %lx, on a plain page %lx", name, k, i, words(live[k])[i], words(plain[k])[i]);
				break;
			}
}

static u64 va_of(u32 i)
{
	return BELOW(seen.table[i]) + seen.index[i] * PAGE_SIZE;
}

static void run_form(const struct form *f, const struct how *h)
{
	static const enum access_kind kinds[] = { ACCESS_READ, ACCESS_WRITE };
	u32 tables = h->offset >= 0xf00 && h->second != NOTHING ? 2 : 1, linked = h->second == DATA ? 1 : tables;
	struct outcome a, b;

	for (u32 t = 0; t < tables; t++) {
		copy(before[t], words(live[t]));
		copy(words(plain[t]), before[t]);
	}
	a = execute(f, h, plain);
	find_changed(linked);
	for (u32 i = 0; i < seen.count; i++) { /* in use before the write: the old right must go */
		peek8(va_of(i), NULL);
		*pte_of(seen.table[i], seen.index[i]) = ((pte_t *)before[seen.table[i]])[seen.index[i]];
	}
	b = execute(f, h, live);
	same_outcome(f, &a, &b, tables);
	for (u32 i = 0; i < seen.count; i++) {
		if (((pte_t *)before[seen.table[i]])[seen.index[i]] & PTE_P)
			invlpg(va_of(i));
		access_as_predicted(f, va_of(i), kinds[i & 1], (f - forms_start) & 1 ? AS_USER : AS_SUPER);
	}
	for (u32 t = 0; t < tables; t++)
		for (u32 i = 0; i < WORDS; i++)
			if (words(live[t])[i] != before[t][i])
				words(live[t])[i] = before[t][i];
	for (u32 i = 0; i < seen.count; i++)
		invlpg(va_of(i));
	if (seen.more) /* a processor may have fetched them ahead of use */
		flush();
}

static bool wanted(const struct form *f, const struct how *h)
{
	bool crossing = h->offset >= 0xf00;

	if (h->part && ((u32)(f - forms_start) + h->part + (u32)options.seed) % 3)
		return false;
	if (f->kind == STACK && crossing && !h->user)
		return false; /* the fault's frame has no stack */
	if (f->kind == WHOLE && h->offset != 0x230)
		return false; /* once is enough */
	return !crossing || (f->kind != SEGMENT && f->kind != POPPING && f->kind != BITS);
}

static void run_forms(struct how h)
{
	if (!PT_LEVELS || !cpu.sse2)
		skip("no page tables or no SSE2");
	set_up(h.second);
	for (const struct form *f = forms_start; f < forms_end; f++) {
		verbose("%s", (const char *)(ulong)f->name);
		if (wanted(f, &h))
			run_form(f, &h);
	}
}

CASE(aligned) { run_forms((struct how){ .offset = 0x120 }); }
CASE(aligned_mismatch) { run_forms((struct how){ .offset = 0x128, .set = 1 }); }
CASE(from_user_mode) { run_forms((struct how){ .offset = 0x230, .set = 2, .user = true }); }
CASE(unaligned) { run_forms((struct how){ .offset = 0x125, .part = 1 }); }
CASE(unaligned_user) { run_forms((struct how){ .offset = 0x32e, .part = 2, .set = 1, .user = true }); }
CASE(into_nothing) { run_forms((struct how){ .offset = 0xfff, .part = 1, .second = NOTHING }); }
CASE(into_nothing_user) { run_forms((struct how){ .offset = 0xffc, .part = 2, .second = NOTHING, .user = true }); }
CASE(into_table) { run_forms((struct how){ .offset = 0xffd, .part = 3, .second = TABLE }); }
CASE(into_table_user) { run_forms((struct how){ .offset = 0xff8, .part = 2, .second = TABLE, .user = true, .set = 1 }); }
CASE(into_data) { run_forms((struct how){ .offset = 0xffe, .part = 3, .second = DATA, .user = true }); }
