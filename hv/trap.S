/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 256 ways into trap_handler(): each pushes an error code, if the processor did
 * not, and its vector.  And 256 for idt_take(): each leaves its vector behind.
 */
	.text
	.globl trap_stubs
	.balign 16
trap_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	/* #DF #TS #NP #SS #GP #PF #AC #CP #VC #SX push an error code */
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
	push $0
	.endif
	push $vector
	jmp trap_common
	.set vector, vector + 1
	.endr

trap_common:
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rbp
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	mov %rsp, %rdi
	call trap_handler
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp
	iretq

/* Interrupts alone come here: no error code.  One is enough: IF is off on the way back (idt_take()). */
	.globl take_stubs
	.balign 16
take_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	push $vector
	jmp take_common
	.set vector, vector + 1
	.endr

take_common:
	pop idt_taken
	andl $~0x200, 16(%rsp)
	iretq

	.section .note.GNU-stack, "", @progbits
