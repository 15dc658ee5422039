/* SPDX-License-Identifier: Apache-2.0 */
/* Creates and removes names. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/files/operations.h"
#include "vmm/files/remember_table.h"

/*
 * Something is to be created at a name in a directory: its place, which the policy allows, and the
 * directory's descriptor, or -errno.
 */
static int begin(struct tree *tree, struct node *parent, const struct name *name, enum policy_op op,
		 struct place *place)
{
	int ret = place_child(tree, parent, name->text, name->length, place), fd;

	if (ret == 0)
		ret = place_creatable(tree, place, op);
	if (ret == 0)
		ret = quota_name(tree->share);
	if (ret < 0)
		return ret;
	fd = node_open_directory(tree, parent);
	if (fd < 0)
		quota_unname(tree->share);
	return fd;
}

/* After the creation, if ret is 0: the status of what was made. Closes the directory. */
static int end(const struct tree *tree, int directory, const struct name *name, int ret,
	       struct stat *made)
{
	if (ret < 0)
		quota_unname(tree->share);
	if (ret == 0 && fstatat(directory, name->text, made, AT_SYMLINK_NOFOLLOW) < 0)
		ret = -errno;
	fd_close(&directory);
	return ret;
}

int op_mkdir(struct tree *tree, struct node *parent, const struct name *name, uint32_t mode,
	     struct stat *made)
{
	struct place place;
	int directory = begin(tree, parent, name, POLICY_CREATE, &place), ret;

	if (directory < 0)
		return directory;
	ret = mkdirat(directory, name->text, mode & FILES_MODE_BITS) < 0 ? -errno : 0;
	return end(tree, directory, name, ret, made);
}

/* The target is not checked: the guest follows its links itself. */
int op_symlink(struct tree *tree, struct node *parent, const struct name *name, const char *target,
	       struct stat *made)
{
	struct place place;
	int directory = begin(tree, parent, name, POLICY_SYMLINK, &place), ret;

	if (directory < 0)
		return directory;
	ret = symlinkat(target, directory, name->text) < 0 ? -errno : 0;
	return end(tree, directory, name, ret, made);
}

static bool is_special(uint32_t mode)
{
	return S_ISFIFO(mode) || S_ISSOCK(mode) || S_ISCHR(mode) || S_ISBLK(mode);
}

/* Notes that the empty file is a special one of the sandbox's root, and gives it its mode. */
static int make_special(const struct tree *tree, int fd, uint32_t mode, uint32_t rdev)
{
	const struct remembered remembered = {
		.uid = tree->share->uid,
		.gid = tree->share->gid,
		.mode = mode & S_IFMT,
		.rdev = S_ISCHR(mode) || S_ISBLK(mode) ? rdev : 0,
	};
	char path[FD_PATH_SIZE];
	struct stat stat;
	int ret = fstat(fd, &stat) < 0 ? -errno : remembered_set(tree, fd, &stat, &remembered);

	fd_path(path, fd);
	return ret == 0 && chmod(path, mode & FILES_MODE_BITS) < 0 ? -errno : ret;
}

int op_mknod(struct tree *tree, struct node *parent, const struct name *name, uint32_t mode,
	     uint32_t rdev, struct stat *made)
{
	bool special = tree->share->remember && is_special(mode);
	struct place place;
	int directory, fd, ret;

	if (!S_ISREG(mode) && !special)
		return -EPERM;
	directory = begin(tree, parent, name, POLICY_CREATE, &place);
	if (directory < 0)
		return directory;
	/* An attribute is set only on what may be written. */
	fd = openat(directory, name->text,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC,
		    special ? 0600 : mode & FILES_MODE_BITS);
	ret = fd < 0 ? -errno : 0;
	if (ret == 0 && special) {
		ret = make_special(tree, fd, mode, rdev);
		if (ret < 0)
			unlinkat(directory, name->text, 0);
	}
	fd_close(&fd);
	return end(tree, directory, name, ret, made);
}

/* --- hard links ------------------------------------------------------------------------------- */

/* The source's descriptor, if the rules allow the link. */
static int link_source(struct tree *tree, struct node *node, const struct open_file *file,
		       const struct place *to, struct stat *stat)
{
	struct place from;
	int ret = place_of(tree, node, &from);

	/* What never had a name is nothing that a rule could protect. */
	if (ret == -ENOENT && file) {
		ret = place_creatable(tree, to, POLICY_LINK);
		return ret < 0 ? ret : op_look(tree, node, file, POLICY_LOOKUP, stat);
	}
	if (ret == 0)
		ret = place_both_allowed(tree, &from, to, POLICY_LINK, false);
	return ret < 0 ? ret : node_look(tree, node, &from, stat);
}

int op_link(struct tree *tree, struct node *node, const struct open_file *file, struct node *parent,
	    const struct name *name, struct stat *made)
{
	struct place to;
	struct stat stat;
	char path[FD_PATH_SIZE];
	int ret = place_child(tree, parent, name->text, name->length, &to), directory, fd;

	if (ret < 0)
		return ret;
	fd = link_source(tree, node, file, &to, &stat);
	if (fd < 0)
		return fd;
	ret = quota_name(tree->share);
	if (ret < 0) {
		fd_close(&fd);
		return ret;
	}
	if (S_ISLNK(stat.st_mode))
		ret = place_creatable(tree, &to, POLICY_SYMLINK);
	directory = node_open_directory(tree, parent);
	fd_path(path, fd);
	if (directory < 0 || ret < 0)
		ret = ret < 0 ? ret : directory;
	else if (!S_ISREG(stat.st_mode) && !S_ISLNK(stat.st_mode))
		ret = -EPERM;
	else if (linkat(AT_FDCWD, path, directory, name->text, AT_SYMLINK_FOLLOW) < 0)
		ret = -errno;
	fd_close(&fd);
	return end(tree, directory, name, ret, made);
}

/* --- removing --------------------------------------------------------------------------------- */

int removal_begin(const struct tree *tree, int directory, const char *name, struct removal *removal)
{
	struct stat stat;

	*removal = (struct removal){.fd = -1};
	if (!tree->share->quota && remember_table_used(tree->table) == 0)
		return 0;
	removal->fd = name_look(directory, name, false, &stat);
	if (removal->fd < 0)
		return removal->fd == -EXDEV ? -EBUSY : removal->fd; /* as without a quota */
	return quota_begin(tree->share, removal->fd, &removal->use);
}

void removal_end(const struct tree *tree, struct removal *removal, bool done, bool perhaps)
{
	struct stat stat;

	if (done && removal->fd >= 0 && fstat(removal->fd, &stat) == 0 && stat.st_nlink == 0)
		remember_table_drop(tree->table, &stat);
	if (done)
		quota_removed(&removal->use, removal->fd, perhaps);
	else
		quota_end(&removal->use, removal->use.size);
	fd_close(&removal->fd);
}

int remove_at(const struct tree *tree, int directory, const char *name, int flags)
{
	struct removal removal;
	int ret = removal_begin(tree, directory, name, &removal);

	if (ret == 0 && unlinkat(directory, name, flags) < 0)
		ret = -errno;
	removal_end(tree, &removal, ret == 0, false);
	return ret;
}

int op_remove(struct tree *tree, struct node *parent, const struct name *name, int flags)
{
	struct node *node;
	struct place place;
	int directory, ret = place_child(tree, parent, name->text, name->length, &place);

	if (ret == 0)
		ret = place_allowed(tree, &place, POLICY_REMOVE);
	if (ret < 0)
		return ret;
	directory = node_open_directory(tree, parent);
	if (directory < 0)
		return directory;
	ret = remove_at(tree, directory, name->text, flags);
	fd_close(&directory);
	node = node_find(tree, parent, name);
	if (ret == 0 && node)
		node_remove(tree, node);
	return ret;
}
