/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/narrow_moves.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/policy/internal.h"
#include "vmm/policy/product.h"

#define STATES_MAX 50000
#define LIST_STEPS 8 /* of a search, for each rule of a list that is made */

enum { CHILD, PARENT };

struct moves {
	const struct rule_list *list[2];
	const struct policy_share *share;
	struct product_graph graph; /* of the paths in the share */
	uint32_t *class[2];	    /* by state: alike for the policy */
	uint64_t work;
};

static bool keep_on(void *arg, uint32_t first, uint32_t second)
{
	(void)arg;
	(void)first;
	(void)second;
	return true;
}

static enum policy_action action_of(const struct rule_list *list, uint32_t value)
{
	return value == GLOB_NONE ? POLICY_ACTION_DENY : list->rule[value]->public.action;
}

/* An operator may allow what 'ask' leaves open. */
static bool may_write(const struct moves *moves, uint32_t state)
{
	return moves->graph.ends[state] &&
	       file_permission(action_of(moves->list[CHILD], moves->graph.value[CHILD][state]),
			       POLICY_ACTION_WRITE) != PERMISSION_NONE;
}

/* --- the graph -------------------------------------------------------------------------------- */

static int make_graph(struct moves *moves)
{
	struct product product = {
		.beneath = moves->share->guest,
		.graph = &moves->graph,
		.states_max = STATES_MAX,
		.work = moves->work,
		.visit = keep_on,
	};
	/* The lists cost as much as a search of a few steps for each rule. */
	uint64_t fill = LIST_STEPS * (moves->list[CHILD]->count + moves->list[PARENT]->count);
	int ret = moves->work < fill ? -E2BIG : 0;
	unsigned l;

	for (l = 0; l < 2 && ret == 0; l++)
		ret = product_list_fill(&product.list[l], moves->list[l], 0, moves->list[l]->count,
					true);
	if (ret == 0)
		ret = product_search(&product);
	for (l = 0; l < 2; l++)
		product_list_free(&product.list[l]);
	moves->work = product.work;
	return ret;
}

/* What matches no rule is distinguished from what a rule denies, as in decisions about renames. */
static int make_classes(struct moves *moves, unsigned l)
{
	const struct product_graph *graph = &moves->graph;
	uint32_t *label = calloc(graph->states, sizeof(*label)), i;
	int ret;

	if (!label)
		return -ENOMEM;
	for (i = 0; i < graph->states; i++)
		if (graph->ends[i])
			label[i] = graph->value[l][i] == GLOB_NONE
					   ? 1
					   : 2 + action_of(moves->list[l], graph->value[l][i]);
	ret = product_graph_classes(graph, label, &moves->work, &moves->class[l]);
	free(label);
	return ret;
}

/* --- the proof -------------------------------------------------------------------------------- */

static int refuse(const struct moves *moves, uint32_t one, uint32_t other, struct err *err)
{
	char path[2][PRODUCT_PATH_MAX];

	product_graph_path(&moves->graph, one, path[0]);
	product_graph_path(&moves->graph, other, path[1]);
	return err_set(
		err, EPERM,
		"it allows more: it may rename a directory %.60s%.100s to %.60s%.100s, as its "
		"rules beneath the two are alike; before, they differ",
		moves->share->guest, path[0], moves->share->guest, path[1]);
}

/* Of all directories that are alike for the child, the first one stands for the others. */
static int compare(const struct moves *moves, struct err *err)
{
	const struct product_graph *graph = &moves->graph;
	uint32_t *first = calloc(graph->states, sizeof(*first)); /* by class: a state + 1 */
	uint32_t state, inside, other;
	int ret = 0;

	if (!first)
		return -ENOMEM;
	for (state = 0; state < graph->states && ret == 0; state++) {
		if (!may_write(moves, state))
			continue;
		inside = graph->next[(size_t)state * graph->symbols];
		other = first[moves->class[CHILD][inside]];
		if (!other)
			first[moves->class[CHILD][inside]] = state + 1;
		else if (moves->class[PARENT][inside] !=
			 moves->class[PARENT][graph->next[(size_t)(other - 1) * graph->symbols]])
			ret = refuse(moves, state, other - 1, err);
	}
	free(first);
	return ret;
}

static int compare_share(struct moves *moves, struct err *err)
{
	int ret = make_graph(moves);

	if (ret == 0)
		ret = make_classes(moves, CHILD);
	if (ret == 0)
		ret = make_classes(moves, PARENT);
	if (ret == 0)
		ret = compare(moves, err);
	product_graph_free(&moves->graph);
	memset(&moves->graph, 0, sizeof(moves->graph));
	free(moves->class[CHILD]);
	free(moves->class[PARENT]);
	moves->class[CHILD] = moves->class[PARENT] = NULL;
	return ret;
}

/* No directory is renamed from one share to another, and none in a share that is read-only. */
int narrow_moves(const struct policy *child, const struct policy *parent, uint64_t work,
		 struct err *err)
{
	struct moves moves = {
		.list = {&child->class[POLICY_FILE], &parent -> class[POLICY_FILE]},
		.work = work,
	};
	size_t i;
	int ret = 0;

	if (product_same_rules(moves.list[CHILD], moves.list[PARENT]))
		return 0;
	for (i = 0; i < child->shares && ret == 0; i++) {
		moves.share = &child->share[i];
		if (!moves.share->read_only)
			ret = compare_share(&moves, err);
	}
	if (ret == -ENOMEM)
		return err_set(err, ENOMEM, "out of memory");
	if (ret == -E2BIG)
		return err_set(
			err, EPERM,
			"no proof that directories of the share %.200s can be renamed only as "
			"before: give simpler file rules",
			moves.share->guest);
	return ret;
}
