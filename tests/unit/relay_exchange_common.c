/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/relay_exchange_common.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

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

bool relay_may_begin(struct relay *relay)
{
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

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

static bool enter_network(void)
{
	struct ifreq interface = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	unsigned uid = geteuid(), gid = getegid();
	char map[64];
	int fd;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_text("/proc/self/setgroups", "deny");
	if (!write_text("/proc/self/uid_map", map))
		return false;
	snprintf(map, sizeof(map), "0 %u 1", gid);
	if (!write_text("/proc/self/gid_map", map))
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &interface) == 0 && close(fd) == 0;
}

/* A child tries it first: an attempt that fails halfway cannot be undone. */
bool host_own_network(void)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0)
		_exit(!enter_network());
	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return status == 0 && enter_network();
}

bool host_has_ipv6(void)
{
	const struct sockaddr_in6 six = {.sin6_family = AF_INET6,
					 .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&six, sizeof(six)) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

void host_skip(const char *test, const char *why)
{
	printf("skip %s %s\n", test, why);
	fflush(stdout);
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

/* --- the guest -------------------------------------------------------------------------------- */

/* An IP header without checksum and 8 bytes, which errors repeat. */
static uint8_t last_packet[EXCHANGE_HEADER + PACKET_MTU];

static struct packet packet_to(const struct ip_address *target, uint8_t protocol, size_t length)
{
	struct packet packet = {.source = ip_own(target->family, IP_OWN_GUEST),
				.target = *target,
				.ip = last_packet,
				.payload_length = length};
	uint8_t *ip = last_packet;

	memset(ip, 0, EXCHANGE_HEADER);
	if (target->family == AF_INET) {
		packet.ip_length = 28 + length;
		ip[0] = 0x45;
		store_be16(ip + 2, (uint16_t)packet.ip_length);
		ip[8] = 64;
		ip[9] = protocol;
		memcpy(ip + 12, packet.source.bytes, 4);
		memcpy(ip + 16, target->bytes, 4);
		packet.payload = ip + 28;
	} else {
		packet.ip_length = 48 + length;
		ip[0] = 0x60;
		store_be16(ip + 4, (uint16_t)(8 + length));
		ip[6] = protocol;
		ip[7] = 64;
		memcpy(ip + 8, packet.source.bytes, 16);
		memcpy(ip + 24, target->bytes, 16);
		packet.payload = ip + 48;
	}
	return packet;
}

static size_t ip_header(unsigned family)
{
	return family == AF_INET ? 20 : 40;
}

void guest_sends_from(uint16_t port, const struct ip_address *target, uint16_t target_port,
		      const void *payload, size_t length)
{
	struct packet packet = packet_to(target, IPPROTO_UDP, length);
	uint8_t *udp = last_packet + ip_header(target->family);

	packet.kind = PACKET_UDP;
	packet.source_port = port;
	packet.target_port = target_port;
	store_be16(udp, port);
	store_be16(udp + 2, target_port);
	store_be16(udp + 4, (uint16_t)(8 + length));
	if (length > 0)
		memcpy(udp + 8, payload, length);
	datagram_packet(&host.relay, &packet);
}

void guest_sends(const struct ip_address *target, uint16_t target_port, const void *payload,
		 size_t length)
{
	guest_sends_from(GUEST_PORT, target, target_port, payload, length);
}

void guest_pings(const struct ip_address *target, uint16_t id, uint16_t sequence,
		 const void *payload, size_t length)
{
	bool four = target->family == AF_INET;
	struct packet packet = packet_to(target, four ? IPPROTO_ICMP : IPPROTO_ICMPV6, length);
	uint8_t *icmp = last_packet + ip_header(target->family);

	packet.kind = PACKET_ECHO;
	packet.echo_id = id;
	packet.echo_sequence = sequence;
	icmp[0] = four ? 8 : 128;
	store_be16(icmp + 4, id);
	store_be16(icmp + 6, sequence);
	if (length > 0)
		memcpy(icmp + 8, payload, length);
	echo_packet(&host.relay, &packet);
}

struct seen host_seen(unsigned frame)
{
	const uint8_t *bytes = host.frame[frame], *ip = bytes + PACKET_ETHERNET;
	size_t length = host.length[frame];
	struct seen seen = {.protocol = 0};

	ck_assert_uint_lt(frame, host.frames);
	ck_assert_uint_ge(length, PACKET_ETHERNET + 20);
	if (load_be16(bytes + 12) == 0x0800) {
		ck_assert_uint_eq(load_be16(ip + 2), length - PACKET_ETHERNET);
		seen.source.family = seen.target.family = AF_INET;
		memcpy(seen.source.bytes, ip + 12, 4);
		memcpy(seen.target.bytes, ip + 16, 4);
		seen.protocol = ip[9];
	} else {
		ck_assert_uint_eq(load_be16(ip + 4), length - PACKET_ETHERNET - 40);
		seen.source.family = seen.target.family = AF_INET6;
		memcpy(seen.source.bytes, ip + 8, 16);
		memcpy(seen.target.bytes, ip + 24, 16);
		seen.protocol = ip[6];
	}
	seen.data = ip + ip_header(seen.source.family);
	seen.length = length - (size_t)(seen.data - bytes);
	ck_assert(ip_is(&seen.target, IP_OWN_GUEST));
	return seen;
}

void host_saw_datagram(unsigned frame, const struct ip_address *source, uint16_t source_port,
		       uint16_t guest_port, const void *payload, size_t length)
{
	const struct seen seen = host_seen(frame);

	ck_assert_uint_eq(seen.protocol, IPPROTO_UDP);
	ck_assert(ip_same(&seen.source, source));
	ck_assert_uint_eq(load_be16(seen.data), source_port);
	ck_assert_uint_eq(load_be16(seen.data + 2), guest_port);
	ck_assert_uint_eq(seen.length, 8 + length);
	ck_assert_mem_eq(seen.data + 8, payload, length);
}

void host_saw_error(unsigned frame, unsigned family, uint8_t type, uint8_t code)
{
	const struct seen seen = host_seen(frame);

	ck_assert_uint_eq(seen.source.family, family);
	ck_assert_uint_eq(seen.protocol, family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	ck_assert(ip_is(&seen.source, IP_OWN_ROUTER));
	ck_assert_uint_eq(seen.data[0], type);
	ck_assert_uint_eq(seen.data[1], code);
	ck_assert_uint_ge(seen.length, 8 + ip_header(family) + 8);
	ck_assert_mem_eq(seen.data + 8, last_packet, ip_header(family) + 8);
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

/* --- peers ------------------------------------------------------------------------------------ */

int peer_open(unsigned family, int type, uint16_t *port)
{
	const struct ip_address address = loopback(family);
	const struct timeval patience = {.tv_sec = 20};
	struct sockaddr_storage at;
	socklen_t length = ip_to_socket(&address, *port, &at);
	struct ip_address own;
	int fd = socket((int)family, type | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, length), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &length), 0);
	ck_assert(ip_from_socket(&at, &own, port));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

size_t peer_reads(int fd, void *to, size_t size, uint16_t *from)
{
	struct sockaddr_storage at;
	socklen_t length = sizeof(at);
	struct ip_address address;
	uint16_t port;
	ssize_t got = recvfrom(fd, to, size, 0, (struct sockaddr *)&at, &length);

	ck_assert_msg(got >= 0, "nothing came: %s", strerror(errno));
	ck_assert(ip_from_socket(&at, &address, &port));
	if (from)
		*from = port;
	return (size_t)got;
}

void peer_reads_text(int fd, const char *text, uint16_t *from)
{
	char bytes[256];
	size_t length = peer_reads(fd, bytes, sizeof(bytes), from);

	ck_assert_uint_eq(length, strlen(text));
	ck_assert_mem_eq(bytes, text, length);
}

void peer_is_silent(int fd)
{
	char byte;

	ck_assert_int_eq(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

void peer_sends(int fd, unsigned family, uint16_t port, const void *data, size_t length)
{
	const struct ip_address address = loopback(family);
	struct sockaddr_storage at;
	socklen_t at_length = ip_to_socket(&address, port, &at);

	ck_assert_int_eq(sendto(fd, data, length, 0, (struct sockaddr *)&at, at_length),
			 (ssize_t)length);
}
