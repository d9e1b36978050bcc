/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiboot 1 and PVH entry: 32-bit, paging off.  Leaves to mode_entry with our GDT and stack. */
#include "selectors.h"

#define MB_FLAGS 3 /* aligned modules, memory information */

	.code32
	.section .multiboot, "a"
	.balign 4
	.long 0x1badb002, MB_FLAGS, -(0x1badb002 + MB_FLAGS)

	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long boot_entry

	.section .boot, "ax"
	.globl boot_entry
boot_entry:
	cli
	cld
	mov %eax, boot_magic
	mov %ebx, boot_info
	lgdtl boot_gdtr
	ljmpl $SEL_KCODE32, $1f
1:	mov $SEL_KDATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov $stack_top, %esp
	push %eax
	popf
	jmp mode_entry

	.balign 4
	.word 0
boot_gdtr:
	.word GDT_ENTRIES * 8 - 1
	.long gdt

	.data
	.balign 4096 /* a page of its own: tests move it */
	.globl gdt
gdt:	.quad 0
	.quad 0x00cf9b000000ffff
	.quad 0x00cf93000000ffff
	.quad 0x00cffb000000ffff
	.quad 0x00cff3000000ffff
	.quad 0x00af9b000000ffff
	.quad 0x00affb000000ffff
	.zero 4096 - 7 * 8
	.globl boot_magic, boot_info
boot_magic: .long 0
boot_info: .long 0

	.bss
	.balign 4096
	.zero 32768
	.globl stack_top
stack_top:
	.zero 16384
	.globl trap_stack_top
trap_stack_top: /* entries from CPL 3 */
	.zero 8192
	.globl df_stack_top
df_stack_top: /* #DF in 64-bit mode */

	.section .user.data, "aw"
	.balign 4096
	.globl user_data, user_stack_top
user_data:
	.zero 4096
	.zero 4096
user_stack_top:

	.section .note.GNU-stack, "", @progbits
