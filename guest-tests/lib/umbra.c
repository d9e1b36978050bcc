/* SPDX-License-Identifier: BSD-2-Clause */
/* The door to umbra, when it is there: ../../hv/abi.h. */
#include "internal.h"

static int door = -1; /* 0: none, 1: VMMCALL, 2: VMCALL */

static void look(void)
{
	u32 r[4];

	door = 0;
	cpuid(1, 0, r);
	if (!(r[2] >> 31))
		return; /* no hypervisor: leaf 0x40000000 may be anything */
	cpuid(UMBRA_CPUID_BASE, 0, r);
	if (r[1] != UMBRA_CPUID_EBX || r[2] != UMBRA_CPUID_ECX || r[3] != UMBRA_CPUID_EDX)
		return;
	cpuid(UMBRA_CPUID_BASE + 1, 0, r);
	door = r[0] == 1 || r[0] == 2 ? (int)r[0] : 0;
}

bool under_umbra(void)
{
	if (door < 0)
		look();
	return door > 0;
}

u32 hypercall(u32 nr, u32 a, u32 b, u32 c, u32 d)
{
	if (!under_umbra())
		return HC_ENOSYS;
	if (door == 1)
		asm volatile("vmmcall" : "+a"(nr) : "b"(a), "c"(b), "d"(c), "S"(d) : "memory");
	else
		asm volatile("vmcall" : "+a"(nr) : "b"(a), "c"(b), "d"(c), "S"(d) : "memory");
	return nr;
}
