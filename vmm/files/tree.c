/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: the names on the paths from the share's root to the fids' places. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/files/internal.h"

/* Of all sessions. */
static atomic_uint nodes_all;

/* FNV-1a with a secret start value: a guest can't choose names that all fall into one bucket. */
static struct node **bucket(struct files_session *session, const struct node *parent,
			    const char *name, size_t length)
{
	uint64_t hash = session->seed ^ (uint64_t)(uintptr_t)parent;
	size_t i;

	for (i = 0; i < length; i++)
		hash = (hash ^ (uint8_t)name[i]) * 0x100000001b3ull;
	hash ^= hash >> 32;
	return &session->nodes[hash % FILES_BUCKETS];
}

static void unhash(struct files_session *session, struct node *node)
{
	struct node **at = bucket(session, node->parent, node->name, node->length);

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
}

static void hash(struct files_session *session, struct node *node)
{
	struct node **at = bucket(session, node->parent, node->name, node->length);

	node->next = *at;
	*at = node;
}

struct node *node_find(struct files_session *session, const struct node *parent,
		       const struct name *name)
{
	struct node *node = *bucket(session, parent, name->text, name->length);

	while (node && (node->parent != parent || node->length != name->length ||
			memcmp(node->name, name->text, name->length) != 0))
		node = node->next;
	return node;
}

static struct node *node_new(struct files_session *session, struct node *parent,
			     const struct name *name)
{
	struct node *node;

	if (session->node_count == FILES_NODES_MAX)
		return NULL;
	if (atomic_fetch_add(&nodes_all, 1) >= FILES_NODES_ALL) {
		atomic_fetch_sub(&nodes_all, 1);
		return NULL;
	}
	node = calloc(1, sizeof(*node));
	if (node)
		node->name = strndup(name->text, name->length);
	if (!node || !node->name) {
		free(node);
		atomic_fetch_sub(&nodes_all, 1);
		return NULL;
	}
	node->parent = node_get(parent);
	node->references = 1;
	node->length = (uint8_t)name->length;
	session->node_count++;
	return node;
}

struct node *node_child(struct files_session *session, struct node *parent, const struct name *name)
{
	struct node *node = node_find(session, parent, name);

	if (node)
		return node_get(node);
	node = node_new(session, parent, name);
	if (node)
		hash(session, node);
	return node;
}

struct node *node_removed(struct files_session *session)
{
	static const struct name name = {.text = "removed", .length = sizeof("removed") - 1};
	struct node *node = node_new(session, session->root, &name);

	if (node)
		node->gone = true;
	return node;
}

struct node *node_get(struct node *node)
{
	node->references++;
	return node;
}

void node_put(struct files_session *session, struct node *node)
{
	struct node *parent;

	/* A loop instead of recursion: the guest chooses the depth. */
	while (node && --node->references == 0) {
		parent = node->parent;
		if (!node->gone)
			unhash(session, node);
		free(node->name);
		free(node);
		session->node_count--;
		atomic_fetch_sub(&nodes_all, 1);
		node = parent;
	}
}

void node_remove(struct files_session *session, struct node *node)
{
	if (node->gone)
		return;
	unhash(session, node);
	node->gone = true;
}

/*
 * The host may have moved directories during a rename: then the guest's view of them is out of
 * date.
 */
static bool is_beneath(const struct node *node, const struct node *top)
{
	while (node && node != top)
		node = node->parent;
	return node;
}

void node_move(struct files_session *session, struct node *node, struct node *parent,
	       const struct name *name)
{
	struct node *target = node_find(session, parent, name), *old = node->parent;
	char *text;

	if (target == node)
		return;
	if (target)
		node_remove(session, target);
	text = is_beneath(parent, node) ? NULL : strndup(name->text, name->length);
	if (!text) { /* its fids are invalid from now on */
		node_remove(session, node);
		return;
	}
	unhash(session, node);
	free(node->name);
	node->name = text;
	node->length = (uint8_t)name->length;
	node->parent = node_get(parent);
	hash(session, node);
	node_put(session, old);
}
