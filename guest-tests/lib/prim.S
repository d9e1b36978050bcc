/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One-instruction accesses, each twice: cpl0_xxx, and cpl3_xxx where user
 * mode may run it.  A0 = address, A1 = value; the result is in the accumulator.
 */
#ifdef __x86_64__
#define A0 %rdi
#define A1 %rsi
#define A1b %sil
#define A1w %si
#define A1d %esi
#else
#define A0 %eax
#define A1 %edx
#define A1b %dl
#define A1w %dx
#define A1d %edx
#endif

	.macro primitives prefix
	.globl \prefix\()_peek8, \prefix\()_peek16, \prefix\()_peek32
	.globl \prefix\()_poke8, \prefix\()_poke16, \prefix\()_poke32
	.globl \prefix\()_rmw32, \prefix\()_locked32, \prefix\()_xchg32, \prefix\()_fetch, \prefix\()_load_segment
\prefix\()_peek8:
	movzbl (A0), %eax
	ret
\prefix\()_peek16:
	movzwl (A0), %eax
	ret
\prefix\()_peek32:
	movl (A0), %eax
	ret
\prefix\()_poke8:
	movb A1b, (A0)
	ret
\prefix\()_poke16:
	movw A1w, (A0)
	ret
\prefix\()_poke32:
	movl A1d, (A0)
	ret
\prefix\()_rmw32:
	addl A1d, (A0)
	ret
\prefix\()_locked32:
	lock addl A1d, (A0)
	ret
\prefix\()_xchg32:
	xchgl A1d, (A0)
	movl A1d, %eax
	ret
\prefix\()_fetch:
	call *A0
	ret
\prefix\()_load_segment: /* A1 = selector: the CPU reads its descriptor, an implicit supervisor access at any CPL */
	mov A1d, %fs
	xorl %ecx, %ecx
	mov %ecx, %fs
	ret
#ifdef __x86_64__
	.globl \prefix\()_peek64, \prefix\()_poke64
\prefix\()_peek64:
	movq (A0), %rax
	ret
\prefix\()_poke64:
	movq A1, (A0)
	ret
#endif
	.endm

	.text
	primitives cpl0
	.section .user.text, "ax"
	primitives cpl3

	.section .note.GNU-stack, "", @progbits
