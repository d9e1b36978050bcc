/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * int vmx_enter(u64 *regs, bool launched)
 *
 * One VMLAUNCH or VMRESUME.  regs is indexed by enum reg; RSP travels in the
 * VMCS.  The processor comes back at vmx_exit_point with HOST_RSP as written
 * here, or falls through the entry instruction if it refuses the controls.
 */
#include "guest_regs.inc"

	.set HOST_RSP, 0x6c14

	.text
	.globl vmx_enter, vmx_exit_point
vmx_enter:
	host_regs_push
	push %rdi
	mov $HOST_RSP, %eax
	vmwrite %rsp, %rax
	test %sil, %sil
	mov 0*8(%rdi), %rax
	guest_regs_load
	jnz 1f
	vmlaunch
	jmp 2f
1:	vmresume
2:	mov $1, %eax
	jmp 3f

vmx_exit_point:
	push %rdi
	mov 8(%rsp), %rdi /* regs */
	mov %rax, 0*8(%rdi)
	guest_regs_save
	xor %eax, %eax
3:	pop %rdi
	host_regs_pop
	ret

	.section .note.GNU-stack, "", @progbits
