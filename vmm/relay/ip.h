/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IP addresses of both families, and the sandbox's own network in each.
 *
 * Every sandbox has the same network, in ranges for documentation (TEST-NET-1, RFC 5737; RFC 3849):
 * no real network uses them, so they shadow no address that a rule could name. These addresses
 * never leave the relay.
 */
#ifndef CORDON_RELAY_IP_H
#define CORDON_RELAY_IP_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define IP_BYTES 16
#define IP_TEXT	 INET6_ADDRSTRLEN

/* Compared whole by ip_same(): bytes that a family does not use are 0. */
struct ip_address {
	uint8_t bytes[IP_BYTES]; /* network byte order; IPv4 in the first 4 */
	uint16_t family;	 /* AF_INET, AF_INET6; 0: none */
};

enum ip_own {
	IP_OWN_ROUTER =
		1, /* 192.0.2.1, 2001:db8::1: the default route, and the resolver at port 53 */
	IP_OWN_GUEST = 2, /* 192.0.2.2, 2001:db8::2 */
	IP_OWN_HOST = 4,  /* 192.0.2.4, 2001:db8::4: the host's loopback; the name "host" */
};

#define IP_OWN_PREFIX4 24
#define IP_OWN_PREFIX6 64

/* One of the sandbox's own addresses, of a family. */
struct ip_address ip_own(unsigned family, enum ip_own which);

/* Whether an address is in the sandbox's own network, whichever it is there. */
bool ip_is_own(const struct ip_address *address);

/* The same for one of the addresses in it. */
bool ip_is(const struct ip_address *address, enum ip_own which);

/*
 * Whether an address is not part of the public Internet (vmm/base/special.h). A name never opens
 * such an address, whatever a resolver replies: only a rule for the address or its network does, or
 * `net allow any`.
 */
bool ip_is_special(const struct ip_address *address);

static inline bool ip_same(const struct ip_address *a, const struct ip_address *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, IP_BYTES) == 0;
}

/* From an IPv4 address in host byte order. */
struct ip_address ip_from4(uint32_t address);

/* "192.0.2.1", "2001:db8::1" */
const char *ip_text(const struct ip_address *address, char to[IP_TEXT]);

/* A socket address of it; returns its length. And back: false if it is of another family. */
socklen_t ip_to_socket(const struct ip_address *address, uint16_t port,
		       struct sockaddr_storage *to);
bool ip_from_socket(const struct sockaddr_storage *from, struct ip_address *address,
		    uint16_t *port);

#endif
