/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the boot loader to C: Multiboot 1 and 2 headers, 32-bit entry, long
 * mode on page tables that map the first 4 GiB one to one.  mem.c replaces
 * them.  The stack, the GDT and the TSS stay.
 */
#define MB1_MAGIC 0x1badb002
#define MB1_FLAGS 3 /* page-aligned modules, memory map */
#define MB2_MAGIC 0xe85250d6

#define STACK_SIZE 0x10000

	.section .multiboot, "a"
	.balign 8
mb2:
	.long MB2_MAGIC, 0, mb2_end - mb2, -(MB2_MAGIC + (mb2_end - mb2))
	.short 0, 0
	.long 8
mb2_end:
	.balign 4
	.long MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)

	.text
	.code32
	.globl boot_entry
boot_entry:
	cli
	cld
	mov $boot_stack_top, %esp
	mov %eax, %edi /* arguments of main_start() */
	mov %ebx, %esi

	mov $0x80000000, %eax
	cpuid
	cmp $0x80000001, %eax
	jb no_long_mode
	mov $0x80000001, %eax
	cpuid
	bt $29, %edx
	jnc no_long_mode
	mov %edx, %ebp

	movl $boot_pdpt + 3, boot_pml4
	mov $4, %ecx
	mov $boot_pd + 3, %eax
	mov $boot_pdpt, %ebx
1:	mov %eax, (%ebx)
	add $0x1000, %eax
	add $8, %ebx
	loop 1b
	mov $2048, %ecx
	mov $0x83, %eax /* P W PS */
	mov $boot_pd, %ebx
2:	mov %eax, (%ebx)
	add $0x200000, %eax
	add $8, %ebx
	loop 2b

	mov $boot_pml4, %eax
	mov %eax, %cr3
	mov $0x20, %eax /* PAE, and nothing that firmware may have left */
	mov %eax, %cr4
	mov $0xc0000080, %ecx
	rdmsr
	or $0x100, %eax /* LME */
	bt $20, %ebp
	jnc 3f
	or $0x800, %eax /* NXE */
3:	wrmsr
	mov $0x80010033, %eax /* PG WP NE ET MP PE */
	mov %eax, %cr0
	lgdt boot_gdtr
	ljmp $0x08, $start64

no_long_mode:
	mov $no_long_mode_text, %esi
4:	lodsb
	test %al, %al
	jz 6f
	mov %al, %bl
	mov $0x3fd, %dx
	mov $0x10000, %ecx
5:	in %dx, %al
	test $0x20, %al
	loopz 5b
	mov $0x3f8, %dx
	mov %bl, %al
	out %al, %dx
	jmp 4b
6:	mov $0x11, %al
	out %al, $0xf4
	mov $0x8900, %edx
	mov $shutdown_text, %esi
	mov $8, %ecx
	rep outsb
7:	hlt
	jmp 7b

	.code64
start64:
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	/* The TSS descriptor's base is known to the linker only in one piece. */
	mov $boot_tss, %rax
	mov %ax, boot_gdt + 0x18 + 2
	shr $16, %rax
	mov %al, boot_gdt + 0x18 + 4
	mov %ah, boot_gdt + 0x18 + 7
	mov $0x18, %eax
	ltr %ax
	fninit
	mov $boot_stack_top, %rsp
	mov %edi, %edi
	mov %esi, %esi
	xor %ebp, %ebp
	call main_start
8:	hlt
	jmp 8b

	.section .rodata
no_long_mode_text:
	.asciz "\r\nUMBRA\r\nBail out! no long mode: CPUID 80000001 EDX[29]\r\n"
shutdown_text:
	.ascii "Shutdown"

	.data
	.balign 16
	.globl boot_gdt
boot_gdt:
	.quad 0
	.quad 0x00af9b000000ffff /* 0x08: 64-bit code */
	.quad 0x00cf93000000ffff /* 0x10: data */
	.quad 0x0000890000000067, 0 /* 0x18: TSS, below 4 GiB */
boot_gdt_end:
boot_gdtr:
	.short boot_gdt_end - boot_gdt - 1
	.quad boot_gdt
	.balign 16
	.globl boot_tss
boot_tss:
	.long 0
	.quad 0, 0, 0, 0 /* RSP0-2, reserved */
	.quad boot_ist_top, 0, 0, 0, 0, 0, 0 /* IST1 */
	.quad 0
	.short 0, 0x68

	.bss
	.balign 4096
boot_pml4:
	.skip 4096
boot_pdpt:
	.skip 4096
boot_pd:
	.skip 4 * 4096
	.globl boot_stack_guard
boot_stack_guard: /* unmapped by mem.c */
	.skip 4096
	.skip STACK_SIZE
boot_stack_top:
	.skip 8192
boot_ist_top:

	.section .note.GNU-stack, "", @progbits
