/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FUSE: saves and restores a session: for each root its name and index, which the guest's numbers
 * contain, the names that nodes stand for, then nodes and open files with their numbers. It
 * contains paths and no descriptors.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/files/fuse_internal.h"
#include "vmm/files/remember_table.h"
#include "vmm/files/tree_save.h"

/* Of an open file whose node the guest has forgotten. */
#define NO_SLOT UINT32_MAX

#define FLAG_KNOWN  1u
#define FLAG_DEVICE 2u /* the file is on the root's own device, whatever its number is now */

#define FLAG_DIRECTORY 1u
#define FLAG_STALE     2u /* it could not be opened again, and stays so */

/* --- saving ----------------------------------------------------------------------------------- */

static void save_time(const struct timespec *time, struct pack *to)
{
	pack_u64(to, (uint64_t)time->tv_sec);
	pack_u32(to, (uint32_t)time->tv_nsec);
}

static void save_node(const struct fuse_root *root, const struct node *node, dev_t device,
		      struct pack *to)
{
	bool own = node->dev == device;

	pack_u32(to, node->saved);
	pack_u32(to, node->number);
	pack_u32(to, root->nodes.slot[node->number].generation);
	pack_u64(to, node->lookups);
	pack_u8(to, (uint8_t)((node->known ? FLAG_KNOWN : 0) | (own ? FLAG_DEVICE : 0)));
	pack_u32(to, node->mode);
	pack_u64(to, own ? 0 : node->dev);
	pack_u64(to, node->ino);
	save_time(&node->made, to);
}

static void save_handle(const struct fuse_root *root, const struct fuse_handle *handle,
			struct pack *to)
{
	const struct node *node = handle->file.node;
	bool known = node->lookups > 0 || !node->parent;
	bool stale = handle->file.fd < 0 && !handle->again;

	pack_u32(to, known ? node->number : NO_SLOT);
	pack_u32(to, node->saved);
	pack_u32(to, handle->slot);
	pack_u32(to, root->handles.slot[handle->slot].generation);
	pack_u32(to, handle->file.flags);
	pack_u8(to, (uint8_t)((handle->file.directory ? FLAG_DIRECTORY : 0) |
			      (stale ? FLAG_STALE : 0)));
	fuse_locks_save(handle, to);
}

static uint32_t count(const struct fuse_table *table)
{
	uint32_t i, n = 0;

	for (i = 0; i < table->used; i++)
		n += table->slot[i].item != NULL;
	return n;
}

static void save_tree(struct fuse_root *root, struct pack *to)
{
	const struct fuse_handle *handle;
	struct tree_save save;
	uint32_t i;

	tree_save_begin(&save, to);
	for (i = 0; i < root->nodes.used; i++)
		if (root->nodes.slot[i].item)
			tree_save_node(&save, root->nodes.slot[i].item);
	for (i = 0; i < root->handles.used; i++) {
		handle = root->handles.slot[i].item;
		if (handle)
			tree_save_node(&save, handle->file.node);
	}
	tree_save_end(&save);
}

static dev_t device_of(const struct fuse_root *root)
{
	struct stat stat;

	return fstat(root->tree->share->root_fd, &stat) == 0 ? stat.st_dev : 0;
}

/* With the root's mutex. */
static void save_root(struct fuse_root *root, struct pack *to)
{
	struct fuse_handle *handle;
	dev_t device = device_of(root);
	struct node *node;
	uint32_t i;

	save_tree(root, to);
	pack_u32(to, count(&root->nodes));
	for (i = 0; i < root->nodes.used; i++) {
		node = root->nodes.slot[i].item;
		if (node)
			save_node(root, node, device, to);
	}
	pack_u32(to, count(&root->handles));
	for (i = 0; i < root->handles.used; i++) {
		handle = root->handles.slot[i].item;
		if (handle)
			save_handle(root, handle, to);
	}
	for (i = 0; i < root->nodes.used; i++)
		if (root->nodes.slot[i].item)
			tree_save_forget(root->nodes.slot[i].item);
	for (i = 0; i < root->handles.used; i++) {
		handle = root->handles.slot[i].item;
		if (handle)
			tree_save_forget(handle->file.node);
	}
}

/* That of all its shares; NULL: nothing is counted. */
static struct files_quota *quota_of(struct fuse_session *session)
{
	struct files_quota *quota = NULL;
	struct fuse_root *root;
	unsigned i;

	for (i = 0; i < FUSED_ROOTS_MAX && !quota; i++) {
		root = &session->roots[i];
		pthread_mutex_lock(&root->mutex);
		if (root->used)
			quota = root->tree->share->quota;
		fuse_root_unlock(root);
	}
	return quota;
}

/* By place: the device of each root, or 0. */
static void devices_of(struct fuse_session *session, dev_t devices[FUSED_ROOTS_MAX])
{
	struct fuse_root *root;
	unsigned i;

	for (i = 0; i < FUSED_ROOTS_MAX; i++) {
		root = &session->roots[i];
		pthread_mutex_lock(&root->mutex);
		devices[i] = root->used ? device_of(root) : 0;
		fuse_root_unlock(root);
	}
}

void fuse_session_save(struct fuse_session *session, struct pack *to)
{
	dev_t devices[FUSED_ROOTS_MAX];
	struct files_quota *quota;
	struct fuse_root *root;
	uint32_t roots = 0;
	size_t start, at = to->length + 1;
	unsigned i;

	pack_u8(to, session->begun);
	pack_u32(to, 0);
	for (i = 0; i < FUSED_ROOTS_MAX; i++) {
		root = &session->roots[i];
		pthread_mutex_lock(&root->mutex);
		if (root->used) {
			pack_text(to, root->name);
			pack_u8(to, (uint8_t)i);
			pack_u32(to, 0);
			start = to->length;
			save_root(root, to);
			if (!to->failed)
				store_le32(to->data + start - 4, (uint32_t)(to->length - start));
			roots++;
		}
		fuse_root_unlock(root);
	}
	if (!to->failed)
		store_le32(to->data + at, roots);
	quota = quota_of(session);
	pack_u64(to, quota ? quota->bytes : session->made.bytes);
	pack_u64(to, quota ? quota->files : session->made.files);
	devices_of(session, devices);
	remember_table_save(session->table, devices, FUSED_ROOTS_MAX, to);
}

/* --- restoring -------------------------------------------------------------------------------- */

struct restoring {
	struct fuse_root *root;
	struct tree_saved tree;
	struct unpack from;
	uint32_t open; /* files of all roots, so far */
};

static int restore_node(struct restoring *restoring, dev_t device)
{
	struct fuse_root *root = restoring->root;
	struct unpack *from = &restoring->from;
	uint32_t number = unpack_u32(from), slot = unpack_u32(from), generation = unpack_u32(from);
	uint64_t lookups = unpack_u64(from);
	uint8_t flags = unpack_u8(from);
	struct node *node;
	int ret =
		from->failed ? -EINVAL : tree_restored(root->tree, &restoring->tree, number, &node);

	if (ret < 0)
		return ret;
	/* A node has one number, and is told of; the root's has the first one always. */
	if (node->lookups || (node->parent ? slot == 0 || !lookups : slot != 0))
		ret = -EINVAL;
	if (ret == 0)
		ret = fuse_table_put(&root->nodes, slot, generation, node, FUSED_NODES_MAX + 1);
	if (ret < 0 || !node->parent) {
		node_put(root->tree, node);
		unpack_skip(from, 32);
		return ret;
	}
	node->number = slot;
	node->lookups = lookups;
	node->known = flags & FLAG_KNOWN;
	node->mode = unpack_u32(from);
	node->dev = unpack_u64(from);
	node->ino = unpack_u64(from);
	node->made.tv_sec = (time_t)unpack_u64(from);
	node->made.tv_nsec = unpack_u32(from);
	if (flags & FLAG_DEVICE)
		node->dev = device;
	return from->failed ? -EINVAL : 0;
}

/* The node of an open file, with a reference. */
static int restore_place(struct restoring *restoring, struct node **node)
{
	struct fuse_table *table = &restoring->root->nodes;
	uint32_t slot = unpack_u32(&restoring->from), number = unpack_u32(&restoring->from);

	if (slot == NO_SLOT)
		return tree_restored(restoring->root->tree, &restoring->tree, number, node);
	if (slot >= table->used || !table->slot[slot].item)
		return -EINVAL;
	*node = node_get(table->slot[slot].item);
	return 0;
}

static int restore_handle(struct restoring *restoring)
{
	struct fuse_root *root = restoring->root;
	struct unpack *from = &restoring->from;
	struct fuse_handle *handle;
	struct node *node;
	uint32_t generation;
	uint8_t flags;
	int ret = restore_place(restoring, &node);

	if (ret < 0)
		return ret;
	handle = calloc(1, sizeof(*handle));
	if (!handle || ++restoring->open > FUSED_OPEN_MAX) {
		free(handle);
		node_put(root->tree, node);
		return handle ? -EINVAL : -ENOMEM;
	}
	handle->file.fd = -1;
	handle->file.node = node;
	handle->slot = unpack_u32(from);
	generation = unpack_u32(from);
	handle->file.flags = unpack_u32(from);
	flags = unpack_u8(from);
	handle->file.directory = flags & FLAG_DIRECTORY;
	handle->again = !(flags & FLAG_STALE);
	if (from->failed)
		ret = -EINVAL;
	else
		ret = fuse_table_put(&root->handles, handle->slot, generation, handle,
				     2 * FUSED_OPEN_MAX);
	if (ret < 0) {
		node_put(root->tree, node);
		free(handle);
		return ret;
	}
	return fuse_locks_restore(root, handle, from);
}

static int restore_root(struct restoring *restoring)
{
	struct fuse_root *root = restoring->root;
	struct unpack *from = &restoring->from;
	dev_t device = device_of(root);
	uint32_t n, i;
	int ret = tree_restore(root->tree, &restoring->tree, from);

	n = unpack_count(from, FUSED_NODES_MAX + 1);
	for (i = 0; ret == 0 && i < n; i++)
		ret = restore_node(restoring, device);
	n = unpack_count(from, FUSED_OPEN_MAX);
	for (i = 0; ret == 0 && i < n; i++)
		ret = restore_handle(restoring);
	tree_restore_end(root->tree, &restoring->tree);
	fuse_table_mend(&root->nodes);
	fuse_table_mend(&root->handles);
	return ret == 0 && !unpack_done(from) ? -EINVAL : ret;
}

/* Both, as the guest knows neither: numbers of what is in one slot are then those of the other. */
static void swap_roots(struct fuse_root *a, struct fuse_root *b)
{
	struct fuse_root was = *a;

	a->used = b->used;
	a->cache = b->cache;
	a->tree = b->tree;
	a->nodes = b->nodes;
	a->handles = b->handles;
	memcpy(a->name, b->name, sizeof(a->name));
	b->used = was.used;
	b->cache = was.cache;
	b->tree = was.tree;
	b->nodes = was.nodes;
	b->handles = was.handles;
	memcpy(b->name, was.name, sizeof(b->name));
	a->nodes.root = a->handles.root = a->index;
	b->nodes.root = b->handles.root = b->index;
}

static struct fuse_root *place_root(struct fuse_session *session, const char *name, unsigned index)
{
	struct fuse_root *to = &session->roots[index];
	unsigned i;

	for (i = 0; i < FUSED_ROOTS_MAX; i++) {
		if (session->roots[i].used && strcmp(session->roots[i].name, name) == 0) {
			if (i != index)
				swap_roots(&session->roots[i], to);
			return to;
		}
	}
	return NULL;
}

/* What was made before counts on. */
static int restore_quota(struct fuse_session *session, struct unpack *from)
{
	uint64_t bytes = unpack_u64(from), files = unpack_u64(from);
	struct files_quota *quota = quota_of(session);

	if (from->failed)
		return -EINVAL;
	session->made.bytes = bytes;
	session->made.files = files;
	if (quota) {
		quota->bytes = bytes;
		quota->files = files;
	}
	return 0;
}

static int restore_table(struct fuse_session *session, const bool done[FUSED_ROOTS_MAX],
			 struct unpack *from)
{
	dev_t devices[FUSED_ROOTS_MAX];
	unsigned i;

	devices_of(session, devices);
	/* Another root may have the place of one that is not there any more. */
	for (i = 0; i < FUSED_ROOTS_MAX; i++)
		if (!done[i])
			devices[i] = 0;
	return remember_table_restore(session->table, devices, FUSED_ROOTS_MAX, from);
}

int fuse_session_restore(struct fuse_session *session, struct unpack *from)
{
	bool begun = unpack_u8(from), done[FUSED_ROOTS_MAX] = {false};
	bool restored[FUSED_ROOTS_MAX] = {false};
	uint32_t roots = unpack_count(from, FUSED_ROOTS_MAX), i, length;
	struct restoring restoring = {.open = 0};
	char name[FUSED_ROOT_NAME_MAX + 1];
	const uint8_t *data;
	unsigned index;
	int ret = from->failed ? -EINVAL : 0;

	for (i = 0; ret == 0 && i < roots; i++) {
		unpack_text(from, name, sizeof(name));
		index = unpack_u8(from);
		length = unpack_u32(from);
		data = unpack_skip(from, length);
		if (from->failed || index >= FUSED_ROOTS_MAX || done[index])
			return -EINVAL;
		restoring.from = (struct unpack){.data = data, .length = length};
		restoring.root = place_root(session, name, index);
		done[index] = true;
		/* A root that is not there any more: its numbers are ESTALE. */
		restored[index] = restoring.root != NULL;
		if (restoring.root)
			ret = restore_root(&restoring);
	}
	session->begun = begun;
	if (ret == 0)
		ret = restore_quota(session, from);
	return ret == 0 ? restore_table(session, restored, from) : ret;
}
