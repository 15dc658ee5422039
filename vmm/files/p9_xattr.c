/* SPDX-License-Identifier: Apache-2.0 */
/* 9P: extended attributes, whose values are read and written through fids. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "vmm/base/bytes.h"
#include "vmm/files/p9.h"

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
	n = op_get_xattr(&session->tree, fid->file.node, name, value);
	if (n < 0)
		return (int)n;
	ret = fid_new(session, number, fid->file.node, &made);
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
	if (size > FILES_XATTR_MAX)
		return -E2BIG;
	ret = op_may_set_xattr(&session->tree, fid->file.node, name);
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
	bool removes = xattr->size == 0 && xattr->flags != XATTR_CREATE;

	if (xattr->used != xattr->size)
		return -EINVAL;
	/* Rules and names may have changed since the write began. */
	return op_set_xattr(&session->tree, fid->file.node, xattr->name,
			    removes ? NULL : xattr->data, xattr->size, (int)xattr->flags, true);
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
	/* The name of one that is written is checked again at the clunk. */
	if (from->failed || size > from->length - from->at || used > size ||
	    (flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE)))
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
	if (op_may_set_xattr(&session->tree, fid->file.node, fid->xattr->name) == 0)
		return;
	session->xattr_bytes -= fid->xattr->size;
	free(fid->xattr);
	fid->xattr = NULL;
	fid->kind = FID_CLOSED;
}
