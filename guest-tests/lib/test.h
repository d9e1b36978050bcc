/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest test sees of the library.  README.md has the tour.
 *
 * A test is a file of CASEs.  Each case begins with the library's own address
 * space (first 32 MiB identity-mapped, supervisor), an empty test window, fresh
 * frames and default control registers; what it changes is undone after it.
 */
#ifndef LIB_TEST_H
#define LIB_TEST_H

#include "arch.h"
#include "print.h"
#include "../../hv/abi.h"

/* ---- cases and checks (case.c) ------------------------------------------ */

struct test_case {
	const char *name;
	void (*run)(void);
};

/* CASE(name) { body }: run in the order of the source */
#define CASE(fn) \
	static void fn(void); \
	__attribute__((section(".cases"), used)) static const struct test_case case_##fn = { #fn, fn }; \
	static void fn(void)

/* A failed check prints a diagnostic and the walk of watch(va); the case goes on. */
#define check(cond) check_true((cond), #cond, __FILE__, __LINE__)
#define check_eq(got, want) check_equal((u64)(got), (u64)(want), #got, __FILE__, __LINE__)
#define check_fault(got, want) check_faults((got), (want), #got, __FILE__, __LINE__)
#define fail(...) check_failed(__FILE__, __LINE__, __VA_ARGS__)
bool check_true(bool ok, const char *expr, const char *file, int line);
bool check_equal(u64 got, u64 want, const char *expr, const char *file, int line);
struct fault;
bool check_failed(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void skip(const char *why) __attribute__((noreturn)); /* ends the case: "ok N - case # SKIP why" */
void end_case(void) __attribute__((noreturn)); /* nothing sensible can follow: ends it with what is known */
void watch(u64 va); /* print this walk at the case's first failure; default: the last va accessed */
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* "# text" */
#define verbose(...) do { if (options.verbose) note(__VA_ARGS__); } while (0)

struct options {
	const char *cases; /* case=GLOB */
	u64 seed;
	bool seed_given;
	bool strict; /* A must stay clear everywhere when the access faults */
	u32 depth; /* depth=N: do N times as much, where a test can */
	u32 ops, program; /* churn: ops=N program=N replay=TEXT */
	bool program_given;
	const char *replay;
	bool verbose, list;
};
extern struct options options;
extern const char test_name[], mode_name[];

u32 random32(void); /* from options.seed, reset at each case */
void random_seed(u32 seed); /* goes on from here */
bool under_umbra(void);
u32 hypercall(u32 nr, u32 a, u32 b, u32 c, u32 d); /* HC_ENOSYS when not under umbra */

/* ---- faults as values (fault.c) ------------------------------------------ */

struct fault {
	u8 vec; /* VEC_NONE: no fault */
	u32 err; /* 0 where the vector has none */
	u64 cr2; /* 0 but for #PF */
	u64 ip; /* where; not compared */
};

#define VEC_NONE 0xff
#define NO_FAULT ((struct fault){ .vec = VEC_NONE })
#define FAULT(v) ((struct fault){ .vec = (v) })
#define FAULT_ERR(v, e) ((struct fault){ .vec = (v), .err = (e) })
#define PF(e, va) ((struct fault){ .vec = VEC_PF, .err = (e), .cr2 = (va) })

static inline bool faulted(struct fault f) { return f.vec != VEC_NONE; }
bool fault_equal(struct fault a, struct fault b);
bool check_faults(struct fault got, struct fault want, const char *expr, const char *file, int line);
const char *fault_text(struct fault f, char buf[64]); /* "#PF[0007] cr2=..." */

struct regs { /* what an exception found; a hook may change it */
#ifdef __x86_64__
	u64 r15, r14, r13, r12, r11, r10, r9, r8, di, si, bp, bx, dx, cx, ax;
#else
	u32 di, si, bp, unused, bx, dx, cx, ax, ds, es;
#endif
	ulong vec, err, ip, cs, flags, sp, ss; /* 32-bit: sp and ss only when cs & 3 */
};

/* fn(a, b) with exceptions caught: first_fault is NO_FAULT or what ended it; *result (may be NULL) its value. */
typedef ulong (*guest_fn)(ulong a, ulong b);
struct fault try(guest_fn fn, ulong a, ulong b, ulong *result);

/*
 * The same at CPL 3.  fn must be USER_CODE (or assembly in .user.text): it sees only registers, its stack,
 * user_data[4096], and what the test maps with PTE_U.  user_flags: EFLAGS it starts with (TF, AC, IOPL).
 */
#define USER_CODE __attribute__((section(".user.text"), noinline, used))

/* A guest_fn of few instructions: %0 is a, and what they leave there the result; %1 is b. */
#define INSN(name, text) \
	static ulong name(ulong a, ulong b) \
	{ \
		asm volatile(text : "+r"(a) : "r"(b) : "memory"); \
		return a; \
	}

struct fault user_try(guest_fn fn, ulong a, ulong b, ulong *result);
extern ulong user_flags, user_stack; /* both reset at each case */
extern u8 user_data[], user_stack_top[], user_exit[];

ulong on_stack(ulong sp, ulong fn); /* a guest_fn: calls fn on a stack of its own, at CPL 0 */

/* hook(): fn sees an exception first; true = handled, IRET; false = as usual.  NULL removes.  Reset at each case. */
typedef bool (*hook_fn)(struct regs *r);
void hook(u8 vector, hook_fn fn);
extern u32 exception_count[256]; /* reset at each case */

/* Two such functions: both keep in hook_regs what they saw, one goes on as usual, the other returns. */
extern struct regs hook_regs;
bool hook_record(struct regs *r);
bool hook_return(struct regs *r);

/* ---- accesses (mem.c) ----------------------------------------------------- */

enum access_kind { ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH, ACCESS_RMW, ACCESS_LOCKED };
enum access_who { AS_SUPER, AS_USER, AS_IMPLICIT };

/* One access; the value read or 0 goes to *result, the value written is `value`.  Fetch wants 0xc3 (RET) at va. */
struct fault access_at(u64 va, enum access_kind kind, enum access_who who, u32 value, u32 *result);

struct fault peek8(u64 va, u8 *v); /* v may be NULL */
struct fault peek16(u64 va, u16 *v);
struct fault peek32(u64 va, u32 *v);
struct fault peek64(u64 va, u64 *v); /* 32-bit modes: two halves */
struct fault poke8(u64 va, u8 v);
struct fault poke16(u64 va, u16 v);
struct fault poke32(u64 va, u32 v);
struct fault poke64(u64 va, u64 v);
struct fault fetch(u64 va); /* the frame holds RET there */
#define RET 0xc3
struct fault user_peek8(u64 va, u8 *v);
struct fault user_peek32(u64 va, u32 *v);
struct fault user_poke8(u64 va, u8 v);
struct fault user_poke32(u64 va, u32 v);
struct fault user_fetch(u64 va);

/* An entry written through a mapping of its table: one store where the mode has it. */
struct fault poke_entry(u64 va, u64 value);

/* Implicit supervisor access from CPL 3: FS is loaded with the descriptor at va (8 bytes).  put_descriptor() first. */
void put_descriptor(u64 gpa, bool accessed); /* not accessed: the load also writes */
struct fault implicit_load(u64 va);

void set_ac(bool on); /* EFLAGS.AC for the accesses that follow, at both CPLs; reset at each case */

/* Frames through the identity map: gpa is also the address. */
static inline u8 *mem8(u64 gpa) { return (u8 *)(ulong)gpa; }
static inline volatile u32 *mem32(u64 gpa) { return (volatile u32 *)(ulong)gpa; }
static inline volatile u64 *mem64(u64 gpa) { return (volatile u64 *)(ulong)gpa; }

/* ---- control registers and features (cpu.c) ------------------------------- */

struct cpu {
	bool pse, pse36, pae, pge, pat, nx, smep, smap, page1g, la57, pcid, invpcid, sse, sse2, umip, fsgsbase, cx16, intel;
	u8 maxphyaddr;
};
extern struct cpu cpu;

struct fault write_cr0(ulong v); /* #GP and the like come back as values */
struct fault write_cr3(ulong v);
struct fault write_cr4(ulong v);
struct fault rdmsr(u32 msr, u64 *v);
struct fault wrmsr(u32 msr, u64 v);
u64 read_efer(void); /* 0 where the CPU has none */
struct fault write_efer(u64 v);
extern ulong default_cr0, default_cr4; /* what each case starts with */
extern u64 default_efer; /* NXE on where the CPU has NX */

void flush(void); /* CR3 reload: everything but globals */
void flush_global(void); /* globals too, by a CR4.PGE toggle */

static inline void need_paging(void)
{
	if (!PT_LEVELS)
		skip("paging is off");
}

static inline void need_large(void)
{
	if (!cpu.pse)
		skip("no large pages");
}

/* The machine's devices are there, or those of umbra's devices=pass. */
static inline void need_devices(void)
{
	u32 r[4];

	if (!under_umbra())
		return;
	cpuid(UMBRA_CPUID_BASE + 1, 0, r);
	if (!(r[1] & UMBRA_FEATURE_DEVICES))
		skip("umbra runs without devices=pass");
}

/* GDT, IDT and TSS, for tests that move or break them.  Reset at each case by cpu_reset(). */
struct table_ptr {
	u16 limit;
	ulong base;
} __attribute__((packed));
extern u64 gdt[];
extern u8 idt[], vectors[]; /* vectors: 16 bytes of stub for each */
extern u8 tss[];
#ifdef __x86_64__
#define TSS_SP0 4
#define TSS_IST1 36 /* #DF's; IST2..7 free */
#define GATE_SIZE 16
#else
#define TSS_SP0 4
#define GATE_SIZE 8
#endif
extern u8 stack_top[], trap_stack_top[], df_stack_top[];
void set_gate(void *gate, ulong target, u16 selector, u8 type, u8 ist); /* type: 0x8e, 0xee (DPL 3), ... */
void load_gdt(ulong base, u16 limit);
void load_idt(ulong base, u16 limit);
void load_tss(ulong base, u16 limit); /* writes the descriptor at gdt[], LTR */
void set_segment_base(u16 selector, ulong base); /* of a descriptor in gdt[] (32-bit tests) */
void cpu_reset(void);

/* ---- page tables (tables.c) ------------------------------------------------ */

#if PT_LEVELS == 2
typedef u32 pte_t;
#define PT_BITS 10
#else
typedef u64 pte_t;
#define PT_BITS 9
#endif
#define PTE_SIZE (sizeof(pte_t))
#define PAGE_SIZE 4096ull
#define LARGE_SIZE (PAGE_SIZE << PT_BITS) /* 4 or 2 MiB */
#define HUGE_SIZE (LARGE_SIZE << PT_BITS) /* 1 GiB (64, la57; cpu.page1g) */
#define PT_ENTRIES (1u << PT_BITS)
#define RW (PTE_P | PTE_W)
#define RWU (PTE_P | PTE_W | PTE_U)
#define TABLE_FLAGS RWU /* of entries that the library links, PDPTEs in pae: P alone */

/* The window: a root slot of its own; root slots from there to WINDOW_END are the test's as well. */
#if PT_LEVELS >= 4
#define LIB_ONE_SLOT (1ull << (12 + 9 * (PT_LEVELS - 1)))
#define WINDOW LIB_ONE_SLOT
#define WINDOW_END (LIB_ONE_SLOT * 256)
#else
#define WINDOW 0x40000000ull
#define WINDOW_END 0xffffffffull
#endif

u64 new_frame(void); /* a zeroed frame; all come back at the end of the case */
u64 new_table(void); /* the same, under a name that says what for */
u64 new_large(void); /* LARGE_SIZE, aligned to 4 MiB, not zeroed */
u64 frames_left(void);
extern u64 arena_start, arena_end; /* at least 12 MiB, aligned to 4 MiB */

int level_shift(int level);
u32 level_index(u64 va, int level);
u64 level_size(int level); /* bytes that one entry covers */
static inline bool is_pdpte(int level) { return PT_LEVELS == 3 && level == 3; } /* a register: no A, W, U */
u64 pte_gpa(pte_t e); /* the address field, 4 KiB granular */

/* Tables of the address space in use; xxx_in: of another (root: the gpa that its CR3 holds). */
pte_t *entry(u64 va, int level); /* NULL when a table above is missing */
pte_t *entry_in(u64 root, u64 va, int level);
pte_t *make_entry(u64 va, int level); /* links the missing tables with TABLE_FLAGS */
pte_t *make_entry_in(u64 root, u64 va, int level);
pte_t *map_page(u64 va, u64 gpa, u64 flags);
pte_t *map_large(u64 va, u64 gpa, u64 flags); /* PTE_PS is added */
pte_t *map_at(u64 root, u64 va, u64 gpa, u64 flags, int level);
void set_entry(pte_t *e, u64 value); /* one store; pae on 32 bits: high half first */
u64 current_root(void);
u64 new_space(void); /* a root with the library's mappings only */
void use_space(u64 root); /* MOV CR3 */
void link_table(u64 root, u64 va, int level, u64 table); /* entry(va, level) -> table; pae level 3 reloads CR3 */
void print_walk(u64 va);

/* ---- frames told apart (tag.c) ---------------------------------------------- */

#define TAG_AT 0x70 /* where a tagged frame has its tag; it begins with a RET */
u64 tagged(u32 tag); /* new_frame() */
u32 tag_at(u64 va); /* checks that it can be read */

/* A large page with a tag in each of its 4 KiB frames. */
#define PIECES (LARGE_SIZE / PAGE_SIZE)
#define piece_tag(tag, piece) ((tag) << 16 | (piece))
u64 tagged_large(u32 tag); /* new_large() */
void check_piece(u64 va, u32 piece, u32 want); /* va: of the large page */
void check_pieces(u64 va, u32 tag); /* the first, the last, those around the middle, and some others */

#endif
