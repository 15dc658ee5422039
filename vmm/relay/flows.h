/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of flows: connections and exchanges of the guest, by protocol, peer and ports. Bounded;
 * an idle flow expires after the time of its class. The hash has a random key, so a guest cannot
 * choose keys that collide. Each flow may have one deadline; they are kept in a heap.
 *
 * A flow is embedded in its owner's struct (a stream, an exchange of datagrams); the table never
 * allocates for it. Times are nanoseconds of guest time. Not thread safe.
 */
#ifndef CORDON_RELAY_FLOWS_H
#define CORDON_RELAY_FLOWS_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/net/siphash.h"
#include "vmm/relay/ip.h"

#define RELAY_FLOWS   16384 /* at a time */
#define RELAY_NO_RULE 0
#define RELAY_NEVER   UINT64_MAX

/* A class has an idle time; flows of a lower class make room for new ones first. */
enum relay_class {
	RELAY_OPENING, /* undecided, or the peer has not replied: 130 s (TCP), as connect(2) takes
			*/
	RELAY_CLOSING, /* both ends have sent FIN: 60 s */
	RELAY_ECHO,    /* 30 s */
	RELAY_UDP,     /* 180 s */
	RELAY_OPEN,    /* TCP: 2 h 10 min, longer than a keep-alive interval; never makes room */
	RELAY_CLASSES
};

enum relay_end {
	RELAY_CLOSED,  /* by both ends, or reset by one */
	RELAY_EXPIRED, /* idle */
	RELAY_EVICTED, /* made room for a new flow */
	RELAY_REFUSED, /* by the policy, because of what its bytes say */
	RELAY_DROPPED, /* the policy has changed, or the guest is another one */
};

struct relay_key {
	struct ip_address peer;		/* as the guest sees it */
	uint16_t guest_port, peer_port; /* echo: the identifier, 0 */
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP (of both families) */
};

struct relay_flow;

/* What a flow is, to the table and to those who walk through it. */
struct relay_flow_ops {
	/*
	 * The table has taken the flow out and does not touch it again: closes both its sides (a
	 * reset to each end that is still open), logs its end and frees it. May end other flows.
	 */
	void (*end)(struct relay_flow *flow, enum relay_end why);
	/* Whether the policy in force would still open it; takes the rule that would. Ends no flow.
	 */
	bool (*still_allowed)(struct relay_flow *flow);
	/*
	 * Its deadline has come, and is cleared: it may set another one. May end this flow and
	 * others. NULL: it sets none.
	 */
	void (*tick)(struct relay_flow *flow, uint64_t now_ns);
};

struct relay_flow {
	/* the owner's */
	const struct relay_flow_ops *ops;
	struct relay_key key;
	bool inbound;	    /* a client of a published port */
	bool host;	    /* to or from the host's loopback */
	uint32_t published; /* inbound: which published port, from 1 (listen.c); else 0 */
	bool approved;	    /* by a person, because of an 'ask' rule */
	uint32_t rule;	    /* number of the rule that opened it, from 1; RELAY_NO_RULE */
	char *name;	    /* that opened it; NULL: opened by address. The owner's to free */
	int error;	    /* why the outside could not be connected, an errno; 0: it was */
	uint64_t bytes_out,
		bytes_in; /* payload from, to the guest: counted here and nowhere else */
	/* private to the table */
	enum relay_class class;
	uint64_t begun_ns, seen_ns, deadline_ns;
	uint32_t heap; /* place in the heap, from 1; 0: none */
	struct relay_flow *chain, *newer, *older;
};

struct relay_flows {
	struct relay_flow **bucket, **heap;
	uint32_t count, heap_count;
	struct relay_flow *oldest[RELAY_CLASSES], *newest[RELAY_CLASSES];
	uint64_t floor_ns; /* while relay_flows_tick() runs: the earliest deadline it lets be set */
	struct relay_walk *walks; /* that are under way: flows.c */
	struct siphash_key key;
};

/* 0 or -errno. relay_flows_destroy() works also after a failure, and on a zeroed struct. */
int relay_flows_init(struct relay_flows *flows);
/* Ends all flows (RELAY_DROPPED) and frees the table. */
void relay_flows_destroy(struct relay_flows *flows);

struct relay_flow *relay_flows_find(const struct relay_flows *flows, const struct relay_key *key);

/*
 * Adds a flow whose ops and key are set, and whose key has no flow. A full table ends the flow of
 * the lowest class that was seen least recently. false: all are open connections.
 */
bool relay_flows_add(struct relay_flows *flows, struct relay_flow *flow, enum relay_class class,
		     uint64_t now_ns);

/* The flow has had a packet; sets its class. */
void relay_flows_seen(struct relay_flows *flows, struct relay_flow *flow, enum relay_class class,
		      uint64_t now_ns);

/* When ops->tick() is to be called; RELAY_NEVER: not. */
void relay_flows_deadline(struct relay_flows *flows, struct relay_flow *flow, uint64_t at_ns);

/* Takes the flow out, then calls ops->end(). Does nothing if it is out: from within its own end().
 */
void relay_flows_end(struct relay_flows *flows, struct relay_flow *flow, enum relay_end why);

/* The earliest deadline of all flows; RELAY_NEVER. */
uint64_t relay_flows_next_deadline(const struct relay_flows *flows);

/*
 * Calls tick() of at most limit flows whose deadline has come, earliest first, each once: deadlines
 * that are set meanwhile count as later than now_ns. Returns their number.
 */
unsigned relay_flows_tick(struct relay_flows *flows, uint64_t now_ns, unsigned limit);

/* Ends at most limit idle flows. Returns their number. */
unsigned relay_flows_expire(struct relay_flows *flows, uint64_t now_ns, unsigned limit);

/* Ends all flows, or all that ops->still_allowed() denies. */
void relay_flows_end_all(struct relay_flows *flows, enum relay_end why);
void relay_flows_policy_changed(struct relay_flows *flows);

/*
 * Iterates over all flows: the next one after `flow` (NULL at first), NULL: no more. In no order
 * that means anything; relay_flows_seen() does not change it. A flow that is to be ended on the
 * way: take the next one first, and end no other. Flows that are added meanwhile may be left out.
 */
struct relay_flow *relay_flows_after(const struct relay_flows *flows, struct relay_flow *flow);

const char *relay_end_text(enum relay_end why);

/*
 * What the host lacks for a permitted flow's socket, after an error of socket(2), connect(2) or
 * epoll_ctl(2): a constant for decide_refused(). NULL: the error is about the peer.
 */
const char *relay_lack(int error);

#endif
