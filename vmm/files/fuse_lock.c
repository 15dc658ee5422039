/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FUSE: advisory locks, fcntl(2)'s of byte ranges and flock(2)'s of open files, which do not meet.
 *
 * A table for each node decides between processes of the guest. In a share that may be written, the
 * host's kernel decides between this guest, the host's programs and other sandboxes: it has the
 * union of the table's ranges, as locks of one open file description a node, and flock(2) of each
 * handle's. What an owner unlocks stays locked on the host as long as another owner has it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/files/fuse_internal.h"

struct fuse_lock {
	struct fuse_lock *next;
	struct fuse_handle *handle; /* that it was taken through */
	uint64_t owner;
	int64_t start, end; /* the last byte */
	int type;	    /* F_RDLCK or F_WRLCK */
	uint32_t pid;
	bool flock;
};

struct fuse_locks {
	struct fuse_lock *first;
	int host;	/* -1: the host has no range */
	int host_flags; /* of its open */
};

static atomic_uint locks_all;

/* One more lock, of the session and of all sessions. */
static struct fuse_lock *lock_new(struct fuse_root *root)
{
	struct fuse_lock *lock;

	if (atomic_fetch_add(&root->session->locks, 1) >= FUSED_LOCKS_MAX)
		goto session;
	if (atomic_fetch_add(&locks_all, 1) >= FUSED_LOCKS_ALL)
		goto all;
	lock = calloc(1, sizeof(*lock));
	if (lock)
		return lock;
all:
	atomic_fetch_sub(&locks_all, 1);
session:
	atomic_fetch_sub(&root->session->locks, 1);
	return NULL;
}

static void lock_free(struct fuse_root *root, struct fuse_lock *lock)
{
	if (!lock)
		return;
	free(lock);
	atomic_fetch_sub(&locks_all, 1);
	atomic_fetch_sub(&root->session->locks, 1);
}

static bool same_owner(const struct fuse_lock *a, const struct fuse_lock *b)
{
	return a->flock == b->flock && a->owner == b->owner;
}

static bool overlap(const struct fuse_lock *a, const struct fuse_lock *b)
{
	return a->start <= b->end && b->start <= a->end;
}

/* A lock of another owner that excludes this one. */
static const struct fuse_lock *find_conflict(const struct fuse_locks *locks,
					     const struct fuse_lock *wanted)
{
	const struct fuse_lock *lock = locks ? locks->first : NULL;

	while (lock &&
	       (lock->flock != wanted->flock || same_owner(lock, wanted) ||
		!overlap(lock, wanted) || (lock->type == F_RDLCK && wanted->type == F_RDLCK)))
		lock = lock->next;
	return lock;
}

/* --- on the host -------------------------------------------------------------------------------
 */

static int host_range(int fd, int command, int type, int64_t start, int64_t end, struct flock *lock)
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
			ret = host_range(to, F_OFD_SETLK, lock->type, lock->start, lock->end,
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
	fd = reopen(handle->file.fd, flags);
	/* A file that the server may not read. */
	if (fd < 0 && writes) {
		flags = O_WRONLY;
		fd = reopen(handle->file.fd, flags);
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

/* 0, -EAGAIN or another error. */
static int lock_host(struct fuse_root *root, struct fuse_locks *locks,
		     const struct fuse_lock *wanted)
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
		ret = host_range(locks->host, F_OFD_SETLK, wanted->type, wanted->start, wanted->end,
				 &range);
	return ret == -EACCES ? -EAGAIN : ret;
}

/* Unlocks on the host what no owner has locked of a range. */
static void unlock_host(const struct fuse_locks *locks, int64_t start, int64_t end)
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
			host_range(locks->host, F_OFD_SETLK, F_UNLCK, start, stop, &range);
		if (stop == INT64_MAX)
			break;
		start = stop + 1;
	}
}

/* --- the table ---------------------------------------------------------------------------------
 */

/*
 * Removes an owner's hold on a range: locks within it, and parts of those that reach into it.
 * spare, for the second part of a lock that is split, is used up then.
 */
static void cut(struct fuse_root *root, struct fuse_locks *locks, const struct fuse_lock *range,
		struct fuse_lock **spare)
{
	struct fuse_lock **at = &locks->first, *lock, *second;

	while ((lock = *at)) {
		if (!same_owner(lock, range) || !overlap(lock, range)) {
			at = &lock->next;
		} else if (lock->start < range->start && lock->end > range->end) {
			second = *spare;
			*spare = NULL;
			*second = *lock;
			second->start = range->end + 1;
			lock->end = range->start - 1;
			lock->next = second;
			second->handle->locked++;
			return;
		} else if (lock->start < range->start) {
			lock->end = range->start - 1;
			at = &lock->next;
		} else if (lock->end > range->end) {
			lock->start = range->end + 1;
			at = &lock->next;
		} else {
			*at = lock->next;
			lock->handle->locked--;
			lock_free(root, lock);
		}
	}
}

static bool touch(const struct fuse_lock *a, const struct fuse_lock *b)
{
	return (a->end != INT64_MAX && a->end + 1 == b->start) ||
	       (b->end != INT64_MAX && b->end + 1 == a->start);
}

/* Adds a lock to the table, joined with those of its owner that it touches. */
static void join(struct fuse_root *root, struct fuse_locks *locks, struct fuse_lock *added)
{
	struct fuse_lock **at = &locks->first, *lock;

	while ((lock = *at)) {
		if (!same_owner(lock, added) || lock->type != added->type ||
		    lock->handle != added->handle || !touch(lock, added)) {
			at = &lock->next;
			continue;
		}
		if (lock->start < added->start)
			added->start = lock->start;
		else
			added->end = lock->end;
		*at = lock->next;
		lock->handle->locked--;
		lock_free(root, lock);
		at = &locks->first; /* the longer one may touch others */
	}
	added->handle->locked++;
	added->next = locks->first;
	locks->first = added;
}

/* After locks were removed: closes the host's file without ranges, and frees a table without locks.
 */
static void tidy(struct fuse_root *root, struct node *node)
{
	struct fuse_locks *locks = node->locks;
	const struct fuse_lock *lock = locks->first;

	while (lock && lock->flock)
		lock = lock->next;
	if (!lock && locks->host >= 0) {
		fd_close(&locks->host);
		file_uncount(root->tree);
	}
	if (!locks->first) {
		free(locks);
		node->locks = NULL;
	}
}

static void unlock(struct fuse_root *root, struct node *node, const struct fuse_lock *range,
		   struct fuse_lock **spare)
{
	cut(root, node->locks, range, spare);
	if (!range->flock)
		unlock_host(node->locks, range->start, range->end);
	else if (range->handle->flocked && flock(range->handle->file.fd, LOCK_UN) == 0)
		range->handle->flocked = false;
	tidy(root, node);
	fuse_wake(root, node);
}

void fuse_locks_drop(struct fuse_root *root, struct fuse_handle *handle, const uint64_t *owner)
{
	struct node *node = handle->file.node;
	struct fuse_lock *lock, *none = NULL, range;

	lock = node->locks && (owner || handle->locked) ? node->locks->first : NULL;
	while (lock) {
		if (owner ? lock->flock || lock->owner != *owner : lock->handle != handle) {
			lock = lock->next;
			continue;
		}
		/* Just this lock, so that none is split. */
		range = *lock;
		unlock(root, node, &range, &none);
		lock = node->locks ? node->locks->first : NULL;
	}
}

/* --- requests ----------------------------------------------------------------------------------
 */

/* Takes a request about a lock of a handle, as the policy allows it now: 0 or -errno. */
static int take_lock(struct fuse_request *request, struct fuse_lock *lock)
{
	struct fuse_lk_in in;
	int ret = fuse_take(request, &in, sizeof(in));

	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret == 0 && ((in.lk_flags & ~(uint32_t)FUSE_LK_FLOCK) || in.lk.start > in.lk.end ||
			 in.lk.end > INT64_MAX || in.lk.type > F_UNLCK))
		ret = -EINVAL;
	if (ret == 0)
		ret = fuse_find_handle(request, in.fh, &lock->handle);
	if (ret < 0)
		return ret;
	lock->flock = in.lk_flags & FUSE_LK_FLOCK;
	lock->owner = lock->flock ? in.fh : in.owner;
	lock->start = lock->flock ? 0 : (int64_t)in.lk.start;
	lock->end = lock->flock ? INT64_MAX : (int64_t)in.lk.end;
	lock->type = (int)in.lk.type;
	lock->pid = in.lk.pid;
	/* What was locked may be unlocked under any policy. */
	return lock->type == F_UNLCK ? 0
				     : file_allowed(request->root->tree, &lock->handle->file,
						    file_op(&lock->handle->file));
}

/* GETLK: the first lock that is in the way. Who on the host has one is not told. */
int fuse_getlk(struct fuse_request *request)
{
	struct fuse_lk_out out = {.lk = {.type = F_UNLCK}};
	const struct fuse_lock *other;
	struct fuse_locks *locks = request->node->locks;
	struct fuse_lock lock;
	struct flock range;
	int ret = take_lock(request, &lock), fd;

	if (ret == 0 && lock.type == F_UNLCK)
		ret = -EINVAL;
	if (ret < 0)
		return ret;
	other = find_conflict(locks, &lock);
	fd = locks && locks->host >= 0 ? locks->host : lock.handle->file.fd;
	if (other) {
		out.lk = (struct fuse_file_lock){.start = (uint64_t)other->start,
						 .end = (uint64_t)other->end,
						 .type = (uint32_t)other->type,
						 .pid = other->pid};
	} else if (!lock.flock && !request->root->tree->share->read_only &&
		   host_range(fd, F_OFD_GETLK, lock.type, lock.start, lock.end, &range) == 0 &&
		   range.l_type != F_UNLCK) {
		out.lk.start = (uint64_t)range.l_start;
		out.lk.end = range.l_len ? (uint64_t)(range.l_start + range.l_len - 1) : INT64_MAX;
		out.lk.type = (uint32_t)range.l_type;
	}
	fuse_put(request, &out, sizeof(out));
	return 0;
}

/* Takes a lock. 0; or -EAGAIN, and *blocker is its owner if it is the guest's; or -errno. */
static int set(struct fuse_root *root, struct node *node, const struct fuse_lock *wanted,
	       const struct fuse_lock **blocker)
{
	struct fuse_lock *added = lock_new(root), *spare = lock_new(root);
	int ret = added && spare ? 0 : -ENOLCK;

	if (ret == 0 && !node->locks) {
		node->locks = calloc(1, sizeof(*node->locks));
		if (node->locks)
			node->locks->host = -1;
		else
			ret = -ENOMEM;
	}
	*blocker = ret == 0 ? find_conflict(node->locks, wanted) : NULL;
	if (*blocker)
		ret = -EAGAIN;
	if (ret == 0)
		ret = lock_host(root, node->locks, wanted);
	if (ret == 0) {
		cut(root, node->locks, wanted, &spare);
		*added = *wanted;
		join(root, node->locks, added);
		/* What was exclusive may be shared now. */
		if (wanted->type == F_RDLCK)
			fuse_wake(root, node);
		added = NULL;
	}
	lock_free(root, added);
	lock_free(root, spare);
	if (node->locks)
		tidy(root, node);
	return ret;
}

static int set_lock(struct fuse_request *request, bool wait)
{
	const struct fuse_lock *blocker;
	struct fuse_lock lock, *spare;
	int ret = take_lock(request, &lock);

	if (ret < 0)
		return ret;
	if (lock.type == F_UNLCK) {
		if (!request->node->locks)
			return 0;
		spare = lock.flock ? NULL : lock_new(request->root);
		if (!spare && !lock.flock)
			return -ENOLCK;
		unlock(request->root, request->node, &lock, &spare);
		lock_free(request->root, spare);
		return 0;
	}
	ret = set(request->root, request->node, &lock, &blocker);
	if (ret != -EAGAIN || !wait)
		return ret;
	return fuse_wait(request, lock.flock ? 0 : lock.owner,
			 blocker && !lock.flock ? blocker->owner : 0, !blocker);
}

int fuse_setlk(struct fuse_request *request)
{
	return set_lock(request, false);
}

int fuse_setlkw(struct fuse_request *request)
{
	int ret = set_lock(request, true);

	if (ret != FUSE_REPLY_LATER)
		fuse_wait_end(request->session, request->tag);
	return ret;
}
