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

static uint64_t total(const struct iovec *piece, unsigned pieces)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < pieces; i++)
		sum += piece[i].iov_len;
	return sum;
}

int64_t private_read(struct disk *disk, uint64_t offset, const struct iovec *piece, unsigned pieces)
{
	struct run run = find_run(disk, offset, offset + total(piece, pieces));
	int fd = run.private ? disk->private_fd : disk->image_fd;
	struct cut cut;

	disk_cut(&cut, piece, pieces, run.end - offset);
	return disk_result(preadv(fd, cut.piece, (int)cut.count, (off_t)offset));
}

/* Whether so many more blocks may be taken, of those that are not private yet. */
static bool has_room(const struct disk *disk, uint64_t block, uint64_t count)
{
	uint64_t fresh = 0, i;

	for (i = 0; i < count; i++)
		fresh += !is_private(disk, block + i);
	return fresh <= disk->blocks_max - disk->blocks_used;
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
	if (!has_room(disk, block, 1))
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

static int64_t write_part(struct disk *disk, uint64_t offset, const struct cut *cut)
{
	int ret = bring_over(disk, offset / DISK_BLOCK);

	if (ret < 0)
		return ret;
	return disk_result(pwritev(disk->private_fd, cut->piece, (int)cut->count, (off_t)offset));
}

/* Whole blocks: a short write counts only as far as blocks are whole. */
static int64_t write_blocks(struct disk *disk, uint64_t offset, const struct cut *cut)
{
	uint64_t block = offset / DISK_BLOCK, done, i;
	int64_t n;

	if (!has_room(disk, block, cut->length / DISK_BLOCK))
		return -ENOSPC;
	n = disk_result(pwritev(disk->private_fd, cut->piece, (int)cut->count, (off_t)offset));
	if (n < 0)
		return n;
	done = (uint64_t)n / DISK_BLOCK;
	for (i = 0; i < done; i++)
		set_private(disk, block + i);
	return done > 0 ? (int64_t)(done * DISK_BLOCK) : -ENOSPC;
}

int64_t private_write(struct disk *disk, uint64_t offset, const struct iovec *piece,
		      unsigned pieces)
{
	uint64_t length = total(piece, pieces), inside = offset % DISK_BLOCK;
	bool part = inside > 0 || length < DISK_BLOCK;
	struct cut cut;
	int64_t ret;

	disk_cut(&cut, piece, pieces,
		 part ? min_u64(length, DISK_BLOCK - inside) : length - length % DISK_BLOCK);
	pthread_mutex_lock(&disk->lock);
	ret = part ? write_part(disk, offset, &cut) : write_blocks(disk, offset, &cut);
	pthread_mutex_unlock(&disk->lock);
	return ret;
}

/* Blocks that are whole in the range and private give their room on the host back. */
void private_discard(struct disk *disk, uint64_t offset, uint64_t length)
{
	uint64_t at = align_up(offset, DISK_BLOCK), end = (offset + length) & ~(DISK_BLOCK - 1ull),
		 length_of_run;
	struct run run;

	pthread_mutex_lock(&disk->lock);
	for (; at < end; at = run.end) {
		run = find_run(disk, at, end);
		length_of_run = run.end - at;
		if (run.private &&
		    fallocate(disk->private_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      (off_t)at, (off_t)length_of_run) < 0) {
			/* The room stays taken: that is all that it is about. */
		}
	}
	pthread_mutex_unlock(&disk->lock);
}

bool private_next_written(struct disk *disk, uint64_t *offset, uint64_t *length)
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
