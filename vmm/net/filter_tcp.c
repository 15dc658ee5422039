/* SPDX-License-Identifier: Apache-2.0 */
/* TCP connections: allowed by the policy, and tracked until both ends have closed. */
#include "vmm/base/bytes.h"
#include "vmm/net/filter_internal.h"

static bool is_opening(const struct frame *frame)
{
	return (frame->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

static void keep(struct filter *filter, struct flow *flow, uint64_t now_ns)
{
	bool both_done = flow->guest.done && flow->peer.done;

	flow_seen(&filter->flows, flow, both_done ? FLOW_CLOSING : flow->class, now_ns);
}

static bool is_stricter(const struct filter_choice *choice, const struct filter_choice *tcp)
{
	return choice->verdict != FILTER_ALLOW && choice->order < tcp->order;
}

/*
 * No rule allows the connection as it is: opens a question for the first 'ask' rule, if there is
 * one.
 */
static void ask_or_refuse(struct filter *filter, const struct frame *frame,
			  const struct flow_key *key, const struct filter_choice choice[3],
			  const struct filter_request request[3], uint64_t now_ns)
{
	struct filter_ask ask = {.key = *key, .rule = FILTER_NO_RULE};
	const struct filter_choice *tls = &choice[1], *http = &choice[2];
	unsigned i;

	/* A rule about TCP applies to TLS and HTTP too: then the question is about TCP. */
	for (i = 0; i < 3; i++) {
		if (choice[i].verdict != FILTER_ASK || choice[i].order >= ask.rule)
			continue;
		ask.request = request[i];
		ask.rule = choice[i].order;
	}
	if (ask.rule == FILTER_NO_RULE) {
		filter_log_refused(filter, &request[0], NULL, now_ns);
		filter_refuse(filter, frame, FILTER_REFUSED);
		return;
	}
	ask.plain = ask.request.protocol == FILTER_TCP && !is_stricter(tls, &choice[0]) &&
		    !is_stricter(http, &choice[0]);
	ask.tls = tls->verdict != FILTER_DENY;
	ask.http = http->verdict != FILTER_DENY;
	filter_ask_packet(filter, &ask, frame, now_ns);
}

/*
 * Handles a new connection of the guest. A tcp rule opens it whatever the protocol; if only rules
 * for TLS or HTTP names could allow it, it may connect, and its first bytes are held back.
 */
static void open_connection(struct filter *filter, const struct frame *frame, uint8_t *bytes,
			    const struct flow_key *key, uint64_t now_ns)
{
	struct filter_request request[3] = {{.protocol = FILTER_TCP, .port = frame->target_port},
					    {.protocol = FILTER_TLS, .port = frame->target_port},
					    {.protocol = FILTER_HTTP, .port = frame->target_port}};
	struct filter_choice choice[3], *const tcp = &choice[0];
	const struct filter_choice *const tls = &choice[1], *const http = &choice[2];
	struct flow *flow;
	unsigned i;
	bool plain;

	/* Data before the handshake would evade the inspection of the first bytes. */
	if (frame->payload_length > 0) {
		filter_refuse(filter, frame, FRAME_BAD_TCP);
		return;
	}
	if (filter_ask_waits(filter, key, frame))
		return;
	for (i = 0; i < 3; i++)
		choice[i] = filter_decide_flow(filter, frame, &request[i], now_ns);
	/* A rule that denies TLS to a name counts if it comes before the one that allows TCP. */
	plain = tcp->verdict == FILTER_ALLOW && !is_stricter(tls, tcp) && !is_stricter(http, tcp);
	if (!plain && tls->verdict != FILTER_ALLOW && http->verdict != FILTER_ALLOW) {
		ask_or_refuse(filter, frame, key, choice, request, now_ns);
		return;
	}
	/* Allowed only if it can be logged. */
	if (plain && !filter->ops->check(filter->arg, &request[0])) {
		filter_refuse(filter, frame, FILTER_REFUSED);
		return;
	}
	flow = filter_open_flow(filter, frame, key, FLOW_OPENING, plain ? request[0].name : NULL,
				tcp->order, now_ns);
	if (!flow)
		return;
	if (!plain && filter_peek_begin(filter, flow, tls->verdict != FILTER_DENY,
					http->verdict != FILTER_DENY) < 0) {
		flow_end(&filter->flows, flow, FLOW_REFUSED);
		filter_refuse(filter, frame, FILTER_FLOODED);
		return;
	}
	filter_pass_to_peer(filter, bytes, frame->length);
}

/*
 * Handles a SYN: a retransmission, or a new connection, which may use the ports of an old one once
 * that has ended at both ends. Until then the guest gets the state of the old one.
 */
static void opening_from_guest(struct filter *filter, struct flow *flow, const struct frame *frame,
			       uint8_t *bytes, const struct flow_key *key, uint64_t now_ns)
{
	bool again;

	if (flow && filter_track_ended(flow)) {
		flow_end(&filter->flows, flow, FLOW_CLOSED);
		flow = NULL;
	}
	if (!flow) {
		open_connection(filter, frame, bytes, key, now_ns);
		return;
	}
	again = !flow->inbound && flow->sequence == frame->sequence && frame->payload_length == 0;
	/*
	 * Also a SYN that crosses the peer's reply, which may be delayed on its way to the guest.
	 */
	if (again && filter->config.once &&
	    (flow->class == FLOW_OPENING || flow->class == FLOW_OPEN))
		return;
	if (again && flow->class == FLOW_OPENING)
		filter_pass_to_peer(filter, bytes, frame->length);
	else
		filter_track_challenge(filter, flow, frame);
}

/*
 * The guest resets a connection. The segment is replaced by one without payload, which was not
 * inspected.
 */
static void reset_from_guest(struct filter *filter, struct flow *flow, const struct frame *frame)
{
	struct frame reset = *frame;

	/* The peer has not seen the held bytes. */
	if (flow->peek && !flow->peek->decided && flow->synced)
		reset.sequence = flow->guest.acked;
	filter_pass_to_peer(filter, filter->out, reply_reset_onwards(&reset, filter->out));
	flow_end(&filter->flows, flow, FLOW_CLOSED);
}

void filter_tcp_from_guest(struct filter *filter, const struct frame *frame, uint8_t *bytes,
			   uint64_t now_ns)
{
	const struct flow_key key = {.peer = frame->target,
				     .guest_port = frame->source_port,
				     .peer_port = frame->target_port,
				     .protocol = IP_TCP};
	struct flow *flow = flow_find(&filter->flows, &key);

	if (is_opening(frame)) {
		opening_from_guest(filter, flow, frame, bytes, &key, now_ns);
		return;
	}
	if (!flow) {
		if (frame->tcp_flags & TCP_RST)
			filter_ask_cancel(filter, &key);
		filter_refuse(filter, frame, FILTER_NO_FLOW);
		return;
	}
	switch (filter_track(flow, frame, true)) {
	case SEGMENT_DROP:
		filter_drop_guest(filter, FILTER_OUT_OF_PLACE);
		return;
	case SEGMENT_RESET:
		reset_from_guest(filter, flow, frame);
		return;
	case SEGMENT_PASS:
		break;
	}
	if (flow->peek) {
		filter_peek_segment(filter, flow, frame, bytes, now_ns);
		return;
	}
	flow->bytes_out += frame->payload_length;
	keep(filter, flow, now_ns);
	filter_pass_to_peer(filter, bytes, frame->length);
}

/*
 * The peer refuses the connection. passt does so without acknowledging the SYN (20230309); a guest
 * that is connecting ignores such a reset, and would try again for minutes.
 */
static void refused_by_peer(struct filter *filter, const struct flow *flow,
			    const struct frame *frame)
{
	struct frame reset = *frame;

	reset.tcp_flags |= TCP_ACK;
	reset.acknowledged = flow->sequence + 1;
	filter_pass_to_guest(filter, filter->out, reply_reset_onwards(&reset, filter->out));
}

void filter_tcp_from_peer(struct filter *filter, const struct frame *frame, uint8_t *bytes,
			  uint64_t now_ns)
{
	const struct flow_key key = {.peer = frame->source,
				     .guest_port = frame->target_port,
				     .peer_port = frame->source_port,
				     .protocol = IP_TCP};
	struct flow *flow = flow_find(&filter->flows, &key);
	enum filter_segment segment;

	/* Another SYN on these ports is a new connection; a retransmission is not. */
	if (flow && is_opening(frame) && flow->inbound &&
	    (filter_track_ended(flow) || flow->sequence != frame->sequence)) {
		flow_end(&filter->flows, flow, FLOW_CLOSED);
		flow = NULL;
	}
	if (!flow && is_opening(frame))
		flow = filter_open_inbound(filter, frame, &key, FLOW_OPENING, now_ns);
	else if (!flow)
		filter_drop_peer(filter, FILTER_NO_FLOW);
	if (!flow)
		return;
	/* The peer can't open a connection that the guest has opened. */
	if (is_opening(frame) && !flow->inbound) {
		filter_drop_peer(filter, FILTER_NO_FLOW);
		return;
	}
	segment = filter_track(flow, frame, false);
	if (segment == SEGMENT_DROP) {
		filter_drop_peer(filter, FILTER_OUT_OF_PLACE);
		return;
	}
	if (frame->tcp_flags & TCP_ACK)
		filter_peek_acknowledged(filter, flow, frame->acknowledged);
	/* A connection does not count as open before its first bytes are allowed. */
	if (flow->class == FLOW_OPENING && flow->synced && (frame->tcp_flags & TCP_ACK) &&
	    (!flow->peek || flow->peek->decided))
		flow_seen(&filter->flows, flow, FLOW_OPEN, now_ns);
	flow->bytes_in += frame->payload_length;
	keep(filter, flow, now_ns);
	if ((frame->tcp_flags & (TCP_RST | TCP_ACK)) == TCP_RST && !flow->synced && !flow->inbound)
		refused_by_peer(filter, flow, frame);
	else
		filter_pass_to_guest(filter, bytes, frame->length);
	if (segment == SEGMENT_RESET)
		flow_end(&filter->flows, flow, FLOW_CLOSED);
}
