/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_params, the "zero page" (Linux Documentation/arch/x86/zero-page.rst), and what it points to:
 * command line and setup_data list.
 */
#ifndef CORDON_BOOT_BOOTPARAMS_H
#define CORDON_BOOT_BOOTPARAMS_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/kvm/memory.h"

struct bootparams {
	const char *cmdline;		    /* or NULL */
	uint64_t initrd_start, initrd_size; /* size 0: none */
	const uint8_t *seed;		    /* seed_size random bytes, or NULL */
	uint32_t seed_size;
	const void *dtb; /* the flattened device tree, or NULL */
	uint32_t dtb_size;
};

/*
 * Writes boot_params with the e820 map of memory to LAYOUT_BOOT_PARAMS, the command line to
 * LAYOUT_CMDLINE, seed and device tree to LAYOUT_SETUP_DATA. 0; -E2BIG (command line or setup_data
 * too long) or -ENOMEM (memory too small), with a message.
 */
int bootparams_write(const struct bootparams *params, struct guest_memory *memory, struct err *err);

#endif
