/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/erofs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/image/erofs_internal.h"

#define MAJOR_MAX  0xfff
#define MINOR_MAX  0xfffff
#define TARGET_MAX 4095

const struct erofs_limits erofs_limits_default = {
	.memory = MIB(512),
	.steps = 1u << 26,
	.tail = EROFS_TAIL_MAX,
};

int erofs_create(struct erofs **new_fs, int fd, const struct erofs_limits *limits, struct err *err)
{
	const struct erofs_stat root = {.mode = S_IFDIR | 0755};
	struct erofs *fs = calloc(1, sizeof(*fs));
	int ret;

	*new_fs = NULL;
	if (!fs)
		return err_set(err, ENOMEM, "out of memory");
	fs->fd = fd;
	fs->limits = limits ? *limits : erofs_limits_default;
	fs->limits.tail = (uint32_t)min_u64(fs->limits.tail, EROFS_TAIL_MAX);
	fs->block = 1; /* behind the superblock */
	ret = erofs_new_node(fs, &root, &fs->root, err);
	if (ret < 0) {
		erofs_destroy(fs);
		return ret;
	}
	fs->root->directory.parent = fs->root;
	fs->root->links = 1;
	*new_fs = fs;
	return 0;
}

void erofs_destroy(struct erofs *fs)
{
	if (!fs)
		return;
	fs->finished = true;
	if (fs->root)
		erofs_put_node(fs, fs->root);
	free(fs->order);
	free(fs);
}

/* --- places ----------------------------------------------------------------------------------- */

/* A name in a directory, which may not exist. */
struct place {
	struct erofs_node *directory;
	const char *text;
	size_t length;
	struct erofs_name *name; /* NULL: it does not exist */
};

static bool is_dots(const char *text, size_t length)
{
	return text[0] == '.' && (length == 1 || (length == 2 && text[1] == '.'));
}

static int find_place(struct erofs *fs, const char *path, const struct erofs_stat *make,
		      struct place *place, struct err *err)
{
	size_t end = strlen(path), start;
	int ret;

	while (end > 0 && path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && path[start - 1] != '/'; start--)
		;
	if (start == end || is_dots(path + start, end - start))
		return err_set(err, EINVAL, "%.200s: the path ends in no name", path);
	if (end - start > EROFS_NAME_LEN)
		return err_set(err, ENAMETOOLONG, "a name of more than %d bytes", EROFS_NAME_LEN);
	ret = erofs_walk(fs, path, start, make, &place->directory, err);
	if (ret < 0)
		return ret;
	place->text = path + start;
	place->length = end - start;
	place->name = erofs_find(place->directory, place->text, place->length);
	return 0;
}

/* --- adding ----------------------------------------------------------------------------------- */

static int check_stat(const struct erofs_stat *stat, const char *target, struct err *err)
{
	size_t length = target ? strnlen(target, TARGET_MAX + 1) : 0;

	switch (stat->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	case S_IFLNK:
		if (length == 0 || length > TARGET_MAX)
			return err_set(err, EINVAL, "a symbolic link with %s target",
				       length ? "too long a" : "no");
		break;
	case S_IFCHR:
	case S_IFBLK:
		if (stat->major > MAJOR_MAX || stat->minor > MINOR_MAX)
			return err_set(err, EINVAL, "a device with too large a number");
		break;
	default:
		return err_set(err, EINVAL, "a file of unknown type");
	}
	if (stat->mode & ~(mode_t)(S_IFMT | 07777) || stat->mtime_nsec >= 1000000000)
		return err_set(err, EINVAL, "a file with an impossible mode or time");
	return 0;
}

/* What depends on the type. */
static int fill(struct erofs *fs, struct erofs_node *node, const struct erofs_stat *stat,
		const char *target, struct err *err)
{
	int ret;

	if (S_ISREG(node->mode)) {
		node->file.block = (uint32_t)fs->block;
	} else if (S_ISCHR(node->mode) || S_ISBLK(node->mode)) {
		/* As new_encode_dev() of Linux. */
		node->device =
			(stat->minor & 0xff) | stat->major << 8 | (stat->minor & ~0xffu) << 12;
	} else if (S_ISLNK(node->mode)) {
		ret = erofs_take(fs, strlen(target), err);
		if (ret < 0)
			return ret;
		node->size = strlen(target);
		node->target = strdup(target);
		if (!node->target)
			return err_set(err, ENOMEM, "out of memory");
	}
	return erofs_set_xattr(fs, node, stat, err);
}

static int update_directory(struct erofs *fs, struct erofs_node *node,
			    const struct erofs_stat *stat, struct err *err)
{
	node->mode = stat->mode;
	node->uid = stat->uid;
	node->gid = stat->gid;
	node->mtime = stat->mtime;
	node->mtime_nsec = stat->mtime_nsec;
	return erofs_set_xattr(fs, node, stat, err);
}

/* Puts a node in the place of what is there. */
static int put(struct erofs *fs, struct place *place, struct erofs_node *node, struct err *err)
{
	if (place->name)
		erofs_detach(fs, place->directory, place->name);
	place->name = NULL;
	if (S_ISDIR(node->mode) && place->directory->directory.depth >= EROFS_DEPTH_MAX)
		return err_set(err, ENAMETOOLONG, "a layer has directories %d deep",
			       EROFS_DEPTH_MAX);
	return erofs_attach(fs, place->directory, place->text, place->length, node, err);
}

int erofs_add(struct erofs *fs, const char *path, const struct erofs_stat *stat, const char *target,
	      struct err *err)
{
	struct erofs_stat make = {.mode = S_IFDIR | 0755};
	struct erofs_node *node = NULL;
	struct place place;
	int ret = erofs_settle(fs, err);

	if (ret == 0)
		ret = check_stat(stat, target, err);
	if (ret < 0)
		return ret;
	make.mtime = stat->mtime;
	make.mtime_nsec = stat->mtime_nsec;
	if (!path[0] && S_ISDIR(stat->mode))
		return update_directory(fs, fs->root, stat, err);
	ret = find_place(fs, path, &make, &place, err);
	if (ret < 0)
		return ret;
	if (S_ISDIR(stat->mode) && place.name && S_ISDIR(place.name->node->mode))
		return update_directory(fs, place.name->node, stat, err);
	ret = erofs_new_node(fs, stat, &node, err);
	if (ret < 0)
		return ret;
	ret = fill(fs, node, stat, target, err);
	if (ret == 0)
		ret = put(fs, &place, node, err);
	if (ret < 0)
		erofs_put_node(fs, node);
	else if (S_ISREG(node->mode))
		fs->file = node;
	return ret;
}

int erofs_make_directory(struct erofs *fs, const char *path, const struct erofs_stat *stat,
			 struct err *err)
{
	struct erofs_node *directory;
	int ret = erofs_settle(fs, err);

	return ret < 0 ? ret : erofs_walk(fs, path, strlen(path), stat, &directory, err);
}

int erofs_link(struct erofs *fs, const char *path, const char *target, struct err *err)
{
	const struct erofs_stat make = {.mode = S_IFDIR | 0755};
	struct place place, old;
	int ret = erofs_settle(fs, err);

	if (ret == 0)
		ret = find_place(fs, path, &make, &place, err);
	if (ret < 0)
		return ret;
	/* First, as the target may be in it. */
	if (place.name && S_ISDIR(place.name->node->mode)) {
		erofs_detach(fs, place.directory, place.name);
		place.name = NULL;
	}
	ret = find_place(fs, target, NULL, &old, err);
	if (ret < 0)
		return ret;
	if (!old.name || S_ISDIR(old.name->node->mode))
		return err_set(err, EPROTO, "%.200s: a hard link to a missing file", target);
	if (place.name && place.name->node == old.name->node)
		return 0; /* it is that file already */
	return put(fs, &place, old.name->node, err);
}

/* --- removing --------------------------------------------------------------------------------- */

/* Success if a directory on the way does not exist. */
static int missing(int ret, struct err *err)
{
	if (ret != -ENOENT && ret != -ENOTDIR)
		return ret;
	if (err)
		err->text[0] = '\0';
	return 0;
}

int erofs_remove(struct erofs *fs, const char *path, struct err *err)
{
	struct place place = {.name = NULL};
	int ret = erofs_settle(fs, err);

	if (ret < 0)
		return ret;
	ret = find_place(fs, path, NULL, &place, err);
	if (ret == 0 && place.name)
		erofs_detach(fs, place.directory, place.name);
	return missing(ret, err);
}

int erofs_remove_contents(struct erofs *fs, const char *path, struct err *err)
{
	struct erofs_node *directory;
	int ret = erofs_settle(fs, err);

	if (ret < 0)
		return ret;
	ret = erofs_walk(fs, path, strlen(path), NULL, &directory, err);
	if (ret == 0)
		erofs_empty(fs, directory);
	return missing(ret, err);
}

/* --- the end ---------------------------------------------------------------------------------- */

int erofs_finish(struct erofs *fs, const uint8_t uuid[16], struct err *err)
{
	int ret = erofs_settle(fs, err);

	fs->finished = true;
	if (ret == 0)
		ret = erofs_place(fs, err);
	if (ret == 0)
		ret = erofs_write_metadata(fs, uuid, err);
	return ret;
}
