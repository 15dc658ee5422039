/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first bytes of a connection that only rules for TLS or HTTP names could allow. The handshake
 * goes through, and so does everything that the peer says (it may speak first); what the guest says
 * is held back until a name can be read in it, which must be one that the policy allows and that
 * the guest's DNS answers pinned to this address. Then all of it goes on, or both ends get a reset.
 */
#include <errno.h>
#include <stdlib.h>

#include "vmm/base/bytes.h"
#include "vmm/net/filter_internal.h"
#include "vmm/net/http.h"

#define TCP_URG 0x20u

int filter_peek_begin(struct filter *filter, struct flow *flow, bool tls, bool http)
{
	struct flow_peek *peek;

	if (filter->peeks == FILTER_PEEKS)
		return -ENOBUFS;
	peek = malloc(sizeof(*peek));
	if (!peek)
		return -ENOMEM;
	/* Not the data: its pages are there when bytes are. */
	peek->tls = tls;
	peek->http = http;
	peek->decided = false;
	peek->start = flow->sequence + 1;
	peek->length = 0;
	peek->frames = 0;
	peek->held = NULL;
	peek->held_end = &peek->held;
	flow->peek = peek;
	filter->peeks++;
	return 0;
}

static void drop_held(struct flow_peek *peek)
{
	struct held_frame *held;

	while ((held = peek->held) != NULL) {
		peek->held = held->next;
		free(held);
	}
	peek->held_end = &peek->held;
}

void filter_peek_end(struct filter *filter, struct flow *flow)
{
	if (!flow->peek)
		return;
	drop_held(flow->peek);
	free(flow->peek);
	flow->peek = NULL;
	filter->peeks--;
}

void filter_peek_acknowledged(struct filter *filter, struct flow *flow, uint32_t acknowledged)
{
	struct flow_peek *peek = flow->peek;

	/* From here on a retransmission can't change what the peer has read. */
	if (peek && peek->decided && (int32_t)(acknowledged - peek->start - peek->length) >= 0)
		filter_peek_end(filter, flow);
}

/* --- the verdict ------------------------------------------------------------------------------ */

enum verdict { WAIT, PERMIT, FORBID };

/* Whether a name opens this connection; why: a reason that is not the policy's, or NULL. */
static enum verdict judge_name(struct filter *filter, const struct flow *flow,
			       struct filter_request *request, const char **why, uint64_t now_ns)
{
	const char *name = request->name;
	struct filter_choice by_address, by_name = {.order = FILTER_NO_RULE};

	if (name)
		by_name = filter_decide_one(filter, request);
	request->name = NULL;
	by_address = filter_decide_one(filter, request);
	request->name = name;
	*why = NULL;
	/* A rule that matches the address alone matches the name as well: then it is the same. */
	if (by_address.order <= by_name.order)
		return by_address.allowed ? PERMIT : FORBID;
	if (!by_name.allowed)
		return FORBID;
	if (address_special(flow->key.peer) ||
	    !pins_have(&filter->pins, name, flow->key.peer, now_ns)) {
		*why = "the address is not one that was answered for this name";
		return FORBID;
	}
	return PERMIT;
}

static enum verdict judge_tls(struct filter *filter, const struct flow *flow,
			      struct filter_request *request, char name[DNS_NAME_TEXT],
			      const char **why, uint64_t now_ns)
{
	enum tls_peek result = tls_peek(flow->peek->data, flow->peek->length, name);
	enum verdict verdict;

	request->protocol = FILTER_TLS;
	request->name = result == TLS_NAME ? name : NULL;
	switch (result) {
	case TLS_MORE:
		return WAIT;
	case TLS_BAD:
		*why = "not a TLS ClientHello";
		return FORBID;
	default:
		break;
	}
	verdict = judge_name(filter, flow, request, why, now_ns);
	if (verdict == FORBID && result == TLS_NO_NAME)
		*why = "the ClientHello names no server";
	if (verdict == FORBID && result == TLS_ENCRYPTED)
		*why = "the ClientHello is encrypted";
	return verdict;
}

static enum verdict judge_http(struct filter *filter, const struct flow *flow,
			       struct filter_request *request, char name[DNS_NAME_TEXT],
			       const char **why, uint64_t now_ns)
{
	struct http_request http;
	enum http_peek result = http_peek(flow->peek->data, flow->peek->length, &http);

	if (result == HTTP_MORE)
		return WAIT;
	request->protocol = FILTER_HTTP;
	request->name = NULL;
	*why = "not an HTTP request with one Host";
	if (result == HTTP_BAD)
		return FORBID;
	memcpy(name, http.name, sizeof(http.name));
	request->name = name;
	*why = "the Host has another port";
	if (http.port != 0 && http.port != flow->key.peer_port)
		return FORBID;
	return judge_name(filter, flow, request, why, now_ns);
}

static enum verdict judge(struct filter *filter, const struct flow *flow,
			  struct filter_request *request, char name[DNS_NAME_TEXT],
			  const char **why, uint64_t now_ns)
{
	const struct flow_peek *peek = flow->peek;
	enum verdict verdict = FORBID;

	/* A first byte can't be of both. */
	if (peek->length == 0)
		return WAIT;
	if (peek->tls && (!peek->http || peek->data[0] == 22))
		verdict = judge_tls(filter, flow, request, name, why, now_ns);
	else if (peek->http)
		verdict = judge_http(filter, flow, request, name, why, now_ns);
	return verdict;
}

/* --- segments --------------------------------------------------------------------------------- */

static void forbid(struct filter *filter, struct flow *flow, const struct frame *frame)
{
	struct frame first = *frame;

	filter_refuse(filter, frame, FILTER_REFUSED);
	/* The peer has seen nothing but the handshake. */
	first.sequence = flow->peek->start;
	filter_pass_to_peer(filter, filter->out, answer_reset_onwards(&first, filter->out));
	flow_end(&filter->flows, flow, FLOW_REFUSED);
}

static int hold(struct flow_peek *peek, const uint8_t *bytes, size_t length)
{
	struct held_frame *held;

	if (peek->frames == FILTER_PEEK_FRAMES)
		return -ENOBUFS;
	held = malloc(sizeof(*held) + length);
	if (!held)
		return -ENOMEM;
	held->next = NULL;
	held->length = length;
	memcpy(held->data, bytes, length);
	*peek->held_end = held;
	peek->held_end = &held->next;
	peek->frames++;
	return 0;
}

static void release(struct filter *filter, struct flow *flow)
{
	struct flow_peek *peek = flow->peek;
	struct held_frame *held;

	peek->decided = true;
	flow->bytes_out += peek->length;
	for (held = peek->held; held; held = held->next)
		filter_pass_to_peer(filter, held->data, held->length);
	drop_held(peek);
}

/*
 * The guest sends no more than its first window until it hears that some of it has arrived, which
 * may be less than a name takes. What is held back is ours to deliver from here on: the backend is
 * on this host and takes it whole.
 */
static void acknowledge(struct filter *filter, const struct flow_peek *peek,
			const struct frame *frame)
{
	filter->ops->to_guest(filter->arg, filter->out,
			      answer_acknowledge(frame, peek->start + peek->length, filter->out));
}

/*
 * Puts a segment's payload in its place. How many bytes are new; -EPROTO: there is a gap before it,
 * or it says something else than what is there already.
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

static void decide(struct filter *filter, struct flow *flow, const struct frame *frame,
		   uint8_t *bytes, int64_t fresh, uint64_t now_ns)
{
	struct filter_request request = {.op = FILTER_CONNECT,
					 .address = flow->key.peer,
					 .port = flow->key.peer_port,
					 .host = flow->host};
	struct flow_peek *peek = flow->peek;
	char name[DNS_NAME_TEXT] = "";
	const char *why = "its first bytes are more than are looked at";
	enum verdict verdict = FORBID;

	request.protocol = peek->tls ? FILTER_TLS : FILTER_HTTP;
	if ((size_t)fresh <= sizeof(peek->data) - peek->length &&
	    hold(peek, bytes, frame->length) == 0) {
		memcpy(peek->data + peek->length,
		       frame->data + frame->payload + frame->payload_length - fresh, (size_t)fresh);
		peek->length += (uint32_t)fresh;
		verdict = judge(filter, flow, &request, name, &why, now_ns);
	}
	if (verdict == WAIT && (frame->tcp_flags & TCP_FIN)) {
		why = "it ended before it named a server";
		verdict = FORBID;
	}
	if (verdict == WAIT) {
		acknowledge(filter, peek, frame);
		return;
	}
	if (verdict == FORBID)
		filter_log_refused(filter, &request, why, now_ns);
	/* The log has to take it, too. */
	else if (!filter->ops->check(filter->arg, &request))
		verdict = FORBID;
	if (verdict == PERMIT && request.name) {
		flow->name = strdup(request.name);
		if (!flow->name)
			verdict = FORBID;
	}
	if (verdict == FORBID) {
		forbid(filter, flow, frame);
		return;
	}
	release(filter, flow);
	flow_seen(&filter->flows, flow, FLOW_OPEN, now_ns);
}

void filter_peek_segment(struct filter *filter, struct flow *flow, const struct frame *frame,
			 uint8_t *bytes, uint64_t now_ns)
{
	struct flow_peek *peek = flow->peek;
	bool ends = frame->tcp_flags & TCP_FIN;
	int64_t fresh;

	/* Urgent bytes are taken out of the stream by some peers, and by others not. */
	if (frame->tcp_flags & TCP_URG) {
		filter_drop_guest(filter, FILTER_PEEK_GAP);
		return;
	}
	/* An acknowledgement of what the peer says. */
	if (frame->payload_length == 0 && !ends) {
		filter_pass_to_peer(filter, bytes, frame->length);
		return;
	}
	if (peek->decided && (int32_t)(frame->sequence - peek->start - peek->length) >= 0) {
		flow->bytes_out += frame->payload_length;
		flow->guest_done |= ends;
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
		flow->guest_done |= ends;
		filter_pass_to_peer(filter, bytes, frame->length);
		return;
	}
	/* What is held back already and has come once more: the answer was lost. */
	if (fresh == 0 && !ends) {
		acknowledge(filter, peek, frame);
		return;
	}
	flow->guest_done |= ends;
	decide(filter, flow, frame, bytes, fresh, now_ns);
}
