/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and creates files, and reads and writes them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
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
	enum policy_op write = append ? POLICY_APPEND : POLICY_WRITE;
	bool reads = (flags & O_ACCMODE) != O_WRONLY;
	/* A person is not asked about what is denied in any case. */
	bool write_first = reads && writes(flags) && place_asks(tree, place, POLICY_READ);
	int ret = 0;

	if (write_first)
		ret = place_allowed(tree, place, write);
	if (ret == 0 && reads)
		ret = place_allowed(tree, place, POLICY_READ);
	if (ret == 0 && !write_first && writes(flags))
		ret = place_allowed(tree, place, write);
	return ret;
}

/* Who has approved that a file is created, has approved that it is written. */
static int permit_new(struct tree *tree, const struct place *place, uint32_t flags)
{
	int ret = place_creatable(tree, place, POLICY_CREATE);

	if (ret < 0 || tree->approved & 1u << POLICY_CREATE)
		return ret;
	return permit(tree, place, flags & ~(uint32_t)O_TRUNC);
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
static bool is_remembered_special(const struct tree *tree, struct node *node, int fd,
				  const struct stat *stat)
{
	struct remembered remembered;

	if (!S_ISREG(stat->st_mode))
		return false;
	remembered_get(tree, node, fd, stat, &remembered);
	return remembered.mode & S_IFMT;
}

/* Opens the file of an O_PATH descriptor, without its contents. */
static int reopen_truncated(const struct tree *tree, int path_fd, int flags)
{
	struct quota_use use;
	int fd = quota_begin(tree->share, path_fd, &use);

	if (fd == 0)
		fd = reopen(tree, path_fd, flags);
	quota_end(&use, fd < 0 ? use.size : 0);
	return fd;
}

/* node: whose place it is, or NULL: whatever is there is opened. */
static int open_existing(struct tree *tree, struct node *node, const struct place *place,
			 uint32_t flags, struct stat *stat)
{
	int path_fd, ret = permit(tree, place, flags);

	if (ret < 0)
		return ret;
	/* Nothing else than a directory is opened before it is known what it is. */
	if (node && (flags & O_DIRECTORY) && !writes(flags)) {
		ret = node_list(tree, node, place, stat);
		if (ret != -ENOTDIR)
			return ret;
	}
	path_fd = node ? node_look(tree, node, place, stat) : place_look(tree, place, stat);
	if (path_fd < 0)
		return path_fd;
	ret = openable(stat, flags);
	if (ret == 0 && is_remembered_special(tree, node, path_fd, stat))
		ret = -EACCES;
	if (ret == 0)
		ret = flags & O_TRUNC
			      ? reopen_truncated(tree, path_fd, host_flags(tree, place, flags))
			      : reopen(tree, path_fd, host_flags(tree, place, flags));
	fd_close(&path_fd);
	return ret;
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
	ret = permit_new(tree, place, flags);
	/* The rules may allow writing an existing file and deny creating one. */
	if (ret == -EACCES && !(flags & O_EXCL)) {
		fd = open_existing(tree, NULL, place, flags, stat);
		return fd == -ENOENT ? -EACCES : fd;
	}
	if (ret < 0)
		return ret == -ENOENT ? -EACCES : ret; /* the same whether absent or hidden */
	ret = quota_name(tree->share);
	fd = ret < 0 ? ret
		     : place_open(tree, place,
				  (host_flags(tree, place, flags) & ~O_TRUNC) | O_CREAT | O_EXCL |
					  O_NOFOLLOW | O_NOCTTY,
				  mode & FILES_MODE_BITS);
	if (fd < 0 && ret == 0)
		quota_unname(tree->share);
	/* One that exists needs no room for another. */
	if (ret == -ENOSPC && !(flags & O_EXCL)) {
		fd = open_existing(tree, NULL, place, flags, stat);
		return fd == -ENOENT ? ret : fd;
	}
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
		ret = permit_new(tree, &place, flags);
	if (ret < 0)
		return ret;
	path_fd = node_open_directory(tree, directory);
	if (path_fd < 0)
		return path_fd;
	fd_path(path, path_fd);
	fd = open(path,
		  (host_flags(tree, &place, flags) & ~O_TRUNC) | O_TMPFILE | O_CLOEXEC |
			  (int)(flags & O_EXCL),
		  mode & FILES_MODE_BITS);
	ret = -errno;
	fd_close(&path_fd);
	if (fd < 0 || fstat(fd, stat) == 0)
		return fd < 0 ? ret : fd;
	ret = -errno;
	fd_close(&fd);
	return ret;
}

/* --- contents --------------------------------------------------------------------------------- */

long file_read(const struct open_file *file, uint64_t offset, void *to, size_t count)
{
	long n = pread(file->fd, to, count, (off_t)offset);

	return n < 0 ? -errno : n;
}

/* A descriptor with O_APPEND writes at the end, whatever the offset: see op_open(). */
static bool writes_at_end(const struct quota_use *use, const struct open_file *file, bool at_end)
{
	return at_end ||
	       (use->quota && (file->flags & O_APPEND) && (fcntl(file->fd, F_GETFL) & O_APPEND));
}

long file_write(const struct files_share *share, const struct open_file *file, uint64_t offset,
		const void *from, size_t count, bool at_end)
{
	const struct iovec iovec = {.iov_base = (void *)(uintptr_t)from, .iov_len = count};
	struct quota_use use;
	int ret = quota_begin_open(share, file->counted, file->fd, &use);
	uint64_t end = writes_at_end(&use, file, at_end) ? use.size : offset;
	long n = -1;

	if (ret == 0)
		ret = quota_grow(&use, end + count);
	if (ret == 0) {
		n = at_end ? pwritev2(file->fd, &iovec, 1, (off_t)offset, RWF_APPEND)
			   : pwrite(file->fd, from, count, (off_t)offset);
		ret = n < 0 ? -errno : 0;
	}
	quota_end(&use, n > 0 ? max_u64(use.size, end + (uint64_t)n) : use.size);
	return ret < 0 ? ret : n;
}

int file_allocate(const struct files_share *share, const struct open_file *file, int mode,
		  uint64_t offset, uint64_t length)
{
	bool keeps = mode & FALLOC_FL_KEEP_SIZE, clears = mode & FALLOC_FL_PUNCH_HOLE;
	struct quota_use use;
	struct stat stat;
	uint64_t size;
	int ret = quota_begin_open(share, file->counted, file->fd, &use);

	size = use.size;
	/* Room beyond the end would not be counted. */
	if (ret == 0 && use.quota && keeps && !clears && offset + length > use.size)
		ret = -EOPNOTSUPP;
	if (ret == 0 && !keeps)
		ret = quota_grow(&use, offset + length);
	if (ret == 0) {
		if (fallocate(file->fd, mode, (off_t)offset, (off_t)length) < 0)
			ret = -errno;
		/* One that failed may have done a part. */
		if (use.quota && !keeps && fstat(file->fd, &stat) == 0 &&
		    (uint64_t)stat.st_size > size)
			size = min_u64((uint64_t)stat.st_size, max_u64(size, offset + length));
	}
	quota_end(&use, size);
	return ret;
}

long file_copy(const struct files_share *share, const struct open_file *from, uint64_t from_offset,
	       const struct open_file *to, uint64_t to_offset, size_t length)
{
	off_t in = (off_t)from_offset, out = (off_t)to_offset;
	struct quota_use use;
	int ret = quota_begin_open(share, to->counted, to->fd, &use);
	ssize_t n = -1;

	if (ret == 0)
		ret = quota_grow(&use, to_offset + length);
	if (ret == 0) {
		n = copy_file_range(from->fd, &in, to->fd, &out, length, 0);
		ret = n < 0 ? -errno : 0;
	}
	quota_end(&use, n > 0 ? max_u64(use.size, to_offset + (uint64_t)n) : use.size);
	return ret < 0 ? ret : n;
}
