/* SPDX-License-Identifier: Apache-2.0 */
/* The layout: which inode and which block of a directory stands where. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/image/erofs_internal.h"

/* --- order ------------------------------------------------------------------------------------ */

struct ordering {
	struct erofs *fs;
	struct erofs_node *directory;
	uint32_t count;
};

static void add_to_order(void *arg, const struct erofs_name *name)
{
	struct ordering *ordering = arg;
	struct erofs_node *node = name->node;

	/* "..", or a file that has another name: the root has its number from the beginning. */
	if (node->number > 0)
		return;
	ordering->fs->order[ordering->count] = node;
	node->number = ++ordering->count;
}

/* Directory by directory, so that what is listed together lies together. */
static int order_nodes(struct erofs *fs, struct err *err)
{
	struct ordering ordering = {.fs = fs, .count = 1};
	uint32_t i;

	fs->order = calloc(fs->nodes, sizeof(struct erofs_node *));
	if (!fs->order)
		return err_set(err, ENOMEM, "out of memory");
	fs->order[0] = fs->root;
	fs->root->number = 1;
	for (i = 0; i < ordering.count; i++)
		if (S_ISDIR(fs->order[i]->mode))
			erofs_each_name(fs->order[i], add_to_order, &ordering);
	return 0;
}

/* --- the common time -------------------------------------------------------------------------- */

static int compare_times(const void *left, const void *right)
{
	const struct erofs_node *a = *(struct erofs_node *const *)left;
	const struct erofs_node *b = *(struct erofs_node *const *)right;

	if (a->mtime != b->mtime)
		return a->mtime < b->mtime ? -1 : 1;
	return (a->mtime_nsec > b->mtime_nsec) - (a->mtime_nsec < b->mtime_nsec);
}

/* Compact inodes have one time for all: the most frequent one, and of several the first. */
static int choose_time(struct erofs *fs, struct err *err)
{
	struct erofs_node **sorted = malloc(fs->nodes * sizeof(struct erofs_node *));
	uint32_t i, run = 0, best = 0;

	if (!sorted)
		return err_set(err, ENOMEM, "out of memory");
	memcpy(sorted, fs->order, fs->nodes * sizeof(struct erofs_node *));
	qsort(sorted, fs->nodes, sizeof(struct erofs_node *), compare_times);
	for (i = 0; i < fs->nodes; i++) {
		run = i > 0 && compare_times(&sorted[i - 1], &sorted[i]) == 0 ? run + 1 : 1;
		if (run > best) {
			best = run;
			fs->time = sorted[i]->mtime;
			fs->time_nsec = sorted[i]->mtime_nsec;
		}
	}
	free(sorted);
	return 0;
}

/* --- sizes ------------------------------------------------------------------------------------ */

static void add_name_size(void *arg, const struct erofs_name *name)
{
	uint64_t *size = arg, need = sizeof(struct erofs_dirent) + name->length;

	if (*size % EROFS_BLKSIZ + need > EROFS_BLKSIZ)
		*size = align_up(*size, EROFS_BLKSIZ);
	/* A full block and the next one's start look alike, and are. */
	*size += need;
}

static bool is_compact(const struct erofs *fs, const struct erofs_node *node)
{
	uint32_t links = S_ISDIR(node->mode) ? 2 + node->directory.directories : node->links;

	return node->mtime == fs->time && node->mtime_nsec == fs->time_nsec &&
	       node->uid <= UINT16_MAX && node->gid <= UINT16_MAX && links <= UINT16_MAX &&
	       node->size <= UINT32_MAX;
}

static uint64_t inode_size(const struct erofs_node *node)
{
	return (node->compact ? sizeof(struct erofs_inode_compact)
			      : sizeof(struct erofs_inode_extended)) +
	       node->xattr_size;
}

/* Decides on the tail, and where whole blocks of a directory or a symbolic link go. */
static void place_contents(struct erofs *fs, struct erofs_node *node)
{
	uint32_t tail = node->size % EROFS_BLKSIZ;

	if (S_ISREG(node->mode)) {
		node->inline_size = node->file.tail_size;
		node->blkaddr = node->file.blocks > 0 ? node->file.block : 0;
		fs->chunked |= node->file.hole_count > 0;
		return;
	}
	if (!S_ISDIR(node->mode) && !S_ISLNK(node->mode))
		return;
	if (tail <= EROFS_TAIL_MAX && inode_size(node) + tail <= EROFS_BLKSIZ)
		node->inline_size = tail;
	node->blkaddr = (uint32_t)fs->block;
	fs->block += align_up(node->size - node->inline_size, EROFS_BLKSIZ) >> EROFS_BLKSIZ_BITS;
}

static void place_inode(struct erofs *fs, struct erofs_node *node)
{
	uint64_t at = fs->meta_size, size = inode_size(node);
	uint64_t within =
		node->inline_size > 0 ? size + node->inline_size : size - node->xattr_size;

	/* An inode, and all in front of a tail, lies within one block. */
	if (at % EROFS_BLKSIZ + within > EROFS_BLKSIZ)
		at = align_up(at, EROFS_BLKSIZ);
	node->nid = at / EROFS_SLOTSIZE;
	at += size + node->inline_size;
	if (S_ISREG(node->mode) && node->file.hole_count > 0)
		at += (uint64_t)erofs_chunks(node) * sizeof(uint32_t);
	fs->meta_size = align_up(at, EROFS_SLOTSIZE);
}

int erofs_place(struct erofs *fs, struct err *err)
{
	uint32_t i;
	int ret = order_nodes(fs, err);

	if (ret == 0)
		ret = choose_time(fs, err);
	if (ret < 0)
		return ret;
	/* No inode 0: readdir(3) takes that for a removed file. */
	fs->meta_size = EROFS_SLOTSIZE;
	for (i = 0; i < fs->nodes; i++) {
		struct erofs_node *node = fs->order[i];

		if (S_ISDIR(node->mode))
			erofs_each_name(node, add_name_size, &node->size);
		node->compact = is_compact(fs, node);
		place_contents(fs, node);
		place_inode(fs, node);
		if (fs->block > EROFS_BLOCKS_MAX)
			return err_set(err, EFBIG, "the image is too large");
	}
	fs->meta_block = (uint32_t)fs->block;
	fs->block += align_up(fs->meta_size, EROFS_BLKSIZ) >> EROFS_BLKSIZ_BITS;
	if (fs->block > EROFS_BLOCKS_MAX)
		return err_set(err, EFBIG, "the image is too large");
	return 0;
}
