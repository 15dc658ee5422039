/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/product.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"

#define CONFIGS_MAX (4u << 20)	/* of all states together */
#define SET_MAX	    (64u << 10) /* of one state */

/*
 * A position that patterns may have reached, as one number: the node of the trie whose component is
 * being matched, and the position in that component. Patterns with a common beginning share nodes,
 * and so do all patterns of one value that match everything from here on: otherwise there would be
 * too many kinds of paths.
 */
#define CONFIG(node, place)  ((uint64_t)(node) << 16 | (uint64_t)(place))
#define CONFIG_NODE(config)  ((uint32_t)((config) >> 16))
#define CONFIG_PLACE(config) ((unsigned)((config)&0xffff))

struct set {
	uint64_t *config;
	size_t count;
};

struct state {
	size_t config; /* offset into search.config: the first list's, then the second's */
	size_t count[2];
	bool begun;    /* the component has at least one byte */
	uint32_t from; /* the state before */
	uint8_t byte;  /* that led from there to here */
};

struct search {
	struct product *product;
	struct product_trie trie[2];
	struct state *state;
	size_t states, next;
	uint64_t *config;
	size_t configs, config_room;
	uint32_t *slot; /* of states, by hash */
	size_t slots;
	uint8_t byte[256]; /* one byte of each group that is in the same sets */
	unsigned bytes;
	struct set set[2]; /* the next state, being built */
	uint32_t added;	   /* the state that add_state() has found or added */
};

/* --- steps ------------------------------------------------------------------------------------ */

static bool set_has(const struct glob_set *set, unsigned byte)
{
	return set->bits[byte / 64] >> (byte % 64) & 1;
}

static void add(struct set *set, uint64_t config)
{
	if (set->count < SET_MAX)
		set->config[set->count++] = config;
}

/* Adds the positions at which a component may begin behind a node. */
static void begin_behind(const struct product_trie *trie, struct set *set, uint32_t at)
{
	const struct product_node *node = &trie->node[at];
	uint32_t child;

	if (node->rest)
		add(set, CONFIG(node->rest, 0));
	for (child = node->child; child; child = trie->node[child].sibling) {
		add(set, CONFIG(child, 0));
		if (trie->node[child].part->kind == GLOB_TREE)
			begin_behind(trie, set, child);
	}
}

/* Whether the node's component may end here. */
static bool is_whole(const struct product_node *node, uint64_t config)
{
	return node->part->kind == GLOB_TREE || CONFIG_PLACE(config) == node->part->count;
}

/* --- sets ------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Sorts a set; drops duplicates, and patterns behind one that matches everything. */
static void tidy(const struct product_trie *trie, struct set *set)
{
	const struct product_node *node;
	uint32_t all = GLOB_NONE;
	size_t i, kept = 0;

	qsort(set->config, set->count, sizeof(set->config[0]), by_number);
	for (i = 0; i < set->count; i++) {
		node = &trie->node[CONFIG_NODE(set->config[i])];
		if (node->all < all)
			all = node->all;
	}
	for (i = 0; i < set->count; i++) {
		node = &trie->node[CONFIG_NODE(set->config[i])];
		if ((kept > 0 && set->config[kept - 1] == set->config[i]) ||
		    (node->lowest >= all && node->all != all))
			continue;
		set->config[kept++] = set->config[i];
	}
	set->count = kept;
}

static void step_byte(const struct product_trie *trie, const uint64_t *config, size_t count,
		      unsigned byte, struct set *set)
{
	const struct glob_part *part;
	unsigned place;
	size_t i;

	set->count = 0;
	for (i = 0; i < count; i++) {
		part = trie->node[CONFIG_NODE(config[i])].part;
		place = CONFIG_PLACE(config[i]);
		if (part->kind == GLOB_TREE) {
			add(set, config[i]);
			continue;
		}
		if (place < part->count && set_has(&part->set[place], byte))
			add(set, config[i] + 1);
		if (part->loop && part->loop[place / 64] >> (place % 64) & 1)
			add(set, config[i]);
	}
	tidy(trie, set);
}

static void step_slash(const struct product_trie *trie, const uint64_t *config, size_t count,
		       struct set *set)
{
	const struct product_node *node;
	size_t i;

	set->count = 0;
	for (i = 0; i < count; i++) {
		node = &trie->node[CONFIG_NODE(config[i])];
		if (!is_whole(node, config[i]))
			continue;
		if (node->part->kind == GLOB_TREE)
			add(set, config[i]);
		begin_behind(trie, set, CONFIG_NODE(config[i]));
	}
	tidy(trie, set);
}

static uint32_t first_value(const struct product_trie *trie, const uint64_t *config, size_t count)
{
	const struct product_node *node;
	uint32_t first = GLOB_NONE;
	size_t i;

	for (i = 0; i < count; i++) {
		node = &trie->node[CONFIG_NODE(config[i])];
		if (is_whole(node, config[i]) && node->accept < first)
			first = node->accept;
	}
	return first;
}

/* --- bytes ------------------------------------------------------------------------------------ */

/* Hashes for each byte the sets that contain it: bytes with equal hashes are one group. */
static void group_bytes(struct search *search)
{
	uint64_t hash[256] = {0}, number = 1;
	const struct glob_part *part;
	unsigned byte, other, l;
	size_t i, k, n;

	for (l = 0; l < 2; l++)
		for (i = 1; i < search->trie[l].nodes; i++) {
			part = search->trie[l].node[i].part;
			for (n = 0; part->kind != GLOB_TREE && n < part->count; n++) {
				number = number * 0x9e3779b97f4a7c15ull + 1;
				for (byte = 0; byte < 256; byte++)
					if (set_has(&part->set[n], byte))
						hash[byte] += number ^ number >> 29;
			}
		}
	/* Letters first, so that examples are readable. */
	for (k = 0; k < 256; k++) {
		byte = (unsigned)(k + 'a') % 256;
		for (other = 0; other < search->bytes; other++)
			if (hash[search->byte[other]] == hash[byte])
				break;
		if (byte != 0 && byte != '/' && other == search->bytes)
			search->byte[search->bytes++] = (uint8_t)byte;
	}
}

/* --- states ----------------------------------------------------------------------------------- */

static uint64_t hash_sets(const struct search *search, bool begun)
{
	uint64_t hash = 0xcbf29ce484222325ull + begun;
	unsigned l;
	size_t i;

	for (l = 0; l < 2; l++)
		for (i = 0; i <= search->set[l].count; i++) {
			hash ^= i < search->set[l].count ? search->set[l].config[i] : ~0ull;
			hash *= 0x9e3779b97f4a7c15ull;
			hash ^= hash >> 31;
		}
	return hash;
}

static bool is_state(const struct search *search, const struct state *state, bool begun)
{
	const uint64_t *config = search->config + state->config;
	const struct set *set = search->set;

	return state->begun == begun && state->count[0] == set[0].count &&
	       state->count[1] == set[1].count &&
	       memcmp(config, set[0].config, set[0].count * sizeof(*config)) == 0 &&
	       memcmp(config + set[0].count, set[1].config, set[1].count * sizeof(*config)) == 0;
}

/* Adds the state of search->set, unless it exists. */
static int add_state(struct search *search, bool begun, uint32_t from, uint8_t byte)
{
	const struct set *set = search->set;
	size_t slot = hash_sets(search, begun) & (search->slots - 1);
	uint64_t *to;

	if (search->product->first_only && set[0].count == 0)
		return 0;
	for (; search->slot[slot]; slot = (slot + 1) & (search->slots - 1))
		if (is_state(search, &search->state[search->slot[slot] - 1], begun)) {
			search->added = search->slot[slot] - 1;
			return 0;
		}
	if (search->states == search->product->states_max || set[0].count == SET_MAX ||
	    set[1].count == SET_MAX ||
	    search->configs + set[0].count + set[1].count > search->config_room)
		return -E2BIG;
	search->state[search->states] = (struct state){
		.config = search->configs,
		.count = {set[0].count, set[1].count},
		.begun = begun,
		.from = from,
		.byte = byte,
	};
	to = search->config + search->configs;
	memcpy(to, set[0].config, set[0].count * sizeof(*to));
	memcpy(to + set[0].count, set[1].config, set[1].count * sizeof(*to));
	search->configs += set[0].count + set[1].count;
	search->added = (uint32_t)search->states;
	search->slot[slot] = (uint32_t)++search->states;
	return 0;
}

/* Writes the path that leads to a state. */
static void write_example(const struct search *search, size_t at, char path[PRODUCT_PATH_MAX])
{
	char back[PRODUCT_PATH_MAX];
	size_t length = 0, i;

	for (;; at = search->state[at].from) {
		if (length < sizeof(back) - 1)
			back[length++] = (char)search->state[at].byte;
		if (at == 0)
			break;
	}
	for (i = 0; i < length; i++)
		path[i] = back[length - 1 - i];
	path[length] = '\0';
}

/* Notes that a symbol leads from a state to the one that was added. */
static void note_edge(struct search *search, size_t at, unsigned symbol)
{
	struct product_graph *graph = search->product->graph;

	if (graph)
		graph->next[at * graph->symbols + symbol] = search->added;
}

static int expand(struct search *search, size_t at)
{
	struct product *product = search->product;
	struct state state = search->state[at];
	const uint64_t *config = search->config + state.config;
	const uint64_t *other = config + state.count[0];
	unsigned i;
	int ret = 0;

	if (state.begun) {
		step_slash(&search->trie[0], config, state.count[0], &search->set[0]);
		step_slash(&search->trie[1], other, state.count[1], &search->set[1]);
		ret = add_state(search, false, (uint32_t)at, '/');
		note_edge(search, at, 0);
	}
	for (i = 0; i < search->bytes && ret == 0; i++) {
		if (product->work < state.count[0] + state.count[1] + 1)
			return -E2BIG;
		product->work -= state.count[0] + state.count[1] + 1;
		step_byte(&search->trie[0], config, state.count[0], search->byte[i],
			  &search->set[0]);
		if (product->first_only && search->set[0].count == 0)
			continue;
		step_byte(&search->trie[1], other, state.count[1], search->byte[i],
			  &search->set[1]);
		ret = add_state(search, true, (uint32_t)at, search->byte[i]);
		note_edge(search, at, i + 1);
	}
	return ret;
}

/* The state in which paths beneath a directory begin. */
static int begin(struct search *search)
{
	const char *at = search->product->beneath;
	struct set set[2];
	unsigned l;
	int ret = 0;

	for (l = 0; l < 2; l++) {
		set[l].config = malloc(SET_MAX * sizeof(uint64_t));
		if (!set[l].config)
			ret = -ENOMEM;
		begin_behind(&search->trie[l], &search->set[l], 0);
		tidy(&search->trie[l], &search->set[l]);
		/* "/w": 'w', and the slash behind it. */
		for (at = search->product->beneath; ret == 0 && at && *at; at++) {
			set[l].count = search->set[l].count;
			memcpy(set[l].config, search->set[l].config,
			       set[l].count * sizeof(uint64_t));
			if (at[1] == '/' || !at[1])
				step_slash(&search->trie[l], set[l].config, set[l].count,
					   &search->set[l]);
			else
				step_byte(&search->trie[l], set[l].config, set[l].count,
					  (uint8_t)at[1], &search->set[l]);
			if (search->set[l].count == SET_MAX)
				ret = -E2BIG;
		}
		free(set[l].config);
	}
	return ret == 0 ? add_state(search, false, 0, '/') : ret;
}

static void note_state(const struct search *search, const struct state *state, uint32_t first,
		       uint32_t second)
{
	struct product_graph *graph = search->product->graph;
	uint32_t i;

	if (!graph)
		return;
	for (i = 0; i < graph->symbols; i++)
		graph->next[search->next * graph->symbols + i] = GLOB_NONE;
	graph->value[0][search->next] = first;
	graph->value[1][search->next] = second;
	graph->ends[search->next] = state->begun;
	graph->from[search->next] = state->from;
	graph->byte[search->next] = state->byte;
	graph->states = (uint32_t)search->next + 1;
}

static int run(struct search *search)
{
	struct product *product = search->product;
	const struct state *state;
	const uint64_t *config;
	uint32_t first, second;
	int ret = begin(search);

	for (; ret == 0 && search->next < search->states; search->next++) {
		state = &search->state[search->next];
		config = search->config + state->config;
		first = first_value(&search->trie[0], config, state->count[0]);
		second = first_value(&search->trie[1], config + state->count[0], state->count[1]);
		note_state(search, state, first, second);
		if (state->begun && (first != GLOB_NONE || !product->first_only) &&
		    !product->visit(product->arg, first, second)) {
			write_example(search, search->next, product->path);
			return 1;
		}
		ret = expand(search, search->next);
	}
	return ret;
}

int product_search(struct product *product)
{
	struct search search = {.product = product, .slots = 64};
	int ret = -ENOMEM;

	while (search.slots < 2 * product->states_max)
		search.slots *= 2;
	search.config_room = product->states_max * 64 + 2 * (size_t)SET_MAX;
	if (search.config_room > CONFIGS_MAX)
		search.config_room = CONFIGS_MAX;
	product->path[0] = '\0';
	if (product_trie_make(&search.trie[0], &product->list[0]) < 0 ||
	    product_trie_make(&search.trie[1], &product->list[1]) < 0)
		goto out;
	group_bytes(&search);
	search.state = calloc(product->states_max, sizeof(*search.state));
	search.config = malloc(search.config_room * sizeof(*search.config));
	search.slot = calloc(search.slots, sizeof(*search.slot));
	search.set[0].config = malloc(SET_MAX * sizeof(uint64_t));
	search.set[1].config = malloc(SET_MAX * sizeof(uint64_t));
	if (search.state && search.config && search.slot && search.set[0].config &&
	    search.set[1].config &&
	    (!product->graph ||
	     product_graph_make(product->graph, product->states_max, search.bytes + 1) == 0))
		ret = run(&search);
out:
	product_trie_free(&search.trie[0]);
	product_trie_free(&search.trie[1]);
	free(search.state);
	free(search.config);
	free(search.slot);
	free(search.set[0].config);
	free(search.set[1].config);
	return ret;
}
