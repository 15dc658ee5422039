/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/relay_frames.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>

#include "vmm/base/bytes.h"

const uint8_t relay_guest_mac[PACKET_MAC] = {2, 0, 0, 0, 0, 2};
const uint8_t relay_router_mac[PACKET_MAC] = {2, 0, 0, 0, 0, 1};
const struct packet_ends relay_ends = {.guest_mac = {2, 0, 0, 0, 0, 2},
				       .router_mac = {2, 0, 0, 0, 0, 1}};

static uint8_t message[PACKET_FRAME_MAX];

struct relay_ends_text relay_path(unsigned family)
{
	if (family == AF_INET)
		return (struct relay_ends_text){GUEST4, PEER4};
	return (struct relay_ends_text){GUEST6, PEER6};
}

struct ip_address relay_address(const char *text)
{
	struct ip_address address = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};

	if (inet_pton(address.family, text, address.bytes) != 1)
		abort();
	return address;
}

/* --- checksums -------------------------------------------------------------------------------- */

static uint32_t add(uint32_t before, const uint8_t *data, size_t length)
{
	uint64_t sum = before;
	size_t i;

	for (i = 0; i < length; i++)
		sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)sum;
}

uint16_t relay_plain_sum(uint32_t before, const uint8_t *data, size_t length)
{
	return (uint16_t)~add(before, data, length);
}

/* Where the message is, how long it is, and its protocol. */
static size_t find(const uint8_t *frame, size_t *length, uint8_t *protocol)
{
	const uint8_t *ip = frame + AT_IP;
	size_t header = ip[0] >> 4 == 4 ? (size_t)(ip[0] & 0xf) * 4 : 40;

	*length = ip[0] >> 4 == 4 ? load_be16(ip + 2) - header : load_be16(ip + 4);
	*protocol = ip[0] >> 4 == 4 ? ip[9] : ip[6];
	return AT_IP + header;
}

uint16_t relay_header_sum(const uint8_t *frame)
{
	if (frame[AT_IP] >> 4 != 4)
		return 0;
	return relay_plain_sum(0, frame + AT_IP, (size_t)(frame[AT_IP] & 0xf) * 4);
}

uint16_t relay_message_sum(const uint8_t *frame)
{
	uint8_t pseudo[40] = {0}, protocol;
	size_t length, start = find(frame, &length, &protocol);

	if (protocol == IPPROTO_ICMP)
		return relay_plain_sum(0, frame + start, length);
	if (frame[AT_IP] >> 4 == 4)
		memcpy(pseudo, frame + AT_IP + 12, 8);
	else
		memcpy(pseudo, frame + AT_IP + 8, 32);
	store_be32(pseudo + 32, (uint32_t)length);
	pseudo[39] = protocol;
	return relay_plain_sum(add(0, pseudo, sizeof(pseudo)), frame + start, length);
}

static int checksum_at(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
		return 6;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 2;
	default:
		return -1;
	}
}

void relay_fix(uint8_t *frame)
{
	uint8_t protocol, *field;
	size_t length, start = find(frame, &length, &protocol);
	int at = checksum_at(protocol);
	uint16_t sum;

	if (frame[AT_IP] >> 4 == 4) {
		store_be16(frame + AT_IP + 10, 0);
		store_be16(frame + AT_IP + 10, relay_header_sum(frame));
	}
	if (at < 0 || length < (size_t)at + 2)
		return;
	field = frame + start + at;
	store_be16(field, 0);
	sum = relay_message_sum(frame);
	store_be16(field, protocol == IPPROTO_UDP && sum == 0 ? 0xffff : sum);
}

void relay_complete(uint8_t *frame, size_t length, const struct packet_offload *offload)
{
	uint16_t sum = relay_plain_sum(0, frame + offload->start, length - offload->start);

	/* 0 would say that a datagram has none; for TCP both are the same. */
	store_be16(frame + offload->start + offload->offset, sum ? sum : 0xffff);
}

/* --- frames ----------------------------------------------------------------------------------- */

size_t relay_frame(uint8_t *to, const char *source, const char *target, uint8_t protocol,
		   const void *bytes, size_t length)
{
	struct ip_address from = relay_address(source), at = relay_address(target);
	bool four = from.family == AF_INET;
	uint8_t *ip = to + AT_IP;
	size_t header = four ? 20 : 40;

	assert(from.family == at.family);
	memcpy(to, relay_router_mac, PACKET_MAC);
	memcpy(to + PACKET_MAC, relay_guest_mac, PACKET_MAC);
	store_be16(to + 12, four ? 0x0800 : 0x86dd);
	memset(ip, 0, header);
	if (four) {
		ip[0] = 0x45;
		store_be16(ip + 2, (uint16_t)(header + length));
		ip[8] = 64;
		ip[9] = protocol;
		memcpy(ip + 12, from.bytes, 4);
		memcpy(ip + 16, at.bytes, 4);
	} else {
		ip[0] = 0x60;
		store_be16(ip + 4, (uint16_t)length);
		ip[6] = protocol;
		ip[7] = 64;
		memcpy(ip + 8, from.bytes, 16);
		memcpy(ip + 24, at.bytes, 16);
	}
	if (length > 0)
		memcpy(ip + header, bytes, length);
	relay_fix(to);
	return AT_IP + header + length;
}

static void ports(void)
{
	store_be16(message, 40000);
	store_be16(message + 2, 443);
}

size_t relay_frame_tcp(uint8_t *to, const char *source, const char *target, uint8_t flags,
		       const void *payload, size_t length)
{
	memset(message, 0, 20);
	ports();
	store_be32(message + 4, 1000);
	store_be32(message + 8, 2000);
	message[12] = 5 << 4;
	message[13] = flags;
	store_be16(message + 14, 500);
	if (length > 0)
		memcpy(message + 20, payload, length);
	return relay_frame(to, source, target, IPPROTO_TCP, message, 20 + length);
}

size_t relay_frame_udp(uint8_t *to, const char *source, const char *target, const void *payload,
		       size_t length)
{
	memset(message, 0, 8);
	ports();
	store_be16(message + 4, (uint16_t)(8 + length));
	if (length > 0)
		memcpy(message + 8, payload, length);
	return relay_frame(to, source, target, IPPROTO_UDP, message, 8 + length);
}

size_t relay_frame_icmp(uint8_t *to, const char *source, const char *target, uint8_t type,
			const void *rest, size_t length)
{
	memset(message, 0, 4);
	message[0] = type;
	if (length > 0)
		memcpy(message + 4, rest, length);
	return relay_frame(to, source, target, strchr(source, ':') ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
			   message, 4 + length);
}

size_t relay_frame_echo(uint8_t *to, const char *source, const char *target, bool reply,
			size_t length)
{
	static uint8_t rest[PACKET_FRAME_MAX];
	bool six = strchr(source, ':');

	store_be16(rest, 77);
	store_be16(rest + 2, 3);
	memset(rest + 4, 'p', length);
	return relay_frame_icmp(to, source, target, six ? (reply ? 129 : 128) : (reply ? 0 : 8),
				rest, 4 + length);
}

size_t relay_frame_ask(uint8_t *to, const char *source, const char *target, const char *asked,
		       const void *options, size_t length)
{
	struct ip_address address = relay_address(asked);
	uint8_t rest[256] = {0};

	assert(length <= sizeof(rest) - 20);
	memcpy(rest + 4, address.bytes, 16);
	if (length > 0)
		memcpy(rest + 20, options, length);
	length = relay_frame_icmp(to, source, target, 135, rest, 20 + length);
	to[AT_IP + 7] = 255;
	return length;
}

size_t relay_frame_arp(uint8_t *to, uint16_t operation, const char *sender, const char *target)
{
	struct ip_address from = relay_address(sender), asked = relay_address(target);
	uint8_t *arp = to + 14;

	memset(to, 0xff, PACKET_MAC);
	memcpy(to + PACKET_MAC, relay_guest_mac, PACKET_MAC);
	store_be16(to + 12, 0x0806);
	memset(arp, 0, 28);
	store_be16(arp, 1);
	store_be16(arp + 2, 0x0800);
	arp[4] = 6;
	arp[5] = 4;
	store_be16(arp + 6, operation);
	memcpy(arp + 8, relay_guest_mac, PACKET_MAC);
	memcpy(arp + 14, from.bytes, 4);
	memcpy(arp + 24, asked.bytes, 4);
	return 14 + 28;
}
