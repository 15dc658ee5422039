/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE: locks that the host has for the guest. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "vmm/base/fd.h"
#include "vmm/files/fuse_lock.h"

int fuse_lock_range(int fd, int command, int type, int64_t start, int64_t end, struct flock *lock)
{
	*lock = (struct flock){
		.l_type = (short)type,
		.l_whence = SEEK_SET,
		.l_start = start,
		.l_len = end == INT64_MAX ? 0 : end - start + 1,
	};
	return fcntl(fd, command, lock) < 0 ? -errno : 0;
}

/* A second open file, with the ranges that the first one has. */
static int copy_ranges(const struct fuse_locks *locks, int to)
{
	const struct fuse_lock *lock;
	struct flock range;
	int ret = 0;

	for (lock = locks->first; lock && ret == 0; lock = lock->next)
		if (!lock->flock)
			ret = fuse_lock_range(to, F_OFD_SETLK, lock->type, lock->start, lock->end,
					      &range);
	return ret;
}

/* Opens the host's file for ranges of this type, if it is not open so. 0 or -errno. */
static int open_host(struct fuse_root *root, struct fuse_locks *locks,
		     const struct fuse_handle *handle, int type)
{
	bool writes = (handle->file.flags & O_ACCMODE) != O_RDONLY;
	int flags = type == F_WRLCK && writes ? O_RDWR : O_RDONLY, fd;

	if (locks->host >= 0 && (locks->host_flags == O_RDWR || flags == O_RDONLY))
		return 0;
	fd = reopen(root->tree, handle->file.fd, flags);
	/* A file that the server may not read. */
	if (fd < 0 && writes) {
		flags = O_WRONLY;
		fd = reopen(root->tree, handle->file.fd, flags);
	}
	if (fd < 0)
		return -ENOLCK;
	if (locks->host >= 0 ? copy_ranges(locks, fd) < 0 : !file_count(root->tree)) {
		fd_close(&fd);
		return -ENOLCK;
	}
	fd_close(&locks->host);
	locks->host = fd;
	locks->host_flags = flags;
	return 0;
}

int fuse_lock_host(struct fuse_root *root, struct fuse_locks *locks, const struct fuse_lock *wanted)
{
	struct fuse_handle *handle = wanted->handle;
	struct flock range;
	int ret;

	if (root->tree->share->read_only)
		return 0;
	if (wanted->flock) {
		if (flock(handle->file.fd,
			  (wanted->type == F_RDLCK ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0)
			return -errno;
		handle->flocked = true;
		return 0;
	}
	ret = open_host(root, locks, handle, wanted->type);
	if (ret == 0)
		ret = fuse_lock_range(locks->host, F_OFD_SETLK, wanted->type, wanted->start,
				      wanted->end, &range);
	return ret == -EACCES ? -EAGAIN : ret;
}

void fuse_unlock_host(const struct fuse_locks *locks, int64_t start, int64_t end)
{
	const struct fuse_lock *lock;
	struct flock range;
	int64_t stop;
	bool covered;

	while (locks->host >= 0 && start <= end) {
		covered = false;
		stop = end;
		for (lock = locks->first; lock; lock = lock->next) {
			if (lock->flock || lock->end < start || lock->start > stop)
				continue;
			covered = lock->start <= start;
			stop = covered ? lock->end : lock->start - 1;
			if (covered)
				break;
		}
		if (!covered)
			fuse_lock_range(locks->host, F_OFD_SETLK, F_UNLCK, start, stop, &range);
		if (stop == INT64_MAX)
			break;
		start = stop + 1;
	}
}
