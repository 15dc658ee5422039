/* SPDX-License-Identifier: Apache-2.0 */
/* The patterns of a product: lists of them, and the trie of a list. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/policy/product.h"

int product_list_fill(struct product_list *to, const struct rule_list *list, size_t begin,
		      size_t end, bool by_action)
{
	size_t i, k, room = 1, value = begin;

	for (i = begin; i < end; i++)
		room += list->rule[i]->patterns;
	to->pattern = calloc(room, sizeof(const struct glob *));
	to->value = calloc(room, sizeof(uint32_t));
	to->count = 0;
	if (!to->pattern || !to->value)
		return -ENOMEM;
	for (i = begin; i < end; i++) {
		if (!by_action || list->rule[i]->public.action != list->rule[value]->public.action)
			value = i;
		for (k = 0; k < list->rule[i]->patterns; k++) {
			to->pattern[to->count] = &list->rule[i]->pattern[k];
			to->value[to->count++] = (uint32_t)value;
		}
	}
	return 0;
}

void product_list_free(struct product_list *list)
{
	free(list->pattern);
	free(list->value);
}

/* --- tries ------------------------------------------------------------------------------------ */

#define ALL_PARENT UINT32_MAX /* the parent of nodes that match everything, one for each value */

static const struct glob_part all_part = {.kind = GLOB_TREE};

static bool same_part(const struct glob_part *a, const struct glob_part *b)
{
	if (a->kind != b->kind || a->count != b->count)
		return false;
	if (a->kind == GLOB_TREE)
		return true;
	if (memcmp(a->set, b->set, a->count * sizeof(*a->set)) != 0 || !a->loop != !b->loop)
		return false;
	return !a->loop || memcmp(a->loop, b->loop, a->words * sizeof(*a->loop)) == 0;
}

static bool same_patterns(const struct rule *a, const struct rule *b)
{
	const struct glob *one, *other;
	unsigned i, k;

	if (a->public.action != b->public.action || a->patterns != b->patterns)
		return false;
	for (i = 0; i < a->patterns; i++) {
		one = &a->pattern[i];
		other = &b->pattern[i];
		if (one->parts != other->parts)
			return false;
		for (k = 0; k < one->parts; k++)
			if (!same_part(&one->part[k], &other->part[k]))
				return false;
	}
	return true;
}

bool product_same_rules(const struct rule_list *a, const struct rule_list *b)
{
	size_t i;

	if (a->count != b->count)
		return false;
	for (i = 0; i < a->count; i++)
		if (!same_patterns(a->rule[i], b->rule[i]))
			return false;
	return true;
}

bool product_one_more(const struct rule_list *list, const struct rule_list *base, size_t *at)
{
	size_t i;

	*at = 0;
	if (list->count != base->count + 1)
		return false;
	while (*at < base->count && same_patterns(list->rule[*at], base->rule[*at]))
		++*at;
	for (i = *at; i < base->count; i++)
		if (!same_patterns(list->rule[i + 1], base->rule[i]))
			return false;
	return true;
}

static uint64_t hash_part(uint32_t parent, const struct glob_part *part, uint32_t value)
{
	uint64_t hash = (0xcbf29ce484222325ull ^ parent) * 0x9e3779b97f4a7c15ull + value;
	unsigned i, k;

	for (i = 0; part->kind != GLOB_TREE && i < part->count; i++)
		for (k = 0; k < ARRAY_SIZE(part->set[i].bits); k++)
			hash = (hash ^ part->set[i].bits[k]) * 0x100000001b3ull + (hash >> 29);
	return hash ^ hash >> 31;
}

/* Finds or adds the node for a component behind parent. value: with ALL_PARENT, else 0. */
static uint32_t find_node(struct product_trie *trie, uint32_t parent, const struct glob_part *part,
			  uint32_t value)
{
	size_t slot = hash_part(parent, part, value) & (trie->slots - 1);
	struct product_node *node;

	for (; trie->slot[slot]; slot = (slot + 1) & (trie->slots - 1)) {
		node = &trie->node[trie->slot[slot]];
		if (node->parent == parent && same_part(node->part, part) &&
		    (parent != ALL_PARENT || node->all == value))
			return trie->slot[slot];
	}
	trie->slot[slot] = trie->nodes;
	node = &trie->node[trie->nodes];
	*node = (struct product_node){
		.part = part,
		.parent = parent,
		.accept = GLOB_NONE,
		.all = GLOB_NONE,
		.lowest = GLOB_NONE,
	};
	if (parent == ALL_PARENT) {
		node->accept = node->all = node->lowest = value;
	} else {
		node->sibling = trie->node[parent].child;
		trie->node[parent].child = trie->nodes;
	}
	return trie->nodes++;
}

static void lower(uint32_t *to, uint32_t value)
{
	if (value < *to)
		*to = value;
}

static void add_pattern(struct product_trie *trie, const struct glob *glob, uint32_t value)
{
	struct product_node *node;
	uint32_t at = 0, rest;
	unsigned i;

	for (i = 0; i < glob->parts; i++) {
		lower(&trie->node[at].lowest, value);
		/* A last `**` also matches the directory before it. */
		if (i + 1 == glob->parts && glob->part[i].kind == GLOB_TREE) {
			rest = find_node(trie, ALL_PARENT, &all_part, value);
			node = &trie->node[at];
			lower(&node->accept, value);
			if (!node->rest || trie->node[node->rest].all > value)
				node->rest = rest;
			return;
		}
		at = find_node(trie, at, &glob->part[i], 0);
	}
	lower(&trie->node[at].lowest, value);
	lower(&trie->node[at].accept, value);
}

int product_trie_make(struct product_trie *trie, const struct product_list *list)
{
	size_t room = 1, i;

	for (i = 0; i < list->count; i++)
		room += list->pattern[i]->parts + 1;
	for (trie->slots = 64; trie->slots < 2 * room;)
		trie->slots *= 2;
	trie->node = calloc(room, sizeof(*trie->node));
	trie->slot = calloc(trie->slots, sizeof(*trie->slot));
	if (!trie->node || !trie->slot)
		return -ENOMEM;
	trie->node[0] = (struct product_node){
		.part = &all_part,
		.accept = GLOB_NONE,
		.all = GLOB_NONE,
		.lowest = GLOB_NONE,
	};
	trie->nodes = 1;
	for (i = 0; i < list->count; i++)
		add_pattern(trie, list->pattern[i], list->value[i]);
	return 0;
}

void product_trie_free(struct product_trie *trie)
{
	free(trie->node);
	free(trie->slot);
}
