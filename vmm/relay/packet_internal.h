/* SPDX-License-Identifier: Apache-2.0 */
/* What the parser and the writers of frames share; only packet_*.c includes it. */
#ifndef CORDON_RELAY_PACKET_INTERNAL_H
#define CORDON_RELAY_PACKET_INTERNAL_H

#include "vmm/relay/packet.h"

/* Bytes of headers and messages. */
#define HEADER_IPV4 20 /* without options */
#define HEADER_IPV6 40
#define HEADER_TCP  20 /* without options */
#define HEADER_UDP  8
#define HEADER_ICMP 8  /* echo and errors, of both families */
#define MESSAGE_ARP 28 /* for IPv4 on Ethernet */
#define MESSAGE_ND \
	24 /* a neighbour solicitation or advertisement without options (RFC 4861, 4.3) */

#define ARP_OPERATION_REQUEST 1
#define ARP_OPERATION_REPLY   2

/* Types of ICMP, and codes of ICMP4_UNREACHABLE (RFC 792, RFC 1812); <netinet/icmp6.h> has
 * ICMPv6's. */
#define ICMP4_ECHO_REPLY   0
#define ICMP4_UNREACHABLE  3
#define ICMP4_ECHO_REQUEST 8
#define ICMP4_NO_NET	   0
#define ICMP4_NO_HOST	   1
#define ICMP4_NO_PORT	   3
#define ICMP4_TOO_BIG	   4
#define ICMP4_PROHIBITED   13

#define ND_HOP_LIMIT 255 /* proves that no router has forwarded it (RFC 4861, 3.1) */

/* Whether an address is that of a multicast group. */
bool packet_is_group(const struct ip_address *address);

/*
 * Whether a network card may carry an address as a host's: not loopback, "this network", multicast,
 * reserved or broadcast (vmm/base/special.h, `stays`).
 */
bool packet_crosses(const struct ip_address *address);

/* Whether a group is the solicited-node group of an address (RFC 4291, 2.7.1). */
bool packet_is_solicited_node(const struct ip_address *group, const struct ip_address *address);

/*
 * The sum of the pseudo header for a message of length bytes behind an IP header of either version
 * (RFC 9293, 3.1; RFC 8200, 8.1). 0 for ICMP, which has none.
 */
uint32_t packet_pseudo_sum(const uint8_t *ip, uint8_t protocol, size_t length);

/* What an IP header of a written frame says. */
struct packet_way {
	const struct ip_address *source, *target; /* of one family */
	uint8_t protocol, hop_limit;
};

/*
 * Writes the Ethernet and IP headers for a message of length bytes. Returns where the message
 * starts; 0, and writes nothing, if the packet would be longer than PACKET_MTU.
 */
size_t packet_put_headers(const struct packet_ends *ends, const struct packet_way *way,
			  size_t length, uint8_t *to);

#endif
