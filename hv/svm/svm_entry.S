/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * void svm_enter(u64 *regs, u64 vmcb_pa, u64 host_pa)
 *
 * One VMRUN.  regs is indexed by enum reg; RAX and RSP travel in the VMCB.
 * VMRUN switches neither FS, GS, TR, LDTR nor the SYSCALL MSRs: VMSAVE and
 * VMLOAD do.  GIF is 0 from CLGI to STGI, so that the STI, which makes
 * physical interrupts leave the guest (V_INTR_MASKING), lets none in here.
 */
	.text
	.globl svm_enter
svm_enter:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	push %rdi
	push %rdx

	clgi
	mov %rdx, %rax
	vmsave %rax
	push %rsi
	mov 1*8(%rdi), %rcx
	mov 2*8(%rdi), %rdx
	mov 3*8(%rdi), %rbx
	mov 5*8(%rdi), %rbp
	mov 6*8(%rdi), %rsi
	mov 8*8(%rdi), %r8
	mov 9*8(%rdi), %r9
	mov 10*8(%rdi), %r10
	mov 11*8(%rdi), %r11
	mov 12*8(%rdi), %r12
	mov 13*8(%rdi), %r13
	mov 14*8(%rdi), %r14
	mov 15*8(%rdi), %r15
	mov 7*8(%rdi), %rdi
	pop %rax
	sti
	vmload %rax /* also ends the STI shadow, which TCG would hand to the guest */
	vmrun %rax
	vmsave %rax

	push %rdi
	mov 16(%rsp), %rdi /* regs */
	mov %rcx, 1*8(%rdi)
	mov %rdx, 2*8(%rdi)
	mov %rbx, 3*8(%rdi)
	mov %rbp, 5*8(%rdi)
	mov %rsi, 6*8(%rdi)
	mov %r8, 8*8(%rdi)
	mov %r9, 9*8(%rdi)
	mov %r10, 10*8(%rdi)
	mov %r11, 11*8(%rdi)
	mov %r12, 12*8(%rdi)
	mov %r13, 13*8(%rdi)
	mov %r14, 14*8(%rdi)
	mov %r15, 15*8(%rdi)
	pop %rax
	mov %rax, 7*8(%rdi)

	pop %rax /* host_pa */
	vmload %rax
	cli
	stgi
	pop %rdi
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	cld
	ret

	.section .note.GNU-stack, "", @progbits
