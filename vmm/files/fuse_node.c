/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE: nodes that the guest has numbers for, and how often it was told of each. */
#include <errno.h>

#include "vmm/base/bytes.h"
#include "vmm/files/fuse_internal.h"

int fuse_find_node(const struct fuse_root *root, uint64_t number, struct node **node)
{
	*node = fuse_table_find(&root->nodes, number);
	return *node ? 0 : -ESTALE;
}

struct node *fuse_node_at(struct fuse_root *root, struct node *parent, const struct name *name,
			  const struct stat *stat)
{
	struct node *node = node_child(root->tree, parent, name);

	if (node && !node_is(node, stat)) {
		node_remove(root->tree, node);
		node_put(root->tree, node);
		node = node_child(root->tree, parent, name);
	}
	if (node)
		node_know(node, stat);
	return node;
}

/* --- what the guest is told ------------------------------------------------------------------- */

uint64_t fuse_timeout(const struct fuse_root *root)
{
	return root->cache == FUSED_LOOSE ? FUSED_LOOSE_SECONDS : 0;
}

uint32_t fuse_attr_timeout_ns(const struct fuse_root *root)
{
	return root->cache == FUSED_STRICT ? FUSED_STRICT_ATTR_NS : 0;
}

void fuse_fill_attr(const struct fuse_root *root, struct node *node, const struct stat *stat,
		    int fd, struct fuse_attr *out)
{
	struct shown shown;

	op_show(root->tree, node, fd, stat, &shown);
	*out = (struct fuse_attr){
		.ino = shown.ino,
		.size = (uint64_t)stat->st_size,
		.blocks = (uint64_t)stat->st_blocks,
		.atime = (uint64_t)stat->st_atim.tv_sec,
		.mtime = (uint64_t)stat->st_mtim.tv_sec,
		.ctime = (uint64_t)stat->st_ctim.tv_sec,
		.atimensec = (uint32_t)stat->st_atim.tv_nsec,
		.mtimensec = (uint32_t)stat->st_mtim.tv_nsec,
		.ctimensec = (uint32_t)stat->st_ctim.tv_nsec,
		.mode = shown.mode,
		.nlink = (uint32_t)stat->st_nlink,
		.uid = shown.uid,
		.gid = shown.gid,
		.rdev = shown.rdev,
		.blksize = (uint32_t)stat->st_blksize,
	};
	/* The guest's kernel refuses to link a file that has no links. */
	if (node->unnamed && out->nlink == 0)
		out->nlink = 1;
}

/* The node has a slot as long as the guest knows of it, and so a reference. */
int fuse_node_tell(struct fuse_root *root, struct node *node, const struct stat *stat, int fd,
		   struct fuse_entry_out *out)
{
	int64_t slot = node->number;

	if (node->lookups == 0 && node->parent) {
		slot = fuse_table_add(&root->nodes, node);
		if (slot < 0) {
			node_put(root->tree, node);
			return (int)slot;
		}
		node->number = (uint32_t)slot;
	} else {
		node_put(root->tree, node);
	}
	if (node->lookups < UINT64_MAX)
		node->lookups++;
	*out = (struct fuse_entry_out){
		.nodeid = fuse_table_number(&root->nodes, node->number),
		.entry_valid = fuse_timeout(root),
		.attr_valid = fuse_timeout(root),
		.attr_valid_nsec = fuse_attr_timeout_ns(root),
	};
	fuse_fill_attr(root, node, stat, fd, &out->attr);
	return 0;
}

/* --- forgetting ------------------------------------------------------------------------------- */

static void forget(struct fuse_root *root, struct node *node)
{
	node->lookups = 0;
	if (!node->parent)
		return;
	fuse_table_remove(&root->nodes, node->number);
	node->number = 0;
	node_put(root->tree, node);
}

void fuse_node_forget(struct fuse_root *root, uint64_t number, uint64_t lookups)
{
	struct node *node;

	if (fuse_find_node(root, number, &node) < 0 || node->lookups == 0)
		return;
	if (node->lookups > lookups)
		node->lookups -= lookups;
	else
		forget(root, node);
}

void fuse_node_forget_all(struct fuse_root *root)
{
	struct node *node;
	uint32_t i;

	for (i = 0; i < root->nodes.used; i++) {
		node = root->nodes.slot[i].item;
		if (node)
			forget(root, node);
	}
}
