/* SPDX-License-Identifier: Apache-2.0 */
/* The graph of a product: which of its states are alike. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/policy/product.h"

int product_graph_make(struct product_graph *graph, size_t states, uint32_t symbols)
{
	/* Memory that is not reached is not used. */
	graph->symbols = symbols;
	graph->next = malloc(states * symbols * sizeof(uint32_t));
	graph->value[0] = malloc(states * sizeof(uint32_t));
	graph->value[1] = malloc(states * sizeof(uint32_t));
	graph->from = malloc(states * sizeof(uint32_t));
	graph->ends = malloc(states * sizeof(bool));
	graph->byte = malloc(states);
	if (!graph->next || !graph->value[0] || !graph->value[1] || !graph->from || !graph->ends ||
	    !graph->byte)
		return -ENOMEM;
	return 0;
}

void product_graph_free(struct product_graph *graph)
{
	free(graph->next);
	free(graph->value[0]);
	free(graph->value[1]);
	free(graph->from);
	free(graph->ends);
	free(graph->byte);
}

void product_graph_path(const struct product_graph *graph, uint32_t state,
			char path[PRODUCT_PATH_MAX])
{
	char back[PRODUCT_PATH_MAX];
	size_t length = 0, i;

	for (; length < sizeof(back) - 1; state = graph->from[state]) {
		back[length++] = (char)graph->byte[state];
		if (state == 0)
			break;
	}
	for (i = 0; i < length; i++)
		path[i] = back[length - 1 - i];
	path[length] = '\0';
}

/* --- classes ---------------------------------------------------------------------------------- */

/* A partition that is being refined. */
struct classes {
	const struct product_graph *graph;
	const uint32_t *class; /* by state, so far */
	uint32_t *slot; /* states + 1 that stand for a class of the finer partition, by hash */
	size_t slots;
};

static uint32_t class_behind(const struct classes *classes, uint32_t state, uint32_t symbol)
{
	uint32_t next = classes->graph->next[(size_t)state * classes->graph->symbols + symbol];

	return next == GLOB_NONE ? GLOB_NONE : classes->class[next];
}

static bool are_alike(const struct classes *classes, uint32_t a, uint32_t b)
{
	uint32_t i;

	if (classes->class[a] != classes->class[b])
		return false;
	for (i = 0; i < classes->graph->symbols; i++)
		if (class_behind(classes, a, i) != class_behind(classes, b, i))
			return false;
	return true;
}

static uint64_t hash_of(const struct classes *classes, uint32_t state)
{
	uint64_t hash = 0xcbf29ce484222325ull ^ classes->class[state];
	uint32_t i;

	for (i = 0; i < classes->graph->symbols; i++) {
		hash = (hash ^ class_behind(classes, state, i)) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 31;
	}
	return hash;
}

/* One step finer: to[] by state. Returns the number of classes. */
static uint32_t refine(struct classes *classes, uint32_t *to)
{
	uint32_t state, count = 0;
	size_t slot;

	memset(classes->slot, 0, classes->slots * sizeof(*classes->slot));
	for (state = 0; state < classes->graph->states; state++) {
		slot = hash_of(classes, state) & (classes->slots - 1);
		while (classes->slot[slot] && !are_alike(classes, classes->slot[slot] - 1, state))
			slot = (slot + 1) & (classes->slots - 1);
		if (classes->slot[slot]) {
			to[state] = to[classes->slot[slot] - 1];
		} else {
			classes->slot[slot] = state + 1;
			to[state] = count++;
		}
	}
	return count;
}

int product_graph_classes(const struct product_graph *graph, const uint32_t *label, uint64_t *work,
			  uint32_t **class)
{
	const uint64_t round = (uint64_t)graph->states * graph->symbols;
	struct classes classes = {.graph = graph, .class = label, .slots = 64};
	uint32_t *made[2], count = 0, before;
	unsigned to = 0;
	int ret = -ENOMEM;

	*class = NULL;
	while (classes.slots < 2 * (size_t)graph->states)
		classes.slots *= 2;
	made[0] = calloc(graph->states + 1, sizeof(uint32_t));
	made[1] = calloc(graph->states + 1, sizeof(uint32_t));
	classes.slot = malloc(classes.slots * sizeof(uint32_t));
	if (made[0] && made[1] && classes.slot)
		ret = 0;
	/* At the end when a step makes no further class. */
	while (ret == 0) {
		if (*work < round) {
			ret = -E2BIG;
			break;
		}
		*work -= round;
		before = count;
		count = refine(&classes, made[to]);
		if (count == before)
			break;
		classes.class = made[to];
		to ^= 1;
	}
	if (ret == 0) {
		*class = made[to];
		made[to] = NULL;
	}
	free(made[0]);
	free(made[1]);
	free(classes.slot);
	return ret;
}
