/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE: contents of files. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/files/fuse_internal.h"
#include "vmm/files/remember.h"

/* Whether a handle is a file that was opened for reading or for writing: 0 or -errno. */
static int check_access(const struct fuse_handle *handle, bool write)
{
	uint32_t access = handle->file.flags & O_ACCMODE;

	if (handle->file.directory)
		return -EISDIR;
	return access == (write ? O_RDONLY : O_WRONLY) ? -EBADF : 0;
}

static bool is_range(uint64_t offset, uint64_t length)
{
	return offset <= INT64_MAX && length <= INT64_MAX - offset;
}

int fuse_read(struct fuse_request *request)
{
	struct fuse_reply *out = &request->out;
	struct fuse_read_in in;
	struct fuse_handle *handle;
	int ret = fuse_take(request, &in, sizeof(in));
	size_t size;
	long n;

	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret < 0)
		return ret;
	size = min_u64(min_u64(in.size, FUSED_DATA_MAX), out->size - out->at);
	if (!is_range(in.offset, size))
		return -EINVAL;
	ret = fuse_handle_borrow(request, in.fh, O_RDONLY, &handle);
	if (ret < 0)
		return ret;
	ret = check_access(handle, false);
	if (ret == 0)
		ret = file_allowed(request->root->tree, &handle->file, POLICY_READ);
	if (ret == 0) {
		fuse_suspend(request, handle);
		n = file_read(&handle->file, in.offset, out->data + out->at, size);
		fuse_resume(request, handle);
		out->at += n < 0 ? 0 : (size_t)n;
		ret = n < 0 ? (int)n : 0;
	}
	fuse_handle_back(request, in.fh, handle);
	return ret;
}

/*
 * A page that was changed in memory is written where it belongs, through whichever of the file's
 * handles the guest's kernel finds. All else through a handle that appends goes to the end.
 */
int fuse_write(struct fuse_request *request)
{
	struct fuse_write_out out = {.size = 0};
	struct fuse_write_in in;
	struct fuse_handle *handle;
	const uint8_t *data;
	enum policy_op op;
	int ret = fuse_take(request, &in, sizeof(in));
	long n;

	if (ret == 0 && (in.size > FUSED_DATA_MAX || in.size != unpack_left(&request->in)))
		ret = -EINVAL;
	if (ret == 0)
		ret = fuse_find_handle(request, in.fh, &handle);
	if (ret == 0)
		ret = check_access(handle, true);
	if (ret < 0)
		return ret;
	if (!is_range(in.offset, in.size))
		return -EFBIG;
	data = unpack_skip(&request->in, in.size);
	op = in.write_flags & FUSE_WRITE_CACHE ? POLICY_WRITE : file_write_op(&handle->file);
	ret = file_allowed(request->root->tree, &handle->file, op);
	if (ret < 0)
		return ret;
	if (in.write_flags & FUSE_WRITE_KILL_SUIDGID) {
		ret = remembered_kill(request->root->tree, request->node, handle->file.fd);
		if (ret < 0)
			return ret;
	}
	request->root->written = true;
	fuse_suspend(request, handle);
	n = file_write(request->root->tree->share, &handle->file, in.offset, data, in.size,
		       op == POLICY_APPEND);
	fuse_resume(request, handle);
	if (n < 0)
		return (int)n;
	out.size = (uint32_t)n;
	fuse_put(request, &out, sizeof(out));
	return 0;
}

/* FALLOCATE: room at the end needs what appending needs, holes and zeros what writing needs. */
int fuse_fallocate(struct fuse_request *request)
{
	const uint32_t clears = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
	struct fuse_fallocate_in in;
	struct fuse_handle *handle;
	int ret = fuse_take(request, &in, sizeof(in));

	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret == 0)
		ret = fuse_find_handle(request, in.fh, &handle);
	if (ret == 0)
		ret = check_access(handle, true);
	if (ret == 0 && (in.mode & ~(clears | FALLOC_FL_KEEP_SIZE)))
		ret = -EOPNOTSUPP;
	if (ret == 0 && (in.length == 0 || !is_range(in.offset, in.length)))
		ret = in.length == 0 ? -EINVAL : -EFBIG;
	if (ret == 0)
		ret = file_allowed(request->root->tree, &handle->file,
				   in.mode & clears ? POLICY_WRITE : file_write_op(&handle->file));
	if (ret < 0)
		return ret;
	request->root->written = true;
	fuse_suspend(request, handle);
	ret = file_allocate(request->root->tree->share, &handle->file, (int)in.mode, in.offset,
			    in.length);
	fuse_resume(request, handle);
	return ret;
}

/* LSEEK: the guest's kernel asks for data and holes only. */
int fuse_lseek(struct fuse_request *request)
{
	struct fuse_lseek_out out;
	struct fuse_lseek_in in;
	struct fuse_handle *handle;
	int ret = fuse_take(request, &in, sizeof(in));
	off_t at;

	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret == 0 &&
	    ((in.whence != SEEK_DATA && in.whence != SEEK_HOLE) || in.offset > INT64_MAX))
		ret = -EINVAL;
	if (ret == 0)
		ret = fuse_handle_borrow(request, in.fh, O_RDONLY, &handle);
	if (ret < 0)
		return ret;
	ret = handle->file.directory
		      ? -EISDIR
		      : file_allowed(request->root->tree, &handle->file, file_op(&handle->file));
	at = ret < 0 ? 0 : lseek(handle->file.fd, (off_t)in.offset, (int)in.whence);
	if (at < 0)
		ret = -errno;
	fuse_handle_back(request, in.fh, handle);
	if (ret < 0)
		return ret;
	out.offset = (uint64_t)at;
	fuse_put(request, &out, sizeof(out));
	return 0;
}

/* The other file of a copy: of the same root, opened for writing at offsets. */
static int copy_target(struct fuse_request *request, const struct fuse_copy_file_range_in *in,
		       struct fuse_handle **out)
{
	struct fuse_request target = *request;
	int ret;

	if (FUSE_NUMBER_ROOT(in->nodeid_out) != request->root->index + 1)
		return -EXDEV;
	ret = fuse_find_node(request->root, in->nodeid_out, &target.node);
	if (ret == 0)
		ret = fuse_find_handle(&target, in->fh_out, out);
	if (ret == 0)
		ret = check_access(*out, true);
	if (ret == 0 && ((*out)->file.flags & O_APPEND))
		ret = -EBADF;
	return ret < 0 ? ret : file_allowed(request->root->tree, &(*out)->file, POLICY_WRITE);
}

int fuse_copy_file_range(struct fuse_request *request)
{
	struct fuse_write_out out = {.size = 0};
	struct fuse_copy_file_range_in in;
	struct fuse_handle *from, *to;
	int ret = fuse_take(request, &in, sizeof(in));
	size_t length;
	long n;

	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret == 0 && in.flags)
		ret = -EINVAL;
	if (ret < 0)
		return ret;
	length = min_u64(in.len, FUSED_COPY_MAX);
	if (!is_range(in.off_in, length) || !is_range(in.off_out, length))
		return -EINVAL;
	ret = fuse_find_handle(request, in.fh_in, &from);
	if (ret == 0)
		ret = check_access(from, false);
	if (ret == 0)
		ret = file_allowed(request->root->tree, &from->file, POLICY_READ);
	if (ret == 0)
		ret = copy_target(request, &in, &to);
	if (ret < 0)
		return ret;
	request->root->written = true;
	from->users++;
	fuse_suspend(request, to);
	n = file_copy(request->root->tree->share, &from->file, in.off_in, &to->file, in.off_out,
		      length);
	fuse_resume(request, to);
	from->users--;
	fuse_handle_free_unused(request->root, from);
	if (n < 0)
		return (int)n;
	out.size = (uint32_t)n;
	fuse_put(request, &out, sizeof(out));
	return 0;
}
