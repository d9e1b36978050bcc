/* SPDX-License-Identifier: BSD-2-Clause */
/* The model behind the emulator's callbacks: pages, rights, racing CPUs. */
#include <stdlib.h>

#include "world.h"

static struct page *find(struct world *w, u64 gva)
{
	for (unsigned i = 0; i < w->npages; i++)
		if (w->pages[i].gva == (gva & ~(PAGE_SIZE - 1)))
			return &w->pages[i];
	return NULL;
}

/* The emulator promises never to pass 4 GiB nor the hole; the first refused byte is the fault. */
static bool check(struct emul_ctxt *c, u64 gva, unsigned len, u32 error)
{
	struct world *w = c->priv;
	u64 last = gva + len - 1;

	BUG_ON(!len || (c->mode != EMUL_64 && last > 0xffffffff));
	BUG_ON(c->mode == EMUL_64 && (((s64)gva << 16 >> 16) != (s64)gva || ((s64)last << 16 >> 16) != (s64)last));
	for (unsigned i = 0; i < len; i++) {
		struct page *p = find(w, gva + i);

		if (p && p->readable && (p->writable || !(error & PF_ERR_W)))
			continue;
		c->fault.gva = gva + i;
		c->fault.error = error | (p && p->readable ? PF_ERR_P : 0);
		return false;
	}
	return true;
}

void world_peek(struct world *w, u64 gva, void *buf, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		((u8 *)buf)[i] = find(w, gva + i)->data[(gva + i) % PAGE_SIZE];
}

void world_poke(struct world *w, u64 gva, const void *buf, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		find(w, gva + i)->data[(gva + i) % PAGE_SIZE] = ((const u8 *)buf)[i];
}

u64 world_get(struct world *w, u64 gva, unsigned len)
{
	u64 v = 0;

	world_peek(w, gva, &v, len);
	return v;
}

void world_set(struct world *w, u64 gva, u64 value, unsigned len) { world_poke(w, gva, &value, len); }

static bool op_fetch(struct emul_ctxt *c, u64 gva, void *buf, unsigned len)
{
	if (!check(c, gva, len, PF_ERR_I))
		return false;
	world_peek(c->priv, gva, buf, len);
	return true;
}

static bool op_read(struct emul_ctxt *c, u64 gva, void *buf, unsigned len)
{
	if (!check(c, gva, len, 0))
		return false;
	world_peek(c->priv, gva, buf, len);
	return true;
}

static bool op_write(struct emul_ctxt *c, u64 gva, const void *buf, unsigned len)
{
	struct world *w = c->priv;

	if (!check(c, gva, len, PF_ERR_W))
		return false;
	world_poke(w, gva, buf, len);
	w->writes++;
	return true;
}

static bool op_read_rmw(struct emul_ctxt *c, u64 gva, void *buf, unsigned len)
{
	if (!check(c, gva, len, PF_ERR_W))
		return false;
	world_peek(c->priv, gva, buf, len);
	return true;
}

static bool op_cmpxchg(struct emul_ctxt *c, u64 gva, void *old, const void *new_val, unsigned len, bool *swapped)
{
	struct world *w = c->priv;
	u8 now[16];

	BUG_ON(len > sizeof(now));
	if (!check(c, gva, len, PF_ERR_W))
		return false;
	if (w->races) {
		w->races--;
		world_set(w, gva, world_get(w, gva, 1) + 1, 1);
	}
	world_peek(w, gva, now, len);
	*swapped = !memcmp(now, old, len);
	if (*swapped) {
		world_poke(w, gva, new_val, len);
		w->cmpxchgs++;
	} else {
		memcpy(old, now, len);
	}
	return true;
}

static void op_seg(struct emul_ctxt *c, unsigned seg, u64 *base, u32 *limit, u16 *attr)
{
	struct world *w = c->priv;

	BUG_ON(seg > GS);
	*base = w->seg[seg].base;
	*limit = w->seg[seg].limit;
	*attr = w->seg[seg].attr;
}

static void op_read_xmm(struct emul_ctxt *c, unsigned n, u8 out[16])
{
	BUG_ON(n > 15);
	memcpy(out, ((struct world *)c->priv)->xmm[n], 16);
}

static void op_read_mmx(struct emul_ctxt *c, unsigned n, u8 out[8])
{
	BUG_ON(n > 7);
	memcpy(out, ((struct world *)c->priv)->mmx[n], 8);
}

static const struct emul_ops world_ops = {
	.fetch = op_fetch,
	.read = op_read,
	.write = op_write,
	.read_rmw = op_read_rmw,
	.cmpxchg = op_cmpxchg,
	.seg = op_seg,
	.read_xmm = op_read_xmm,
	.read_mmx = op_read_mmx,
};

void world_init(struct world *w, enum emul_mode mode)
{
	memset(w, 0, sizeof(*w));
	for (unsigned s = ES; s <= GS; s++) {
		w->seg[s].limit = mode == EMUL_16 ? 0xffff : 0xffffffff;
		w->seg[s].attr = (s == CS ? 0x9b : 0x93) | (mode == EMUL_16 ? 0 : 0xc00);
	}
	w->c = (struct emul_ctxt){
		.ops = &world_ops,
		.priv = w,
		.mode = mode,
		.regs = w->regs,
		.rflags = RFLAGS_RSV1,
		.cr0 = CR0_PE | CR0_PG,
		.max_iterations = 1000,
	};
}

struct page *world_page(struct world *w, u64 gva, bool writable)
{
	struct page *p = &w->pages[w->npages++];

	BUG_ON(w->npages > ARRAY_SIZE(w->pages) || gva % PAGE_SIZE);
	p->gva = gva;
	p->readable = true;
	p->writable = writable;
	return p;
}
