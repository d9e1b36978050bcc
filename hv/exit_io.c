/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IN, OUT, INS and OUTS.  The processor has checked IOPL and the TSS bitmap
 * before the exit; memory operands of the string forms are checked here, before
 * the device sees anything.  Segment limits of string operands are not modelled.
 */
#include "exit.h"

#define MAX_STRING 512 /* iterations for one exit */

static u64 mask_of(u8 bytes)
{
	return bytes == 8 ? ~0ull : BIT(8 * bytes) - 1;
}

static void put_low(u64 *reg, u64 value, u8 bytes)
{
	if (bytes == 4)
		*reg = (u32)value; /* 32-bit results are zero-extended */
	else
		*reg = (*reg & ~mask_of(bytes)) | (value & mask_of(bytes));
}

static void simple(struct vcpu *v)
{
	const struct vm_exit *e = &v->exit;
	u8 len = e->insn_len;
	struct access a;

	if (!len) {
		if (!access_decode(&a, v))
			return;
		len = a.c.insn.len;
	}
	if (e->in)
		put_low(&v->regs[RAX], device_in(v->vm, e->port, e->size), e->size);
	else
		device_out(v->vm, e->port, e->size, v->regs[RAX] & mask_of(e->size));
	vcpu_skip(v, len);
}

static u64 string_gva(struct vcpu *v, const struct access *a, u64 offset, unsigned seg)
{
	struct segment s;

	offset &= mask_of(a->c.insn.addr_size);
	if (a->c.mode == EMUL_64 && seg != SEG_FS && seg != SEG_GS)
		return offset;
	vendor->get_seg(v, seg, &s);
	return a->c.mode == EMUL_64 ? s.base + offset : (u32)(s.base + offset);
}

/* Rights are settled before the port is read: a fault must not swallow what the device gave. */
static bool ins_once(struct vcpu *v, struct access *a)
{
	const struct vm_exit *e = &v->exit;
	u64 gva = string_gva(v, a, v->regs[RDI], SEG_ES);
	struct shadow_access acc = access_explicit(v, true);
	struct shadow_fault f;
	u64 last = gva + e->size - 1;
	gpa_t gpa;
	u32 value;

	if (a->c.mode != EMUL_64)
		last = (u32)last;
	if (!access_check(a, gva))
		return false;
	/* both ends: the operand may lie across two pages, and CR2 is then where the second one begins */
	if (!shadow_probe(&v->mmu, mk_gva(gva), &acc, &gpa, &f) ||
	    ((gva ^ last) >> PAGE_SHIFT && !shadow_probe(&v->mmu, mk_gva(last & ~(PAGE_SIZE - 1)), &acc, &gpa, &f))) {
		event_page_fault(v, f.gva, f.error);
		return false;
	}
	value = device_in(v->vm, e->port, e->size);
	return access_write(a, gva, &value, e->size);
}

static bool outs_once(struct vcpu *v, struct access *a)
{
	const struct vm_exit *e = &v->exit;
	u32 value = 0;

	if (!access_read(a, string_gva(v, a, v->regs[RSI], a->c.insn.seg), &value, e->size))
		return false;
	device_out(v->vm, e->port, e->size, value);
	return true;
}

static void advance(struct vcpu *v, const struct access *a, enum reg pointer)
{
	u64 step = v->rflags & RFLAGS_DF ? -(u64)v->exit.size : v->exit.size;

	put_low(&v->regs[pointer], v->regs[pointer] + step, a->c.insn.addr_size);
	if (v->exit.rep)
		put_low(&v->regs[RCX], v->regs[RCX] - 1, a->c.insn.addr_size);
}

static void string(struct vcpu *v)
{
	struct access a;
	u64 mask, left;

	if (!access_decode(&a, v))
		return;
	mask = mask_of(a.c.insn.addr_size);
	left = v->exit.rep ? v->regs[RCX] & mask : 1;
	for (unsigned n = 0; left && n < (v->rflags & RFLAGS_TF ? 1 : MAX_STRING); n++, left--) {
		if (!(v->exit.in ? ins_once(v, &a) : outs_once(v, &a)))
			return;
		advance(v, &a, v->exit.in ? RDI : RSI);
		if (v->vm->result != VM_RUNNING)
			return;
	}
	if (!left)
		vcpu_skip(v, a.c.insn.len);
	else if (v->rflags & RFLAGS_TF)
		vendor->queue_debug(v);
}

void exit_io(struct vcpu *v)
{
	if (v->exit.string)
		string(v);
	else
		simple(v);
}
