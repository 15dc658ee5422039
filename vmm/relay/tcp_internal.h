/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a TCP endpoint, shared by its source files. Names in comments are RFC 9293's. */
#ifndef CORDON_RELAY_TCP_INTERNAL_H
#define CORDON_RELAY_TCP_INTERNAL_H

#include "vmm/relay/tcp.h"

struct tcp {
	const struct tcp_config *config;
	void *arg;
	enum tcp_state state;
	enum tcp_cause cause;
	bool active;	 /* by tcp_open_active() */
	bool opened;	 /* has been in ESTABLISHED */
	bool fin_got;	 /* the guest's FIN is acknowledged, or will be */
	bool fin_due;	 /* tcp_shutdown() was called */
	bool fin_sent;	 /* and the FIN has been sent */
	bool ack_due;	 /* an ACK is to be sent */
	bool dirty;	 /* tcp_flush() may have something to send */
	bool recovering; /* after a loss: one segment at a time until recover is acknowledged */
	bool timing;	 /* timed_sequence was sent once, at timed_ns */
	bool scaled;	 /* both ends have offered window scaling */

	/* what the guest sends */
	struct relay_buffer received;
	size_t receive_limit;
	uint32_t rcv_nxt;  /* RCV.NXT */
	uint32_t rcv_edge; /* RCV.NXT + RCV.WND: the highest right edge that was announced */
	uint8_t rcv_scale;

	/* what the guest gets: send holds the bytes from snd_una on */
	struct relay_buffer send;
	size_t send_limit;
	uint32_t iss;
	uint32_t snd_una, snd_nxt; /* SND.UNA, SND.NXT; back at SND.UNA after a loss */
	uint32_t snd_max;	   /* behind all that was ever sent */
	uint32_t snd_wnd;	   /* SND.WND, in bytes */
	uint32_t max_wnd;	   /* the largest that the guest has announced */
	uint32_t snd_wl1, snd_wl2;
	uint32_t recover;
	uint16_t mss; /* of segments to the guest */
	uint8_t snd_scale;

	/* the one timer: retransmission, window probe or TIME-WAIT, as the state says */
	uint64_t timer_ns; /* TCP_NEVER: off */
	uint64_t rto_ns, srtt_ns, rttvar_ns;
	uint64_t timed_ns;
	uint32_t timed_sequence;
	unsigned backoff;    /* doublings of rto_ns */
	unsigned unanswered; /* retransmissions since the guest last gave a sign of progress */
	unsigned duplicates; /* ACKs in a row */

	struct tcp_counts counts;
};

/* Whether data and a FIN may be sent: the handshake is complete, the FIN not yet acknowledged. */
static inline bool tcp_sends(const struct tcp *tcp)
{
	return tcp->state >= TCP_STATE_ESTABLISHED && tcp->state <= TCP_STATE_LAST_ACK &&
	       tcp->state != TCP_STATE_FIN_WAIT_2;
}

/* Whether data of the guest is taken. */
static inline bool tcp_receives(const struct tcp *tcp)
{
	return tcp->state == TCP_STATE_ESTABLISHED || tcp->state == TCP_STATE_FIN_WAIT_1 ||
	       tcp->state == TCP_STATE_FIN_WAIT_2;
}

/* --- tcp_state.c --- */

/* Takes the options of the guest's SYN, and its sequence number. */
void tcp_take_syn(struct tcp *tcp, const struct tcp_segment *syn);
void tcp_established(struct tcp *tcp);
void tcp_time_wait(struct tcp *tcp, uint64_t now_ns);

/* Closes, and drops what is to be sent; unless it has ended in order, also what was received. */
void tcp_close(struct tcp *tcp, enum tcp_cause cause);

/* --- tcp_output.c --- */

void tcp_send_syn(struct tcp *tcp);
void tcp_send_ack(struct tcp *tcp);
void tcp_send_reset(struct tcp *tcp);

/* Sends one segment from snd_nxt on, if there is something that may be sent. force: even beyond the
 * window, at least one byte or the FIN. Returns whether it did. */
bool tcp_send_one(struct tcp *tcp, uint64_t now_ns, bool force);

/* --- tcp_timer.c --- */

/* Takes a measured round trip, if the acknowledged number has one. */
void tcp_timer_measure(struct tcp *tcp, uint32_t acknowledged, uint64_t now_ns);

/* Starts the timer if something waits for the guest and it does not run; stops it if nothing does.
 */
void tcp_timer_arm(struct tcp *tcp, uint64_t now_ns);

/* Begins again at snd_una. */
void tcp_rewind(struct tcp *tcp);

#endif
