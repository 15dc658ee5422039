/* SPDX-License-Identifier: Apache-2.0 */
/* Open, create, read, write, sync. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/files/internal.h"

static bool writes(uint32_t flags)
{
	return (flags & P9_ACCESS_MASK) != P9_RDONLY || (flags & P9_TRUNC);
}

/* Lets the policy decide about an open with these flags. */
static int permit(struct files_session *session, const struct place *place, uint32_t flags)
{
	bool append = (flags & P9_APPEND) && !(flags & P9_TRUNC);
	int ret = 0;

	if ((flags & P9_ACCESS_MASK) != P9_WRONLY)
		ret = place_allowed(session, place, POLICY_READ);
	if (ret == 0 && writes(flags))
		ret = place_allowed(session, place, append ? POLICY_APPEND : POLICY_WRITE);
	return ret;
}

/* The flags that the host needs. Append access has O_APPEND on the host too. */
static int host_flags(uint32_t flags)
{
	int host = (int)(flags & P9_ACCESS_MASK);

	if (flags & P9_TRUNC)
		host |= O_TRUNC;
	if (flags & P9_APPEND)
		host |= O_APPEND;
	if ((flags & P9_SYNC) == P9_SYNC)
		host |= O_SYNC;
	else if (flags & P9_DSYNC)
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
	if (flags & P9_DIRECTORY)
		return -ENOTDIR;
	/*
	 * A set-id program of the host that the guest has written would run with the owner's
	 * rights.
	 */
	return set_id && writes(flags) ? -EPERM : 0;
}

static int open_existing(struct files_session *session, struct fid *fid, const struct place *place,
			 uint32_t flags, struct stat *stat)
{
	int path_fd, fd, ret = permit(session, place, flags);

	if (ret < 0)
		return ret;
	path_fd = place_look(session, place, stat);
	if (path_fd < 0)
		return path_fd;
	ret = openable(stat, flags);
	if (ret == 0) {
		fd = reopen(path_fd, host_flags(flags));
		ret = fd < 0 ? fd
			     : fid_open(session, fid, fd,
					S_ISDIR(stat->st_mode) ? FID_DIRECTORY : FID_FILE, flags);
	}
	fd_close(&path_fd);
	return ret;
}

void fid_reopen(struct files_session *session, struct fid *fid)
{
	const uint32_t kept = P9_ACCESS_MASK | P9_APPEND | P9_SYNC | P9_DSYNC;
	struct place place;
	struct stat stat;

	fid->again = false;
	/* If this fails, the guest gets an error when it uses the file. */
	if ((fid->flags & P9_ACCESS_MASK) <= P9_RDWR && place_of(session, fid->node, &place) == 0)
		open_existing(session, fid, &place, fid->flags & kept, &stat);
}

/* Tlopen: fid32 flags32; Rlopen: qid iounit32 (0: as much as fits into a message). */
int p9_lopen(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *fid = take_fid(session, in);
	uint32_t flags = unpack_u32(in);
	struct place place;
	struct stat stat;
	int ret;

	if (!unpack_done(in))
		return -EPROTO;
	if (!fid)
		return -EBADF;
	if (fid->kind != FID_PLACE || (flags & P9_ACCESS_MASK) > P9_RDWR)
		return -EINVAL;
	ret = place_of(session, fid->node, &place);
	if (ret == 0)
		ret = open_existing(session, fid, &place, flags, &stat);
	if (ret < 0)
		return ret;
	reply_qid(out, &stat);
	reply_u32(out, 0);
	return 0;
}

/* Creates the file, or opens the existing one unless the guest excludes that: 0 or -errno. */
static int create(struct files_session *session, struct fid *fid, const struct place *place,
		  uint32_t flags, unsigned mode, struct stat *stat)
{
	int host = host_flags(flags) & ~O_TRUNC, fd, ret;

	ret = place_creatable(session, place, POLICY_CREATE);
	if (ret == 0)
		ret = permit(session, place, flags & ~P9_TRUNC);
	/* The rules may allow writing an existing file and deny creating one. */
	if (ret < 0 && ret != -EACCES)
		return ret;
	if (ret < 0 && !(flags & P9_EXCL))
		ret = open_existing(session, fid, place, flags, stat);
	if (ret < 0)
		return ret == -ENOENT ? -EACCES : ret; /* the same whether it is absent or hidden */
	if (fid->fd >= 0)
		return 0;
	fd = place_open(session, place, host | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY,
			mode & 0777);
	if (fd == -EEXIST && !(flags & P9_EXCL))
		return open_existing(session, fid, place, flags, stat);
	if (fd < 0)
		return fd;
	if (fstat(fd, stat) < 0) {
		ret = -errno;
		fd_close(&fd);
		return ret;
	}
	return fid_open(session, fid, fd, FID_FILE, flags);
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
	int ret = take_name(in, &name);

	flags = unpack_u32(in);
	mode = unpack_u32(in);
	unpack_u32(in);
	if (!unpack_done(in))
		return -EPROTO;
	if (ret < 0)
		return ret;
	if (!fid)
		return -EBADF;
	if (fid->kind != FID_PLACE || (flags & P9_ACCESS_MASK) > P9_RDWR)
		return -EINVAL;
	directory = fid->node;
	ret = place_child(session, directory, name.text, name.length, &place);
	if (ret < 0)
		return ret;
	child = node_child(session, directory, &name);
	if (!child)
		return -ENFILE;
	fid->node = child;
	ret = create(session, fid, &place, flags, mode, &stat);
	if (ret < 0) {
		fid->node = directory;
		node_put(session, child);
		return ret;
	}
	node_put(session, directory);
	reply_qid(out, &stat);
	reply_u32(out, 0);
	return 0;
}

/*
 * The rules may have been replaced since a file was opened: the current ones decide. A file whose
 * name was removed since has no place to decide about.
 */
static int still_allowed(struct files_session *session, const struct fid *fid, enum policy_op op)
{
	struct place place;
	int ret;

	if (!session->share->guard)
		return 0;
	ret = place_of(session, fid->node, &place);
	if (ret < 0)
		return ret == -ENOENT ? 0 : ret;
	return place_quietly_allowed(session, &place, op) < 0 ? -EACCES : 0;
}

static long read_file(struct files_session *session, const struct fid *fid, uint64_t offset,
		      void *to, uint32_t count)
{
	int ret = still_allowed(session, fid, POLICY_READ);
	long n;

	if (ret < 0)
		return ret;
	n = pread(fid->fd, to, count, (off_t)offset);
	return n < 0 ? -errno : n;
}

static long write_file(struct files_session *session, const struct fid *fid, uint64_t offset,
		       const void *from, uint32_t count)
{
	int ret =
		still_allowed(session, fid, fid->flags & P9_APPEND ? POLICY_APPEND : POLICY_WRITE);
	long n;

	if (ret < 0)
		return ret;
	n = pwrite(fid->fd, from, count, (off_t)offset);
	return n < 0 ? -errno : n;
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
	else if (fid->kind == FID_FILE && (fid->flags & P9_ACCESS_MASK) != P9_WRONLY)
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
	else if (fid->kind == FID_FILE && (fid->flags & P9_ACCESS_MASK) != P9_RDONLY)
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
	if (!fid || fid->fd < 0)
		return fid_not_open(fid);
	return (data_only ? fdatasync(fid->fd) : fsync(fid->fd)) < 0 ? -errno : 0;
}
