/* SPDX-License-Identifier: Apache-2.0 */
/* The layout of snapshot files, for the writer and the reader (docs/snapshot-format.md). */
#ifndef CORDON_MACHINE_SNAPSHOT_FORMAT_H
#define CORDON_MACHINE_SNAPSHOT_FORMAT_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/base/pack.h"
#include "vmm/machine/device.h"

/* Header: HEADER_BYTES at the start of the file; little-endian. */
#define SNAPSHOT_MAGIC	      "CORDSNAP"
#define SNAPSHOT_MAGIC_BYTES  8
#define SNAPSHOT_ARCH_X86_64  62 /* EM_X86_64 */
#define SNAPSHOT_BUILD_BYTES  32 /* Cordon's version, padded with zeros */
#define SNAPSHOT_HEADER_BYTES 128

/*
 * A section's head: its type, the number of what it describes, the payload's length, and the CRC-32
 * of these three and the payload.
 */
#define SNAPSHOT_SECTION_BYTES 20

/* The checksum of a section; head and payload need not be contiguous. */
uint32_t snapshot_section_checksum(const uint8_t *head, const void *payload, size_t length);

#define SNAPSHOT_STATE_MAX (64u << 20) /* bytes of all sections together */
#define SNAPSHOT_PAGE	   4096u

enum snapshot_section {
	SNAPSHOT_CONFIG = 1,
	SNAPSHOT_KEY = 2,
	SNAPSHOT_VM = 3,
	SNAPSHOT_VCPU = 4,   /* number: the vCPU's */
	SNAPSHOT_DEVICE = 5, /* number: the slot */
	SNAPSHOT_UART = 6,
	SNAPSHOT_MEMORY = 7, /* the extents */
	SNAPSHOT_DISK = 8,   /* number: the disk's; only for disks that are present */
	/* From here on the owner's (struct snapshot_owner); vmm/sandbox/shares.h uses 9 and 10,
	 * vmm/sandbox/template.h 11. */
	SNAPSHOT_OWNED = 9,
};

/* Finds a section's payload, or returns false. All sections have been checked before. */
struct snapshot;
bool snapshot_find(const struct snapshot *snapshot, uint32_t type, uint32_t number,
		   struct unpack *payload);

/* Appends a section whose payload has been packed, and frees the payload. */
void snapshot_add_section(struct pack *state, uint32_t type, uint32_t number, struct pack *payload);

uint32_t snapshot_checksum(const void *from, size_t length);
uint32_t snapshot_checksum_more(uint32_t sum, const void *from, size_t length);

/* --- disks (snapshot_disk.c, snapshot_disk_read.c) -------------------------------------------- */

#define SNAPSHOT_DISK_SEGMENTS_MAX 262144
#define SNAPSHOT_SEGMENT_BYTES	   28u /* of a segment in its section */

/* A written segment of a disk. */
struct snapshot_segment {
	uint64_t at, length, offset; /* on the disk, and in the file */
	uint32_t checksum;
};

/* What goes into a file of the machine's disks. Zeros at first. */
struct machine;
struct snapshot_disks {
	struct {
		struct snapshot_segment *segment;
		uint32_t count;
	} of[MACHINE_DISKS];
};

/* Finds out what the drained disks hold: 0 or -errno with a message. */
int snapshot_plan_disks(struct snapshot_disks *plan, struct machine *machine, struct err *err);
void snapshot_free_disks(struct snapshot_disks *plan);

/* How many bytes the sections take, heads included; and the data. */
uint64_t snapshot_disk_sections(const struct snapshot_disks *plan, struct machine *machine);

/* Writes the data from offset on, then adds the sections. 0 or -errno. */
int snapshot_write_disks(struct snapshot_disks *plan, struct machine *machine, int fd,
			 uint64_t offset, struct pack *state);

/*
 * Checks what an open file says of its disks, and notes how much its guest may write. used: the
 * lowest offset that data of disks may have. 0 or -EINVAL with a message.
 */
int snapshot_check_disks(struct snapshot *snapshot, uint64_t file_length, uint64_t used,
			 struct err *err);

/* Creates the disks and inserts them into the devices, which are not yet restored. */
int snapshot_restore_disks(const struct snapshot *snapshot, struct machine *machine,
			   struct err *err);

#endif
