/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 9P: advisory locks. The guest's kernel decides between processes of the guest before it sends a
 * request. The server decides about the host and other sandboxes, and holds open file description
 * locks against them.
 */
#include <errno.h>
#include <fcntl.h>

#include "vmm/files/p9.h"

struct range {
	uint8_t type;
	uint64_t start, length;
};

/* 0 or -EINVAL. */
static int to_host(const struct range *range, struct flock *lock)
{
	static const short type[] = {
		[P9_LOCK_RDLCK] = F_RDLCK, [P9_LOCK_WRLCK] = F_WRLCK, [P9_LOCK_UNLCK] = F_UNLCK};

	if (range->type > P9_LOCK_UNLCK || range->start > INT64_MAX || range->length > INT64_MAX)
		return -EINVAL;
	*lock = (struct flock){
		.l_type = type[range->type],
		.l_whence = SEEK_SET,
		.l_start = (off_t)range->start,
		.l_len = (off_t)range->length,
	};
	return 0;
}

/*
 * Another file of this guest at the same place has locks: the guest's kernel has allowed this one.
 */
static bool is_shared_in_guest(const struct fid *fid)
{
	const struct open_file *other;

	for (other = fid->file.node->open; other; other = other->next)
		if (other != &fid->file && fid_of(other)->locked)
			return true;
	return false;
}

static int take_range(struct unpack *in, struct range *range, bool with_flags)
{
	char client[P9_NAME_MAX + 1];
	size_t length;

	range->type = unpack_u8(in);
	if (with_flags)
		unpack_u32(in);
	range->start = unpack_u64(in);
	range->length = unpack_u64(in);
	unpack_u32(in); /* the process id */
	return take_string(in, client, sizeof(client), &length);
}

/* Parses the whole request: an open fid, and its range in the host's form. 0 or -errno. */
static int take_lock(struct files_session *session, struct unpack *in, bool with_flags,
		     struct fid **fid, struct flock *lock)
{
	struct range range;
	int ret;

	*fid = take_fid(session, in);
	ret = take_range(in, &range, with_flags);
	if (!unpack_done(in))
		return -EPROTO;
	if (ret < 0)
		return ret;
	if (!*fid || (*fid)->file.fd < 0)
		return fid_not_open(*fid);
	return to_host(&range, lock);
}

/*
 * Tlock: fid32 type8 flags32 start64 length64 proc_id32 client_id[s]; Rlock: status8. Never waits:
 * the guest repeats the request.
 */
int p9_lock(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct flock lock;
	struct fid *fid;
	int ret = take_lock(session, in, true, &fid, &lock);

	if (ret < 0)
		return ret;
	if (fcntl(fid->file.fd, F_OFD_SETLK, &lock) == 0) {
		fid->locked = fid->locked || lock.l_type != F_UNLCK;
		reply_u8(out, P9_LOCK_SUCCESS);
	} else if (errno == EAGAIN || errno == EACCES) {
		reply_u8(out, is_shared_in_guest(fid) ? P9_LOCK_SUCCESS : P9_LOCK_BLOCKED);
	} else {
		reply_u8(out, P9_LOCK_ERROR);
	}
	return 0;
}

/* Tgetlock: fid32 type8 start64 length64 proc_id32 client_id[s]; Rgetlock: the same without fid. */
int p9_getlock(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct flock lock;
	struct fid *fid;
	int ret = take_lock(session, in, false, &fid, &lock);

	if (ret < 0)
		return ret;
	if (lock.l_type == F_UNLCK)
		return -EINVAL;
	if (fcntl(fid->file.fd, F_OFD_GETLK, &lock) < 0)
		return -errno;
	if (is_shared_in_guest(fid))
		lock.l_type = F_UNLCK;
	/* Does not tell the guest who holds the lock. */
	reply_u8(out, lock.l_type == F_UNLCK   ? P9_LOCK_UNLCK
		      : lock.l_type == F_RDLCK ? P9_LOCK_RDLCK
					       : P9_LOCK_WRLCK);
	reply_u64(out, (uint64_t)lock.l_start);
	reply_u64(out, (uint64_t)lock.l_len);
	reply_u32(out, 0);
	reply_string(out, "host", 4);
	return 0;
}
