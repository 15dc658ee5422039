/* SPDX-License-Identifier: Apache-2.0 */
/* Contents of files: chunk by chunk to the image, zeros and tails apart. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/image/erofs_internal.h"

static bool is_zero(const uint8_t *bytes, size_t length)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0;
}

int erofs_write_blocks(struct erofs *fs, uint64_t block, const void *bytes, size_t length,
		       struct err *err)
{
	off_t at = (off_t)(block << EROFS_BLKSIZ_BITS);
	const char *from = bytes;
	ssize_t n;

	if (block + (length >> EROFS_BLKSIZ_BITS) > EROFS_BLOCKS_MAX)
		return err_set(err, EFBIG, "the image is too large");
	while (length > 0) {
		n = pwrite(fs->fd, from, length, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_sys(err, "writing the image")
				     : err_set(err, EIO, "writing the image: no progress");
		from += n;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

/* Appends so many bytes of the chunk, in whole blocks. */
static int append(struct erofs *fs, size_t length, struct err *err)
{
	size_t whole = align_up(length, EROFS_BLKSIZ);
	int ret;

	memset(fs->chunk + length, 0, whole - length);
	ret = erofs_write_blocks(fs, fs->block, fs->chunk, whole, err);
	if (ret < 0)
		return ret;
	fs->block += whole >> EROFS_BLKSIZ_BITS;
	fs->file->file.blocks += (uint32_t)(whole >> EROFS_BLKSIZ_BITS);
	return 0;
}

static int add_hole(struct erofs *fs, uint32_t chunk, struct err *err)
{
	struct erofs_file *file = &fs->file->file;
	struct erofs_hole *last = file->hole_count ? &file->holes[file->hole_count - 1] : NULL;
	uint32_t room = file->hole_room ? file->hole_room : 4;
	int ret;

	if (last && last->chunk + last->count == chunk) {
		last->count++;
		return 0;
	}
	if (file->hole_count == file->hole_room) {
		ret = erofs_take(fs, room * sizeof(*last), err);
		if (ret < 0)
			return ret;
		last = reallocarray(file->holes, file->hole_room + room, sizeof(*last));
		if (!last) {
			erofs_give(fs, room * sizeof(*last));
			return err_set(err, ENOMEM, "out of memory");
		}
		file->holes = last;
		file->hole_room += room;
	}
	file->holes[file->hole_count++] = (struct erofs_hole){.chunk = chunk, .count = 1};
	return 0;
}

static int flush(struct erofs *fs, struct err *err)
{
	uint64_t start = fs->file->size - fs->filled;
	uint32_t length = fs->filled;

	fs->filled = 0;
	/* A file that ends in less than a chunk of zeros is no reason for a map of chunks. */
	if ((length == EROFS_CHUNK || fs->file->file.hole_count > 0) && is_zero(fs->chunk, length))
		return add_hole(fs, (uint32_t)(start >> EROFS_CHUNK_BITS), err);
	return append(fs, length, err);
}

/* Whether the tail of the file fits behind the inode. */
static bool wants_tail(const struct erofs *fs, uint32_t tail)
{
	const struct erofs_node *node = fs->file;
	uint64_t beside = sizeof(struct erofs_inode_extended) + node->xattr_size + tail;

	return tail > 0 && tail <= fs->limits.tail && node->file.hole_count == 0 &&
	       beside <= EROFS_BLKSIZ && fs->tails + tail <= fs->limits.memory / 4;
}

static int keep_tail(struct erofs *fs, uint32_t size, struct err *err)
{
	struct erofs_file *file = &fs->file->file;
	int ret = erofs_take(fs, size, err);

	if (ret < 0)
		return ret;
	file->tail = malloc(size);
	if (!file->tail) {
		erofs_give(fs, size);
		return err_set(err, ENOMEM, "out of memory");
	}
	fs->filled -= size;
	memcpy(file->tail, fs->chunk + fs->filled, size);
	file->tail_size = size;
	fs->tails += size;
	return 0;
}

int erofs_settle(struct erofs *fs, struct err *err)
{
	uint32_t tail = fs->filled % EROFS_BLKSIZ;
	int ret = 0;

	if (!fs->file)
		return 0;
	if (wants_tail(fs, tail)) {
		ret = keep_tail(fs, tail, err);
		if (ret == 0 && fs->filled > 0)
			ret = append(fs, fs->filled, err);
	} else if (fs->filled > 0) {
		ret = flush(fs, err);
	}
	fs->filled = 0;
	fs->file = NULL;
	return ret;
}

int erofs_write(struct erofs *fs, const void *bytes, size_t length, struct err *err)
{
	const uint8_t *from = bytes;
	size_t part;
	int ret;

	if (!fs->file)
		return err_set(err, EINVAL, "no file is being written");
	if (length > ((uint64_t)EROFS_BLOCKS_MAX << EROFS_BLKSIZ_BITS) - fs->file->size)
		return err_set(err, EFBIG, "the image has a file that is too large");
	while (length > 0) {
		part = min_u64(length, EROFS_CHUNK - fs->filled);
		memcpy(fs->chunk + fs->filled, from, part);
		from += part;
		length -= part;
		fs->filled += (uint32_t)part;
		fs->file->size += part;
		ret = fs->filled == EROFS_CHUNK ? flush(fs, err) : 0;
		if (ret < 0)
			return ret;
	}
	return 0;
}

void erofs_drop_contents(struct erofs *fs, const struct erofs_node *node)
{
	/* Where the file system cannot do it, the image only takes more space. */
	if (!fs->finished && node->file.blocks > 0)
		fallocate(fs->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  (off_t)node->file.block << EROFS_BLKSIZ_BITS,
			  (off_t)node->file.blocks << EROFS_BLKSIZ_BITS);
}
