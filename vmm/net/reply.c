/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/reply.h"

#include <assert.h>

#include "vmm/base/bytes.h"

#define TTL	   64
#define WINDOW	   16384 /* of an acknowledgement; the peer's next segment corrects it */
#define PROHIBITED 13	 /* "communication administratively prohibited" */

struct direction {
	const uint8_t *source_mac, *target_mac;
	uint32_t source, target;
};

static struct direction back(const struct frame *frame)
{
	return (struct direction){frame->target_mac, frame->source_mac, frame->target,
				  frame->source};
}

static void put_headers(uint8_t *to, const struct direction *way, uint8_t protocol, size_t length)
{
	uint8_t *ip = to + FRAME_ETHERNET;

	memcpy(to, way->target_mac, FRAME_MAC);
	memcpy(to + FRAME_MAC, way->source_mac, FRAME_MAC);
	store_be16(to + 12, 0x0800);
	memset(ip, 0, FRAME_IPV4);
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)(FRAME_IPV4 + length));
	store_be16(ip + 6, 0x4000); /* don't fragment */
	ip[8] = TTL;
	ip[9] = protocol;
	store_be32(ip + 12, way->source);
	store_be32(ip + 16, way->target);
	store_be16(ip + 10, frame_fold(frame_sum(0, ip, FRAME_IPV4)));
}

/* Fills in the transport's checksum at an offset (still 0); returns the frame's length. */
static size_t finish(uint8_t *to, uint8_t protocol, size_t length, size_t offset)
{
	uint16_t sum = frame_transport_checksum(to, protocol, length);

	store_be16(to + FRAME_TRANSPORT + offset, protocol == IP_UDP && sum == 0 ? 0xffff : sum);
	return FRAME_TRANSPORT + length;
}

size_t reply_arp(const struct frame *request, const uint8_t mac[FRAME_MAC], uint8_t to[REPLY_MAX])
{
	uint8_t *arp = to + FRAME_ETHERNET;

	memcpy(to, request->source_mac, FRAME_MAC);
	memcpy(to + FRAME_MAC, mac, FRAME_MAC);
	store_be16(to + 12, 0x0806);
	/* Hardware and protocol with their lengths, as in the request, where they were checked. */
	memcpy(arp, request->data + FRAME_ETHERNET, 6);
	store_be16(arp + 6, ARP_REPLY);
	memcpy(arp + 8, mac, FRAME_MAC);
	store_be32(arp + 14, request->target);
	memcpy(arp + 18, request->arp_sender, FRAME_MAC);
	store_be32(arp + 24, request->source);
	return FRAME_ETHERNET + FRAME_ARP;
}

/* The length of a segment in sequence numbers. */
static uint32_t segment_length(const struct frame *segment)
{
	return (uint32_t)segment->payload_length + !!(segment->tcp_flags & TCP_SYN) +
	       !!(segment->tcp_flags & TCP_FIN);
}

static size_t put_empty(const struct direction *way, uint16_t source_port, uint16_t target_port,
			uint32_t sequence, uint32_t acknowledged, uint8_t flags, uint8_t *to)
{
	uint8_t *tcp = to + FRAME_TRANSPORT;

	put_headers(to, way, IP_TCP, FRAME_TCP);
	memset(tcp, 0, FRAME_TCP);
	store_be16(tcp, source_port);
	store_be16(tcp + 2, target_port);
	store_be32(tcp + 4, sequence);
	store_be32(tcp + 8, acknowledged);
	tcp[12] = (FRAME_TCP / 4) << 4;
	tcp[13] = flags;
	store_be16(tcp + 14, flags & TCP_RST ? 0 : WINDOW);
	return finish(to, IP_TCP, FRAME_TCP, 16);
}

size_t reply_reset(const struct frame *segment, uint8_t to[REPLY_MAX])
{
	struct direction way = back(segment);

	if (segment->tcp_flags & TCP_RST)
		return 0;
	if (segment->tcp_flags & TCP_ACK)
		return put_empty(&way, segment->target_port, segment->source_port,
				 segment->acknowledged, 0, TCP_RST, to);
	return put_empty(&way, segment->target_port, segment->source_port, 0,
			 segment->sequence + segment_length(segment), TCP_RST | TCP_ACK, to);
}

size_t reply_reset_onwards(const struct frame *segment, uint8_t to[REPLY_MAX])
{
	struct direction way = {segment->source_mac, segment->target_mac, segment->source,
				segment->target};

	return put_empty(&way, segment->source_port, segment->target_port, segment->sequence,
			 segment->acknowledged, TCP_RST | (segment->tcp_flags & TCP_ACK), to);
}

size_t reply_acknowledge(const struct frame *segment, uint32_t acknowledged, uint8_t to[REPLY_MAX])
{
	struct direction way = back(segment);

	return put_empty(&way, segment->target_port, segment->source_port, segment->acknowledged,
			 acknowledged, TCP_ACK, to);
}

size_t reply_segment(const struct frame *like, uint32_t sequence, uint8_t flags,
		     const void *payload, size_t length, uint8_t *to)
{
	uint8_t *ip = to + FRAME_ETHERNET, *tcp = to + FRAME_TRANSPORT;
	size_t header = like->payload - FRAME_TRANSPORT;

	assert(length <= FRAME_MTU - FRAME_IPV4 - header); /* what is held back is far shorter */
	memcpy(to, like->data, like->payload);
	store_be16(ip + 2, (uint16_t)(FRAME_IPV4 + header + length));
	store_be16(ip + 10, 0);
	store_be16(ip + 10, frame_fold(frame_sum(0, ip, FRAME_IPV4)));
	store_be32(tcp + 4, sequence);
	tcp[13] = flags;
	store_be32(tcp + 16, 0); /* checksum, urgent pointer */
	if (length > 0)
		memcpy(tcp + header, payload, length);
	return finish(to, IP_TCP, header + length, 16);
}

size_t reply_prohibited(const struct frame *packet, uint32_t router, uint8_t to[REPLY_MAX])
{
	struct direction way = back(packet);
	uint8_t *icmp = to + FRAME_TRANSPORT;
	/* The IPv4 header and 8 bytes: enough to find the socket (RFC 792). */
	size_t quoted = FRAME_IPV4 + 8;

	way.source = router;
	put_headers(to, &way, IP_ICMP, FRAME_ICMP + quoted);
	memset(icmp, 0, FRAME_ICMP);
	icmp[0] = ICMP_UNREACHABLE;
	icmp[1] = PROHIBITED;
	memcpy(icmp + FRAME_ICMP, packet->data + FRAME_ETHERNET, quoted);
	return finish(to, IP_ICMP, FRAME_ICMP + quoted, 2);
}

size_t reply_echo(const struct frame *request, uint8_t *to)
{
	struct direction way = back(request);
	uint8_t *icmp = to + FRAME_TRANSPORT;
	size_t length = FRAME_ICMP + request->payload_length;

	put_headers(to, &way, IP_ICMP, length);
	memcpy(icmp, request->data + FRAME_TRANSPORT, length);
	icmp[0] = ICMP_ECHO_REPLY;
	store_be16(icmp + 2, 0);
	return finish(to, IP_ICMP, length, 2);
}

size_t reply_udp(const struct frame *request, const void *payload, size_t length,
		 uint8_t to[FRAME_MAX])
{
	struct direction way = back(request);
	uint8_t *udp = to + FRAME_TRANSPORT;

	assert(length <= 65000); /* the monitor's own replies are far shorter */
	put_headers(to, &way, IP_UDP, FRAME_UDP + length);
	store_be16(udp, request->target_port);
	store_be16(udp + 2, request->source_port);
	store_be16(udp + 4, (uint16_t)(FRAME_UDP + length));
	store_be16(udp + 6, 0);
	if (length > 0)
		memcpy(udp + FRAME_UDP, payload, length);
	return finish(to, IP_UDP, FRAME_UDP + length, 6);
}
