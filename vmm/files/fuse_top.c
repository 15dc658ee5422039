/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE: node 1, the directory whose entries are the roots. */
#include <errno.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/files/fuse_internal.h"

/* Nothing is remembered about an open one. */
#define HANDLE 1u

static const struct fuse_attr attributes = {
	.ino = 1,
	.mode = S_IFDIR | 0555,
	.nlink = 2,
	.blksize = 4096,
};

/* Called with the mutex of the root that has, or had, the name. */
static int tell_root(struct fuse_request *request)
{
	struct fuse_root *root = request->root;
	struct fuse_entry_out out;
	struct place place;
	struct stat stat;
	int ret = place_of(root->tree, root->tree->root, &place), fd;

	if (ret == 0)
		ret = place_allowed(root->tree, &place, POLICY_LOOKUP);
	fd = ret < 0 ? ret : place_look(root->tree, &place, &stat);
	if (fd < 0)
		return fd;
	ret = fuse_node_tell(root, node_get(root->tree->root), &stat, fd, &out);
	fd_close(&fd);
	/* Roots come and go. */
	out.entry_valid = 0;
	if (ret == 0)
		fuse_put(request, &out, sizeof(out));
	return ret;
}

static int lookup(struct fuse_request *request)
{
	struct fuse_session *session = request->session;
	struct name name;
	int ret = fuse_take_name(request, &name);
	unsigned i;

	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret < 0)
		return ret;
	pthread_mutex_lock(&session->names);
	for (i = 0; i < FUSED_ROOTS_MAX; i++)
		if (session->roots[i].used && strcmp(session->roots[i].name, name.text) == 0)
			break;
	pthread_mutex_unlock(&session->names);
	if (i == FUSED_ROOTS_MAX)
		return -ENOENT;
	request->root = &session->roots[i];
	ret = fuse_in_root(request, tell_root);
	return ret == -ESTALE ? -ENOENT : ret;
}

static int getattr(struct fuse_request *request)
{
	const struct fuse_attr_out out = {.attr = attributes};
	struct fuse_getattr_in in;
	int ret = fuse_take(request, &in, sizeof(in));

	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret == 0)
		fuse_put(request, &out, sizeof(out));
	return ret;
}

static int statx_top(struct fuse_request *request)
{
	struct fused_statx_out out = {.attr_valid = 0};
	struct fused_statx_in in;
	int ret = fuse_take(request, &in, sizeof(in));

	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret < 0)
		return ret;
	out.stat.mask = STATX_BASIC_STATS;
	out.stat.mode = (uint16_t)attributes.mode;
	out.stat.nlink = attributes.nlink;
	out.stat.ino = attributes.ino;
	out.stat.blksize = attributes.blksize;
	fuse_put(request, &out, sizeof(out));
	return 0;
}

static int statfs_top(struct fuse_request *request)
{
	const struct fuse_statfs_out out = {
		.st = {.namelen = FILES_NAME_MAX, .bsize = 4096, .frsize = 4096}};
	int ret = fuse_take_end(request);

	if (ret == 0)
		fuse_put(request, &out, sizeof(out));
	return ret;
}

static int opendir_top(struct fuse_request *request)
{
	const struct fuse_open_out out = {.fh = HANDLE};
	struct fuse_open_in in;
	int ret = fuse_take(request, &in, sizeof(in));

	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret == 0 && request->session->config.no_open)
		ret = -ENOSYS;
	if (ret == 0 && (in.flags & O_ACCMODE) != O_RDONLY)
		ret = -EROFS;
	if (ret == 0)
		fuse_put(request, &out, sizeof(out));
	return ret;
}

/* Offsets are 1 and 2 behind the dots, and then a root's index + 3. */
static int readdir_top(struct fuse_request *request, bool plus)
{
	struct fuse_session *session = request->session;
	const size_t start = request->out.at;
	const struct fuse_entry_out none = {0}, *entry = plus ? &none : NULL;
	struct fuse_read_in in;
	size_t limit;
	unsigned i;
	bool fits = true;
	int ret = fuse_take(request, &in, sizeof(in));

	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret < 0)
		return ret;
	limit = start + min_u64(min_u64(in.size, FUSED_LISTING_MAX), request->out.size - start);
	for (i = (unsigned)min_u64(in.offset, 2); fits && i < 2; i++)
		fits = fuse_put_entry(request, limit, entry, 1, i + 1, DT_DIR, i ? ".." : ".");
	pthread_mutex_lock(&session->names);
	for (i = (unsigned)min_u64(max_u64(in.offset, 2) - 2, FUSED_ROOTS_MAX);
	     fits && i < FUSED_ROOTS_MAX; i++)
		if (session->roots[i].used)
			fits = fuse_put_entry(request, limit, entry, 1, i + 3, DT_DIR,
					      session->roots[i].name);
	pthread_mutex_unlock(&session->names);
	return fits || request->out.at > start ? 0 : -EINVAL;
}

int fuse_top(struct fuse_request *request)
{
	switch (request->head.opcode) {
	case FUSE_LOOKUP:
		return lookup(request);
	case FUSE_GETATTR:
		return getattr(request);
	case FUSED_OP_STATX:
		return statx_top(request);
	case FUSE_STATFS:
		return statfs_top(request);
	case FUSE_OPENDIR:
		return opendir_top(request);
	case FUSE_READDIR:
		return readdir_top(request, false);
	case FUSE_READDIRPLUS:
		return readdir_top(request, true);
	case FUSE_RELEASEDIR:
	case FUSE_FSYNCDIR:
		return 0;
	case FUSE_OPEN:
	case FUSE_READ:
		return -EISDIR;
	case FUSE_READLINK:
		return -EINVAL;
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
		return -EOPNOTSUPP;
	case FUSE_RELEASE:
	case FUSE_FLUSH:
	case FUSE_WRITE:
	case FUSE_LSEEK:
		return -EBADF;
	default:
		return -EROFS;
	}
}
