/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of flows: connections and exchanges that were allowed, found by protocol, peer and
 * ports. Bounded; every flow ends by itself when nothing of it is seen for its class's time. A
 * guest can't choose keys that collide: the hash has a random key.
 *
 * Times are nanoseconds of a clock that the caller passes in. Not thread safe.
 */
#ifndef CORDON_NET_FLOW_H
#define CORDON_NET_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/net/siphash.h"

#define FLOW_MAX 16384 /* flows at a time */

/* A class is a time-out, and a place in the order in which flows make room for new ones. */
enum flow_class {
	FLOW_OPENING, /* TCP, until the peer has answered: 30 s */
	FLOW_CLOSING, /* TCP, both ends have sent FIN: 60 s */
	FLOW_ECHO,    /* ICMP echo: 30 s */
	FLOW_UDP,     /* 180 s */
	FLOW_OPEN,    /* TCP: 2 h 10 min, more than a keep-alive; never makes room */
	FLOW_CLASSES
};

enum flow_end {
	FLOW_CLOSED, /* both ends said so, or one reset it */
	FLOW_EXPIRED,
	FLOW_EVICTED, /* made room for a new one */
	FLOW_REFUSED, /* by what it said: the name in its first bytes */
	FLOW_DROPPED, /* the table goes, or the policy has changed */
};

struct flow_key {
	uint32_t peer;			/* IPv4 */
	uint16_t guest_port, peer_port; /* ICMP echo: the identifier, 0 */
	uint8_t protocol;		/* IP_TCP ... */
};

struct flow_peek; /* the filter's: first bytes that are held back */

/* One direction of a TCP connection, in sequence numbers; see filter_track.c. */
struct flow_stream {
	uint32_t next;	/* behind all that its sender has sent, SYN and FIN included */
	uint32_t acked; /* of it, by the other end */
	uint32_t end;	/* behind the FIN, once done */
	bool done;	/* the FIN was sent */
	bool closed;	/* and acknowledged */
};

struct flow {
	struct flow_key key;
	enum flow_class class;
	bool inbound;			/* the peer began it: a published port */
	bool synced;			/* TCP: the SYN has been answered by its number */
	bool host;			/* to the host's loopback, by a rule for it */
	bool approved;			/* by a person, whom a rule had asked */
	uint32_t rule;			/* that opened it, as the filter counts them */
	uint32_t sequence;		/* TCP: of the SYN that began it */
	struct flow_stream guest, peer; /* TCP, once synced: what they send */
	uint64_t bytes_out, bytes_in;	/* payload from, to the guest */
	uint64_t begun_ns, seen_ns;
	char *name; /* that opened it, or NULL; the table frees it */
	struct flow_peek *peek;
	/* the table's own: a chain of the hash, and the class's list, least recently seen first */
	uint32_t chain, newer, older;
};

struct flow_table {
	struct flow *flow;	/* [0] is not used: 0 stands for none */
	uint32_t *bucket;	/* first of each chain */
	uint32_t unused, fresh; /* chain of given back ones; the first that was never used */
	uint32_t count;
	uint32_t oldest[FLOW_CLASSES], newest[FLOW_CLASSES];
	struct siphash_key key;
	/* A flow leaves the table; called before it is gone. May be NULL. */
	void (*ended)(void *arg, struct flow *flow, enum flow_end how);
	void *arg;
};

/* 0 or -errno. flow_table_destroy() works also after a failure, and on a zeroed struct. */
int flow_table_init(struct flow_table *table);
void flow_table_destroy(struct flow_table *table);

struct flow *flow_find(const struct flow_table *table, const struct flow_key *key);

/*
 * A new flow for a key that has none. A full table takes the least recently seen flow of the
 * lowest class away for it. NULL: all are open connections.
 */
struct flow *flow_add(struct flow_table *table, const struct flow_key *key, enum flow_class class,
		      uint64_t now_ns);

/* A packet of the flow was seen; it is of that class from now on. */
void flow_seen(struct flow_table *table, struct flow *flow, enum flow_class class, uint64_t now_ns);

/* Calls ended() and forgets the flow. */
void flow_end(struct flow_table *table, struct flow *flow, enum flow_end how);

/* Ends at most limit flows whose time is over. Returns how many. */
unsigned flow_expire(struct flow_table *table, uint64_t now_ns, unsigned limit);

/* Ends them all. */
void flow_end_all(struct flow_table *table, enum flow_end how);

/* The next flow after *at (0 at first) for showing them; NULL: no more. */
struct flow *flow_next(const struct flow_table *table, uint32_t *at);

const char *flow_end_text(enum flow_end how);

#endif
