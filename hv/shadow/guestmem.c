/* SPDX-License-Identifier: BSD-2-Clause */
/* The only file that turns a guest frame into a pointer. */
#include "private.h"

void *guestmem_frame(struct shadow_vm *vm, gfn_t gfn) { return host_ptr(frame_hfn(vm, p2m_frame(vm, gfn))); }

void *guestmem_frame_rw(struct shadow_vm *vm, gfn_t gfn)
{
	if (p2m_lookup(vm, gfn).kind != P2M_RAM)
		return NULL;
	p2m_before_write(vm, gfn);
	return host_ptr(frame_hfn(vm, p2m_frame(vm, gfn)));
}

static size_t piece(gpa_t gpa, size_t len) { return MIN(len, PAGE_SIZE - gpa.v % PAGE_SIZE); }

void guestmem_read(struct shadow_vm *vm, gpa_t gpa, void *buf, size_t len)
{
	while (len) {
		size_t n = piece(gpa, len);

		struct p2m_entry e = p2m_lookup(vm, gpa_to_gfn(gpa));

		if (e.kind == P2M_MMIO)
			host_device_read(mk_hpa(hfn_to_hpa(e.hfn).v | gpa.v % PAGE_SIZE), buf, n);
		else
			memcpy(buf, (u8 *)host_ptr(e.hfn) + gpa.v % PAGE_SIZE, n);
		gpa.v += n;
		buf = (u8 *)buf + n;
		len -= n;
	}
}

/* One store for what another processor, or a table walk, must not see half done (BUGS E05). */
static void store(u8 *p, const void *buf, size_t n)
{
	uintptr_t misaligned = (uintptr_t)p & (n - 1);
	u64 v = 0;

	if (misaligned || (n != 1 && n != 2 && n != 4 && n != 8)) {
		memcpy(p, buf, n);
		return;
	}
	memcpy(&v, buf, n);
	switch (n) {
	case 1: __atomic_store_n(p, v, __ATOMIC_RELAXED); break;
	case 2: __atomic_store_n((u16 *)p, v, __ATOMIC_RELAXED); break;
	case 4: __atomic_store_n((u32 *)p, v, __ATOMIC_RELAXED); break;
	case 8: __atomic_store_n((u64 *)p, v, __ATOMIC_RELAXED); break;
	}
}

void guestmem_write(struct shadow_vm *vm, gpa_t gpa, const void *buf, size_t len)
{
	while (len) {
		size_t n = piece(gpa, len);
		u8 *frame = guestmem_frame_rw(vm, gpa_to_gfn(gpa));
		struct p2m_entry e = p2m_lookup(vm, gpa_to_gfn(gpa));

		if (e.kind == P2M_MMIO)
			host_device_write(mk_hpa(hfn_to_hpa(e.hfn).v | gpa.v % PAGE_SIZE), buf, n);
		if (frame) {
			store(frame + gpa.v % PAGE_SIZE, buf, n);
			shadow_table_written(vm, gpa, n);
		}
		gpa.v += n;
		buf = (const u8 *)buf + n;
		len -= n;
	}
}
