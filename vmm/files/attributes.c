/* SPDX-License-Identifier: Apache-2.0 */
/* The status of files and of the file system, changes of it, and the targets of symbolic links. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/files/internal.h"

#define SANDBOX_NOBODY 65534u
#define SANDBOX_ID_MAX 65535u

/*
 * A host id as the guest's kernel numbers it: the monitor's own as the share says, others unchanged
 * if the sandbox has them.
 */
static uint32_t shown_id(const struct files_share *share, uint32_t id, uint32_t own, uint32_t as)
{
	if (id == own)
		id = as;
	else if (id > SANDBOX_ID_MAX)
		id = SANDBOX_NOBODY;
	return share->id_base + id;
}

static uint32_t shown_uid(const struct files_share *share, uint32_t id)
{
	return shown_id(share, id, share->host_uid, share->uid);
}

static uint32_t shown_gid(const struct files_share *share, uint32_t id)
{
	return shown_id(share, id, share->host_gid, share->gid);
}

/*
 * A file whose name was removed has no place to decide about: an open fid then allows what it was
 * opened for, and no more.
 */
static bool was_opened_for(const struct files_session *session, const struct fid *open,
			   enum policy_op op)
{
	if (op == POLICY_LOOKUP)
		return true;
	if (session->share->read_only || (open->flags & P9_ACCESS_MASK) == P9_RDONLY)
		return false;
	return op != POLICY_WRITE || !(open->flags & P9_APPEND);
}

/*
 * Opens the fid's place (O_PATH), or its open file if the name was removed. The policy decides
 * unless op is POLICY_LOOKUP. A descriptor or -errno.
 */
static int open_fid(struct files_session *session, const struct fid *fid, enum policy_op op,
		    struct stat *stat)
{
	const struct fid *open = fid->fd >= 0 ? fid : fid->node->open;
	struct place place;
	int ret = place_of(session, fid->node, &place), fd;

	if (ret == -ENOENT && open) {
		while (fid->fd < 0 && open->next_open && !was_opened_for(session, open, op))
			open = open->next_open;
		if (!was_opened_for(session, open, op))
			return session->share->read_only ? -EROFS : -EACCES;
		fd = fcntl(open->fd, F_DUPFD_CLOEXEC, 0);
	} else {
		if (ret == 0)
			ret = place_allowed(session, &place, op);
		return ret < 0 ? ret : place_look(session, &place, stat);
	}
	if (fd < 0)
		return -errno;
	if (fstat(fd, stat) < 0) {
		ret = -errno;
		fd_close(&fd);
		return ret;
	}
	return fd;
}

static void put_time(struct p9_reply *out, const struct timespec *time)
{
	reply_u64(out, (uint64_t)time->tv_sec);
	reply_u64(out, (uint64_t)time->tv_nsec);
}

/* Set-id bits of the host must not take effect in the guest. */
static uint32_t shown_mode(const struct stat *stat)
{
	uint32_t hidden = S_ISDIR(stat->st_mode) ? S_ISUID : S_ISUID | S_ISGID;

	return stat->st_mode & ~hidden;
}

/* The owner that was noted when the tree was unpacked; without a note uid and gid stay. */
static void noted_owner(const struct files_share *share, int fd, uint32_t *uid, uint32_t *gid)
{
	char path[FD_PATH_SIZE], text[32], *at = text, *end;
	unsigned long user, group;
	ssize_t n;

	fd_path(path, fd);
	n = getxattr(path, FILES_OWNER_ATTRIBUTE, text, sizeof(text) - 1);
	if (n <= 0)
		return;
	text[n] = '\0';
	user = strtoul(at, &end, 10);
	if (end == at || *end != ':')
		return;
	at = end + 1;
	group = strtoul(at, &end, 10);
	if (end == at)
		return;
	*uid = share->id_base + (user > SANDBOX_ID_MAX ? SANDBOX_NOBODY : (uint32_t)user);
	*gid = share->id_base + (group > SANDBOX_ID_MAX ? SANDBOX_NOBODY : (uint32_t)group);
}

/* Tgetattr: fid32 request_mask64; Rgetattr: valid64 qid mode32 uid32 gid32 nlink64 ... */
int p9_getattr(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	const struct files_share *share = session->share;
	struct fid *fid;
	struct stat stat;
	int bad = take_place(session, in, &fid), fd, i;
	uint32_t uid, gid;

	unpack_u64(in);
	if (!unpack_done(in))
		return -EPROTO;
	if (bad < 0)
		return bad;
	fd = open_fid(session, fid, POLICY_LOOKUP, &stat);
	if (fd < 0)
		return fd;
	uid = shown_uid(share, stat.st_uid);
	gid = shown_gid(share, stat.st_gid);
	if (share->owners)
		noted_owner(share, fd, &uid, &gid);
	fd_close(&fd);
	reply_u64(out, P9_GETATTR_BASIC);
	reply_qid(out, &stat);
	reply_u32(out, shown_mode(&stat));
	reply_u32(out, uid);
	reply_u32(out, gid);
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

/* --- changes ---------------------------------------------------------------------------------- */

struct change {
	uint32_t valid, mode, uid, gid;
	uint64_t size;
	struct timespec time[2];
};

static void take_change(struct unpack *in, struct change *change)
{
	int i;

	change->valid = unpack_u32(in);
	change->mode = unpack_u32(in);
	change->uid = unpack_u32(in);
	change->gid = unpack_u32(in);
	change->size = unpack_u64(in);
	for (i = 0; i < 2; i++) {
		change->time[i].tv_sec = (time_t)unpack_u64(in);
		change->time[i].tv_nsec = (long)unpack_u64(in);
	}
}

static int set_size(const struct fid *fid, int path_fd, const struct stat *stat, uint64_t size)
{
	int fd, ret = 0;

	if (S_ISDIR(stat->st_mode))
		return -EISDIR;
	if (!S_ISREG(stat->st_mode) || size > INT64_MAX)
		return -EINVAL;
	if (stat->st_mode & (S_ISUID | S_ISGID))
		return -EPERM;
	/* A fid that is open for writing may truncate, even if the mode has changed since. */
	if (fid->kind == FID_FILE && (fid->flags & P9_ACCESS_MASK) != P9_RDONLY)
		return ftruncate(fid->fd, (off_t)size) < 0 ? -errno : 0;
	fd = reopen(path_fd, O_WRONLY);
	if (fd < 0)
		return fd;
	if (ftruncate(fd, (off_t)size) < 0)
		ret = -errno;
	fd_close(&fd);
	return ret;
}

/* Owners can't be changed: the requested owner must be the present one. */
static int set_owner(const struct files_session *session, const struct change *change,
		     const struct stat *stat)
{
	const struct files_share *share = session->share;

	if ((change->valid & P9_SETATTR_UID) && change->uid != shown_uid(share, stat->st_uid))
		return -EPERM;
	if ((change->valid & P9_SETATTR_GID) && change->gid != shown_gid(share, stat->st_gid))
		return -EPERM;
	return 0;
}

static int set_mode(int fd, const struct stat *stat, uint32_t mode)
{
	char path[FD_PATH_SIZE];

	if (S_ISLNK(stat->st_mode))
		return -EOPNOTSUPP;
	fd_path(path, fd);
	return chmod(path, mode & (S_ISDIR(stat->st_mode) ? 01777 : 0777)) < 0 ? -errno : 0;
}

static int set_times(int fd, const struct stat *stat, struct change *change)
{
	static const uint32_t valid[2] = {P9_SETATTR_ATIME, P9_SETATTR_MTIME};
	static const uint32_t given[2] = {P9_SETATTR_ATIME_SET, P9_SETATTR_MTIME_SET};
	char path[FD_PATH_SIZE];
	int i;

	for (i = 0; i < 2; i++) {
		if (!(change->valid & valid[i]))
			change->time[i].tv_nsec = UTIME_OMIT;
		else if (!(change->valid & given[i]))
			change->time[i].tv_nsec = UTIME_NOW;
		else if (change->time[i].tv_nsec < 0 || change->time[i].tv_nsec > 999999999)
			return -EINVAL;
	}
	if (S_ISLNK(stat->st_mode))
		return utimensat(fd, "", change->time, AT_EMPTY_PATH) < 0 ? -errno : 0;
	fd_path(path, fd);
	return utimensat(AT_FDCWD, path, change->time, 0) < 0 ? -errno : 0;
}

static int apply(struct files_session *session, const struct fid *fid, int fd,
		 const struct stat *stat, struct change *change)
{
	int ret = set_owner(session, change, stat);

	if (ret == 0 && (change->valid & P9_SETATTR_SIZE))
		ret = set_size(fid, fd, stat, change->size);
	if (ret == 0 && (change->valid & P9_SETATTR_MODE))
		ret = set_mode(fd, stat, change->mode);
	if (ret == 0 && (change->valid & (P9_SETATTR_ATIME | P9_SETATTR_MTIME)))
		ret = set_times(fd, stat, change);
	return ret;
}

/* Tsetattr: fid32 valid32 mode32 uid32 gid32 size64 atime_sec64 atime_nsec64 mtime_... */
int p9_setattr(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct change change;
	struct place place;
	struct stat stat;
	struct fid *fid;
	int bad = take_place(session, in, &fid), fd, ret = 0;
	bool size;

	(void)out;
	take_change(in, &change);
	if (!unpack_done(in))
		return -EPROTO;
	if (bad < 0)
		return bad;
	if (change.valid & ~P9_SETATTR_ALL)
		return -EINVAL;
	size = change.valid & P9_SETATTR_SIZE;
	/* A new size implies new times, which need no permission of their own. */
	if (size && (change.valid & (P9_SETATTR_MODE | P9_SETATTR_UID | P9_SETATTR_GID)) &&
	    place_of(session, fid->node, &place) == 0)
		ret = place_allowed(session, &place, POLICY_ATTRIBUTES);
	if (ret < 0)
		return ret;
	fd = open_fid(session, fid, size ? POLICY_WRITE : POLICY_ATTRIBUTES, &stat);
	if (fd < 0)
		return fd;
	ret = apply(session, fid, fd, &stat, &change);
	fd_close(&fd);
	return ret;
}

/* --- the rest --------------------------------------------------------------------------------- */

/* Treadlink: fid32; Rreadlink: target[s]. */
int p9_readlink(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	char target[PATH_MAX];
	struct stat stat;
	struct fid *fid;
	struct place place;
	int bad = take_place(session, in, &fid), fd, ret;
	ssize_t n;

	if (!unpack_done(in))
		return -EPROTO;
	if (bad < 0)
		return bad;
	ret = place_of(session, fid->node, &place);
	if (ret == 0)
		ret = place_quietly_allowed(session, &place, POLICY_READ);
	fd = ret < 0 ? ret : place_look(session, &place, &stat);
	if (fd < 0)
		return fd;
	n = S_ISLNK(stat.st_mode) ? readlinkat(fd, "", target, sizeof(target)) : -1;
	ret = S_ISLNK(stat.st_mode) ? -errno : -EINVAL;
	fd_close(&fd);
	if (n < 0)
		return ret;
	reply_string(out, target, (size_t)n);
	return 0;
}

/* Tstatfs: fid32; Rstatfs: type32 bsize32 blocks64 bfree64 bavail64 files64 ffree64 fsid64
 * namelen32 */
int p9_statfs(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct statfs statfs;
	struct fid *fid;
	int bad = take_place(session, in, &fid);

	if (!unpack_done(in))
		return -EPROTO;
	if (bad < 0)
		return bad;
	/* A share is within one file system. */
	if (fstatfs(session->share->root_fd, &statfs) < 0)
		return -errno;
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
