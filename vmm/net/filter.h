/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame filter: everything between a sandbox's card and its backend, in both directions.
 *
 * It answers ARP, echo requests to the router, and DNS; lets flows through that the policy allows;
 * refuses the others at once (a TCP reset, an ICMP error); looks at the first bytes of a connection
 * where a rule is about a TLS or HTTP name; and drops and counts what does not parse, comes from
 * an address that is not the guest's, or belongs to no flow.
 *
 * Where a rule has a person asked, the first packet of a flow (or, where the question is about a
 * TLS or HTTP name that another rule has let pass so far, its first bytes) is held back until there
 * is an answer, in bounds of number, bytes and time; other flows go on.
 *
 * It owns no descriptor, timer or thread: frames, answers of resolvers and the time are passed in,
 * frames and questions come out through struct filter_ops. All calls from one thread. Times are
 * nanoseconds of a clock that does not go back. Frames are copies on the host: they may be changed.
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

#define FILTER_PUBLISHED     16		/* ports of the guest that may be reached from outside */
#define FILTER_PEEKS	     256	/* connections whose first bytes are held back, at a time */
#define FILTER_PEEK_SEGMENTS 1024	/* that the first bytes of one of them may come in */
#define FILTER_PEEK_BYTES    (5u << 20) /* of memory for all of them */
#define FILTER_FLOWS_SECOND  1000	/* new flows, with a burst of FILTER_FLOWS_BURST */
#define FILTER_FLOWS_BURST   2000
#define FILTER_DNS_SECOND    50 /* questions, with a burst of FILTER_DNS_BURST */
#define FILTER_DNS_BURST     200
#define FILTER_DNS_WAITING   64	    /* questions that wait for a resolver */
#define FILTER_ECHO_SECOND   20	    /* echo requests that leave, with a burst of 40 */
#define FILTER_ECHO_PAYLOAD  64	    /* bytes one may carry; ping sends 56 */
#define FILTER_LOGGED_SECOND 50	    /* refusals that are logged, with a burst of 500 */
#define FILTER_FORGET_LOGGED 512    /* ends of flows, when many end at once; then their sum */
#define FILTER_ASKS	     32	    /* flows that wait for a person's answer, at a time */
#define FILTER_ASK_FRAMES    8	    /* held back of one of them */
#define FILTER_ASK_BYTES     131072 /* held back of all of them */
#define FILTER_ASK_NS	     UINT64_C(60000000000) /* how long one waits: 60 s */

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

/* What came of asking a person. */
enum filter_answer {
	FILTER_UNASKED, /* the policy alone decides */
	FILTER_APPROVED,
	FILTER_DECLINED,
	FILTER_UNANSWERED, /* in time */
	FILTER_UNATTENDED, /* no operator is attached */
	FILTER_OVERASKED,  /* too many questions */
};

/* A question to the policy. */
struct filter_request {
	enum filter_op op;
	enum filter_protocol protocol;
	const char *name;	   /* normalised; NULL: by address only */
	uint32_t address;	   /* 0 with FILTER_RESOLVE */
	uint16_t port;		   /* 0 for ICMP and DNS; of the guest for FILTER_LISTEN */
	bool host;		   /* the host's loopback */
	enum filter_answer answer; /* counts where the policy has a person asked */
};

struct filter_ops {
	/* A frame for the guest, for the backend. Taken at once; see filter_from_guest(). */
	void (*to_guest)(void *arg, const uint8_t *frame, size_t length);
	void (*to_peer)(void *arg, const uint8_t *frame, size_t length);
	/*
	 * Whether the policy allows that. decide: without a word; *order is the place of the rule
	 * that says so, the first is the lowest, FILTER_NO_RULE: none. check: and logs it.
	 */
	enum filter_verdict (*decide)(void *arg, const struct filter_request *request,
				      uint32_t *order);
	bool (*check)(void *arg, const struct filter_request *request);
	/*
	 * Has a person asked; filter_answered() with the number, later and once. The same question
	 * once more has the same number. A number above 0; -ENOENT: no operator is attached;
	 * -EBUSY: too many questions.
	 */
	int (*ask)(void *arg, const struct filter_request *request);
	/* No flow waits for that answer any more. */
	void (*unask)(void *arg, uint32_t question);
	/* What is no decision of the policy: "flow-end", "dns-answer", "flow-refused". */
	void (*note)(void *arg, const char *what, const char *object, const char *detail);
	/*
	 * Find the A records of a name; filter_resolved() with the ticket, later and once. 0, or
	 * -errno: it can't be done now.
	 */
	int (*resolve)(void *arg, uint32_t ticket, const char *name);
};

struct filter_config {
	uint8_t guest_mac[FRAME_MAC];  /* the card's, as the guest sees it */
	uint8_t router_mac[FRAME_MAC]; /* of all other addresses, as the guest sees it */
	uint8_t card_mac[FRAME_MAC];   /* the card's, as the backend sees it */
	uint8_t peer_mac[FRAME_MAC];   /* the backend's */
	bool arp;		       /* the backend asks for the card's address (a tap) */
	/* The backend loses no SYN, and takes one that comes twice for a fault (passt). */
	bool once;
	/* What the guest and the host's end are called outside; 0: nothing. The guest knows them by
	 * other addresses, and does not reach them by these. */
	uint32_t hidden[2];
	unsigned published;
	struct {
		uint16_t port; /* of the guest */
		bool udp;
	} publish[FILTER_PUBLISHED];
};

/* What the filter did not let through, and why, beside the verdicts of frame.h. */
enum filter_drop {
	FILTER_SPOOFED = FRAME_VERDICTS, /* a source MAC or address that is not the sender's */
	FILTER_ASTRAY,			 /* to a MAC or address that is not there */
	FILTER_NO_FLOW,			 /* of a connection that is not there */
	FILTER_REFUSED,			 /* by the policy */
	FILTER_FLOODED,			 /* over a rate or a table's size */
	FILTER_PEEK_GAP,		 /* held-back bytes out of order, or sent twice unlike */
	FILTER_IN_USE,			 /* a SYN on the ports of a connection that has not ended */
	FILTER_OUT_OF_PLACE, /* before the handshake, behind the end, out of the window */
	FILTER_DROPS
};

struct filter_stats {
	uint64_t guest_frames, guest_bytes, peer_frames, peer_bytes; /* let through */
	uint64_t guest_drop[FILTER_DROPS], peer_drop[FILTER_DROPS];
	uint64_t questions, answered;
	uint32_t flows, peeks, pins, asks, unlogged;
};

const char *filter_drop_text(unsigned drop);

/* 0 or -errno. */
int filter_create(struct filter **out, const struct filter_config *config,
		  const struct filter_ops *ops, void *arg);
void filter_destroy(struct filter *filter);

/* The guest's card has another MAC from now on. */
void filter_set_guest_mac(struct filter *filter, const uint8_t mac[FRAME_MAC]);

/*
 * A frame from the guest. partial: its transport checksum is to be filled in. At most
 * 1 frame goes to the guest for it; to the backend mostly 1 or 2, and up to TLS_PEEK_MAX bytes of
 * payload that were held back, in frames of at least 536 bytes. Owners stop giving frames while
 * there is no room for that.
 */
void filter_from_guest(struct filter *filter, uint8_t *frame, size_t length, bool partial,
		       uint64_t now_ns);

/* A frame from the backend. At most 1 frame goes to the guest for it, and 1 to the backend. */
void filter_from_peer(struct filter *filter, uint8_t *frame, size_t length, uint64_t now_ns);

/* The resolvers' answer for a ticket: an enum dns_rcode, and addresses with DNS_NO_ERROR. */
void filter_resolved(struct filter *filter, uint32_t ticket, int rcode,
		     const struct dns_addresses *addresses, uint64_t now_ns);

/* The answer to a question of ops->ask(): FILTER_APPROVED, or why not. */
void filter_answered(struct filter *filter, uint32_t question, enum filter_answer answer,
		     uint64_t now_ns);

/*
 * Expires idle flows, and flows whose approval has timed out; a bounded number at a time. Call it
 * once a second.
 */
void filter_expire(struct filter *filter, uint64_t now_ns);

/* The policy has changed: ends the flows that it does not allow any more. */
void filter_policy_changed(struct filter *filter, uint64_t now_ns);

/* The card is new (a reset, a restored guest): everything of the former guest is forgotten. */
void filter_forget(struct filter *filter);

void filter_stats(const struct filter *filter, struct filter_stats *stats);

/* The flows, one after the other: *at is 0 at first. NULL: no more. */
const struct flow *filter_flow_next(const struct filter *filter, uint32_t *at);

#endif
