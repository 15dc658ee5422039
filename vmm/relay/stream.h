/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP connection of the guest: the endpoint that the guest talks to, and what is behind it, a
 * socket of the host or a consumer inside the relay. Shared by stream*.c.
 *
 * The bytes that a rule is asked about are those that tcp_peek() shows, and no others are sent: so
 * the judged stream and the one outside cannot differ.
 */
#ifndef CORDON_RELAY_STREAM_H
#define CORDON_RELAY_STREAM_H

#include "vmm/relay/judge.h"
#include "vmm/relay/relay.h"

#define STREAM_TURN   (256u << 10) /* bytes each way before it is another stream's turn */
#define STREAM_PACKET 48	   /* of its SYN, for ICMP errors about it */

/*
 * From the answer to the SYN until the ClientHello or first request of a connection that such rules
 * opened is complete; a person's decision does not count. As long as connect(2) may take.
 */
#define STREAM_JUDGE_NS UINT64_C(130000000000)

enum stream_stage {
	STREAM_DECIDING,   /* waits for the monitor's verdict; nothing is connected or answered */
	STREAM_CONNECTING, /* connect(2) runs, the guest's SYN has no answer */
	STREAM_OPEN, /* the outside is connected (inbound: the guest's handshake may still run) */
};

/* What is behind a stream instead of a socket. */
struct stream_consumer {
	/*
	 * Judged bytes of the guest. Returns how many it takes; after fewer, stream_wake() later.
	 * -errno: the connection is reset.
	 */
	ssize_t (*input)(void *arg, const uint8_t *bytes, size_t length);
	/* Each time the stream has moved its bytes. */
	void (*turn)(void *arg);
	/* The guest sends no more. */
	void (*ended)(void *arg);
	/* The stream is gone. */
	void (*destroy)(void *arg);
};

/* The two ends as the guest sees them, for what the endpoint sends. */
struct stream_ends {
	struct relay *relay;
	struct ip_address guest, peer;
	uint16_t guest_port, peer_port;
};

struct relay_stream {
	struct relay_flow flow;
	struct relay *relay;
	struct stream_ends ends;
	struct tcp *tcp; /* NULL: inbound, and not yet allowed */
	enum stream_stage stage;
	struct relay_wait wait;

	const struct stream_consumer *consumer; /* NULL: the socket */
	void *consumer_arg;
	struct loop_source socket;
	bool readable, writable; /* the socket, as far as known */
	bool read_on;	/* a short read is not all: an end, an error or an urgent byte follows */
	bool lost;	/* it has failed: the guest learns of that behind what it still gets */
	bool torn;	/* and it had not ended before: what seems its end is none */
	bool starved;	/* there was no memory for what the socket has: tried again at a deadline */
	bool in_ended;	/* the outside sends no more */
	bool out_ended; /* and has been told that the guest sends no more */

	struct judge judge;
	enum policy_protocol
		protocol;     /* by whose rule it is open: POLICY_TCP; or that of the judge */
	bool judged;	      /* by name or request, and allowed at least once */
	uint64_t judge_by_ns; /* when that is to have happened */
	bool asked;	      /* an operator has allowed it before it was connected */
	enum policy_protocol asked_protocol;
	uint32_t asked_rule;   /* that the operator was shown: its number now */
	uint32_t pending_rule; /* of the request that waits */
	bool pending_pinned;   /* and whether a DNS reply gave the address for its name */
	bool name_pinned;      /* the same of flow.name, when the stream was judged first */
	/* The first bytes of the server, while an upgrade may depend on them. */
	uint8_t *response;
	size_t response_length;
	/* The path of a permitted upgrade: what follows is part of that request. */
	char *upgrade_path;
	bool upgrade_unclear;

	uint8_t packet[STREAM_PACKET];
	size_t packet_length;
	bool ready; /* in the relay's list */
	struct relay_stream *next_ready, *previous_ready;
};

/* --- stream.c --- */

/* It may have something to do: it gets a turn before the loop waits. */
void stream_wake(struct relay_stream *stream);

/* Both ends get a reset, if they are still connected. The stream is gone. */
void stream_end(struct relay_stream *stream, enum relay_end why);

/*
 * A new stream with an endpoint for the guest's SYN; not in the table yet. NULL: out of memory, or
 * the segment is none that opens a connection.
 */
struct relay_stream *stream_new(struct relay *relay, const struct relay_key *key);

/*
 * Hands a stream whose SYN has no answer yet to a consumer, which takes all that the guest sends,
 * and writes to stream->tcp: it is accepted.
 */
void stream_consume(struct relay_stream *stream, const struct stream_consumer *consumer, void *arg);

/* --- stream_open.c --- */

/* Decides about a SYN: the stream goes on, or is gone. */
void stream_decide(struct relay_stream *stream);
bool stream_still_allowed(struct relay_flow *flow);

#define STREAM_EVENTS (EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET)

/* The socket of a stream that is connecting has an event: its connection or an error. */
void stream_connected(struct relay_stream *stream);

/* --- stream_judge.c --- */

/* Decides about the judge's subject. False: the stream is gone. */
bool stream_decide_subject(struct relay_stream *stream);

/*
 * When a stream is to be refused unless more of its bytes come: RELAY_NEVER once it was judged, if
 * it needs not be, or while a verdict is awaited. stream_overdue() refuses it; true: it is gone.
 */
uint64_t stream_judge_by(const struct relay_stream *stream);
bool stream_overdue(struct relay_stream *stream);

/* The verdict about it. False: the stream is gone. */
bool stream_subject_decided(struct relay_stream *stream, bool allowed, bool approved);

/* The same for what could not be judged, as TLS or HTTP. The stream is gone. */
void stream_refuse_unjudged(struct relay_stream *stream, const char *why);

/* Refuses the connection because of its bytes; why as for decide_refused(). The stream is gone. */
void stream_refuse(struct relay_stream *stream, const struct relay_request *request,
		   const char *why);

/* The connection as rules see it, without a name. */
struct relay_request stream_request(const struct relay_stream *stream,
				    enum policy_protocol protocol);

/* --- stream_move.c --- */

/* Moves bytes both ways. False: the stream is gone. *more: it has work left. */
bool stream_move(struct relay_stream *stream, bool *more);

#endif
