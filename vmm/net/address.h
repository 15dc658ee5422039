/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's own network, and special IPv4 addresses. Host byte order throughout. */
#ifndef CORDON_NET_ADDRESS_H
#define CORDON_NET_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#define ADDRESS(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/*
 * Every sandbox has the same network, in a range for documentation (TEST-NET-1, RFC 5737): no real
 * network uses it, so it shadows no address that a rule could name. These addresses never leave the
 * monitor: backends translate them.
 */
#define ADDRESS_PREFIX 24
#define ADDRESS_ROUTER ADDRESS(192, 0, 2, 1) /* the default route, and the resolver at port 53 */
#define ADDRESS_GUEST  ADDRESS(192, 0, 2, 2)
#define ADDRESS_HOST   ADDRESS(192, 0, 2, 4) /* stands for the host's loopback: the name "host" */

static inline bool address_within(uint32_t address, uint32_t network, unsigned prefix)
{
	return ((address ^ network) >> (32 - prefix)) == 0; /* prefix 1 to 32 */
}

/* Whether an address is in the sandbox's own network. */
static inline bool address_own(uint32_t address)
{
	return address_within(address, ADDRESS_ROUTER, ADDRESS_PREFIX);
}

/*
 * Whether an address is not part of the public Internet (vmm/base/special.h). A name never opens
 * such an address, whatever a resolver replies: only a rule for the address or its network does.
 */
bool address_special(uint32_t address);

#define ADDRESS_TEXT 16

/* "192.0.2.1" */
const char *address_text(uint32_t address, char to[ADDRESS_TEXT]);

#endif
