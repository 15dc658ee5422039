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

#include "vmm/base/fd.h"
#include "vmm/files/fuse_lock.h"

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

/* --- the table -------------------------------------------------------------------------------- */

/*
 * Removes an owner's hold on a range: locks within it, and parts of those that reach into it.
 * spare, for the second part of a lock that is split, is used up then. Returns whether something
 * was locked for writing.
 */
static bool cut(struct fuse_root *root, struct fuse_locks *locks, const struct fuse_lock *range,
		struct fuse_lock **spare)
{
	struct fuse_lock **at = &locks->first, *lock, *second;
	bool wrote = false;

	while ((lock = *at)) {
		if (!same_owner(lock, range) || !overlap(lock, range)) {
			at = &lock->next;
			continue;
		}
		wrote |= lock->type == F_WRLCK;
		if (lock->start < range->start && lock->end > range->end) {
			second = *spare;
			*spare = NULL;
			*second = *lock;
			second->start = range->end + 1;
			lock->end = range->start - 1;
			lock->next = second;
			second->handle->locked++;
			break;
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
	return wrote;
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
		fuse_unlock_host(node->locks, range->start, range->end);
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

/* --- requests --------------------------------------------------------------------------------- */

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
		   fuse_lock_range(fd, F_OFD_GETLK, lock.type, lock.start, lock.end, &range) == 0 &&
		   range.l_type != F_UNLCK) {
		out.lk.start = (uint64_t)range.l_start;
		out.lk.end = range.l_len ? (uint64_t)(range.l_start + range.l_len - 1) : INT64_MAX;
		out.lk.type = (uint32_t)range.l_type;
	}
	fuse_put(request, &out, sizeof(out));
	return 0;
}

/* The node's table, made if there is none; NULL: out of memory. */
static struct fuse_locks *table_of(struct node *node)
{
	if (!node->locks) {
		node->locks = calloc(1, sizeof(*node->locks));
		if (node->locks)
			node->locks->host = -1;
	}
	return node->locks;
}

/* Takes a lock. 0; or -EAGAIN, and *blocker is its owner if it is the guest's; or -errno. */
static int set(struct fuse_root *root, struct node *node, const struct fuse_lock *wanted,
	       const struct fuse_lock **blocker)
{
	struct fuse_lock *added = lock_new(root), *spare = lock_new(root);
	int ret = added && spare ? 0 : -ENOLCK;
	bool shares;

	if (ret == 0 && !table_of(node))
		ret = -ENOMEM;
	*blocker = ret == 0 ? find_conflict(node->locks, wanted) : NULL;
	if (*blocker)
		ret = -EAGAIN;
	if (ret == 0)
		ret = fuse_lock_host(root, node->locks, wanted);
	if (ret == 0) {
		shares = cut(root, node->locks, wanted, &spare) && wanted->type == F_RDLCK;
		*added = *wanted;
		join(root, node->locks, added);
		if (shares)
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

/* --- a saved session -------------------------------------------------------------------------- */

void fuse_locks_save(const struct fuse_handle *handle, struct pack *to)
{
	const struct fuse_locks *locks = handle->file.node->locks;
	const struct fuse_lock *lock;

	pack_u32(to, handle->locked);
	for (lock = handle->locked ? locks->first : NULL; lock; lock = lock->next) {
		if (lock->handle != handle)
			continue;
		pack_u64(to, lock->owner);
		pack_u64(to, (uint64_t)lock->start);
		pack_u64(to, (uint64_t)lock->end);
		pack_u8(to, (uint8_t)lock->type);
		pack_u32(to, lock->pid);
		pack_u8(to, lock->flock);
	}
}

static int restore_lock(struct fuse_root *root, struct fuse_handle *handle, struct unpack *from)
{
	const struct fuse_lock *other;
	struct fuse_locks *locks = table_of(handle->file.node);
	struct fuse_lock *lock = lock_new(root);

	if (!lock || !locks) {
		lock_free(root, lock);
		return -ENOLCK;
	}
	lock->handle = handle;
	lock->owner = unpack_u64(from);
	lock->start = (int64_t)unpack_u64(from);
	lock->end = (int64_t)unpack_u64(from);
	lock->type = unpack_u8(from);
	lock->pid = unpack_u32(from);
	lock->flock = unpack_u8(from);
	for (other = locks->first; other && !(same_owner(other, lock) && overlap(other, lock));)
		other = other->next;
	if (from->failed || other || lock->start < 0 || lock->end < lock->start ||
	    (lock->type != F_RDLCK && lock->type != F_WRLCK)) {
		lock_free(root, lock);
		return -EINVAL;
	}
	lock->next = locks->first;
	locks->first = lock;
	handle->locked++;
	return 0;
}

int fuse_locks_restore(struct fuse_root *root, struct fuse_handle *handle, struct unpack *from)
{
	uint32_t count = unpack_count(from, FUSED_LOCKS_MAX), i;
	int ret = from->failed ? -EINVAL : 0;

	for (i = 0; ret == 0 && i < count; i++)
		ret = restore_lock(root, handle, from);
	if (handle->file.node->locks)
		tidy(root, handle->file.node);
	return ret;
}
