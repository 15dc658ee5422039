/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE: opens, creates and closes files, and says what the guest may keep of them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/files/fuse_internal.h"
#include "vmm/files/remember.h"

/* --- what the guest may keep ------------------------------------------------------------------ */

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Whether what the guest has read since the node's last open is current; remembers this open. */
static bool is_unchanged(struct node *node, const struct stat *stat, bool changes)
{
	bool same = node->settled && node->size == stat->st_size &&
		    same_time(&node->mtime, &stat->st_mtim) &&
		    same_time(&node->ctime, &stat->st_ctim);

	node->settled = !changes && stat_has_settled(stat);
	node->size = stat->st_size;
	node->mtime = stat->st_mtim;
	node->ctime = stat->st_ctim;
	return same && !changes;
}

/*
 * Whether a close concerns neither locks nor what could not be written. asked: the request's
 * open_flags. Locks of files that nothing writes are never in the way.
 */
static bool closes_quietly(const struct fuse_root *root, uint32_t flags, uint32_t asked)
{
	const struct files_share *share = root->tree->share;

	if (asked & FUSED_OPEN_NOFLUSH)
		return (flags & O_ACCMODE) == O_RDONLY || share->quiet_close;
	return root->cache == FUSED_LOOSE && share->read_only;
}

/* changes: the open itself changes the file. */
static uint32_t open_flags(const struct fuse_root *root, struct node *node, const struct stat *stat,
			   bool changes)
{
	bool directory = S_ISDIR(stat->st_mode);

	switch (root->cache) {
	case FUSED_LOOSE:
		return FOPEN_KEEP_CACHE | (directory ? FOPEN_CACHE_DIR : 0);
	case FUSED_NONE:
		return directory ? 0 : FOPEN_DIRECT_IO | FUSED_PARALLEL_WRITES;
	default:
		return !directory && is_unchanged(node, stat, changes) ? FOPEN_KEEP_CACHE : 0;
	}
}

/* --- opening ---------------------------------------------------------------------------------- */

/* Makes a handle of fd, the request's new open file at node. */
static int handle_of(struct fuse_root *root, struct node *node, int fd,
		     const struct fuse_open_in *in, const struct stat *stat, bool changes,
		     struct fuse_open_out *out)
{
	uint32_t flags = in->flags;
	struct fuse_handle *handle;
	int ret = fuse_handle_new(root, node, fd, flags, stat, &handle);

	if (ret < 0)
		return ret;
	*out = (struct fuse_open_out){
		.fh = fuse_handle_number(root, handle),
		.open_flags = open_flags(root, node, stat, changes),
	};
	if (!S_ISDIR(stat->st_mode) && closes_quietly(root, flags, in->open_flags))
		out->open_flags |= FUSED_NOFLUSH;
	if ((flags & O_ACCMODE) != O_RDONLY || changes)
		root->written = true;
	return 0;
}

/* An open that truncates takes set-id bits away if the guest's kernel wants that. */
static int kill_set_id(const struct fuse_root *root, struct node *node, int fd, uint32_t flags,
		       uint32_t open_flags)
{
	return (flags & O_TRUNC) && (open_flags & FUSE_OPEN_KILL_SUIDGID)
		       ? remembered_kill(root->tree, node, fd)
		       : 0;
}

static int open_node(struct fuse_request *request, uint32_t more)
{
	struct fuse_open_out out;
	struct fuse_open_in in;
	struct stat stat;
	uint32_t flags;
	int ret = fuse_take(request, &in, sizeof(in)), fd;

	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret == 0 && request->session->config.no_open)
		ret = -ENOSYS;
	if (ret < 0)
		return ret;
	flags = in.flags | more;
	fd = op_open(request->root->tree, request->node, flags, &stat);
	if (fd < 0)
		return fd;
	/* A directory is opened by OPENDIR only, so that its handle is one. */
	if (S_ISDIR(stat.st_mode) != (more == O_DIRECTORY)) {
		fd_close(&fd);
		return -EISDIR;
	}
	ret = kill_set_id(request->root, request->node, fd, flags, in.open_flags);
	if (ret < 0) {
		fd_close(&fd);
		return ret;
	}
	in.flags = flags;
	ret = handle_of(request->root, request->node, fd, &in, &stat, flags & O_TRUNC, &out);
	if (ret == 0)
		fuse_put(request, &out, sizeof(out));
	return ret;
}

int fuse_open(struct fuse_request *request)
{
	return open_node(request, 0);
}

int fuse_opendir(struct fuse_request *request)
{
	return open_node(request, O_DIRECTORY);
}

/* The reply to a creation: the entry and the open file. fd, or -errno. */
static int opened(struct fuse_request *request, struct node *node, int fd,
		  const struct fuse_create_in *create, const struct stat *stat, bool changes)
{
	struct fuse_open_in in = {.flags = create->flags, .open_flags = create->open_flags};
	struct fuse_root *root = request->root;
	struct fuse_entry_out entry;
	struct fuse_open_out open;
	int ret;

	if (!node) {
		fd_close(&fd);
		return -ENFILE;
	}
	ret = handle_of(root, node, fd, &in, stat, changes, &open);
	if (ret < 0) {
		node_put(root->tree, node);
		return ret;
	}
	ret = fuse_node_tell(root, node, stat, fd, &entry);
	if (ret < 0) {
		fuse_handle_release(root, fuse_table_find(&root->handles, open.fh));
		return ret;
	}
	fuse_put(request, &entry, sizeof(entry));
	fuse_put(request, &open, sizeof(open));
	return 0;
}

/* CREATE: the header's node is the directory. */
int fuse_create(struct fuse_request *request)
{
	struct tree *tree = request->root->tree;
	struct fuse_create_in in;
	struct place place;
	struct name name;
	struct stat stat;
	bool created;
	int ret = fuse_take(request, &in, sizeof(in)), fd;

	if (ret == 0)
		ret = fuse_take_name(request, &name);
	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret == 0 && request->session->config.no_open)
		ret = -ENOSYS;
	if (ret == 0)
		ret = place_child(tree, request->node, name.text, name.length, &place);
	if (ret == 0 && (in.open_flags & FUSED_OPEN_UNSEEN) && !fuse_is_missing(request, &place))
		ret = -EEXIST;
	fd = ret < 0 ? ret : op_create(tree, &place, in.flags, in.mode, &stat, &created);
	if (fd < 0)
		return fd;
	ret = S_ISDIR(stat.st_mode) ? -EISDIR
				    : kill_set_id(request->root, NULL, fd, in.flags, in.open_flags);
	if (ret < 0) {
		fd_close(&fd);
		return ret;
	}
	if (created)
		op_made_by(tree, request->node, fd, &stat, in.mode, request->head.uid,
			   request->head.gid);
	return opened(request, fuse_node_at(request->root, request->node, &name, &stat), fd, &in,
		      &stat, created || (in.flags & O_TRUNC));
}

/* TMPFILE: as CREATE; the name is none. */
int fuse_tmpfile(struct fuse_request *request)
{
	struct tree *tree = request->root->tree;
	struct fuse_create_in in;
	struct name name;
	struct node *node;
	struct stat stat;
	int ret = fuse_take(request, &in, sizeof(in)), fd;

	if (ret == 0)
		ret = fuse_take_string(request, name.text, sizeof(name.text));
	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret == 0 && request->session->config.no_open)
		ret = -ENOSYS;
	fd = ret < 0 ? ret : op_tmpfile(tree, request->node, in.flags, in.mode, &stat);
	if (fd < 0)
		return fd;
	op_made_by(tree, request->node, fd, &stat, in.mode, request->head.uid, request->head.gid);
	node = node_removed(tree);
	if (node) {
		node_know(node, &stat);
		node->unnamed = !(in.flags & O_EXCL);
	}
	return opened(request, node, fd, &in, &stat, true);
}

/* --- closing ---------------------------------------------------------------------------------- */

/* RELEASE, RELEASEDIR: the last use has ended. The node may be forgotten already. */
int fuse_release(struct fuse_request *request)
{
	struct fuse_release_in in;
	struct fuse_handle *handle;
	int ret = fuse_take(request, &in, sizeof(in));

	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret < 0)
		return ret;
	handle = fuse_table_find(&request->root->handles, in.fh);
	if (!handle)
		return -EBADF;
	fuse_handle_release(request->root, handle);
	return 0;
}

/* FLUSH: a process has closed a descriptor. Its locks of the file end, whichever took them. */
int fuse_flush(struct fuse_request *request)
{
	struct fuse_flush_in in;
	struct fuse_handle *handle;
	int ret = fuse_take(request, &in, sizeof(in)), fd;

	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret == 0 && request->session->config.no_open)
		ret = -ENOSYS;
	if (ret == 0)
		ret = fuse_find_handle(request, in.fh, &handle);
	if (ret < 0)
		return ret;
	fuse_locks_drop(request->root, handle, &in.lock_owner);
	if ((handle->file.flags & O_ACCMODE) == O_RDONLY)
		return 0;
	/* Closing any descriptor makes network file systems report what they could not write. */
	fd = fcntl(handle->file.fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	fuse_suspend(request, handle);
	ret = close(fd) < 0 ? -errno : 0;
	fuse_resume(request, handle);
	return ret;
}

/* FSYNC, FSYNCDIR. */
int fuse_fsync(struct fuse_request *request)
{
	struct fuse_fsync_in in;
	struct fuse_handle *handle;
	int ret = fuse_take(request, &in, sizeof(in));

	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret == 0 && (in.fsync_flags & ~(uint32_t)FUSE_FSYNC_FDATASYNC))
		ret = -EINVAL;
	if (ret == 0)
		ret = fuse_find_handle(request, in.fh, &handle);
	if (ret < 0)
		return ret;
	fuse_suspend(request, handle);
	ret = (in.fsync_flags ? fdatasync(handle->file.fd) : fsync(handle->file.fd)) < 0 ? -errno
											 : 0;
	fuse_resume(request, handle);
	return ret;
}
