/* SPDX-License-Identifier: BSD-2-Clause */
/* A handful of guest pages and segments: what the emulator's tests run it against. */
#ifndef HOST_TESTS_WORLD_H
#define HOST_TESTS_WORLD_H

#include "host.h"
#include "../hv/emul.h"

enum { ES, CS, SS, DS, FS, GS };
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

struct page {
	u64 gva;
	bool readable, writable;
	u8 data[PAGE_SIZE];
};

struct world {
	struct page pages[16];
	unsigned npages;
	struct {
		u64 base;
		u32 limit;
		u16 attr;
	} seg[6];
	u64 regs[16];
	u8 xmm[16][16];
	u8 mmx[8][8];
	unsigned writes, cmpxchgs; /* calls that changed memory */
	unsigned races; /* so many compare-exchanges find that another CPU has added 1 */
	struct emul_ctxt c;
};

/* No pages, flat segments, registers 0, no want; RIP 0. */
void world_init(struct world *w, enum emul_mode mode);
struct page *world_page(struct world *w, u64 gva, bool writable);
/* No access rules: for tests to look and to prepare.  The pages must exist. */
void world_peek(struct world *w, u64 gva, void *buf, unsigned len);
void world_poke(struct world *w, u64 gva, const void *buf, unsigned len);
u64 world_get(struct world *w, u64 gva, unsigned len);
void world_set(struct world *w, u64 gva, u64 value, unsigned len);

#endif
