/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the emulator share.  Others use emul.h. */
#ifndef HV_EMUL_PRIVATE_H
#define HV_EMUL_PRIVATE_H

#include "emul.h"

enum { EMUL_ES, EMUL_CS, EMUL_SS, EMUL_DS, EMUL_FS, EMUL_GS };
enum { EMUL_RAX, EMUL_RCX, EMUL_RDX, EMUL_RBX, EMUL_RSP, EMUL_RBP, EMUL_RSI, EMUL_RDI };

#define EMUL_NO_REG 0xff
#define EMUL_RIP_REG 0xfe

static inline u64 emul_mask(unsigned bytes) { return bytes >= 8 ? ~0ull : BIT(8 * bytes) - 1; }

/* ---- emul.c ---- */
u64 emul_reg(const struct emul_ctxt *c, unsigned n, unsigned size); /* size 1 without REX: AH.. for 4-7 */
void emul_set_reg(struct emul_ctxt *c, unsigned n, unsigned size, u64 value);
u64 emul_source(const struct emul_ctxt *c); /* the immediate or ModRM.reg */
u64 emul_next_rip(const struct emul_ctxt *c);
u64 emul_offset(const struct emul_ctxt *c, s64 extra); /* of the memory operand, `extra` bytes on */
u64 emul_gva(struct emul_ctxt *c, unsigned seg, u64 offset);
/*
 * Where an operand is; DONE if it may be accessed so far as segmentation goes.  A
 * destination must hold want_gva; UNKNOWN also for what is left to the
 * processor: operands across 4 GiB and alignment checks.
 */
enum emul_status emul_place(struct emul_ctxt *c, unsigned seg, u64 offset, unsigned size, u64 *gva);
enum emul_status emul_place_dest(struct emul_ctxt *c, unsigned seg, u64 offset, unsigned size, u64 *gva);
enum emul_status emul_exception(struct emul_ctxt *c, u8 vector); /* error code 0 */

/* ---- emul_alu.c ---- */
/*
 * `dst op src` for the two-operand, one-operand (src ignored) and bit operations, with the flags
 * that this processor gives, undefined ones too.  INSN_SUB also serves CMPXCHG.
 */
u64 emul_alu(enum insn_op op, unsigned size, u64 dst, u64 src, u64 *rflags);
bool emul_condition(u8 cc, u64 rflags);

/* ---- emul_rmw.c, emul_stack.c, emul_string.c ---- */
enum emul_status emul_rmw(struct emul_ctxt *c);
enum emul_status emul_cmpxchg8b(struct emul_ctxt *c);
enum emul_status emul_push(struct emul_ctxt *c);
enum emul_status emul_call(struct emul_ctxt *c); /* sets RIP */
enum emul_status emul_string(struct emul_ctxt *c);

#endif
