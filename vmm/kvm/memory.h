/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: the only code that turns a guest-physical address into a pointer.
 *
 * There are up to GUEST_MEMORY_REGIONS regions, sorted and without overlap. An access is granted
 * only if it lies entirely within one region. The regions never change while the guest runs; their
 * page frames may be given back (guest_memory_release(), in memory_release.c).
 */
#ifndef CORDON_KVM_MEMORY_H
#define CORDON_KVM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"

#define GUEST_MEMORY_REGIONS 4
#define GUEST_PAGE_BYTES     4096u

struct guest_region {
	uint64_t gpa;	 /* first guest-physical address, page aligned */
	uint64_t size;	 /* bytes, page aligned */
	uint8_t *host;	 /* address in the monitor */
	uint64_t offset; /* in the memfd */
};

/* A part of guest memory that guest_memory_map_file() has mapped. */
struct guest_file_part {
	uint8_t *host;
	uint64_t length;
};

struct guest_memory {
	struct guest_region region[GUEST_MEMORY_REGIONS];
	unsigned count;
	int fd;	       /* memfd; -1: private memory, or the caller's (guest_memory_add()) */
	bool huge;     /* the host provides huge pages for this kind of memory */
	bool single;   /* by guest_memory_use_single() */
	bool isolated; /* by guest_memory_isolate() */
	void *mapping; /* NULL: the memory is the caller's */
	size_t mapping_size;
	struct guest_file_part *files; /* ascending, without overlap */
	size_t file_count, file_room;
};

/*
 * Allocates size bytes of guest RAM in a memfd: from guest-physical address 0 to hole_start, and
 * the rest from hole_end on. size, hole_start and hole_end are page aligned. 0 or -errno with a
 * message.
 */
int guest_memory_create(struct guest_memory *memory, uint64_t size, uint64_t hole_start,
			uint64_t hole_end, struct err *err);

/*
 * Whether this host provides huge pages for a memfd on request
 * (/sys/kernel/mm/transparent_hugepage/shmem_enabled). Most hosts do so for private memory only.
 */
bool guest_memory_memfd_is_huge(void);

/*
 * As guest_memory_create(), but private to this process and without a memfd: for a restored
 * machine, whose pages are mapped from the snapshot file, and for hosts where only private memory
 * gets huge pages.
 */
int guest_memory_create_private(struct guest_memory *memory, uint64_t size, uint64_t hole_start,
				uint64_t hole_end, struct err *err);

/*
 * Whether the first access to a page of the range, rounded out to huge pages, gets the whole huge
 * page around it (as the memory is created, where the host provides them) or that page alone. The
 * latter is for contents far smaller than a huge page, which takes half a millisecond to zero.
 * Pages that are there stay as they are. No effect on memory that the caller owns.
 */
void guest_memory_use_huge(struct guest_memory *memory, uint64_t gpa, uint64_t length, bool use);

/*
 * Maps length bytes at offset of a file over [gpa, gpa + length), copy-on-write: pages are read
 * when they are first used, and processes that map the same file share unmodified pages. gpa,
 * length and offset are page aligned. The caller has checked that the file is long enough. Parts
 * are mapped in any order, but do not overlap. 0, -EINVAL (not in memory, not aligned) or -errno,
 * with a message.
 */
int guest_memory_map_file(struct guest_memory *memory, uint64_t gpa, uint64_t length, int fd,
			  uint64_t offset, struct err *err);

/*
 * Shares no page frame with another process from now on: guest_memory_map_file() copies, and KSM
 * merges nothing. Before any file is mapped. No effect on memory that the caller owns.
 */
void guest_memory_isolate(struct guest_memory *memory);

/*
 * Gives all pages back to the host: the memory is zero and private from now on, at the same
 * addresses. For memory that this module allocated, while nothing uses it. 0 or -errno with a
 * message; on failure it is as before.
 */
int guest_memory_clear(struct guest_memory *memory, struct err *err);

/*
 * Gives the page frames of the whole pages within [host, host + length) back to the host; the
 * addresses stay. host: from guest_memory_at() or a chain of a virtqueue. The next access finds
 * zeros; where a file is mapped, what the file has. With keep_files such pages are left alone, so
 * that each page is zero or unchanged. May be called while the guest and device threads use the
 * memory. 0 or -errno.
 */
int guest_memory_release(const struct guest_memory *memory, void *host, uint64_t length,
			 bool keep_files);

/*
 * Whether all of the memory gets single pages from now on, not huge ones, which would fill again
 * what has been given back page by page. No effect on memory that the caller owns.
 */
void guest_memory_use_single(struct guest_memory *memory, bool single);

/* How many pages there are; the number of the page at gpa, without holes. False: it is not RAM. */
uint64_t guest_memory_pages(const struct guest_memory *memory);
bool guest_memory_page_number(const struct guest_memory *memory, uint64_t gpa, uint64_t *number);

/*
 * Adds a region of memory that the caller owns, above all existing regions. For tests and fuzzers.
 * 0, -EINVAL (order, overlap, wrap, alignment) or -ENOSPC.
 */
int guest_memory_add(struct guest_memory *memory, uint64_t gpa, void *host, uint64_t size);

/* Unmaps the memory and closes the memfd. No effect on a zeroed struct with fd -1. */
void guest_memory_destroy(struct guest_memory *memory);

/* The pointer for [gpa, gpa + length); NULL if length is 0 or not all of it lies in one region. */
void *guest_memory_at(const struct guest_memory *memory, uint64_t gpa, uint64_t length);

/*
 * Copy length bytes from guest memory, or to it, at a pointer that guest_memory_at() returned. A
 * vCPU or another thread may write the same bytes meanwhile: each is loaded or stored once, by a
 * relaxed atomic access, so such a race is defined, and only the copy counts from here on.
 */
void guest_copy_in(void *to, const void *guest, size_t length);
void guest_copy_out(void *guest, const void *from, size_t length);

/* Copies length bytes from or to guest memory. 0; -EFAULT: not RAM, nothing copied. */
int guest_memory_read(const struct guest_memory *memory, uint64_t gpa, void *to, size_t length);
int guest_memory_write(const struct guest_memory *memory, uint64_t gpa, const void *from,
		       size_t length);

#endif
