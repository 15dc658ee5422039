/* SPDX-License-Identifier: Apache-2.0 */
/* The tree in memory. Directories are balanced trees (tsearch), so no choice of names is slow. */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/image/erofs_internal.h"

/* What malloc() and tsearch() add, rounded up. */
#define NODE_COST (sizeof(struct erofs_node) + 16)
#define NAME_COST (sizeof(struct erofs_name) + 16 + 48)

/* --- memory ----------------------------------------------------------------------------------- */

int erofs_take(struct erofs *fs, uint64_t bytes, struct err *err)
{
	if (bytes > fs->limits.memory - fs->memory)
		return err_set(err, EFBIG,
			       "the image's names and attributes take more than %llu MiB",
			       (unsigned long long)(fs->limits.memory >> 20));
	fs->memory += bytes;
	return 0;
}

void erofs_give(struct erofs *fs, uint64_t bytes)
{
	fs->memory -= bytes;
}

static uint64_t name_cost(size_t length)
{
	return NAME_COST + length;
}

/* --- nodes ------------------------------------------------------------------------------------ */

int erofs_new_node(struct erofs *fs, const struct erofs_stat *stat, struct erofs_node **new_node,
		   struct err *err)
{
	struct erofs_node *node;
	int ret = erofs_take(fs, NODE_COST, err);

	if (ret < 0)
		return ret;
	*new_node = node = calloc(1, sizeof(*node));
	if (!node) {
		erofs_give(fs, NODE_COST);
		return err_set(err, ENOMEM, "out of memory");
	}
	node->mode = stat->mode;
	node->uid = stat->uid;
	node->gid = stat->gid;
	node->mtime = stat->mtime;
	node->mtime_nsec = stat->mtime_nsec;
	fs->nodes++;
	return 0;
}

static void free_file(struct erofs *fs, struct erofs_node *node)
{
	erofs_drop_contents(fs, node);
	erofs_give(fs, node->file.hole_room * sizeof(*node->file.holes) + node->file.tail_size);
	fs->tails -= node->file.tail_size;
	free(node->file.holes);
	free(node->file.tail);
}

/* Recursion: as deep as directories are, so at most EROFS_DEPTH_MAX. */
void erofs_put_node(struct erofs *fs, struct erofs_node *node)
{
	if (node->links > 0 && --node->links > 0)
		return;
	if (S_ISDIR(node->mode)) {
		erofs_empty(fs, node);
	} else if (S_ISLNK(node->mode)) {
		erofs_give(fs, node->size);
		free(node->target);
	} else if (S_ISREG(node->mode)) {
		free_file(fs, node);
	}
	erofs_give(fs, node->xattr_size + NODE_COST);
	free(node->xattr);
	free(node);
	fs->nodes--;
}

/* --- directories ------------------------------------------------------------------------------ */

static int compare(const void *left, const void *right)
{
	const struct erofs_name *a = left, *b = right;
	int order = memcmp(a->text, b->text, min_u64(a->length, b->length));

	return order ? order : (a->length > b->length) - (a->length < b->length);
}

struct erofs_name *erofs_find(const struct erofs_node *directory, const char *text, size_t length)
{
	const struct erofs_name key = {.text = text, .length = length};
	void *found = tfind(&key, &directory->directory.names, compare);

	return found ? *(struct erofs_name **)found : NULL;
}

int erofs_attach(struct erofs *fs, struct erofs_node *directory, const char *text, size_t length,
		 struct erofs_node *node, struct err *err)
{
	struct erofs_name *name;
	int ret = erofs_take(fs, name_cost(length), err);

	if (ret < 0)
		return ret;
	name = malloc(sizeof(*name) + length);
	if (!name)
		goto no_memory;
	*name = (struct erofs_name){.node = node, .text = (char *)(name + 1), .length = length};
	memcpy(name + 1, text, length);
	if (!tsearch(name, &directory->directory.names, compare))
		goto no_memory;
	node->links++;
	if (S_ISDIR(node->mode)) {
		node->directory.parent = directory;
		node->directory.depth = directory->directory.depth + 1;
		directory->directory.directories++;
	}
	return 0;
no_memory:
	free(name);
	erofs_give(fs, name_cost(length));
	return err_set(err, ENOMEM, "out of memory");
}

void erofs_detach(struct erofs *fs, struct erofs_node *directory, struct erofs_name *name)
{
	struct erofs_node *node = name->node;

	tdelete(name, &directory->directory.names, compare);
	if (S_ISDIR(node->mode))
		directory->directory.directories--;
	erofs_give(fs, name_cost(name->length));
	free(name);
	erofs_put_node(fs, node);
}

void erofs_empty(struct erofs *fs, struct erofs_node *directory)
{
	/* The root of the tree of names begins with the pointer to its key. */
	while (directory->directory.names)
		erofs_detach(fs, directory, *(struct erofs_name **)directory->directory.names);
}

/* --- names in order --------------------------------------------------------------------------- */

struct listing {
	erofs_name_fn *fn;
	void *arg;
	struct erofs_name dots[2];
	unsigned dot; /* of dots, the next one */
};

static void list_name(const void *at, VISIT visit, void *closure)
{
	const struct erofs_name *name = *(struct erofs_name *const *)at;
	struct listing *listing = closure;

	if (visit != postorder && visit != leaf)
		return;
	while (listing->dot < 2 && compare(&listing->dots[listing->dot], name) < 0)
		listing->fn(listing->arg, &listing->dots[listing->dot++]);
	listing->fn(listing->arg, name);
}

void erofs_each_name(struct erofs_node *directory, erofs_name_fn *fn, void *arg)
{
	struct listing listing = {
		.fn = fn,
		.arg = arg,
		.dots = {{.node = directory, .text = ".", .length = 1},
			 {.node = directory->directory.parent, .text = "..", .length = 2}},
	};

	twalk_r(directory->directory.names, list_name, &listing);
	while (listing.dot < 2)
		fn(arg, &listing.dots[listing.dot++]);
}
