/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/relay_exchange_common.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "vmm/relay/link.h"

struct exchange_host host;

/* --- fakes ------------------------------------------------------------------------------------ */

/* One more of what a test may wait for. */
static void count(unsigned *counter)
{
	if (++*counter >= host.wanted && counter == host.awaited)
		loop_stop(host.relay.loop);
}

int epoll_wait(int fd, struct epoll_event *events, int most, int timeout)
{
	host.rounds++;
	return (int)syscall(SYS_epoll_wait, fd, events, most, timeout);
}

bool link_has_room(const struct link *link)
{
	(void)link;
	host.room_asked++;
	return host.room > 0;
}

static void take_frame(const uint8_t *headers, size_t header_length, const uint8_t *payload,
		       size_t length)
{
	uint8_t *frame;

	ck_assert_uint_le(header_length + length, PACKET_FRAME_MAX);
	if (host.frames < HOST_FRAMES) {
		frame = malloc(header_length + length);
		memcpy(frame, headers, header_length);
		if (length > 0)
			memcpy(frame + header_length, payload, length);
		host.frame[host.frames] = frame;
		host.length[host.frames] = header_length + length;
	}
	if (host.room > 0 && host.room != UINT32_MAX)
		host.room--;
	count(&host.frames);
}

void relay_to_guest(struct relay *relay, const uint8_t *headers, size_t header_length,
		    const uint8_t *payload, size_t length, const struct packet_offload *offload)
{
	(void)relay;
	ck_assert_uint_eq(offload->gso_size, 0);
	take_frame(headers, header_length, payload, length);
}

void relay_frame_to_guest(struct relay *relay, const uint8_t *frame, size_t length)
{
	(void)relay;
	take_frame(frame, length, NULL, 0);
}

void relay_error(struct relay *relay, const struct packet *packet, enum packet_error error)
{
	(void)relay;
	ck_assert_ptr_nonnull(packet->ip);
	host.errors++;
	host.error = error;
}

bool relay_may_begin(struct relay *relay, bool inbound)
{
	(void)inbound;
	relay->stats.flooded += !host.may_begin;
	return host.may_begin;
}

struct ip_address loopback(unsigned family)
{
	struct ip_address address = {.family = (uint16_t)family};

	if (family == AF_INET)
		return ip_from4(INADDR_LOOPBACK);
	address.bytes[15] = 1;
	return address;
}

struct ip_address relay_outside(const struct ip_address *peer)
{
	return ip_is(peer, IP_OWN_HOST) ? loopback(peer->family) : *peer;
}

struct ip_address relay_inside(const struct ip_address *client)
{
	const struct ip_address six = loopback(AF_INET6);

	if (client->family == AF_INET ? client->bytes[0] == 127 : ip_same(client, &six))
		return ip_own(client->family, IP_OWN_HOST);
	return *client;
}

void relay_log_end(struct relay *relay, const struct relay_flow *flow, enum relay_end why)
{
	(void)relay;
	host.ends++;
	host.end = why;
	host.end_out = flow->bytes_out;
	host.end_in = flow->bytes_in;
}

static void copy_name(char to[64], const struct relay_request *request)
{
	snprintf(to, 64, "%s", request->name ? request->name : "");
}

struct relay_choice decide_one(struct relay *relay, const struct relay_request *request)
{
	(void)relay;
	host.decided = *request;
	copy_name(host.decided_name, request);
	return host.choice;
}

struct relay_choice decide_flow(struct relay *relay, struct relay_request *request)
{
	request->name = host.name;
	return decide_one(relay, request);
}

int decide_check(struct relay *relay, struct relay_wait *wait, const struct relay_request *request)
{
	(void)relay;
	count(&host.checks);
	host.asked = *request;
	copy_name(host.asked_name, request);
	if (host.check < 0)
		return host.check;
	ck_assert_uint_lt(host.waits, HOST_WAITS);
	host.wait[host.waits++] = wait;
	wait->ticket = host.checks;
	return 0;
}

static void remove_wait(const struct relay_wait *wait)
{
	unsigned i;

	for (i = 0; i < host.waits && host.wait[i] != wait; i++)
		;
	ck_assert_uint_lt(i, host.waits);
	host.waits--;
	for (; i < host.waits; i++)
		host.wait[i] = host.wait[i + 1];
}

void decide_cancel(struct relay *relay, struct relay_wait *wait)
{
	(void)relay;
	if (wait->ticket == 0)
		return;
	host.cancels++;
	wait->ticket = 0;
	remove_wait(wait);
}

void decide_refused(struct relay *relay, const struct relay_request *request, const char *why)
{
	(void)relay;
	host.refusals++;
	host.refused = *request;
	host.why = why;
}

/* A connection of a client, as far as the table knows it. */
static void stream_ended(struct relay_flow *flow, enum relay_end why)
{
	host.end = why;
	free(flow);
}

static const struct relay_flow_ops stream_ops = {.end = stream_ended};

static void add_stream(const struct relay_key *key)
{
	struct relay_flow *flow = calloc(1, sizeof(*flow));

	flow->ops = &stream_ops;
	flow->key = *key;
	flow->inbound = true;
	ck_assert(relay_flows_add(&host.relay.flows, flow, RELAY_OPENING, 0));
}

void stream_accept(struct relay *relay, int fd, const struct ip_address *client,
		   uint16_t client_port, uint16_t guest_port)
{
	(void)relay;
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
	if (host.accepts)
		add_stream(&(struct relay_key){.peer = *client,
					       .guest_port = guest_port,
					       .peer_port = client_port,
					       .protocol = IPPROTO_TCP});
	host.client = *client;
	host.client_port = client_port;
	if (host.clients < HOST_FRAMES)
		host.client_guest_port[host.clients] = guest_port;
	count(&host.clients);
}

/* --- the relay -------------------------------------------------------------------------------- */

void host_setup(void)
{
	struct relay *relay = &host.relay;

	host.room = UINT32_MAX;
	host.may_begin = true;
	host.choice = (struct relay_choice){.verdict = POLICY_ALLOW, .order = 7};
	relay->card.configured = 1;
	ck_assert_int_eq(loop_create(&relay->loop), 0);
	ck_assert_int_eq(relay_flows_init(&relay->flows), 0);
	bucket_init_burst(&relay->echo_rate, DATAGRAM_ECHO_SECOND, DATAGRAM_ECHO_BURST,
			  relay_now(relay));
}

void host_teardown(void)
{
	struct relay *relay = &host.relay;
	unsigned i;

	relay_flows_destroy(&relay->flows);
	ck_assert_uint_eq(host.waits, 0);
	ck_assert_uint_eq(relay->datagrams.kept, 0);
	ck_assert_uint_eq(relay->datagrams.kept_bytes, 0);
	ck_assert_ptr_null(relay->datagrams.first_paused);
	ck_assert_ptr_null(relay->datagrams.last_paused);
	loop_destroy(relay->loop);
	for (i = 0; i < HOST_FRAMES; i++)
		free(host.frame[i]);
}

static void stop_loop(void *loop)
{
	loop_stop(loop);
}

static void run_for(unsigned milliseconds)
{
	struct loop_timer timer = {.expired = stop_loop, .arg = host.relay.loop};

	loop_timer_start(host.relay.loop, &timer, UINT64_C(1000000) * milliseconds);
	ck_assert_int_eq(loop_run(host.relay.loop), 0);
	loop_timer_stop(host.relay.loop, &timer);
	host.awaited = NULL;
}

static void run_until(const unsigned *counter, unsigned wanted)
{
	host.awaited = counter;
	host.wanted = wanted;
	if (*counter < wanted)
		run_for(20000);
	ck_assert_uint_eq(*counter, wanted);
}

void host_run(unsigned frames)
{
	run_until(&host.frames, frames);
}

void host_run_checks(unsigned checks)
{
	run_until(&host.checks, checks);
}

void host_run_clients(unsigned clients)
{
	run_until(&host.clients, clients);
}

void host_turn(void)
{
	run_for(30);
}

void host_room(void)
{
	host.room = UINT32_MAX;
	datagram_resume(&host.relay);
}

void host_verdict(bool allowed, bool approved)
{
	struct relay_wait *wait = host.wait[0];

	ck_assert_uint_gt(host.waits, 0);
	remove_wait(wait);
	wait->ticket = 0;
	wait->done(wait->arg, allowed, approved);
}

struct exchange *host_flow(const struct ip_address *peer, uint16_t guest_port, uint16_t peer_port,
			   uint8_t protocol)
{
	const struct relay_key key = {.peer = *peer,
				      .guest_port = guest_port,
				      .peer_port = peer_port,
				      .protocol = protocol};
	struct relay_flow *flow = relay_flows_find(&host.relay.flows, &key);

	return flow ? exchange_of(flow) : NULL;
}
