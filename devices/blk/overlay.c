/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A private layer over an image. The private file has a block entirely or not at all; a write to
 * part of a block first copies the block from the image.
 *
 * A lock serializes writers: a copy from the image must not overwrite another writer's block. A
 * reader may see a block in either state during a write, as on any disk.
 */
#include "devices/blk/overlay.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "devices/blk/host_file.h"
#include "devices/blk/page_cache.h"
#include "devices/blk/sizes.h"
#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/iov.h"

int overlay_create(struct overlay **out, int image_fd, uint64_t bytes, uint64_t bytes_max,
		   struct err *err)
{
	struct overlay *overlay = calloc(1, sizeof(*overlay));
	uint64_t blocks = (bytes + DISK_BLOCK - 1) / DISK_BLOCK;
	int ret;

	*out = NULL;
	if (!overlay)
		return err_set(err, ENOMEM, "out of memory");
	pthread_mutex_init(&overlay->lock, NULL);
	overlay->bytes = bytes;
	overlay->image_fd = image_fd;
	overlay->blocks_max = bytes_max / DISK_BLOCK;
	overlay->map = calloc(1, blocks / 8 + 1);
	/* A private block without data reads as zeros. */
	overlay->fd = overlay->map ? host_file_create(bytes, "a private layer", err)
				   : err_set(err, ENOMEM, "out of memory");
	if (overlay->fd < 0) {
		ret = overlay->fd;
		overlay_destroy(overlay);
		return ret;
	}
	*out = overlay;
	return 0;
}

void overlay_destroy(struct overlay *overlay)
{
	if (!overlay)
		return;
	fd_close(&overlay->fd);
	pthread_mutex_destroy(&overlay->lock);
	free(overlay->map);
	free(overlay);
}

static bool is_private(const struct overlay *overlay, uint64_t block)
{
	return atomic_load_explicit(&overlay->map[block / 8], memory_order_acquire) >> (block % 8) &
	       1;
}

/* Marks a block as private. With the lock held, after its data is in the file. */
static void set_private(struct overlay *overlay, uint64_t block)
{
	if (is_private(overlay, block))
		return;
	atomic_fetch_or_explicit(&overlay->map[block / 8], (unsigned char)(1u << (block % 8)),
				 memory_order_release);
	overlay->blocks_used++;
}

/* Consecutive blocks that are all private or all in the image. */
struct run {
	uint64_t end;
	bool private;
};

/*
 * The run that starts at offset, up to end. Reads each bit once, since a block may become private
 * meanwhile.
 */
static struct run find_run(const struct overlay *overlay, uint64_t offset, uint64_t end)
{
	uint64_t block = offset / DISK_BLOCK;
	struct run run = {.private = is_private(overlay, block)};

	do {
		block++;
	} while (block * DISK_BLOCK < end && is_private(overlay, block) == run.private);
	run.end = min_u64(block * DISK_BLOCK, end);
	return run;
}

int64_t overlay_read(struct overlay *overlay, uint64_t offset, void *to, uint64_t length)
{
	struct run run = find_run(overlay, offset, offset + length);
	int fd = run.private ? overlay->fd : overlay->image_fd;

	return host_file_read(fd, offset, to, run.end - offset);
}

int64_t overlay_read_cached(struct overlay *overlay, uint64_t offset, struct iovec *iov,
			    unsigned count, uint64_t length)
{
	struct run run = find_run(overlay, offset, offset + length);
	int fd = run.private ? overlay->fd : overlay->image_fd;

	count = iov_range(iov, count, 0, run.end - offset, iov);
	return page_cache_read(fd, offset, iov, count);
}

/* How many of count blocks from block on are private, or may become so within the limit. */
static uint64_t blocks_with_room(const struct overlay *overlay, uint64_t block, uint64_t count)
{
	uint64_t room = overlay->blocks_max - overlay->blocks_used, i;

	for (i = 0; i < count; i++)
		if (!is_private(overlay, block + i) && room-- == 0)
			break;
	return i;
}

/* The size of a block: the last one may be short. */
static size_t block_bytes(const struct overlay *overlay, uint64_t block)
{
	return min_u64(DISK_BLOCK, overlay->bytes - block * DISK_BLOCK);
}

/* Copies a block from the image, so that part of it can be written. */
static int copy_block(struct overlay *overlay, uint64_t block)
{
	uint8_t bytes[DISK_BLOCK];
	size_t length = block_bytes(overlay, block);
	uint64_t offset = block * DISK_BLOCK;
	int64_t n;

	if (is_private(overlay, block))
		return 0;
	if (blocks_with_room(overlay, block, 1) == 0)
		return -ENOSPC;
	n = host_file_read(overlay->image_fd, offset, bytes, length);
	if (n != (int64_t)length)
		return n < 0 ? (int)n : -EIO;
	n = host_file_write(overlay->fd, offset, bytes, length);
	if (n != (int64_t)length)
		return n < 0 ? (int)n : -ENOSPC;
	set_private(overlay, block);
	return 0;
}

static int64_t write_part(struct overlay *overlay, uint64_t offset, const void *from,
			  uint64_t length)
{
	int ret = copy_block(overlay, offset / DISK_BLOCK);

	if (ret < 0)
		return ret;
	return host_file_write(overlay->fd, offset, from, length);
}

/* Writes whole blocks: of a short write only whole blocks count. */
static int64_t write_blocks(struct overlay *overlay, uint64_t offset, const void *from,
			    uint64_t length)
{
	uint64_t block = offset / DISK_BLOCK, done, i;
	int64_t n;

	if (blocks_with_room(overlay, block, length / DISK_BLOCK) < length / DISK_BLOCK)
		return -ENOSPC;
	n = host_file_write(overlay->fd, offset, from, length);
	if (n < 0)
		return n;
	done = (uint64_t)n / DISK_BLOCK;
	for (i = 0; i < done; i++)
		set_private(overlay, block + i);
	return done > 0 ? (int64_t)(done * DISK_BLOCK) : -ENOSPC;
}

int64_t overlay_write(struct overlay *overlay, uint64_t offset, const void *from, uint64_t length)
{
	uint64_t inside = offset % DISK_BLOCK;
	int64_t ret;

	pthread_mutex_lock(&overlay->lock);
	if (inside > 0 || length < DISK_BLOCK)
		ret = write_part(overlay, offset, from, min_u64(length, DISK_BLOCK - inside));
	else
		ret = write_blocks(overlay, offset, from, length - length % DISK_BLOCK);
	pthread_mutex_unlock(&overlay->lock);
	return ret;
}

/*
 * Deallocates the blocks that lie entirely in the range. Blocks that are not private have no space
 * in the layer's file, so punching a hole over them has no effect.
 */
int64_t overlay_discard(struct overlay *overlay, uint64_t offset, uint64_t length)
{
	uint64_t at = align_up(offset, DISK_BLOCK), end = (offset + length) & ~(DISK_BLOCK - 1ull);
	int64_t ret;

	if (at >= end)
		return (int64_t)length;
	pthread_mutex_lock(&overlay->lock);
	ret = host_file_punch(overlay->fd, at, end - at);
	pthread_mutex_unlock(&overlay->lock);
	/* An error only means that the space stays allocated. */
	if (ret < 0 || at + (uint64_t)ret >= end)
		return (int64_t)length;
	return (int64_t)(at - offset) + ret;
}

/* Makes blocks private and without data: they then read as zeros. */
static int64_t zero_blocks(struct overlay *overlay, uint64_t offset, uint64_t length)
{
	uint64_t block = offset / DISK_BLOCK, i;
	uint64_t count = blocks_with_room(overlay, block, min_u64(length, DISK_PUNCH) / DISK_BLOCK);
	int ret;

	if (count == 0)
		return -ENOSPC;
	ret = host_file_deallocate(overlay->fd, offset, count * DISK_BLOCK);
	if (ret < 0)
		return ret;
	for (i = 0; i < count; i++)
		set_private(overlay, block + i);
	return (int64_t)(count * DISK_BLOCK);
}

/* One step of writing zeros, if the host's file system has no holes. */
static int64_t write_zeros(struct overlay *overlay, uint64_t offset, uint64_t length)
{
	return overlay_write(overlay, offset, host_file_zeros, min_u64(length, HOST_FILE_ZEROS));
}

int64_t overlay_zero(struct overlay *overlay, uint64_t offset, uint64_t length)
{
	uint64_t inside = offset % DISK_BLOCK;
	int64_t ret = -EOPNOTSUPP;

	if (inside > 0)
		return write_zeros(overlay, offset, min_u64(length, DISK_BLOCK - inside));
	if (length >= DISK_BLOCK) {
		pthread_mutex_lock(&overlay->lock);
		ret = zero_blocks(overlay, offset, length);
		pthread_mutex_unlock(&overlay->lock);
	}
	return ret == -EOPNOTSUPP ? write_zeros(overlay, offset, length) : ret;
}

bool overlay_next_written(struct overlay *overlay, uint64_t *offset, uint64_t *length)
{
	uint64_t at = *offset & ~(DISK_BLOCK - 1ull);
	struct run run;

	while (at < overlay->bytes) {
		/* Skip eight blocks at once if none is private. */
		if (at % (8 * DISK_BLOCK) == 0 && overlay->map[at / DISK_BLOCK / 8] == 0) {
			at += 8 * DISK_BLOCK;
			continue;
		}
		run = find_run(overlay, at, overlay->bytes);
		if (run.private) {
			*offset = at;
			*length = run.end - at;
			return true;
		}
		at = run.end;
	}
	return false;
}
