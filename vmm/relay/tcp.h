/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One TCP connection with the guest, as its peer sees it (RFC 9293, with RFC 5961 against segments
 * out of place, RFC 6298 for the retransmission time-out and RFC 7323 for window scaling). The
 * guest is hostile: any segment may arrive at any time.
 *
 * The endpoint has no socket, no clock, no source of random numbers and no global state. Segments,
 * time and initial sequence numbers are arguments; what it sends goes to a function of the owner's.
 *
 * The bytes that the owner sees are the stream: of each sequence number only the first byte that
 * was received in order, once. Resent and overlapping bytes are cut off, bytes beyond the window
 * or behind a gap are dropped (the link does not reorder; the guest sends them again). Urgent data
 * is ordinary data.
 *
 * Left out: selective acknowledgements and timestamps (never offered), congestion control (the
 * link is memory; after a loss one segment at a time is sent until the guest has caught up),
 * data in a SYN (the guest sends it again), probes of an idle guest (those of the guest are
 * answered), a rate limit for challenge ACKs (at most one leaves for each segment that arrives).
 *
 * How an owner uses it:
 *
 *	a SYN that belongs to no connection    tcp_open_passive(), then tcp_accept() or
 *tcp_refuse(); or it sends an ICMP error itself and tcp_destroy() any other segment without
 *connection   tcp_stray() a published port                       tcp_open_active() a segment of a
 *connection              tcp_input() after a batch of segments              take what tcp_peek()
 *has, then tcp_flush() bytes from the other side              tcp_write(), tcp_flush() its end
 *tcp_shutdown(), tcp_flush() its reset                              tcp_abort() at tcp_deadline()
 *tcp_tick() after each of these                    tcp_look(); tcp_destroy() once TCP_LOOK_CLOSED
 *is set and nothing is left to read
 *
 * Times are nanoseconds of a clock that never goes back. It should stand still while the guest is
 * paused, so that the guest is not given up meanwhile. Not thread safe.
 */
#ifndef CORDON_RELAY_TCP_H
#define CORDON_RELAY_TCP_H

#include "vmm/relay/buffer.h"
#include "vmm/relay/tcp_limits.h"
#include "vmm/relay/tcp_segment.h"

#define TCP_NEVER UINT64_MAX /* tcp_deadline(): no timer runs */

/* What all connections share. */
struct tcp_config {
	/*
	 * Sends a segment to the guest. The payload is valid during the call only. Must not call
	 * functions of this header for the same connection.
	 */
	void (*output)(void *arg, const struct tcp_segment *segment);
	/*
	 * New bytes of the guest, in order, while none wait to be read: how many of them the owner
	 * takes at once. What is left waits for tcp_peek(), so no byte is seen twice. Under the
	 * same rules as output(). NULL: all wait.
	 */
	size_t (*pass)(void *arg, const uint8_t *bytes, size_t length);
	uint16_t mss;	/* that the guest may send: the MTU without headers of 40 or 60 bytes */
	uint32_t gso;	/* most bytes of a segment, if the guest's card takes TSO; 0: it does not */
	size_t receive; /* bytes; rounded down to a power of two; 0: TCP_LIMIT_RECEIVE, the most */
	size_t send;	/* the same, TCP_LIMIT_SEND */
	struct relay_memory *memory;
};

enum tcp_state {
	TCP_STATE_ASKED, /* a SYN has arrived, and the owner has not decided */
	TCP_STATE_SYN_SENT,
	TCP_STATE_SYN_RECEIVED,
	TCP_STATE_ESTABLISHED,
	TCP_STATE_CLOSE_WAIT, /* the guest has sent its FIN */
	TCP_STATE_FIN_WAIT_1, /* the endpoint has */
	TCP_STATE_FIN_WAIT_2,
	TCP_STATE_CLOSING,
	TCP_STATE_LAST_ACK,
	TCP_STATE_TIME_WAIT,
	TCP_STATE_CLOSED,
};

/* Why a connection is closed. */
enum tcp_cause {
	TCP_CAUSE_NONE,	   /* it is not */
	TCP_CAUSE_ENDED,   /* both ends have sent a FIN and had it acknowledged */
	TCP_CAUSE_RESET,   /* by the guest; refused, if tcp_open_active() was not answered yet */
	TCP_CAUSE_TIMEOUT, /* the guest did not acknowledge: it has been sent a reset */
	TCP_CAUSE_ABORTED, /* by tcp_abort() or tcp_refuse() */
};

struct tcp;

/*
 * A connection for a SYN of the guest, which gets no reply yet: arg is for output, isn (random, RFC
 * 6528) the endpoint's initial sequence number. 0, -EINVAL (not a SYN alone: tcp_stray() it) or
 * -ENOMEM. Until the owner decides, segments of the connection change nothing, whatever their
 * sequence numbers, but for a reset that fits the SYN.
 */
int tcp_open_passive(struct tcp **out, const struct tcp_config *config, void *arg,
		     const struct tcp_segment *syn, uint32_t isn);

/* Sends a SYN to the guest. 0 or -ENOMEM. */
int tcp_open_active(struct tcp **out, const struct tcp_config *config, void *arg, uint32_t isn,
		    uint64_t now_ns);

/* Frees everything, sends nothing: a live connection is to be aborted first. NULL is allowed. */
void tcp_destroy(struct tcp *tcp);

/* Decisions about a SYN, in TCP_STATE_ASKED only (otherwise they do nothing): SYN-ACK, reset. */
void tcp_accept(struct tcp *tcp, uint64_t now_ns);
void tcp_refuse(struct tcp *tcp);

/*
 * A segment of the guest with the connection's addresses and ports. Resets, challenge ACKs and ACKs
 * of segments out of place are sent at once; ACKs of data and data wait for tcp_flush(). True: it
 * is a SYN that may open a connection on the ports of this one, which has ended (TIME-WAIT and a
 * higher sequence number, or closed). The owner begins anew with the segment; what this one has
 * left to read can still be read.
 */
bool tcp_input(struct tcp *tcp, const struct tcp_segment *segment, uint64_t now_ns);

/* Replies to a segment that belongs to no connection, with a reset if it is to have one. */
void tcp_stray(const struct tcp_config *config, void *arg, const struct tcp_segment *segment);

/* The bytes of the guest that are not consumed, in one view, until the next call. NULL if none. */
const uint8_t *tcp_peek(const struct tcp *tcp, size_t *length);

/* Removes up to length bytes from their front; this may open the window. */
void tcp_consume(struct tcp *tcp, size_t length);

/*
 * Takes bytes for the guest, also before the handshake is complete. Returns how many: fewer if the
 * buffer is full or memory short, 0 also after tcp_shutdown() and when closed.
 */
size_t tcp_write(struct tcp *tcp, const void *bytes, size_t length);

/* The same without a copy: room for at most want bytes, then how many of them were filled in. */
uint8_t *tcp_reserve(struct tcp *tcp, size_t want, size_t *room);
void tcp_commit(struct tcp *tcp, size_t length);

/* A FIN follows what was written. The guest may go on sending. */
void tcp_shutdown(struct tcp *tcp);

/* Sends a reset, drops both buffers, and closes. */
void tcp_abort(struct tcp *tcp);

/* Sends what is due and may be sent: data, FIN, an ACK or a window update. */
void tcp_flush(struct tcp *tcp, uint64_t now_ns);

/* When tcp_tick() is to be called: 0 if tcp_flush() is outstanding, TCP_NEVER if no timer runs. */
uint64_t tcp_deadline(const struct tcp *tcp);

/* Runs the timer if it is due, and flushes. */
void tcp_tick(struct tcp *tcp, uint64_t now_ns);

#define TCP_LOOK_OPEN	  0x01u /* the handshake is complete (and was, if now closed) */
#define TCP_LOOK_READABLE 0x02u /* tcp_peek() has bytes */
#define TCP_LOOK_ENDED                                                            \
	0x04u /* the guest has sent its FIN, and all bytes before it are consumed \
	       */
#define TCP_LOOK_WRITABLE 0x08u /* the send buffer has room */
#define TCP_LOOK_SENT	  0x10u /* the guest has acknowledged all that was written, and the FIN */
#define TCP_LOOK_CLOSED	  0x20u /* tcp_cause() says why */

/* TCP_LOOK_* that are true now. Bytes are readable also after TCP_CAUSE_ENDED. */
unsigned tcp_look(const struct tcp *tcp);
enum tcp_state tcp_state(const struct tcp *tcp);
enum tcp_cause tcp_cause(const struct tcp *tcp);

struct tcp_counts {
	uint64_t received, sent; /* bytes in order from the guest; acknowledged by the guest */
	uint64_t challenges;	 /* ACKs of segments out of place */
	uint64_t dropped;	 /* bytes behind a gap, beyond the window, or without memory */
	uint64_t retransmitted;	 /* segments, probes of a closed window included */
};

void tcp_counts(const struct tcp *tcp, struct tcp_counts *out);

#endif
