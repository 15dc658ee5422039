/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions about names and requests that the guest sends on an open connection. */
#include <stdlib.h>
#include <string.h>

#include "vmm/relay/names.h"
#include "vmm/relay/stream.h"

struct relay_request stream_request(const struct relay_stream *stream,
				    enum policy_protocol protocol)
{
	const struct relay_flow *flow = &stream->flow;

	return (struct relay_request){
		.op = flow->inbound ? POLICY_LISTEN : POLICY_CONNECT,
		.protocol = protocol,
		.address = flow->key.peer,
		.port = flow->inbound ? flow->key.guest_port : flow->key.peer_port,
		.host = flow->host,
	};
}

void stream_refuse(struct relay_stream *stream, const struct relay_request *request,
		   const char *why)
{
	decide_refused(stream->relay, request, why);
	stream_end(stream, RELAY_REFUSED);
}

void stream_refuse_unjudged(struct relay_stream *stream, const char *why)
{
	const struct judge *judge = &stream->judge;
	struct relay_request request = stream_request(
		stream, judge->kind == JUDGE_HTTP || !judge->tls ? POLICY_HTTP : POLICY_TLS);

	stream_refuse(stream, &request, why);
}

uint64_t stream_judge_by(const struct relay_stream *stream)
{
	return stream->judged || stream->judge.kind == JUDGE_DONE || stream->wait.ticket != 0
		       ? RELAY_NEVER
		       : stream->judge_by_ns;
}

bool stream_overdue(struct relay_stream *stream)
{
	if (relay_now(stream->relay) < stream_judge_by(stream))
		return false;
	stream_refuse_unjudged(stream, "nothing that can be judged came within 130 seconds");
	return true;
}

/* Whether an operator has allowed this, by the rule that asked, when the connection began. */
static bool is_approved(const struct relay_stream *stream, const struct relay_request *request,
			uint32_t rule)
{
	const char *name = stream->flow.name;

	if (!stream->asked || rule != stream->asked_rule ||
	    (stream->asked_protocol != POLICY_TCP && stream->asked_protocol != request->protocol))
		return false;
	return !name || (request->name && strcmp(request->name, name) == 0);
}

/* Whether the line of the connection itself says all that one about its ClientHello would. */
static bool is_logged(const struct relay_stream *stream, const struct relay_request *request)
{
	return request->protocol == POLICY_TLS && stream->asked_protocol == POLICY_TLS &&
	       stream->flow.name;
}

/* Whether the Host of a request is the address that the connection goes to. */
static bool is_peer(const struct relay_stream *stream, const char *text)
{
	const struct ip_address *peer = &stream->flow.key.peer;
	uint8_t address[IP_BYTES];

	return inet_pton(peer->family, text, address) == 1 &&
	       memcmp(address, peer->bytes, peer->family == AF_INET ? 4 : IP_BYTES) == 0;
}

/*
 * Whether a DNS reply gave the peer's address for a name: not long ago, or when the connection was
 * judged by that name before. So an open connection may outlive the reply.
 */
static bool is_pinned(const struct relay_stream *stream, const char *name)
{
	const struct relay_flow *flow = &stream->flow;

	if (ip_is_special(&flow->key.peer))
		return false;
	return (stream->name_pinned && strcmp(flow->name, name) == 0) ||
	       names_have(stream->relay->names, name, &flow->key.peer, relay_now(stream->relay));
}

struct finding {
	struct relay_choice choice;
	bool pinned;  /* a DNS reply gave the peer's address for the name */
	bool by_name; /* the rule that decides goes by the name */
};

static struct finding find(const struct relay_stream *stream, struct relay_request *request)
{
	struct relay_choice by_address, by_name = {.order = UINT32_MAX};
	const char *name = request->name;
	struct finding found = {.pinned = name && is_pinned(stream, name)};

	if (name)
		by_name = decide_one(stream->relay, request);
	request->name = NULL;
	by_address = decide_one(stream->relay, request);
	request->name = name;
	/*
	 * A rule that matches the address alone matches with the name too. Then both decisions are
	 * the same, unless an operator has decided about the name.
	 */
	found.by_name =
		by_name.order < by_address.order ||
		(by_name.order == by_address.order && by_name.verdict != by_address.verdict &&
		 (found.pinned || by_name.verdict == POLICY_DENY));
	found.choice = found.by_name ? by_name : by_address;
	return found;
}

bool stream_decide_subject(struct relay_stream *stream)
{
	const struct judge_subject *subject = &stream->judge.subject;
	struct relay_request request = stream_request(stream, subject->protocol);
	struct finding found;

	request.name = subject->name;
	request.method = subject->method;
	request.path = subject->path;
	request.unclear = subject->unclear;
	if (subject->address && !is_peer(stream, subject->address)) {
		stream_refuse(stream, &request, "the Host is another address");
		return false;
	}
	found = find(stream, &request);
	stream->pending_rule = found.choice.order;
	stream->pending_pinned = found.pinned;
	if (found.choice.verdict == POLICY_DENY) {
		stream_refuse(stream, &request, subject->why);
		return false;
	}
	request.covered = found.choice.verdict == POLICY_ASK &&
			  is_approved(stream, &request, found.choice.order);
	if (request.covered && is_logged(stream, &request))
		return stream_subject_decided(stream, true, true);
	if (found.by_name && !found.pinned && !request.covered) {
		stream_refuse(stream, &request, "no DNS reply gave this address for the name");
		return false;
	}
	/* No operator is shown a name that the guest may have made up for the address. */
	if (!found.pinned && found.choice.verdict == POLICY_ASK && !request.covered)
		request.name = NULL;
	if (decide_check(stream->relay, &stream->wait, &request) < 0) {
		stream_refuse(stream, &request, "too many decisions wait");
		return false;
	}
	return true;
}

/* Keeps a copy of a text in *to. False: out of memory. */
static bool keep(char **to, const char *text)
{
	free(*to);
	*to = strdup(text);
	return *to != NULL;
}

bool stream_subject_decided(struct relay_stream *stream, bool allowed, bool approved)
{
	const struct judge *judge = &stream->judge;
	const struct judge_subject *subject = &judge->subject;

	if (!allowed) {
		stream_end(stream, RELAY_REFUSED);
		return false;
	}
	stream->upgrade_unclear = subject->unclear;
	if ((!stream->judged && subject->name && !keep(&stream->flow.name, subject->name)) ||
	    (judge->kind == JUDGE_HTTP && judge->http_stream->head.upgrade &&
	     !keep(&stream->upgrade_path, subject->path))) {
		stream_end(stream, RELAY_CLOSED);
		return false;
	}
	/* The name is kept once. */
	if (!stream->judged)
		stream->name_pinned = subject->name && stream->pending_pinned;
	stream->protocol = subject->protocol;
	stream->judged = true;
	stream->flow.rule = stream->pending_rule;
	stream->flow.approved |= approved;
	judge_permit(&stream->judge);
	stream_wake(stream);
	return true;
}
