/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/fd.h"

#define FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)

/* Whether only host root can have made the links in this directory. */
static bool is_trusted(int directory)
{
	struct stat status, top;

	if (fstat(directory, &status) < 0 || stat("/", &top) < 0)
		return false;
	if (status.st_dev == top.st_dev && status.st_ino == top.st_ino)
		return true;
	return geteuid() != 0 && status.st_uid == 0 && (status.st_mode & 022) == 0;
}

/* One step down: 0 or -errno. */
static int step(int *at, const char *name)
{
	int next = openat(*at, name, FLAGS | O_NOFOLLOW);
	struct stat status;

	/* With O_DIRECTORY a link gives ENOTDIR. */
	if (next < 0 && (errno == ENOTDIR || errno == ELOOP) &&
	    fstatat(*at, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode)) {
		if (!is_trusted(*at))
			return -ELOOP;
		next = openat(*at, name, FLAGS);
	}
	if (next < 0)
		return -errno;
	fd_close(at);
	*at = next;
	return 0;
}

static int walk(int *at, const char *path, char name[NAME_MAX + 1])
{
	size_t length;
	int ret;

	for (name[0] = '\0';; path += length) {
		path += strspn(path, "/");
		length = strcspn(path, "/");
		if (length == 0)
			break;
		if (length > NAME_MAX)
			return -ENAMETOOLONG;
		ret = name[0] ? step(at, name) : 0;
		if (ret < 0)
			return ret;
		memcpy(name, path, length);
		name[length] = '\0';
	}
	return !name[0] || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ? -EINVAL : 0;
}

/* Makes the message for an error of walk(); name: the component at which it stopped. */
static int walk_error(int ret, const char *path, const char *name, struct err *err)
{
	if (ret == -EINVAL)
		return err_set(err, EINVAL, "%s: the path must end with a name", path);
	if (ret == -ELOOP)
		return err_set(
			err, ELOOP,
			"%s: '%s' is a symbolic link, which a sandbox may have planted: give "
			"the path of its target instead",
			path, name);
	return err_code(err, -ret, "%s", path);
}

static int open_start(const char *path, struct err *err)
{
	int at = open(path[0] == '/' ? "/" : ".", FLAGS);

	return at < 0 ? err_sys(err, "%s", path[0] == '/' ? "/" : "the current directory") : at;
}

int parent_open(const char *path, char name[NAME_MAX + 1], struct err *err)
{
	int at = open_start(path, err), ret;

	if (at < 0)
		return at;
	ret = walk(&at, path, name);
	if (ret == 0)
		return at;
	fd_close(&at);
	return walk_error(ret, path, name, err);
}

int parent_enter(const char *path, struct err *err)
{
	char name[NAME_MAX + 1];
	int at = open_start(path, err), next, ret;

	if (at < 0)
		return at;
	ret = walk(&at, path, name);
	if (ret == 0 || ret == -EINVAL) {
		next = openat(at, name[0] ? name : ".", FLAGS);
		ret = next < 0 ? -errno : next;
	}
	fd_close(&at);
	return ret < 0 ? walk_error(ret, path, name, err) : ret;
}
