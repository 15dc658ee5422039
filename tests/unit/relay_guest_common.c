/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/relay_guest_common.h"

#include <netinet/in.h>

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
