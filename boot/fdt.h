/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flattened device tree (Devicetree Specification 0.4) that describes the machine to Linux on
 * x86, as arch/x86/kernel/devicetree.c reads it. The tree is as small as possible: each node and
 * property costs the guest several thousand instructions at every boot.
 */
#ifndef CORDON_BOOT_FDT_H
#define CORDON_BOOT_FDT_H

#include <stdint.h>

#include "boot/boot.h"
#include "vmm/base/err.h"

#define FDT_BYTES_MAX 4000 /* with a setup_data header and the seed before it, one page */

/*
 * Writes the tree for the machine in config (cpus, virtio devices, serial, generation_id) to blob,
 * a buffer of FDT_BYTES_MAX bytes; *size is the tree's size. 0; -EINVAL (config can't be described)
 * or -E2BIG, with a message.
 */
int fdt_build(const struct boot_config *config, void *blob, uint32_t *size, struct err *err);

#endif
