/* SPDX-License-Identifier: BSD-2-Clause */
/* flat, pse, pae: exception stubs, guarded calls and user mode.  Arguments come in EAX EDX ECX (-mregparm=3). */
#include "selectors.h"

	.section .boot, "ax"
	.globl mode_entry
mode_entry:
	call start
	hlt

	.text
#include "vectors.inc"

common:	push %es
	push %ds
	pusha
	mov $SEL_KDATA, %eax
	mov %eax, %ds
	mov %eax, %es
	cld
	mov %esp, %eax
	call exception
	popa
	pop %ds
	pop %es
	add $8, %esp
	iret

	/* ulong guarded(fn, a, b): fn(a, b); an exception inside comes back here through guard_leave. */
	.globl guarded, guard_leave
guarded:
	push %ebx
	push %esi
	push %edi
	push %ebp
	pushf
	push guard_sp
	mov %esp, guard_sp
	mov %eax, %ebx
	mov %edx, %eax
	mov %ecx, %edx
	call *%ebx
guard_leave:
	mov guard_sp, %esp
	pop guard_sp
	popf
	pop %ebp
	pop %edi
	pop %esi
	pop %ebx
	ret

	/* user_enter(fn, a, b): the same at CPL 3; any exception ends it, int $0x20 is the good one. */
	.globl user_enter
user_enter:
	push %ebx
	push %esi
	push %edi
	push %ebp
	pushf
	push guard_sp
	mov %esp, guard_sp
	mov %eax, %ebx
	mov %edx, %eax
	mov %ecx, %edx
	push $SEL_UDATA
	push user_stack
	push user_flags
	push $SEL_UCODE32
	push $user_trampoline
	mov $SEL_UDATA, %ecx
	mov %ecx, %ds
	mov %ecx, %es
	iret

	.section .user.text, "ax"
user_trampoline:
	call *%ebx
	.globl user_exit
user_exit:
	int $0x20

	.bss
	.globl guard_sp
	.balign 4
guard_sp: .zero 4

	.section .note.GNU-stack, "", @progbits
