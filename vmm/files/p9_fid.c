/* SPDX-License-Identifier: Apache-2.0 */
/* 9P: fids, the guest's numbers for places and open files; and the fields of requests that name
 * them.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/files/p9.h"

/* Of all sessions: the monitor needs memory for other purposes too. */
static atomic_uint fids_all;

_Static_assert(FILES_BUCKETS == 1u << 16, "a bucket's number is 16 bits of a product");

/* With a secret factor: a guest that chooses the numbers can't put all of them into one bucket. */
static struct fid **bucket(struct files_session *session, uint32_t number)
{
	return &session->fids[(number + 1) * (session->tree.seed | 1) >> 48];
}

struct fid *fid_find(struct files_session *session, uint32_t number)
{
	struct fid *fid = *bucket(session, number);

	while (fid && fid->number != number)
		fid = fid->next;
	return fid;
}

int fid_new(struct files_session *session, uint32_t number, struct node *node, struct fid **out)
{
	struct fid **at = bucket(session, number), *fid;

	if (number == P9_NOFID || fid_find(session, number))
		return -EINVAL;
	if (session->fid_count == FILES_FIDS_MAX)
		return -ENFILE;
	if (atomic_fetch_add(&fids_all, 1) >= FILES_FIDS_ALL) {
		atomic_fetch_sub(&fids_all, 1);
		return -ENFILE;
	}
	fid = calloc(1, sizeof(*fid));
	if (!fid) {
		atomic_fetch_sub(&fids_all, 1);
		return -ENOMEM;
	}
	fid->number = number;
	fid->file.fd = -1;
	fid->file.node = node_get(node);
	fid->next = *at;
	*at = fid;
	session->fid_count++;
	*out = fid;
	return 0;
}

int fid_free(struct files_session *session, struct fid *fid)
{
	struct fid **at = bucket(session, fid->number);
	int ret = fid->kind == FID_XATTR_WRITE ? xattr_commit(session, fid) : 0;

	while (*at != fid)
		at = &(*at)->next;
	*at = fid->next;
	if (fid->file.fd >= 0)
		file_close(&session->tree, &fid->file);
	if (fid->xattr)
		session->xattr_bytes -= fid->xattr->size;
	free(fid->xattr);
	node_put(&session->tree, fid->file.node);
	free(fid);
	session->fid_count--;
	atomic_fetch_sub(&fids_all, 1);
	return ret;
}

void fid_free_all(struct files_session *session)
{
	struct fid *fid;
	unsigned i;

	for (i = 0; i < FILES_BUCKETS; i++) {
		while ((fid = session->fids[i])) {
			/* An attribute that is not clunked is not written. */
			if (fid->kind == FID_XATTR_WRITE)
				fid->kind = FID_XATTR_READ;
			fid_free(session, fid);
		}
	}
}

/* --- fields of requests ----------------------------------------------------------------------- */

struct fid *take_fid(struct files_session *session, struct unpack *in)
{
	return fid_find(session, unpack_u32(in));
}

int take_place(struct files_session *session, struct unpack *in, struct fid **fid)
{
	*fid = take_fid(session, in);
	return *fid && (*fid)->kind != FID_XATTR_READ && (*fid)->kind != FID_XATTR_WRITE ? 0
											 : -EBADF;
}

int take_string(struct unpack *in, char *to, size_t size, size_t *length)
{
	*length = unpack_u16(in);
	if (in->failed || *length > in->length - in->at) {
		in->failed = true;
		return -EPROTO;
	}
	if (*length >= size) {
		in->at += *length;
		return -ENAMETOOLONG;
	}
	unpack_bytes(in, to, *length);
	to[*length] = '\0';
	return memchr(to, '\0', *length) ? -EINVAL : 0;
}

int take_name(struct unpack *in, struct name *name)
{
	int ret = take_string(in, name->text, sizeof(name->text), &name->length);

	if (ret < 0)
		return ret;
	return name_is_good(name) ? 0 : -EINVAL;
}
