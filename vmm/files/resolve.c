/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one way to the host's files: a path is resolved from the share's root, beneath it, and
 * through no symbolic link. The guest's kernel follows the links of a share itself.
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/files/internal.h"

/* The kernel requests another try if something was renamed during a walk. */
#define OPEN_TRIES 16

#define FD_PATH "/proc/self/fd/"

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

/* With fd or -errno. */
static int check_node(struct tree *tree, struct node *node, int fd, const struct stat *stat)
{
	if (fd >= 0 && !node_is(node, stat)) {
		fd_close(&fd);
		node_remove(tree, node);
		return -ESTALE;
	}
	return fd;
}

int node_look(struct tree *tree, struct node *node, const struct place *place, struct stat *stat)
{
	return check_node(tree, node, place_look(tree, place, stat), stat);
}

int node_list(struct tree *tree, struct node *node, const struct place *place, struct stat *stat)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;

	return check_node(tree, node, get_status(place_open(tree, place, flags, 0), stat), stat);
}

int node_open_directory(const struct tree *tree, const struct node *node)
{
	struct place place;
	int ret = place_of_any(tree, node, &place);

	return ret < 0 ? ret : place_open(tree, &place, O_PATH | O_NOFOLLOW | O_DIRECTORY, 0);
}

void fd_path(char to[FD_PATH_SIZE], int fd)
{
	char digits[12];
	unsigned left = (unsigned)fd, count = 0;

	/* snprintf() costs as much as a system call. */
	memcpy(to, FD_PATH, sizeof(FD_PATH) - 1);
	to += sizeof(FD_PATH) - 1;
	do {
		digits[count++] = (char)('0' + left % 10);
		left /= 10;
	} while (left > 0);
	while (count > 0)
		*to++ = digits[--count];
	*to = '\0';
}

int reopen_begin(void)
{
	return open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int reopen(const struct tree *tree, int path_fd, int flags)
{
	char path[FD_PATH_SIZE];
	int fd;

	fd_path(path, path_fd);
	fd = openat(tree->proc_fd, tree->proc_fd < 0 ? path : path + sizeof(FD_PATH) - 1,
		    flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* --- times ------------------------------------------------------------------------------------ */

static int64_t nanoseconds(const struct timespec *time)
{
	return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

bool stat_has_settled(const struct stat *stat)
{
	bool coarse = stat->st_ctim.tv_nsec == 0 && stat->st_mtim.tv_nsec == 0;
	int64_t wait = coarse ? FUSED_SETTLE_COARSE_NS : FUSED_SETTLE_NS;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return stat->st_ctim.tv_sec <= now.tv_sec &&
	       nanoseconds(&stat->st_ctim) + wait < nanoseconds(&now);
}
