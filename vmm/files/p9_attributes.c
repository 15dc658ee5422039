/* SPDX-License-Identifier: Apache-2.0 */
/* 9P: the status of files and of the file system, changes of it, targets of symbolic links. */
#include <errno.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/files/p9.h"

static void put_time(struct p9_reply *out, const struct timespec *time)
{
	reply_u64(out, (uint64_t)time->tv_sec);
	reply_u64(out, (uint64_t)time->tv_nsec);
}

/* Tgetattr: fid32 request_mask64; Rgetattr: valid64 qid mode32 uid32 gid32 nlink64 ... */
int p9_getattr(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *fid;
	struct shown shown;
	struct stat stat;
	int bad = take_place(session, in, &fid), fd, i;

	unpack_u64(in);
	if (!unpack_done(in))
		return -EPROTO;
	if (bad < 0)
		return bad;
	fd = op_look(&session->tree, fid->file.node, fid_file(fid), POLICY_LOOKUP, &stat);
	if (fd < 0)
		return fd;
	op_show(&session->tree, fd, &stat, &shown);
	fd_close(&fd);
	reply_u64(out, P9_GETATTR_BASIC);
	reply_qid(out, &stat);
	reply_u32(out, shown.mode);
	reply_u32(out, shown.uid);
	reply_u32(out, shown.gid);
	reply_u64(out, stat.st_nlink);
	reply_u64(out, 0); /* rdev */
	reply_u64(out, (uint64_t)stat.st_size);
	reply_u64(out, (uint64_t)stat.st_blksize);
	reply_u64(out, (uint64_t)stat.st_blocks);
	put_time(out, &stat.st_atim);
	put_time(out, &stat.st_mtim);
	put_time(out, &stat.st_ctim);
	for (i = 0; i < 4; i++) /* birth time, generation, data version: not supported */
		reply_u64(out, 0);
	return 0;
}

/* The flags of P9_SETATTR_ up to MTIME are those of CHANGE_. */
_Static_assert(P9_SETATTR_MODE == CHANGE_MODE && P9_SETATTR_SIZE == CHANGE_SIZE &&
		       P9_SETATTR_MTIME == CHANGE_MTIME,
	       "flags of changes");
#define CHANGES (2 * CHANGE_MTIME - 1)

static uint32_t take_change(struct unpack *in, struct change *change)
{
	static const uint32_t given[2] = {P9_SETATTR_ATIME_SET, P9_SETATTR_MTIME_SET};
	uint32_t valid = unpack_u32(in);
	int i;

	change->valid = valid & CHANGES;
	change->mode = unpack_u32(in);
	change->uid = unpack_u32(in);
	change->gid = unpack_u32(in);
	change->size = unpack_u64(in);
	for (i = 0; i < 2; i++) {
		change->time[i].tv_sec = (time_t)unpack_u64(in);
		change->time[i].tv_nsec = (long)unpack_u64(in);
		if (!(valid & given[i]))
			change->time[i].tv_nsec = UTIME_NOW;
		else if (change->time[i].tv_nsec == UTIME_NOW)
			change->time[i].tv_nsec = -1;
	}
	return valid;
}

/* Tsetattr: fid32 valid32 mode32 uid32 gid32 size64 atime_sec64 atime_nsec64 mtime_... */
int p9_setattr(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct change change = {0};
	struct fid *fid;
	int bad = take_place(session, in, &fid);
	uint32_t valid = take_change(in, &change);

	(void)out;
	if (!unpack_done(in))
		return -EPROTO;
	if (bad < 0)
		return bad;
	if (valid & ~P9_SETATTR_ALL)
		return -EINVAL;
	return op_change(&session->tree, fid->file.node, fid_file(fid), &change);
}

/* Treadlink: fid32; Rreadlink: target[s]. */
int p9_readlink(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	char target[PATH_MAX];
	struct fid *fid;
	int bad = take_place(session, in, &fid), n;

	if (!unpack_done(in))
		return -EPROTO;
	if (bad < 0)
		return bad;
	n = op_readlink(&session->tree, fid->file.node, target);
	if (n < 0)
		return n;
	reply_string(out, target, (size_t)n);
	return 0;
}

/* Tstatfs: fid32; Rstatfs: type32 bsize32 blocks64 bfree64 bavail64 files64 ffree64 fsid64
 * namelen32 */
int p9_statfs(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct statfs statfs;
	struct fid *fid;
	int bad = take_place(session, in, &fid), ret;

	if (!unpack_done(in))
		return -EPROTO;
	if (bad < 0)
		return bad;
	ret = op_statfs(&session->tree, &statfs);
	if (ret < 0)
		return ret;
	reply_u32(out, P9_MAGIC);
	reply_u32(out, (uint32_t)statfs.f_bsize);
	reply_u64(out, statfs.f_blocks);
	reply_u64(out, statfs.f_bfree);
	reply_u64(out, statfs.f_bavail);
	reply_u64(out, statfs.f_files);
	reply_u64(out, statfs.f_ffree);
	reply_u64(out, 0);
	reply_u32(out, P9_NAME_MAX);
	return 0;
}
