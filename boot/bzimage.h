/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacking a bzImage on the host (Linux Documentation/arch/x86/boot.rst): the guest would need
 * minutes for it on a host that emulates its kernel, and it is faster here anyway. The kernel's own
 * decompressor is never run; what it would unpack is an ELF vmlinux.
 */
#ifndef CORDON_BOOT_BZIMAGE_H
#define CORDON_BOOT_BZIMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "boot/image.h"
#include "vmm/base/err.h"

#define BZIMAGE_PROBE_BYTES 0x206 /* what bzimage_is_bzimage() wants to see */

/* Whether the first bytes carry the boot protocol's signature, of any version. */
bool bzimage_is_bzimage(const void *bytes, uint64_t length);

/*
 * Unpacks the payload into vmlinux, an image in memory that the caller closes (also after an
 * error). Accepted: protocol 2.12 or later with the 64-bit flag; a payload packed with gzip, or an
 * ELF file as it is. At most limit bytes are unpacked. 0; -ENOEXEC (not such an image, damaged, or
 * packed otherwise), -EFBIG (beyond limit) or -ENOMEM, with a message that says what to do.
 */
int bzimage_unpack(struct boot_image *vmlinux, const struct boot_image *image, uint64_t limit,
		   struct err *err);

#endif
