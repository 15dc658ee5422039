/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A private layer over an image. A block is in the private file whole or not at all; a write to a
 * part of one brings the rest over from the image first.
 *
 * Writers take turns: two that overlap must not undo each other's blocks by bringing them over.
 * A reader may see a block in either state while it is written, as on any disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "devices/blk/disk_internal.h"
#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

static bool is_private(const struct disk *disk, uint64_t block)
{
	return atomic_load_explicit(&disk->map[block / 8], memory_order_acquire) >> (block % 8) & 1;
}

/* Under the lock, after the data is in the file. */
static void set_private(struct disk *disk, uint64_t block)
{
	if (is_private(disk, block))
		return;
	atomic_fetch_or_explicit(&disk->map[block / 8], (unsigned char)(1u << (block % 8)),
				 memory_order_release);
	disk->blocks_used++;
}

/* Blocks that are in the same place, as far as one look at the map told. */
struct run {
	uint64_t end;
	bool private;
};

/*
 * The run from offset on, at most to end. Each bit is read once: a block that becomes private
 * meanwhile must not be taken for the place of those behind it.
 */
static struct run find_run(const struct disk *disk, uint64_t offset, uint64_t end)
{
	uint64_t block = offset / DISK_BLOCK;
	struct run run = {.private = is_private(disk, block)};

	do {
		block++;
	} while (block * DISK_BLOCK < end && is_private(disk, block) == run.private);
	run.end = min_u64(block * DISK_BLOCK, end);
	return run;
}

int64_t overlay_read(struct disk *disk, uint64_t offset, void *to, uint64_t length)
{
	struct run run = find_run(disk, offset, offset + length);
	int fd = run.private ? disk->private_fd : disk->image_fd;

	return disk_result(pread(fd, to, run.end - offset, (off_t)offset));
}

/* Of so many blocks from one on how many may become private, or are: the limit counts. */
static uint64_t blocks_with_room(const struct disk *disk, uint64_t block, uint64_t count)
{
	uint64_t room = disk->blocks_max - disk->blocks_used, i;

	for (i = 0; i < count; i++)
		if (!is_private(disk, block + i) && room-- == 0)
			break;
	return i;
}

/* Bytes of the block that the disk has: the last one may be short. */
static size_t block_bytes(const struct disk *disk, uint64_t block)
{
	return min_u64(DISK_BLOCK, disk->bytes - block * DISK_BLOCK);
}

/* Copies a block from the image, so that a part of it can be written. */
static int bring_over(struct disk *disk, uint64_t block)
{
	uint8_t bytes[DISK_BLOCK];
	size_t length = block_bytes(disk, block);
	off_t offset = (off_t)(block * DISK_BLOCK);
	ssize_t n;

	if (is_private(disk, block))
		return 0;
	if (blocks_with_room(disk, block, 1) == 0)
		return -ENOSPC;
	n = fd_pread_full(disk->image_fd, bytes, length, offset);
	if (n != (ssize_t)length)
		return n < 0 ? (int)n : -EIO;
	n = pwrite(disk->private_fd, bytes, length, offset);
	if (n != (ssize_t)length)
		return n < 0 ? -errno : -ENOSPC;
	set_private(disk, block);
	return 0;
}

static int64_t write_part(struct disk *disk, uint64_t offset, const void *from, uint64_t length)
{
	int ret = bring_over(disk, offset / DISK_BLOCK);

	if (ret < 0)
		return ret;
	return disk_result(pwrite(disk->private_fd, from, length, (off_t)offset));
}

/* Whole blocks: a short write counts only as far as blocks are whole. */
static int64_t write_blocks(struct disk *disk, uint64_t offset, const void *from, uint64_t length)
{
	uint64_t block = offset / DISK_BLOCK, done, i;
	int64_t n;

	if (blocks_with_room(disk, block, length / DISK_BLOCK) < length / DISK_BLOCK)
		return -ENOSPC;
	n = disk_result(pwrite(disk->private_fd, from, length, (off_t)offset));
	if (n < 0)
		return n;
	done = (uint64_t)n / DISK_BLOCK;
	for (i = 0; i < done; i++)
		set_private(disk, block + i);
	return done > 0 ? (int64_t)(done * DISK_BLOCK) : -ENOSPC;
}

int64_t overlay_write(struct disk *disk, uint64_t offset, const void *from, uint64_t length)
{
	uint64_t inside = offset % DISK_BLOCK;
	int64_t ret;

	pthread_mutex_lock(&disk->lock);
	if (inside > 0 || length < DISK_BLOCK)
		ret = write_part(disk, offset, from, min_u64(length, DISK_BLOCK - inside));
	else
		ret = write_blocks(disk, offset, from, length - length % DISK_BLOCK);
	pthread_mutex_unlock(&disk->lock);
	return ret;
}

/*
 * Blocks that are whole in the range give their room on the host back. Those that are not private
 * have no room there: a punch over them all does nothing to them.
 */
int64_t overlay_discard(struct disk *disk, uint64_t offset, uint64_t length)
{
	uint64_t at = align_up(offset, DISK_BLOCK), end = (offset + length) & ~(DISK_BLOCK - 1ull);
	int64_t ret;

	if (at >= end)
		return (int64_t)length;
	pthread_mutex_lock(&disk->lock);
	ret = disk_punch(disk, at, end - at);
	pthread_mutex_unlock(&disk->lock);
	/* The room stays taken: that is all that it is about. */
	if (ret < 0 || at + (uint64_t)ret >= end)
		return (int64_t)length;
	return (int64_t)(at - offset) + ret;
}

/* A block that is private and has no data reads as zeros. */
static int64_t zero_blocks(struct disk *disk, uint64_t offset, uint64_t length)
{
	uint64_t block = offset / DISK_BLOCK, i;
	uint64_t count = blocks_with_room(disk, block, min_u64(length, DISK_PUNCH) / DISK_BLOCK);

	if (count == 0)
		return -ENOSPC;
	if (fallocate(disk->private_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
		      (off_t)(count * DISK_BLOCK)) < 0)
		return -errno;
	for (i = 0; i < count; i++)
		set_private(disk, block + i);
	return (int64_t)(count * DISK_BLOCK);
}

int64_t overlay_zero(struct disk *disk, uint64_t offset, uint64_t length)
{
	uint64_t inside = offset % DISK_BLOCK;
	int64_t ret = -EOPNOTSUPP;

	if (inside > 0)
		return disk_write_zeros(disk, offset, min_u64(length, DISK_BLOCK - inside));
	if (length >= DISK_BLOCK) {
		pthread_mutex_lock(&disk->lock);
		ret = zero_blocks(disk, offset, length);
		pthread_mutex_unlock(&disk->lock);
	}
	return ret == -EOPNOTSUPP ? disk_write_zeros(disk, offset, length) : ret;
}

bool overlay_next_written(struct disk *disk, uint64_t *offset, uint64_t *length)
{
	uint64_t at = *offset & ~(DISK_BLOCK - 1ull);
	struct run run;

	while (at < disk->bytes) {
		/* Eight blocks at once where there are none. */
		if (at % (8 * DISK_BLOCK) == 0 && disk->map[at / DISK_BLOCK / 8] == 0) {
			at += 8 * DISK_BLOCK;
			continue;
		}
		run = find_run(disk, at, disk->bytes);
		if (run.private) {
			*offset = at;
			*length = run.end - at;
			return true;
		}
		at = run.end;
	}
	return false;
}
