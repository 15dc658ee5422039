/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of the host in a copy: which links they may lead through. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/parent.h"
#include "vmm/cli/cp.h"

/* "." and the like: no name that a sandbox could have replaced by a link. */
static bool is_nameless(const char *path)
{
	const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;

	return !*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0;
}

int cp_open_target(const char *path, const char *source_name, char name[PATH_MAX], struct err *err)
{
	char last[NAME_MAX + 1];
	struct stat status;
	int parent, fd;

	if (is_nameless(path)) {
		snprintf(name, PATH_MAX, "%s", source_name);
		return parent_enter(path, err);
	}
	parent = parent_open(path, last, err);
	if (parent < 0)
		return parent;
	fd = openat(parent, last, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	snprintf(name, PATH_MAX, "%s", fd >= 0 ? source_name : last);
	if (fd < 0 && fstatat(parent, last, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(status.st_mode) && fstatat(parent, last, &status, 0) == 0 &&
	    S_ISDIR(status.st_mode)) {
		fd_close(&parent);
		return err_set(
			err, ELOOP,
			"%s: a symbolic link, which a sandbox may have made: '%s/' copies into "
			"the directory that it leads to",
			path, path);
	}
	if (fd < 0)
		return parent;
	fd_close(&parent);
	return fd;
}

/* The real name of "." and "link/": the directory's own, not the link's. */
static int real_name(int fd, const char *path, char name[NAME_MAX + 1], struct err *err)
{
	char real[PATH_MAX], *slash;
	int ret = fd_real_path(fd, real);

	if (ret < 0)
		return err_code(err, -ret, "%s", path);
	slash = strrchr(real, '/');
	if (!slash || !slash[1] || strlen(slash + 1) > NAME_MAX)
		return err_set(err, EINVAL, "cp: %s: give a path that ends with a name", path);
	memcpy(name, slash + 1, strlen(slash + 1) + 1);
	return 0;
}

int cp_open_source(const char *path, char base[NAME_MAX + 1], char name[NAME_MAX + 1],
		   struct err *err)
{
	struct stat status;
	int fd, ret;

	if (is_nameless(path)) {
		memcpy(base, ".", 2);
		fd = parent_enter(path, err);
		ret = fd < 0 ? fd : real_name(fd, path, name, err);
		if (ret < 0)
			fd_close(&fd);
		return ret < 0 ? ret : fd;
	}
	fd = parent_open(path, base, err);
	if (fd < 0)
		return fd;
	memcpy(name, base, NAME_MAX + 1);
	if (fstatat(fd, base, &status, AT_SYMLINK_NOFOLLOW) < 0) {
		fd_close(&fd);
		return err_sys(err, "%s", path);
	}
	if (S_ISLNK(status.st_mode)) {
		fd_close(&fd);
		return err_set(
			err, ELOOP,
			"%s: a symbolic link, which a sandbox may have made: name what it leads to",
			path);
	}
	return fd;
}
