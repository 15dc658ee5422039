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

/* Whether two lists have the same patterns with the same actions, in the same order. */
bool product_same_rules(const struct rule_list *a, const struct rule_list *b);

/*
 * Whether list has the rules of base, in this sense, with one more in between; *at: its index. (Of
 * equal rules side by side the last one counts as the new one.)
 */
bool product_one_more(const struct rule_list *list, const struct rule_list *base, size_t *at);

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

/*
 * All kinds of paths, and which byte leads from one to the next: a state for each kind, the first
 * being the beginning. Bytes that are alike for all patterns are one symbol; symbol 0 is '/'.
 */
struct product_graph {
	uint32_t states, symbols;
	uint32_t *next;	    /* [state * symbols + symbol]; GLOB_NONE: no path has that byte here */
	uint32_t *value[2]; /* by state: in each list, or GLOB_NONE */
	bool *ends;	    /* by state: a path can end here; it can't behind a '/' */
	uint32_t *from;	    /* by state: the one before, for an example */
	uint8_t *byte;	    /* by state: the byte that leads there */
};

struct product {
	struct product_list list[2];
	const char *beneath;	     /* only paths beneath this directory; NULL: all */
	struct product_graph *graph; /* filled in; NULL: not needed. The caller frees it */
	bool first_only;	     /* look only at paths that list[0] matches */
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

/* Room for so many states; all zero before. 0 or -ENOMEM. */
int product_graph_make(struct product_graph *graph, size_t states, uint32_t symbols);
void product_graph_free(struct product_graph *graph);

/*
 * Which states are alike: they have equal labels, and so have the states to which equal bytes lead.
 * *class: by state, a number that those alike share; the caller frees it. work: as in struct
 * product. 0, -E2BIG or -ENOMEM.
 */
int product_graph_classes(const struct product_graph *graph, const uint32_t *label, uint64_t *work,
			  uint32_t **class);

/* An example of a path that leads to a state, without the directory that was searched beneath. */
void product_graph_path(const struct product_graph *graph, uint32_t state,
			char path[PRODUCT_PATH_MAX]);

#endif
