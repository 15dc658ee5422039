/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the relay asks the policy. Its own copy tells which rule would decide, and denies; what it
 * would allow (or leave to a person) the monitor decides again, and logs, before it happens: so the
 * monitor's guard alone opens anything.
 */
#ifndef CORDON_RELAY_DECIDE_H
#define CORDON_RELAY_DECIDE_H

#include "vmm/policy/policy.h"
#include "vmm/relay/ip.h"

struct relay;
struct relay_verdict;

struct relay_request {
	enum policy_op op; /* POLICY_CONNECT, POLICY_RESOLVE, POLICY_LISTEN */
	enum policy_protocol protocol;
	const char *name;	   /* normalised; NULL: by address only */
	struct ip_address address; /* of the peer, as the guest sees it; family 0 with RESOLVE */
	uint16_t port;		   /* 0 for ICMP and DNS; of the guest for LISTEN */
	bool host;		   /* the host's loopback */
	const char *method, *path; /* of an HTTP request */
	bool unclear;
	bool covered; /* by a person's approval of its connection, by the rule that asks here too */
};

/* Which rule decides: number from 1, UINT32_MAX without one; the lowest of several counts. */
struct relay_choice {
	enum policy_verdict verdict; /* ALLOW, DENY or ASK */
	uint32_t order;
};

/* Decides by the relay's copy of the policy; logs nothing. LISTEN is always allowed. */
struct relay_choice decide_one(struct relay *relay, const struct relay_request *request);

/*
 * The same for a flow's first packet: over the address and all names that are pinned to it (of a
 * special address, rules about names count only if they deny). Takes
 * the name of the rule that decides (or, if none does, the one that the guest queried last) into
 * request->name, valid until the next packet.
 */
struct relay_choice decide_flow(struct relay *relay, struct relay_request *request);

/* A request that waits for the monitor, embedded in its owner's struct. */
struct relay_wait {
	/* Called once, never from within decide_check(). approved: by a person. */
	void (*done)(void *arg, bool allowed, bool approved);
	void *arg;
	/* private */
	uint32_t ticket; /* 0: does not wait */
};

/*
 * Requests the monitor's verdict. 0; -EBUSY: RELAY_CHECKS wait already, or the monitor does not
 * keep up, and done() will not be called.
 */
int decide_check(struct relay *relay, struct relay_wait *wait, const struct relay_request *request);

/* Nothing waits any more: done() is not called. Harmless if it does not wait. */
void decide_cancel(struct relay *relay, struct relay_wait *wait);

/* A message RELAY_VERDICT. */
void decide_verdict(struct relay *relay, const struct relay_verdict *verdict);

/*
 * Logs that a request was refused; at most 50 a second. why NULL: by the policy, whose rule the
 * monitor finds; else a constant or a text of at most 200 bytes.
 */
void decide_refused(struct relay *relay, const struct relay_request *request, const char *why);

/* Logs an event: what "flow-end", object "tcp 198.51.100.7:443 example.com", detail. */
void decide_note(struct relay *relay, const char *what, const char *object, const char *detail);

#endif
