/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/blk/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/blk/disk_internal.h"
#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

int64_t disk_result(ssize_t n)
{
	if (n < 0)
		return errno > 0 ? -errno : -EIO;
	return n > 0 ? n : -EIO;
}

/* --- making ----------------------------------------------------------------------------------- */

static struct disk *new_disk(void)
{
	struct disk *disk = calloc(1, sizeof(*disk));

	if (!disk)
		return NULL;
	atomic_init(&disk->owners, 1);
	disk->image_fd = disk->private_fd = -1;
	pthread_mutex_init(&disk->lock, NULL);
	return disk;
}

struct disk *disk_hold(struct disk *disk)
{
	if (disk)
		atomic_fetch_add(&disk->owners, 1);
	return disk;
}

void disk_destroy(struct disk *disk)
{
	if (!disk || atomic_fetch_sub(&disk->owners, 1) > 1)
		return;
	fd_close(&disk->image_fd);
	fd_close(&disk->private_fd);
	pthread_mutex_destroy(&disk->lock);
	free(disk->map);
	free(disk->path);
	free(disk);
}

static int measure_image(struct disk *disk, const char *path, struct err *err)
{
	struct stat status;
	uint64_t bytes;

	if (fstat(disk->image_fd, &status) < 0)
		return err_sys(err, "%s", path);
	bytes = (uint64_t)status.st_size;
	if (S_ISBLK(status.st_mode) && ioctl(disk->image_fd, BLKGETSIZE64, &bytes) < 0)
		return err_sys(err, "%s: its size", path);
	if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
		return err_set(err, EINVAL, "%s: neither a plain file nor a block device", path);
	if (bytes == 0 || bytes > DISK_BYTES_MAX)
		return err_set(err, EINVAL, "%s: has %llu bytes; an image has 512 bytes to 4 TiB",
			       path, (unsigned long long)bytes);
	if (bytes % DISK_SECTOR != 0)
		return err_set(err, EINVAL,
			       "%s: its size is not a multiple of 512 bytes: is it cut short? "
			       "'truncate -s %%512' pads it",
			       path);
	if (flock(disk->image_fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return err_set(err, EBUSY, "%s: is locked by a program that writes to it", path);
	disk->bytes = bytes;
	disk->identity = (struct disk_identity){
		.bytes = bytes,
		.modified_s = (uint64_t)status.st_mtim.tv_sec,
		.modified_ns = (uint64_t)status.st_mtim.tv_nsec,
	};
	return 0;
}

int disk_open_image(struct disk **out, const char *path, struct err *err)
{
	struct disk *disk = new_disk();
	int ret;

	*out = NULL;
	if (!disk)
		return err_set(err, ENOMEM, "out of memory");
	/* Nonblocking: a FIFO of that name must not hold us up. */
	disk->image_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ret = disk->image_fd < 0 ? err_sys(err, "%s", path) : measure_image(disk, path, err);
	disk->path = strdup(path);
	if (ret == 0 && !disk->path)
		ret = err_set(err, ENOMEM, "out of memory");
	if (ret < 0) {
		disk_destroy(disk);
		return ret;
	}
	*out = disk;
	return 0;
}

/* Beyond this limit a write of ours would be answered by a signal. */
static int check_limit(const struct disk *disk, struct err *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < disk->bytes)
		return err_set(err, EFBIG,
			       "a disk of %llu bytes is over the limit of a file's size, %llu "
			       "(ulimit -f)",
			       (unsigned long long)disk->bytes, (unsigned long long)limit.rlim_cur);
	return 0;
}

/* A file without a name, in a place for large temporary files. */
static int open_private(struct disk *disk, struct err *err)
{
	const char *folder = getenv("TMPDIR");
	int ret = check_limit(disk, err);
	char path[4096];

	if (ret < 0)
		return ret;

	if (!folder || folder[0] != '/')
		folder = "/var/tmp";
	disk->private_fd = open(folder, O_RDWR | O_TMPFILE | O_EXCL | O_CLOEXEC, 0600);
	if (disk->private_fd < 0 &&
	    snprintf(path, sizeof(path), "%s/cordon-disk.XXXXXX", folder) < (int)sizeof(path)) {
		disk->private_fd = mkostemp(path, O_CLOEXEC);
		if (disk->private_fd >= 0)
			unlink(path);
	}
	if (disk->private_fd < 0)
		return err_sys(err, "%s: no temporary file for a disk (set TMPDIR)", folder);
	return 0;
}

int disk_create_scratch(struct disk **out, uint64_t bytes, struct err *err)
{
	struct disk *disk = new_disk();
	int ret;

	*out = NULL;
	if (!disk)
		return err_set(err, ENOMEM, "out of memory");
	disk->bytes = bytes & ~(DISK_BLOCK - 1ull);
	if (disk->bytes == 0 || disk->bytes > DISK_BYTES_MAX)
		ret = err_set(err, EINVAL, "a disk has 4 KiB to 4 TiB, not %llu bytes",
			      (unsigned long long)bytes);
	else
		ret = open_private(disk, err);
	if (ret == 0 && ftruncate(disk->private_fd, (off_t)disk->bytes) < 0)
		ret = err_sys(err, "a disk of %llu bytes", (unsigned long long)disk->bytes);
	if (ret < 0) {
		disk_destroy(disk);
		return ret;
	}
	*out = disk;
	return 0;
}

int disk_create_overlay(struct disk **out, struct disk *image, uint64_t bytes_max, struct err *err)
{
	uint64_t blocks = (image->bytes + DISK_BLOCK - 1) / DISK_BLOCK;
	int ret;

	*out = NULL;
	image->blocks_max = bytes_max / DISK_BLOCK;
	image->map = calloc(1, blocks / 8 + 1);
	ret = image->map ? open_private(image, err) : err_set(err, ENOMEM, "out of memory");
	/* What is private and was never written reads as zeros. */
	if (ret == 0 && ftruncate(image->private_fd, (off_t)image->bytes) < 0)
		ret = err_sys(err, "a private layer of %llu bytes",
			      (unsigned long long)image->bytes);
	if (ret < 0)
		disk_destroy(image);
	else
		*out = image;
	return ret;
}

/* --- use -------------------------------------------------------------------------------------- */

uint64_t disk_bytes(const struct disk *disk)
{
	return disk->bytes;
}

bool disk_is_read_only(const struct disk *disk)
{
	return disk->private_fd < 0;
}

int64_t disk_read(struct disk *disk, uint64_t offset, void *to, uint64_t length)
{
	int fd = disk->private_fd < 0 ? disk->image_fd : disk->private_fd;

	length = min_u64(length, DISK_STEP);
	if (disk->map)
		return overlay_read(disk, offset, to, length);
	return disk_result(pread(fd, to, length, (off_t)offset));
}

int64_t disk_write(struct disk *disk, uint64_t offset, const void *from, uint64_t length)
{
	length = min_u64(length, DISK_STEP);
	if (disk->private_fd < 0)
		return -EROFS;
	if (disk->map)
		return overlay_write(disk, offset, from, length);
	return disk_result(pwrite(disk->private_fd, from, length, (off_t)offset));
}

int disk_flush(struct disk *disk)
{
	if (disk->private_fd >= 0 && fdatasync(disk->private_fd) < 0)
		return -errno;
	return 0;
}

int64_t disk_punch(struct disk *disk, uint64_t offset, uint64_t length)
{
	off_t data = lseek(disk->private_fd, (off_t)offset, SEEK_DATA);

	if (data < 0 && errno == ENXIO)
		return (int64_t)length;
	if (data > (off_t)offset)
		return (int64_t)min_u64(length, (uint64_t)data - offset);
	length = min_u64(length, DISK_PUNCH);
	if (fallocate(disk->private_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
		      (off_t)length) < 0)
		return -errno;
	return (int64_t)length;
}

int64_t disk_discard(struct disk *disk, uint64_t offset, uint64_t length)
{
	int64_t ret;

	if (disk->private_fd < 0)
		return -EROFS;
	if (disk->map)
		return overlay_discard(disk, offset, length);
	ret = disk_punch(disk, offset, length);
	return ret == -EOPNOTSUPP ? (int64_t)length : ret;
}

int64_t disk_write_zeros(struct disk *disk, uint64_t offset, uint64_t length)
{
	static const uint8_t zeros[64 * 1024];

	return disk_write(disk, offset, zeros, min_u64(length, sizeof(zeros)));
}

int64_t disk_zero(struct disk *disk, uint64_t offset, uint64_t length)
{
	int64_t ret;

	if (disk->private_fd < 0)
		return -EROFS;
	if (disk->map)
		return overlay_zero(disk, offset, length);
	ret = disk_punch(disk, offset, length);
	return ret == -EOPNOTSUPP ? disk_write_zeros(disk, offset, length) : ret;
}

/* --- snapshots -------------------------------------------------------------------------------- */

bool disk_next_written(struct disk *disk, uint64_t *offset, uint64_t *length)
{
	off_t data, end;

	if (disk->private_fd < 0 || *offset >= disk->bytes)
		return false;
	if (disk->map)
		return overlay_next_written(disk, offset, length);
	data = lseek(disk->private_fd, (off_t)*offset, SEEK_DATA);
	if (data < 0)
		return false;
	end = lseek(disk->private_fd, data, SEEK_HOLE);
	*offset = (uint64_t)data & ~(DISK_BLOCK - 1ull);
	*length = (end < 0 ? disk->bytes : align_up((uint64_t)end, DISK_BLOCK)) - *offset;
	return true;
}

const char *disk_path(const struct disk *disk)
{
	return disk->path ? disk->path : "";
}

uint64_t disk_layer_limit(const struct disk *disk)
{
	return disk->map ? disk->blocks_max * DISK_BLOCK : 0;
}

struct disk_identity disk_identity(const struct disk *disk)
{
	return disk->identity;
}

void disk_private_path(const struct disk *disk, char path[32])
{
	snprintf(path, 32, "/proc/self/fd/%d", disk->private_fd);
}
