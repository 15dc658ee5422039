/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes: only those of class "user.". Others are the host's (capabilities, ACLs,
 * labels), and do not exist for the guest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/files/internal.h"

#define PREFIX "user."

static bool is_users(const char *name)
{
	return strncmp(name, PREFIX, strlen(PREFIX)) == 0 && name[strlen(PREFIX)];
}

/* Allocates a value of size bytes for a fid. NULL: too many are in transfer. */
static struct xattr *xattr_new(struct files_session *session, uint32_t size)
{
	struct xattr *xattr;

	if (size > FILES_XATTRS_MAX - session->xattr_bytes)
		return NULL;
	xattr = calloc(1, sizeof(*xattr) + size);
	if (!xattr)
		return NULL;
	xattr->size = size;
	session->xattr_bytes += size;
	return xattr;
}

/* Keeps only the names that the guest may know. */
static size_t filter(char *names, size_t length)
{
	size_t at, part, kept = 0;

	for (at = 0; at < length; at += part) {
		part = strnlen(names + at, length - at) + 1;
		if (at + part > length || !is_users(names + at))
			continue;
		memmove(names + kept, names + at, part);
		kept += part;
	}
	return kept;
}

static ssize_t load(const char *path, const char *name, char *to)
{
	ssize_t n = name[0] ? getxattr(path, name, to, FILES_XATTR_MAX)
			    : listxattr(path, to, FILES_XATTR_MAX);

	if (n < 0)
		return -errno;
	return name[0] ? n : (ssize_t)filter(to, (size_t)n);
}

/* Reads an attribute of a place, or with an empty name the list of names. Its size or -errno. */
static ssize_t fetch(struct files_session *session, const struct fid *fid, const char *name,
		     char *to)
{
	char path[FD_PATH_SIZE];
	struct place place;
	struct stat stat;
	int ret = place_of(session, fid->node, &place), fd;
	ssize_t n;

	if (ret == 0)
		ret = place_quietly_allowed(session, &place, POLICY_READ);
	if (ret < 0)
		return ret;
	if (name[0] && !is_users(name))
		return -EOPNOTSUPP;
	fd = place_look(session, &place, &stat);
	if (fd < 0)
		return fd;
	fd_path(path, fd);
	/* Only files and directories have user attributes. */
	if (S_ISREG(stat.st_mode) || S_ISDIR(stat.st_mode))
		n = load(path, name, to);
	else
		n = name[0] ? -ENODATA : 0;
	fd_close(&fd);
	return n;
}

/* Txattrwalk: fid32 newfid32 name[s]; Rxattrwalk: size64. The value is then read from newfid. */
int p9_xattrwalk(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	static __thread char value[FILES_XATTR_MAX];
	struct fid *fid, *made;
	char name[P9_NAME_MAX + 1];
	struct xattr *xattr;
	size_t length;
	int bad = take_place(session, in, &fid), ret;
	uint32_t number = unpack_u32(in);
	ssize_t n;

	ret = take_string(in, name, sizeof(name), &length);
	if (!unpack_done(in))
		return -EPROTO;
	if (bad < 0 || ret < 0)
		return bad < 0 ? bad : ret;
	if (number == P9_NOFID || fid_find(session, number))
		return -EINVAL;
	/*
	 * A root file system has none: the guest's overlay would copy them up, and would fail if
	 * the guest's kernel must not pass them on.
	 */
	if (session->share->rootfs)
		n = name[0] ? -ENODATA : 0;
	else
		n = fetch(session, fid, name, value);
	if (n < 0)
		return (int)n;
	ret = fid_new(session, number, fid->node, &made);
	if (ret < 0)
		return ret;
	xattr = xattr_new(session, (uint32_t)n);
	if (!xattr) {
		fid_free(session, made);
		return -ENOSPC;
	}
	memcpy(xattr->data, value, (size_t)n);
	made->kind = FID_XATTR_READ;
	made->xattr = xattr;
	reply_u64(out, (uint64_t)n);
	return 0;
}

/*
 * Txattrcreate: fid32 name[s] size64 flags32. The value is written to the fid; the attribute is set
 * when it is clunked, or removed if size is 0.
 */
int p9_xattrcreate(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *fid = take_fid(session, in);
	char name[P9_NAME_MAX + 1];
	struct xattr *xattr;
	struct place place;
	size_t length;
	int ret = take_string(in, name, sizeof(name), &length);
	uint64_t size = unpack_u64(in);
	uint32_t flags = unpack_u32(in);

	(void)out;
	if (!unpack_done(in))
		return -EPROTO;
	if (ret < 0)
		return ret;
	if (!fid)
		return -EBADF;
	if (fid->kind != FID_PLACE || (flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE)))
		return -EINVAL;
	if (!is_users(name))
		return -EOPNOTSUPP;
	if (size > FILES_XATTR_MAX)
		return -E2BIG;
	ret = place_of(session, fid->node, &place);
	if (ret == 0)
		ret = place_allowed(session, &place, POLICY_ATTRIBUTES);
	if (ret < 0)
		return ret;
	xattr = xattr_new(session, (uint32_t)size);
	if (!xattr)
		return -ENOSPC;
	memcpy(xattr->name, name, length + 1);
	xattr->flags = flags;
	fid->kind = FID_XATTR_WRITE;
	fid->xattr = xattr;
	return 0;
}

long xattr_read(const struct fid *fid, uint64_t offset, void *to, size_t length)
{
	const struct xattr *xattr = fid->xattr;

	if (offset >= xattr->size)
		return 0;
	length = min_u64(length, xattr->size - offset);
	memcpy(to, xattr->data + offset, length);
	return (long)length;
}

long xattr_write(struct fid *fid, uint64_t offset, const void *from, size_t length)
{
	struct xattr *xattr = fid->xattr;

	if (offset != xattr->used || length > xattr->size - xattr->used)
		return -ENOSPC;
	memcpy(xattr->data + xattr->used, from, length);
	xattr->used += (uint32_t)length;
	return (long)length;
}

int xattr_commit(struct files_session *session, struct fid *fid)
{
	const struct xattr *xattr = fid->xattr;
	char path[FD_PATH_SIZE];
	struct place place;
	struct stat stat;
	int ret = place_of(session, fid->node, &place), fd;

	/* Rules and names may have changed since the write began. */
	if (ret == 0)
		ret = place_quietly_allowed(session, &place, POLICY_ATTRIBUTES);
	if (ret == 0 && xattr->used != xattr->size)
		ret = -EINVAL;
	if (ret < 0)
		return ret;
	fd = place_look(session, &place, &stat);
	if (fd < 0)
		return fd;
	fd_path(path, fd);
	if (!S_ISREG(stat.st_mode) && !S_ISDIR(stat.st_mode))
		ret = -EPERM;
	else if (xattr->size == 0 && xattr->flags != XATTR_CREATE)
		ret = removexattr(path, xattr->name) < 0 ? -errno : 0;
	else if (setxattr(path, xattr->name, xattr->data, xattr->size, (int)xattr->flags) < 0)
		ret = -errno;
	fd_close(&fd);
	return ret;
}

/* --- a saved session -------------------------------------------------------------------------- */

void xattr_save(const struct xattr *xattr, struct pack *to)
{
	uint16_t length = (uint16_t)strlen(xattr->name);

	pack_u16(to, length);
	pack_bytes(to, xattr->name, length);
	pack_u32(to, xattr->flags);
	pack_u32(to, xattr->used);
	pack_u32(to, xattr->size);
	pack_bytes(to, xattr->data, xattr->size);
}

int xattr_restore(struct files_session *session, struct fid *fid, enum fid_kind kind,
		  struct unpack *from)
{
	char name[P9_NAME_MAX + 1];
	struct xattr *xattr;
	uint32_t flags, used, size;
	size_t length;

	if (take_string(from, name, sizeof(name), &length) < 0)
		return -EINVAL;
	flags = unpack_u32(from);
	used = unpack_u32(from);
	size = unpack_count(from, FILES_XATTR_MAX);
	/* For a write, p9_xattrcreate() has checked the name. */
	if (from->failed || size > from->length - from->at || used > size ||
	    (flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE)) ||
	    (kind == FID_XATTR_WRITE && !is_users(name)))
		return -EINVAL;
	xattr = xattr_new(session, size);
	if (!xattr)
		return -ENOSPC;
	memcpy(xattr->name, name, length + 1);
	xattr->flags = flags;
	xattr->used = used;
	unpack_bytes(from, xattr->data, size);
	fid->kind = kind;
	fid->xattr = xattr;
	return 0;
}

void xattr_reopen(struct files_session *session, struct fid *fid)
{
	struct place place;

	if (place_of(session, fid->node, &place) == 0 &&
	    place_allowed(session, &place, POLICY_ATTRIBUTES) == 0)
		return;
	session->xattr_bytes -= fid->xattr->size;
	free(fid->xattr);
	fid->xattr = NULL;
	fid->kind = FID_CLOSED;
}
