/* SPDX-License-Identifier: Apache-2.0 */
/* 9P: open, create, read, write, sync. */
#include <errno.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/files/p9.h"

/* The flags on the wire are those of open(2) on x86. */
_Static_assert(P9_APPEND == O_APPEND && P9_TRUNC == O_TRUNC && P9_EXCL == O_EXCL &&
		       P9_DIRECTORY == O_DIRECTORY && P9_DSYNC == O_DSYNC && P9_SYNC == O_SYNC,
	       "flags of open");

/* Makes the fid, which stands for node, an open file. fd: its descriptor, or -errno. */
static int opened(struct files_session *session, struct fid *fid, struct node *node, int fd,
		  uint32_t flags, const struct stat *stat)
{
	bool directory = S_ISDIR(stat->st_mode);
	int ret;

	if (fd < 0)
		return fd;
	ret = file_open(&session->tree, &fid->file, node, fd, flags, directory);
	if (ret == 0)
		fid->kind = directory ? FID_DIRECTORY : FID_FILE;
	return ret;
}

void fid_reopen(struct files_session *session, struct fid *fid)
{
	const uint32_t kept = P9_ACCESS_MASK | P9_APPEND | P9_SYNC | P9_DSYNC;
	uint32_t flags = fid->file.flags & kept;
	struct stat stat;
	int fd;

	fid->again = false;
	/* If this fails, the guest gets an error when it uses the file. */
	fd = op_open(&session->tree, fid->file.node, flags, &stat);
	opened(session, fid, fid->file.node, fd, flags, &stat);
}

/* Tlopen: fid32 flags32; Rlopen: qid iounit32 (0: as much as fits into a message). */
int p9_lopen(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *fid = take_fid(session, in);
	uint32_t flags = unpack_u32(in);
	struct stat stat;
	int ret, fd;

	if (!unpack_done(in))
		return -EPROTO;
	if (!fid)
		return -EBADF;
	if (fid->kind != FID_PLACE)
		return -EINVAL;
	fd = op_open(&session->tree, fid->file.node, flags, &stat);
	ret = opened(session, fid, fid->file.node, fd, flags, &stat);
	if (ret < 0)
		return ret;
	reply_qid(out, &stat);
	reply_u32(out, 0);
	return 0;
}

/*
 * Tlcreate: fid32 name[s] flags32 mode32 gid32; Rlcreate: qid iounit32. The directory's fid becomes
 * the open file's.
 */
int p9_lcreate(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *fid = take_fid(session, in);
	struct node *directory, *child;
	struct place place;
	struct name name;
	struct stat stat;
	uint32_t flags, mode;
	int ret = take_name(in, &name), fd;
	bool created;

	flags = unpack_u32(in);
	mode = unpack_u32(in);
	unpack_u32(in);
	if (!unpack_done(in))
		return -EPROTO;
	if (ret < 0)
		return ret;
	if (!fid)
		return -EBADF;
	if (fid->kind != FID_PLACE)
		return -EINVAL;
	directory = fid->file.node;
	ret = place_child(&session->tree, directory, name.text, name.length, &place);
	if (ret < 0)
		return ret;
	child = node_child(&session->tree, directory, &name);
	if (!child)
		return -ENFILE;
	fd = op_create(&session->tree, &place, flags, mode, &stat, &created);
	ret = opened(session, fid, child, fd, flags, &stat);
	node_put(&session->tree, ret < 0 ? child : directory);
	if (ret < 0)
		return ret;
	reply_qid(out, &stat);
	reply_u32(out, 0);
	return 0;
}

static long read_file(struct files_session *session, struct fid *fid, uint64_t offset, void *to,
		      uint32_t count)
{
	int ret = file_allowed(&session->tree, &fid->file, POLICY_READ);

	return ret < 0 ? ret : file_read(&fid->file, offset, to, count);
}

static long write_file(struct files_session *session, struct fid *fid, uint64_t offset,
		       const void *from, uint32_t count)
{
	enum policy_op op = file_write_op(&fid->file);
	int ret = file_allowed(&session->tree, &fid->file, op);

	return ret < 0 ? ret
		       : file_write(session->tree.share, &fid->file, offset, from, count,
				    op == POLICY_APPEND);
}

/* Tread: fid32 offset64 count32; Rread: count32 data. */
int p9_read(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *fid = take_fid(session, in);
	uint64_t offset = unpack_u64(in);
	uint32_t count = unpack_u32(in);
	uint8_t *to;
	long n;

	if (!unpack_done(in))
		return -EPROTO;
	if (!fid)
		return -EBADF;
	/* The reply holds no more than fits into a message; a larger count is not an error. */
	count = (uint32_t)min_u64(count, session->msize - P9_READ_HEADER);
	if (offset > (uint64_t)INT64_MAX - count)
		return -EINVAL;
	reply_u32(out, 0);
	to = out->data + out->at;
	if (fid->kind == FID_XATTR_READ)
		n = xattr_read(fid, offset, to, count);
	else if (fid->kind == FID_FILE && (fid->file.flags & P9_ACCESS_MASK) != P9_WRONLY)
		n = read_file(session, fid, offset, to, count);
	else
		return fid->kind == FID_DIRECTORY ? -EISDIR : fid_not_open(fid);
	if (n < 0)
		return (int)n;
	store_le32(to - 4, (uint32_t)n);
	out->at += (size_t)n;
	session->stats.bytes_read += (uint64_t)n;
	return 0;
}

/* Twrite: fid32 offset64 count32 data; Rwrite: count32. */
int p9_write(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *fid = take_fid(session, in);
	uint64_t offset = unpack_u64(in);
	uint32_t count = unpack_u32(in);
	const uint8_t *from = in->data + in->at;
	long n;

	if (in->failed || count != in->length - in->at)
		return -EPROTO;
	if (!fid)
		return -EBADF;
	if (offset > (uint64_t)INT64_MAX - count)
		return -EFBIG;
	if (fid->kind == FID_XATTR_WRITE)
		n = xattr_write(fid, offset, from, count);
	else if (fid->kind == FID_FILE && (fid->file.flags & P9_ACCESS_MASK) != P9_RDONLY)
		n = write_file(session, fid, offset, from, count);
	else
		return fid_not_open(fid);
	if (n < 0)
		return (int)n;
	reply_u32(out, (uint32_t)n);
	session->stats.bytes_written += (uint64_t)n;
	return 0;
}

/* Tfsync: fid32 datasync32. */
int p9_fsync(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *fid = take_fid(session, in);
	uint32_t data_only = unpack_u32(in);

	(void)out;
	if (!unpack_done(in))
		return -EPROTO;
	if (!fid || fid->file.fd < 0)
		return fid_not_open(fid);
	return (data_only ? fdatasync(fid->file.fd) : fsync(fid->file.fd)) < 0 ? -errno : 0;
}
