/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: the names on the paths from the share's root to the places that the guest has numbers of.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "vmm/files/internal.h"

/* Of all sessions. */
static atomic_uint nodes_all;

/* FNV-1a with a secret start value: a guest can't choose names that all fall into one bucket. */
static struct node **bucket(struct tree *tree, const struct node *parent, const char *name,
			    size_t length)
{
	uint64_t hash = tree->seed ^ (uint64_t)(uintptr_t)parent;
	size_t i;

	for (i = 0; i < length; i++)
		hash = (hash ^ (uint8_t)name[i]) * 0x100000001b3ull;
	hash ^= hash >> 32;
	return &tree->buckets[hash % FILES_BUCKETS];
}

static void unhash(struct tree *tree, struct node *node)
{
	struct node **at = bucket(tree, node->parent, node->name, node->length);

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
}

static void hash(struct tree *tree, struct node *node)
{
	struct node **at = bucket(tree, node->parent, node->name, node->length);

	node->next = *at;
	*at = node;
}

int tree_begin(struct tree *tree, struct files_share *share, struct files_usage *usage)
{
	*tree = (struct tree){.share = share, .usage = usage, .proc_fd = -1};
	tree->root = calloc(1, sizeof(*tree->root));
	if (!tree->root || getrandom(&tree->seed, sizeof(tree->seed), 0) != sizeof(tree->seed))
		return -ENOMEM;
	/* The tree itself has a reference, so the count never becomes 0. */
	tree->root->references = 1;
	return 0;
}

void tree_end(struct tree *tree)
{
	free(tree->root);
	tree->root = NULL;
}

bool name_is_good(const struct name *name)
{
	return name->length > 0 && !memchr(name->text, '/', name->length) &&
	       strcmp(name->text, ".") != 0 && strcmp(name->text, "..") != 0;
}

struct node *node_find(struct tree *tree, const struct node *parent, const struct name *name)
{
	struct node *node = *bucket(tree, parent, name->text, name->length);

	while (node && (node->parent != parent || node->length != name->length ||
			memcmp(node->name, name->text, name->length) != 0))
		node = node->next;
	return node;
}

/* One more node, of the session and of all sessions. */
static bool count_node(struct tree *tree)
{
	if (atomic_fetch_add(&tree->usage->nodes, 1) < tree->usage->nodes_max) {
		if (atomic_fetch_add(&nodes_all, 1) < FUSED_NODES_ALL)
			return true;
		atomic_fetch_sub(&nodes_all, 1);
	}
	atomic_fetch_sub(&tree->usage->nodes, 1);
	return false;
}

static void uncount_node(struct tree *tree)
{
	atomic_fetch_sub(&tree->usage->nodes, 1);
	atomic_fetch_sub(&nodes_all, 1);
}

static struct node *node_new(struct tree *tree, struct node *parent, const struct name *name)
{
	struct node *node;

	if (!count_node(tree))
		return NULL;
	node = calloc(1, sizeof(*node));
	if (node)
		node->name = strndup(name->text, name->length);
	if (!node || !node->name) {
		free(node);
		uncount_node(tree);
		return NULL;
	}
	node->parent = node_get(parent);
	node->references = 1;
	node->length = (uint8_t)name->length;
	return node;
}

struct node *node_child(struct tree *tree, struct node *parent, const struct name *name)
{
	struct node *node = node_find(tree, parent, name);

	if (node)
		return node_get(node);
	node = node_new(tree, parent, name);
	if (node)
		hash(tree, node);
	return node;
}

struct node *node_removed(struct tree *tree)
{
	static const struct name name = {.text = "removed", .length = sizeof("removed") - 1};
	struct node *node = node_new(tree, tree->root, &name);

	if (node)
		node->gone = true;
	return node;
}

struct node *node_get(struct node *node)
{
	node->references++;
	return node;
}

void node_put(struct tree *tree, struct node *node)
{
	struct node *parent;

	/* A loop instead of recursion: the guest chooses the depth. */
	while (node && --node->references == 0) {
		parent = node->parent;
		if (!node->gone)
			unhash(tree, node);
		free(node->name);
		free(node);
		uncount_node(tree);
		node = parent;
	}
}

void node_remove(struct tree *tree, struct node *node)
{
	if (node->gone)
		return;
	unhash(tree, node);
	node->gone = true;
	tree->moves++;
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

void node_move(struct tree *tree, struct node *node, struct node *parent, const struct name *name)
{
	struct node *target = node_find(tree, parent, name), *old = node->parent;
	char *text;

	if (target == node)
		return;
	if (target)
		node_remove(tree, target);
	text = is_beneath(parent, node) ? NULL : strndup(name->text, name->length);
	if (!text) { /* its numbers are invalid from now on */
		node_remove(tree, node);
		return;
	}
	if (!node->gone)
		unhash(tree, node);
	free(node->name);
	node->name = text;
	node->length = (uint8_t)name->length;
	node->parent = node_get(parent);
	node->gone = false;
	hash(tree, node);
	node_put(tree, old);
	tree->moves++;
}

void node_exchange(struct tree *tree, struct node *a, struct node *b)
{
	struct node *parent = a->parent;
	uint8_t length = a->length;
	char *name = a->name;

	if (is_beneath(a->parent, b) || is_beneath(b->parent, a)) {
		node_remove(tree, a);
		node_remove(tree, b);
		return;
	}
	unhash(tree, a);
	unhash(tree, b);
	a->parent = b->parent;
	a->name = b->name;
	a->length = b->length;
	b->parent = parent;
	b->name = name;
	b->length = length;
	hash(tree, a);
	hash(tree, b);
	tree->moves++;
}

/* --- which file is there ---------------------------------------------------------------------- */

void node_know(struct node *node, const struct stat *stat)
{
	node->known = true;
	node->mode = stat->st_mode & S_IFMT;
	node->dev = stat->st_dev;
	node->ino = stat->st_ino;
	node->made = stat->st_mtim;
}

bool node_is(const struct node *node, const struct stat *stat)
{
	if (!node->known)
		return true;
	if (node->mode != (stat->st_mode & S_IFMT))
		return false;
	if (S_ISDIR(node->mode))
		return true;
	return node->dev == stat->st_dev && node->ino == stat->st_ino &&
	       (!S_ISLNK(node->mode) ||
		memcmp(&node->made, &stat->st_mtim, sizeof(node->made)) == 0);
}
