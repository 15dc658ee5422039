/* SPDX-License-Identifier: Apache-2.0 */
/* The trie behind vmm/policy/glob.h, for the files that walk it. */
#ifndef CORDON_POLICY_GLOB_TREE_H
#define CORDON_POLICY_GLOB_TREE_H

#include "vmm/policy/glob.h"

struct glob_node {
	uint32_t parent, child, sibling; /* 0: none (the root is nobody's child) */
	const struct glob_part *edge;	 /* from the parent; NULL: the root */
	uint32_t star, any;		 /* the children for `**` and `*`, or 0 */
	uint32_t accept;		 /* value of the patterns that end here */
	uint32_t tree;			 /* of those that end in `**` here */
	uint32_t lowest, below;		 /* lowest values: from here on; beneath, but for star */
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
	struct glob_slot *slot; /* open addressing: literals, then wild ones by beginning or end */
	uint32_t slots;
};

/* The nodes that a path can be at. */
struct glob_walk {
	const struct glob_tree *tree;
	uint32_t best; /* lowest value that everything from here on has */
	unsigned stars, count;
	uint16_t star[GLOB_WILD_MAX];
	uint16_t at[GLOB_WILD_MAX + 1];
	uint64_t seen[GLOB_WILD_MAX / 64 + 1];
};

/* Begins at the root. */
void glob_walk_begin(struct glob_walk *walk, const struct glob_tree *tree);

/* Comes to a node. */
void glob_walk_enter(struct glob_walk *walk, uint32_t id);

#endif
