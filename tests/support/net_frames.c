/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/net_frames.h"

#include <netinet/in.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/packet.h"

const uint8_t net_guest_mac[NET_MAC] = {2, 0, 0, 0, 0, 2};
const uint8_t net_router_mac[NET_MAC] = {2, 0, 0, 0, 0, 1};

/* --- frames ----------------------------------------------------------------------------------- */

static void headers(uint8_t *to, uint32_t source, uint32_t target, uint8_t protocol, size_t length)
{
	uint8_t *ip = to + NET_AT_IP;

	memcpy(to, net_router_mac, NET_MAC);
	memcpy(to + NET_MAC, net_guest_mac, NET_MAC);
	store_be16(to + 12, 0x0800);
	memset(ip, 0, NET_AT_TRANSPORT - NET_AT_IP);
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)(NET_AT_TRANSPORT - NET_AT_IP + length));
	ip[8] = 64;
	ip[9] = protocol;
	store_be32(ip + 12, source);
	store_be32(ip + 16, target);
	store_be16(ip + 10, packet_fold(packet_sum(0, ip, NET_AT_TRANSPORT - NET_AT_IP)));
}

/* Fills in the checksum of a message, whose place is at an offset in it. */
static void fill_in(uint8_t *frame, size_t length, size_t at)
{
	const uint8_t *ip = frame + NET_AT_IP;
	uint8_t *message = frame + NET_AT_TRANSPORT;
	uint32_t pseudo = packet_sum(ip[9] + (uint32_t)length, ip + 12, 8);

	store_be16(message + at, 0);
	store_be16(message + at, packet_fold(packet_sum(pseudo, message, length)));
}

size_t net_tcp(uint8_t *to, const struct net_segment *segment)
{
	uint8_t *tcp = to + NET_AT_TRANSPORT;
	size_t length = NET_TCP_HEADER + segment->length;

	headers(to, segment->source, segment->target, IPPROTO_TCP, length);
	memset(tcp, 0, NET_TCP_HEADER);
	store_be16(tcp, segment->source_port);
	store_be16(tcp + 2, segment->target_port);
	store_be32(tcp + 4, segment->sequence);
	store_be32(tcp + 8, segment->acknowledged);
	tcp[12] = 5 << 4;
	tcp[13] = segment->flags;
	store_be16(tcp + 14, 65535);
	if (segment->length > 0)
		memcpy(tcp + NET_TCP_HEADER, segment->payload, segment->length);
	fill_in(to, length, 16);
	return NET_AT_TRANSPORT + length;
}

size_t net_udp(uint8_t *to, const struct net_segment *segment)
{
	uint8_t *udp = to + NET_AT_TRANSPORT;
	size_t length = NET_UDP_HEADER + segment->length;

	headers(to, segment->source, segment->target, IPPROTO_UDP, length);
	store_be16(udp, segment->source_port);
	store_be16(udp + 2, segment->target_port);
	store_be16(udp + 4, (uint16_t)length);
	if (segment->length > 0)
		memcpy(udp + NET_UDP_HEADER, segment->payload, segment->length);
	fill_in(to, length, 6);
	return NET_AT_TRANSPORT + length;
}

/* --- DNS -------------------------------------------------------------------------------------- */

size_t net_question(uint8_t *to, const char *name, uint16_t type, uint16_t edns)
{
	size_t at = DNS_HEADER, label;

	memset(to, 0, DNS_HEADER);
	store_be16(to, 0x1234);
	store_be16(to + 2, 0x0100);
	store_be16(to + 4, 1);
	while (*name) {
		label = strcspn(name, ".");
		to[at++] = (uint8_t)label;
		memcpy(to + at, name, label);
		at += label;
		name += label + (name[label] == '.');
	}
	to[at++] = 0;
	store_be16(to + at, type);
	store_be16(to + at + 2, 1);
	at += 4;
	if (edns == 0)
		return at;
	store_be16(to + 10, 1);
	memset(to + at, 0, 11);
	store_be16(to + at + 1, 41);
	store_be16(to + at + 3, edns);
	return at + 11;
}

/* --- ClientHello ------------------------------------------------------------------------------ */

static size_t put_extension(uint8_t *to, uint16_t type, const void *data, size_t length)
{
	store_be16(to, type);
	store_be16(to + 2, (uint16_t)length);
	memcpy(to + 4, data, length);
	return 4 + length;
}

static size_t put_name(uint8_t *to, const char *name)
{
	size_t length = strlen(name);
	uint8_t data[512];

	store_be16(data, (uint16_t)(length + 3));
	data[2] = 0;
	store_be16(data + 3, (uint16_t)length);
	memcpy(data + 5, name, length);
	return put_extension(to, 0, data, length + 5);
}

static size_t put_extensions(uint8_t *to, const struct net_hello *hello)
{
	static const uint8_t zeros[17000];
	size_t at = 0;

	if (hello->grease)
		at += put_extension(to + at, 0x3a3a, zeros, 0);
	at += put_extension(to + at, 43, "\x02\x03\x04", 3);
	if (hello->padding > 0)
		at += put_extension(to + at, 21, zeros, hello->padding);
	if (hello->name)
		at += put_name(to + at, hello->name);
	if (hello->twice)
		at += put_name(to + at, "other.example.com");
	if (hello->encrypted)
		at += put_extension(to + at, 0xfe0d, zeros, 32);
	if (hello->grease)
		at += put_extension(to + at, 0xfafa, zeros, 1);
	return at;
}

size_t net_hello(uint8_t *to, const struct net_hello *hello)
{
	static uint8_t message[32768];
	size_t at = 4, length, part, out = 0, from;

	store_be16(message + at, 0x0303);
	memset(message + at + 2, 0x55, 32);
	at += 34;
	message[at++] = 0; /* session */
	store_be16(message + at, 4);
	store_be16(message + at + 2, 0x1a1a); /* GREASE */
	store_be16(message + at + 4, 0x1301);
	at += 6;
	message[at++] = 1; /* compression: none */
	message[at++] = 0;
	length = put_extensions(message + at + 2, hello);
	store_be16(message + at, (uint16_t)length);
	at += 2 + length;
	store_be32(message, (uint32_t)(at - 4));
	message[0] = 1;
	for (from = 0; from < at; from += part) {
		part = min_u64(at - from, hello->record ? hello->record : 16384);
		to[out] = 22;
		store_be16(to + out + 1, 0x0301);
		store_be16(to + out + 3, (uint16_t)part);
		memcpy(to + out + 5, message + from, part);
		out += 5 + part;
	}
	return out;
}
