/* SPDX-License-Identifier: Apache-2.0 */
/* Paths, resolved as openat2(2) does with RESOLVE_IN_ROOT. */
#include <errno.h>
#include <string.h>

#include "vmm/image/erofs_internal.h"

struct rest {
	const char *at, *end;
};

struct walk {
	struct erofs *fs;
	const struct erofs_stat *make;
	struct erofs_node *directory;
	/* What is left of the path, and of the links in it that are being followed. */
	struct rest rest[EROFS_LINKS_MAX + 1];
	unsigned depth;
	unsigned links; /* followed so far */
};

/* Takes the next component; false at the end of the whole path. */
static bool next_component(struct walk *walk, const char **text, size_t *length)
{
	struct rest *rest = &walk->rest[walk->depth];
	const char *slash;

	for (;;) {
		while (rest->at < rest->end && *rest->at == '/')
			rest->at++;
		if (rest->at < rest->end)
			break;
		if (walk->depth == 0)
			return false;
		rest = &walk->rest[--walk->depth];
	}
	slash = memchr(rest->at, '/', (size_t)(rest->end - rest->at));
	*text = rest->at;
	rest->at = slash ? slash : rest->end;
	*length = (size_t)(rest->at - *text);
	return true;
}

static int make_directory(struct walk *walk, const char *text, size_t length, struct err *err)
{
	struct erofs_node *node;
	int ret;

	if (walk->directory->directory.depth >= EROFS_DEPTH_MAX)
		return err_set(err, ENAMETOOLONG, "a layer has directories %d deep",
			       EROFS_DEPTH_MAX);
	ret = erofs_new_node(walk->fs, walk->make, &node, err);
	if (ret < 0)
		return ret;
	ret = erofs_attach(walk->fs, walk->directory, text, length, node, err);
	if (ret < 0)
		erofs_put_node(walk->fs, node);
	else
		walk->directory = node;
	return ret;
}

static int follow(struct walk *walk, const struct erofs_node *link, struct err *err)
{
	if (++walk->links > EROFS_LINKS_MAX)
		return err_set(err, ELOOP, "too many symbolic links");
	if (link->target[0] == '/')
		walk->directory = walk->fs->root;
	walk->rest[++walk->depth] =
		(struct rest){.at = link->target, .end = link->target + link->size};
	return 0;
}

static int step(struct walk *walk, const char *text, size_t length, struct err *err)
{
	struct erofs_name *name;

	if (++walk->fs->steps > walk->fs->limits.steps)
		return err_set(err, EFBIG, "the image's names lead through too many directories");
	if (length > EROFS_NAME_LEN)
		return err_set(err, ENAMETOOLONG, "a name of more than %d bytes", EROFS_NAME_LEN);
	if (length == 1 && text[0] == '.')
		return 0;
	if (length == 2 && text[0] == '.' && text[1] == '.') {
		walk->directory = walk->directory->directory.parent;
		return 0;
	}
	name = erofs_find(walk->directory, text, length);
	/* Only the path's own components are made, not those of a link that leads nowhere. */
	if (!name && walk->make && walk->depth == 0)
		return make_directory(walk, text, length, err);
	if (!name)
		return err_set(err, ENOENT, "%.*s: no such directory", (int)length, text);
	if (S_ISLNK(name->node->mode))
		return follow(walk, name->node, err);
	if (!S_ISDIR(name->node->mode))
		return err_set(err, ENOTDIR, "%.*s: not a directory", (int)length, text);
	walk->directory = name->node;
	return 0;
}

int erofs_walk(struct erofs *fs, const char *path, size_t length, const struct erofs_stat *make,
	       struct erofs_node **directory, struct err *err)
{
	struct walk walk = {.fs = fs, .make = make, .directory = fs->root};
	const char *text;
	int ret = 0;

	walk.rest[0] = (struct rest){.at = path, .end = path + length};
	while (ret == 0 && next_component(&walk, &text, &length))
		ret = step(&walk, text, length, err);
	*directory = walk.directory;
	return ret;
}
