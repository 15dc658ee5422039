# SPDX-License-Identifier: Apache-2.0
# Entry: goes to ring 3 in a few instructions of ring 0, since some hosts emulate that ring. All of
# the low 4 GiB is mapped one to one for ring 3, registers of devices included, and its I/O privilege
# level is 3. Interrupts stay off; an exception ends the guest, which has no table for it.

	.equ	USER_DATA, 0x2b
	.equ	USER_CODE, 0x33
	.equ	IOPL_3, 0x3002		# with bit 1, which is always set
	.equ	ENTRY, 0x07		# present, writable, user
	.equ	PAGE, 0xe7		# also accessed, dirty, 2 MiB

	.section .text.start, "ax"
	.globl	_start
_start:
	lgdt	gdt_pointer
	mov	$page_map, %eax
	mov	%rax, %cr3
	pushq	$USER_DATA
	pushq	$stack_top
	pushq	$IOPL_3
	pushq	$USER_CODE
	pushq	$in_ring_3
	iretq
in_ring_3:
	call	guest_main
1:	jmp	1b

	.section .data
	.balign	8
gdt:	.quad	0, 0
	.quad	0x00af9b000000ffff	# 0x10: code of ring 0
	.quad	0x00cf93000000ffff	# 0x18: data of ring 0
	.quad	0
	.quad	0x00cff3000000ffff	# 0x28: data of ring 3
	.quad	0x00affb000000ffff	# 0x30: code of ring 3
gdt_pointer:
	.word	. - gdt - 1
	.quad	gdt

	.balign	4096
page_map:
	.quad	page_pointers + ENTRY
	.fill	511, 8, 0
page_pointers:
	.irp	n, 0, 1, 2, 3
	.quad	page_directories + \n * 4096 + ENTRY
	.endr
	.fill	508, 8, 0
page_directories:
	.set	address, 0
	.rept	2048
	.quad	address + PAGE
	.set	address, address + 0x200000
	.endr

	.section .bss
	.balign	16
	.skip	65536
stack_top:

	.section .note.GNU-stack, "", @progbits
