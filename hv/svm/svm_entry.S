/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * void svm_enter(u64 *regs, u64 vmcb_pa, u64 host_pa)
 *
 * One VMRUN.  regs is indexed by enum reg; RAX and RSP travel in the VMCB.
 * VMRUN switches neither FS, GS, TR, LDTR nor the SYSCALL MSRs: VMSAVE and
 * VMLOAD do.  GIF is 0 from CLGI to STGI, so that the STI, which makes
 * physical interrupts leave the guest (V_INTR_MASKING), lets none in here.
 */
#include "guest_regs.inc"

	.text
	.globl svm_enter
svm_enter:
	host_regs_push
	push %rdi
	push %rdx

	clgi
	mov %rdx, %rax
	vmsave %rax
	push %rsi
	guest_regs_load
	pop %rax
	sti
	vmload %rax /* also ends the STI shadow, which TCG would hand to the guest */
	vmrun %rax
	vmsave %rax

	push %rdi
	mov 16(%rsp), %rdi /* regs */
	guest_regs_save

	pop %rax /* host_pa */
	vmload %rax
	cli
	stgi
	pop %rdi
	host_regs_pop
	cld
	ret

	.section .note.GNU-stack, "", @progbits
