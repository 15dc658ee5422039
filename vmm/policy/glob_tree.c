/* SPDX-License-Identifier: Apache-2.0 */
/* Many patterns at once: builds the trie of components. glob_walk.c walks it. */
#include "vmm/policy/glob_tree.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/bytes.h"

/* --- building --------------------------------------------------------------------------------- */

struct glob_tree *glob_tree_create(struct arena *arena)
{
	struct glob_tree *tree = arena_alloc(arena, sizeof(*tree));

	if (!tree)
		return NULL;
	tree->arena = arena;
	tree->capacity = 64;
	tree->node = arena_array(arena, tree->capacity, sizeof(*tree->node));
	if (!tree->node)
		return NULL;
	tree->nodes = 1;
	tree->node[0] = (struct glob_node){.accept = GLOB_NONE, .tree = GLOB_NONE};
	return tree;
}

static int new_node(struct glob_tree *tree, uint32_t parent, const struct glob_part *edge,
		    uint32_t *id)
{
	struct glob_node *node, *more;
	bool wild = tree->node[parent].wild || edge->kind != GLOB_LITERAL;

	if (tree->nodes >= GLOB_NODES_MAX || (wild && tree->wilds >= GLOB_WILD_MAX))
		return -ENOSPC;
	if (tree->nodes == tree->capacity) {
		more = arena_array(tree->arena, 2 * (size_t)tree->capacity, sizeof(*more));
		if (!more)
			return -ENOMEM;
		memcpy(more, tree->node, tree->nodes * sizeof(*more));
		tree->node = more;
		tree->capacity *= 2;
	}
	*id = tree->nodes++;
	node = &tree->node[*id];
	*node = (struct glob_node){
		.parent = parent,
		.edge = edge,
		.accept = GLOB_NONE,
		.tree = GLOB_NONE,
		.wild = wild,
	};
	tree->wilds += wild;
	if (edge->kind == GLOB_TREE)
		node->star_number = tree->stars++;
	node->sibling = tree->node[parent].child;
	tree->node[parent].child = *id;
	return 0;
}

/* Whether two edges match the same names. */
static bool same_part(const struct glob_part *a, const struct glob_part *b)
{
	if (a->kind != b->kind || a->kind == GLOB_TREE)
		return a->kind == b->kind;
	if (!glob_same_bytes(a->prefix, a->prefix_length, b->prefix, b->prefix_length) ||
	    a->count != b->count || a->any != b->any)
		return false;
	if (a->kind == GLOB_LITERAL)
		return true;
	return memcmp(a->loop, b->loop, a->words * sizeof(*a->loop)) == 0 &&
	       memcmp(a->set, b->set, a->count * sizeof(*a->set)) == 0;
}

static uint64_t hash_back(const char *bytes, size_t length)
{
	uint64_t hash = GLOB_FNV_START;

	while (length-- > 0)
		hash = (hash ^ (uint8_t)bytes[length]) * GLOB_FNV_PRIME;
	return hash;
}

static void put_slot(struct glob_tree *tree, uint32_t parent, uint32_t where, uint64_t hash,
		     uint32_t id)
{
	uint32_t slot = glob_slot_of(tree, parent, where, hash);

	while (tree->slot[slot].node)
		slot = (slot + 1) & (tree->slots - 1);
	tree->slot[slot] = (struct glob_slot){.node = id, .where = where, .hash = (uint32_t)hash};
}

/* Also the high bits of a word decide about the low ones of the hash. */
static uint64_t hash_word(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 32;
}

/* Of an edge that is not literal, for child_for(): equal edges have equal hashes. */
static uint64_t edge_hash(const struct glob_part *part)
{
	uint64_t hash = hash_word(glob_hash(part->prefix, part->prefix_length), part->kind);
	unsigned i, k;

	if (part->kind != GLOB_WILD)
		return hash;
	for (i = 0; i < part->words; i++)
		hash = hash_word(hash, part->loop[i]);
	for (i = 0; i < part->count; i++)
		for (k = 0; k < ARRAY_SIZE(part->set[i].bits); k++)
			hash = hash_word(hash, part->set[i].bits[k]);
	return hash;
}

/*
 * All edges are hashed while the trie is built, or a large set would take quadratic time. Walks
 * want literals only, and wild edges by another key (fill_probes()).
 */
static int grow_table(struct glob_tree *tree, uint32_t slots, bool building)
{
	uint32_t id;

	tree->slot = arena_array(tree->arena, slots, sizeof(*tree->slot));
	if (!tree->slot)
		return -ENOMEM;
	tree->slots = slots;
	for (id = 1; id < tree->nodes; id++) {
		const struct glob_node *node = &tree->node[id];

		if (node->edge->kind == GLOB_LITERAL)
			put_slot(tree, node->parent, GLOB_WHERE_LITERAL,
				 glob_hash(node->edge->prefix, node->edge->prefix_length), id);
		else if (building)
			put_slot(tree, node->parent, GLOB_WHERE_EDGE, edge_hash(node->edge), id);
	}
	return 0;
}

/* The child with an edge that is not literal, or 0. */
static uint32_t find_edge(const struct glob_tree *tree, uint32_t parent,
			  const struct glob_part *part, uint64_t hash)
{
	uint32_t slot = glob_slot_of(tree, parent, GLOB_WHERE_EDGE, hash), id;

	for (; (id = tree->slot[slot].node); slot = (slot + 1) & (tree->slots - 1))
		if (tree->node[id].parent == parent && tree->slot[slot].where == GLOB_WHERE_EDGE &&
		    tree->slot[slot].hash == (uint32_t)hash && same_part(tree->node[id].edge, part))
			return id;
	return 0;
}

static int child_for(struct glob_tree *tree, uint32_t parent, const struct glob_part *part,
		     uint32_t *id)
{
	bool literal = part->kind == GLOB_LITERAL;
	uint64_t hash;
	int ret;

	if (tree->slots < 4 * (tree->nodes + 1)) {
		ret = grow_table(tree, tree->slots ? 4 * tree->slots : 256, true);
		if (ret < 0)
			return ret;
	}
	hash = literal ? glob_hash(part->prefix, part->prefix_length) : edge_hash(part);
	*id = literal ? glob_find_literal(tree, parent, part->prefix, part->prefix_length, hash)
		      : find_edge(tree, parent, part, hash);
	if (*id)
		return 0;
	ret = new_node(tree, parent, part, id);
	if (ret == 0)
		put_slot(tree, parent, literal ? GLOB_WHERE_LITERAL : GLOB_WHERE_EDGE, hash, *id);
	if (ret == 0 && literal)
		tree->node[parent].has_literals = true;
	if (ret == 0 && part->kind == GLOB_TREE)
		tree->node[parent].star = *id;
	if (ret == 0 && part->kind == GLOB_WILD && part->any)
		tree->node[parent].any = *id;
	return ret;
}

int glob_tree_add(struct glob_tree *tree, const struct glob *glob, uint32_t value)
{
	unsigned parts = glob->parts, i;
	bool beneath = parts > 0 && glob->part[parts - 1].kind == GLOB_TREE;
	uint32_t at = 0, *found;
	int ret;

	for (i = 0; i < parts - beneath; i++) {
		ret = child_for(tree, at, &glob->part[i], &at);
		if (ret < 0)
			return ret;
	}
	found = beneath ? &tree->node[at].tree : &tree->node[at].accept;
	if (value < *found)
		*found = value;
	return 0;
}

/* --- finishing: prepares the trie for walks --------------------------------------------------- */

static void fill_minima(struct glob_tree *tree)
{
	struct glob_node *node, *parent;
	uint32_t id;

	for (id = 0; id < tree->nodes; id++) {
		node = &tree->node[id];
		node->below = GLOB_NONE;
		node->lowest = glob_lower(node->accept, node->tree);
	}
	/* A child has a higher number than its parent. */
	for (id = tree->nodes - 1; id > 0; id--) {
		node = &tree->node[id];
		parent = &tree->node[node->parent];
		parent->lowest = glob_lower(parent->lowest, node->lowest);
		if (node->edge->kind != GLOB_TREE)
			parent->below = glob_lower(parent->below, node->lowest);
	}
}

/* The key of a wild edge: its fixed prefix or suffix, whichever is longer. */
static uint32_t wild_where(const struct glob_part *part)
{
	return part->prefix_length >= part->suffix_length ? GLOB_WHERE_PREFIX | part->prefix_length
							  : GLOB_WHERE_SUFFIX | part->suffix_length;
}

static uint64_t wild_hash(const struct glob_part *part, uint32_t where)
{
	return where & GLOB_WHERE_SUFFIX ? hash_back(part->suffix, part->suffix_length)
					 : glob_hash(part->prefix, part->prefix_length);
}

/* Hashes a node's wild edges and lists their distinct keys, each probed once for a name. */
static int fill_probes(struct glob_tree *tree, struct glob_node *node, uint32_t id)
{
	uint16_t *probe = arena_array(tree->arena, 2 * (GLOB_NAME_MAX + 1), sizeof(*probe));
	bool seen[0x400] = {false};
	uint32_t child, where;

	if (!probe)
		return -ENOMEM;
	for (child = node->child; child; child = tree->node[child].sibling) {
		const struct glob_part *edge = tree->node[child].edge;

		if (edge->kind != GLOB_WILD || edge->any)
			continue;
		where = wild_where(edge);
		put_slot(tree, id, where, wild_hash(edge, where), child);
		if (!seen[where])
			probe[node->probes++] = (uint16_t)where;
		seen[where] = true;
	}
	node->probe = probe;
	return 0;
}

int glob_tree_finish(struct glob_tree *tree)
{
	uint32_t id, child;
	bool wild;
	uint32_t slots = 256;
	int ret;

	while (slots < 4 * tree->nodes)
		slots *= 4;
	ret = grow_table(tree, slots, false);
	for (id = 0; ret == 0 && id < tree->nodes; id++) {
		wild = false;
		for (child = tree->node[id].child; child; child = tree->node[child].sibling)
			wild |= tree->node[child].edge->kind == GLOB_WILD &&
				!tree->node[child].edge->any;
		if (wild)
			ret = fill_probes(tree, &tree->node[id], id);
	}
	fill_minima(tree);
	return ret;
}
