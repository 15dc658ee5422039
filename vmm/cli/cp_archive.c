/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies to a sandbox: writes a file or directory of the host as a tar stream that the guest
 * extracts. Follows no symbolic link, which could give another file's contents to the sandbox.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/base/progress.h"
#include "vmm/cli/cp.h"
#include "vmm/image/tar.h"

#define DEPTH_MAX 200 /* nested directories; each keeps a descriptor open */

struct archive {
	int fd;
	struct tar_entry entry; /* name: of the one at hand */
	size_t left_out;
};

static int write_failed(int code, struct err *err)
{
	return err_code(err, -code, "sending to the sandbox");
}

/* If the file shrinks meanwhile, zeros fill the rest; if it grows, the excess is left out. */
static int add_contents(struct archive *archive, int fd, struct err *err)
{
	static uint8_t buffer[128 << 10];
	uint64_t left = archive->entry.size;
	ssize_t n;
	int ret = 0;

	while (left > 0 && ret == 0) {
		size_t part = min_u64(left, sizeof(buffer));

		n = fd_read_full(fd, buffer, part);
		if (n < 0)
			return err_code(err, (int)-n, "%s", archive->entry.name);
		memset(buffer + n, 0, part - (size_t)n);
		ret = fd_write_full(archive->fd, buffer, part);
		progress_add(part);
		left -= part;
	}
	if (ret == 0)
		ret = tar_write_padding(archive->fd, archive->entry.size);
	return ret < 0 ? write_failed(ret, err) : 0;
}

static int add(struct archive *archive, int directory, const char *name, unsigned depth,
	       struct err *err);

static int add_directory(struct archive *archive, int fd, unsigned depth, struct err *err)
{
	char *name = archive->entry.name;
	size_t length = strlen(name);
	struct dirent *item;
	DIR *list = fdopendir(fd);
	int ret = 0;

	if (!list) {
		fd_close(&fd);
		return err_sys(err, "%s", name);
	}
	while (ret == 0 && (item = readdir(list))) {
		if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
			continue;
		if (depth == DEPTH_MAX || length + strlen(item->d_name) + 2 > PATH_MAX) {
			ret = err_set(err, ENAMETOOLONG, "%s: too deep", name);
			break;
		}
		snprintf(name + length, PATH_MAX - length, "/%s", item->d_name);
		ret = add(archive, dirfd(list), item->d_name, depth + 1, err);
		name[length] = '\0';
	}
	closedir(list);
	return ret;
}

static int add_symlink(struct archive *archive, int directory, const char *name, struct err *err)
{
	ssize_t n = readlinkat(directory, name, archive->entry.link, PATH_MAX - 1);
	int ret;

	if (n < 0)
		return err_sys(err, "%s", archive->entry.name);
	archive->entry.link[n] = '\0';
	ret = tar_write_entry(archive->fd, &archive->entry);
	archive->entry.link[0] = '\0';
	return ret < 0 ? write_failed(ret, err) : 0;
}

static int add_opened(struct archive *archive, int directory, const char *name, unsigned depth,
		      struct err *err)
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK), ret;
	struct stat status;

	if (fd < 0)
		return err_sys(err, "%s", archive->entry.name);
	/* Look again: the file may have been replaced since. */
	if (fstat(fd, &status) < 0 || (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))) {
		fd_close(&fd);
		return err_set(err, EIO, "%s: has changed", archive->entry.name);
	}
	archive->entry.type = S_ISDIR(status.st_mode) ? TAR_DIRECTORY : TAR_FILE;
	archive->entry.size = S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
	ret = tar_write_entry(archive->fd, &archive->entry);
	if (ret < 0)
		ret = write_failed(ret, err);
	else if (S_ISDIR(status.st_mode))
		return add_directory(archive, fd, depth, err);
	else
		ret = add_contents(archive, fd, err);
	fd_close(&fd);
	return ret;
}

static int add(struct archive *archive, int directory, const char *name, unsigned depth,
	       struct err *err)
{
	struct stat status;

	if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "%s", archive->entry.name);
	archive->entry.mode = status.st_mode & 0777;
	archive->entry.mtime = status.st_mtime;
	archive->entry.size = 0;
	if (S_ISLNK(status.st_mode)) {
		archive->entry.type = TAR_SYMLINK;
		return add_symlink(archive, directory, name, err);
	}
	if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))
		return add_opened(archive, directory, name, depth, err);
	archive->left_out++;
	return 0;
}

int cp_archive(int fd, int parent_fd, const char *base, const char *name, struct err *err)
{
	static struct archive archive;
	int ret;

	archive = (struct archive){.fd = fd};
	snprintf(archive.entry.name, sizeof(archive.entry.name), "%s", name);
	ret = add(&archive, parent_fd, base, 0, err);
	if (ret == 0 && tar_write_end(fd) < 0)
		ret = err_set(err, EPIPE, "sending to the sandbox: it stopped reading");
	if (archive.left_out > 0)
		log_warning("%zu devices, pipes or sockets are left out", archive.left_out);
	return ret;
}
