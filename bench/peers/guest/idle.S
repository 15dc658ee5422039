# SPDX-License-Identifier: Apache-2.0
# A guest that never ends: its monitor's memory is measured meanwhile, and a monitor that ends with it
# has not run it. It spins, because a guest that halts with interrupts off has ended for some monitors.
	.globl _start
_start:
1:	pause
	jmp	1b

# As in bench/null/null.S.
	.section .note.Xen, "a", @note
	.balign	4
	.long	4, 4, 18
	.asciz	"Xen"
	.long	_start
