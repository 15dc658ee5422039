/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE: names and the status of what they stand for. */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/files/fuse_internal.h"

#define NO_FILE (-4096) /* not an errno */

bool fuse_is_missing(struct fuse_request *request, const struct place *place)
{
	struct tree *tree = request->root->tree;
	struct stat stat;
	int ret, fd;

	if (!request->node->parent)
		node_entered(request->node, false);
	ret = place_quietly_allowed(tree, place, POLICY_LOOKUP);
	fd = ret < 0 ? ret : place_look(tree, place, &stat);
	if (fd >= 0)
		fd_close(&fd);
	return fd == -ENOENT;
}

/* LOOKUP: name. A root that nothing changes also tells for how long the name is missing. */
int fuse_lookup(struct fuse_request *request)
{
	struct fuse_root *root = request->root;
	struct node *node = NULL;
	struct fuse_entry_out out = {.nodeid = 0, .entry_valid = fuse_timeout(root)};
	struct place place;
	struct name name;
	struct stat stat;
	int ret = fuse_take_name(request, &name), fd;

	if (ret == 0)
		ret = fuse_take_end(request);
	/* A share's own directory is not looked up, once it is mounted. */
	if (ret == 0 && !request->node->parent)
		node_entered(request->node, false);
	if (ret == 0)
		ret = place_child(root->tree, request->node, name.text, name.length, &place);
	if (ret == 0) {
		node = node_find(root->tree, request->node, &name);
		ret = node ? node_shown(root->tree, node, &place)
			   : place_allowed(root->tree, &place, POLICY_LOOKUP);
	}
	fd = ret < 0 ? ret : place_look(root->tree, &place, &stat);
	if (fd == -ENOENT && root->cache == FUSED_LOOSE)
		goto out;
	if (fd < 0)
		return fd;
	ret = may_enter(root->tree, fd, &stat);
	if (ret < 0) {
		node = node_find(root->tree, request->node, &name);
		if (node)
			node_entered(node, false);
		fd_close(&fd);
		return ret;
	}
	node = fuse_node_at(root, request->node, &name, &stat);
	if (node && S_ISDIR(stat.st_mode))
		node_entered(node, ret == 0);
	ret = node ? fuse_node_tell(root, node, &stat, fd, &out) : -ENFILE;
	fd_close(&fd);
	if (ret < 0)
		return ret;
out:
	fuse_put(request, &out, sizeof(out));
	return 0;
}

/* --- status ----------------------------------------------------------------------------------- */

/*
 * Looks at the request's node, or if flags say so at the open file fh. A descriptor, which may be
 * that of the file, or -errno.
 */
static int look(struct fuse_request *request, uint32_t flags, uint64_t fh, struct stat *stat)
{
	struct fuse_handle *handle = NULL;
	int ret = 0;

	if (flags & ~(uint32_t)FUSE_GETATTR_FH)
		return -EINVAL;
	if (flags & FUSE_GETATTR_FH)
		ret = fuse_find_handle(request, fh, &handle);
	return ret < 0 ? ret
		       : op_look(request->root->tree, request->node, handle ? &handle->file : NULL,
				 POLICY_LOOKUP, stat);
}

static void put_attributes(struct fuse_request *request, const struct fuse_attr *attr)
{
	struct fuse_attr_out out = {
		.attr_valid = fuse_timeout(request->root),
		.attr_valid_nsec = fuse_attr_timeout_ns(request->root),
		.attr = *attr,
	};

	fuse_put(request, &out, sizeof(out));
}

/*
 * The attributes of the request's node, or of the open file fh. A descriptor, -errno, or NO_FILE:
 * there is none, as it is a FIFO or socket without a name, of which the guest's kernel has open
 * files and the server has not. Then they are those that the guest was last told, without a link.
 */
static int attributes_of(struct fuse_request *request, uint32_t flags, uint64_t fh,
			 struct fuse_attr *attr)
{
	const struct node *node = request->node;
	struct stat stat;
	int fd = look(request, flags, fh, &stat);

	if (fd >= 0) {
		fuse_fill_attr(request->root, request->node, &stat, fd, attr);
		return fd;
	}
	if (fd != -ENOENT || !node->gone || !node->told.mode)
		return fd;
	*attr = (struct fuse_attr){
		.ino = op_ino(node->dev, node->ino),
		.mode = node->told.mode,
		.uid = node->told.uid,
		.gid = node->told.gid,
		.atime = (uint64_t)node->made.tv_sec,
		.mtime = (uint64_t)node->made.tv_sec,
		.ctime = (uint64_t)node->made.tv_sec,
		.blksize = 4096,
	};
	return NO_FILE;
}

int fuse_getattr(struct fuse_request *request)
{
	struct fuse_getattr_in in;
	struct fuse_attr attr;
	int ret = fuse_take(request, &in, sizeof(in)), fd;

	if (ret == 0)
		ret = fuse_take_end(request);
	fd = ret < 0 ? ret : attributes_of(request, in.getattr_flags, in.fh, &attr);
	if (fd < 0 && fd != NO_FILE)
		return fd;
	put_attributes(request, &attr);
	fd_close(&fd);
	return 0;
}

static void put_time(struct fused_time *to, uint64_t sec, uint32_t nsec)
{
	to->sec = (int64_t)sec;
	to->nsec = nsec;
}

/* STATX: for the time of creation; all else is as in GETATTR. */
int fuse_statx(struct fuse_request *request)
{
	struct fused_statx_out out = {
		.attr_valid = fuse_timeout(request->root),
		.attr_valid_nsec = fuse_attr_timeout_ns(request->root),
	};
	struct fused_statx_in in;
	struct fuse_attr attr;
	struct statx extended;
	int ret = fuse_take(request, &in, sizeof(in)), fd;

	if (ret == 0)
		ret = fuse_take_end(request);
	fd = ret < 0 ? ret : attributes_of(request, in.getattr_flags, in.fh, &attr);
	if (fd < 0 && fd != NO_FILE)
		return fd;
	out.stat.mask = STATX_BASIC_STATS;
	if (fd >= 0 &&
	    statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BTIME, &extended) == 0 &&
	    (extended.stx_mask & STATX_BTIME)) {
		out.stat.mask |= STATX_BTIME;
		put_time(&out.stat.btime, (uint64_t)extended.stx_btime.tv_sec,
			 extended.stx_btime.tv_nsec);
	}
	fd_close(&fd);
	out.stat.blksize = attr.blksize;
	out.stat.nlink = attr.nlink;
	out.stat.uid = attr.uid;
	out.stat.gid = attr.gid;
	out.stat.mode = (uint16_t)attr.mode;
	out.stat.ino = attr.ino;
	out.stat.size = attr.size;
	out.stat.blocks = attr.blocks;
	/* Encoded as the kernel's new_encode_dev() does. */
	out.stat.rdev_major = (attr.rdev & 0xfff00) >> 8;
	out.stat.rdev_minor = (attr.rdev & 0xff) | (attr.rdev >> 12 & 0xfff00);
	put_time(&out.stat.atime, attr.atime, attr.atimensec);
	put_time(&out.stat.mtime, attr.mtime, attr.mtimensec);
	put_time(&out.stat.ctime, attr.ctime, attr.ctimensec);
	fuse_put(request, &out, sizeof(out));
	return 0;
}

/* --- changes ---------------------------------------------------------------------------------- */

_Static_assert(FATTR_MODE == CHANGE_MODE && FATTR_UID == CHANGE_UID && FATTR_GID == CHANGE_GID &&
		       FATTR_SIZE == CHANGE_SIZE && FATTR_ATIME == CHANGE_ATIME &&
		       FATTR_MTIME == CHANGE_MTIME,
	       "flags of changes");

/* The host sets the time of the change itself. */
#define FATTR_IGNORED (FATTR_LOCKOWNER | FATTR_CTIME)
#define FATTR_CHANGES (2 * FATTR_MTIME - 1)
#define FATTR_KNOWN                                                                          \
	(FATTR_CHANGES | FATTR_FH | FATTR_ATIME_NOW | FATTR_MTIME_NOW | FATTR_KILL_SUIDGID | \
	 FATTR_IGNORED)

static void to_time(struct timespec *to, uint64_t sec, uint32_t nsec, bool now)
{
	to->tv_sec = (time_t)sec;
	to->tv_nsec = now ? UTIME_NOW : nsec > 999999999 ? -1 : (long)nsec;
}

int fuse_setattr(struct fuse_request *request)
{
	struct fuse_handle *handle = NULL;
	struct fuse_setattr_in in;
	struct change change;
	struct fuse_attr attr;
	struct stat stat;
	int ret = fuse_take(request, &in, sizeof(in)), fd;

	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret == 0 && (in.valid & ~(uint32_t)FATTR_KNOWN))
		ret = -EINVAL;
	if (ret == 0 && (in.valid & FATTR_FH))
		ret = fuse_find_handle(request, in.fh, &handle);
	if (ret < 0)
		return ret;
	change = (struct change){.valid = in.valid & FATTR_CHANGES,
				 .mode = in.mode,
				 .uid = in.uid,
				 .gid = in.gid,
				 .size = in.size,
				 .kill = in.valid & FATTR_KILL_SUIDGID};
	to_time(&change.time[0], in.atime, in.atimensec, in.valid & FATTR_ATIME_NOW);
	to_time(&change.time[1], in.mtime, in.mtimensec, in.valid & FATTR_MTIME_NOW);
	ret = op_change(request->root->tree, request->node, handle ? &handle->file : NULL, &change);
	if (ret < 0)
		return ret;
	request->root->written = true;
	fd = op_look(request->root->tree, request->node, handle ? &handle->file : NULL,
		     POLICY_LOOKUP, &stat);
	if (fd < 0)
		return fd;
	fuse_fill_attr(request->root, request->node, &stat, fd, &attr);
	put_attributes(request, &attr);
	fd_close(&fd);
	return 0;
}

/* --- the rest --------------------------------------------------------------------------------- */

int fuse_readlink(struct fuse_request *request)
{
	char target[PATH_MAX];
	int ret = fuse_take_end(request);

	if (ret == 0)
		ret = op_readlink(request->root->tree, request->node, target);
	if (ret < 0)
		return ret;
	fuse_put(request, target, (size_t)ret);
	return 0;
}

int fuse_statfs(struct fuse_request *request)
{
	struct fuse_statfs_out out = {.st = {.namelen = FILES_NAME_MAX}};
	struct statfs statfs;
	int ret = fuse_take_end(request);

	if (ret == 0)
		ret = op_statfs(request->root->tree, &statfs);
	if (ret < 0)
		return ret;
	out.st.blocks = statfs.f_blocks;
	out.st.bfree = statfs.f_bfree;
	out.st.bavail = statfs.f_bavail;
	out.st.files = statfs.f_files;
	out.st.ffree = statfs.f_ffree;
	out.st.bsize = (uint32_t)statfs.f_bsize;
	out.st.frsize = (uint32_t)statfs.f_frsize;
	fuse_put(request, &out, sizeof(out));
	return 0;
}

static int sync_root(struct fuse_root *root)
{
	int fd, ret = 0;

	if (!root->used || !root->written)
		return 0;
	/* Which means all of the host's file system: only after the guest has written something. */
	fd = reopen(root->tree, root->tree->share->root_fd, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	root->written = false;
	root->busy++;
	fuse_root_unlock(root);
	if (syncfs(fd) < 0)
		ret = -errno;
	fd_close(&fd);
	pthread_mutex_lock(&root->mutex);
	if (--root->busy == 0)
		pthread_cond_broadcast(&root->idle);
	return ret;
}

/* SYNCFS: of the mount, so all roots. */
int fuse_syncfs(struct fuse_request *request)
{
	struct fuse_syncfs_in in;
	struct fuse_root *root;
	unsigned i;
	int ret = fuse_take(request, &in, sizeof(in)), error = 0;

	if (ret == 0)
		ret = fuse_take_end(request);
	for (i = 0; ret == 0 && i < FUSED_ROOTS_MAX; i++) {
		root = &request->session->roots[i];
		pthread_mutex_lock(&root->mutex);
		if (sync_root(root) < 0)
			error = -EIO;
		fuse_root_unlock(root);
	}
	return ret < 0 ? ret : error;
}
