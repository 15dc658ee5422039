/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 9P: saves and restores a session (docs/snapshot-format.md): the tree of names that fids stand
 * for, parents before children, then the fids. It contains paths and no descriptors.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/files/p9.h"
#include "vmm/files/tree_save.h"

/* --- saving ----------------------------------------------------------------------------------- */

static void save_nodes(struct files_session *session, struct pack *to)
{
	struct tree_save save;
	struct fid *fid;
	unsigned i;

	tree_save_begin(&save, to);
	for (i = 0; i < FILES_BUCKETS; i++)
		for (fid = session->fids[i]; fid; fid = fid->next)
			tree_save_node(&save, fid->file.node);
	tree_save_end(&save);
}

static void save_fid(const struct fid *fid, struct pack *to)
{
	pack_u32(to, fid->number);
	pack_u32(to, fid->file.node->saved);
	pack_u8(to, (uint8_t)fid->kind);
	pack_u32(to, fid->file.flags);
	if (fid->xattr)
		xattr_save(fid->xattr, to);
}

static void forget_numbers(struct files_session *session)
{
	const struct fid *fid;
	unsigned i;

	for (i = 0; i < FILES_BUCKETS; i++)
		for (fid = session->fids[i]; fid; fid = fid->next)
			tree_save_forget(fid->file.node);
}

void files_session_save(struct files_session *session, struct pack *to)
{
	const struct fid *fid;
	unsigned i;

	pack_u32(to, session->msize);
	pack_u8(to, session->versioned);
	save_nodes(session, to);
	pack_u32(to, session->fid_count);
	for (i = 0; i < FILES_BUCKETS; i++)
		for (fid = session->fids[i]; fid; fid = fid->next)
			save_fid(fid, to);
	forget_numbers(session);
}

/* --- restoring -------------------------------------------------------------------------------- */

static int restore_fid(struct files_session *session, const struct tree_saved *saved,
		       uint32_t *open, struct unpack *from)
{
	uint32_t number = unpack_u32(from), place = unpack_u32(from);
	uint8_t kind = unpack_u8(from);
	uint32_t flags = unpack_u32(from);
	struct node *node;
	struct fid *fid;
	int ret;

	if (from->failed || kind > FID_XATTR_WRITE)
		return -EINVAL;
	ret = tree_restored(&session->tree, saved, place, &node);
	if (ret < 0)
		return ret;
	ret = fid_new(session, number, node, &fid);
	node_put(&session->tree, node);
	if (ret < 0)
		return ret;
	fid->file.flags = flags;
	if (kind == FID_XATTR_READ || kind == FID_XATTR_WRITE)
		return xattr_restore(session, fid, kind, from);
	/* Closed until the session's thread has opened it. */
	fid->kind = kind == FID_PLACE ? FID_PLACE : FID_CLOSED;
	fid->again = kind == FID_FILE || kind == FID_DIRECTORY;
	/* No more than could have been open: each costs a walk, a decision and an open. */
	return fid->again && ++*open > FILES_OPEN_MAX ? -EINVAL : 0;
}

int files_session_restore(struct files_session *session, struct unpack *from)
{
	struct tree_saved saved;
	uint32_t msize = unpack_u32(from), count, i, open = 0;
	int ret;

	session->versioned = unpack_u8(from);
	if (from->failed || msize < FILES_MSIZE_MIN || msize > FILES_MSIZE_MAX)
		return -EINVAL;
	session->msize = msize;
	ret = tree_restore(&session->tree, &saved, from);
	count = unpack_count(from, FILES_FIDS_MAX);
	for (i = 0; ret == 0 && i < count; i++)
		ret = restore_fid(session, &saved, &open, from);
	tree_restore_end(&session->tree, &saved);
	return ret == 0 && from->failed ? -EINVAL : ret;
}

void files_session_reopen(struct files_session *session)
{
	struct fid *fid;
	unsigned i;

	for (i = 0; i < FILES_BUCKETS; i++) {
		for (fid = session->fids[i]; fid; fid = fid->next) {
			if (fid->again)
				fid_reopen(session, fid);
			else if (fid->kind == FID_XATTR_WRITE)
				xattr_reopen(session, fid);
		}
	}
}
