/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guest/net_host.h"

#include <netinet/in.h>
#include <string.h>

#include "vmm/relay/packet.h"

#define ANSWERS 64

static struct {
	struct net_card *card;
	struct loop_task task;
	struct net_host_counts counts;
	unsigned waiting;
	struct {
		size_t length;
		uint8_t frame[PACKET_HEADERS_MAX + 256];
	} answer[ANSWERS];
} world;

/* Both ends of the card's wire; checksums are whole. */
static struct packet_ends ends;

/* A refusal: at once, from within the card's call, as ICMP errors of the relay leave. */
static void refuse(const struct packet *packet)
{
	uint8_t reply[PACKET_REPLY_MAX];
	size_t length = packet_write_error(&ends, PACKET_PROHIBITED, 0, packet->ip,
					   packet->ip_length, reply);

	world.counts.refused++;
	net_card_receive(world.card, reply, length, NULL);
}

/* The reply to a packet, or 0. */
static size_t write_reply(const struct packet *packet, uint8_t *to)
{
	const struct tcp_segment accepted = {.flags = TCP_SYN | TCP_ACK,
					     .acknowledged = packet->tcp.sequence + 1,
					     .window = 65535};
	struct packet_offload none;
	size_t length;

	if (packet->kind == PACKET_TCP)
		return packet->target_port == NET_OPEN_PORT && packet->tcp.flags == TCP_SYN
			       ? packet_write_tcp(&ends, &packet->target, packet->target_port,
						  &packet->source, packet->source_port, &accepted,
						  to, &none)
			       : 0;
	if (packet->target_port != NET_ECHO_PORT || packet->payload_length > 256)
		return 0;
	length = packet_write_udp(&ends, &packet->target, packet->target_port, &packet->source,
				  packet->source_port, packet->payload, packet->payload_length, to,
				  &none);
	memcpy(to + length, packet->payload, packet->payload_length);
	return length + packet->payload_length;
}

static void answer(void *arg)
{
	unsigned i, count = world.waiting;

	(void)arg;
	for (i = 0; i < count; i++)
		net_card_receive(world.card, world.answer[i].frame, world.answer[i].length, NULL);
	world.waiting = 0;
}

static bool room(void *arg)
{
	(void)arg;
	return net_card_has_room(world.card);
}

/* The peer's replies come later, as those of a network do. */
static void transmit(void *arg, uint8_t *frame, size_t length,
		     const struct net_card_offload *offload)
{
	const struct ip_address peer = ip_from4(NET_PEER);
	struct hostile *h = arg;
	struct packet packet;

	world.counts.taken++;
	if (packet_parse(frame, length, offload->partial, &packet) != PACKET_OK ||
	    (packet.kind != PACKET_TCP && packet.kind != PACKET_UDP)) {
		world.counts.malformed++;
		return;
	}
	if (!ip_same(&packet.target, &peer)) {
		refuse(&packet);
		return;
	}
	world.counts.passed++;
	length = world.waiting < ANSWERS ? write_reply(&packet, world.answer[world.waiting].frame)
					 : 0;
	if (length == 0)
		return;
	world.answer[world.waiting++].length = length;
	loop_defer(h->loop, &world.task);
}

static void drained(void *arg)
{
	(void)arg;
	net_card_resume(world.card);
}

/* The guest has gone: so has what was on its way to it. */
static void was_reset(void *arg)
{
	(void)arg;
	world.waiting = 0;
}

void net_host_setup(struct hostile *h)
{
	static const struct net_card_ops card_ops = {
		.room = room, .transmit = transmit, .drained = drained, .reset = was_reset};

	memcpy(ends.guest_mac, net_guest_mac, PACKET_MAC);
	memcpy(ends.router_mac, net_router_mac, PACKET_MAC);
	world.card = h->devices.net;
	world.task = (struct loop_task){.run = answer, .arg = h};
	net_card_set_owner(world.card, &card_ops, h);
	net_card_set_link(world.card, true);
}

uint64_t net_host_tell(struct hostile *h)
{
	static uint64_t latest;
	const uint8_t *frame, *transport;
	unsigned i;

	for (i = 0; i < RING_SIZE; i++) {
		frame = (const uint8_t *)guest_memory_at(&h->memory, NET_RX(i), NET_RX_LENGTH) +
			NET_HEADER;
		transport = frame + NET_AT_TRANSPORT;
		if (load_be16(frame + 12) != 0x0800)
			continue;
		if (frame[NET_AT_IP + 9] == IPPROTO_UDP && load_be16(transport) == NET_ECHO_PORT)
			latest = max_u64(latest, load_be16(transport + NET_UDP_HEADER));
		else if (frame[NET_AT_IP + 9] == IPPROTO_TCP &&
			 load_be16(transport) == NET_OPEN_PORT &&
			 transport[13] == (TCP_SYN | TCP_ACK))
			latest = max_u64(latest, load_be16(transport + 2) - NET_FIRST_PORT);
	}
	return latest;
}

const struct net_host_counts *net_host_counts(void)
{
	return &world.counts;
}
