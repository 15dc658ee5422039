/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one way to the host's files: a path is resolved from the share's root, beneath it, and
 * through no symbolic link. The guest's kernel follows the links of a share itself.
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/files/internal.h"

/* The kernel requests another try if something was renamed during a walk. */
#define OPEN_TRIES 16

static const char *relative(const struct place *place)
{
	return place->length <= place->at ? "." : place->text + place->at;
}

int place_open(const struct tree *tree, const struct place *place, int flags, unsigned mode)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   (tree->share->host_root ? 0 : RESOLVE_NO_XDEV),
	};
	int fd, tries = 0;

	do {
		fd = (int)syscall(SYS_openat2, tree->share->root_fd, relative(place), &how,
				  sizeof(how));
	} while (fd < 0 && (errno == EAGAIN || errno == EINTR) && ++tries < OPEN_TRIES);
	if (fd >= 0)
		return fd;
	switch (errno) {
	case EXDEV: /* a mount point */
		return -EACCES;
	case ELOOP: /* the host has replaced a directory by a symbolic link */
		return -ENOTDIR;
	case EAGAIN:
		return -EIO;
	default:
		return -errno;
	}
}

/* With fd or -errno. */
static int get_status(int fd, struct stat *stat)
{
	int ret;

	if (fd < 0 || fstat(fd, stat) == 0)
		return fd;
	ret = -errno;
	fd_close(&fd);
	return ret;
}

int place_look(const struct tree *tree, const struct place *place, struct stat *stat)
{
	return get_status(place_open(tree, place, O_PATH | O_NOFOLLOW, 0), stat);
}

int name_look(int directory, const char *name, bool mounts, struct stat *stat)
{
	const struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (mounts ? 0 : RESOLVE_NO_XDEV),
	};
	int fd, tries = 0;

	do {
		fd = (int)syscall(SYS_openat2, directory, name, &how, sizeof(how));
	} while (fd < 0 && (errno == EAGAIN || errno == EINTR) && ++tries < OPEN_TRIES);
	return get_status(fd < 0 ? -errno : fd, stat);
}

int node_look(struct tree *tree, struct node *node, const struct place *place, struct stat *stat)
{
	int fd = place_look(tree, place, stat);

	if (fd >= 0 && !node_is(node, stat)) {
		fd_close(&fd);
		node_remove(tree, node);
		return -ESTALE;
	}
	return fd;
}

int node_open_directory(const struct tree *tree, const struct node *node)
{
	struct place place;
	int ret = place_of(tree, node, &place);

	return ret < 0 ? ret : place_open(tree, &place, O_PATH | O_NOFOLLOW | O_DIRECTORY, 0);
}

void fd_path(char to[FD_PATH_SIZE], int fd)
{
	snprintf(to, FD_PATH_SIZE, "/proc/self/fd/%d", fd);
}

int reopen(int path_fd, int flags)
{
	char path[FD_PATH_SIZE];
	int fd;

	fd_path(path, path_fd);
	fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}
