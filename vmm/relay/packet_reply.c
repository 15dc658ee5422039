/* SPDX-License-Identifier: Apache-2.0 */
/* Whole frames in reply to a packet of the guest: where an address is, and ICMP errors. */
#include <net/ethernet.h>
#include <netinet/icmp6.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/packet_internal.h"

#define TTL 64

/* First byte of the flags of an advertisement (RFC 4861, 4.4). */
#define ND_ROUTER    0x80u
#define ND_SOLICITED 0x40u
#define ND_OVERRIDE  0x20u

#define ND_OPTION_TARGET_LINK 2
#define ND_OPTION_LINK_BYTES  8 /* of a MAC, with the option's header */

/* Bytes of an IP packet with an error (RFC 1812, 4.3.2.3; RFC 4443, 2.4). */
#define ERROR_MAX4 576
#define ERROR_MAX6 1280

_Static_assert(PACKET_ETHERNET + ERROR_MAX6 <= PACKET_REPLY_MAX, "an error fits into a reply");

/* --- neighbours ------------------------------------------------------------------------------- */

static size_t write_arp(const struct packet_ends *ends, const struct packet *request, uint8_t *to)
{
	uint8_t *arp = to + PACKET_ETHERNET;

	memcpy(to, ends->guest_mac, PACKET_MAC);
	memcpy(to + PACKET_MAC, ends->router_mac, PACKET_MAC);
	store_be16(to + 2 * PACKET_MAC, ETHERTYPE_ARP);
	store_be16(arp, 1); /* Ethernet */
	store_be16(arp + 2, ETHERTYPE_IP);
	arp[4] = PACKET_MAC;
	arp[5] = 4;
	store_be16(arp + 6, ARP_OPERATION_REPLY);
	memcpy(arp + 8, ends->router_mac, PACKET_MAC);
	memcpy(arp + 14, request->target.bytes, 4);
	memcpy(arp + 18, ends->guest_mac, PACKET_MAC);
	memcpy(arp + 24, request->source.bytes, 4);
	return PACKET_ETHERNET + MESSAGE_ARP;
}

/* Fills in the checksum, still 0, of a message of ICMP or ICMPv6. Returns the frame's length. */
static size_t finish(const struct packet_way *way, size_t start, size_t length, uint8_t *to)
{
	uint32_t sum = packet_pseudo_sum(to + PACKET_ETHERNET, way->protocol, length);

	store_be16(to + start + 2, packet_fold(packet_sum(sum, to + start, length)));
	return start + length;
}

/* RFC 4861, 7.2.4. */
static size_t write_advertisement(const struct packet_ends *ends, const struct packet *request,
				  uint8_t *to)
{
	static const struct ip_address none = {{0}, AF_INET6},
				       all_nodes = {{0xff, 0x02, [15] = 0x01}, AF_INET6};
	static const uint8_t all_nodes_mac[PACKET_MAC] = {0x33, 0x33, [5] = 0x01};
	/* A sender that checks whether the address is free has none of its own to reply to. */
	bool addressless = ip_same(&request->source, &none);
	const struct packet_way way = {&request->target,
				       addressless ? &all_nodes : &request->source, IPPROTO_ICMPV6,
				       ND_HOP_LIMIT};
	const size_t length = MESSAGE_ND + ND_OPTION_LINK_BYTES;
	size_t start = packet_put_headers(ends, &way, length, to);
	uint8_t *icmp = to + start;

	if (addressless)
		memcpy(to, all_nodes_mac, PACKET_MAC);
	memset(icmp, 0, length);
	icmp[0] = ND_NEIGHBOR_ADVERT;
	icmp[4] = ND_OVERRIDE | (addressless ? 0 : ND_SOLICITED) |
		  (ip_is(&request->target, IP_OWN_ROUTER) ? ND_ROUTER : 0);
	memcpy(icmp + 8, request->target.bytes, IP_BYTES);
	icmp[MESSAGE_ND] = ND_OPTION_TARGET_LINK;
	icmp[MESSAGE_ND + 1] = 1;
	memcpy(icmp + MESSAGE_ND + 2, ends->router_mac, PACKET_MAC);
	return finish(&way, start, length, to);
}

size_t packet_write_neighbour(const struct packet_ends *ends, const struct packet *request,
			      uint8_t to[PACKET_REPLY_MAX])
{
	if (request->kind == PACKET_ARP)
		return write_arp(ends, request, to);
	return request->kind == PACKET_NEIGHBOUR ? write_advertisement(ends, request, to) : 0;
}

/* --- errors ----------------------------------------------------------------------------------- */

/* The packet that an error is about. */
struct offending {
	struct ip_address source, target;
	uint8_t protocol;
	const uint8_t *message;
	size_t length; /* of the message */
	bool later_fragment;
};

/* False: it is not a packet, or one whose protocol cannot be seen. */
static bool look(const uint8_t *ip, size_t length, struct offending *out)
{
	size_t header = length > 0 ? (size_t)(ip[0] & 0xf) * 4 : 0;

	memset(out, 0, sizeof(*out));
	if (length >= HEADER_IPV4 && ip[0] >> 4 == 4 && header >= HEADER_IPV4 && header <= length) {
		out->source = ip_from4(load_be32(ip + 12));
		out->target = ip_from4(load_be32(ip + 16));
		out->protocol = ip[9];
		out->later_fragment = load_be16(ip + 6) & 0x1fff;
	} else if (length >= HEADER_IPV6 && ip[0] >> 4 == 6) {
		header = HEADER_IPV6;
		out->source.family = AF_INET6;
		memcpy(out->source.bytes, ip + 8, IP_BYTES);
		out->target.family = AF_INET6;
		memcpy(out->target.bytes, ip + 8 + IP_BYTES, IP_BYTES);
		out->protocol = ip[6];
	} else {
		return false;
	}
	out->message = ip + header;
	out->length = length - header;
	return true;
}

/* ICMP that is not a request or its reply: an error, or unknown. */
static bool icmp_error(const struct offending *packet)
{
	const uint8_t *icmp = packet->message;

	if (packet->protocol == IPPROTO_ICMPV6)
		return packet->length == 0 || !(icmp[0] & ICMP6_INFOMSG_MASK) ||
		       icmp[0] == ND_REDIRECT;
	return packet->protocol == IPPROTO_ICMP &&
	       (packet->length == 0 ||
		(icmp[0] != ICMP4_ECHO_REQUEST && icmp[0] != ICMP4_ECHO_REPLY));
}

/* The broadcast address of the sandbox's own network. */
static bool is_own_broadcast(const struct ip_address *address)
{
	return address->family == AF_INET && ip_is_own(address) && address->bytes[3] == 0xff;
}

/* RFC 1122, 3.2.2, and RFC 4443, 2.4 (e). */
static bool may_have_error(const struct offending *packet)
{
	if (packet->source.family == AF_INET6 && packet->protocol != IPPROTO_TCP &&
	    packet->protocol != IPPROTO_UDP && packet->protocol != IPPROTO_ICMPV6)
		return false; /* an ICMPv6 error may be behind extension headers */
	return !packet->later_fragment && !icmp_error(packet) && packet_crosses(&packet->source) &&
	       packet_crosses(&packet->target) && !is_own_broadcast(&packet->source) &&
	       !is_own_broadcast(&packet->target);
}

static void put_error(enum packet_error error, uint16_t mtu, bool six, uint8_t *icmp)
{
	static const struct {
		uint8_t type4, code4, type6, code6;
	} table[] = {
		[PACKET_PROHIBITED] = {ICMP4_UNREACHABLE, ICMP4_PROHIBITED, ICMP6_DST_UNREACH,
				       ICMP6_DST_UNREACH_ADMIN},
		[PACKET_NET_UNREACHABLE] = {ICMP4_UNREACHABLE, ICMP4_NO_NET, ICMP6_DST_UNREACH,
					    ICMP6_DST_UNREACH_NOROUTE},
		[PACKET_HOST_UNREACHABLE] = {ICMP4_UNREACHABLE, ICMP4_NO_HOST, ICMP6_DST_UNREACH,
					     ICMP6_DST_UNREACH_ADDR},
		[PACKET_PORT_UNREACHABLE] = {ICMP4_UNREACHABLE, ICMP4_NO_PORT, ICMP6_DST_UNREACH,
					     ICMP6_DST_UNREACH_NOPORT},
		[PACKET_TOO_BIG] = {ICMP4_UNREACHABLE, ICMP4_TOO_BIG, ICMP6_PACKET_TOO_BIG, 0},
	};

	memset(icmp, 0, HEADER_ICMP);
	icmp[0] = six ? table[error].type6 : table[error].type4;
	icmp[1] = six ? table[error].code6 : table[error].code4;
	/* 16 bits in IPv4 (RFC 1191, 4), 32 in IPv6 (RFC 4443, 3.2): the same two bytes. */
	if (error == PACKET_TOO_BIG)
		store_be16(icmp + 6, mtu);
}

size_t packet_write_error(const struct packet_ends *ends, enum packet_error error, uint16_t mtu,
			  const uint8_t *ip, size_t ip_length, uint8_t to[PACKET_REPLY_MAX])
{
	struct offending packet;
	struct ip_address router;
	struct packet_way way = {.hop_limit = TTL};
	size_t quoted, start;
	bool six;

	if (!look(ip, ip_length, &packet) || !may_have_error(&packet))
		return 0;
	six = packet.source.family == AF_INET6;
	router = ip_own(packet.source.family, IP_OWN_ROUTER);
	way.source = &router;
	way.target = &packet.source;
	way.protocol = six ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	quoted = (six ? ERROR_MAX6 - HEADER_IPV6 : ERROR_MAX4 - HEADER_IPV4) - HEADER_ICMP;
	quoted = min_u64(quoted, ip_length);
	start = packet_put_headers(ends, &way, HEADER_ICMP + quoted, to);
	put_error(error, mtu, six, to + start);
	memcpy(to + start + HEADER_ICMP, ip, quoted);
	return finish(&way, start, HEADER_ICMP + quoted, to);
}
