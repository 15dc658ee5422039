/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/relay_world_internal.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/link.h"
#include "vmm/relay/wire_check.h"
#include "vmm/policy/policy_copy.h"

#define UNTIL_NS UINT64_C(60000000000) /* only a hang takes that long */
#define STEP_NS	 UINT64_C(2000000)

static const uint8_t guest_mac[PACKET_MAC] = {0x06, 1, 2, 3, 4, 5};
static const uint8_t router_mac[PACKET_MAC] = {0x02, 0, 0x5e, 0, 0, 1};

/* --- the guest -------------------------------------------------------------------------------- */

void relay_world_frame(struct relay_world *world, const uint8_t *frame, size_t length)
{
	struct virtio_net_hdr_v1 header = {.flags = 0};
	const struct iovec part[2] = {{&header, sizeof(header)}, {(void *)frame, length}};

	link_send(world->frames, part, 2);
}

void relay_world_segment(struct relay_world *world, uint16_t guest_port,
			 const struct ip_address *peer, uint16_t peer_port,
			 const struct tcp_segment *segment)
{
	const struct ip_address guest = ip_own(peer->family, IP_OWN_GUEST);
	uint8_t frame[PACKET_FRAME_MAX];
	struct packet_offload offload;
	size_t length = packet_write_tcp(&world->ends, &guest, guest_port, peer, peer_port, segment,
					 frame, &offload);

	must(length + segment->length <= sizeof(frame), "segment");
	if (segment->length)
		memcpy(frame + length, segment->data, segment->length);
	relay_world_frame(world, frame, length + segment->length);
}

static void connection_output(void *arg, const struct tcp_segment *segment)
{
	struct world_connection *connection = arg;

	relay_world_segment(connection->world, connection->guest_port, &connection->peer,
			    connection->peer_port, segment);
}

/* All that a program in the guest would do now. */
static void connection_turn(struct world_connection *connection)
{
	struct tcp *tcp = connection->tcp;
	uint64_t now = loop_guest_now_ns(connection->world->loop);
	const uint8_t *data;
	size_t length;

	if (!tcp)
		return;
	tcp_tick(tcp, now);
	length = connection->left ? tcp_write(tcp, connection->to_send, connection->left) : 0;
	connection->to_send += length;
	connection->left -= length;
	if (connection->end_after && connection->left == 0 && !connection->shut) {
		connection->shut = true;
		tcp_shutdown(tcp);
	}
	while (!connection->deaf && (data = tcp_peek(tcp, &length)) != NULL) {
		keep(&connection->got, &connection->got_length, &connection->got_size, data,
		     length);
		tcp_consume(tcp, length);
	}
	if (tcp_look(tcp) & TCP_LOOK_ENDED)
		connection->got_end = true;
	tcp_flush(tcp, now);
}

static struct world_connection *connection_of(struct relay_world *world,
					      const struct packet *packet)
{
	struct world_connection *connection;
	unsigned i;

	for (i = world->connections; i-- > 0;) {
		connection = &world->connection[i];
		if (connection->guest_port == packet->target_port &&
		    connection->peer_port == packet->source_port &&
		    ip_same(&connection->peer, &packet->source))
			return connection;
	}
	return NULL;
}

/* ICMP errors: which connection's packet is in them. */
static void take_error(struct relay_world *world, const uint8_t *frame, size_t length)
{
	size_t ip = PACKET_ETHERNET, inner;
	uint16_t guest_port;
	uint8_t code;
	unsigned i;

	if (length < ip + 20 + 8 + 20 + 8)
		return;
	if (load_be16(frame + 12) == 0x0800) {
		if (frame[ip + 9] != IPPROTO_ICMP || frame[ip + 20] != 3)
			return;
		code = frame[ip + 21];
		inner = ip + 20 + 8 + 20;
	} else {
		if (length < ip + 40 + 8 + 40 + 8 || frame[ip + 6] != IPPROTO_ICMPV6 ||
		    frame[ip + 40] != 1)
			return;
		code = frame[ip + 41];
		inner = ip + 40 + 8 + 40;
	}
	guest_port = load_be16(frame + inner);
	for (i = 0; i < world->connections; i++)
		if (world->connection[i].guest_port == guest_port)
			world->connection[i].icmp_code = code;
}

static void take_frame(void *arg, uint8_t *data, size_t length, int fd)
{
	struct relay_world *world = arg;
	struct virtio_net_hdr_v1 header;
	struct world_connection *connection;
	struct packet packet;

	(void)fd;
	must(length > sizeof(header) + PACKET_ETHERNET, "frame");
	memcpy(&header, data, sizeof(header));
	data += sizeof(header);
	length -= sizeof(header);
	world->frames_got++;
	if (world->on_frame)
		world->on_frame(world, data, length);
	memcpy(world->last_frame, data, length);
	world->last_length = length;
	if (packet_parse(world->last_frame, length, header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
			 &packet) != PACKET_OK) {
		take_error(world, data, length);
		return;
	}
	must(memcmp(packet.target_mac, guest_mac, PACKET_MAC) == 0, "MAC");
	world->last = packet;
	if (packet.kind != PACKET_TCP)
		return;
	world->resets += (packet.tcp.flags & TCP_RST) != 0;
	connection = connection_of(world, &packet);
	if (!connection || !connection->tcp) {
		world->strays++;
		return;
	}
	tcp_input(connection->tcp, &packet.tcp, loop_guest_now_ns(world->loop));
	connection_turn(connection);
}

struct world_connection *relay_world_connect(struct relay_world *world,
					     const struct ip_address *peer, uint16_t port)
{
	struct world_connection *connection = &world->connection[world->connections++];

	must(world->connections <= WORLD_CONNECTIONS, "connections");
	*connection = (struct world_connection){.world = world,
						.peer = *peer,
						.guest_port = world->next_port++,
						.peer_port = port,
						.icmp_code = -1};
	must(tcp_open_active(&connection->tcp,
			     peer->family == AF_INET ? &world->tcp4 : &world->tcp6, connection,
			     1000u * world->connections, loop_guest_now_ns(world->loop)) == 0,
	     "connection");
	tcp_flush(connection->tcp, loop_guest_now_ns(world->loop));
	return connection;
}

void world_send(struct world_connection *connection, const void *bytes, size_t length, bool end)
{
	connection->to_send = bytes;
	connection->left = length;
	connection->end_after = end;
	connection_turn(connection);
}

void world_abort(struct world_connection *connection)
{
	tcp_abort(connection->tcp);
}

bool world_is_open(void *connection)
{
	return tcp_look(((struct world_connection *)connection)->tcp) & TCP_LOOK_OPEN;
}

bool world_has_ended(void *connection)
{
	return ((struct world_connection *)connection)->got_end;
}

bool world_is_closed(void *connection)
{
	return tcp_look(((struct world_connection *)connection)->tcp) & TCP_LOOK_CLOSED;
}

bool world_is_open_or_closed(void *connection)
{
	return world_is_open(connection) || world_is_closed(connection);
}

/* --- the monitor ------------------------------------------------------------------------------ */

static void tell(struct relay_world *world, uint32_t type, const void *data, size_t length, int fd)
{
	const struct iovec part[2] = {{&type, sizeof(type)}, {(void *)data, length}};

	must(fd < 0 ? link_send(world->messages, part, length ? 2 : 1)
		    : link_send_fd(world->messages, part, length ? 2 : 1, fd),
	     "message");
}

static void take_check(struct relay_world *world, const uint8_t *data, size_t length)
{
	struct relay_check check = {.ticket = 0};
	struct relay_verdict verdict;
	struct policy_request request = {.class = POLICY_NET};
	struct policy_decision decision;

	memcpy(&check, data, length);
	if (world->checks < WORLD_NOTES)
		world->check[world->checks] = check;
	world->checks++;
	if (check.ticket == 0 || world->mute)
		return;
	request.op = check.op;
	request.net.protocol = check.protocol;
	request.net.name = check.has_name ? check.name : NULL;
	request.net.family = check.address.family;
	memcpy(request.net.address, check.address.bytes, sizeof(request.net.address));
	request.net.port = check.port;
	request.net.host = check.host && check.op != POLICY_RESOLVE;
	request.net.method = check.has_method ? check.method : NULL;
	request.net.path = check.has_method ? check.path : NULL;
	request.net.unclear = check.unclear;
	policy_decide(world->policy, &request, &decision);
	verdict = (struct relay_verdict){.ticket = check.ticket};
	if (decision.verdict == POLICY_ASK && world->person < 0 && !check.covered)
		return;
	verdict.approved = decision.verdict == POLICY_ASK && (world->person > 0 || check.covered);
	verdict.allowed =
		decision.verdict == POLICY_ALLOW || verdict.approved || check.op == POLICY_LISTEN;
	tell(world, RELAY_VERDICT, &verdict, sizeof(verdict), -1);
}

static void take_message(void *arg, uint8_t *data, size_t length, int fd)
{
	struct relay_world *world = arg;
	uint32_t type;

	(void)fd;
	memcpy(&type, data, sizeof(type));
	data += sizeof(type);
	length -= sizeof(type);
	if (type == RELAY_READY)
		world->ready = true;
	if (type == RELAY_CHECK)
		take_check(world, data, length);
	if (type != RELAY_NOTE)
		return;
	if (world->notes < WORLD_NOTES)
		memcpy(&world->note[world->notes], data, sizeof(struct relay_note));
	world->notes++;
}

bool relay_world_noted(const struct relay_world *world, const char *what, const char *text)
{
	unsigned i;

	for (i = 0; i < world->notes && i < WORLD_NOTES; i++)
		if (strcmp(world->note[i].what, what) == 0 &&
		    (strstr(world->note[i].object, text) || strstr(world->note[i].detail, text)))
			return true;
	return false;
}

/* --- life ------------------------------------------------------------------------------------- */

static size_t record(void *arg, const uint8_t *data, size_t length)
{
	(void)arg;
	return wire_frame(data, length);
}

static const struct link_ops frames_ops = {.message = take_frame, .record = record};
static const struct link_ops messages_ops = {.message = take_message};

void relay_world_set_policy(struct relay_world *world, const char *rules)
{
	const struct policy_source source = {.name = "test", .lenient = true};
	char text[1024];
	struct err err;
	int fd;

	policy_free(world->policy);
	snprintf(text, sizeof(text), "policy 1\n%s", rules);
	if (policy_parse(&world->policy, text, strlen(text), &source, &err) < 0) {
		fprintf(stderr, "relay world: %s\n", err.text);
		abort();
	}
	must(policy_copy_write(world->policy, POLICY_COPY_RELAY, &fd) == 0, "policy");
	tell(world, RELAY_POLICY, NULL, 0, fd);
	close(fd);
}

void relay_world_set_resolver(struct relay_world *world, uint16_t port)
{
	static const char conf[] = "nameserver 127.0.0.1\n";
	struct resolver_servers servers;

	resolver_parse(conf, sizeof(conf) - 1, port, &servers);
	tell(world, RELAY_RESOLVERS, &servers, sizeof(servers), -1);
}

static bool is_ready(void *arg)
{
	return ((struct relay_world *)arg)->ready;
}

void relay_world_begin(struct relay_world *world, const char *rules)
{
	struct relay_config config = {.card = {.configured = 1, .mtu = 65520}};
	const uint16_t dns_port = world->dns_port;
	int frames[2], messages[2];

	memset(world, 0, sizeof(*world));
	world->person = -1;
	world->next_port = 40000;
	world->memory.max = SIZE_MAX;
	world->tcp4 = (struct tcp_config){
		.output = connection_output, .mss = 65480, .memory = &world->memory};
	world->tcp6 = world->tcp4;
	world->tcp6.mss = 65460;
	memcpy(world->ends.guest_mac, router_mac, PACKET_MAC);
	memcpy(world->ends.router_mac, guest_mac, PACKET_MAC);
	memcpy(config.router_mac, router_mac, PACKET_MAC);
	memcpy(config.card.mac, guest_mac, PACKET_MAC);
	must(loop_create(&world->loop) == 0, "loop");
	must(link_pair(frames) == 0 && link_pair(messages) == 0, "links");
	must(link_create(&world->frames, world->loop, frames[0],
			 sizeof(struct virtio_net_hdr_v1) + PACKET_FRAME_MAX, &frames_ops,
			 world) == 0,
	     "frames");
	must(link_create(&world->messages, world->loop, messages[0], RELAY_MESSAGE_MAX,
			 &messages_ops, world) == 0,
	     "messages");
	must(relay_create(&world->relay, world->loop, frames[1], messages[1]) == 0, "relay");
	tell(world, RELAY_CONFIG, &config, sizeof(config), -1);
	if (dns_port)
		relay_world_set_resolver(world, dns_port);
	relay_world_set_policy(world, rules);
	must(relay_world_until(world, is_ready, world), "ready");
}

static void stop(void *arg)
{
	loop_stop(arg);
}

void relay_world_run(struct relay_world *world, uint64_t ns)
{
	struct loop_timer timer = {.expired = stop, .arg = world->loop};
	unsigned i;

	loop_timer_start(world->loop, &timer, ns);
	must(loop_run(world->loop) == 0, "loop");
	for (i = 0; i < world->connections; i++)
		connection_turn(&world->connection[i]);
}

bool relay_world_until(struct relay_world *world, bool (*done)(void *arg), void *arg)
{
	uint64_t end = loop_now_ns() + UNTIL_NS;

	while (!done(arg)) {
		if (loop_now_ns() > end)
			return false;
		relay_world_run(world, STEP_NS);
	}
	return true;
}

void relay_world_end(struct relay_world *world)
{
	unsigned i;

	relay_world_close_servers(world);
	for (i = 0; i < world->connections; i++) {
		tcp_destroy(world->connection[i].tcp);
		free(world->connection[i].got);
	}
	relay_destroy(world->relay);
	link_destroy(world->frames);
	link_destroy(world->messages);
	policy_free(world->policy);
	loop_destroy(world->loop);
}
