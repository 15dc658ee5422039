# SPDX-License-Identifier: Apache-2.0
# The smallest guest: it resets the machine through the keyboard controller, and the monitor ends.
# The instructions are the same in 16, 32 and 64-bit mode, so that each monitor may enter as it likes.
	.globl _start
_start:
	mov	$0xfe, %al
	out	%al, $0x64
1:	hlt
	jmp	1b

# For monitors that look for the entry of the PVH protocol: XEN_ELFNOTE_PHYS32_ENTRY.
	.section .note.Xen, "a", @note
	.balign	4
	.long	4, 4, 18
	.asciz	"Xen"
	.long	_start
