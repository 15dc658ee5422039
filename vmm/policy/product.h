/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two lists of patterns side by side: every path that there can be is tried at once, byte for byte,
 * so what is found out holds for all of them. That takes exponential time at the worst and is
 * bounded; what was not finished proves nothing.
 */
#ifndef CORDON_POLICY_PRODUCT_H
#define CORDON_POLICY_PRODUCT_H

#include "vmm/policy/internal.h"

#define PRODUCT_PATH_MAX 512

/* Patterns with values, in order: the first one that matches a path gives its value. */
struct product_list {
	const struct glob **pattern;
	uint32_t *value;
	size_t count;
};

/*
 * The patterns of the rules from begin to before end; a rule's number is its patterns' value.
 * by_action: that of the first of several rules in a row that have the same action. Then there are
 * fewer kinds of paths, and a value tells no more than the action.
 */
int product_list_fill(struct product_list *to, const struct rule_list *list, size_t begin,
		      size_t end, bool by_action);
void product_list_free(struct product_list *list);

/* A list's patterns by their parts. Node 0 is the root, and nothing else is called 0. */
struct product_node {
	const struct glob_part *part;
	uint32_t parent, child, sibling;
	uint32_t rest;	 /* the node of a `**` with which patterns end behind this one */
	uint32_t accept; /* lowest value of the patterns that match a path ending here */
	uint32_t all;	 /* of those that take whatever comes from here on */
	uint32_t lowest; /* of those that go on from here */
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
	uint64_t work; /* steps of one pattern that may be taken; what is left of them afterwards */
	/*
	 * A kind of path: what the lists say of it, GLOB_NONE for nothing. false ends the search.
	 */
	bool (*visit)(void *arg, uint32_t first, uint32_t second);
	void *arg;
	char path[PRODUCT_PATH_MAX]; /* then: an example, cut if it is long */
};

/*
 * 1: visit() has ended it; 0: all paths have been visited; -E2BIG: there are too many kinds; or
 * -ENOMEM. The path "/" is not visited.
 */
int product_search(struct product *product);

#endif
