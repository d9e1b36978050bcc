/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's memory as its own instructions see it, for the emulator.  Both
 * pages of an access are judged before either is touched; then A and D are set,
 * then the bytes move, and shadows of tables among them follow at once.
 */
#include "private.h"

static bool judge(struct shadow_vcpu *sv, gva_t gva, const struct shadow_access *acc, struct walk *w, struct shadow_fault *fault)
{
	sv->mode->walk(sv, gva, w);
	fault->gva = gva;
	return sv->mode->permits(sv, w, acc, &fault->error);
}

/* Judges, sets A and D, and gives the address.  They may change the path of the other page: so after judging both. */
static bool touch(struct shadow_vcpu *sv, gva_t gva, const struct shadow_access *acc, gpa_t *gpa, struct shadow_fault *fault)
{
	struct walk w;

	do {
		if (!judge(sv, gva, acc, &w, fault))
			return false;
	} while (!sv->mode->set_ad(sv, &w, acc->write));
	*gpa = mk_gpa(gfn_to_gpa(w.gfn).v | gva.v % PAGE_SIZE);
	return true;
}

struct span { /* an access cut at the page boundary */
	gpa_t gpa[2];
	size_t len[2];
};

static bool resolve(struct shadow_vcpu *sv, gva_t gva, size_t len, const struct shadow_access *acc, struct span *s,
		    struct shadow_fault *fault)
{
	size_t first = MIN(len, PAGE_SIZE - gva.v % PAGE_SIZE);
	gva_t second = mk_gva(gva.v + first);
	struct walk w;

	BUG_ON(len - first > PAGE_SIZE);
	if (!acc->wide)
		second.v = (u32)second.v;
	*s = (struct span){ .len = { first, len - first } };
	if (!judge(sv, gva, acc, &w, fault) || (s->len[1] && !judge(sv, second, acc, &w, fault)))
		return false;
	return touch(sv, gva, acc, &s->gpa[0], fault) && (!s->len[1] || touch(sv, second, acc, &s->gpa[1], fault));
}

bool shadow_read(struct shadow_vcpu *sv, gva_t gva, void *buf, size_t len, const struct shadow_access *acc,
		 struct shadow_fault *fault)
{
	struct span s;

	if (!resolve(sv, gva, len, acc, &s, fault))
		return false;
	guestmem_read(sv->vm, s.gpa[0], buf, s.len[0]);
	guestmem_read(sv->vm, s.gpa[1], (u8 *)buf + s.len[0], s.len[1]);
	return true;
}

static void put(struct shadow_vm *vm, const struct span *s, const void *buf)
{
	for (unsigned i = 0; i < 2; i++)
		if (s->len[i]) {
			guestmem_write(vm, s->gpa[i], (const u8 *)buf + (i ? s->len[0] : 0), s->len[i]);
			shadow_guest_wrote(vm, s->gpa[i], s->len[i]);
		}
}

bool shadow_write(struct shadow_vcpu *sv, gva_t gva, const void *buf, size_t len, const struct shadow_access *acc,
		  struct shadow_fault *fault)
{
	struct span s;

	if (!resolve(sv, gva, len, acc, &s, fault))
		return false;
	put(sv->vm, &s, buf);
	return true;
}

static bool cmpxchg16(void *p, u64 *old, const u64 *new_val)
{
	bool done;

	__asm__ volatile("lock cmpxchg16b %1"
			 : "=@ccz"(done), "+m"(*(char(*)[16])p), "+a"(old[0]), "+d"(old[1])
			 : "b"(new_val[0]), "c"(new_val[1])
			 : "memory");
	return done;
}

/* One locked instruction on guest memory (BUGS E07). */
static bool cmpxchg_atomic(void *p, void *old, const void *new_val, size_t len)
{
#define CMPXCHG(type) \
	__atomic_compare_exchange_n((type *)p, (type *)old, *(const type *)new_val, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
	switch (len) {
	case 1: return CMPXCHG(u8);
	case 2: return CMPXCHG(u16);
	case 4: return CMPXCHG(u32);
	case 8: return CMPXCHG(u64);
	default: return cmpxchg16(p, old, new_val);
	}
#undef CMPXCHG
}

bool shadow_cmpxchg(struct shadow_vcpu *sv, gva_t gva, void *old, const void *new_val, size_t len, bool *swapped,
		    const struct shadow_access *acc, struct shadow_fault *fault)
{
	struct shadow_vm *vm = sv->vm;
	struct span s;
	u8 now[16], *frame;

	if (!resolve(sv, gva, len, acc, &s, fault))
		return false;
	frame = guestmem_frame_rw(vm, gpa_to_gfn(s.gpa[0]));
	if (frame && !s.len[1] && gva.v % len == 0) {
		*swapped = cmpxchg_atomic(frame + s.gpa[0].v % PAGE_SIZE, old, new_val, len);
		if (*swapped)
			shadow_guest_wrote(vm, s.gpa[0], len);
		return true;
	}
	/* Split or misaligned: not atomic against another processor of the guest; there is none yet. */
	guestmem_read(vm, s.gpa[0], now, s.len[0]);
	guestmem_read(vm, s.gpa[1], now + s.len[0], s.len[1]);
	*swapped = !memcmp(now, old, len);
	if (*swapped)
		put(vm, &s, new_val);
	else
		memcpy(old, now, len);
	return true;
}

bool shadow_probe(struct shadow_vcpu *sv, gva_t gva, const struct shadow_access *acc, gpa_t *gpa, struct shadow_fault *fault)
{
	struct walk w;

	if (!judge(sv, gva, acc, &w, fault))
		return false;
	*gpa = mk_gpa(gfn_to_gpa(w.gfn).v | gva.v % PAGE_SIZE);
	return true;
}
