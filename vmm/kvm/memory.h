/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: the only code that turns a guest-physical address into a pointer.
 *
 * Up to GUEST_MEMORY_REGIONS regions, sorted, that do not overlap. An access is granted only if it
 * lies whole within one region. The regions never change while the guest runs.
 */
#ifndef CORDON_KVM_MEMORY_H
#define CORDON_KVM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"

#define GUEST_MEMORY_REGIONS 4

struct guest_region {
	uint64_t gpa;	 /* first guest-physical address, page aligned */
	uint64_t size;	 /* bytes, page aligned */
	uint8_t *host;	 /* where the monitor sees it */
	uint64_t offset; /* in the memfd */
};

struct guest_memory {
	struct guest_region region[GUEST_MEMORY_REGIONS];
	unsigned count;
	int fd;	   /* memfd, or -1: private, or somebody else's (tests) */
	bool huge; /* the host was asked for huge pages, and gives them for this kind of memory */
	void *mapping; /* NULL: somebody else's */
	size_t mapping_size;
};

/*
 * Allocates size bytes of guest RAM in a memfd: from address 0 up to hole_start, and the rest from
 * hole_end on. size and the hole are page aligned. 0 or -errno with a message.
 */
int guest_memory_create(struct guest_memory *memory, uint64_t size, uint64_t hole_start,
			uint64_t hole_end, struct err *err);

/*
 * Whether this host gives a memfd huge pages when asked
 * (/sys/kernel/mm/transparent_hugepage/shmem_enabled). Most hosts don't; private memory gets them
 * all the same.
 */
bool guest_memory_memfd_is_huge(void);

/*
 * As guest_memory_create(), but private to this process and without a memfd: for a machine that is
 * restored, whose pages are mapped from the snapshot's file, and for hosts where only private
 * memory gets huge pages.
 */
int guest_memory_create_private(struct guest_memory *memory, uint64_t size, uint64_t hole_start,
				uint64_t hole_end, struct err *err);

/*
 * Maps length bytes at offset of a file copy-on-write over [gpa, gpa + length): nothing is read
 * now, and processes that map the same file share what they don't change. All page aligned. The
 * caller has checked that the file is long enough. 0, -EINVAL (not in memory, not aligned) or
 * -errno.
 */
int guest_memory_map_file(struct guest_memory *memory, uint64_t gpa, uint64_t length, int fd,
			  uint64_t offset, struct err *err);

/*
 * Adds a region over memory that the caller owns, at a higher address than those before. For tests
 * and fuzzers. 0, -EINVAL (order, overlap, wrap) or -ENOSPC.
 */
int guest_memory_add(struct guest_memory *memory, uint64_t gpa, void *host, uint64_t size);

/* Unmaps and closes what create made. Works on a zeroed struct whose fd is -1. */
void guest_memory_destroy(struct guest_memory *memory);

/* The pointer for [gpa, gpa + length), or NULL unless all of it is RAM of one region. length > 0.
 */
void *guest_memory_at(const struct guest_memory *memory, uint64_t gpa, uint64_t length);

/* Copies in or out. 0, or -EFAULT and nothing copied. */
int guest_memory_read(const struct guest_memory *memory, uint64_t gpa, void *to, size_t length);
int guest_memory_write(const struct guest_memory *memory, uint64_t gpa, const void *from,
		       size_t length);

#endif
