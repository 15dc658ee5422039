/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the filter only. */
#ifndef CORDON_NET_FILTER_INTERNAL_H
#define CORDON_NET_FILTER_INTERNAL_H

#include "vmm/base/bucket.h"
#include "vmm/net/address.h"
#include "vmm/net/reply.h"
#include "vmm/net/filter.h"
#include "vmm/net/dns_pins.h"
#include "vmm/net/tls.h"

/* A guest's question that waits for a resolver. */
struct filter_dns {
	uint32_t ticket; /* 0: free */
	struct dns_question question;
	struct frame from; /* whom to answer: addresses and ports; data is gone */
};

/*
 * The first bytes that the guest sent on a connection. They stay until the peer has acknowledged
 * them: what is sent twice must be the same bytes, or the peer could see another name than we did.
 */
struct flow_peek {
	bool tls, http; /* there is a rule that could allow it by that name */
	bool decided;	/* allowed: frames go through again */
	bool asking;	/* a person, about the name in them */
	/* What a person has allowed before the handshake, if flow->approved: a protocol with a name
	 * ("": by address). */
	enum filter_protocol approved;
	char approved_name[DNS_NAME_TEXT];
	uint32_t start; /* sequence number of data[0] */
	uint32_t length;
	unsigned segments; /* that brought it */
	size_t largest;	   /* payload of these */
	/* The last one without its payload, for answers and for sending it all on. */
	uint8_t last[FRAME_HEADERS_MAX];
	size_t last_length;
	uint8_t data[TLS_PEEK_MAX];
};

struct held_frame {
	struct held_frame *next;
	size_t length;
	uint8_t data[];
};

/* A flow that waits for a person's answer. */
struct filter_ask {
	uint32_t question; /* 0: free */
	struct flow_key key;
	struct filter_request request; /* its name is the one below */
	char name[DNS_NAME_TEXT];
	uint32_t rule;
	uint64_t until_ns;
	bool peeking;	       /* the flow is there, and its peek holds what is held */
	bool plain, tls, http; /* TCP: how it goes on when it is allowed */
	uint32_t sequence;     /* TCP: of the SYN that is held */
	unsigned frames;
	size_t bytes;
	struct held_frame *held, **held_end; /* the first packets, at least one, if not peeking */
};

struct filter {
	struct filter_config config;
	const struct filter_ops *ops;
	void *arg;
	struct flow_table flows;
	struct dns_pins pins;
	struct filter_stats stats;
	struct bucket flow_rate, dns_rate, echo_rate, log_rate;
	struct filter_dns dns[FILTER_DNS_WAITING];
	uint32_t last_ticket, peeks, asks;
	size_t ask_bytes;
	struct filter_ask ask[FILTER_ASKS];
	/* Many flows end at once, as many as the guest has made: not each has a line in the log. */
	bool forgetting;
	struct filter_sum {
		uint32_t logged, flows; /* with a line of their own, without */
		uint64_t bytes_out, bytes_in;
	} forgotten;
	uint8_t out[FRAME_MAX]; /* frames that the filter makes */
};

/* --- filter.c --- */

/* A frame is not let through. */
void filter_drop_guest(struct filter *filter, unsigned why);
void filter_drop_peer(struct filter *filter, unsigned why);

/* The frame, with the MACs of the other side, to the other side. */
void filter_pass_to_peer(struct filter *filter, uint8_t *frame, size_t length);
void filter_pass_to_guest(struct filter *filter, uint8_t *frame, size_t length);

/* Refuses a frame of the guest: a reset or an ICMP error goes back. */
void filter_refuse(struct filter *filter, const struct frame *frame, unsigned why);

/* Refuses a frame from outside: a connection gets a reset, anything else no answer. */
void filter_refuse_peer(struct filter *filter, const struct frame *frame, unsigned why);

/* --- filter_decide.c --- */

/* A decision of the policy, and the place of its rule. */
struct filter_choice {
	enum filter_verdict verdict;
	uint32_t order;
};

/*
 * Whether the policy allows a new flow to an address, by it or by a name that is pinned to it: the
 * first rule counts that matches any of them. request has protocol and port; name (of that rule,
 * or the one to log), address and host are filled in. Nothing is logged.
 */
struct filter_choice filter_decide_flow(struct filter *filter, const struct frame *frame,
					struct filter_request *request, uint64_t now_ns);

/* Asks for one name, or none. */
struct filter_choice filter_decide_one(struct filter *filter, const struct filter_request *request);

/* Logs the refusal of a flow, unless there are too many. */
void filter_log_refused(struct filter *filter, const struct filter_request *request,
			const char *why, uint64_t now_ns);

/* A new flow of the guest, or NULL (counted and refused). name may be NULL. */
struct flow *filter_open_flow(struct filter *filter, const struct frame *frame,
			      const struct flow_key *key, enum flow_class class, const char *name,
			      uint32_t rule, uint64_t now_ns);

/*
 * Adds a flow opened from outside, if its port is published. NULL: it is not, or there are too many
 * flows (counted, and refused).
 */
struct flow *filter_open_inbound(struct filter *filter, const struct frame *frame,
				 const struct flow_key *key, enum flow_class class,
				 uint64_t now_ns);

/* Whether the policy still allows a flow; its rule may be another one from then on. */
bool filter_still_allowed(struct filter *filter, struct flow *flow);

void filter_log_end(struct filter *filter, const struct flow *flow, enum flow_end how);

/* One line for the flows that had none of their own. */
void filter_log_forgotten(struct filter *filter);

/* --- filter_track.c --- */

enum filter_segment { SEGMENT_DROP, SEGMENT_PASS, SEGMENT_RESET /* a reset that counts */ };

/* Follows a segment (no SYN of the guest) of a flow, and says what it is to the connection. */
enum filter_segment filter_track(struct flow *flow, const struct frame *frame, bool from_guest);

/* Whether a connection has ended at both ends, so that its ports may begin another one. */
bool filter_track_ended(const struct flow *flow);

/* Tells the guest what a live connection is at, for a SYN on its ports (RFC 5961, 4). */
void filter_track_challenge(struct filter *filter, const struct flow *flow,
			    const struct frame *frame);

/* Tells the peer of the end of a connection that the filter has given up. */
void filter_track_give_up(struct filter *filter, const struct flow *flow);

/* --- filter_tcp.c, filter_datagram.c, filter_dns.c --- */

void filter_tcp_from_guest(struct filter *filter, const struct frame *frame, uint8_t *bytes,
			   uint64_t now_ns);
void filter_tcp_from_peer(struct filter *filter, const struct frame *frame, uint8_t *bytes,
			  uint64_t now_ns);
void filter_udp_from_guest(struct filter *filter, const struct frame *frame, uint8_t *bytes,
			   uint64_t now_ns);
void filter_echo_from_guest(struct filter *filter, const struct frame *frame, uint8_t *bytes,
			    uint64_t now_ns);
void filter_datagram_from_peer(struct filter *filter, const struct frame *frame, uint8_t *bytes,
			       uint64_t now_ns);
void filter_dns_question(struct filter *filter, const struct frame *frame, uint64_t now_ns);

/* --- filter_ask.c --- */

/* What a flow of the guest begins as. */
static inline enum flow_class filter_class_of(const struct flow_key *key)
{
	if (key->protocol == IP_TCP)
		return FLOW_OPENING;
	return key->protocol == IP_UDP ? FLOW_UDP : FLOW_ECHO;
}

/*
 * Holds the first packet of a new flow, and has a person asked: of first, its request and how it
 * goes on are filled in. Refuses it (and logs that) if no operator is attached.
 */
void filter_ask_packet(struct filter *filter, const struct filter_ask *first,
		       const struct frame *frame, uint64_t now_ns);

/* One more packet from the guest: true if its flow waits, and the packet is dealt with. */
bool filter_ask_waits(struct filter *filter, const struct flow_key *key, const struct frame *frame);

/* Has a person asked about the name in a flow's first bytes. 0; else the request's answer says why
 * not, and the flow is to be refused. */
int filter_ask_name(struct filter *filter, struct flow *flow, struct filter_request *request,
		    uint32_t rule, uint64_t now_ns);

/* The flow is given up: by the guest, or it ends. */
void filter_ask_cancel(struct filter *filter, const struct flow_key *key);

/* Asks the policy once more about all that waits. */
void filter_ask_again(struct filter *filter, uint64_t now_ns);

/* Refuses what has waited too long. */
void filter_ask_expire(struct filter *filter, uint64_t now_ns);

/* Forgets all of it; tell: the questions are taken back. */
void filter_ask_forget(struct filter *filter, bool tell);

/* --- filter_peek.c --- */

/* Starts to hold back what the guest sends on a new flow. 0, -ENOBUFS (too many) or -ENOMEM. */
int filter_peek_begin(struct filter *filter, struct flow *flow, bool tls, bool http);
void filter_peek_end(struct filter *filter, struct flow *flow);

/* A segment of the guest on a flow that has a peek. May end the flow. */
void filter_peek_segment(struct filter *filter, struct flow *flow, const struct frame *frame,
			 uint8_t *bytes, uint64_t now_ns);

/* What came of the question about the name in a flow's first bytes. May end the flow. */
void filter_peek_answered(struct filter *filter, const struct filter_ask *ask, uint64_t now_ns);

/* The peer has acknowledged so far. */
void filter_peek_acknowledged(struct filter *filter, struct flow *flow, uint32_t acknowledged);

#endif
