/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 9P: saves and restores a session (docs/snapshot-format.md): the tree of names that fids stand
 * for, parents before children, then the fids. It contains paths and no descriptors.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/files/p9.h"

/* The number of a removed place. The root's is 0. */
#define NOWHERE UINT32_MAX

/* A path of PATH_MAX bytes has no more names; a longer one cannot be used. */
#define DEPTH_MAX (PATH_MAX / 2)

/* --- saving ----------------------------------------------------------------------------------- */

/*
 * Writes the names from the last one that has a number down to node, and numbers them. If that is
 * impossible node gets the number NOWHERE: so a node with many fids is walked once.
 */
static void save_way(struct node *node, uint32_t *count, struct pack *to)
{
	struct node *way[DEPTH_MAX], *at;
	unsigned depth = 0;

	for (at = node; at->parent && at->number == 0; at = at->parent) {
		if (at->gone || depth == DEPTH_MAX) {
			node->number = NOWHERE;
			return;
		}
		way[depth++] = at;
	}
	if (at->number == NOWHERE) {
		node->number = NOWHERE;
		return;
	}
	while (depth > 0) {
		at = way[--depth];
		pack_u32(to, at->parent->number);
		pack_u8(to, at->length);
		pack_bytes(to, at->name, at->length);
		at->number = ++*count;
	}
}

static void save_nodes(struct files_session *session, struct pack *to)
{
	size_t at = to->length;
	uint32_t count = 0;
	struct fid *fid;
	unsigned i;

	pack_u32(to, 0);
	for (i = 0; i < FILES_BUCKETS; i++)
		for (fid = session->fids[i]; fid; fid = fid->next)
			save_way(fid->file.node, &count, to);
	if (!to->failed)
		store_le32(to->data + at, count);
}

static void save_fid(const struct fid *fid, struct pack *to)
{
	pack_u32(to, fid->number);
	pack_u32(to, fid->file.node->number);
	pack_u8(to, (uint8_t)fid->kind);
	pack_u32(to, fid->file.flags);
	if (fid->xattr)
		xattr_save(fid->xattr, to);
}

static void forget_numbers(struct files_session *session)
{
	const struct fid *fid;
	struct node *at;
	unsigned i;

	for (i = 0; i < FILES_BUCKETS; i++)
		for (fid = session->fids[i]; fid; fid = fid->next)
			for (at = fid->file.node; at && at->number; at = at->parent)
				at->number = 0;
}

void files_session_save(struct files_session *session, struct pack *to)
{
	const struct fid *fid;
	unsigned i;

	pack_u32(to, session->msize);
	pack_u8(to, session->versioned);
	save_nodes(session, to);
	pack_u32(to, session->fid_count);
	for (i = 0; i < FILES_BUCKETS; i++)
		for (fid = session->fids[i]; fid; fid = fid->next)
			save_fid(fid, to);
	forget_numbers(session);
}

/* --- restoring -------------------------------------------------------------------------------- */

struct places {
	struct node **node; /* by number, each with a reference */
	uint32_t count;
	uint32_t open; /* fids to be opened again */
};

static int restore_node(struct files_session *session, struct places *places, struct unpack *from)
{
	uint32_t parent = unpack_u32(from);
	struct name name;
	struct node *node;

	name.length = unpack_u8(from);
	if (from->failed || parent >= places->count || name.length > from->length - from->at)
		return -EINVAL;
	unpack_bytes(from, name.text, name.length);
	name.text[name.length] = '\0';
	if (memchr(name.text, '\0', name.length) || !name_is_good(&name))
		return -EINVAL;
	node = node_child(&session->tree, places->node[parent], &name);
	if (!node)
		return -ENFILE;
	places->node[places->count++] = node;
	return 0;
}

static int restore_nodes(struct files_session *session, struct places *places, struct unpack *from)
{
	uint32_t count = unpack_count(from, FILES_NODES_MAX), i;
	int ret = 0;

	if (from->failed)
		return -EINVAL;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	places->node = calloc((size_t)count + 1, sizeof(*places->node));
	if (!places->node)
		return -ENOMEM;
	places->node[places->count++] = node_get(session->tree.root);
	for (i = 0; ret == 0 && i < count; i++)
		ret = restore_node(session, places, from);
	return ret;
}

static int restore_fid(struct files_session *session, struct places *places, struct unpack *from)
{
	uint32_t number = unpack_u32(from), place = unpack_u32(from);
	uint8_t kind = unpack_u8(from);
	uint32_t flags = unpack_u32(from);
	struct node *node;
	struct fid *fid;
	int ret;

	if (from->failed || kind > FID_XATTR_WRITE || (place != NOWHERE && place >= places->count))
		return -EINVAL;
	node = place == NOWHERE ? node_removed(&session->tree) : node_get(places->node[place]);
	ret = node ? fid_new(session, number, node, &fid) : -ENFILE;
	node_put(&session->tree, node);
	if (ret < 0)
		return ret;
	fid->file.flags = flags;
	if (kind == FID_XATTR_READ || kind == FID_XATTR_WRITE)
		return xattr_restore(session, fid, kind, from);
	/* Closed until the session's thread has opened it. */
	fid->kind = kind == FID_PLACE ? FID_PLACE : FID_CLOSED;
	fid->again = kind == FID_FILE || kind == FID_DIRECTORY;
	/* No more than could have been open: each costs a walk, a decision and an open. */
	return fid->again && ++places->open > FILES_OPEN_MAX ? -EINVAL : 0;
}

int files_session_restore(struct files_session *session, struct unpack *from)
{
	struct places places = {.node = NULL};
	uint32_t msize = unpack_u32(from), count, i;
	int ret;

	session->versioned = unpack_u8(from);
	if (from->failed || msize < FILES_MSIZE_MIN || msize > FILES_MSIZE_MAX)
		return -EINVAL;
	session->msize = msize;
	ret = restore_nodes(session, &places, from);
	count = unpack_count(from, FILES_FIDS_MAX);
	for (i = 0; ret == 0 && i < count; i++)
		ret = restore_fid(session, &places, from);
	while (places.count > 0)
		node_put(&session->tree, places.node[--places.count]);
	free(places.node);
	return ret == 0 && from->failed ? -EINVAL : ret;
}

void files_session_reopen(struct files_session *session)
{
	struct fid *fid;
	unsigned i;

	for (i = 0; i < FILES_BUCKETS; i++) {
		for (fid = session->fids[i]; fid; fid = fid->next) {
			if (fid->again)
				fid_reopen(session, fid);
			else if (fid->kind == FID_XATTR_WRITE)
				xattr_reopen(session, fid);
		}
	}
}
