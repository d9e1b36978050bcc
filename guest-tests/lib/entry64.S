/* SPDX-License-Identifier: BSD-2-Clause */
/* 64, la57: into long mode, exception stubs, guarded calls and user mode.  Arguments come in RDI RSI RDX. */
#include "selectors.h"

	.code32
	.section .boot, "ax"
	.globl mode_entry
mode_entry: /* identity map of the first 32 MiB in 2 MiB pages; start() builds the real tables */
	mov $boot_pd, %edi
	mov $0x83, %eax
1:	mov %eax, (%edi)
	add $8, %edi
	add $0x200000, %eax
	cmp $0x2000083, %eax
	jb 1b
	movl $boot_pd + 7, boot_pdpt
	movl $boot_pdpt + 7, boot_pml4
	movl $boot_pml4 + 7, boot_pml5
	mov %cr4, %eax
	or $0x20, %eax /* CR4.PAE */
	mov %eax, %cr4
	mov $boot_pml4, %eax
	mov %eax, %cr3
#if PT_LEVELS == 5
	xor %eax, %eax
	cpuid
	cmp $7, %eax
	jb 3f
	mov $7, %eax
	xor %ecx, %ecx
	cpuid
	test $0x10000, %ecx /* LA57; start() says that it is missing */
	jz 3f
	mov %cr4, %eax
	or $0x1000, %eax /* CR4.LA57 */
	mov %eax, %cr4
	mov $boot_pml5, %eax
	mov %eax, %cr3
3:
#endif
	mov $0xc0000080, %ecx
	rdmsr
	or $0x100, %eax /* EFER.LME */
	wrmsr
	mov %cr0, %eax
	or $0x80000001, %eax
	mov %eax, %cr0
	ljmpl $SEL_KCODE64, $2f
	.code64
2:	mov $stack_top, %rsp
	call start
	hlt

	.text
#include "vectors.inc"

common:	push %rax
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
	mov %rsp, %rbp
	and $-16, %rsp
	call exception
	mov %rbp, %rsp
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

	.macro save_context
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	pushf
	push guard_sp
	mov %rsp, guard_sp
	mov %rdi, %rbx
	mov %rsi, %rdi
	mov %rdx, %rsi
	.endm

	/* ulong guarded(fn, a, b): fn(a, b); an exception inside comes back here through guard_leave. */
	.globl guarded, guard_leave
guarded:
	save_context
	sub $8, %rsp /* the calling convention's alignment */
	call *%rbx
guard_leave:
	mov guard_sp, %rsp
	pop guard_sp
	popf
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	/* user_enter(fn, a, b): the same at CPL 3; any exception ends it, int $0x20 is the good one. */
	.globl user_enter
user_enter:
	save_context
	push $SEL_UDATA
	push user_stack
	push user_flags
	push $SEL_UCODE64
	push $user_trampoline
	iretq

	.section .user.text, "ax"
user_trampoline:
	call *%rbx
	.globl user_exit
user_exit:
	int $0x20

	.bss
	.globl guard_sp
	.balign 8
guard_sp: .zero 8
	.balign 4096
boot_pd: .zero 4096
boot_pdpt: .zero 4096
boot_pml4: .zero 4096
boot_pml5: .zero 4096

	.section .note.GNU-stack, "", @progbits
