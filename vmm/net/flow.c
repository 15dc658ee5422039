/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/flow.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/base/bytes.h"

#define BUCKETS 32768 /* a power of two */
#define SECOND	UINT64_C(1000000000)

static const uint64_t timeout_ns[FLOW_CLASSES] = {
	[FLOW_OPENING] = 30 * SECOND, [FLOW_CLOSING] = 60 * SECOND, [FLOW_ECHO] = 30 * SECOND,
	[FLOW_UDP] = 180 * SECOND,    [FLOW_OPEN] = 7800 * SECOND,
};

int flow_table_init(struct flow_table *table)
{
	*table = (struct flow_table){.fresh = 1};
	/* calloc() maps zero pages: those that are never used take no memory. */
	table->flow = calloc(FLOW_MAX + 1, sizeof(*table->flow));
	table->bucket = calloc(BUCKETS, sizeof(*table->bucket));
	if (!table->flow || !table->bucket)
		return -ENOMEM;
	return siphash_key_random(&table->key);
}

void flow_table_destroy(struct flow_table *table)
{
	if (table->flow && table->bucket)
		flow_end_all(table, FLOW_DROPPED);
	free(table->flow);
	free(table->bucket);
	*table = (struct flow_table){.fresh = 1};
}

static uint32_t *bucket_of(const struct flow_table *table, const struct flow_key *key)
{
	uint8_t bytes[9];

	store_be32(bytes, key->peer);
	store_be16(bytes + 4, key->guest_port);
	store_be16(bytes + 6, key->peer_port);
	bytes[8] = key->protocol;
	return &table->bucket[siphash(&table->key, bytes, sizeof(bytes)) & (BUCKETS - 1)];
}

static bool same_key(const struct flow_key *a, const struct flow_key *b)
{
	return a->peer == b->peer && a->guest_port == b->guest_port &&
	       a->peer_port == b->peer_port && a->protocol == b->protocol;
}

struct flow *flow_find(const struct flow_table *table, const struct flow_key *key)
{
	uint32_t at;

	for (at = *bucket_of(table, key); at != 0; at = table->flow[at].chain)
		if (same_key(&table->flow[at].key, key))
			return &table->flow[at];
	return NULL;
}

/* --- the list of a class ---------------------------------------------------------------------- */

static uint32_t number_of(const struct flow_table *table, const struct flow *flow)
{
	return (uint32_t)(flow - table->flow);
}

static void unlink_class(struct flow_table *table, struct flow *flow)
{
	if (flow->older)
		table->flow[flow->older].newer = flow->newer;
	else
		table->oldest[flow->class] = flow->newer;
	if (flow->newer)
		table->flow[flow->newer].older = flow->older;
	else
		table->newest[flow->class] = flow->older;
}

static void link_class(struct flow_table *table, struct flow *flow, enum flow_class class)
{
	uint32_t number = number_of(table, flow);

	flow->class = class;
	flow->newer = 0;
	flow->older = table->newest[class];
	if (flow->older)
		table->flow[flow->older].newer = number;
	else
		table->oldest[class] = number;
	table->newest[class] = number;
}

void flow_seen(struct flow_table *table, struct flow *flow, enum flow_class class, uint64_t now_ns)
{
	flow->seen_ns = now_ns;
	if (flow->class == class && flow->newer == 0)
		return;
	unlink_class(table, flow);
	link_class(table, flow, class);
}

/* --- adding and ending ------------------------------------------------------------------------ */

static bool make_room(struct flow_table *table)
{
	unsigned class;

	for (class = 0; class < FLOW_OPEN; class ++) {
		if (table->oldest[class] == 0)
			continue;
		flow_end(table, &table->flow[table->oldest[class]], FLOW_EVICTED);
		return true;
	}
	return false;
}

struct flow *flow_add(struct flow_table *table, const struct flow_key *key, enum flow_class class,
		      uint64_t now_ns)
{
	uint32_t number, *bucket = bucket_of(table, key);
	struct flow *flow;

	if (table->count == FLOW_MAX && !make_room(table))
		return NULL;
	number = table->unused;
	if (number)
		table->unused = table->flow[number].chain;
	else
		number = table->fresh++;
	flow = &table->flow[number];
	*flow = (struct flow){.key = *key, .begun_ns = now_ns, .seen_ns = now_ns};
	flow->chain = *bucket;
	*bucket = number;
	link_class(table, flow, class);
	table->count++;
	return flow;
}

void flow_end(struct flow_table *table, struct flow *flow, enum flow_end how)
{
	uint32_t number = number_of(table, flow), *at;

	if (table->ended)
		table->ended(table->arg, flow, how);
	for (at = bucket_of(table, &flow->key); *at != number; at = &table->flow[*at].chain)
		;
	*at = flow->chain;
	unlink_class(table, flow);
	free(flow->name);
	*flow = (struct flow){.chain = table->unused};
	table->unused = number;
	table->count--;
}

unsigned flow_expire(struct flow_table *table, uint64_t now_ns, unsigned limit)
{
	unsigned class, done = 0;
	struct flow *flow;

	for (class = 0; class < FLOW_CLASSES; class ++) {
		while (done < limit && table->oldest[class] != 0) {
			flow = &table->flow[table->oldest[class]];
			if (now_ns - flow->seen_ns < timeout_ns[class])
				break;
			flow_end(table, flow, FLOW_EXPIRED);
			done++;
		}
	}
	return done;
}

void flow_end_all(struct flow_table *table, enum flow_end how)
{
	unsigned class;

	for (class = 0; class < FLOW_CLASSES; class ++)
		while (table->oldest[class] != 0)
			flow_end(table, &table->flow[table->oldest[class]], how);
}

struct flow *flow_next(const struct flow_table *table, uint32_t *at)
{
	while (++*at < table->fresh)
		if (table->flow[*at].key.protocol != 0)
			return &table->flow[*at];
	return NULL;
}

const char *flow_end_text(enum flow_end how)
{
	static const char *const text[] = {
		[FLOW_CLOSED] = "closed",   [FLOW_EXPIRED] = "expired", [FLOW_EVICTED] = "evicted",
		[FLOW_REFUSED] = "refused", [FLOW_DROPPED] = "dropped",
	};

	return how < ARRAY_SIZE(text) ? text[how] : "unknown";
}
