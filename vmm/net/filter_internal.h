/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the files of the filter. */
#ifndef CORDON_NET_FILTER_INTERNAL_H
#define CORDON_NET_FILTER_INTERNAL_H

#include "vmm/base/bucket.h"
#include "vmm/net/address.h"
#include "vmm/net/reply.h"
#include "vmm/net/filter.h"
#include "vmm/net/dns_pins.h"
#include "vmm/net/tls.h"

/* A query of the guest that waits for a resolver. */
struct filter_dns {
	uint32_t ticket; /* 0: free */
	struct dns_question question;
	struct frame from; /* where the reply goes: addresses and ports; without data */
};

/*
 * The first bytes that the guest sent on a connection. They are kept until the peer has
 * acknowledged them: retransmitted bytes must be equal, or the peer could see another name than the
 * filter did.
 */
struct flow_peek {
	bool tls, http; /* a rule could allow the connection by such a name */
	bool decided;	/* allowed: frames pass again */
	bool asking;	/* an operator is to decide about the name */
	/*
	 * What an operator approved before the handshake, if flow->approved: a protocol, and a name
	 * ("": by address).
	 */
	enum filter_protocol approved;
	char approved_name[DNS_NAME_TEXT];
	uint32_t start; /* sequence number of data[0] */
	uint32_t length;
	unsigned segments; /* that brought the data */
	size_t largest;	   /* largest payload of these */
	/* The headers of the last one, for acknowledgements and for passing the data on. */
	uint8_t last[FRAME_HEADERS_MAX];
	size_t last_length;
	uint8_t data[TLS_PEEK_MAX];
};

struct held_frame {
	struct held_frame *next;
	size_t length;
	uint8_t data[];
};

/* A flow that waits for an operator's decision. */
struct filter_ask {
	uint32_t question; /* 0: free */
	struct flow_key key;
	struct filter_request request; /* its name points to the one below */
	char name[DNS_NAME_TEXT];
	uint32_t rule;
	bool peeking;	       /* the flow exists, and its peek holds the bytes */
	bool plain, tls, http; /* TCP: how it continues when it is allowed */
	uint32_t sequence;     /* TCP: of the held SYN */
	unsigned frames;
	size_t bytes;
	struct held_frame *held, **held_end; /* the first packets, at least one unless peeking */
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
	/*
	 * All flows end at once, as many as the guest has made: not each of them has a line in the
	 * log.
	 */
	bool forgetting;
	struct filter_sum {
		uint32_t logged, flows; /* flows with a line of their own, and those without */
		uint64_t bytes_out, bytes_in;
	} forgotten;
	uint8_t out[FRAME_MAX]; /* for frames that the filter makes */
};

/* --- filter.c --- */

/* Counts a frame that is dropped. */
void filter_drop_guest(struct filter *filter, unsigned why);
void filter_drop_peer(struct filter *filter, unsigned why);

/* Set the MACs of the other side, and pass the frame to that side. */
void filter_pass_to_peer(struct filter *filter, uint8_t *frame, size_t length);
void filter_pass_to_guest(struct filter *filter, uint8_t *frame, size_t length);

/* Refuses a frame of the guest: sends it a reset or an ICMP error. */
void filter_refuse(struct filter *filter, const struct frame *frame, unsigned why);

/* Refuses a frame from outside: a connection gets a reset, anything else no reply. */
void filter_refuse_peer(struct filter *filter, const struct frame *frame, unsigned why);

/* --- filter_decide.c --- */

/* A decision of the policy, and the position of its rule. */
struct filter_choice {
	enum filter_verdict verdict;
	uint32_t order;
};

/*
 * Decides about a new flow to an address, by the address and by each name that is pinned to it: the
 * first rule that matches any of them decides. request has protocol and port; fills in name (of
 * that rule, or the one to log), address and host. Logs nothing.
 */
struct filter_choice filter_decide_flow(struct filter *filter, const struct frame *frame,
					struct filter_request *request, uint64_t now_ns);

/* Decides about one name, or the address alone. */
struct filter_choice filter_decide_one(struct filter *filter, const struct filter_request *request);

/* Logs the refusal of a flow, unless there are too many. */
void filter_log_refused(struct filter *filter, const struct filter_request *request,
			const char *why, uint64_t now_ns);

/* Adds a flow of the guest; NULL if it was counted and refused. name may be NULL. */
struct flow *filter_open_flow(struct filter *filter, const struct frame *frame,
			      const struct flow_key *key, enum flow_class class, const char *name,
			      uint32_t rule, uint64_t now_ns);

/*
 * Adds a flow opened from outside, if its port is published. NULL (counted and refused): it is not,
 * or there are too many flows.
 */
struct flow *filter_open_inbound(struct filter *filter, const struct frame *frame,
				 const struct flow_key *key, enum flow_class class,
				 uint64_t now_ns);

/* Whether the policy still allows a flow, perhaps by another rule, which the flow then has. */
bool filter_still_allowed(struct filter *filter, struct flow *flow);

void filter_log_end(struct filter *filter, const struct flow *flow, enum flow_end how);

/* Logs one line for all flows that had none of their own. */
void filter_log_forgotten(struct filter *filter);

/* --- filter_track.c --- */

enum filter_segment { SEGMENT_DROP, SEGMENT_PASS, SEGMENT_RESET /* a valid reset */ };

/* Tracks a segment of a flow (not a SYN of the guest), and says what to do with it. */
enum filter_segment filter_track(struct flow *flow, const struct frame *frame, bool from_guest);

/* Whether a connection has ended at both ends, so that its ports can be used for another one. */
bool filter_track_ended(const struct flow *flow);

/* Sends the guest the state of a live connection, in reply to a SYN on its ports (RFC 5961, 4). */
void filter_track_challenge(struct filter *filter, const struct flow *flow,
			    const struct frame *frame);

/* Sends the peer a reset of a connection that the filter has given up. */
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

/* The class of a new flow of the guest. */
static inline enum flow_class filter_class_of(const struct flow_key *key)
{
	if (key->protocol == IP_TCP)
		return FLOW_OPENING;
	return key->protocol == IP_UDP ? FLOW_UDP : FLOW_ECHO;
}

/*
 * Holds the first packet of a new flow, and opens a question: first has its request, and how the
 * flow continues. Refuses and logs the flow if no operator is attached.
 */
void filter_ask_packet(struct filter *filter, const struct filter_ask *first,
		       const struct frame *frame, uint64_t now_ns);

/* Handles a packet of the guest if its flow waits for a decision; false if it does not. */
bool filter_ask_waits(struct filter *filter, const struct flow_key *key, const struct frame *frame);

/*
 * Opens a question about the name in a flow's first bytes. 0; else the request's answer says why
 * not, and the caller refuses the flow.
 */
int filter_ask_name(struct filter *filter, struct flow *flow, struct filter_request *request,
		    uint32_t rule);

/* The flow has ended, or the guest gave it up. */
void filter_ask_cancel(struct filter *filter, const struct flow_key *key);

/* Decides again about everything that waits. */
void filter_ask_again(struct filter *filter, uint64_t now_ns);

/* Call it now and then: flows that wait for a decision do not count as idle. */
void filter_ask_keep(struct filter *filter, uint64_t now_ns);

/* Forgets everything that waits; tell: withdraws the questions. */
void filter_ask_forget(struct filter *filter, bool tell);

/* --- filter_peek.c --- */

/* Starts to hold back the guest's bytes on a new flow. 0, -ENOBUFS (too many) or -ENOMEM. */
int filter_peek_begin(struct filter *filter, struct flow *flow, bool tls, bool http);
void filter_peek_end(struct filter *filter, struct flow *flow);

/* Handles a segment of the guest on a flow that has a peek. May end the flow. */
void filter_peek_segment(struct filter *filter, struct flow *flow, const struct frame *frame,
			 uint8_t *bytes, uint64_t now_ns);

/* Applies the outcome of the question about the name in a flow's first bytes. May end the flow. */
void filter_peek_answered(struct filter *filter, const struct filter_ask *ask, uint64_t now_ns);

/* The peer has acknowledged everything up to that number. */
void filter_peek_acknowledged(struct filter *filter, struct flow *flow, uint32_t acknowledged);

#endif
