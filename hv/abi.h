/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest and umbra agree on, for both sides: the hypercall door, found
 * through CPUID leaf 0x40000000 (EBX ECX EDX = "umbraumbraum", EAX = highest
 * leaf 0x40000001; leaf 0x40000001 EAX: 1 = use VMMCALL, 2 = use VMCALL, EBX: UMBRA_FEATURE_*).
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

#define UMBRA_FEATURE_DEVICES 1 /* devices=pass: ports, MMIO and interrupts are the machine's */

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
#define HC_MARK 7 /* EBX = n: prints "# mark n name=value ...": how each counter changed since the last mark, where it
		     did; of counters named _peak and _max the value */
#define HC_RELOCATE 8 /* EBX = gfn: moved to another host frame; EAX = 1, or 0 if it is a hole */
#define HC_BATCH 9 /* EBX = gpa of struct hc_batch[], ECX = how many (<= HC_BATCH_MAX); CPL 0 only.  EAX = how many
		      were applied: it ends at the first that names no entry in RAM; more than HC_BATCH_MAX: none. */
#define HC_LOG_DIRTY 10 /* EBX = 1 on, 0 off: EAX = 0.  When it goes on, all frames count as clean. */
#define HC_LOG_READ 11 /* EBX = gfn: EAX = bit i: gfn + i was written since it was clean, i < 16; they are clean again */
#define HC_ROM 12 /* EBX = gfn, ECX = 1: writes to it vanish from now on, 0: RAM again.  EAX = 1, or 0 for a hole */
#define HC_SHARE 13 /* EBX, ECX = gfns with equal contents: one host frame until either is written.  EAX = 1 done */
#define HC_FRAME_INFO 14 /* EBX = gfn: EAX = HC_FRAME_* */
#define HC_FRAME_PRESENT 1u /* there is a host frame behind it */
#define HC_FRAME_SHARED 2u
#define HC_FRAME_ROM 4u
#define HC_FRAME_TABLE 8u /* it has shadows as a table */
#define HC_FRAME_COLOUR_SHIFT 8 /* bits 8 to 13: the last bits of the host frame's number, for counting */

#define HC_BATCH_MAX 512
struct hc_batch {
	unsigned long long table; /* gpa of a page table */
	unsigned long long index; /* of an entry of the paging mode that is on: 4 or 8 bytes */
	unsigned long long value;
};

#endif
