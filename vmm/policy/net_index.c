/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/net_index.h"

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "vmm/policy/internal.h"

#define ADDRESS_BYTES 16

/* One target of a rule. A bucket's list is in the order of the rules. */
struct entry {
	uint64_t hash;
	uint32_t rule, next; /* next: index of an entry, plus 1; 0: none */
};

struct net_index {
	struct rule *const *rule;
	size_t count;
	struct entry *entry;
	uint32_t *bucket; /* index of the first entry, plus 1; 0: none */
	uint32_t mask;
	uint8_t prefix[2][129]; /* prefix lengths in use, of IPv4 and IPv6 */
	unsigned prefixes[2];
};

/* FNV-1a. An unkeyed hash will do: the policy fills the table, a guest only chooses lookups. */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	size_t i;

	for (i = 0; i < length; i++)
		hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static uint64_t hash_key(int kind, unsigned prefix, const void *bytes, size_t length)
{
	const uint8_t head[2] = {(uint8_t)kind, (uint8_t)prefix};

	return hash_bytes(hash_bytes(UINT64_C(0xcbf29ce484222325), head, sizeof(head)), bytes,
			  length);
}

/* Hashes a network; the number of bytes tells IPv6 from IPv4. */
static uint64_t hash_network(unsigned family, const uint8_t *address, unsigned prefix)
{
	uint8_t network[ADDRESS_BYTES] = {0};
	size_t length = family == AF_INET ? 4 : ADDRESS_BYTES;

	memcpy(network, address, prefix / 8);
	if (prefix % 8)
		network[prefix / 8] = (uint8_t)(address[prefix / 8] & 0xff00 >> prefix % 8);
	return hash_key(NET_CIDR, prefix, network, length);
}

static uint64_t hash_target(const struct net_target *target)
{
	if (target->kind == NET_CIDR)
		return hash_network(target->family, target->address, target->prefix);
	if (target->kind == NET_NAME || target->kind == NET_SUBNAMES)
		return hash_key(target->kind, 0, target->name, target->length);
	return hash_key(target->kind, 0, "", 0);
}

/* --- building --------------------------------------------------------------------------------- */

static void add_prefix(struct net_index *index, const struct net_target *target)
{
	unsigned family = target->family == AF_INET6;

	if (target->kind == NET_CIDR &&
	    !memchr(index->prefix[family], (int)target->prefix, index->prefixes[family]))
		index->prefix[family][index->prefixes[family]++] = (uint8_t)target->prefix;
}

static size_t count_targets(struct rule *const *rule, size_t count)
{
	size_t targets = 0, i;

	for (i = 0; i < count; i++)
		targets += rule[i]->targets;
	return targets;
}

struct net_index *net_index_create(struct arena *arena, struct rule *const *rule, size_t count)
{
	struct net_index *index = arena_alloc(arena, sizeof(*index));
	size_t targets = count_targets(rule, count), buckets = 16, used = 0, i, k;
	struct entry *entry;
	uint32_t *bucket;

	while (buckets < 2 * targets)
		buckets *= 2;
	if (!index)
		return NULL;
	index->rule = rule;
	index->count = count;
	index->mask = (uint32_t)buckets - 1;
	index->entry = arena_array(arena, targets + 1, sizeof(*index->entry));
	index->bucket = arena_array(arena, buckets, sizeof(*index->bucket));
	if (!index->entry || !index->bucket)
		return NULL;
	/* From the last rule to the first: each entry goes to the head of its bucket's list. */
	for (i = count; i-- > 0;) {
		for (k = 0; k < rule[i]->targets; k++) {
			entry = &index->entry[used++];
			entry->hash = hash_target(&rule[i]->target[k]);
			entry->rule = (uint32_t)i;
			bucket = &index->bucket[entry->hash & index->mask];
			entry->next = *bucket;
			*bucket = (uint32_t)used;
			add_prefix(index, &rule[i]->target[k]);
		}
	}
	return index;
}

/* --- lookup ----------------------------------------------------------------------------------- */

struct search {
	const struct net_index *index;
	const struct policy_request *request;
	size_t best;
};

static bool rule_matches(const struct rule *rule, const struct policy_request *request)
{
	return request->op == POLICY_RESOLVE ? net_rule_names(rule, request->net.name)
					     : net_rule_matches(rule, &request->net);
}

/* Equal hashes are only a hint: the rule itself must match. */
static void look(struct search *search, uint64_t hash)
{
	const struct net_index *index = search->index;
	uint32_t at = index->bucket[hash & index->mask];
	const struct entry *entry;

	for (; at; at = entry->next) {
		entry = &index->entry[at - 1];
		if (entry->rule >= search->best)
			return;
		if (entry->hash == hash &&
		    rule_matches(index->rule[entry->rule], search->request)) {
			search->best = entry->rule;
			return;
		}
	}
}

static void look_for_name(struct search *search, const char *name)
{
	size_t length = strlen(name), at;

	look(search, hash_key(NET_NAME, 0, name, length));
	for (at = 1; at < length; at++)
		if (name[at] == '.')
			look(search, hash_key(NET_SUBNAMES, 0, name + at, length - at));
}

static void look_for_address(struct search *search, const struct policy_net *net)
{
	unsigned family = net->family == AF_INET6, i;

	for (i = 0; i < search->index->prefixes[family]; i++)
		look(search,
		     hash_network(net->family, net->address, search->index->prefix[family][i]));
}

size_t net_index_first(const struct net_index *index, const struct policy_request *request)
{
	struct search search = {.index = index, .request = request, .best = index->count};
	const struct policy_net *net = &request->net;

	if (request->op == POLICY_RESOLVE && !net->name)
		return index->count;
	look(&search, hash_key(NET_HOST, 0, "", 0));
	if (request->op == POLICY_CONNECT && net->host)
		return search.best;
	look(&search, hash_key(NET_ANY, 0, "", 0));
	if (net->name)
		look_for_name(&search, net->name);
	if (request->op == POLICY_CONNECT && (net->family == AF_INET || net->family == AF_INET6))
		look_for_address(&search, net);
	return search.best;
}
