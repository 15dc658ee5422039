/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/flows.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/base/bytes.h"

#define BUCKETS 32768 /* a power of two */
#define SECOND	UINT64_C(1000000000)

static const uint64_t idle_ns[RELAY_CLASSES] = {
	[RELAY_OPENING] = 130 * SECOND, [RELAY_CLOSING] = 60 * SECOND, [RELAY_ECHO] = 30 * SECOND,
	[RELAY_UDP] = 180 * SECOND,	[RELAY_OPEN] = 7800 * SECOND,
};

/* A walk through the table during which flows end: take_out() moves it past the flow taken out. */
struct relay_walk {
	struct relay_flow *next;
	struct relay_walk *outer; /* of a caller further up */
};

int relay_flows_init(struct relay_flows *flows)
{
	*flows = (struct relay_flows){.count = 0};
	/* calloc() maps zero pages: those that are never used take no memory. */
	flows->bucket = calloc(BUCKETS, sizeof(struct relay_flow *));
	flows->heap = calloc(RELAY_FLOWS + 1, sizeof(struct relay_flow *));
	if (!flows->bucket || !flows->heap)
		return -ENOMEM;
	return siphash_key_random(&flows->key);
}

void relay_flows_destroy(struct relay_flows *flows)
{
	if (flows->bucket && flows->heap)
		relay_flows_end_all(flows, RELAY_DROPPED);
	free(flows->bucket);
	free(flows->heap);
	*flows = (struct relay_flows){.count = 0};
}

/* --- the hash table --------------------------------------------------------------------------- */

static uint32_t bucket_of(const struct relay_flows *flows, const struct relay_key *key)
{
	uint8_t bytes[IP_BYTES + 7];

	memcpy(bytes, key->peer.bytes, IP_BYTES);
	store_be16(bytes + IP_BYTES, key->peer.family);
	store_be16(bytes + IP_BYTES + 2, key->guest_port);
	store_be16(bytes + IP_BYTES + 4, key->peer_port);
	bytes[IP_BYTES + 6] = key->protocol;
	return (uint32_t)siphash(&flows->key, bytes, sizeof(bytes)) & (BUCKETS - 1);
}

static bool same_key(const struct relay_key *a, const struct relay_key *b)
{
	return a->guest_port == b->guest_port && a->peer_port == b->peer_port &&
	       a->protocol == b->protocol && ip_same(&a->peer, &b->peer);
}

struct relay_flow *relay_flows_find(const struct relay_flows *flows, const struct relay_key *key)
{
	struct relay_flow *flow;

	for (flow = flows->bucket[bucket_of(flows, key)]; flow; flow = flow->chain)
		if (same_key(&flow->key, key))
			return flow;
	return NULL;
}

struct relay_flow *relay_flows_after(const struct relay_flows *flows, struct relay_flow *flow)
{
	uint32_t at = 0;

	if (flow && flow->chain)
		return flow->chain;
	if (flow)
		at = bucket_of(flows, &flow->key) + 1;
	for (; at < BUCKETS; at++)
		if (flows->bucket[at])
			return flows->bucket[at];
	return NULL;
}

/* --- the list of a class, least recently seen first ------------------------------------------- */

static void leave_class(struct relay_flows *flows, struct relay_flow *flow)
{
	if (flow->older)
		flow->older->newer = flow->newer;
	else
		flows->oldest[flow->class] = flow->newer;
	if (flow->newer)
		flow->newer->older = flow->older;
	else
		flows->newest[flow->class] = flow->older;
}

static void join_class(struct relay_flows *flows, struct relay_flow *flow, enum relay_class class)
{
	flow->class = class;
	flow->newer = NULL;
	flow->older = flows->newest[class];
	if (flow->older)
		flow->older->newer = flow;
	else
		flows->oldest[class] = flow;
	flows->newest[class] = flow;
}

void relay_flows_seen(struct relay_flows *flows, struct relay_flow *flow, enum relay_class class,
		      uint64_t now_ns)
{
	flow->seen_ns = now_ns;
	if (flow->class == class && !flow->newer)
		return;
	leave_class(flows, flow);
	join_class(flows, flow, class);
}

/* --- the heap of deadlines: no flow's is earlier than that of the one above it ---------------- */

static void put_at(struct relay_flows *flows, uint32_t at, struct relay_flow *flow)
{
	flows->heap[at] = flow;
	flow->heap = at;
}

/* Puts a flow at a free place, or nearer to the top. Returns where. */
static uint32_t sift_up(struct relay_flows *flows, uint32_t at, struct relay_flow *flow)
{
	for (; at > 1 && flows->heap[at / 2]->deadline_ns > flow->deadline_ns; at /= 2)
		put_at(flows, at, flows->heap[at / 2]);
	put_at(flows, at, flow);
	return at;
}

/* The same, or further down. */
static void sift_down(struct relay_flows *flows, uint32_t at, struct relay_flow *flow)
{
	uint32_t below;

	for (; (below = 2 * at) <= flows->heap_count; at = below) {
		if (below < flows->heap_count &&
		    flows->heap[below + 1]->deadline_ns < flows->heap[below]->deadline_ns)
			below++;
		if (flows->heap[below]->deadline_ns >= flow->deadline_ns)
			break;
		put_at(flows, at, flows->heap[below]);
	}
	put_at(flows, at, flow);
}

static void leave_heap(struct relay_flows *flows, struct relay_flow *flow)
{
	uint32_t at = flow->heap;
	struct relay_flow *last;

	if (at == 0)
		return;
	flow->heap = 0;
	flow->deadline_ns = RELAY_NEVER;
	last = flows->heap[flows->heap_count--];
	if (last != flow && sift_up(flows, at, last) == at)
		sift_down(flows, at, last);
}

void relay_flows_deadline(struct relay_flows *flows, struct relay_flow *flow, uint64_t at_ns)
{
	if (at_ns == RELAY_NEVER || !flow->ops->tick) {
		leave_heap(flows, flow);
		return;
	}
	flow->deadline_ns = max_u64(at_ns, flows->floor_ns);
	if (flow->heap == 0)
		sift_up(flows, ++flows->heap_count, flow);
	else if (sift_up(flows, flow->heap, flow) == flow->heap)
		sift_down(flows, flow->heap, flow);
}

uint64_t relay_flows_next_deadline(const struct relay_flows *flows)
{
	return flows->heap_count > 0 ? flows->heap[1]->deadline_ns : RELAY_NEVER;
}

unsigned relay_flows_tick(struct relay_flows *flows, uint64_t now_ns, unsigned limit)
{
	struct relay_flow *flow;
	unsigned done = 0;

	/* What a tick() sets is for the next call: so no flow is called twice. */
	flows->floor_ns = now_ns + 1;
	while (done < limit && relay_flows_next_deadline(flows) <= now_ns) {
		flow = flows->heap[1];
		leave_heap(flows, flow);
		flow->ops->tick(flow, now_ns);
		done++;
	}
	flows->floor_ns = 0;
	return done;
}

/* --- adding and ending ------------------------------------------------------------------------ */

/* Takes a flow out of everything. false: it is out already. */
static bool take_out(struct relay_flows *flows, struct relay_flow *flow)
{
	struct relay_flow **at = &flows->bucket[bucket_of(flows, &flow->key)];
	struct relay_walk *walk;

	while (*at && *at != flow)
		at = &(*at)->chain;
	if (!*at)
		return false;
	for (walk = flows->walks; walk; walk = walk->outer)
		if (walk->next == flow)
			walk->next = relay_flows_after(flows, flow);
	*at = flow->chain;
	flow->chain = NULL;
	leave_class(flows, flow);
	leave_heap(flows, flow);
	flows->count--;
	return true;
}

void relay_flows_end(struct relay_flows *flows, struct relay_flow *flow, enum relay_end why)
{
	if (take_out(flows, flow))
		flow->ops->end(flow, why);
}

static void make_room(struct relay_flows *flows)
{
	unsigned class;

	for (class = 0; class < RELAY_OPEN; class ++) {
		if (!flows->oldest[class])
			continue;
		relay_flows_end(flows, flows->oldest[class], RELAY_EVICTED);
		return;
	}
}

bool relay_flows_add(struct relay_flows *flows, struct relay_flow *flow, enum relay_class class,
		     uint64_t now_ns)
{
	struct relay_flow **bucket = &flows->bucket[bucket_of(flows, &flow->key)];

	if (flows->count >= RELAY_FLOWS)
		make_room(flows);
	if (flows->count >= RELAY_FLOWS)
		return false;
	flow->begun_ns = now_ns;
	flow->seen_ns = now_ns;
	flow->deadline_ns = RELAY_NEVER;
	flow->heap = 0;
	flow->chain = *bucket;
	*bucket = flow;
	join_class(flows, flow, class);
	flows->count++;
	return true;
}

unsigned relay_flows_expire(struct relay_flows *flows, uint64_t now_ns, unsigned limit)
{
	unsigned class, done = 0;
	struct relay_flow *flow;

	for (class = 0; class < RELAY_CLASSES; class ++) {
		while (done < limit && (flow = flows->oldest[class]) != NULL) {
			if (now_ns - flow->seen_ns < idle_ns[class])
				break;
			relay_flows_end(flows, flow, RELAY_EXPIRED);
			done++;
		}
	}
	return done;
}

/*
 * Ends flows from the first to the last, whatever their end() does to others. Goes forward only, so
 * it comes to an end even if end() adds flows.
 */
static void end_some(struct relay_flows *flows, enum relay_end why, bool all)
{
	struct relay_walk walk = {.next = relay_flows_after(flows, NULL), .outer = flows->walks};
	struct relay_flow *flow;

	flows->walks = &walk;
	while ((flow = walk.next) != NULL) {
		walk.next = relay_flows_after(flows, flow);
		if (all || !flow->ops->still_allowed(flow))
			relay_flows_end(flows, flow, why);
	}
	flows->walks = walk.outer;
}

void relay_flows_end_all(struct relay_flows *flows, enum relay_end why)
{
	end_some(flows, why, true);
}

void relay_flows_policy_changed(struct relay_flows *flows)
{
	end_some(flows, RELAY_DROPPED, false);
}

const char *relay_end_text(enum relay_end why)
{
	static const char *const text[] = {
		[RELAY_CLOSED] = "closed",   [RELAY_EXPIRED] = "expired",
		[RELAY_EVICTED] = "evicted", [RELAY_REFUSED] = "refused",
		[RELAY_DROPPED] = "dropped",
	};

	return (unsigned)why < ARRAY_SIZE(text) ? text[why] : "unknown";
}

const char *relay_lack(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOSPC: /* of watches */
		return "the relay has no descriptor left for its socket";
	case ENOMEM:
	case ENOBUFS:
		return "the host has no memory left for its socket";
	case EAGAIN:
	case EADDRNOTAVAIL:
		return "the host has no port or address for its socket";
	default:
		return NULL;
	}
}
