/* SPDX-License-Identifier: Apache-2.0 */
/* The guest of a relay for tests of datagrams: what it sends, and what has come for it. */
#ifndef CORDON_TEST_RELAY_GUEST_COMMON_H
#define CORDON_TEST_RELAY_GUEST_COMMON_H

#include "tests/unit/relay_exchange_common.h"

#define GUEST_PORT 4000 /* of guest_sends() */

/* A packet of the guest's with a payload, its target "host" or another address. */
void guest_sends(const struct ip_address *target, uint16_t target_port, const void *payload,
		 size_t length);
void guest_sends_from(uint16_t port, const struct ip_address *target, uint16_t target_port,
		      const void *payload, size_t length);
void guest_pings(const struct ip_address *target, uint16_t id, uint16_t sequence,
		 const void *payload, size_t length);

/* What has come for the guest. */
struct seen {
	struct ip_address source, target;
	uint8_t protocol;
	const uint8_t *data; /* behind the IP header */
	size_t length;
};
struct seen host_seen(unsigned frame);

/* It is a datagram with that payload. */
void host_saw_datagram(unsigned frame, const struct ip_address *source, uint16_t source_port,
		       uint16_t guest_port, const void *payload, size_t length);
/* It is an ICMP or ICMPv6 error about the guest's last packet. */
void host_saw_error(unsigned frame, unsigned family, uint8_t type, uint8_t code);

#endif
