/* SPDX-License-Identifier: Apache-2.0 */
/* 9P: creates, moves and removes names. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "vmm/files/p9.h"

/* Takes a directory's fid and a name in it. 0 or -errno. */
static int take_entry(struct files_session *session, struct unpack *in, struct fid **fid,
		      struct name *name)
{
	int bad = take_place(session, in, fid), ret = take_name(in, name);

	return ret < 0 ? ret : bad;
}

/* Tmkdir: dfid32 name[s] mode32 gid32; Rmkdir: qid. */
int p9_mkdir(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct stat made;
	struct name name;
	struct fid *fid;
	int ret = take_entry(session, in, &fid, &name);
	uint32_t mode = unpack_u32(in);

	unpack_u32(in);
	if (!unpack_done(in))
		return -EPROTO;
	if (ret == 0)
		ret = op_mkdir(&session->tree, fid->file.node, &name, mode, &made);
	if (ret == 0)
		reply_qid(out, &made);
	return ret;
}

/* Tsymlink: dfid32 name[s] target[s] gid32; Rsymlink: qid. */
int p9_symlink(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	char target[PATH_MAX];
	struct stat made;
	struct name name;
	struct fid *fid;
	size_t length;
	int ret = take_entry(session, in, &fid, &name);
	int bad = take_string(in, target, sizeof(target), &length);

	unpack_u32(in);
	if (!unpack_done(in))
		return -EPROTO;
	if (ret == 0)
		ret = bad;
	if (ret == 0)
		ret = op_symlink(&session->tree, fid->file.node, &name, target, &made);
	if (ret == 0)
		reply_qid(out, &made);
	return ret;
}

/* Tmknod: dfid32 name[s] mode32 major32 minor32 gid32. Always refused: see docs/shares.md. */
int p9_mknod(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct name name;
	struct fid *fid;
	unsigned i;
	int ret = take_entry(session, in, &fid, &name);

	(void)out;
	for (i = 0; i < 4; i++)
		unpack_u32(in);
	if (!unpack_done(in))
		return -EPROTO;
	return ret < 0 ? ret : -EPERM;
}

/* Tlink: dfid32 fid32 name[s]. */
int p9_link(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *directory, *fid;
	struct name name;
	struct stat made;
	int bad = take_place(session, in, &directory), ret;

	(void)out;
	if (take_place(session, in, &fid) < 0)
		bad = -EBADF;
	ret = take_name(in, &name);
	if (!unpack_done(in))
		return -EPROTO;
	if (bad < 0 || ret < 0)
		return bad < 0 ? bad : ret;
	return op_link(&session->tree, fid->file.node, NULL, directory->file.node, &name, &made);
}

/* Tunlinkat: dfid32 name[s] flags32. */
int p9_unlinkat(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *fid;
	struct name name;
	int ret = take_entry(session, in, &fid, &name);
	uint32_t flags = unpack_u32(in);

	(void)out;
	if (!unpack_done(in))
		return -EPROTO;
	if (ret < 0)
		return ret;
	if (flags & ~P9_REMOVEDIR)
		return -EINVAL;
	return op_remove(&session->tree, fid->file.node, &name, flags ? AT_REMOVEDIR : 0);
}

/* The name of a fid's place, which must not be the root: 0, -EBUSY or -ENOENT. */
static int own_name(const struct fid *fid, struct name *name)
{
	const struct node *node = fid->file.node;

	if (!node->parent)
		return -EBUSY;
	name->length = node->length;
	memcpy(name->text, node->name, node->length + 1u);
	return node->gone ? -ENOENT : 0;
}

/* Tremove: fid32. The fid is gone, even if the request fails. */
int p9_remove(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct name name;
	struct fid *fid;
	int bad = take_place(session, in, &fid), ret;

	(void)out;
	if (!unpack_done(in))
		return -EPROTO;
	if (!fid)
		return -EBADF;
	ret = bad < 0 ? bad : own_name(fid, &name);
	if (ret == 0) /* the request does not say whether it is a directory */
		ret = op_remove(&session->tree, fid->file.node->parent, &name, -1);
	fid_free(session, fid);
	return ret;
}

/* Trenameat: olddirfid32 oldname[s] newdirfid32 newname[s]. */
int p9_renameat(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *from, *to;
	struct name name, to_name;
	int ret = take_entry(session, in, &from, &name);
	int other = take_entry(session, in, &to, &to_name);

	(void)out;
	if (!unpack_done(in))
		return -EPROTO;
	if (ret < 0 || other < 0)
		return ret < 0 ? ret : other;
	return op_rename(&session->tree, from->file.node, &name, to->file.node, &to_name, 0);
}

/* Trename: fid32 dfid32 name[s]. */
int p9_rename(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *fid, *directory;
	struct name name, to_name;
	int bad = take_place(session, in, &fid), ret;

	(void)out;
	if (take_place(session, in, &directory) < 0)
		bad = -EBADF;
	ret = take_name(in, &to_name);
	if (!unpack_done(in))
		return -EPROTO;
	if (bad < 0 || ret < 0)
		return bad < 0 ? bad : ret;
	ret = own_name(fid, &name);
	if (ret < 0)
		return ret;
	return op_rename(&session->tree, fid->file.node->parent, &name, directory->file.node,
			 &to_name, 0);
}
