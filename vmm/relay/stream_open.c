/* SPDX-License-Identifier: Apache-2.0 */
/* The decision about a new connection of the guest, and its way to the outside. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/stream.h"

/* TCP, TLS and HTTP: a connection may turn out to be any of them. */
enum { TCP, TLS, HTTP, PROTOCOLS };

static const enum policy_protocol protocols[PROTOCOLS] = {POLICY_TCP, POLICY_TLS, POLICY_HTTP};

struct opening {
	struct relay_request request[PROTOCOLS];
	struct relay_choice choice[PROTOCOLS];
};

static bool is_stricter(const struct relay_choice *choice, const struct relay_choice *tcp)
{
	return choice->verdict != POLICY_ALLOW && choice->order < tcp->order;
}

/* A rule that denies TLS to a name counts if it comes before the one that allows TCP. */
static bool no_stricter(const struct opening *opening)
{
	return !is_stricter(&opening->choice[TLS], &opening->choice[TCP]) &&
	       !is_stricter(&opening->choice[HTTP], &opening->choice[TCP]);
}

/*
 * By the name of the flow if it has one, or by all names that are pinned to the address; but what
 * was judged to have no name is opened as TLS or HTTP by address alone.
 */
static void look_up(struct relay_stream *stream, const char *name, struct opening *opening)
{
	unsigned i;

	for (i = 0; i < PROTOCOLS; i++) {
		struct relay_request *request = &opening->request[i];

		*request = stream_request(stream, protocols[i]);
		request->name = name;
		if (protocols[i] == POLICY_HTTP && stream->upgrade_path) {
			request->method = "GET";
			request->path = stream->upgrade_path;
			request->unclear = stream->upgrade_unclear;
		}
		opening->choice[i] = name || (stream->judged && i != TCP)
					     ? decide_one(stream->relay, request)
					     : decide_flow(stream->relay, request);
	}
}

/* --- the outside ------------------------------------------------------------------------------ */

/* What the guest learns of a connection that did not come about. The stream is gone. */
static void fail(struct relay_stream *stream, int error)
{
	static const struct {
		int error;
		enum packet_error tell;
	} errors[] = {
		{ENETUNREACH, PACKET_NET_UNREACHABLE},
		{ENETDOWN, PACKET_NET_UNREACHABLE},
		{EAFNOSUPPORT, PACKET_NET_UNREACHABLE},
		{EADDRNOTAVAIL, PACKET_NET_UNREACHABLE},
		{EHOSTUNREACH, PACKET_HOST_UNREACHABLE},
		{EHOSTDOWN, PACKET_HOST_UNREACHABLE},
		{ETIMEDOUT, PACKET_HOST_UNREACHABLE},
		{EACCES, PACKET_PROHIBITED},
		{EPERM, PACKET_PROHIBITED},
	};
	const struct packet packet = {
		.kind = PACKET_TCP, .ip = stream->packet, .ip_length = stream->packet_length};
	struct relay_request request = stream_request(stream, POLICY_TCP);
	const char *lack = relay_lack(error);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		if (errors[i].error != error)
			continue;
		relay_error(stream->relay, &packet, errors[i].tell);
		/* No reset: the guest's program gets the error that the ICMP message stands for. */
		tcp_destroy(stream->tcp);
		stream->tcp = NULL;
		break;
	}
	request.name = stream->flow.name;
	stream->flow.error = error;
	if (lack)
		stream_refuse(stream, &request, lack);
	else
		stream_end(stream, RELAY_CLOSED);
}

static void connect_outside(struct relay_stream *stream)
{
	const struct ip_address outside = relay_outside(&stream->flow.key.peer);
	struct sockaddr_storage address;
	socklen_t length = ip_to_socket(&outside, stream->flow.key.peer_port, &address);
	int one = 1, fd, ret;

	stream->stage = STREAM_CONNECTING;
	fd = socket(outside.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		fail(stream, errno);
		return;
	}
	stream->socket.fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&address, length) < 0 && errno != EINPROGRESS) {
		fail(stream, errno);
		return;
	}
	ret = loop_add(stream->relay->loop, &stream->socket, STREAM_EVENTS);
	if (ret < 0)
		fail(stream, -ret);
}

void stream_connected(struct relay_stream *stream)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(stream->socket.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (error != 0) {
		fail(stream, error);
		return;
	}
	stream->stage = STREAM_OPEN;
	stream->judge_by_ns = relay_now(stream->relay) + STREAM_JUDGE_NS;
	stream->readable = true;
	stream->writable = true;
	tcp_accept(stream->tcp, relay_now(stream->relay));
	stream_wake(stream);
}

/* --- decisions -------------------------------------------------------------------------------- */

static void decided(void *arg, bool allowed, bool approved)
{
	struct relay_stream *stream = arg;

	if (stream->stage == STREAM_OPEN) {
		stream_subject_decided(stream, allowed, approved);
		return;
	}
	if (!allowed) {
		stream_end(stream, RELAY_REFUSED);
		return;
	}
	stream->asked = approved;
	stream->flow.approved = approved;
	connect_outside(stream);
}

/* Whether bytes of the guest pass as they are; if not, they are held until they are judged. */
static void hold(struct relay_stream *stream, const struct opening *opening, bool plain)
{
	judge_init(&stream->judge, opening->choice[TLS].verdict != POLICY_DENY,
		   opening->choice[HTTP].verdict != POLICY_DENY, stream->flow.key.peer_port);
	if (plain)
		stream->judge.kind = JUDGE_DONE;
}

/* Takes over a request that is about to be decided, and waits for the verdict. */
static void wait_for(struct relay_stream *stream, const struct relay_request *request,
		     uint32_t rule)
{
	stream->flow.rule = rule;
	stream->asked_rule = rule;
	stream->asked_protocol = request->protocol;
	if (request->name) {
		stream->flow.name = strdup(request->name);
		if (!stream->flow.name) {
			stream_refuse(stream, request, "out of memory");
			return;
		}
	}
	if (decide_check(stream->relay, &stream->wait, request) < 0)
		stream_refuse(stream, request, "too many decisions wait");
}

/* A rule about TCP applies to TLS and HTTP too: then the operator is asked about TCP. */
static int first_to_ask(const struct opening *opening)
{
	uint32_t rule = UINT32_MAX;
	int i, found = -1;

	for (i = 0; i < PROTOCOLS; i++) {
		if (opening->choice[i].verdict != POLICY_ASK || opening->choice[i].order >= rule)
			continue;
		rule = opening->choice[i].order;
		found = i;
	}
	return found;
}

/*
 * A tcp rule opens the connection whatever the protocol; if only rules for TLS or HTTP names could
 * allow it, it may connect, and what the guest sends is held until it is judged.
 */
void stream_decide(struct relay_stream *stream)
{
	struct opening opening;
	const struct relay_choice *choice = opening.choice;
	bool plain;
	int ask;

	stream->wait = (struct relay_wait){.done = decided, .arg = stream};
	stream->protocol = POLICY_TCP;
	look_up(stream, NULL, &opening);
	plain = choice[TCP].verdict == POLICY_ALLOW && no_stricter(&opening);
	if (plain) {
		hold(stream, &opening, true);
		wait_for(stream, &opening.request[TCP], choice[TCP].order);
		return;
	}
	hold(stream, &opening, false);
	if (choice[TLS].verdict == POLICY_ALLOW || choice[HTTP].verdict == POLICY_ALLOW) {
		connect_outside(stream);
		return;
	}
	ask = first_to_ask(&opening);
	if (ask < 0) {
		stream_refuse(stream, &opening.request[TCP], NULL);
		return;
	}
	hold(stream, &opening, ask == TCP && no_stricter(&opening));
	wait_for(stream, &opening.request[ask], choice[ask].order);
}

/* An approval holds as long as the policy allows the connection or says 'ask'. */
static bool accepts(const struct relay_stream *stream, const struct relay_choice *choice)
{
	return choice->verdict == POLICY_ALLOW ||
	       (choice->verdict == POLICY_ASK && stream->flow.approved);
}

bool stream_still_allowed(struct relay_flow *flow)
{
	struct relay_stream *stream = (struct relay_stream *)flow;
	const struct relay_choice *choice;
	struct opening opening;
	unsigned kind;

	if (flow->inbound || stream->consumer)
		return true;
	look_up(stream, flow->name, &opening);
	choice = opening.choice;
	for (kind = 0; kind < PROTOCOLS; kind++)
		if (protocols[kind] == stream->asked_protocol)
			stream->asked_rule = choice[kind].order;
	/* The monitor decides again about what waits for it; but not whether bytes are judged. */
	if (stream->stage == STREAM_DECIDING) {
		hold(stream, &opening, stream->judge.kind == JUDGE_DONE && no_stricter(&opening));
		return true;
	}
	if (accepts(stream, &choice[TCP]) && no_stricter(&opening)) {
		flow->rule = choice[TCP].order;
		return true;
	}
	/* What was never judged as TLS or HTTP is not opened by a rule about these. */
	if (!stream->judged)
		return stream->judge.kind != JUDGE_DONE &&
		       (accepts(stream, &choice[TLS]) || accepts(stream, &choice[HTTP]));
	kind = stream->protocol == POLICY_TLS ? TLS : HTTP;
	flow->rule = choice[kind].order;
	return accepts(stream, &choice[kind]);
}
