/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and creates files, and reads and writes them. */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/files/operations.h"
#include "vmm/files/remember.h"

static bool writes(uint32_t flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
}

/* Lets the policy decide about an open with these flags. */
static int permit(struct tree *tree, const struct place *place, uint32_t flags)
{
	bool append = (flags & O_APPEND) && !(flags & O_TRUNC);
	int ret = 0;

	if ((flags & O_ACCMODE) != O_WRONLY)
		ret = place_allowed(tree, place, POLICY_READ);
	if (ret == 0 && writes(flags))
		ret = place_allowed(tree, place, append ? POLICY_APPEND : POLICY_WRITE);
	return ret;
}

/*
 * The flags that the host needs. With O_APPEND no write can be anywhere else than at the end, not
 * even one from the guest's page cache that has an offset: so only where the policy wants it.
 */
static int host_flags(struct tree *tree, const struct place *place, uint32_t flags)
{
	int host = (int)(flags & (O_ACCMODE | O_TRUNC));

	if ((flags & O_APPEND) && place_quietly_allowed(tree, place, POLICY_WRITE) < 0)
		host |= O_APPEND;
	if ((flags & O_SYNC) == O_SYNC)
		host |= O_SYNC;
	else if (flags & O_DSYNC)
		host |= O_DSYNC;
	return host;
}

/* Whether the file of an O_PATH descriptor may be opened with these flags: 0 or -errno. */
static int openable(const struct stat *stat, uint32_t flags)
{
	bool set_id = (stat->st_mode & S_ISUID) ||
		      ((stat->st_mode & S_ISGID) && (stat->st_mode & S_IXGRP));

	if (S_ISDIR(stat->st_mode))
		return writes(flags) ? -EISDIR : 0;
	if (S_ISLNK(stat->st_mode))
		return -ELOOP;
	if (!S_ISREG(stat->st_mode))
		return -EACCES; /* a device, FIFO or socket of the host */
	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	/*
	 * A set-id program of the host that the guest has written would run with the owner's
	 * rights.
	 */
	return set_id && writes(flags) ? -EPERM : 0;
}

/* A special file of the sandbox is an empty file of the host. */
static bool is_remembered_special(const struct files_share *share, int fd, const struct stat *stat)
{
	struct remembered remembered;

	if (!S_ISREG(stat->st_mode))
		return false;
	remembered_get(share, fd, &remembered);
	return remembered.mode & S_IFMT;
}

/* node: whose place it is, or NULL: whatever is there is opened. */
static int open_existing(struct tree *tree, struct node *node, const struct place *place,
			 uint32_t flags, struct stat *stat)
{
	int path_fd, fd, ret = permit(tree, place, flags);

	if (ret < 0)
		return ret;
	path_fd = node ? node_look(tree, node, place, stat) : place_look(tree, place, stat);
	if (path_fd < 0)
		return path_fd;
	ret = openable(stat, flags);
	if (ret == 0 && is_remembered_special(tree->share, path_fd, stat))
		ret = -EACCES;
	fd = ret < 0 ? ret : reopen(path_fd, host_flags(tree, place, flags));
	fd_close(&path_fd);
	return fd;
}

int op_open(struct tree *tree, struct node *node, uint32_t flags, struct stat *stat)
{
	struct place place;
	int ret = place_of(tree, node, &place);

	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	return ret < 0 ? ret : open_existing(tree, node, &place, flags, stat);
}

int op_create(struct tree *tree, const struct place *place, uint32_t flags, uint32_t mode,
	      struct stat *stat, bool *created)
{
	int fd, ret;

	*created = false;
	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	ret = place_creatable(tree, place, POLICY_CREATE);
	if (ret == 0)
		ret = permit(tree, place, flags & ~(uint32_t)O_TRUNC);
	/* The rules may allow writing an existing file and deny creating one. */
	if (ret == -EACCES && !(flags & O_EXCL)) {
		fd = open_existing(tree, NULL, place, flags, stat);
		return fd == -ENOENT ? -EACCES : fd;
	}
	if (ret < 0)
		return ret == -ENOENT ? -EACCES : ret; /* the same whether absent or hidden */
	fd = place_open(tree, place,
			(host_flags(tree, place, flags) & ~O_TRUNC) | O_CREAT | O_EXCL |
				O_NOFOLLOW | O_NOCTTY,
			mode & 0777);
	if (fd == -EEXIST && !(flags & O_EXCL))
		return open_existing(tree, NULL, place, flags, stat);
	if (fd < 0)
		return fd;
	*created = true;
	if (fstat(fd, stat) == 0)
		return fd;
	ret = -errno;
	fd_close(&fd);
	return ret;
}

int op_tmpfile(struct tree *tree, struct node *directory, uint32_t flags, uint32_t mode,
	       struct stat *stat)
{
	/* It has no name yet: a rule about any name in the directory decides. */
	static const char name[] = "#tmpfile";
	char path[FD_PATH_SIZE];
	struct place place;
	int fd, path_fd, ret = place_child(tree, directory, name, sizeof(name) - 1, &place);

	if ((flags & O_ACCMODE) != O_WRONLY && (flags & O_ACCMODE) != O_RDWR)
		return -EINVAL;
	if (ret == 0)
		ret = place_creatable(tree, &place, POLICY_CREATE);
	if (ret == 0)
		ret = permit(tree, &place, flags & ~(uint32_t)O_TRUNC);
	if (ret < 0)
		return ret;
	path_fd = node_open_directory(tree, directory);
	if (path_fd < 0)
		return path_fd;
	fd_path(path, path_fd);
	fd = open(path,
		  (host_flags(tree, &place, flags) & ~O_TRUNC) | O_TMPFILE | O_CLOEXEC |
			  (int)(flags & O_EXCL),
		  mode & 0777);
	ret = -errno;
	fd_close(&path_fd);
	if (fd < 0 || fstat(fd, stat) == 0)
		return fd < 0 ? ret : fd;
	ret = -errno;
	fd_close(&fd);
	return ret;
}

long file_read(const struct open_file *file, uint64_t offset, void *to, size_t count)
{
	long n = pread(file->fd, to, count, (off_t)offset);

	return n < 0 ? -errno : n;
}

long file_write(const struct open_file *file, uint64_t offset, const void *from, size_t count,
		bool at_end)
{
	const struct iovec iovec = {.iov_base = (void *)(uintptr_t)from, .iov_len = count};
	long n = at_end ? pwritev2(file->fd, &iovec, 1, (off_t)offset, RWF_APPEND)
			: pwrite(file->fd, from, count, (off_t)offset);

	return n < 0 ? -errno : n;
}
