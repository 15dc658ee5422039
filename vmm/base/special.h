/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of IP addresses that do not belong to the public Internet (IANA's special-purpose
 * registries, RFC 6890, and the IPv6 ranges that embed IPv4 addresses).
 *
 * The policy opens such an address only by a rule that names just it, the network never because a
 * DNS reply contained it, and the frame parser drops those that no network card may carry.
 */
#ifndef CORDON_BASE_SPECIAL_H
#define CORDON_BASE_SPECIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct special_range {
	unsigned family; /* AF_INET or AF_INET6 */
	unsigned prefix;
	uint8_t network[16]; /* network byte order; IPv4 in the first 4 bytes */
	bool stays; /* never crosses a card: loopback, "this network", multicast, reserved */
	const char *what;
};

/* The narrowest range that contains an address (network byte order), or NULL: it is public. */
const struct special_range *special_range(unsigned family, const uint8_t *address);

/* The same for an IPv4 address in host byte order. */
const struct special_range *special_range_ipv4(uint32_t address);

/* Whether the first `bits` bits of two addresses (network byte order) are equal. */
bool special_same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits);

/* An entry of the table, to print or test it; NULL past its end. */
const struct special_range *special_range_at(size_t index);

#endif
