/* SPDX-License-Identifier: Apache-2.0 */
/* 9P: attach and walk: the requests that create fids. */
#include <errno.h>
#include <string.h>

#include "vmm/base/fd.h"
#include "vmm/files/p9.h"

/* Whether the place exists for the guest: 0 with its status, or -errno. */
static int look(struct tree *tree, const struct node *node, struct stat *stat)
{
	struct place place;
	int ret = place_of(tree, node, &place), fd;

	if (ret == 0)
		ret = place_allowed(tree, &place, POLICY_LOOKUP);
	if (ret < 0)
		return ret;
	fd = place_look(tree, &place, stat);
	if (fd < 0)
		return fd;
	fd_close(&fd);
	return 0;
}

/*
 * Tattach: fid32 afid32 uname[s] aname[s] n_uname32; Rattach: qid. The names of user and tree are
 * ignored: the connection belongs to one share.
 */
int p9_attach(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	uint32_t number = unpack_u32(in), afid = unpack_u32(in);
	char text[256];
	struct stat stat;
	struct fid *fid;
	size_t length;
	int ret = take_string(in, text, sizeof(text), &length);

	if (ret == 0)
		ret = take_string(in, text, sizeof(text), &length);
	if (ret < 0)
		return ret;
	unpack_u32(in);
	if (!unpack_done(in))
		return -EPROTO;
	if (afid != P9_NOFID)
		return -EOPNOTSUPP;
	ret = look(&session->tree, session->tree.root, &stat);
	if (ret == 0)
		ret = fid_new(session, number, session->tree.root, &fid);
	if (ret == 0)
		reply_qid(out, &stat);
	return ret;
}

/*
 * Walks the names as far as they exist: the node reached, with a reference, and their qids in out.
 */
static struct node *walk(struct files_session *session, struct node *start, struct unpack *in,
			 unsigned count, struct p9_reply *out, unsigned *done, int *error)
{
	struct node *at = node_get(start), *next;
	struct name name;
	struct stat stat;

	*error = 0;
	for (*done = 0; *done < count; (*done)++) {
		*error = take_name(in, &name);
		if (*error < 0)
			break;
		next = node_child(&session->tree, at, &name);
		*error = next ? look(&session->tree, next, &stat) : -ENFILE;
		if (*error < 0) {
			node_put(&session->tree, next);
			break;
		}
		node_put(&session->tree, at);
		at = next;
		reply_qid(out, &stat);
	}
	return at;
}

/* All names were walked: newfid exists now. */
static int arrive(struct files_session *session, struct fid *fid, uint32_t number,
		  struct node *node)
{
	struct fid *made;

	if (number != fid->number)
		return fid_new(session, number, node, &made);
	if (fid->kind != FID_PLACE)
		return -EINVAL; /* an open file cannot be walked */
	node_put(&session->tree, fid->file.node);
	fid->file.node = node_get(node);
	return 0;
}

/*
 * Twalk: fid32 newfid32 nwname16 nwname*(name[s]); Rwalk: nwqid16 nwqid*(qid). It is an error if
 * the first name does not exist; if a later one does not, there are fewer qids, and no newfid.
 */
int p9_walk(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *fid = take_fid(session, in);
	uint32_t number = unpack_u32(in);
	unsigned count = unpack_u16(in), done, i;
	struct unpack names = *in;
	struct node *node;
	int error, ret = 0;
	size_t start;

	/* Parse everything before doing anything. */
	for (i = 0; i < count && !in->failed; i++) {
		uint16_t length = unpack_u16(in);

		if (length > in->length - in->at)
			in->failed = true;
		else
			in->at += length;
	}
	if (!unpack_done(in))
		return -EPROTO;
	if (count > P9_WALK_MAX)
		return -EINVAL;
	if (!fid)
		return -EBADF;
	if (fid->kind == FID_XATTR_READ || fid->kind == FID_XATTR_WRITE ||
	    (number != fid->number && (number == P9_NOFID || fid_find(session, number))))
		return -EINVAL;
	reply_u16(out, 0);
	start = out->at;
	node = walk(session, fid->file.node, &names, count, out, &done, &error);
	if (done == count)
		ret = arrive(session, fid, number, node);
	else if (done == 0)
		ret = error;
	node_put(&session->tree, node);
	if (ret == 0 && !out->failed)
		out->data[start - 2] = (uint8_t)done;
	return ret;
}
