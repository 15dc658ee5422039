/* SPDX-License-Identifier: Apache-2.0 */
/* The header of an entry, for the reader and the writer of tar streams. */
#ifndef CORDON_IMAGE_USTAR_H
#define CORDON_IMAGE_USTAR_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/image/tar.h"

/* POSIX.1-1988 header; all fields are text, padded with spaces or zeros. */
struct ustar {
	char name[100];
	char mode[8], uid[8], gid[8];
	char size[12], mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6], version[2];
	char user[32], group[32];
	char major[8], minor[8];
	char prefix[155];
	char rest[12];
};

_Static_assert(sizeof(struct ustar) == TAR_BLOCK, "a header is one block");

static inline unsigned ustar_checksum(const struct ustar *header)
{
	const uint8_t *bytes = (const uint8_t *)header;
	unsigned sum = 0;
	size_t i;

	for (i = 0; i < sizeof(*header); i++)
		sum += i >= offsetof(struct ustar, checksum) && i < offsetof(struct ustar, type)
			       ? ' '
			       : bytes[i];
	return sum;
}

#endif
