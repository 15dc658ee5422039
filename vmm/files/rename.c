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
#include "vmm/files/operations.h"
#include "vmm/policy/protected.h"

struct end {
	struct node *parent;
	struct name name;
	struct place place;
	int directory;
};

static int open_end(struct tree *tree, struct end *end)
{
	end->directory = node_open_directory(tree, end->parent);
	return end->directory < 0 ? end->directory : 0;
}

/*
 * The status of what is at an end: 0 or -errno, -EBUSY of a mount, which may hang. It comes first:
 * the checks behind it take no descriptor, so that the guest cannot make them fail.
 */
static int status_of(const struct end *end, struct stat *stat)
{
	int fd = name_look(end->directory, end->name.text, false, stat);

	if (fd < 0)
		return fd == -EXDEV ? -EBUSY : fd;
	fd_close(&fd);
	return 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/*
 * Whether a symbolic link at the source, if there is one, may be at the target. Checked again after
 * the rename: another session could have replaced the file that was checked by a link.
 */
static int check_link(struct tree *tree, const struct end *at, const struct end *to)
{
	struct stat stat;

	if (fstatat(at->directory, at->name.text, &stat, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISLNK(stat.st_mode) || place_quietly_allowed(tree, &to->place, POLICY_SYMLINK) == 0)
		return 0;
	return place_creatable(tree, &to->place, POLICY_SYMLINK);
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

/* Whether the rules allow what is at one end to be moved to the other: 0 or -errno. */
static int may_move(struct tree *tree, const struct end *from, const struct end *to,
		    const struct stat *source)
{
	int ret;

	/*
	 * Decide as for a directory: another session of the same guest could replace the file that
	 * was just seen by one.
	 */
	ret = place_both_allowed(tree, &from->place, &to->place, POLICY_RENAME, true);
	if (ret == 0)
		ret = check_link(tree, from, to);
	/* mv then copies the directory, and each link is refused. */
	if (ret == 0 && S_ISDIR(source->st_mode) && takes_links(from, to))
		ret = -EXDEV;
	return ret;
}

/* Moves the nodes as the files were moved; ret < 0: what was moved was removed again. */
static void move_nodes(struct tree *tree, const struct end *from, const struct end *to, int ret)
{
	struct node *node = node_find(tree, from->parent, &from->name);

	if (node && ret < 0)
		node_remove(tree, node);
	if (node && ret == 0)
		node_move(tree, node, to->parent, &to->name);
	if (node)
		return;
	node = node_find(tree, to->parent, &to->name);
	if (node)
		node_remove(tree, node);
}

/* renameat2(2), after all decisions; a file that was at the target is gone. */
static int rename_over(const struct tree *tree, const struct end *from, const struct end *to,
		       unsigned flags)
{
	struct removal removal;
	int ret = removal_begin(tree, to->directory, to->name.text, &removal);

	if (ret == -ENOENT)
		ret = 0;
	if (ret == 0 &&
	    renameat2(from->directory, from->name.text, to->directory, to->name.text, flags) < 0)
		ret = -errno;
	removal_end(tree, &removal, ret == 0, true);
	return ret;
}

/* With both directories open: checks, renames, and moves the nodes. */
static int move(struct tree *tree, struct end *from, struct end *to, unsigned flags)
{
	struct stat source, target;
	bool two_names;
	int ret, allowed;

	ret = status_of(from, &source);
	if (ret < 0) {
		/* Whether the guest may know that the name does not exist. */
		allowed = place_allowed(tree, &from->place, POLICY_LOOKUP);
		return allowed < 0 ? allowed : ret;
	}
	ret = may_move(tree, from, to, &source);
	if (ret < 0)
		return ret;
	ret = status_of(to, &target);
	if (ret < 0 && ret != -ENOENT)
		return ret;
	/* For two names of one file the kernel does nothing. */
	two_names = ret == 0 && same_file(&source, &target);
	ret = rename_over(tree, from, to, flags);
	if (ret < 0 || two_names)
		return ret;
	ret = check_link(tree, to, to);
	/* Too late to wait for an operator. */
	if (ret == -FILES_ASKED)
		ret = -EACCES;
	if (ret < 0)
		remove_at(tree, to->directory, to->name.text, 0);
	else
		ret = undo_directory(from, to);
	move_nodes(tree, from, to, ret);
	return ret;
}

/* --- exchanges -------------------------------------------------------------------------------- */

static int exchange_names(const struct end *a, const struct end *b)
{
	return renameat2(a->directory, a->name.text, b->directory, b->name.text, RENAME_EXCHANGE) <
			       0
		       ? -errno
		       : 0;
}

static void exchange_nodes(struct tree *tree, const struct end *a, const struct end *b)
{
	struct node *at_a = node_find(tree, a->parent, &a->name);
	struct node *at_b = node_find(tree, b->parent, &b->name);

	if (at_a && at_b && at_a != at_b)
		node_exchange(tree, at_a, at_b);
	else if (at_a)
		node_move(tree, at_a, b->parent, &b->name);
	else if (at_b)
		node_move(tree, at_b, a->parent, &a->name);
}

/* Whether what is at an end now may be there, as undo_directory() and check_link(). */
static bool may_stay(struct tree *tree, const struct end *at, const struct end *was)
{
	struct stat stat;

	if (check_link(tree, at, at) < 0)
		return false;
	return !takes_links(was, at) ||
	       fstatat(at->directory, at->name.text, &stat, AT_SYMLINK_NOFOLLOW) < 0 ||
	       !S_ISDIR(stat.st_mode);
}

static int exchange(struct tree *tree, struct end *a, struct end *b)
{
	struct stat at_a, at_b;
	int ret = place_allowed(tree, &a->place, POLICY_LOOKUP);

	if (ret == 0)
		ret = place_allowed(tree, &b->place, POLICY_LOOKUP);
	if (ret == 0)
		ret = status_of(a, &at_a);
	if (ret == 0)
		ret = status_of(b, &at_b);
	if (ret == 0)
		ret = may_move(tree, a, b, &at_a);
	if (ret == 0)
		ret = may_move(tree, b, a, &at_b);
	if (ret == 0)
		ret = exchange_names(a, b);
	if (ret < 0)
		return ret;
	if (!may_stay(tree, a, b) || !may_stay(tree, b, a)) {
		exchange_names(a, b);
		return -EXDEV;
	}
	exchange_nodes(tree, a, b);
	return 0;
}

int op_rename(struct tree *tree, struct node *parent, const struct name *name,
	      struct node *to_parent, const struct name *to_name, unsigned flags)
{
	struct end from = {.parent = parent, .name = *name, .directory = -1};
	struct end to = {.parent = to_parent, .name = *to_name, .directory = -1};
	int ret = place_child(tree, parent, name->text, name->length, &from.place);

	if (ret == 0)
		ret = place_child(tree, to_parent, to_name->text, to_name->length, &to.place);
	if (ret == 0)
		ret = open_end(tree, &from);
	if (ret == 0)
		ret = open_end(tree, &to);
	if (ret == 0)
		ret = flags & RENAME_EXCHANGE ? exchange(tree, &from, &to)
					      : move(tree, &from, &to, flags);
	fd_close(&from.directory);
	fd_close(&to.directory);
	return ret;
}
