/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/frame.h"

#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/special.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP  0x0806
#define ETHERTYPE_IPV6 0x86dd

#define IP_FLAG_RESERVED 0x8000u
#define IP_FLAG_MORE	 0x2000u
#define IP_OFFSET	 0x1fffu

/* --- checksums ------------------------------------------------------------------------------- */

/* Two numbers at a time: every x86-64 has such registers. */
typedef uint64_t lanes __attribute__((vector_size(16)));

/*
 * The words are added as the processor has them, low byte first, and the sum is turned at the end:
 * that is the same (RFC 1071, section 2). Of 64 KiB no lane overflows.
 */
uint32_t frame_sum(uint32_t sum, const uint8_t *data, size_t length)
{
	const lanes low = {UINT32_MAX, UINT32_MAX};
	lanes even = {0, 0}, odd = {0, 0}, first, second;
	uint64_t wide;

	for (; length >= 32; data += 32, length -= 32) {
		memcpy(&first, data, sizeof(first));
		memcpy(&second, data + 16, sizeof(second));
		even += (first & low) + (second & low);
		odd += (first >> 32) + (second >> 32);
	}
	wide = even[0] + even[1] + odd[0] + odd[1];
	for (; length >= 4; data += 4, length -= 4)
		wide += load_le32(data);
	for (; length >= 2; data += 2, length -= 2)
		wide += load_le16(data);
	if (length > 0)
		wide += *data;
	wide = (wide & UINT32_MAX) + (wide >> 32);
	wide = (wide & 0xffff) + (wide >> 16);
	wide = (wide & 0xffff) + (wide >> 16);
	wide = __builtin_bswap16((uint16_t)((wide & 0xffff) + (wide >> 16))) + (uint64_t)sum;
	return (uint32_t)((wide & UINT32_MAX) + (wide >> 32));
}

uint16_t frame_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint16_t frame_transport_checksum(const uint8_t *frame, uint8_t protocol, size_t length)
{
	uint32_t sum = 0;

	if (protocol != IP_ICMP) {
		/* The pseudo header: both addresses, protocol, length (RFC 9293, 3.1). */
		sum = frame_sum(0, frame + FRAME_ETHERNET + 12, 8);
		sum += protocol + (uint32_t)length;
	}
	return frame_fold(frame_sum(frame_fold(sum) ^ 0xffffu, frame + FRAME_TRANSPORT, length));
}

/* --- ARP -------------------------------------------------------------------------------------- */

static enum frame_verdict parse_arp(const uint8_t *data, size_t length, struct frame *out)
{
	const uint8_t *arp = data + FRAME_ETHERNET;

	if (length < FRAME_ETHERNET + FRAME_ARP)
		return FRAME_TRUNCATED;
	/* Hardware Ethernet, protocol IPv4, with their lengths. */
	if (load_be16(arp) != 1 || load_be16(arp + 2) != ETHERTYPE_IPV4 || arp[4] != FRAME_MAC ||
	    arp[5] != 4)
		return FRAME_BAD_ARP;
	out->kind = FRAME_IS_ARP;
	out->length = FRAME_ETHERNET + FRAME_ARP;
	out->arp_operation = load_be16(arp + 6);
	if (out->arp_operation != ARP_REQUEST && out->arp_operation != ARP_REPLY)
		return FRAME_BAD_ARP;
	memcpy(out->arp_sender, arp + 8, FRAME_MAC);
	out->source = load_be32(arp + 14);
	out->target = load_be32(arp + 24);
	return FRAME_OK;
}

/* --- protocols over IPv4 ---------------------------------------------------------------------- */

/* Flags that a TCP sends: with SYN neither FIN nor RST; without SYN or RST always ACK. */
static bool tcp_flags_sane(uint8_t flags)
{
	if (flags & TCP_SYN)
		return !(flags & (TCP_FIN | TCP_RST));
	return flags & (TCP_ACK | TCP_RST);
}

static enum frame_verdict parse_tcp(const uint8_t *at, size_t length, struct frame *out)
{
	size_t header;

	if (length < FRAME_TCP)
		return FRAME_TRUNCATED;
	header = (size_t)(at[12] >> 4) * 4;
	if (header < FRAME_TCP || header > length)
		return FRAME_BAD_TCP;
	out->kind = FRAME_IS_TCP;
	out->source_port = load_be16(at);
	out->target_port = load_be16(at + 2);
	out->sequence = load_be32(at + 4);
	out->acknowledged = load_be32(at + 8);
	out->tcp_flags = at[13] & 0x3f;
	out->payload = FRAME_TRANSPORT + header;
	out->payload_length = length - header;
	if (!tcp_flags_sane(out->tcp_flags) || out->source_port == 0 || out->target_port == 0)
		return FRAME_BAD_TCP;
	return FRAME_OK;
}

static enum frame_verdict parse_udp(const uint8_t *at, size_t length, struct frame *out)
{
	if (length < FRAME_UDP)
		return FRAME_TRUNCATED;
	out->kind = FRAME_IS_UDP;
	out->source_port = load_be16(at);
	out->target_port = load_be16(at + 2);
	out->payload = FRAME_TRANSPORT + FRAME_UDP;
	out->payload_length = length - FRAME_UDP;
	/* Behind a shorter second length, bytes could pass unseen. */
	if (load_be16(at + 4) != length || out->source_port == 0 || out->target_port == 0)
		return FRAME_BAD_UDP;
	return FRAME_OK;
}

static enum frame_verdict parse_icmp(const uint8_t *at, size_t length, struct frame *out)
{
	if (length < FRAME_ICMP)
		return FRAME_TRUNCATED;
	out->kind = FRAME_IS_ECHO;
	out->icmp_type = at[0];
	out->icmp_id = load_be16(at + 4);
	out->payload = FRAME_TRANSPORT + FRAME_ICMP;
	out->payload_length = length - FRAME_ICMP;
	if ((at[0] != ICMP_ECHO_REQUEST && at[0] != ICMP_ECHO_REPLY) || at[1] != 0)
		return FRAME_BAD_ICMP;
	return FRAME_OK;
}

/* Loopback, "this network", multicast, reserved and broadcast addresses never cross a card. */
static bool address_crosses(uint32_t address)
{
	const struct special_range *range = special_range_ipv4(address);

	return !range || !range->stays;
}

static bool checksum_right(const uint8_t *data, uint8_t protocol, size_t length)
{
	/* A UDP checksum of 0 says that there is none (RFC 768). */
	if (protocol == IP_UDP && load_be16(data + FRAME_TRANSPORT + 6) == 0)
		return true;
	return frame_transport_checksum(data, protocol, length) == 0;
}

static enum frame_verdict parse_transport(const uint8_t *data, uint8_t protocol, size_t length,
					  bool partial, struct frame *out)
{
	const uint8_t *at = data + FRAME_TRANSPORT;
	enum frame_verdict verdict;

	switch (protocol) {
	case IP_TCP:
		verdict = parse_tcp(at, length, out);
		break;
	case IP_UDP:
		verdict = parse_udp(at, length, out);
		break;
	case IP_ICMP:
		verdict = parse_icmp(at, length, out);
		break;
	default:
		return FRAME_PROTOCOL;
	}
	if (verdict == FRAME_OK && !partial && !checksum_right(data, protocol, length))
		return FRAME_BAD_CHECKSUM;
	return verdict;
}

static enum frame_verdict parse_ipv4(const uint8_t *data, size_t length, bool partial,
				     struct frame *out)
{
	const uint8_t *ip = data + FRAME_ETHERNET;
	uint16_t total, fragment;

	if (length < FRAME_ETHERNET + FRAME_IPV4)
		return FRAME_TRUNCATED;
	total = load_be16(ip + 2);
	fragment = load_be16(ip + 6);
	if (ip[0] >> 4 != 4 || (ip[0] & 0xf) < 5 || total < FRAME_IPV4)
		return FRAME_BAD_IP;
	if (total > length - FRAME_ETHERNET)
		return FRAME_TRUNCATED;
	if ((ip[0] & 0xf) != 5)
		return FRAME_IP_OPTIONS;
	if (frame_fold(frame_sum(0, ip, FRAME_IPV4)) != 0)
		return FRAME_BAD_CHECKSUM;
	if (fragment & (IP_FLAG_MORE | IP_OFFSET))
		return FRAME_FRAGMENT;
	if ((fragment & IP_FLAG_RESERVED) || ip[8] == 0)
		return FRAME_BAD_IP;
	out->source = load_be32(ip + 12);
	out->target = load_be32(ip + 16);
	if (!address_crosses(out->source) || !address_crosses(out->target))
		return FRAME_BAD_ADDRESS;
	out->length = FRAME_ETHERNET + (size_t)total;
	return parse_transport(data, ip[9], total - (size_t)FRAME_IPV4, partial, out);
}

enum frame_verdict frame_parse(const uint8_t *data, size_t length, bool partial, struct frame *out)
{
	memset(out, 0, sizeof(*out));
	if (length < FRAME_ETHERNET)
		return FRAME_TRUNCATED;
	if (length > FRAME_MAX)
		return FRAME_OVERSIZED;
	out->data = data;
	memcpy(out->target_mac, data, FRAME_MAC);
	memcpy(out->source_mac, data + FRAME_MAC, FRAME_MAC);
	/* A group address cannot be a source. */
	if (out->source_mac[0] & 1)
		return FRAME_BAD_ADDRESS;
	switch (load_be16(data + 12)) {
	case ETHERTYPE_ARP:
		return parse_arp(data, length, out);
	case ETHERTYPE_IPV4:
		return parse_ipv4(data, length, partial, out);
	case ETHERTYPE_IPV6:
		return FRAME_IPV6;
	default:
		return FRAME_ETHERTYPE;
	}
}

const char *frame_verdict_text(enum frame_verdict verdict)
{
	static const char *const text[FRAME_VERDICTS] = {
		[FRAME_OK] = "ok",
		[FRAME_TRUNCATED] = "truncated",
		[FRAME_OVERSIZED] = "oversized",
		[FRAME_ETHERTYPE] = "unknown frame type",
		[FRAME_IPV6] = "IPv6",
		[FRAME_BAD_ARP] = "bad ARP",
		[FRAME_BAD_IP] = "bad IPv4 header",
		[FRAME_IP_OPTIONS] = "IPv4 options",
		[FRAME_FRAGMENT] = "fragment",
		[FRAME_PROTOCOL] = "other protocol",
		[FRAME_BAD_ADDRESS] = "impossible address",
		[FRAME_BAD_CHECKSUM] = "wrong checksum",
		[FRAME_BAD_TCP] = "bad TCP header",
		[FRAME_BAD_UDP] = "bad UDP header",
		[FRAME_BAD_ICMP] = "ICMP that is no echo",
	};

	return verdict < FRAME_VERDICTS ? text[verdict] : "unknown";
}

/* Where a kind has its checksum, behind FRAME_TRANSPORT. */
static size_t checksum_offset(enum frame_kind kind)
{
	if (kind == FRAME_IS_TCP)
		return 16;
	return kind == FRAME_IS_UDP ? 6 : 2;
}

static uint8_t protocol_of(enum frame_kind kind)
{
	if (kind == FRAME_IS_TCP)
		return IP_TCP;
	return kind == FRAME_IS_UDP ? IP_UDP : IP_ICMP;
}

void frame_complete(const struct frame *frame, uint8_t *bytes)
{
	uint8_t *field;
	uint16_t sum;

	if (frame->kind == FRAME_IS_ARP)
		return;
	store_be16(bytes + FRAME_ETHERNET + 10, 0);
	store_be16(bytes + FRAME_ETHERNET + 10,
		   frame_fold(frame_sum(0, bytes + FRAME_ETHERNET, FRAME_IPV4)));
	field = bytes + FRAME_TRANSPORT + checksum_offset(frame->kind);
	store_be16(field, 0);
	sum = frame_transport_checksum(bytes, protocol_of(frame->kind),
				       frame->length - FRAME_TRANSPORT);
	/* 0 would mean that there is no checksum. */
	store_be16(field, frame->kind == FRAME_IS_UDP && sum == 0 ? 0xffff : sum);
}
