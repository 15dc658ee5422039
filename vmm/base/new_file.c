/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "vmm/base/fd.h"

#define TRIES 100

/* A temporary name for name. 0 or -errno. */
static int make_name(const char *name, char temporary[NAME_MAX + 1])
{
	uint32_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -EIO;
	if (snprintf(temporary, NAME_MAX + 1, "%s.%06x", name, number & 0xffffff) > NAME_MAX)
		return -ENAMETOOLONG;
	return 0;
}

/* Makes a file with a temporary name. The descriptor or -errno. */
static int make_named(int directory, const char *name, char temporary[NAME_MAX + 1])
{
	int tries, fd = -EEXIST;

	for (tries = 0; tries < TRIES && fd == -EEXIST; tries++) {
		fd = make_name(name, temporary);
		if (fd < 0)
			break;
		fd = openat(directory, temporary,
			    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			fd = -errno;
	}
	if (fd < 0)
		temporary[0] = '\0';
	return fd;
}

int new_file_nameless(int directory)
{
	char temporary[NAME_MAX + 1];
	int fd = openat(directory, ".", O_RDWR | O_TMPFILE | O_EXCL | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	fd = make_named(directory, "nameless", temporary);
	if (fd >= 0)
		unlinkat(directory, temporary, 0);
	return fd;
}

int new_file_open(struct new_file *file, int directory, const char *name)
{
	*file = NEW_FILE_NONE;
	if (!name[0] || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EISDIR;
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	strcpy(file->name, name);
	file->directory = fcntl(directory, F_DUPFD_CLOEXEC, 0);
	if (file->directory < 0)
		return -errno;
	file->fd = openat(directory, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (file->fd < 0)
		file->fd = make_named(directory, name, file->temporary);
	if (file->fd < 0) {
		fd_close(&file->directory);
		return file->fd;
	}
	if (flock(file->fd, LOCK_EX | LOCK_NB) < 0) {
		/* A sweep has locked it first and removes its name: giving it another will fail. */
	}
	return 0;
}

int new_file_open_path(struct new_file *file, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char directory[PATH_MAX] = ".";
	int fd, ret;

	*file = NEW_FILE_NONE;
	if (slash && snprintf(directory, sizeof(directory), "%.*s", (int)(name - path), path) >=
			     (int)sizeof(directory))
		return -ENAMETOOLONG;
	fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = new_file_open(file, fd, name);
	fd_close(&fd);
	return ret;
}

/* Gives a file without a name one, which nothing may have. 0 or -errno. */
static int link_to(const struct new_file *file, const char *name)
{
	char from[32];

	snprintf(from, sizeof(from), "/proc/self/fd/%d", file->fd);
	return linkat(AT_FDCWD, from, file->directory, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int new_file_rename(int directory, const char *from, const char *to)
{
	int ret = renameat2(directory, from, directory, to, RENAME_NOREPLACE);

	return ret < 0 && (errno == EINVAL || errno == ENOSYS)
		       ? renameat(directory, from, directory, to)
		       : ret;
}

static int give_name(struct new_file *file, bool replace)
{
	int tries, ret = -EEXIST;

	if (!file->temporary[0] && !replace)
		return link_to(file, file->name);
	/* Only a rename replaces a file, and it takes one that has a name. */
	for (tries = 0; !file->temporary[0] && tries < TRIES && ret == -EEXIST; tries++) {
		ret = make_name(file->name, file->temporary);
		if (ret == 0)
			ret = link_to(file, file->temporary);
		if (ret < 0)
			file->temporary[0] = '\0';
	}
	if (!file->temporary[0])
		return ret;
	ret = replace ? renameat(file->directory, file->temporary, file->directory, file->name)
		      : new_file_rename(file->directory, file->temporary, file->name);
	if (ret < 0)
		return -errno;
	file->temporary[0] = '\0';
	return 0;
}

static void sync_directory(int directory)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && fsync(fd) < 0) {
		/* A power cut may undo the renaming; what had the name is then still whole. */
	}
	fd_close(&fd);
}

int new_file_finish(struct new_file *file, bool replace)
{
	int ret = fsync(file->fd) < 0 ? -errno : give_name(file, replace);

	if (ret == 0)
		sync_directory(file->directory);
	return ret;
}

void new_file_close(struct new_file *file)
{
	if (file->temporary[0])
		unlinkat(file->directory, file->temporary, 0);
	file->temporary[0] = '\0';
	fd_close(&file->fd);
	fd_close(&file->directory);
}
