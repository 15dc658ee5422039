/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks the trie of glob_tree.c component by component, at all nodes that match so far. A `**` node
 * that has been reached stays matched, so these are in a list that only grows; the other nodes are
 * replaced at every component.
 *
 * Nodes that cannot improve on the best value found (of a last `**` above) are left out.
 */
#include <string.h>

#include "vmm/policy/glob_tree.h"

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
	walk->best = glob_lower(walk->best, node->tree);
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

/* A component of the path, with the hashes of all its prefixes and suffixes, computed on demand. */
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

	name->head[0] = name->tail[0] = GLOB_FNV_START;
	for (i = 0; i < length; i++) {
		name->head[i + 1] = (name->head[i] ^ (uint8_t)name->bytes[i]) * GLOB_FNV_PRIME;
		name->tail[i + 1] =
			(name->tail[i] ^ (uint8_t)name->bytes[length - 1 - i]) * GLOB_FNV_PRIME;
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
		hash = where & GLOB_WHERE_SUFFIX ? name->tail[length] : name->head[length];
		slot = glob_slot_of(tree, id, where, hash);
		for (; (found = &tree->slot[slot])->node; slot = (slot + 1) & (tree->slots - 1))
			if (found->where == where && found->hash == (uint32_t)hash &&
			    tree->node[found->node].parent == id &&
			    tree->node[found->node].lowest < walk->best &&
			    glob_part_matches(tree->node[found->node].edge, name->bytes,
					      name->length))
				glob_walk_enter(walk, found->node);
	}
}

/* Goes from a node to all its children that match the name. */
static void follow_node(struct glob_walk *walk, uint32_t id, struct name *name)
{
	const struct glob_node *node = &walk->tree->node[id];
	uint32_t child;

	if (node->below >= walk->best)
		return;
	if (node->has_literals) {
		child = glob_find_literal(walk->tree, id, name->bytes, name->length, name->hash);
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
		follow_node(walk, before[i], name);
	for (i = 0; i < stars; i++)
		follow_node(walk, walk->star[i], name);
}

/* The lowest value of the patterns that match the path walked so far. */
static uint32_t value_here(const struct glob_walk *walk)
{
	uint32_t best = walk->best;
	unsigned i;

	for (i = 0; i < walk->count; i++)
		best = glob_lower(best, walk->tree->node[walk->at[i]].accept);
	return best;
}

/* A name that is too long for a file matches no node; the value of a last `**` above stays. */
static void take_name(struct glob_walk *walk, const char *bytes, size_t length)
{
	struct name name;

	if (length > GLOB_NAME_MAX)
		walk->count = walk->stars = 0;
	if (walk->count == 0 && walk->stars == 0)
		return;
	name.bytes = bytes;
	name.length = length;
	name.hashed = false;
	name.hash = glob_hash(bytes, length);
	step(walk, &name);
}

/* Walks a path; with above, only to the first directory for which stop() returns true. Returns the
 * length walked. */
static size_t walk_path(struct glob_walk *walk, const struct glob_tree *tree, const char *path,
			size_t length, const struct glob_above *above)
{
	const char *begin = path, *end = path + length, *slash;
	uint32_t value, last = GLOB_NONE;

	glob_walk_begin(walk, tree);
	for (path++; path < end; path = slash + 1) {
		slash = memchr(path, '/', (size_t)(end - path));
		if (!slash)
			slash = end;
		take_name(walk, path, (size_t)(slash - path));
		if (slash == end || !above || (size_t)(slash - begin) <= above->root)
			continue;
		value = value_here(walk);
		if (value != GLOB_NONE && value != last && above->stop(above->arg, value))
			return (size_t)(slash - begin);
		last = value;
	}
	return length;
}

uint32_t glob_tree_match(const struct glob_tree *tree, const char *path, size_t length)
{
	struct glob_walk walk;

	walk_path(&walk, tree, path, length, NULL);
	return value_here(&walk);
}

uint32_t glob_tree_match_above(const struct glob_tree *tree, const char *path, size_t length,
			       const struct glob_above *above, size_t *matched)
{
	struct glob_walk walk;

	*matched = walk_path(&walk, tree, path, length, above);
	return value_here(&walk);
}

/* --- comparing what is beneath two directories ------------------------------------------------ */

/* Marks the nodes that lead to a better value beneath; returns how many. */
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

	walk_path(&walk, tree, a, a_length, NULL);
	best = walk.best;
	count[0] = mark_beneath(&walk, mark[0]);
	walk_path(&walk, tree, b, b_length, NULL);
	count[1] = mark_beneath(&walk, mark[1]);
	if (!same(arg, best, walk.best))
		return false;
	/* Different values that compare as the same: only if no node beneath has a better one. */
	if (best != walk.best)
		return count[0] == 0 && count[1] == 0;
	return count[0] == count[1] && memcmp(mark[0], mark[1], sizeof(mark[0])) == 0;
}
