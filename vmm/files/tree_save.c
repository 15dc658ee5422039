/* SPDX-License-Identifier: Apache-2.0 */
/* Saves and restores the nodes of a tree: their names, parents before children. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/files/tree_save.h"

/* A path of PATH_MAX bytes has no more names; a longer one cannot be used. */
#define DEPTH_MAX (PATH_MAX / 2)

/* --- saving ----------------------------------------------------------------------------------- */

void tree_save_begin(struct tree_save *save, struct pack *to)
{
	*save = (struct tree_save){.to = to, .at = to->length};
	pack_u32(to, 0);
}

void tree_save_node(struct tree_save *save, struct node *node)
{
	struct node *way[DEPTH_MAX], *at;
	unsigned depth = 0;

	for (at = node; at->parent && at->saved == 0; at = at->parent) {
		if (depth == DEPTH_MAX) {
			node->saved = TREE_NOWHERE;
			return;
		}
		if (at->gone)
			break;
		way[depth++] = at;
	}
	if (at->gone || at->saved == TREE_NOWHERE) {
		at->saved = node->saved = TREE_NOWHERE;
		while (depth > 0)
			way[--depth]->saved = TREE_NOWHERE;
		return;
	}
	while (depth > 0) {
		at = way[--depth];
		pack_u32(save->to, at->parent->saved);
		pack_u8(save->to, at->length);
		pack_bytes(save->to, at->name, at->length);
		at->saved = ++save->count;
	}
}

void tree_save_end(struct tree_save *save)
{
	if (!save->to->failed)
		store_le32(save->to->data + save->at, save->count);
}

void tree_save_forget(struct node *node)
{
	for (; node && node->saved; node = node->parent)
		node->saved = 0;
}

/* --- restoring -------------------------------------------------------------------------------- */

static int restore_node(struct tree *tree, struct tree_saved *saved, struct unpack *from)
{
	uint32_t parent = unpack_u32(from);
	struct name name;
	struct node *node;

	name.length = unpack_u8(from);
	if (from->failed || parent >= saved->count || name.length > from->length - from->at)
		return -EINVAL;
	unpack_bytes(from, name.text, name.length);
	name.text[name.length] = '\0';
	if (memchr(name.text, '\0', name.length) || !name_is_good(&name))
		return -EINVAL;
	node = node_child(tree, saved->node[parent], &name);
	if (!node)
		return -ENFILE;
	saved->node[saved->count++] = node;
	return 0;
}

int tree_restore(struct tree *tree, struct tree_saved *saved, struct unpack *from)
{
	uint32_t count = unpack_count(from, FUSED_NODES_MAX), i;
	int ret = 0;

	*saved = (struct tree_saved){.node = NULL};
	if (from->failed)
		return -EINVAL;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	saved->node = calloc((size_t)count + 1, sizeof(*saved->node));
	if (!saved->node)
		return -ENOMEM;
	saved->node[saved->count++] = node_get(tree->root);
	for (i = 0; ret == 0 && i < count; i++)
		ret = restore_node(tree, saved, from);
	return ret;
}

int tree_restored(struct tree *tree, const struct tree_saved *saved, uint32_t number,
		  struct node **node)
{
	if (number != TREE_NOWHERE && number >= saved->count)
		return -EINVAL;
	*node = number == TREE_NOWHERE ? node_removed(tree) : node_get(saved->node[number]);
	return *node ? 0 : -ENFILE;
}

void tree_restore_end(struct tree *tree, struct tree_saved *saved)
{
	while (saved->count > 0)
		node_put(tree, saved->node[--saved->count]);
	free(saved->node);
}
