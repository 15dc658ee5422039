/* SPDX-License-Identifier: Apache-2.0 */
/* Inside a disk: for disk.c (opening, images) and private.c (the private layer). */
#ifndef CORDON_BLK_DISK_INTERNAL_H
#define CORDON_BLK_DISK_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "devices/blk/disk.h"

struct disk {
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

/* The first bytes of some pieces, at most DISK_PIECES of them. */
struct cut {
	struct iovec piece[DISK_PIECES];
	unsigned count;
	uint64_t length;
};
void disk_cut(struct cut *cut, const struct iovec *piece, unsigned pieces, uint64_t bytes_max);

/* As disk_read() and so on, for a layer over an image. */
int64_t private_read(struct disk *disk, uint64_t offset, const struct iovec *piece,
		     unsigned pieces);
int64_t private_write(struct disk *disk, uint64_t offset, const struct iovec *piece,
		      unsigned pieces);
void private_discard(struct disk *disk, uint64_t offset, uint64_t length);
bool private_next_written(struct disk *disk, uint64_t *offset, uint64_t *length);

/* The result of a preadv or pwritev: 0 becomes -EIO. */
int64_t disk_result(ssize_t n);

#endif
