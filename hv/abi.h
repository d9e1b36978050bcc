/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest and umbra agree on, for both sides: the hypercall door, found
 * through CPUID leaf 0x40000000 (EBX ECX EDX = "umbraumbraum", EAX = highest
 * leaf 0x40000001; leaf 0x40000001 EAX: 1 = use VMMCALL, 2 = use VMCALL).
 *
 * EAX = number, EBX ECX EDX ESI = arguments; EAX = result, HC_ENOSYS if unknown.
 * Any CPL.  The debug-exit port works as in QEMU: value 0x10 pass, 0x11 fail, 0x12 skip.
 */
#ifndef UMBRA_ABI_H
#define UMBRA_ABI_H

#define UMBRA_CPUID_BASE 0x40000000
#define UMBRA_CPUID_EBX 0x72626d75 /* "umbr" */
#define UMBRA_CPUID_ECX 0x626d7561 /* "aumb" */
#define UMBRA_CPUID_EDX 0x6d756172 /* "raum" */

#define UMBRA_PORT_EXIT 0xf4
#define UMBRA_EXIT_PASS 0x10
#define UMBRA_EXIT_FAIL 0x11
#define UMBRA_EXIT_SKIP 0x12

#define HC_ENOSYS 0xffffffffu

#define HC_AUDIT 1 /* audit now: EAX = violations (the guest also fails) */
#define HC_INJECT_INTR 2 /* EBX = vector: an external interrupt becomes pending */
#define HC_INJECT_NMI 3
#define HC_STAT_EXITS 4 /* EAX = exits so far (low 32 bits) */
#define HC_STAT_GUEST_FAULTS 5 /* EAX = #PF injected so far */
#define HC_STAT_HIDDEN_FAULTS 6
#define HC_MARK 7 /* EBX = n: prints "# mark n" with the counters' change since the last mark */
#define HC_RELOCATE 8 /* EBX = gfn: moved to another host frame; EAX = 1, or 0 if it is a hole */

#endif
