/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of flows: allowed connections and exchanges, looked up by protocol, peer and ports.
 * Bounded; an idle flow expires after the timeout of its class. The hash has a random key, so that
 * a guest cannot choose keys that collide.
 *
 * Times are nanoseconds of a clock of the caller's. Not thread safe.
 */
#ifndef CORDON_NET_FLOW_H
#define CORDON_NET_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/net/siphash.h"

#define FLOW_MAX 16384 /* flows at a time */

/* A class has a timeout; flows of a lower class make room for new ones first. */
enum flow_class {
	FLOW_OPENING, /* TCP, until the peer has replied: 30 s */
	FLOW_CLOSING, /* TCP, both ends have sent FIN: 60 s */
	FLOW_ECHO,    /* ICMP echo: 30 s */
	FLOW_UDP,     /* 180 s */
	FLOW_OPEN,    /* TCP: 2 h 10 min, longer than a keep-alive interval; never makes room */
	FLOW_CLASSES
};

enum flow_end {
	FLOW_CLOSED, /* by both ends, or reset by one */
	FLOW_EXPIRED,
	FLOW_EVICTED, /* made room for a new flow */
	FLOW_REFUSED, /* because of the name in its first bytes */
	FLOW_DROPPED, /* the table is destroyed, or the policy has changed */
};

struct flow_key {
	uint32_t peer;			/* IPv4 */
	uint16_t guest_port, peer_port; /* ICMP echo: the identifier, 0 */
	uint8_t protocol;		/* IP_TCP ... */
};

struct flow_peek; /* of the filter: first bytes that are held back */

/* One direction of a TCP connection, in sequence numbers; see filter_track.c. */
struct flow_stream {
	uint32_t next;	/* behind all that the sender has sent, including SYN and FIN */
	uint32_t acked; /* acknowledged by the other end */
	uint32_t end;	/* behind the FIN, once done */
	bool done;	/* the FIN was sent */
	bool closed;	/* the FIN was acknowledged */
};

struct flow {
	struct flow_key key;
	enum flow_class class;
	bool inbound;			/* the peer opened it: a published port */
	bool synced;			/* TCP: the SYN was acknowledged with its number */
	bool host;			/* to the host's loopback, by a rule for it */
	bool approved;			/* by a person, because of an 'ask' rule */
	uint32_t rule;			/* the rule that opened it, as the filter counts them */
	uint32_t sequence;		/* TCP: of the first SYN */
	struct flow_stream guest, peer; /* TCP, once synced: what they send */
	uint64_t bytes_out, bytes_in;	/* payload from, to the guest */
	uint64_t begun_ns, seen_ns;
	char *name; /* the name that opened it, or NULL; the table frees it */
	struct flow_peek *peek;
	/* of the table: a hash chain, and the list of the class, least recently seen first */
	uint32_t chain, newer, older;
};

struct flow_table {
	struct flow *flow;	/* [0] is not used: 0 means none */
	uint32_t *bucket;	/* first of each chain */
	uint32_t unused, fresh; /* the free list; the first entry that was never used */
	uint32_t count;
	uint32_t oldest[FLOW_CLASSES], newest[FLOW_CLASSES];
	struct siphash_key key;
	/* Called before a flow is removed. May be NULL. */
	void (*ended)(void *arg, struct flow *flow, enum flow_end how);
	void *arg;
};

/* 0 or -errno. flow_table_destroy() works also after a failure, and on a zeroed struct. */
int flow_table_init(struct flow_table *table);
void flow_table_destroy(struct flow_table *table);

struct flow *flow_find(const struct flow_table *table, const struct flow_key *key);

/*
 * Adds a flow for a key that has none. A full table evicts the least recently seen flow of the
 * lowest class. NULL: all flows are open connections.
 */
struct flow *flow_add(struct flow_table *table, const struct flow_key *key, enum flow_class class,
		      uint64_t now_ns);

/* A packet of the flow was seen; sets the flow's class. */
void flow_seen(struct flow_table *table, struct flow *flow, enum flow_class class, uint64_t now_ns);

/* Calls ended() and removes the flow. */
void flow_end(struct flow_table *table, struct flow *flow, enum flow_end how);

/* Expires at most limit idle flows. Returns their number. */
unsigned flow_expire(struct flow_table *table, uint64_t now_ns, unsigned limit);

/* Ends all flows. */
void flow_end_all(struct flow_table *table, enum flow_end how);

/* Iterates over all flows: the next one after *at (initially 0); NULL: no more. */
struct flow *flow_next(const struct flow_table *table, uint32_t *at);

const char *flow_end_text(enum flow_end how);

#endif
