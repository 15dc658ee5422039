/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forged snapshot files: a small valid one in memory, in which tests break one thing and, to get
 * past the checksums to a later check, make the checksums right again. Its sections for KVM and the
 * devices hold noise: snapshot_open() does not look into them.
 */
#ifndef CORDON_TEST_FORGED_SNAPSHOT_H
#define CORDON_TEST_FORGED_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/machine/snapshot.h"
#include "vmm/machine/snapshot_format.h"

#define FORGED_SNAPSHOT_MEMORY	 (UINT64_C(64) << 20)
#define FORGED_SNAPSHOT_KEY	 "made by a test\n"
#define FORGED_SNAPSHOT_EXTENTS	 3u
#define FORGED_SNAPSHOT_SEGMENTS 2u
#define FORGED_SNAPSHOT_DISK	 (UINT64_C(4) << 20)

/* What the file says; to break a field, change it before forged_snapshot_build(). */
struct forged_snapshot {
	char magic[SNAPSHOT_MAGIC_BYTES];
	uint32_t arch, version;
	char build[SNAPSHOT_BUILD_BYTES];
	uint64_t memory;
	uint32_t cpus, devices, fingerprint, disk_queues, net_queues;
	uint8_t ring0;
	struct snapshot_extent extent[FORGED_SNAPSHOT_EXTENTS];
	uint32_t extent_count; /* as the file says; it always has FORGED_SNAPSHOT_EXTENTS */
	/* A disk, and what the file says of it. */
	uint64_t disk_bytes, disk_limit, image_bytes;
	struct snapshot_segment segment[FORGED_SNAPSHOT_SEGMENTS];
	uint32_t segment_count; /* as the file says; it always has FORGED_SNAPSHOT_SEGMENTS */
	uint32_t segment_sum_change;
	unsigned leave_out; /* a section type that is not written, or 0 */
	unsigned twice;	    /* one that is repeated at the end, or 0 */
};

void forged_snapshot_init(struct forged_snapshot *forged);

/*
 * Builds the file's bytes, guest memory included; the caller frees them. *state: where the sections
 * end.
 */
uint8_t *forged_snapshot_build(const struct forged_snapshot *forged, size_t *size, size_t *state);

/* Makes all possible checksums right again: the header's, and those of sections that fit. */
void forged_snapshot_seal(uint8_t *file, size_t size);

/* Opens a file of these bytes with snapshot_open(). */
int forged_snapshot_open(struct snapshot *snapshot, const void *file, size_t size, struct err *err);

#endif
