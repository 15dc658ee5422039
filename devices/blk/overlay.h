/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A private layer over an image: copy-on-write, in blocks of DISK_BLOCK bytes. For disk.c, which
 * owns the image.
 */
#ifndef CORDON_BLK_OVERLAY_H
#define CORDON_BLK_OVERLAY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/base/err.h"

struct overlay {
	uint64_t bytes; /* of the image */
	int image_fd;	/* the owner's */
	int fd;		/* the layer's file, as long as the image */
	/*
	 * One bit for each block, set once the layer's file has the whole block. It is set under
	 * the lock and never cleared, so readers need no lock.
	 */
	atomic_uchar *map;
	pthread_mutex_t lock; /* held while the layer is written */
	uint64_t blocks_used, blocks_max;
};

/* Creates a layer over an image of bytes, which must outlive it. 0 or -errno with a message. */
int overlay_create(struct overlay **out, int image_fd, uint64_t bytes, uint64_t bytes_max,
		   struct err *err);
void overlay_destroy(struct overlay *overlay);

/* As disk_read() and so on. */
int64_t overlay_read(struct overlay *overlay, uint64_t offset, void *to, uint64_t length);
int64_t overlay_read_cached(struct overlay *overlay, uint64_t offset, struct iovec *iov,
			    unsigned count, uint64_t length);
int64_t overlay_write(struct overlay *overlay, uint64_t offset, const void *from, uint64_t length);
int64_t overlay_discard(struct overlay *overlay, uint64_t offset, uint64_t length);
int64_t overlay_zero(struct overlay *overlay, uint64_t offset, uint64_t length);
bool overlay_next_written(struct overlay *overlay, uint64_t *offset, uint64_t *length);

#endif
