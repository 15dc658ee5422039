/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The product automaton of two lists of patterns: explores all possible paths at once, byte by
 * byte, so a result holds for every path. This takes exponential time at worst and is bounded; an
 * unfinished search proves nothing.
 */
#ifndef CORDON_POLICY_PRODUCT_H
#define CORDON_POLICY_PRODUCT_H

#include "vmm/policy/internal.h"

#define PRODUCT_PATH_MAX 512

/* Patterns with values, in order: the value of the first pattern that matches a path counts. */
struct product_list {
	const struct glob **pattern;
	uint32_t *value;
	size_t count;
};

/*
 * Adds the patterns of the rules from begin up to but not including end. The value is the index of
 * the rule; by_action: the index of the first of consecutive rules with the same action, so that
 * there are fewer kinds of paths, and a value stands only for the action.
 */
int product_list_fill(struct product_list *to, const struct rule_list *list, size_t begin,
		      size_t end, bool by_action);
void product_list_free(struct product_list *list);

/* A trie of a list's patterns by component. Node 0 is the root; as a link, 0 means none. */
struct product_node {
	const struct glob_part *part;
	uint32_t parent, child, sibling;
	uint32_t rest;	 /* the node for patterns that end in `**` behind this one */
	uint32_t accept; /* lowest value of the patterns that match a path ending here */
	uint32_t all;	 /* lowest value of those that match everything from here on */
	uint32_t lowest; /* lowest value of those that continue from here */
};

struct product_trie {
	struct product_node *node;
	uint32_t nodes;
	uint32_t *slot;
	size_t slots;
};

/* 0 or -ENOMEM; free it in any case. */
int product_trie_make(struct product_trie *trie, const struct product_list *list);
void product_trie_free(struct product_trie *trie);

struct product {
	struct product_list list[2];
	bool first_only; /* look only at paths that list[0] matches */
	size_t states_max;
	uint64_t work; /* in: steps of one pattern that the search may take; out: those left */
	/*
	 * Called for each kind of path with its value in each list, or GLOB_NONE. Returning false
	 * ends the search.
	 */
	bool (*visit)(void *arg, uint32_t first, uint32_t second);
	void *arg;
	char path[PRODUCT_PATH_MAX]; /* out, if visit() ended it: an example, cut if it is long */
};

/*
 * 1: visit() ended the search; 0: all paths have been visited; -E2BIG: a bound was reached; or
 * -ENOMEM. The path "/" is not visited.
 */
int product_search(struct product *product);

#endif
