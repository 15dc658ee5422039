/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the guest: every length is checked before a byte behind it is read. */
#include <net/ethernet.h>
#include <netinet/icmp6.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/packet_internal.h"

#define FLAG_RESERVED 0x8000u
#define FLAG_MORE     0x2000u
#define OFFSET_MASK   0x1fffu

/* IPv6's next header values that <netinet/in.h> does not have (RFC 7401, RFC 5533, RFC 4727). */
#define NEXT_HIP      139
#define NEXT_SHIM6    140
#define NEXT_EXAMPLE1 253
#define NEXT_EXAMPLE2 254

#define ND_OPTION_UNIT	      8 /* bytes that an option's length counts */
#define ND_OPTION_SOURCE_LINK 1

/* The message in an IP packet. */
struct message {
	const uint8_t *ip, *at; /* the IP header, the message */
	size_t length;		/* of the message */
	uint8_t protocol, hop_limit;
	bool six, partial;
};

/* --- ARP -------------------------------------------------------------------------------------- */

static bool arp_for_ipv4(const uint8_t *arp)
{
	return load_be16(arp) == 1 && load_be16(arp + 2) == ETHERTYPE_IP && arp[4] == PACKET_MAC &&
	       arp[5] == 4;
}

static enum packet_verdict parse_arp(const uint8_t *arp, size_t length, struct packet *out)
{
	uint16_t operation;

	if (length < MESSAGE_ARP)
		return PACKET_TRUNCATED;
	operation = load_be16(arp + 6);
	if (!arp_for_ipv4(arp) ||
	    (operation != ARP_OPERATION_REQUEST && operation != ARP_OPERATION_REPLY))
		return PACKET_BAD_ARP;
	if (operation == ARP_OPERATION_REPLY)
		return PACKET_IGNORED;
	/* The reply goes to the frame's sender, so a message for another one would be a lie. */
	if (memcmp(arp + 8, out->source_mac, PACKET_MAC) != 0)
		return PACKET_BAD_ARP;
	out->kind = PACKET_ARP;
	out->source = ip_from4(load_be32(arp + 14));
	out->target = ip_from4(load_be32(arp + 24));
	/* A probe has no sender's address yet (RFC 5227, 2.1.1). */
	if ((load_be32(arp + 14) != 0 && !packet_crosses(&out->source)) ||
	    !packet_crosses(&out->target))
		return PACKET_BAD_ADDRESS;
	return PACKET_OK;
}

/* --- messages of both IP versions ------------------------------------------------------------- */

static bool checksum_right(const struct message *in)
{
	uint32_t sum;

	if (in->partial)
		return true;
	/* 0 says that there is none (RFC 768), which IPv6 does not permit (RFC 8200, 8.1). */
	if (in->protocol == IPPROTO_UDP && load_be16(in->at + 6) == 0)
		return !in->six;
	sum = packet_pseudo_sum(in->ip, in->protocol, in->length);
	return packet_fold(packet_sum(sum, in->at, in->length)) == 0;
}

static enum packet_verdict parse_ports(const struct message *in, struct packet *out)
{
	out->source_port = load_be16(in->at);
	out->target_port = load_be16(in->at + 2);
	if (out->source_port != 0 && out->target_port != 0)
		return PACKET_OK;
	return in->protocol == IPPROTO_TCP ? PACKET_BAD_TCP : PACKET_BAD_UDP;
}

static enum packet_verdict parse_tcp(const struct message *in, struct packet *out)
{
	if (in->length < HEADER_TCP)
		return PACKET_TRUNCATED;
	if (tcp_segment_parse(in->at, in->length, &out->tcp) < 0)
		return PACKET_BAD_TCP;
	out->kind = PACKET_TCP;
	return parse_ports(in, out);
}

static enum packet_verdict parse_udp(const struct message *in, struct packet *out)
{
	if (in->length < HEADER_UDP)
		return PACKET_TRUNCATED;
	/* Behind a shorter second length, bytes could pass unseen. */
	if (load_be16(in->at + 4) != in->length)
		return PACKET_BAD_UDP;
	out->kind = PACKET_UDP;
	out->payload = in->at + HEADER_UDP;
	out->payload_length = in->length - HEADER_UDP;
	return parse_ports(in, out);
}

static enum packet_verdict parse_echo(const struct message *in, struct packet *out)
{
	out->kind = PACKET_ECHO;
	out->echo_id = load_be16(in->at + 4);
	out->echo_sequence = load_be16(in->at + 6);
	out->payload = in->at + HEADER_ICMP;
	out->payload_length = in->length - HEADER_ICMP;
	return PACKET_OK;
}

/* --- neighbour discovery ---------------------------------------------------------------------- */

/* Whether a message's options end where it does; *link: the sender's MAC is among them. */
static bool options_whole(const uint8_t *at, size_t left, bool *link)
{
	*link = false;
	while (left > 0) {
		size_t length = left > 1 ? (size_t)at[1] * ND_OPTION_UNIT : 0;

		if (length == 0 || length > left)
			return false;
		*link = *link || at[0] == ND_OPTION_SOURCE_LINK;
		at += length;
		left -= length;
	}
	return true;
}

/*
 * RFC 4861, 7.1.1. It goes to the address that it asks for, or to that one's group; to the group
 * alone, and with no MAC to reply to, if its sender has no address yet (RFC 4862, 5.4.2).
 */
static enum packet_verdict parse_neighbour(const struct message *in, bool addressless,
					   struct packet *out)
{
	struct ip_address asked = {.family = AF_INET6};
	bool link;

	if (in->length < MESSAGE_ND)
		return PACKET_TRUNCATED;
	memcpy(asked.bytes, in->at + 8, IP_BYTES);
	if (!packet_crosses(&asked))
		return PACKET_BAD_ADDRESS;
	if (!options_whole(in->at + MESSAGE_ND, in->length - MESSAGE_ND, &link) ||
	    (addressless && link) ||
	    (!ip_same(&out->target, &asked) && !packet_is_solicited_node(&out->target, &asked)))
		return PACKET_BAD_ICMP;
	out->kind = PACKET_NEIGHBOUR;
	out->target = asked;
	return PACKET_OK;
}

/* RFC 4861, 6.1.1. To other groups than that of all routers, it is of no use. */
static enum packet_verdict parse_router(const struct message *in, bool addressless,
					struct packet *out)
{
	static const struct ip_address all_routers = {{0xff, 0x02, [15] = 0x02}, AF_INET6};
	bool link;

	if (!options_whole(in->at + HEADER_ICMP, in->length - HEADER_ICMP, &link) ||
	    (addressless && link))
		return PACKET_BAD_ICMP;
	/* Without an address there is no sender to reply to. */
	if (addressless || (packet_is_group(&out->target) && !ip_same(&out->target, &all_routers)))
		return PACKET_IGNORED;
	out->kind = PACKET_ROUTER;
	return PACKET_OK;
}

static bool is_solicitation(const struct message *in)
{
	return in->six && in->protocol == IPPROTO_ICMPV6 && in->length > 0 &&
	       (in->at[0] == ND_NEIGHBOR_SOLICIT || in->at[0] == ND_ROUTER_SOLICIT);
}

static bool addressless(const struct packet *packet)
{
	const struct ip_address none = {.family = packet->source.family};

	return ip_same(&packet->source, &none);
}

static enum packet_verdict parse_solicitation(const struct message *in, struct packet *out)
{
	if (in->hop_limit != ND_HOP_LIMIT)
		return PACKET_BAD_ICMP;
	if (in->at[0] == ND_NEIGHBOR_SOLICIT)
		return parse_neighbour(in, addressless(out), out);
	return parse_router(in, addressless(out), out);
}

/* --- ICMP ------------------------------------------------------------------------------------- */

static enum packet_verdict parse_icmp(const struct message *in, struct packet *out)
{
	if (in->length < HEADER_ICMP)
		return PACKET_TRUNCATED;
	if (in->at[1] != 0) /* no code */
		return PACKET_BAD_ICMP;
	if (is_solicitation(in))
		return parse_solicitation(in, out);
	if (in->at[0] == (in->six ? ICMP6_ECHO_REQUEST : ICMP4_ECHO_REQUEST))
		return parse_echo(in, out);
	if (in->six && in->at[0] == ND_NEIGHBOR_ADVERT)
		return PACKET_IGNORED;
	return in->at[0] == (in->six ? ICMP6_ECHO_REPLY : ICMP4_ECHO_REPLY) ? PACKET_IGNORED
									    : PACKET_BAD_ICMP;
}

static enum packet_verdict parse_message(const struct message *in, struct packet *out)
{
	enum packet_verdict verdict;

	if (in->protocol == IPPROTO_TCP)
		verdict = parse_tcp(in, out);
	else if (in->protocol == IPPROTO_UDP)
		verdict = parse_udp(in, out);
	else if (in->protocol == (in->six ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		verdict = parse_icmp(in, out);
	else
		return PACKET_PROTOCOL;
	if (verdict == PACKET_OK && !checksum_right(in))
		return PACKET_BAD_CHECKSUM;
	return verdict;
}

/* --- IP --------------------------------------------------------------------------------------- */

/*
 * A host that has no address yet may tell groups about it (solicitations; reports of the groups
 * that it joins, RFC 3590 and RFC 3376, 4.2.13). Of what goes to groups, only solicitations matter.
 */
static enum packet_verdict check_addresses(const struct message *in, const struct packet *packet)
{
	bool group = packet_is_group(&packet->target);

	if (addressless(packet) ? !group : !packet_crosses(&packet->source))
		return PACKET_BAD_ADDRESS;
	if (group)
		return is_solicitation(in) ? PACKET_OK : PACKET_IGNORED;
	return packet_crosses(&packet->target) ? PACKET_OK : PACKET_BAD_ADDRESS;
}

static enum packet_verdict parse_ipv4(const uint8_t *ip, size_t length, bool partial,
				      struct packet *out)
{
	struct message in = {.ip = ip, .partial = partial};
	enum packet_verdict verdict;
	uint16_t total, fragment;
	size_t header;

	if (length < HEADER_IPV4)
		return PACKET_TRUNCATED;
	header = (size_t)(ip[0] & 0xf) * 4;
	total = load_be16(ip + 2);
	fragment = load_be16(ip + 6);
	if (ip[0] >> 4 != 4 || header < HEADER_IPV4 || total < header)
		return PACKET_BAD_IP;
	if (total > length)
		return PACKET_TRUNCATED;
	if (packet_fold(packet_sum(0, ip, header)) != 0)
		return PACKET_BAD_CHECKSUM;
	if ((fragment & FLAG_RESERVED) || ip[8] == 0)
		return PACKET_BAD_IP;
	in.at = ip + header;
	in.length = total - header;
	in.protocol = ip[9];
	out->source = ip_from4(load_be32(ip + 12));
	out->target = ip_from4(load_be32(ip + 16));
	out->ip = ip;
	out->ip_length = total;
	/* Before the options: a report of IGMP always has one. */
	verdict = check_addresses(&in, out);
	if (verdict != PACKET_OK)
		return verdict;
	if (header != HEADER_IPV4)
		return PACKET_OPTIONS;
	if (fragment & (FLAG_MORE | OFFSET_MASK))
		return PACKET_FRAGMENT;
	return parse_message(&in, out);
}

/* IANA's list of extension header types, without that of fragments. */
static bool is_extension(uint8_t next)
{
	static const uint8_t list[] = {
		IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_ESP, IPPROTO_AH,    IPPROTO_DSTOPTS,
		IPPROTO_MH,	 NEXT_HIP,	  NEXT_SHIM6,  NEXT_EXAMPLE1, NEXT_EXAMPLE2,
	};

	return memchr(list, next, sizeof(list)) != NULL;
}

static enum packet_verdict parse_ipv6(const uint8_t *ip, size_t length, bool partial,
				      struct packet *out)
{
	struct message in = {.ip = ip, .six = true, .partial = partial};
	enum packet_verdict verdict;

	if (length < HEADER_IPV6)
		return PACKET_TRUNCATED;
	in.at = ip + HEADER_IPV6;
	in.length = load_be16(ip + 4);
	in.protocol = ip[6];
	in.hop_limit = ip[7];
	if (ip[0] >> 4 != 6 || in.hop_limit == 0)
		return PACKET_BAD_IP;
	if (in.length > length - HEADER_IPV6)
		return PACKET_TRUNCATED;
	out->source.family = AF_INET6;
	memcpy(out->source.bytes, ip + 8, IP_BYTES);
	out->target.family = AF_INET6;
	memcpy(out->target.bytes, ip + 8 + IP_BYTES, IP_BYTES);
	out->ip = ip;
	out->ip_length = HEADER_IPV6 + in.length;
	/* Before the extension headers: a report of MLD always has one. */
	verdict = check_addresses(&in, out);
	if (verdict != PACKET_OK)
		return verdict;
	if (in.protocol == IPPROTO_FRAGMENT)
		return PACKET_FRAGMENT;
	return is_extension(in.protocol) ? PACKET_OPTIONS : parse_message(&in, out);
}

/* --- frames ----------------------------------------------------------------------------------- */

enum packet_verdict packet_parse(const uint8_t *data, size_t length, bool partial,
				 struct packet *out)
{
	const uint8_t *inside;

	if (length < PACKET_ETHERNET)
		return PACKET_TRUNCATED;
	if (length > PACKET_FRAME_MAX)
		return PACKET_OVERSIZED;
	memset(out, 0, sizeof(*out));
	memcpy(out->target_mac, data, PACKET_MAC);
	memcpy(out->source_mac, data + PACKET_MAC, PACKET_MAC);
	/* A group cannot be a sender. */
	if (out->source_mac[0] & 1)
		return PACKET_BAD_ADDRESS;
	inside = data + PACKET_ETHERNET;
	length -= PACKET_ETHERNET;
	switch (load_be16(data + 2 * PACKET_MAC)) {
	case ETHERTYPE_ARP:
		return parse_arp(inside, length, out);
	case ETHERTYPE_IP:
		return parse_ipv4(inside, length, partial, out);
	case ETHERTYPE_IPV6:
		return parse_ipv6(inside, length, partial, out);
	default:
		return PACKET_ETHERTYPE;
	}
}

const char *packet_verdict_text(enum packet_verdict verdict)
{
	static const char *const text[PACKET_VERDICTS] = {
		[PACKET_OK] = "ok",
		[PACKET_IGNORED] = "ignored",
		[PACKET_TRUNCATED] = "truncated",
		[PACKET_OVERSIZED] = "oversized",
		[PACKET_ETHERTYPE] = "unknown frame type",
		[PACKET_BAD_ARP] = "bad ARP",
		[PACKET_BAD_IP] = "bad IP header",
		[PACKET_OPTIONS] = "IP options or extension headers",
		[PACKET_FRAGMENT] = "fragment",
		[PACKET_PROTOCOL] = "other protocol",
		[PACKET_BAD_ADDRESS] = "impossible address",
		[PACKET_BAD_CHECKSUM] = "wrong checksum",
		[PACKET_BAD_TCP] = "bad TCP header",
		[PACKET_BAD_UDP] = "bad UDP header",
		[PACKET_BAD_ICMP] = "bad ICMP message",
	};

	return verdict < PACKET_VERDICTS ? text[verdict] : "unknown";
}
