/* SPDX-License-Identifier: Apache-2.0 */
/* Inside a disk: for disk.c (opening, images) and overlay.c (the layer over an image). */
#ifndef CORDON_BLK_DISK_INTERNAL_H
#define CORDON_BLK_DISK_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "devices/blk/disk.h"

struct disk {
	atomic_uint owners;
	uint64_t bytes;
	char *path;	/* of the image, or NULL */
	int image_fd;	/* or -1 */
	int private_fd; /* or -1: read-only */
	struct disk_identity identity;
	/*
	 * Over an image: a bit a block, set once the private file has the whole block. Set under
	 * the lock, never cleared, so readers need none.
	 */
	atomic_uchar *map;
	pthread_mutex_t lock; /* held while a layer over an image is written */
	uint64_t blocks_used, blocks_max;
};

/* As disk_read() and so on, for a layer over an image. */
int64_t overlay_read(struct disk *disk, uint64_t offset, void *to, uint64_t length);
int64_t overlay_write(struct disk *disk, uint64_t offset, const void *from, uint64_t length);
int64_t overlay_discard(struct disk *disk, uint64_t offset, uint64_t length);
int64_t overlay_zero(struct disk *disk, uint64_t offset, uint64_t length);
bool overlay_next_written(struct disk *disk, uint64_t *offset, uint64_t *length);

/* The result of a pread or pwrite: 0 becomes -EIO. */
int64_t disk_result(ssize_t n);

/* A step of giving a range of the private file back to the host: bytes done, or -errno. */
int64_t disk_punch(struct disk *disk, uint64_t offset, uint64_t length);

/* A step of writing zeros, where the host's file system has no holes. */
int64_t disk_write_zeros(struct disk *disk, uint64_t offset, uint64_t length);

#endif
