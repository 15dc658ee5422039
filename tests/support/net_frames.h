/* SPDX-License-Identifier: Apache-2.0 */
/* Frames, DNS messages and ClientHellos for the tests of vmm/net and devices/net. */
#ifndef CORDON_TEST_NET_FRAMES_H
#define CORDON_TEST_NET_FRAMES_H

#include "vmm/net/address.h"
#include "vmm/net/dns.h"
#include "vmm/net/frame.h"

extern const uint8_t net_guest_mac[FRAME_MAC], net_router_mac[FRAME_MAC], net_card_mac[FRAME_MAC],
	net_peer_mac[FRAME_MAC];

struct filter_config;

/* Sets the four MACs of a filter to these. */
void net_set_macs(struct filter_config *config);

/* An address in the public Internet. */
#define NET_PEER ADDRESS(93, 184, 216, 34)

struct net_segment {
	uint32_t source, target;
	uint16_t source_port, target_port;
	uint8_t flags; /* TCP */
	uint32_t sequence, acknowledged;
	const void *payload;
	size_t length;
};

/* Valid frames, from the guest's card to the router; net_turn() makes one come from the peer. */
size_t net_tcp(uint8_t *to, const struct net_segment *segment);
size_t net_udp(uint8_t *to, const struct net_segment *segment);
size_t net_echo(uint8_t *to, uint8_t type, uint32_t source, uint32_t target, uint16_t id,
		size_t length);
size_t net_arp(uint8_t *to, uint16_t operation, const uint8_t *sender_mac, uint32_t sender,
	       uint32_t target);
void net_turn(uint8_t *frame);

/* Recomputes the checksums after a change of a header. */
void net_fix(uint8_t *frame, size_t length);

/* A query as a resolver library sends it; edns: the size offered, 0 for none. */
size_t net_question(uint8_t *to, const char *name, uint16_t type, uint16_t edns);

struct net_hello {
	const char *name; /* NULL: no server_name */
	size_t padding;	  /* bytes of a padding extension, 0: none */
	bool grease, encrypted, twice;
	size_t record; /* at most so many handshake bytes a record; 0: one record */
};

/* A ClientHello in its records; `to` must have room for more than TLS_PEEK_MAX bytes. */
size_t net_hello(uint8_t *to, const struct net_hello *hello);

#endif
