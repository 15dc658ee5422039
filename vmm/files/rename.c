/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Renames. Everything beneath a directory moves with it, and rules are about places: so a directory
 * is moved only if the rules are the same beneath both places. It follows, with several sessions
 * too, that wherever the guest moves a directory between the decision about a path in it and the
 * operation, the rules there are the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/files/internal.h"
#include "vmm/policy/protected.h"

struct end {
	struct node *parent;
	struct name name;
	struct place place;
	int directory;
};

static int open_end(struct files_session *session, struct end *end)
{
	end->directory = node_open_directory(session, end->parent);
	return end->directory < 0 ? end->directory : 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/*
 * Whether a symbolic link at the source, if there is one, may be at the target. Checked again after
 * the rename: another session could have replaced the file that was checked by a link.
 */
static int check_link(struct files_session *session, const struct end *at, const struct end *to)
{
	struct stat stat;

	if (fstatat(at->directory, at->name.text, &stat, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISLNK(stat.st_mode) ||
	    place_quietly_allowed(session, &to->place, POLICY_SYMLINK) == 0)
		return 0;
	return place_creatable(session, &to->place, POLICY_SYMLINK);
}

/* Whether moving the directory there could bring links that were not refused where it was. */
static bool takes_links(const struct end *from, const struct end *to)
{
	return protected_takes_links(from->place.text, from->place.length, to->place.text,
				     to->place.length);
}

/* Called after the rename of a file: another session could have put a directory there. */
static int undo_directory(const struct end *from, const struct end *to)
{
	struct stat stat;

	if (!takes_links(from, to) ||
	    fstatat(to->directory, to->name.text, &stat, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISDIR(stat.st_mode))
		return 0;
	if (renameat2(to->directory, to->name.text, from->directory, from->name.text,
		      RENAME_NOREPLACE) < 0)
		renameat2(to->directory, to->name.text, from->directory, from->name.text,
			  RENAME_EXCHANGE);
	return -EXDEV;
}

/* With both directories open: checks, renames, and moves the nodes. */
static int move(struct files_session *session, struct end *from, struct end *to)
{
	struct stat source, target;
	struct node *node;
	bool two_names;
	int ret;

	if (fstatat(from->directory, from->name.text, &source, AT_SYMLINK_NOFOLLOW) < 0) {
		/* Whether the guest may know that the name does not exist. */
		ret = place_allowed(session, &from->place, POLICY_LOOKUP);
		return ret < 0 ? ret : -ENOENT;
	}
	/*
	 * Decide as for a directory: another session of the same guest could replace the file that
	 * was just seen by one.
	 */
	ret = place_both_allowed(session, &from->place, &to->place, POLICY_RENAME, true);
	if (ret == 0)
		ret = check_link(session, from, to);
	/* mv then copies the directory, and each link is refused. */
	if (ret == 0 && S_ISDIR(source.st_mode) && takes_links(from, to))
		ret = -EXDEV;
	if (ret < 0)
		return ret;
	/* For two names of one file the kernel does nothing. */
	two_names = fstatat(to->directory, to->name.text, &target, AT_SYMLINK_NOFOLLOW) == 0 &&
		    same_file(&source, &target);
	if (renameat2(from->directory, from->name.text, to->directory, to->name.text, 0) < 0)
		return -errno;
	if (two_names)
		return 0;
	ret = check_link(session, to, to);
	if (ret < 0)
		unlinkat(to->directory, to->name.text, 0);
	else
		ret = undo_directory(from, to);
	node = node_find(session, from->parent, &from->name);
	if (node && ret < 0)
		node_remove(session, node);
	if (node && ret == 0)
		node_move(session, node, to->parent, &to->name);
	if (node)
		return ret;
	node = node_find(session, to->parent, &to->name);
	if (node)
		node_remove(session, node);
	return ret;
}

static int rename_ends(struct files_session *session, struct end *from, struct end *to)
{
	int ret = place_child(session, from->parent, from->name.text, from->name.length,
			      &from->place);

	if (ret == 0)
		ret = place_child(session, to->parent, to->name.text, to->name.length, &to->place);
	if (ret == 0)
		ret = open_end(session, from);
	if (ret == 0)
		ret = open_end(session, to);
	if (ret == 0)
		ret = move(session, from, to);
	fd_close(&from->directory);
	fd_close(&to->directory);
	return ret;
}

/* Trenameat: olddirfid32 oldname[s] newdirfid32 newname[s]. */
int p9_renameat(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct end from = {.directory = -1}, to = {.directory = -1};
	struct fid *old_fid, *new_fid;
	int bad = take_place(session, in, &old_fid), ret = take_name(in, &from.name), other;

	(void)out;
	if (take_place(session, in, &new_fid) < 0)
		bad = -EBADF;
	other = take_name(in, &to.name);
	if (!unpack_done(in))
		return -EPROTO;
	if (bad < 0 || ret < 0 || other < 0)
		return bad < 0 ? bad : ret < 0 ? ret : other;
	from.parent = old_fid->node;
	to.parent = new_fid->node;
	return rename_ends(session, &from, &to);
}

/* Trename: fid32 dfid32 name[s]. */
int p9_rename(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct end from = {.directory = -1}, to = {.directory = -1};
	struct fid *fid, *directory;
	struct node *node;
	int bad = take_place(session, in, &fid), ret;

	(void)out;
	if (take_place(session, in, &directory) < 0)
		bad = -EBADF;
	ret = take_name(in, &to.name);
	if (!unpack_done(in))
		return -EPROTO;
	if (bad < 0 || ret < 0)
		return bad < 0 ? bad : ret;
	node = fid->node;
	if (!node->parent)
		return -EBUSY;
	if (node->gone)
		return -ENOENT;
	from.parent = node->parent;
	from.name.length = node->length;
	memcpy(from.name.text, node->name, node->length + 1u);
	to.parent = directory->node;
	return rename_ends(session, &from, &to);
}
