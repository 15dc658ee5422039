# SPDX-License-Identifier: Apache-2.0
# The null guest for Cloud Hypervisor, which takes a reset for a reboot: it turns the machine off, at that monitor's
# port for it.
	.code32
	.globl _start
_start:
	mov	$0x600, %dx
	mov	$0x34, %al
	out	%al, %dx
1:	hlt
	jmp	1b

# As in null.S.
	.section .note.Xen, "a", @note
	.balign	4
	.long	4, 4, 18
	.asciz	"Xen"
	.long	_start
