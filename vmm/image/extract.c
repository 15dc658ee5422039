/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/extract.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/progress.h"

#define DEPTH_MAX 200 /* nested directories to remove; each level keeps a descriptor open */

int extract_open(int directory_fd, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {.flags = flags | O_CLOEXEC | O_NOFOLLOW, .resolve = resolve};
	int fd = (int)syscall(SYS_openat2, directory_fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

int extract_open_parent(int directory_fd, char *path, uint64_t resolve, const char **name)
{
	char *slash = strrchr(path, '/');
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = resolve,
	};
	int fd;

	if (!slash) {
		*name = path;
		fd = fcntl(directory_fd, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? -errno : fd;
	}
	*slash = '\0';
	fd = (int)syscall(SYS_openat2, directory_fd, path, &how, sizeof(how));
	fd = fd < 0 ? -errno : fd;
	*slash = '/';
	*name = slash + 1;
	return fd;
}

static int copy_contents(struct tar_reader *reader, int fd, struct err *err)
{
	static uint8_t buffer[128 << 10];
	bool hole = false;
	uint64_t skipped;
	ssize_t n;
	int ret;

	do {
		skipped = tar_skip_hole(reader);
		if (skipped > 0 && lseek(fd, (off_t)skipped, SEEK_CUR) < 0)
			return err_sys(err, "writing");
		hole |= skipped > 0;
		n = tar_read(reader, buffer, sizeof(buffer), err);
		ret = n > 0 ? fd_write_full(fd, buffer, (size_t)n) : 0;
		if (ret < 0)
			return err_code(err, -ret, "writing");
		progress_add(n > 0 ? (uint64_t)n : 0);
	} while (n > 0);
	if (n == 0 && hole && ftruncate(fd, lseek(fd, 0, SEEK_CUR)) < 0)
		return err_sys(err, "writing");
	return (int)n;
}

int extract_file(struct tar_reader *reader, int parent, const char *name, mode_t mode,
		 const struct tar_entry *entry, struct err *err)
{
	struct timespec times[2] = {
		{.tv_nsec = UTIME_OMIT},
		{.tv_sec = entry->mtime, .tv_nsec = entry->mtime_nsec},
	};
	int fd, ret;

	/* A new file: an existing one, which may have other links, is not written into. */
	if (unlinkat(parent, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, "%s", name);
	fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(err, "%s", name);
	ret = copy_contents(reader, fd, err);
	if (ret == 0)
		futimens(fd, times);
	fd_close(&fd);
	return ret;
}

int extract_symlink(int parent, const char *name, const struct tar_entry *entry, struct err *err)
{
	if (unlinkat(parent, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, "%s", name);
	return symlinkat(entry->link, parent, name) < 0 ? err_sys(err, "%s", name) : 0;
}

int extract_link(int directory_fd, char *path, uint64_t resolve, int parent, const char *name,
		 struct err *err)
{
	struct stat status, here;
	const char *old;
	int directory, ret = 0;

	directory = extract_open_parent(directory_fd, path, resolve, &old);
	if (directory < 0)
		return err_code(err, -directory, "%s", path);
	if (fstatat(directory, old, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (!S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode)))
		ret = err_set(err, EPROTO, "%s: a hard link to a missing file", path);
	else if (fstatat(parent, name, &here, AT_SYMLINK_NOFOLLOW) == 0 &&
		 here.st_ino == status.st_ino && here.st_dev == status.st_dev)
		ret = 0; /* it is that file already; unlinking it might remove its only name */
	else if (unlinkat(parent, name, 0) < 0 && errno != ENOENT)
		ret = err_sys(err, "%s", name);
	else if (linkat(directory, old, parent, name, 0) < 0)
		ret = err_sys(err, "%s", name);
	fd_close(&directory);
	return ret;
}

/* --- removing --------------------------------------------------------------------------------- */

static int remove_at(int parent, const char *name, unsigned depth, struct err *err);

static int remove_contents(int fd, unsigned depth, struct err *err)
{
	struct dirent *item;
	DIR *list = fdopendir(fd);
	int ret = 0;

	if (!list) {
		ret = err_sys(err, "a directory");
		fd_close(&fd);
		return ret;
	}
	while (ret == 0 && (item = readdir(list)))
		if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0)
			ret = remove_at(dirfd(list), item->d_name, depth, err);
	closedir(list);
	return ret;
}

static int remove_at(int parent, const char *name, unsigned depth, struct err *err)
{
	int fd, ret;

	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return err_sys(err, "%s", name);
	if (depth == DEPTH_MAX)
		return err_set(err, ELOOP, "%s: too deep", name);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "%s", name);
	ret = remove_contents(fd, depth + 1, err);
	if (ret == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		ret = err_sys(err, "%s", name);
	return ret;
}

int extract_remove(int parent, const char *name, struct err *err)
{
	return remove_at(parent, name, 0, err);
}
