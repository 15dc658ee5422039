/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE: nodes that the guest has numbers for, and how often it was told of each. */
#include <errno.h>
#include <stdlib.h>

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
	if (S_ISFIFO(shown.mode) || S_ISSOCK(shown.mode)) {
		node->told.mode = shown.mode;
		node->told.uid = shown.uid;
		node->told.gid = shown.gid;
	}
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

/* With the mutex. */
static void forget_some(struct fuse_root *root, uint64_t number, uint64_t lookups)
{
	struct node *node;

	if (!root->used || fuse_find_node(root, number, &node) < 0 || node->lookups == 0)
		return;
	if (node->lookups > lookups)
		node->lookups -= lookups;
	else
		forget(root, node);
}

/* Out of memory, or with more than a guest has nodes, they stay known: they are bounded. */
static void forget_later(struct fuse_root *root, uint64_t number, uint64_t lookups)
{
	struct fuse_session *session = root->session;
	uint32_t room, count;
	struct fuse_late *more;

	pthread_mutex_lock(&session->mutex);
	count = atomic_load(&root->late_count);
	room = root->late_room;
	if (count == room) {
		room = room ? room * 2 : 64;
		more = realloc(root->late, room * sizeof(*more));
		if (more) {
			root->late = more;
			root->late_room = room;
		}
	}
	if (count < root->late_room && session->late < FUSED_NODES_MAX) {
		root->late[count] = (struct fuse_late){.number = number, .lookups = lookups};
		session->late++;
		atomic_store(&root->late_count, count + 1);
	}
	pthread_mutex_unlock(&session->mutex);
}

/* With the mutex: the list, which is empty afterwards. */
static struct fuse_late *take_late(struct fuse_root *root, uint32_t *count)
{
	struct fuse_session *session = root->session;
	struct fuse_late *late;

	pthread_mutex_lock(&session->mutex);
	late = root->late;
	*count = atomic_load(&root->late_count);
	session->late -= *count;
	root->late = NULL;
	root->late_room = 0;
	atomic_store(&root->late_count, 0);
	pthread_mutex_unlock(&session->mutex);
	return late;
}

static void forget_late(struct fuse_root *root)
{
	uint32_t count, i;
	struct fuse_late *late = take_late(root, &count);

	for (i = 0; i < count; i++)
		forget_some(root, late[i].number, late[i].lookups);
	free(late);
}

void fuse_late_end(struct fuse_root *root)
{
	uint32_t count;

	free(take_late(root, &count));
}

/* What is added after the look at the list is found by the one after the mutex is free. */
void fuse_root_unlock(struct fuse_root *root)
{
	do {
		if (atomic_load(&root->late_count) > 0)
			forget_late(root);
		pthread_mutex_unlock(&root->mutex);
	} while (atomic_load(&root->late_count) > 0 && pthread_mutex_trylock(&root->mutex) == 0);
}

void fuse_node_forget(struct fuse_root *root, uint64_t number, uint64_t lookups)
{
	if (pthread_mutex_trylock(&root->mutex) == 0) {
		forget_some(root, number, lookups);
	} else {
		forget_later(root, number, lookups);
		/* Or the thread that has it finds it there. */
		if (pthread_mutex_trylock(&root->mutex) != 0)
			return;
	}
	fuse_root_unlock(root);
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
