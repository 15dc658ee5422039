/* SPDX-License-Identifier: Apache-2.0 */
/* Labels in the guest's code (code.c), which the harness copies into guest memory. */
#ifndef CORDON_TEST_GUEST_CODE_H
#define CORDON_TEST_GUEST_CODE_H

#include <stdint.h>

extern const uint8_t hostile_code[], hostile_code_end[], hostile_cpu2[], hostile_cpu2_end[];

/* The handlers of the commands. */
extern const uint8_t hostile_read8[], hostile_read16[], hostile_read32[], hostile_read64[];
extern const uint8_t hostile_write8[], hostile_write16[], hostile_write32[], hostile_write64[];
extern const uint8_t hostile_in8[], hostile_in16[], hostile_in32[];
extern const uint8_t hostile_out8[], hostile_out16[], hostile_out32[], hostile_out_string[];
extern const uint8_t hostile_wait[], hostile_wait32[], hostile_copy_add[], hostile_repeat[],
	hostile_jump[], hostile_cr3[], hostile_end[];

#endif
