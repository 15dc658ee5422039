/* SPDX-License-Identifier: Apache-2.0 */
/* The layout of snapshot files, for those who write and read them (docs/snapshot-format.md). */
#ifndef CORDON_MACHINE_SNAPSHOT_FORMAT_H
#define CORDON_MACHINE_SNAPSHOT_FORMAT_H

#include <stddef.h>
#include <stdint.h>

/* Header: HEADER_BYTES at the start of the file; little-endian. */
#define SNAPSHOT_MAGIC	      "CORDSNAP"
#define SNAPSHOT_MAGIC_BYTES  8
#define SNAPSHOT_ARCH_X86_64  62 /* EM_X86_64 */
#define SNAPSHOT_BUILD_BYTES  32 /* Cordon's version, padded with zeros */
#define SNAPSHOT_HEADER_BYTES 128

/*
 * A section's head: its type, the number of the thing it belongs to, the payload's length, and the
 * CRC-32 of these three and the payload.
 */
#define SNAPSHOT_SECTION_BYTES 20

/* The checksum of a section; head and payload may lie apart. */
uint32_t snapshot_section_checksum(const uint8_t *head, const void *payload, size_t length);

#define SNAPSHOT_STATE_MAX (16u << 20) /* bytes of all sections together */
#define SNAPSHOT_PAGE	   4096u

enum snapshot_section {
	SNAPSHOT_CONFIG = 1,
	SNAPSHOT_KEY = 2,
	SNAPSHOT_VM = 3,
	SNAPSHOT_VCPU = 4,   /* number: the vCPU's */
	SNAPSHOT_DEVICE = 5, /* number: the slot */
	SNAPSHOT_UART = 6,
	SNAPSHOT_MEMORY = 7, /* the extents */
};

#endif
