/* SPDX-License-Identifier: Apache-2.0 */
/* The trie behind vmm/policy/glob.h, for the files that build and walk it. */
#ifndef CORDON_POLICY_GLOB_TREE_H
#define CORDON_POLICY_GLOB_TREE_H

#include <string.h>

#include "vmm/policy/glob.h"

struct glob_node {
	uint32_t parent, child, sibling; /* 0: none (the root is never a child) */
	const struct glob_part *edge;	 /* from the parent; NULL: the root */
	uint32_t star, any;		 /* the children for `**` and `*`, or 0 */
	uint32_t accept;		 /* lowest value of the patterns that end here */
	uint32_t tree;			 /* lowest value of those that end in `**` here */
	uint32_t lowest, below;		 /* lowest values: from here on; beneath, without star */
	uint32_t star_number;
	const uint16_t *probe; /* the kinds of wild children */
	uint16_t probes;
	bool wild, has_literals;
};

struct glob_slot {
	uint32_t node, where, hash;
};

struct glob_tree {
	struct arena *arena;
	struct glob_node *node;
	uint32_t nodes, capacity, wilds, stars;
	struct glob_slot *slot; /* open addressing: literals, and wild ones by prefix or suffix */
	uint32_t slots;
};

/* --- the hash table of children, by parent, kind and bytes ------------------------------------ */

#define GLOB_FNV_START 0xcbf29ce484222325ull
#define GLOB_FNV_PRIME 0x100000001b3ull

#define GLOB_WHERE_LITERAL 0u
#define GLOB_WHERE_PREFIX  0x100u /* and its length */
#define GLOB_WHERE_SUFFIX  0x200u
#define GLOB_WHERE_EDGE	   0x300u /* while the trie is built: any edge but a literal one */

static inline uint64_t glob_hash(const char *bytes, size_t length)
{
	uint64_t hash = GLOB_FNV_START;
	size_t i;

	for (i = 0; i < length; i++)
		hash = (hash ^ (uint8_t)bytes[i]) * GLOB_FNV_PRIME;
	return hash;
}

static inline bool glob_same_bytes(const char *a, size_t a_length, const char *b, size_t b_length)
{
	return a_length == b_length && memcmp(a, b, a_length) == 0;
}

/* where: GLOB_WHERE_LITERAL, or GLOB_WHERE_PREFIX or _SUFFIX with its length. */
static inline uint32_t glob_slot_of(const struct glob_tree *tree, uint32_t parent, uint32_t where,
				    uint64_t hash)
{
	hash ^= ((uint64_t)parent << 20 | where) * 0x9e3779b97f4a7c15ull;
	hash *= 0xff51afd7ed558ccdull;
	return (uint32_t)(hash >> 32) & (tree->slots - 1);
}

/* The literal child with this name, or 0. */
static inline uint32_t glob_find_literal(const struct glob_tree *tree, uint32_t parent,
					 const char *name, size_t length, uint64_t hash)
{
	uint32_t slot = glob_slot_of(tree, parent, GLOB_WHERE_LITERAL, hash), id;
	const struct glob_node *node;

	for (; (id = tree->slot[slot].node); slot = (slot + 1) & (tree->slots - 1)) {
		node = &tree->node[id];
		if (node->parent == parent && tree->slot[slot].where == GLOB_WHERE_LITERAL &&
		    glob_same_bytes(node->edge->prefix, node->edge->prefix_length, name, length))
			return id;
	}
	return 0;
}

static inline uint32_t glob_lower(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* --- walking: glob_walk.c --------------------------------------------------------------------- */

/* The nodes that match the path walked so far. */
struct glob_walk {
	const struct glob_tree *tree;
	uint32_t best; /* lowest value of the last `**` passed: holds for everything from here on */
	unsigned stars, count;
	uint16_t star[GLOB_WILD_MAX];
	uint16_t at[GLOB_WILD_MAX + 1];
	uint64_t seen[GLOB_WILD_MAX / 64 + 1];
};

/* Starts at the root. */
void glob_walk_begin(struct glob_walk *walk, const struct glob_tree *tree);

/* Adds a node to the walk. */
void glob_walk_enter(struct glob_walk *walk, uint32_t id);

#endif
