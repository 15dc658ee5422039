/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a TCP connection: its packets, turns and end. */
#include "vmm/relay/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/relay/link.h"
#include "vmm/relay/stream_names.h"

#define DNS_PORT  53
#define STARVE_NS UINT64_C(200000000) /* until a stream without memory tries again */
#define TURNS	  64 /* of streams before the loop looks at its descriptors again */

/* --- the endpoint ----------------------------------------------------------------------------- */

void stream_output(void *arg, const struct tcp_segment *segment)
{
	const struct stream_ends *ends = arg;
	uint8_t headers[PACKET_HEADERS_MAX];
	struct packet_offload offload;
	size_t length =
		packet_write_tcp(&ends->relay->ends, &ends->peer, ends->peer_port, &ends->guest,
				 ends->guest_port, segment, headers, &offload);

	relay_to_guest(ends->relay, headers, length, segment->data, segment->length, &offload);
}

static const struct tcp_config *config_of(struct relay *relay, const struct ip_address *peer)
{
	return peer->family == AF_INET ? &relay->tcp4 : &relay->tcp6;
}

static struct stream_ends ends_of(struct relay *relay, const struct relay_key *key)
{
	return (struct stream_ends){.relay = relay,
				    .guest = ip_own(key->peer.family, IP_OWN_GUEST),
				    .peer = key->peer,
				    .guest_port = key->guest_port,
				    .peer_port = key->peer_port};
}

/* RFC 6528: no guess from one connection to another. 0 if the host has no random numbers. */
static uint32_t initial_sequence(void)
{
	uint32_t isn = 0;

	return getrandom(&isn, sizeof(isn), GRND_NONBLOCK) == sizeof(isn) ? isn : 0;
}

/* --- turns ------------------------------------------------------------------------------------ */

void stream_wake(struct relay_stream *stream)
{
	struct relay *relay = stream->relay;

	if (stream->ready)
		return;
	stream->ready = true;
	stream->next_ready = NULL;
	stream->previous_ready = relay->last_ready;
	if (relay->last_ready)
		relay->last_ready->next_ready = stream;
	else
		relay->first_ready = stream;
	relay->last_ready = stream;
	loop_defer(relay->loop, &relay->streams);
}

static void forget_ready(struct relay_stream *stream)
{
	struct relay *relay = stream->relay;

	if (!stream->ready)
		return;
	stream->ready = false;
	if (stream->previous_ready)
		stream->previous_ready->next_ready = stream->next_ready;
	else
		relay->first_ready = stream->next_ready;
	if (stream->next_ready)
		stream->next_ready->previous_ready = stream->previous_ready;
	else
		relay->last_ready = stream->previous_ready;
}

static struct relay_stream *take_ready(struct relay *relay)
{
	struct relay_stream *stream = relay->first_ready;

	forget_ready(stream);
	return stream;
}

/* The peer gets a reset instead of the end of a stream that looks complete. */
static void close_socket(struct relay_stream *stream)
{
	const struct linger reset = {.l_onoff = 1};

	if (stream->socket.fd < 0)
		return;
	loop_remove(stream->relay->loop, &stream->socket);
	if (!stream->in_ended || !stream->out_ended)
		setsockopt(stream->socket.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	fd_close(&stream->socket.fd);
}

/* Looks at what has become of both ends. False: the stream is gone. */
static bool settle(struct relay_stream *stream)
{
	unsigned look = tcp_look(stream->tcp);
	struct relay *relay = stream->relay;

	if (look & TCP_LOOK_OPEN)
		relay_flows_seen(&relay->flows, &stream->flow,
				 stream->in_ended && (look & TCP_LOOK_ENDED) ? RELAY_CLOSING
									     : RELAY_OPEN,
				 relay_now(relay));
	if (stream->in_ended && stream->out_ended)
		close_socket(stream);
	if (!(look & TCP_LOOK_CLOSED))
		return true;
	/* What the guest has sent before it closed in order is still to be delivered. */
	if (tcp_cause(stream->tcp) == TCP_CAUSE_ENDED && (look & TCP_LOOK_READABLE))
		return true;
	stream_end(stream, RELAY_CLOSED);
	return false;
}

static void turn(struct relay_stream *stream)
{
	struct relay *relay = stream->relay;
	uint64_t deadline;
	bool more = false;

	if (!stream->tcp)
		return;
	if (stream->stage == STREAM_OPEN && !stream_move(stream, &more))
		return;
	tcp_flush(stream->tcp, relay_now(relay));
	if (!settle(stream))
		return;
	deadline = tcp_deadline(stream->tcp);
	if (stream->stage == STREAM_OPEN) {
		if (stream_overdue(stream))
			return;
		deadline = min_u64(deadline, stream_judge_by(stream));
	}
	/* No one tells that other streams have given memory back. */
	if (stream->starved)
		deadline = min_u64(deadline, relay_now(relay) + STARVE_NS);
	relay_flows_deadline(&relay->flows, &stream->flow, deadline);
	relay_set_timer(relay);
	if (more)
		stream_wake(stream);
}

void stream_tasks(void *arg)
{
	struct relay *relay = arg;
	unsigned turns;

	/* Without room for their segments they wait: relay_streams_resume(). */
	for (turns = 0; relay->first_ready && link_has_room(relay->frames); turns++) {
		if (turns == TURNS) {
			loop_defer(relay->loop, &relay->streams);
			break;
		}
		turn(take_ready(relay));
	}
	/* Not with the next round: the guest waits. */
	link_flush(relay->frames);
}

void relay_streams_resume(struct relay *relay)
{
	if (relay->first_ready)
		loop_defer(relay->loop, &relay->streams);
}

/* --- life ------------------------------------------------------------------------------------- */

static void socket_ready(void *arg, uint32_t events)
{
	struct relay_stream *stream = arg;

	/*
	 * Edges: each is seen once, so all are remembered, those that come with the connection too.
	 * An error is found by the next call. recv(2) stops at an urgent byte.
	 */
	stream->read_on |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) != 0;
	stream->readable |= (events & EPOLLIN) || stream->read_on;
	stream->writable |= (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
	if (stream->stage == STREAM_CONNECTING)
		stream_connected(stream);
	else
		stream_wake(stream);
}

static void destroy(struct relay_stream *stream)
{
	decide_cancel(stream->relay, &stream->wait);
	forget_ready(stream);
	if (stream->flow.inbound)
		stream->relay->clients--;
	tcp_destroy(stream->tcp);
	close_socket(stream);
	if (stream->consumer)
		stream->consumer->destroy(stream->consumer_arg);
	judge_destroy(&stream->judge);
	free(stream->response);
	free(stream->upgrade_path);
	free(stream->flow.name);
	free(stream);
}

/* relay_flow_ops.end */
static void ended(struct relay_flow *flow, enum relay_end why)
{
	struct relay_stream *stream = (struct relay_stream *)flow;

	if (stream->tcp && tcp_state(stream->tcp) == TCP_STATE_ASKED)
		tcp_refuse(stream->tcp);
	else if (stream->tcp && tcp_state(stream->tcp) != TCP_STATE_CLOSED)
		tcp_abort(stream->tcp);
	/* A refused one has its line already, and one that was never allowed has none. */
	if (why != RELAY_REFUSED && stream->stage != STREAM_DECIDING)
		relay_log_end(stream->relay, flow, why);
	destroy(stream);
}

static void tick(struct relay_flow *flow, uint64_t now_ns)
{
	struct relay_stream *stream = (struct relay_stream *)flow;

	if (!stream->tcp)
		return;
	tcp_tick(stream->tcp, now_ns);
	stream_wake(stream);
}

static const struct relay_flow_ops flow_ops = {
	.end = ended,
	.still_allowed = stream_still_allowed,
	.tick = tick,
};

void stream_end(struct relay_stream *stream, enum relay_end why)
{
	relay_flows_end(&stream->relay->flows, &stream->flow, why);
}

struct relay_stream *stream_new(struct relay *relay, const struct relay_key *key)
{
	struct relay_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return NULL;
	stream->relay = relay;
	stream->flow.ops = &flow_ops;
	stream->flow.key = *key;
	stream->flow.host = ip_is(&key->peer, IP_OWN_HOST);
	stream->ends = ends_of(relay, key);
	stream->socket = (struct loop_source){.fd = -1, .ready = socket_ready, .arg = stream};
	return stream;
}

void stream_consume(struct relay_stream *stream, const struct stream_consumer *consumer, void *arg)
{
	stream->consumer = consumer;
	stream->consumer_arg = arg;
	stream->judge.kind = JUDGE_DONE;
	stream->stage = STREAM_OPEN;
	tcp_accept(stream->tcp, relay_now(stream->relay));
	stream_wake(stream);
}

/* --- packets of the guest --------------------------------------------------------------------- */

static void begin(struct relay *relay, const struct packet *packet, const struct relay_key *key)
{
	struct stream_ends ends = ends_of(relay, key);
	const struct tcp_config *config = config_of(relay, &key->peer);
	bool own = ip_is_own(&key->peer), names;
	struct relay_stream *stream;

	names = ip_is(&key->peer, IP_OWN_ROUTER) && key->peer_port == DNS_PORT;
	/* Nothing else is at the sandbox's own addresses. */
	if ((packet->tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN ||
	    (own && !names && !ip_is(&key->peer, IP_OWN_HOST)) || !relay_may_begin(relay, false)) {
		tcp_stray(config, &ends, &packet->tcp);
		return;
	}
	stream = stream_new(relay, key);
	if (!stream)
		return;
	if (tcp_open_passive(&stream->tcp, config, &stream->ends, &packet->tcp,
			     initial_sequence()) < 0 ||
	    !relay_flows_add(&relay->flows, &stream->flow, RELAY_OPENING, relay_now(relay))) {
		destroy(stream);
		tcp_stray(config, &ends, &packet->tcp);
		return;
	}
	stream->packet_length = min_u64(packet->ip_length, sizeof(stream->packet));
	memcpy(stream->packet, packet->ip, stream->packet_length);
	if (names)
		stream_names_open(stream);
	else
		stream_decide(stream);
}

void stream_packet(struct relay *relay, const struct packet *packet)
{
	const struct relay_key key = {.peer = packet->target,
				      .guest_port = packet->source_port,
				      .peer_port = packet->target_port,
				      .protocol = IPPROTO_TCP};
	struct relay_flow *flow = relay_flows_find(&relay->flows, &key);
	struct relay_stream *stream = (struct relay_stream *)flow;

	if (stream && stream->tcp) {
		if (!tcp_input(stream->tcp, &packet->tcp, relay_now(relay))) {
			stream_wake(stream);
			return;
		}
		/* What it has sent is not delivered yet: it repeats the SYN. */
		if (tcp_look(stream->tcp) & TCP_LOOK_READABLE)
			return;
		stream_end(stream, RELAY_CLOSED);
	} else if (stream) {
		/* A client of a published port waits for its verdict on these ports. */
		stream_end(stream, RELAY_DROPPED);
	}
	begin(relay, packet, &key);
}

/* --- clients of published ports --------------------------------------------------------------- */

/* The verdict about a client: relay_wait.done */
static void client_decided(void *arg, bool allowed, bool approved)
{
	struct relay_stream *stream = arg;
	struct relay *relay = stream->relay;

	(void)approved;
	if (!allowed || tcp_open_active(&stream->tcp, config_of(relay, &stream->flow.key.peer),
					&stream->ends, initial_sequence(), relay_now(relay)) < 0) {
		stream_end(stream, RELAY_REFUSED);
		return;
	}
	stream->stage = STREAM_OPEN;
	stream->judge.kind = JUDGE_DONE;
	if (loop_add(relay->loop, &stream->socket, STREAM_EVENTS) < 0) {
		stream_end(stream, RELAY_CLOSED);
		return;
	}
	stream_wake(stream);
}

void stream_accept(struct relay *relay, int fd, const struct ip_address *client,
		   uint16_t client_port, uint16_t guest_port)
{
	const struct relay_key key = {.peer = *client,
				      .guest_port = guest_port,
				      .peer_port = client_port,
				      .protocol = IPPROTO_TCP};
	struct relay_stream *stream = NULL;
	struct relay_request request;

	/* The guest's own connections always find room beside these. */
	if (relay->clients < RELAY_CLIENTS && !relay_flows_find(&relay->flows, &key) &&
	    relay_may_begin(relay, true))
		stream = stream_new(relay, &key);
	if (!stream) {
		close(fd);
		return;
	}
	stream->socket.fd = fd;
	stream->flow.inbound = true;
	relay->clients++;
	stream->wait = (struct relay_wait){.done = client_decided, .arg = stream};
	if (!relay_flows_add(&relay->flows, &stream->flow, RELAY_OPENING, relay_now(relay))) {
		destroy(stream);
		return;
	}
	request = stream_request(stream, POLICY_TCP);
	if (decide_check(relay, &stream->wait, &request) < 0)
		stream_end(stream, RELAY_REFUSED);
}
