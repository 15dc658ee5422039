/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/blk/host_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "devices/blk/sizes.h"
#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

const uint8_t host_file_zeros[HOST_FILE_ZEROS];

/* --- making ----------------------------------------------------------------------------------- */

/* A write beyond this limit would raise SIGXFSZ. */
static int check_limit(uint64_t bytes, struct err *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < bytes)
		return err_set(err, EFBIG,
			       "a disk of %llu bytes is over the limit of a file's size, %llu "
			       "(ulimit -f)",
			       (unsigned long long)bytes, (unsigned long long)limit.rlim_cur);
	return 0;
}

static int open_nameless(struct err *err)
{
	const char *directory = getenv("TMPDIR");
	char path[4096];
	int fd;

	if (!directory || directory[0] != '/')
		directory = "/var/tmp";
	fd = open(directory, O_RDWR | O_TMPFILE | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 &&
	    snprintf(path, sizeof(path), "%s/cordon-disk.XXXXXX", directory) < (int)sizeof(path)) {
		fd = mkostemp(path, O_CLOEXEC);
		if (fd >= 0)
			unlink(path);
	}
	if (fd < 0)
		return err_sys(err, "%s: no temporary file for a disk (set TMPDIR)", directory);
	return fd;
}

int host_file_create(uint64_t bytes, const char *what, struct err *err)
{
	int fd = check_limit(bytes, err);
	int ret;

	if (fd < 0)
		return fd;
	fd = open_nameless(err);
	if (fd >= 0 && ftruncate(fd, (off_t)bytes) < 0) {
		ret = err_sys(err, "%s of %llu bytes", what, (unsigned long long)bytes);
		fd_close(&fd);
		return ret;
	}
	return fd;
}

/* --- use -------------------------------------------------------------------------------------- */

int64_t host_file_read(int fd, uint64_t offset, void *to, uint64_t length)
{
	ssize_t n = fd_pread_full(fd, to, length, (off_t)offset);

	return n != 0 ? n : -EIO;
}

int64_t host_file_write(int fd, uint64_t offset, const void *from, uint64_t length)
{
	uint64_t done = 0;
	ssize_t n = 1;

	while (done < length && n > 0) {
		do {
			n = pwrite(fd, (const char *)from + done, length - done,
				   (off_t)(offset + done));
		} while (n < 0 && errno == EINTR);
		done += n > 0 ? (uint64_t)n : 0;
	}
	if (done > 0)
		return (int64_t)done;
	return n < 0 && errno > 0 ? -errno : -EIO;
}

int host_file_deallocate(int fd, uint64_t offset, uint64_t length)
{
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
		      (off_t)length) < 0)
		return -errno;
	return 0;
}

int64_t host_file_punch(int fd, uint64_t offset, uint64_t length)
{
	off_t data = lseek(fd, (off_t)offset, SEEK_DATA);
	int ret;

	if (data < 0 && errno == ENXIO)
		return (int64_t)length;
	if (data > (off_t)offset)
		return (int64_t)min_u64(length, (uint64_t)data - offset);
	length = min_u64(length, DISK_PUNCH);
	ret = host_file_deallocate(fd, offset, length);
	return ret < 0 ? ret : (int64_t)length;
}

bool host_file_next_data(int fd, uint64_t bytes, uint64_t *offset, uint64_t *length)
{
	off_t data = lseek(fd, (off_t)*offset, SEEK_DATA), end;

	if (data < 0)
		return false;
	end = lseek(fd, data, SEEK_HOLE);
	*offset = (uint64_t)data & ~(DISK_BLOCK - 1ull);
	*length = (end < 0 ? bytes : align_up((uint64_t)end, DISK_BLOCK)) - *offset;
	return true;
}
