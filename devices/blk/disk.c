/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/blk/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/blk/host_file.h"
#include "devices/blk/overlay.h"
#include "devices/blk/page_cache.h"
#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

struct disk {
	atomic_uint owners;
	uint64_t bytes;
	char *path; /* of the image, or NULL */
	/* An image (image_fd), perhaps with a layer over it (overlay), or a scratch disk. */
	int image_fd, scratch_fd; /* or -1 */
	struct overlay *overlay;  /* or NULL */
	bool never_cached;	  /* the event thread can't read it; only that thread sets it */
	struct disk_identity identity;
};

/* --- making ----------------------------------------------------------------------------------- */

static struct disk *new_disk(void)
{
	struct disk *disk = calloc(1, sizeof(*disk));

	if (!disk)
		return NULL;
	atomic_init(&disk->owners, 1);
	disk->image_fd = disk->scratch_fd = -1;
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
	overlay_destroy(disk->overlay);
	fd_close(&disk->image_fd);
	fd_close(&disk->scratch_fd);
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
	disk->never_cached = !S_ISREG(status.st_mode);
	disk->identity = (struct disk_identity){
		.bytes = bytes,
		.modified_s = (uint64_t)status.st_mtim.tv_sec,
		.modified_ns = (uint64_t)status.st_mtim.tv_nsec,
	};
	return 0;
}

/* Makes a disk of image_fd, which it owns from now on, also on failure; -1: errno says why not. */
static int open_image(struct disk **out, int image_fd, const char *name, struct err *err)
{
	int ret = image_fd < 0 ? err_sys(err, "%s", name) : 0;
	struct disk *disk = new_disk();

	*out = NULL;
	if (!disk) {
		fd_close(&image_fd);
		return err_set(err, ENOMEM, "out of memory");
	}
	disk->image_fd = image_fd;
	if (ret == 0)
		ret = measure_image(disk, name, err);
	disk->path = strdup(name);
	if (ret == 0 && !disk->path)
		ret = err_set(err, ENOMEM, "out of memory");
	if (ret < 0) {
		disk_destroy(disk);
		return ret;
	}
	*out = disk;
	return 0;
}

int disk_open_image(struct disk **out, const char *path, struct err *err)
{
	/* Nonblocking: a FIFO of that name must not hold us up. */
	return open_image(out, open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), path, err);
}

int disk_open_file(struct disk **out, int fd, const char *name, const uint64_t contents[2],
		   struct err *err)
{
	int ret = open_image(out, fcntl(fd, F_DUPFD_CLOEXEC, 0), name, err);

	if (ret == 0 && contents) {
		(*out)->identity.modified_s = contents[0];
		(*out)->identity.modified_ns = contents[1];
	}
	return ret;
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
		ret = disk->scratch_fd = host_file_create(disk->bytes, "a disk", err);
	if (ret < 0) {
		disk_destroy(disk);
		return ret;
	}
	*out = disk;
	return 0;
}

int disk_create_overlay(struct disk **out, struct disk *image, uint64_t bytes_max, struct err *err)
{
	int ret = overlay_create(&image->overlay, image->image_fd, image->bytes, bytes_max, err);

	*out = NULL;
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

/* The file that has what the guest wrote, or -1: read-only. */
static int private_fd(const struct disk *disk)
{
	return disk->overlay ? disk->overlay->fd : disk->scratch_fd;
}

bool disk_is_read_only(const struct disk *disk)
{
	return private_fd(disk) < 0;
}

int64_t disk_read(struct disk *disk, uint64_t offset, void *to, uint64_t length)
{
	length = min_u64(length, DISK_STEP);
	if (disk->overlay)
		return overlay_read(disk->overlay, offset, to, length);
	return host_file_read(disk->scratch_fd < 0 ? disk->image_fd : disk->scratch_fd, offset, to,
			      length);
}

int64_t disk_read_cached(struct disk *disk, uint64_t offset, struct iovec *iov, unsigned count,
			 uint64_t length)
{
	int64_t n;

	if (disk->never_cached)
		return -EAGAIN;
	if (disk->overlay)
		n = overlay_read_cached(disk->overlay, offset, iov, count, length);
	else
		n = page_cache_read(disk->scratch_fd < 0 ? disk->image_fd : disk->scratch_fd,
				    offset, iov, count);
	if (n != -EOPNOTSUPP && n != -ENOSYS)
		return n;
	disk->never_cached = true;
	return -EAGAIN;
}

int64_t disk_write(struct disk *disk, uint64_t offset, const void *from, uint64_t length)
{
	length = min_u64(length, DISK_STEP);
	if (disk->overlay)
		return overlay_write(disk->overlay, offset, from, length);
	if (disk->scratch_fd < 0)
		return -EROFS;
	return host_file_write(disk->scratch_fd, offset, from, length);
}

int disk_flush(struct disk *disk)
{
	int fd = private_fd(disk);

	return fd >= 0 && fdatasync(fd) < 0 ? -errno : 0;
}

int64_t disk_discard(struct disk *disk, uint64_t offset, uint64_t length)
{
	int64_t ret;

	if (disk->overlay)
		return overlay_discard(disk->overlay, offset, length);
	if (disk->scratch_fd < 0)
		return -EROFS;
	ret = host_file_punch(disk->scratch_fd, offset, length);
	return ret == -EOPNOTSUPP ? (int64_t)length : ret;
}

int64_t disk_zero(struct disk *disk, uint64_t offset, uint64_t length)
{
	int64_t ret;

	if (disk->overlay)
		return overlay_zero(disk->overlay, offset, length);
	if (disk->scratch_fd < 0)
		return -EROFS;
	ret = host_file_punch(disk->scratch_fd, offset, length);
	if (ret != -EOPNOTSUPP)
		return ret;
	return host_file_write(disk->scratch_fd, offset, host_file_zeros,
			       min_u64(length, HOST_FILE_ZEROS));
}

/* --- snapshots -------------------------------------------------------------------------------- */

bool disk_next_written(struct disk *disk, uint64_t *offset, uint64_t *length)
{
	if (private_fd(disk) < 0 || *offset >= disk->bytes)
		return false;
	if (disk->overlay)
		return overlay_next_written(disk->overlay, offset, length);
	return host_file_next_data(disk->scratch_fd, disk->bytes, offset, length);
}

const char *disk_path(const struct disk *disk)
{
	return disk->path ? disk->path : "";
}

uint64_t disk_layer_limit(const struct disk *disk)
{
	return disk->overlay ? disk->overlay->blocks_max * DISK_BLOCK : 0;
}

struct disk_identity disk_identity(const struct disk *disk)
{
	return disk->identity;
}

void disk_private_path(const struct disk *disk, char path[32])
{
	snprintf(path, 32, "/proc/self/fd/%d", private_fd(disk));
}
