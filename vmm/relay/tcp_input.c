/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP endpoint: what arrives, in the order of RFC 9293, 3.10.7. */
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/tcp_internal.h"

static void challenge(struct tcp *tcp)
{
	tcp->counts.challenges++;
	tcp_send_ack(tcp);
}

/* Waiting for the owner: the guest may withdraw its SYN, and nothing else. */
static void input_asked(struct tcp *tcp, const struct tcp_segment *segment)
{
	if (segment->flags & TCP_RST && segment->sequence == tcp->rcv_nxt)
		tcp_close(tcp, TCP_CAUSE_RESET);
}

/* 3.10.7.3 */
static void input_syn_sent(struct tcp *tcp, const struct tcp_segment *segment, uint64_t now_ns)
{
	bool acknowledges = segment->flags & TCP_ACK;

	if (acknowledges && segment->acknowledged != tcp->iss + 1) {
		tcp_stray(tcp->config, tcp->arg, segment);
		return;
	}
	if (segment->flags & TCP_RST) {
		if (acknowledges)
			tcp_close(tcp, TCP_CAUSE_RESET);
		return;
	}
	if (!(segment->flags & TCP_SYN))
		return;
	tcp_take_syn(tcp, segment);
	if (acknowledges) {
		tcp->snd_una = segment->acknowledged;
		tcp_established(tcp);
		tcp_send_ack(tcp);
	} else {
		tcp->state = TCP_STATE_SYN_RECEIVED;
		tcp_send_syn(tcp);
		tcp_timer_arm(tcp, now_ns);
	}
}

/*
 * RFC 5961, 3: only a reset at exactly the next sequence number counts. One elsewhere in the window
 * is answered with an ACK, to which a guest that has lost the connection replies with a right one.
 */
static void input_reset(struct tcp *tcp, const struct tcp_segment *segment)
{
	uint32_t window = tcp->rcv_edge - tcp->rcv_nxt;

	if (segment->sequence == tcp->rcv_nxt)
		tcp_close(tcp,
			  tcp->state == TCP_STATE_TIME_WAIT ? TCP_CAUSE_ENDED : TCP_CAUSE_RESET);
	else if (segment->sequence - tcp->rcv_nxt < window)
		challenge(tcp);
}

/*
 * RFC 5961, 4: a SYN is answered with the state of the connection, and changes nothing. True: it
 * may open a new one.
 */
static bool input_syn(struct tcp *tcp, const struct tcp_segment *segment)
{
	if (tcp->state == TCP_STATE_TIME_WAIT && !(segment->flags & (TCP_ACK | TCP_FIN)) &&
	    tcp_before(tcp->rcv_nxt, segment->sequence))
		return true;
	if (tcp->state == TCP_STATE_SYN_RECEIVED && segment->sequence == tcp->rcv_nxt - 1 &&
	    !(segment->flags & TCP_ACK))
		tcp_send_syn(tcp); /* the guest has lost the SYN-ACK */
	else
		challenge(tcp);
	return false;
}

/* 3.10.7.4, first: whether any part lies in the window. */
static bool acceptable(const struct tcp *tcp, const struct tcp_segment *segment)
{
	uint32_t window = tcp->rcv_edge - tcp->rcv_nxt, span = tcp_segment_span(segment);
	uint32_t first = segment->sequence - tcp->rcv_nxt;

	if (first == 0)
		return true; /* also with a closed window: for the ACK in it */
	return first < window || (span > 0 && first + span - 1 < window);
}

/* SND.WND, from segments that are not older than the last one that set it. */
static void update_window(struct tcp *tcp, const struct tcp_segment *segment)
{
	uint32_t window = (uint32_t)segment->window << tcp->snd_scale;

	if (tcp_before(segment->sequence, tcp->snd_wl1) ||
	    (segment->sequence == tcp->snd_wl1 && tcp_before(segment->acknowledged, tcp->snd_wl2)))
		return;
	if (window > tcp->snd_wnd) {
		tcp->dirty = true;
		if (tcp->snd_wnd == 0 && tcp_sends(tcp)) {
			/* Probes are over; what the guest dropped meanwhile is sent again. */
			tcp->backoff = 0;
			tcp->timer_ns = TCP_NEVER;
			tcp->snd_nxt = tcp->snd_una;
			tcp->recovering = false;
		}
	}
	tcp->snd_wnd = window;
	tcp->max_wnd = (uint32_t)max_u64(tcp->max_wnd, window);
	tcp->snd_wl1 = segment->sequence;
	tcp->snd_wl2 = segment->acknowledged;
}

/* The guest has acknowledged bytes, or the FIN. */
static void advance(struct tcp *tcp, uint32_t acknowledged, uint64_t now_ns)
{
	uint32_t span = acknowledged - tcp->snd_una;
	size_t bytes = min_u64(span, tcp->send.used);

	tcp_timer_measure(tcp, acknowledged, now_ns);
	relay_buffer_consume(&tcp->send, tcp->config->memory, bytes);
	tcp->counts.sent += bytes;
	tcp->snd_una = acknowledged;
	if (tcp_before(tcp->snd_nxt, acknowledged))
		tcp->snd_nxt = acknowledged;
	if (tcp->recovering && !tcp_before(acknowledged, tcp->recover)) {
		tcp->recovering = false;
		tcp->snd_nxt = tcp->snd_max;
	}
	tcp->backoff = 0;
	tcp->unanswered = 0;
	tcp->duplicates = 0;
	tcp->timer_ns = TCP_NEVER;
	tcp->dirty = true;
	if (span == bytes)
		return;
	/* The FIN, which is the last number that was sent. */
	if (tcp->state == TCP_STATE_FIN_WAIT_1)
		tcp->state = TCP_STATE_FIN_WAIT_2;
	else if (tcp->state == TCP_STATE_CLOSING)
		tcp_time_wait(tcp, now_ns);
	else if (tcp->state == TCP_STATE_LAST_ACK)
		tcp_close(tcp, TCP_CAUSE_ENDED);
}

static void duplicate(struct tcp *tcp, const struct tcp_segment *segment, uint32_t window_before)
{
	if (tcp->snd_wnd == 0) {
		tcp->unanswered = 0; /* a probe was answered: the guest lives, and may take long */
		return;
	}
	if (tcp_segment_span(segment) || tcp->snd_max == tcp->snd_una || tcp->recovering ||
	    tcp->snd_wnd != window_before)
		return;
	if (++tcp->duplicates == TCP_LIMIT_DUPLICATES)
		tcp_rewind(tcp);
}

/* 3.10.7.4, fifth. False: the segment is dropped. */
static bool input_ack(struct tcp *tcp, const struct tcp_segment *segment, uint64_t now_ns)
{
	uint32_t acknowledged = segment->acknowledged, window_before = tcp->snd_wnd;
	bool repeated;

	if (!(segment->flags & TCP_ACK))
		return false;
	if (tcp->state == TCP_STATE_SYN_RECEIVED) {
		if (acknowledged != tcp->iss + 1) {
			tcp_stray(tcp->config, tcp->arg, segment);
			return false;
		}
		tcp->snd_una = acknowledged;
		tcp_established(tcp);
		tcp->snd_wl1 = segment->sequence;
		tcp->snd_wl2 = acknowledged;
	}
	/* RFC 5961, 5: neither of something not sent, nor older than any window of the guest. */
	if (tcp_before(tcp->snd_max, acknowledged) ||
	    tcp_before(acknowledged, tcp->snd_una - tcp->max_wnd)) {
		challenge(tcp);
		return false;
	}
	if (tcp_before(acknowledged, tcp->snd_una))
		return true;
	repeated = acknowledged == tcp->snd_una;
	if (!repeated)
		advance(tcp, acknowledged, now_ns);
	if (tcp->state == TCP_STATE_CLOSED)
		return false;
	update_window(tcp, segment);
	if (repeated)
		duplicate(tcp, segment, window_before);
	return true;
}

/* What need not wait for the owner is not copied. */
static size_t pass_on(struct tcp *tcp, const uint8_t *bytes, size_t length)
{
	if (!tcp->config->pass || tcp->received.used > 0 || length == 0)
		return 0;
	return min_u64(length, tcp->config->pass(tcp->arg, bytes, length));
}

/* 3.10.7.4, seventh: takes what is new and in the window. Returns whether that is all to its end.
 */
static bool input_data(struct tcp *tcp, const struct tcp_segment *segment)
{
	uint32_t old = tcp->rcv_nxt - segment->sequence; /* bytes that were received before */
	uint32_t window = tcp->rcv_edge - tcp->rcv_nxt;
	size_t length, taken, room;
	uint8_t *to;

	if (tcp_before(tcp->rcv_nxt, segment->sequence)) { /* behind a gap */
		tcp->counts.dropped += segment->length;
		tcp_send_ack(tcp);
		return false;
	}
	if (old > segment->length)
		return false;
	length = segment->length - old;
	if (length == 0)
		return true;
	taken = pass_on(tcp, segment->data + old, min_u64(length, window));
	while (taken < length && taken < window) {
		to = relay_buffer_reserve(&tcp->received, tcp->config->memory, tcp->receive_limit,
					  min_u64(length, window) - taken, &room);
		if (!to)
			break;
		memcpy(to, segment->data + old + taken, room);
		relay_buffer_commit(&tcp->received, tcp->config->memory, room);
		taken += room;
	}
	tcp->rcv_nxt += (uint32_t)taken;
	tcp->counts.received += taken;
	tcp->counts.dropped += length - taken;
	if (taken == length) {
		tcp->ack_due = true;
		return true;
	}
	tcp_send_ack(tcp);
	return false;
}

/* 3.10.7.4, eighth. */
static void input_fin(struct tcp *tcp, uint64_t now_ns)
{
	tcp->rcv_nxt++;
	if (tcp_before(tcp->rcv_edge, tcp->rcv_nxt)) /* a FIN needs no room */
		tcp->rcv_edge = tcp->rcv_nxt;
	tcp->fin_got = true;
	tcp->ack_due = true;
	if (tcp->state == TCP_STATE_ESTABLISHED)
		tcp->state = TCP_STATE_CLOSE_WAIT;
	else if (tcp->state == TCP_STATE_FIN_WAIT_1)
		tcp->state = TCP_STATE_CLOSING;
	else
		tcp_time_wait(tcp, now_ns);
}

static bool input_synchronized(struct tcp *tcp, const struct tcp_segment *segment, uint64_t now_ns)
{
	struct tcp_segment open;

	if (segment->flags & TCP_RST) {
		input_reset(tcp, segment);
		return false;
	}
	/* Simultaneous open: the guest's SYN-ACK follows its SYN, and is the ACK of ours. */
	if (tcp->state == TCP_STATE_SYN_RECEIVED && tcp->active &&
	    (segment->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK) &&
	    segment->sequence == tcp->rcv_nxt - 1 && segment->acknowledged == tcp->iss + 1) {
		open = (struct tcp_segment){.sequence = tcp->rcv_nxt,
					    .acknowledged = segment->acknowledged,
					    .window = (uint16_t)(segment->window >> tcp->snd_scale),
					    .flags = TCP_ACK};
		tcp->ack_due = true;
		segment = &open;
	}
	if (segment->flags & TCP_SYN)
		return input_syn(tcp, segment);
	if (!acceptable(tcp, segment)) {
		tcp->counts.dropped += segment->length;
		tcp_send_ack(tcp);
		return false;
	}
	if (!input_ack(tcp, segment, now_ns))
		return false;
	if (!tcp_receives(tcp)) {
		tcp->counts.dropped += segment->length; /* behind its FIN */
		tcp->ack_due |= tcp_segment_span(segment) > 0;
		return false;
	}
	if (!tcp_segment_span(segment))
		return false;
	if (input_data(tcp, segment) && segment->flags & TCP_FIN)
		input_fin(tcp, now_ns);
	return false;
}

bool tcp_input(struct tcp *tcp, const struct tcp_segment *segment, uint64_t now_ns)
{
	bool reopen = false;

	switch (tcp->state) {
	case TCP_STATE_ASKED:
		input_asked(tcp, segment);
		break;
	case TCP_STATE_SYN_SENT:
		input_syn_sent(tcp, segment, now_ns);
		break;
	case TCP_STATE_CLOSED:
		reopen = (segment->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
		if (!reopen)
			tcp_stray(tcp->config, tcp->arg, segment);
		break;
	default:
		reopen = input_synchronized(tcp, segment, now_ns);
		break;
	}
	return reopen;
}
