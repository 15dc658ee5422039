/* SPDX-License-Identifier: Apache-2.0 */
/* Frames for the guest with a payload of the caller's: TCP, UDP and echo replies. */
#include <net/ethernet.h>
#include <netinet/icmp6.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/packet_internal.h"

#define TTL		   64 /* RFC 1700; also IPv6's hop limit */
#define FLAG_DONT_FRAGMENT 0x4000u

#define OFFSET_TCP_CHECKSUM  16
#define OFFSET_UDP_CHECKSUM  6
#define OFFSET_ICMP_CHECKSUM 2

static void put_ipv4(const struct packet_way *way, size_t length, uint8_t *ip)
{
	memset(ip, 0, HEADER_IPV4);
	ip[0] = 4 << 4 | HEADER_IPV4 / 4;
	store_be16(ip + 2, (uint16_t)(HEADER_IPV4 + length));
	/* Such a packet needs no identification (RFC 6864, 4.1). */
	store_be16(ip + 6, FLAG_DONT_FRAGMENT);
	ip[8] = way->hop_limit;
	ip[9] = way->protocol;
	memcpy(ip + 12, way->source->bytes, 4);
	memcpy(ip + 16, way->target->bytes, 4);
	store_be16(ip + 10, packet_fold(packet_sum(0, ip, HEADER_IPV4)));
}

static void put_ipv6(const struct packet_way *way, size_t length, uint8_t *ip)
{
	memset(ip, 0, 8);
	ip[0] = 6 << 4;
	store_be16(ip + 4, (uint16_t)length);
	ip[6] = way->protocol;
	ip[7] = way->hop_limit;
	memcpy(ip + 8, way->source->bytes, IP_BYTES);
	memcpy(ip + 8 + IP_BYTES, way->target->bytes, IP_BYTES);
}

size_t packet_put_headers(const struct packet_ends *ends, const struct packet_way *way,
			  size_t length, uint8_t *to)
{
	bool six = way->source->family == AF_INET6;
	size_t header = six ? HEADER_IPV6 : HEADER_IPV4;

	if (length > PACKET_MTU - header)
		return 0;
	memcpy(to, ends->guest_mac, PACKET_MAC);
	memcpy(to + PACKET_MAC, ends->router_mac, PACKET_MAC);
	store_be16(to + 2 * PACKET_MAC, six ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
	if (six)
		put_ipv6(way, length, to + PACKET_ETHERNET);
	else
		put_ipv4(way, length, to + PACKET_ETHERNET);
	return PACKET_ETHERNET + header;
}

/* A message's header in a frame, behind which the payload of another place goes. */
struct outgoing {
	uint8_t *frame;
	size_t start, header; /* where the message starts, bytes of its header */
	const uint8_t *payload;
	size_t length; /* of the payload */
	uint8_t protocol;
};

/* The checksum of the whole message, whose field is still 0. */
static uint16_t whole_checksum(const struct outgoing *out)
{
	uint32_t sum = packet_pseudo_sum(out->frame + PACKET_ETHERNET, out->protocol,
					 out->header + out->length);

	sum = packet_sum(sum, out->frame + out->start, out->header);
	return packet_fold(packet_sum(sum, out->payload, out->length));
}

/*
 * Fills in the checksum at an offset of the message. A partial one is the pseudo header's sum, not
 * inverted: the card, or the guest if it wants to know, adds the rest (virtio 1.2, 5.1.6.2).
 */
static void put_checksum(const struct outgoing *out, size_t at, bool partial,
			 struct packet_offload *offload)
{
	uint8_t *field = out->frame + out->start + at;
	uint16_t sum;

	*offload = (struct packet_offload){.partial = partial};
	if (!partial) {
		sum = whole_checksum(out);
		/* 0 would say that there is none. */
		store_be16(field, out->protocol == IPPROTO_UDP && sum == 0 ? 0xffff : sum);
		return;
	}
	sum = packet_fold(packet_pseudo_sum(out->frame + PACKET_ETHERNET, out->protocol,
					    out->header + out->length));
	store_be16(field, sum ^ 0xffff);
	offload->start = (uint16_t)out->start;
	offload->offset = (uint16_t)at;
}

size_t packet_write_tcp(const struct packet_ends *ends, const struct ip_address *source,
			uint16_t source_port, const struct ip_address *target, uint16_t target_port,
			const struct tcp_segment *segment, uint8_t to[PACKET_HEADERS_MAX],
			struct packet_offload *offload)
{
	const struct packet_way way = {source, target, IPPROTO_TCP, TTL};
	uint8_t header[TCP_SEGMENT_HEADER_MAX];
	struct outgoing out = {.frame = to,
			       .payload = segment->data,
			       .length = segment->length,
			       .protocol = IPPROTO_TCP};
	/* What fits into one packet is not to be cut. */
	bool cut = segment->gso_size && segment->length > segment->gso_size;

	if (segment->length > PACKET_MTU)
		return 0;
	out.header = tcp_segment_header(segment, source_port, target_port, header);
	out.start = packet_put_headers(ends, &way, out.header + out.length, to);
	if (out.start == 0)
		return 0;
	memcpy(to + out.start, header, out.header);
	/* The cut packets have other checksums, so there is none to give (virtio 1.2, 5.1.6.4.1).
	 */
	put_checksum(&out, OFFSET_TCP_CHECKSUM, ends->partial || cut, offload);
	if (cut) {
		offload->headers = (uint16_t)(out.start + out.header);
		offload->gso_size = segment->gso_size;
		offload->gso6 = source->family == AF_INET6;
	}
	return out.start + out.header;
}

size_t packet_write_udp(const struct packet_ends *ends, const struct ip_address *source,
			uint16_t source_port, const struct ip_address *target, uint16_t target_port,
			const uint8_t *payload, size_t length, uint8_t to[PACKET_HEADERS_MAX],
			struct packet_offload *offload)
{
	const struct packet_way way = {source, target, IPPROTO_UDP, TTL};
	struct outgoing out = {.frame = to,
			       .header = HEADER_UDP,
			       .payload = payload,
			       .length = length,
			       .protocol = IPPROTO_UDP};
	uint8_t *udp;

	if (length > PACKET_MTU)
		return 0;
	out.start = packet_put_headers(ends, &way, HEADER_UDP + length, to);
	if (out.start == 0)
		return 0;
	udp = to + out.start;
	store_be16(udp, source_port);
	store_be16(udp + 2, target_port);
	store_be16(udp + 4, (uint16_t)(HEADER_UDP + length));
	store_be16(udp + OFFSET_UDP_CHECKSUM, 0);
	put_checksum(&out, OFFSET_UDP_CHECKSUM, ends->partial, offload);
	return out.start + HEADER_UDP;
}

size_t packet_write_echo(const struct packet_ends *ends, const struct ip_address *source,
			 const struct ip_address *target, uint16_t id, uint16_t sequence,
			 const uint8_t *payload, size_t length, uint8_t to[PACKET_HEADERS_MAX])
{
	bool six = source->family == AF_INET6;
	const struct packet_way way = {source, target, six ? IPPROTO_ICMPV6 : IPPROTO_ICMP, TTL};
	struct outgoing out = {.frame = to,
			       .header = HEADER_ICMP,
			       .payload = payload,
			       .length = length,
			       .protocol = way.protocol};
	uint8_t *icmp;

	if (length > PACKET_MTU)
		return 0;
	out.start = packet_put_headers(ends, &way, HEADER_ICMP + length, to);
	if (out.start == 0)
		return 0;
	icmp = to + out.start;
	memset(icmp, 0, HEADER_ICMP);
	icmp[0] = six ? ICMP6_ECHO_REPLY : ICMP4_ECHO_REPLY;
	store_be16(icmp + 4, id);
	store_be16(icmp + 6, sequence);
	store_be16(icmp + OFFSET_ICMP_CHECKSUM, whole_checksum(&out));
	return out.start + HEADER_ICMP;
}
