/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inspects the first bytes of a connection that only rules for TLS or HTTP names could allow. The
 * handshake passes, and so does everything that the peer sends (it may send first); the guest's
 * bytes are held back until they contain a complete name, which the policy must allow and the
 * guest's DNS replies must have pinned to this address. Then all bytes are passed on, or both ends
 * get a reset.
 */
#include <errno.h>
#include <stdlib.h>

#include "vmm/base/bytes.h"
#include "vmm/net/filter_internal.h"
#include "vmm/net/http.h"

#define TCP_URG	      0x20u
#define SEGMENT_LEAST 536u /* every network carries these (RFC 9293, 3.7.1) */

_Static_assert(FILTER_PEEKS * sizeof(struct flow_peek) <= FILTER_PEEK_BYTES,
	       "all that is held of connections that are looked at");

int filter_peek_begin(struct filter *filter, struct flow *flow, bool tls, bool http)
{
	struct flow_peek *peek;

	if (filter->peeks == FILTER_PEEKS)
		return -ENOBUFS;
	peek = malloc(sizeof(*peek));
	if (!peek)
		return -ENOMEM;
	/* Not the data: its pages are allocated when bytes arrive. */
	peek->tls = tls;
	peek->http = http;
	peek->decided = peek->asking = false;
	peek->approved = FILTER_TCP;
	peek->approved_name[0] = '\0';
	peek->start = flow->sequence + 1;
	peek->length = 0;
	peek->segments = 0;
	peek->largest = 0;
	peek->last_length = 0;
	flow->peek = peek;
	filter->peeks++;
	return 0;
}

void filter_peek_end(struct filter *filter, struct flow *flow)
{
	if (!flow->peek)
		return;
	free(flow->peek);
	flow->peek = NULL;
	filter->peeks--;
}

void filter_peek_acknowledged(struct filter *filter, struct flow *flow, uint32_t acknowledged)
{
	struct flow_peek *peek = flow->peek;

	/* From now on a retransmission can't change what the peer has read. */
	if (peek && peek->decided && (int32_t)(acknowledged - peek->start - peek->length) >= 0)
		filter_peek_end(filter, flow);
}

/* --- the verdict ------------------------------------------------------------------------------ */

enum verdict { WAIT, PERMIT, FORBID, ASK };

/* What is known about a connection when its first bytes are judged. */
struct judgement {
	struct filter_request request;
	char name[DNS_NAME_TEXT];
	const char *why; /* a reason other than the policy, or NULL */
	uint32_t rule;
};

/* Whether an operator approved this when the connection began. */
static bool is_approved(const struct flow *flow, const struct filter_request *request)
{
	const struct flow_peek *peek = flow->peek;

	if (!flow->approved ||
	    (peek->approved != FILTER_TCP && peek->approved != request->protocol))
		return false;
	return peek->approved_name[0] == '\0' ||
	       (request->name && strcmp(request->name, peek->approved_name) == 0);
}

/* Whether a name opens this connection. */
static enum verdict judge_name(struct filter *filter, const struct flow *flow,
			       struct judgement *judgement, uint64_t now_ns)
{
	struct filter_request *request = &judgement->request;
	const char *name = request->name;
	struct filter_choice by_address, by_name = {.order = FILTER_NO_RULE}, best;
	uint8_t address[PIN_ADDRESS];
	bool pinned, named;

	dns_pins_ipv4(flow->key.peer, address);
	pinned = name && !address_special(flow->key.peer) &&
		 dns_pins_have(&filter->pins, name, address, now_ns);
	if (name)
		by_name = filter_decide_one(filter, request);
	request->name = NULL;
	by_address = filter_decide_one(filter, request);
	request->name = name;
	judgement->why = NULL;
	/*
	 * A rule that matches the address alone matches with the name too. Then both decisions are
	 * the same, unless an operator has decided about the name.
	 */
	named = by_name.order < by_address.order ||
		(by_name.order == by_address.order && by_name.verdict != by_address.verdict &&
		 (pinned || by_name.verdict == FILTER_DENY));
	best = named ? by_name : by_address;
	judgement->rule = best.order;
	if (best.verdict == FILTER_DENY)
		return FORBID;
	if (best.verdict == FILTER_ASK && is_approved(flow, request)) {
		request->answer = FILTER_APPROVED;
		return PERMIT;
	}
	if (named && !pinned) {
		judgement->why = "no DNS reply gave this address for the name";
		return FORBID;
	}
	if (best.verdict == FILTER_ALLOW)
		return PERMIT;
	/* Do not show an operator a name that the guest may have made up for the address. */
	if (!pinned)
		request->name = NULL;
	return ASK;
}

static enum verdict judge_tls(struct filter *filter, const struct flow *flow,
			      struct judgement *judgement, uint64_t now_ns)
{
	enum tls_peek result = tls_peek(flow->peek->data, flow->peek->length, judgement->name);
	enum verdict verdict;

	judgement->request.protocol = FILTER_TLS;
	judgement->request.name = result == TLS_NAME ? judgement->name : NULL;
	switch (result) {
	case TLS_MORE:
		return WAIT;
	case TLS_BAD:
		judgement->why = "not a TLS ClientHello";
		return FORBID;
	default:
		break;
	}
	verdict = judge_name(filter, flow, judgement, now_ns);
	if (verdict == FORBID && result == TLS_NO_NAME)
		judgement->why = "the ClientHello names no server";
	if (verdict == FORBID && result == TLS_ENCRYPTED)
		judgement->why = "the ClientHello is encrypted";
	return verdict;
}

static enum verdict judge_http(struct filter *filter, const struct flow *flow,
			       struct judgement *judgement, uint64_t now_ns)
{
	struct filter_request *request = &judgement->request;
	struct http_request http;
	enum http_peek result = http_peek(flow->peek->data, flow->peek->length, &http);

	if (result == HTTP_MORE)
		return WAIT;
	request->protocol = FILTER_HTTP;
	request->name = NULL;
	judgement->why = "not an HTTP request with one Host";
	if (result == HTTP_BAD)
		return FORBID;
	memcpy(judgement->name, http.name, sizeof(http.name));
	request->name = judgement->name;
	judgement->why = "the Host has another port";
	if (http.port != 0 && http.port != flow->key.peer_port)
		return FORBID;
	return judge_name(filter, flow, judgement, now_ns);
}

static enum verdict judge(struct filter *filter, const struct flow *flow,
			  struct judgement *judgement, uint64_t now_ns)
{
	const struct flow_peek *peek = flow->peek;
	enum verdict verdict = FORBID;

	/* The first byte tells TLS from HTTP. */
	if (peek->length == 0)
		return WAIT;
	if (peek->tls && (!peek->http || peek->data[0] == 22))
		verdict = judge_tls(filter, flow, judgement, now_ns);
	else if (peek->http)
		verdict = judge_http(filter, flow, judgement, now_ns);
	return verdict;
}

/* --- segments --------------------------------------------------------------------------------- */

static void forbid(struct filter *filter, struct flow *flow, const struct frame *frame)
{
	struct frame first = *frame;

	filter_refuse(filter, frame, FILTER_REFUSED);
	/* The peer has seen only the handshake. */
	first.sequence = flow->peek->start;
	filter_pass_to_peer(filter, filter->out, reply_reset_onwards(&first, filter->out));
	flow_end(&filter->flows, flow, FLOW_REFUSED);
}

/* Stores the new bytes of a segment, and its headers. -ENOBUFS: there is no room. */
static int hold(struct flow_peek *peek, const struct frame *frame, size_t fresh)
{
	const uint8_t *end = frame->data + frame->payload + frame->payload_length;

	if (peek->segments == FILTER_PEEK_SEGMENTS || fresh > sizeof(peek->data) - peek->length)
		return -ENOBUFS;
	memcpy(peek->data + peek->length, end - fresh, fresh);
	peek->length += (uint32_t)fresh;
	peek->segments++;
	peek->largest = max_u64(peek->largest, frame->payload_length);
	peek->last_length = reply_segment(frame, peek->start + peek->length, frame->tcp_flags, NULL,
					  0, peek->last);
	return 0;
}

/* Passes on a part of the held bytes, in segments that are no longer than the guest's own. */
static void send_held(struct filter *filter, const struct flow_peek *peek, size_t at, size_t to)
{
	size_t most = max_u64(peek->largest, SEGMENT_LEAST), length;
	struct frame last;
	bool ends;

	frame_parse(peek->last, peek->last_length, false, &last);
	for (; at < to; at += length) {
		length = min_u64(most, to - at);
		ends = at + length == peek->length;
		filter_pass_to_peer(filter, filter->out,
				    reply_segment(&last, peek->start + (uint32_t)at,
						  ends ? last.tcp_flags : TCP_ACK, peek->data + at,
						  length, filter->out));
	}
}

static void release(struct filter *filter, struct flow *flow)
{
	flow->peek->decided = true;
	flow->bytes_out += flow->peek->length;
	send_held(filter, flow->peek, 0, flow->peek->length);
}

/*
 * The guest retransmits the end of the held bytes. The filter has acknowledged everything before
 * it, so the guest will not retransmit that; but a network may have lost it.
 */
static void repeat(struct filter *filter, const struct flow *flow, const struct frame *frame)
{
	uint32_t acked = flow->guest.acked - flow->peek->start,
		 at = frame->sequence - flow->peek->start;

	if (acked < at && at <= flow->peek->length)
		send_held(filter, flow->peek, acked, at);
}

/*
 * Until the guest gets an acknowledgement it sends no more than its first window, which may be too
 * short for a name. So the filter acknowledges held bytes, and must deliver them from then on: see
 * repeat().
 */
static void acknowledge(struct filter *filter, const struct flow_peek *peek,
			const struct frame *frame)
{
	filter->ops->to_guest(filter->arg, filter->out,
			      reply_acknowledge(frame, peek->start + peek->length, filter->out));
}

/*
 * Compares a segment's payload with the held bytes. Returns how many bytes are new; -EPROTO: there
 * is a gap before it, or it differs from held bytes.
 */
static int64_t fit(struct flow_peek *peek, const struct frame *frame)
{
	int32_t offset = (int32_t)(frame->sequence - peek->start);
	const uint8_t *payload = frame->data + frame->payload;
	size_t known;

	if (offset < 0 || (uint32_t)offset > peek->length)
		return -EPROTO;
	known = min_u64(peek->length - (uint32_t)offset, frame->payload_length);
	if (known > 0 && memcmp(peek->data + offset, payload, known) != 0)
		return -EPROTO;
	return (int64_t)(frame->payload_length - known);
}

/* Applies the verdict to both ends. */
static void settle(struct filter *filter, struct flow *flow, const struct frame *frame,
		   const struct judgement *judgement, enum verdict verdict, uint64_t now_ns)
{
	if (verdict == FORBID)
		filter_log_refused(filter, &judgement->request, judgement->why, now_ns);
	/* Allowed only if it can be logged. */
	else if (!filter->ops->check(filter->arg, &judgement->request))
		verdict = FORBID;
	if (verdict == PERMIT && judgement->request.name) {
		flow->name = strdup(judgement->request.name);
		if (!flow->name)
			verdict = FORBID;
	}
	if (verdict == FORBID) {
		forbid(filter, flow, frame);
		return;
	}
	flow->rule = judgement->rule;
	flow->approved |= judgement->request.answer == FILTER_APPROVED;
	release(filter, flow);
	flow_seen(&filter->flows, flow, FLOW_OPEN, now_ns);
}

void filter_peek_answered(struct filter *filter, const struct filter_ask *ask, uint64_t now_ns)
{
	struct flow *flow = flow_find(&filter->flows, &ask->key);
	struct judgement judgement = {.request = ask->request, .rule = ask->rule};
	enum filter_verdict verdict = filter_decide_one(filter, &ask->request).verdict;
	struct frame last;

	if (!flow || !flow->peek || !flow->peek->asking)
		return;
	flow->peek->asking = false;
	/* The last headers have the sequence number that the guest expects next. */
	frame_parse(flow->peek->last, flow->peek->last_length, false, &last);
	settle(filter, flow, &last, &judgement,
	       verdict == FILTER_ALLOW ||
			       (verdict == FILTER_ASK && ask->request.answer == FILTER_APPROVED)
		       ? PERMIT
		       : FORBID,
	       now_ns);
}

static void decide(struct filter *filter, struct flow *flow, const struct frame *frame,
		   size_t fresh, uint64_t now_ns)
{
	struct judgement judgement = {.request = {.op = FILTER_CONNECT,
						  .address = flow->key.peer,
						  .port = flow->key.peer_port,
						  .host = flow->host},
				      .why = "its first bytes exceed what is inspected",
				      .rule = FILTER_NO_RULE};
	struct flow_peek *peek = flow->peek;
	enum verdict verdict = FORBID;

	judgement.request.protocol = peek->tls ? FILTER_TLS : FILTER_HTTP;
	if (hold(peek, frame, fresh) == 0)
		verdict = peek->asking ? WAIT : judge(filter, flow, &judgement, now_ns);
	if (verdict == ASK)
		verdict = filter_ask_name(filter, flow, &judgement.request, judgement.rule) == 0
				  ? WAIT
				  : FORBID;
	if (verdict == WAIT && (frame->tcp_flags & TCP_FIN)) {
		judgement.why = peek->asking ? "it ended before an operator decided"
					     : "it ended before it named a server";
		verdict = FORBID;
	}
	if (verdict == WAIT)
		acknowledge(filter, peek, frame);
	else
		settle(filter, flow, frame, &judgement, verdict, now_ns);
}

void filter_peek_segment(struct filter *filter, struct flow *flow, const struct frame *frame,
			 uint8_t *bytes, uint64_t now_ns)
{
	struct flow_peek *peek = flow->peek;
	bool ends = frame->tcp_flags & TCP_FIN;
	int64_t fresh;

	/* Some peers take urgent bytes out of the stream, others do not. */
	if (frame->tcp_flags & TCP_URG) {
		filter_drop_guest(filter, FILTER_PEEK_GAP);
		return;
	}
	/* An acknowledgement of the peer's bytes. */
	if (frame->payload_length == 0 && !ends) {
		filter_pass_to_peer(filter, bytes, frame->length);
		return;
	}
	if (peek->decided && (int32_t)(frame->sequence - peek->start - peek->length) >= 0) {
		flow->bytes_out += frame->payload_length;
		flow_seen(&filter->flows, flow, FLOW_OPEN, now_ns);
		filter_pass_to_peer(filter, bytes, frame->length);
		return;
	}
	fresh = fit(peek, frame);
	if (fresh < 0) {
		filter_drop_guest(filter, FILTER_PEEK_GAP);
		return;
	}
	if (peek->decided) {
		repeat(filter, flow, frame);
		filter_pass_to_peer(filter, bytes, frame->length);
		return;
	}
	/* Held bytes have come again: the acknowledgement was lost. */
	if (fresh == 0 && !ends) {
		acknowledge(filter, peek, frame);
		return;
	}
	decide(filter, flow, frame, (size_t)fresh, now_ns);
}
