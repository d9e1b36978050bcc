/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events on their way into the guest: exceptions with the double-fault rules,
 * interrupts and NMIs with their windows, and the end of an instruction that
 * hv performed.  Hidden faults never come here: only what the guest must see
 * counts for a double fault, and only an injected #PF changes CR2.
 */
#include "exit.h"

enum fault_class { BENIGN, CONTRIBUTORY, PAGE, DOUBLE };

static const u8 fault_class[32] = { /* SDM vol. 3, interrupt 8, table of classes */
	[VEC_DE] = CONTRIBUTORY, [VEC_TS] = CONTRIBUTORY, [VEC_NP] = CONTRIBUTORY,
	[VEC_SS] = CONTRIBUTORY, [VEC_GP] = CONTRIBUTORY, [VEC_PF] = PAGE, [VEC_DF] = DOUBLE,
};

/* Faults push RF set, so that an instruction breakpoint does not fire again (SDM vol. 3, RF flag). */
static const u32 no_rf = BIT(VEC_DB) | BIT(VEC_NMI) | BIT(VEC_BP) | BIT(VEC_OF) | BIT(VEC_DF) | BIT(VEC_MC);

/* The event whose delivery was cut short; a hardware exception alone can make a double fault. */
static enum fault_class class_in_delivery(const struct vcpu *v)
{
	const struct event *e = &v->inject;

	if (!e->valid || e->type != EVENT_EXCEPTION || e->vector >= 32)
		return BENIGN;
	return fault_class[e->vector];
}

static void set_exception(struct vcpu *v, u8 vector, bool has_error, u32 error)
{
	v->inject = (struct event){
		.valid = true, .type = EVENT_EXCEPTION, .vector = vector, .has_error = has_error, .error = error,
	};
	if (!(no_rf & BIT(vector)))
		v->rflags |= RFLAGS_RF;
}

/*
 * SDM vol. 3, table "Conditions for Generating a Double Fault".  Where two
 * exceptions are handled serially the first one is dropped: its instruction
 * runs again after the second one's handler.
 */
void event_exception(struct vcpu *v, u8 vector, bool has_error, u32 error)
{
	enum fault_class first = class_in_delivery(v), second = fault_class[vector & 31];

	if (first == DOUBLE && second != BENIGN)
		vm_fail(v->vm, "triple fault at rip %#llx (vector %u in a double fault, cr2 %#llx)",
			(unsigned long long)v->rip, vector, (unsigned long long)v->cr2);
	else if ((first == CONTRIBUTORY && second == CONTRIBUTORY) || (first == PAGE && second != BENIGN))
		set_exception(v, VEC_DF, true, 0);
	else
		set_exception(v, vector, has_error, error);
}

void event_gp(struct vcpu *v)
{
	event_exception(v, VEC_GP, true, 0);
}

/* CR2 is loaded even where the page fault ends as a double fault. */
void event_page_fault(struct vcpu *v, gva_t gva, u32 error)
{
	v->cr2 = gva.v;
	event_exception(v, VEC_PF, true, error);
}

/* One INTR line, as before the APIC: a second request while one waits is not kept. */
void event_intr(struct vcpu *v, u8 vector)
{
	if (!v->pending_intr.valid)
		v->pending_intr = (struct event){ .valid = true, .type = EVENT_INTR, .vector = vector };
}

void event_nmi(struct vcpu *v)
{
	v->pending_nmi = (struct event){ .valid = true, .type = EVENT_NMI, .vector = VEC_NMI };
}

static bool take(struct vcpu *v, struct event *pending)
{
	v->inject = *pending;
	pending->valid = false;
	return true;
}

static bool choose(struct vcpu *v)
{
	if (v->intr_shadow)
		return false;
	if (v->pending_nmi.valid && !v->nmi_blocked)
		return take(v, &v->pending_nmi);
	if (v->pending_intr.valid && (v->rflags & RFLAGS_IF))
		return take(v, &v->pending_intr);
	return false;
}

void event_prepare(struct vcpu *v)
{
	if (v->inject.valid || choose(v))
		v->intr_shadow = false; /* delivery of any event ends it */
	v->want_nmi_window = v->pending_nmi.valid;
	v->want_intr_window = v->pending_intr.valid;
}

void event_retire(struct vcpu *v)
{
	v->rflags &= ~RFLAGS_RF;
	v->intr_shadow = false;
	if (v->rflags & RFLAGS_TF)
		vendor->queue_debug(v);
}

void vcpu_skip(struct vcpu *v, u8 len)
{
	v->rip += len;
	if (!access_code64(v))
		v->rip = (u32)v->rip;
	event_retire(v);
}
