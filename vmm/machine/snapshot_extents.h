/* SPDX-License-Identifier: Apache-2.0 */
/* Which parts of guest memory hold data, and how they are written to a file. */
#ifndef CORDON_MACHINE_SNAPSHOT_EXTENTS_H
#define CORDON_MACHINE_SNAPSHOT_EXTENTS_H

#include <stdint.h>

#include "vmm/kvm/memory.h"
#include "vmm/machine/snapshot.h"

struct snapshot_extents {
	struct snapshot_extent at[SNAPSHOT_EXTENTS_MAX];
	uint32_t count;
	uint64_t gap; /* runs of zeros up to this size are written */
};

/* Finds the data; offsets and checksums are not set yet. */
void snapshot_find_extents(const struct guest_memory *memory, struct snapshot_extents *list);

/*
 * Writes the extents from offset *end on; *end is then the end of the last one. Sets their offsets
 * and checksums. 0 or -errno.
 */
int snapshot_write_extents(const struct guest_memory *memory, struct snapshot_extents *list, int fd,
			   uint64_t *end);

/* Maps count extents of a file over the memory, see guest_memory_map_file(). */
int snapshot_map_extents(struct guest_memory *memory, const struct snapshot_extent *at,
			 uint32_t count, int fd, struct err *err);

#endif
