/* SPDX-License-Identifier: Apache-2.0 */
/* Frames with IPv4, DNS messages and ClientHellos for the tests of network and card. */
#ifndef CORDON_TEST_NET_FRAMES_H
#define CORDON_TEST_NET_FRAMES_H

#include "tests/support/address.h"
#include "vmm/net/dns.h"
#include "vmm/relay/tcp_segment.h"

#define NET_MAC 6

extern const uint8_t net_guest_mac[NET_MAC], net_router_mac[NET_MAC];

/* Where headers begin in a frame, and their bytes. */
#define NET_AT_IP	 14
#define NET_AT_TRANSPORT 34
#define NET_TCP_HEADER	 20
#define NET_UDP_HEADER	 8

struct net_segment {
	uint32_t source, target;
	uint16_t source_port, target_port;
	uint8_t flags; /* TCP */
	uint32_t sequence, acknowledged;
	const void *payload;
	size_t length;
};

/* Valid frames, from the guest's card to the router. */
size_t net_tcp(uint8_t *to, const struct net_segment *segment);
size_t net_udp(uint8_t *to, const struct net_segment *segment);

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
