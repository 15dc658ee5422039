/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of the guest for the tests of the relay, of both IP versions, written without a look at
 * vmm/relay/packet_*.c. Addresses are texts; the family is that of the source.
 */
#ifndef CORDON_TEST_RELAY_FRAMES_H
#define CORDON_TEST_RELAY_FRAMES_H

#include "vmm/relay/packet.h"

#define GUEST4	"192.0.2.2"
#define ROUTER4 "192.0.2.1"
#define PEER4	"93.184.216.34"
#define GUEST6	"2001:db8::2"
#define ROUTER6 "2001:db8::1"
#define PEER6	"2606:2800:220:1::1"
#define LINK6	"fe80::2"

#define AT_IP	   14
#define AT_IPV4_UP 34 /* where the message starts in a frame with IPv4, with IPv6 */
#define AT_IPV6_UP 54

extern const uint8_t relay_guest_mac[PACKET_MAC], relay_router_mac[PACKET_MAC];

/* Both MACs, whole checksums. */
extern const struct packet_ends relay_ends;

struct relay_ends_text {
	const char *source, *target;
};

/* Of a family: from the guest to a peer in the public Internet. */
struct relay_ends_text relay_path(unsigned family);

struct ip_address relay_address(const char *text);

/* An IP packet with any message, whose checksum is filled in if the protocol has one. */
size_t relay_frame(uint8_t *to, const char *source, const char *target, uint8_t protocol,
		   const void *message, size_t length);

/* From port 40000 to port 443; sequence number 1000, acknowledged 2000, window 500. */
size_t relay_frame_tcp(uint8_t *to, const char *source, const char *target, uint8_t flags,
		       const void *payload, size_t length);
size_t relay_frame_udp(uint8_t *to, const char *source, const char *target, const void *payload,
		       size_t length);
/* Identifier 77, sequence number 3; a request or, with `reply`, a reply. */
size_t relay_frame_echo(uint8_t *to, const char *source, const char *target, bool reply,
			size_t length);
/* A message of ICMP or ICMPv6 with type, code 0, and bytes behind the checksum. */
size_t relay_frame_icmp(uint8_t *to, const char *source, const char *target, uint8_t type,
			const void *rest, size_t length);
/* A neighbour solicitation, hop limit 255; options: bytes behind the address. */
size_t relay_frame_ask(uint8_t *to, const char *source, const char *target, const char *asked,
		       const void *options, size_t length);
size_t relay_frame_arp(uint8_t *to, uint16_t operation, const char *sender, const char *target);

/* Recomputes the checksums of an IP packet after a change of a header. */
void relay_fix(uint8_t *frame);

/*
 * What a card does with a frame whose checksum is partial (virtio 1.2, 5.1.6.2): the sum from start
 * to the end goes to offset.
 */
void relay_complete(uint8_t *frame, size_t length, const struct packet_offload *offload);

/* The sum word by word, as RFC 1071 begins, inverted. */
uint16_t relay_plain_sum(uint32_t before, const uint8_t *data, size_t length);

/* The sum of a frame's IP header, and of its message with the pseudo header; 0 if they are right.
 */
uint16_t relay_header_sum(const uint8_t *frame);
uint16_t relay_message_sum(const uint8_t *frame);

#endif
