/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame filter: everything between a sandbox's card and its backend, in both directions.
 *
 * It replies to ARP, DNS and echo requests to the router; passes flows that the policy allows;
 * refuses others at once (a TCP reset, an ICMP error); inspects the first bytes of a connection if
 * a rule is about a TLS or HTTP name; and drops and counts frames that do not parse, have a source
 * address that is not the guest's, or belong to no flow.
 *
 * If an 'ask' rule matches, the first packet of a flow is held back until an operator has decided,
 * or, if the rule is about a TLS or HTTP name and another rule has let the handshake pass, the
 * first bytes of the connection. What is held is bounded in number, bytes and time; other flows go
 * on.
 *
 * The filter owns no descriptor, timer or thread: frames, replies of resolvers and the time are
 * passed in, frames and questions are passed out through struct filter_ops. All calls come from one
 * thread. Times are nanoseconds of a monotonic clock. Frames are copies on the host, which the
 * filter may change.
 */
#ifndef CORDON_NET_FILTER_H
#define CORDON_NET_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/net/dns.h"
#include "vmm/net/flow.h"
#include "vmm/net/frame.h"

struct filter;

#define FILTER_PUBLISHED     16		/* ports of the guest that can be reached from outside */
#define FILTER_PEEKS	     256	/* connections whose first bytes are held back at a time */
#define FILTER_PEEK_SEGMENTS 1024	/* segments that may bring the first bytes of one of them */
#define FILTER_PEEK_BYTES    (5u << 20) /* of memory for all of them */
#define FILTER_FLOWS_SECOND  1000	/* new flows, with a burst of FILTER_FLOWS_BURST */
#define FILTER_FLOWS_BURST   2000
#define FILTER_DNS_SECOND    50 /* queries, with a burst of FILTER_DNS_BURST */
#define FILTER_DNS_BURST     200
#define FILTER_DNS_WAITING   64	    /* queries that wait for a resolver */
#define FILTER_ECHO_SECOND   20	    /* echo requests that are passed, with a burst of 40 */
#define FILTER_ECHO_PAYLOAD  64	    /* bytes one may carry; ping sends 56 */
#define FILTER_LOGGED_SECOND 50	    /* refusals that are logged, with a burst of 500 */
#define FILTER_FORGET_LOGGED 512    /* ends of flows, when many end at once; then their sum */
#define FILTER_ASKS	     32	    /* flows that wait for an operator's decision, at a time */
#define FILTER_ASK_FRAMES    8	    /* frames held back for one of them */
#define FILTER_ASK_BYTES     131072 /* bytes held back for all of them */

enum filter_op { FILTER_CONNECT, FILTER_RESOLVE, FILTER_LISTEN };
enum filter_protocol {
	FILTER_TCP,
	FILTER_UDP,
	FILTER_TLS,
	FILTER_HTTP,
	FILTER_ICMP,
	FILTER_DNS,
};

#define FILTER_NO_RULE UINT32_MAX

enum filter_verdict { FILTER_DENY, FILTER_ALLOW, FILTER_ASK };

/* The outcome of an operator's question. */
enum filter_answer {
	FILTER_UNASKED, /* the policy alone decides */
	FILTER_APPROVED,
	FILTER_DECLINED,
	FILTER_UNATTENDED, /* no operator is attached */
	FILTER_UNASKABLE,  /* the policy says `on-ask deny` */
	FILTER_OVERASKED,  /* too many questions */
};

/* An operation to decide about. */
struct filter_request {
	enum filter_op op;
	enum filter_protocol protocol;
	const char *name;	   /* normalised; NULL: by address only */
	uint32_t address;	   /* 0 with FILTER_RESOLVE */
	uint16_t port;		   /* 0 for ICMP and DNS; of the guest for FILTER_LISTEN */
	bool host;		   /* the host's loopback */
	enum filter_answer answer; /* used if the policy's verdict is 'ask' */
};

struct filter_ops {
	/*
	 * Pass a frame to the guest, to the backend. The owner takes it at once; see
	 * filter_from_guest().
	 */
	void (*to_guest)(void *arg, const uint8_t *frame, size_t length);
	void (*to_peer)(void *arg, const uint8_t *frame, size_t length);
	/*
	 * Whether the policy allows the operation. decide() does not log; *order is the position of
	 * the rule that decides, lower for earlier rules, or FILTER_NO_RULE. check() logs the
	 * decision.
	 */
	enum filter_verdict (*decide)(void *arg, const struct filter_request *request,
				      uint32_t *order);
	bool (*check)(void *arg, const struct filter_request *request);
	/*
	 * Opens a question for an operator: filter_answered() is called with its number later,
	 * once. The same request again gets the same number. Returns a number above 0; -ENOENT: no
	 * operator is attached; -EACCES: the policy says `on-ask deny`; -EBUSY: too many questions.
	 */
	int (*ask)(void *arg, const struct filter_request *request);
	/* Withdraws a question: no flow waits for the decision any longer. */
	void (*unask)(void *arg, uint32_t question);
	/* Logs an event that is not a decision: "flow-end", "dns-answer", "flow-refused". */
	void (*note)(void *arg, const char *what, const char *object, const char *detail);
	/*
	 * Queries the A records of a name: filter_resolved() is called with the ticket later, once.
	 * 0, or -errno if it is not possible now.
	 */
	int (*resolve)(void *arg, uint32_t ticket, const char *name);
};

struct filter_config {
	uint8_t guest_mac[FRAME_MAC];  /* the card's, as the guest sees it */
	uint8_t router_mac[FRAME_MAC]; /* of all other addresses, as the guest sees it */
	uint8_t card_mac[FRAME_MAC];   /* the card's, as the backend sees it */
	uint8_t peer_mac[FRAME_MAC];   /* the backend's */
	bool arp; /* the backend sends ARP requests for the card's address (a tap) */
	/* The backend loses no SYN, and treats a repeated one as an error (passt). */
	bool once;
	/*
	 * The addresses of the guest and the host's end outside; 0: none. The guest knows both by
	 * other addresses, and cannot reach them by these.
	 */
	uint32_t hidden[2];
	unsigned published;
	struct {
		uint16_t port; /* of the guest */
		bool udp;
	} publish[FILTER_PUBLISHED];
};

/* Why the filter dropped a frame, in addition to the verdicts of frame.h. */
enum filter_drop {
	FILTER_SPOOFED = FRAME_VERDICTS, /* a source MAC or address that is not the sender's */
	FILTER_ASTRAY,			 /* to a MAC or address that does not exist */
	FILTER_NO_FLOW,			 /* of a connection that does not exist */
	FILTER_REFUSED,			 /* by the policy */
	FILTER_FLOODED,			 /* over a rate or a table's size */
	FILTER_PEEK_GAP,     /* inspected bytes out of order, or repeated with a difference */
	FILTER_IN_USE,	     /* a SYN on the ports of a connection that has not ended */
	FILTER_OUT_OF_PLACE, /* before the handshake, after the end, or out of the window */
	FILTER_DROPS
};

struct filter_stats {
	uint64_t guest_frames, guest_bytes, peer_frames, peer_bytes; /* passed */
	uint64_t guest_drop[FILTER_DROPS], peer_drop[FILTER_DROPS];
	uint64_t questions, answered;
	uint32_t flows, peeks, pins, asks, unlogged;
};

const char *filter_drop_text(unsigned drop);

/* 0 or -errno. */
int filter_create(struct filter **out, const struct filter_config *config,
		  const struct filter_ops *ops, void *arg);
void filter_destroy(struct filter *filter);

/* The MAC of the guest's card has changed. */
void filter_set_guest_mac(struct filter *filter, const uint8_t mac[FRAME_MAC]);

/*
 * Handles a frame from the guest. partial: its transport checksum is not filled in yet. Causes at
 * most 1 frame to the guest; to the backend usually 1 or 2, and up to TLS_PEEK_MAX bytes of payload
 * that were held back, in frames of at least 536 bytes. Owners pass no frames while there is no
 * room for these.
 */
void filter_from_guest(struct filter *filter, uint8_t *frame, size_t length, bool partial,
		       uint64_t now_ns);

/* Handles a frame from the backend. Causes at most 1 frame to the guest, and 1 to the backend. */
void filter_from_peer(struct filter *filter, uint8_t *frame, size_t length, uint64_t now_ns);

/* The resolvers' reply for a ticket: an enum dns_rcode, and addresses with DNS_NO_ERROR. */
void filter_resolved(struct filter *filter, uint32_t ticket, int rcode,
		     const struct dns_addresses *addresses, uint64_t now_ns);

/* The decision on a question of ops->ask(): FILTER_APPROVED, or why not. */
void filter_answered(struct filter *filter, uint32_t question, enum filter_answer answer,
		     uint64_t now_ns);

/*
 * Expires idle flows, and flows whose question has timed out; a bounded number at a time. Call it
 * once a second.
 */
void filter_expire(struct filter *filter, uint64_t now_ns);

/* The policy has changed: ends the flows that it no longer allows. */
void filter_policy_changed(struct filter *filter, uint64_t now_ns);

/* The card was reset, or belongs to a restored guest: forgets everything about the former guest. */
void filter_forget(struct filter *filter);

void filter_stats(const struct filter *filter, struct filter_stats *stats);

/* Iterates over the flows: the next one after *at (0 at first), or NULL at the end. */
const struct flow *filter_flow_next(const struct filter *filter, uint32_t *at);

#endif
