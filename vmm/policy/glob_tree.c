/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many patterns at once: a trie of components. A path is walked through it component by component
 * with all nodes that it can be at. A node behind `**` stays for good once it is reached, so it is
 * in a list that only grows; the others are replaced at every component.
 *
 * Nodes that can't better the value found already (that of a last `**` above) are left out.
 */
#include "vmm/policy/glob_tree.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/bytes.h"

#define FNV_START 0xcbf29ce484222325ull
#define FNV_PRIME 0x100000001b3ull

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

static bool same_bytes(const char *a, size_t a_length, const char *b, size_t b_length)
{
	return a_length == b_length && memcmp(a, b, a_length) == 0;
}

/* Whether two edges are written alike in all that counts. */
static bool same_part(const struct glob_part *a, const struct glob_part *b)
{
	if (a->kind != b->kind || a->kind == GLOB_TREE)
		return a->kind == b->kind;
	if (!same_bytes(a->prefix, a->prefix_length, b->prefix, b->prefix_length) ||
	    a->count != b->count || a->any != b->any)
		return false;
	if (a->kind == GLOB_LITERAL)
		return true;
	return memcmp(a->loop, b->loop, a->words * sizeof(*a->loop)) == 0 &&
	       memcmp(a->set, b->set, a->count * sizeof(*a->set)) == 0;
}

static uint64_t hash_bytes(const char *bytes, size_t length)
{
	uint64_t hash = FNV_START;
	size_t i;

	for (i = 0; i < length; i++)
		hash = (hash ^ (uint8_t)bytes[i]) * FNV_PRIME;
	return hash;
}

static uint64_t hash_back(const char *bytes, size_t length)
{
	uint64_t hash = FNV_START;

	while (length-- > 0)
		hash = (hash ^ (uint8_t)bytes[length]) * FNV_PRIME;
	return hash;
}

/* where tells literals, prefixes and suffixes of some length apart. */
static uint32_t slot_of(const struct glob_tree *tree, uint32_t parent, uint32_t where,
			uint64_t hash)
{
	hash ^= ((uint64_t)parent << 20 | where) * 0x9e3779b97f4a7c15ull;
	hash *= 0xff51afd7ed558ccdull;
	return (uint32_t)(hash >> 32) & (tree->slots - 1);
}

#define WHERE_LITERAL 0u
#define WHERE_PREFIX  0x100u /* and its length */
#define WHERE_SUFFIX  0x200u

static uint32_t find_literal(const struct glob_tree *tree, uint32_t parent, const char *name,
			     size_t length, uint64_t hash)
{
	uint32_t slot = slot_of(tree, parent, WHERE_LITERAL, hash), id;
	const struct glob_node *node;

	for (; (id = tree->slot[slot].node); slot = (slot + 1) & (tree->slots - 1)) {
		node = &tree->node[id];
		if (node->parent == parent && tree->slot[slot].where == WHERE_LITERAL &&
		    same_bytes(node->edge->prefix, node->edge->prefix_length, name, length))
			return id;
	}
	return 0;
}

static void put_slot(struct glob_tree *tree, uint32_t parent, uint32_t where, uint64_t hash,
		     uint32_t id)
{
	uint32_t slot = slot_of(tree, parent, where, hash);

	while (tree->slot[slot].node)
		slot = (slot + 1) & (tree->slots - 1);
	tree->slot[slot] = (struct glob_slot){.node = id, .where = where, .hash = (uint32_t)hash};
}

/* While building, literals have a table too, or a large set would take square time. */
static int grow_table(struct glob_tree *tree, uint32_t slots)
{
	uint32_t id;

	tree->slot = arena_array(tree->arena, slots, sizeof(*tree->slot));
	if (!tree->slot)
		return -ENOMEM;
	tree->slots = slots;
	for (id = 1; id < tree->nodes; id++) {
		const struct glob_node *node = &tree->node[id];

		if (node->edge->kind == GLOB_LITERAL)
			put_slot(tree, node->parent, WHERE_LITERAL,
				 hash_bytes(node->edge->prefix, node->edge->prefix_length), id);
	}
	return 0;
}

static int child_for(struct glob_tree *tree, uint32_t parent, const struct glob_part *part,
		     uint32_t *id)
{
	uint64_t hash = 0;
	int ret;

	if (tree->slots < 4 * (tree->nodes + 1)) {
		ret = grow_table(tree, tree->slots ? 4 * tree->slots : 256);
		if (ret < 0)
			return ret;
	}
	if (part->kind == GLOB_LITERAL) {
		hash = hash_bytes(part->prefix, part->prefix_length);
		*id = find_literal(tree, parent, part->prefix, part->prefix_length, hash);
		if (*id)
			return 0;
	} else {
		for (*id = tree->node[parent].child; *id; *id = tree->node[*id].sibling)
			if (same_part(tree->node[*id].edge, part))
				return 0;
	}
	ret = new_node(tree, parent, part, id);
	if (ret == 0 && part->kind == GLOB_LITERAL)
		put_slot(tree, parent, WHERE_LITERAL, hash, *id);
	if (ret == 0 && part->kind == GLOB_LITERAL)
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

/* --- finishing: what a walk needs ---------------------------------------------------------------
 */

static uint32_t lower(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void fill_minima(struct glob_tree *tree)
{
	struct glob_node *node, *parent;
	uint32_t id;

	for (id = 0; id < tree->nodes; id++) {
		node = &tree->node[id];
		node->below = GLOB_NONE;
		node->lowest = lower(node->accept, node->tree);
	}
	/* A child has a higher number than its parent. */
	for (id = tree->nodes - 1; id > 0; id--) {
		node = &tree->node[id];
		parent = &tree->node[node->parent];
		parent->lowest = lower(parent->lowest, node->lowest);
		if (node->edge->kind != GLOB_TREE)
			parent->below = lower(parent->below, node->lowest);
	}
}

/* By its fixed beginning or its fixed end, whichever is longer. */
static uint32_t wild_where(const struct glob_part *part)
{
	return part->prefix_length >= part->suffix_length ? WHERE_PREFIX | part->prefix_length
							  : WHERE_SUFFIX | part->suffix_length;
}

static uint64_t wild_hash(const struct glob_part *part, uint32_t where)
{
	return where & WHERE_SUFFIX ? hash_back(part->suffix, part->suffix_length)
				    : hash_bytes(part->prefix, part->prefix_length);
}

/* The different kinds of wild edges that a node has, each looked up once for a name. */
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
	ret = grow_table(tree, slots);
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

/* --- walking ---------------------------------------------------------------------------------- */

void glob_walk_begin(struct glob_walk *walk, const struct glob_tree *tree)
{
	walk->tree = tree;
	walk->best = GLOB_NONE;
	walk->stars = walk->count = 0;
	memset(walk->seen, 0, (tree->stars + 63) / 64 * sizeof(walk->seen[0]));
	glob_walk_enter(walk, 0);
}

void glob_walk_enter(struct glob_walk *walk, uint32_t id)
{
	const struct glob_node *node = &walk->tree->node[id], *star;
	uint64_t bit;

	if (node->lowest >= walk->best)
		return;
	walk->best = lower(walk->best, node->tree);
	if (node->star) {
		star = &walk->tree->node[node->star];
		bit = 1ull << (star->star_number % 64);
		if (!(walk->seen[star->star_number / 64] & bit))
			walk->star[walk->stars++] = (uint16_t)node->star;
		walk->seen[star->star_number / 64] |= bit;
	}
	if (node->accept != GLOB_NONE || node->below != GLOB_NONE)
		walk->at[walk->count++] = (uint16_t)id;
}

/* A component of the path, with the hashes of its beginnings and ends, made when they are needed.
 */
struct name {
	const char *bytes;
	size_t length;
	uint64_t hash;
	bool hashed;
	uint64_t head[GLOB_NAME_MAX + 1], tail[GLOB_NAME_MAX + 1];
};

static void hash_name(struct name *name)
{
	size_t i, length = name->length;

	name->head[0] = name->tail[0] = FNV_START;
	for (i = 0; i < length; i++) {
		name->head[i + 1] = (name->head[i] ^ (uint8_t)name->bytes[i]) * FNV_PRIME;
		name->tail[i + 1] =
			(name->tail[i] ^ (uint8_t)name->bytes[length - 1 - i]) * FNV_PRIME;
	}
	name->hashed = true;
}

static void enter_wild(struct glob_walk *walk, uint32_t id, struct name *name)
{
	const struct glob_tree *tree = walk->tree;
	const struct glob_node *node = &tree->node[id];
	const struct glob_slot *found;
	uint32_t where, slot;
	unsigned i, length;
	uint64_t hash;

	if (!name->hashed)
		hash_name(name);
	for (i = 0; i < node->probes; i++) {
		where = node->probe[i];
		length = where & 0xff;
		if (length > name->length)
			continue;
		hash = where & WHERE_SUFFIX ? name->tail[length] : name->head[length];
		slot = slot_of(tree, id, where, hash);
		for (; (found = &tree->slot[slot])->node; slot = (slot + 1) & (tree->slots - 1))
			if (found->where == where && found->hash == (uint32_t)hash &&
			    tree->node[found->node].parent == id &&
			    tree->node[found->node].lowest < walk->best &&
			    glob_part_matches(tree->node[found->node].edge, name->bytes,
					      name->length))
				glob_walk_enter(walk, found->node);
	}
}

/* Goes from one node to all its children that take the name. */
static void leave_node(struct glob_walk *walk, uint32_t id, struct name *name)
{
	const struct glob_node *node = &walk->tree->node[id];
	uint32_t child;

	if (node->below >= walk->best)
		return;
	if (node->has_literals) {
		child = find_literal(walk->tree, id, name->bytes, name->length, name->hash);
		if (child)
			glob_walk_enter(walk, child);
	}
	if (node->any)
		glob_walk_enter(walk, node->any);
	if (node->probes)
		enter_wild(walk, id, name);
}

static void step(struct glob_walk *walk, struct name *name)
{
	uint16_t before[GLOB_WILD_MAX + 1];
	unsigned count = walk->count, stars = walk->stars, i;

	memcpy(before, walk->at, count * sizeof(before[0]));
	walk->count = 0;
	for (i = 0; i < count; i++)
		leave_node(walk, before[i], name);
	for (i = 0; i < stars; i++)
		leave_node(walk, walk->star[i], name);
}

/* A name that no file can have ends the walk: no node takes it, but what is above stays. */
static void walk_path(struct glob_walk *walk, const struct glob_tree *tree, const char *path,
		      size_t length)
{
	const char *end = path + length, *slash;
	struct name name;

	glob_walk_begin(walk, tree);
	for (path++; path < end; path = slash + 1) {
		slash = memchr(path, '/', (size_t)(end - path));
		if (!slash)
			slash = end;
		name.bytes = path;
		name.length = (size_t)(slash - path);
		name.hashed = false;
		if (name.length > GLOB_NAME_MAX) {
			walk->count = walk->stars = 0;
			return;
		}
		name.hash = hash_bytes(name.bytes, name.length);
		step(walk, &name);
		if (walk->count == 0 && walk->stars == 0)
			return;
	}
}

uint32_t glob_tree_match(const struct glob_tree *tree, const char *path, size_t length)
{
	struct glob_walk walk;
	uint32_t best;
	unsigned i;

	walk_path(&walk, tree, path, length);
	best = walk.best;
	for (i = 0; i < walk.count; i++)
		best = lower(best, tree->node[walk.at[i]].accept);
	return best;
}

/* --- what is beneath two folders ----------------------------------------------------------------
 */

/* Marks the nodes that lead to something better beneath; returns how many. */
static unsigned mark_beneath(const struct glob_walk *walk, uint64_t mark[GLOB_NODES_MAX / 64 + 1])
{
	const struct glob_node *node = walk->tree->node;
	unsigned i, count = 0;

	memset(mark, 0, (GLOB_NODES_MAX / 64 + 1) * sizeof(mark[0]));
	for (i = 0; i < walk->count + walk->stars; i++) {
		uint16_t id = i < walk->count ? walk->at[i] : walk->star[i - walk->count];

		if (node[id].below >= walk->best)
			continue;
		mark[id / 64] |= 1ull << (id % 64);
		count++;
	}
	return count;
}

bool glob_tree_same_beneath(const struct glob_tree *tree, const char *a, size_t a_length,
			    const char *b, size_t b_length,
			    bool (*same)(const void *arg, uint32_t x, uint32_t y), const void *arg)
{
	uint64_t mark[2][GLOB_NODES_MAX / 64 + 1];
	struct glob_walk walk;
	unsigned count[2];
	uint32_t best;

	walk_path(&walk, tree, a, a_length);
	best = walk.best;
	count[0] = mark_beneath(&walk, mark[0]);
	walk_path(&walk, tree, b, b_length);
	count[1] = mark_beneath(&walk, mark[1]);
	if (!same(arg, best, walk.best))
		return false;
	/* Different rules that mean the same: only where nothing beneath is better than they are.
	 */
	if (best != walk.best)
		return count[0] == 0 && count[1] == 0;
	return count[0] == count[1] && memcmp(mark[0], mark[1], sizeof(mark[0])) == 0;
}
