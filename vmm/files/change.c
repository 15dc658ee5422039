/* SPDX-License-Identifier: Apache-2.0 */
/* Creates and removes names. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/files/internal.h"

/*
 * Takes a directory's fid and a name in it, at which something is to be created: its place, which
 * the policy allows, and the directory's descriptor, or -errno.
 */
static int begin(struct files_session *session, const struct fid *fid, const struct name *name,
		 enum policy_op op, struct place *place)
{
	int ret;

	if (!fid || fid->kind == FID_XATTR_READ || fid->kind == FID_XATTR_WRITE)
		return -EBADF;
	ret = place_child(session, fid->node, name->text, name->length, place);
	if (ret == 0)
		ret = place_creatable(session, place, op);
	return ret < 0 ? ret : node_open_directory(session, fid->node);
}

/* The reply to a successful creation. */
static int put_made(struct p9_reply *out, int directory, const struct name *name)
{
	struct stat stat;

	if (fstatat(directory, name->text, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	reply_qid(out, &stat);
	return 0;
}

/* Tmkdir: dfid32 name[s] mode32 gid32; Rmkdir: qid. */
int p9_mkdir(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *fid = take_fid(session, in);
	struct place place;
	struct name name;
	uint32_t mode;
	int ret = take_name(in, &name), directory;

	mode = unpack_u32(in);
	unpack_u32(in);
	if (!unpack_done(in))
		return -EPROTO;
	if (ret < 0)
		return ret;
	directory = begin(session, fid, &name, POLICY_CREATE, &place);
	if (directory < 0)
		return directory;
	ret = mkdirat(directory, name.text, mode & 01777) < 0 ? -errno
							      : put_made(out, directory, &name);
	fd_close(&directory);
	return ret;
}

/* Tsymlink: dfid32 name[s] target[s] gid32; Rsymlink: qid. The target is not checked. */
int p9_symlink(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *fid = take_fid(session, in);
	char target[PATH_MAX];
	struct place place;
	struct name name;
	size_t length;
	int ret = take_name(in, &name), bad = take_string(in, target, sizeof(target), &length);
	int directory;

	unpack_u32(in);
	if (!unpack_done(in))
		return -EPROTO;
	if (ret < 0 || bad < 0)
		return ret < 0 ? ret : bad;
	directory = begin(session, fid, &name, POLICY_SYMLINK, &place);
	if (directory < 0)
		return directory;
	ret = symlinkat(target, directory, name.text) < 0 ? -errno
							  : put_made(out, directory, &name);
	fd_close(&directory);
	return ret;
}

/* Tmknod: dfid32 name[s] mode32 major32 minor32 gid32. Always refused: see docs/shares.md. */
int p9_mknod(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *fid = take_fid(session, in);
	struct name name;
	unsigned i;
	int ret = take_name(in, &name);

	(void)out;
	for (i = 0; i < 4; i++)
		unpack_u32(in);
	if (!unpack_done(in))
		return -EPROTO;
	if (ret < 0)
		return ret;
	return fid ? -EPERM : -EBADF;
}

/* Tlink: dfid32 fid32 name[s]. */
int p9_link(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *directory_fid, *fid;
	struct place from, to;
	struct name name;
	struct stat stat;
	char path[FD_PATH_SIZE];
	int bad = take_place(session, in, &directory_fid), ret, directory, fd;

	(void)out;
	if (take_place(session, in, &fid) < 0)
		bad = -EBADF;
	ret = take_name(in, &name);
	if (!unpack_done(in))
		return -EPROTO;
	if (bad < 0 || ret < 0)
		return bad < 0 ? bad : ret;
	ret = place_of(session, fid->node, &from);
	if (ret == 0)
		ret = place_child(session, directory_fid->node, name.text, name.length, &to);
	if (ret == 0)
		ret = place_both_allowed(session, &from, &to, POLICY_LINK, false);
	if (ret < 0)
		return ret;
	fd = place_look(session, &from, &stat);
	if (fd < 0)
		return fd;
	if (S_ISLNK(stat.st_mode))
		ret = place_creatable(session, &to, POLICY_SYMLINK);
	directory = node_open_directory(session, directory_fid->node);
	fd_path(path, fd);
	if (directory < 0 || ret < 0)
		ret = ret < 0 ? ret : directory;
	else if (!S_ISREG(stat.st_mode) && !S_ISLNK(stat.st_mode))
		ret = -EPERM;
	else if (linkat(AT_FDCWD, path, directory, name.text, AT_SYMLINK_FOLLOW) < 0)
		ret = -errno;
	fd_close(&directory);
	fd_close(&fd);
	return ret;
}

/* --- removing --------------------------------------------------------------------------------- */

static int remove_at(struct files_session *session, struct node *parent, const struct name *name,
		     int flags)
{
	struct node *node;
	struct place place;
	struct stat stat;
	int directory, ret = place_child(session, parent, name->text, name->length, &place);

	if (ret == 0)
		ret = place_allowed(session, &place, POLICY_REMOVE);
	if (ret < 0)
		return ret;
	directory = node_open_directory(session, parent);
	if (directory < 0)
		return directory;
	/* Tremove does not say whether it is a directory. */
	if (flags < 0)
		flags = fstatat(directory, name->text, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
					S_ISDIR(stat.st_mode)
				? AT_REMOVEDIR
				: 0;
	ret = unlinkat(directory, name->text, flags) < 0 ? -errno : 0;
	fd_close(&directory);
	node = node_find(session, parent, name);
	if (ret == 0 && node)
		node_remove(session, node);
	return ret;
}

/* Tunlinkat: dfid32 name[s] flags32. */
int p9_unlinkat(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *fid;
	struct name name;
	int bad = take_place(session, in, &fid), ret = take_name(in, &name);
	uint32_t flags = unpack_u32(in);

	(void)out;
	if (!unpack_done(in))
		return -EPROTO;
	if (bad < 0 || ret < 0)
		return bad < 0 ? bad : ret;
	if (flags & ~P9_REMOVEDIR)
		return -EINVAL;
	return remove_at(session, fid->node, &name, flags ? AT_REMOVEDIR : 0);
}

/* Tremove: fid32. The fid is gone, even if the request fails. */
int p9_remove(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *fid = take_fid(session, in);
	struct node *node;
	struct name name;
	int ret;

	(void)out;
	if (!unpack_done(in))
		return -EPROTO;
	if (!fid)
		return -EBADF;
	node = fid->node;
	if (fid->kind == FID_XATTR_READ || fid->kind == FID_XATTR_WRITE) {
		ret = -EBADF;
	} else if (!node->parent) {
		ret = -EBUSY;
	} else {
		name.length = node->length;
		memcpy(name.text, node->name, node->length + 1u);
		ret = node->gone ? -ENOENT : remove_at(session, node->parent, &name, -1);
	}
	fid_free(session, fid);
	return ret;
}
