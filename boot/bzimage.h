/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacks a bzImage on the host (Linux Documentation/arch/x86/boot.rst). The kernel's own
 * decompressor, which would take minutes on a host that emulates guest ring 0 and is slower on any
 * host, never runs; its payload is an ELF vmlinux.
 */
#ifndef CORDON_BOOT_BZIMAGE_H
#define CORDON_BOOT_BZIMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "boot/image.h"
#include "vmm/base/err.h"

#define BZIMAGE_PROBE_BYTES 0x206 /* how much of the file bzimage_is_bzimage() needs */

/* Whether a file that starts with these bytes has the boot protocol's signature, of any version. */
bool bzimage_is_bzimage(const void *bytes, uint64_t length);

/*
 * Unpacks the payload into vmlinux, an image in memory that the caller closes (also after an
 * error). Accepts protocol 2.12 or later with the 64-bit flag, and a payload that is compressed
 * with gzip or an uncompressed ELF file, of up to limit bytes unpacked. 0; -ENOEXEC (not such an
 * image, damaged, or another compression), -EFBIG (over limit) or -ENOMEM, with a message that says
 * what to do.
 */
int bzimage_unpack(struct boot_image *vmlinux, const struct boot_image *image, uint64_t limit,
		   struct err *err);

#endif
