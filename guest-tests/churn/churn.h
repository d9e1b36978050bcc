/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random programs over a small universe of frames and addresses.
 *
 *   universe.c  the frames, the addresses, what memory should hold
 *   model.c     which translations a processor may have cached (SDM vol. 3, 4.10)
 *   access.c    every outcome that an access may have, and which of them it had
 *   run.c       one operation after the other, real and model
 *   random.c    the next operation
 *   program.c   programs run, shrunk, and as text
 */
#ifndef CHURN_H
#define CHURN_H

#include "../lib/predict.h"
#include "../lib/test.h"

/* ---- the universe ----------------------------------------------------------- */

#define CELLS 4 /* the entries of a frame that count, at the indices cell_slot[] */
#define PIECE0 0 /* frames 0-3 lie where a large page of region 0 has its pieces for these indices, */
#define PIECE1 4 /* frames 4-7 the same in region 1 */
#define TABLES 8 /* frames 8-15: by habit tables, of home_level() */
#define ROOTS 16
#define NROOTS 3
#define NFRAMES (ROOTS + NROOTS)
#define OUTSIDE 0x1f /* in place of a frame: not of this universe */
#define NVAS 12

/* Bytes of a frame beside its cells.  As an entry none of them is present, whatever its size. */
#define AT_TAG 0x404
#define AT_SCRATCH 0x40c /* what writes go to */
#define AT_RET 0x411
#define AT_DESCRIPTOR 0x418

extern u64 frame_gpa[NFRAMES], vas[NVAS];
extern u8 va_cell[NVAS][6]; /* [va][level]: the cell that a walk reads */
extern pte_t cells[NFRAMES][CELLS]; /* what they should hold */
extern u32 scratch[NFRAMES];

bool is_root(u32 frame);
bool is_pdpt(u32 frame);
u32 cells_of(u32 frame); /* CELLS; a PDPT has one for each of its three slots that are ours */
u32 cell_offset(u32 frame, u32 cell);
u32 frame_at(u64 gpa); /* OUTSIDE if none */
u32 frame_tag(u32 frame);
int home_level(u32 frame); /* 0: data */
volatile pte_t *cell_ptr(u32 frame, u32 cell);
void universe_make(void); /* once for each case */
void universe_reset(void); /* cells empty, first root loaded, default control registers, TLB flushed */
const char *universe_differs(void); /* NULL, or which cell is not what it should be */

/* ---- what may be cached ------------------------------------------------------- */

#define SET_MAX 24

struct cached { /* a translation, or (level > 1: of a table) an upper entry */
	u8 frame;
	u8 level; /* of the leaf */
	bool dirty, global;
	bool fetch_only;
	bool settled; /* a fault at the address came later: it refuses nothing any more */
	struct predict_rights r;
};

struct cached_set {
	u32 n;
	bool full; /* too many to tell: anything may be cached */
	struct cached e[SET_MAX];
};

extern struct predict_state state; /* control registers; read and ctx are not used */
extern u32 root_now; /* a root's number */
extern struct cached_set upper[NVAS][6]; /* [va][level]: tables of that level */
extern struct cached_set leaves[NVAS];

enum flush_scope { FLUSH_NONE, FLUSH_SPACE, FLUSH_ALL }; /* all but globals; with globals */
void model_reset(void);
void model_edited(u32 frame, u32 cell); /* cells[][] has a new value */
void model_flush(enum flush_scope scope);
void model_load_root(u32 root); /* MOV CR3 */
void model_invlpg(u32 va); /* NVAS: an address without meaning here */
void model_faulted(u32 va);
bool model_no_pdpte(u32 va); /* PAE: the register for it is not present */
void model_changed(void); /* control bits that change what an entry means: all that can be reached is read again */

/* ---- operations ------------------------------------------------------------------ */

enum op_type { OP_EDIT, OP_ACCESS, OP_INVLPG, OP_CR3, OP_CONTROL, OP_PAGING, OP_HYPER, OP_AUDIT, NOPS };

struct op { /* 44 bits: eight characters of a replay line */
	u32 type : 4;
	u32 a : 5; /* a frame, an address, a root */
	u32 b : 4; /* a cell */
	u32 how : 6; /* enum edit; enum touch + 8 * who + 32 * AC; a control bit to toggle; enum hyper */
	u32 target : 5; /* a frame or OUTSIDE: of the entry that is written */
	u32 flags : 20; /* and its F_xxx */
};

enum edit { EDIT_STORE, EDIT_XCHG, EDIT_CMPXCHG, EDIT_CMPXCHG_FAILS, EDIT_OR, EDIT_AND, EDIT_XOR, EDIT_BIT, EDIT_BYTE, EDIT_WORD,
	    EDIT_LOW, EDIT_HIGH, EDIT_STOS, EDIT_BATCH, NEDITS };
enum touch { TOUCH_READ, TOUCH_WRITE, TOUCH_FETCH, TOUCH_RMW, TOUCH_LOCKED, TOUCH_READ_CELL, TOUCH_WRITE_LOW, TOUCH_WRITE_HIGH };
#define TOUCH(op) ((enum touch)((op).how & 7))
#define WHO(op) ((enum predict_who)((op).how >> 3 & 3))
#define WITH_AC(op) ((op).how >> 5)

enum hyper { HYPER_RELOCATE, HYPER_LOG_ON, HYPER_LOG_OFF, HYPER_LOG_READ }; /* what umbra may do to a frame */
enum { CONTROL_WP = 1, CONTROL_SMEP = 2, CONTROL_SMAP = 4, CONTROL_PGE = 8, CONTROL_PSE = 16, CONTROL_NXE = 32 };

#define F_P BIT(0)
#define F_W BIT(1)
#define F_U BIT(2)
#define F_PWT BIT(3)
#define F_PCD BIT(4)
#define F_A BIT(5)
#define F_D BIT(6)
#define F_PS BIT(7)
#define F_G BIT(8)
#define F_IGNORED (BIT(9) | BIT(10) | BIT(11))
#define F_NX BIT(12)
#define F_LARGE BIT(13) /* the address is the region's of the target, */
#define F_HUGE BIT(14) /* or 0: 1 GiB that holds both */
#define F_RSVD BIT(15) /* an address bit that no processor here has; 32-bit paging: bit 21 */
#define F_PAT_LARGE BIT(16)

u64 op_value(struct op op);

/* Executes one; false: it had an outcome that it must not have, and why[] says what. */
bool run_op(struct op op);
extern char why[320];
extern bool allow_reserved; /* accesses may meet reserved bits */
struct counts {
	u32 done[NOPS], skipped, faults, vague; /* vague: accesses with more than one outcome to choose from */
};
extern struct counts counts;

bool access_run(struct op op); /* access.c: the OP_ACCESS of run_op() */

#define PROGRAM_MAX 512
struct program {
	u32 n;
	struct op op[PROGRAM_MAX];
};

void program_begin(void); /* the clean state */
int program_run(const struct program *p); /* from a clean state: the operation that failed, or -1 */
void program_shrink(struct program *p); /* one that fails */
void program_print(const struct program *p);
bool program_parse(struct program *p, const char *text);
struct op program_next(u32 focus); /* a random operation, given the state that the model is in */

#endif
