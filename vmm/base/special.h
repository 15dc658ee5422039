/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of IP addresses that are not of the public Internet (IANA's special-purpose
 * registries, RFC 6890, and the ranges that carry IPv4 addresses inside IPv6 ones).
 *
 * The policy opens them only by a rule for just them, the network never because a resolver named
 * them, and the frame parser drops those that no card may carry.
 */
#ifndef CORDON_BASE_SPECIAL_H
#define CORDON_BASE_SPECIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct special_range {
	unsigned family; /* AF_INET or AF_INET6 */
	unsigned prefix;
	uint8_t network[16]; /* network order; IPv4 in the first 4 */
	bool stays;	     /* never crosses a card: loopback, "this network", groups, reserved */
	const char *what;
};

/* The narrowest range that an address is in, or NULL: it is a public one. */
const struct special_range *special_range(unsigned family, const uint8_t *address);

/* The same of an IPv4 address in host byte order. */
const struct special_range *special_range_ipv4(uint32_t address);

/* Whether the first bits of two addresses (network order) are the same. */
bool special_same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits);

/* The table, for showing and testing it; NULL behind its end. */
const struct special_range *special_range_at(size_t index);

#endif
