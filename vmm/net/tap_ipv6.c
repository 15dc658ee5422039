/* SPDX-License-Identifier: Apache-2.0 */
/* The IPv6 addresses of a tap's wire, of which the host's interface has one, or none. */
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/net/tap_internal.h"

#define PREFIX_MOST 126	 /* the agent's */
#define MTU_MIN	    1280 /* RFC 8200, 5 */

/* Fields of /proc/net/if_inet6: Linux's IPV6_ADDR_* and IFA_F_*. */
#define SCOPE_GLOBAL 0 /* unique local addresses (RFC 4193) too */
#define TEMPORARY    0x01
#define DAD_FAILED   0x08
#define DEPRECATED   0x20

bool tap_guest_address6(const uint8_t host[TAP_IPV6], unsigned prefix, uint8_t guest[TAP_IPV6])
{
	unsigned i, bits;

	if (prefix < 1 || prefix > PREFIX_MOST)
		return false;
	for (i = 0; i < TAP_IPV6; i++) {
		bits = prefix > 8 * i ? prefix - 8 * i : 0;
		guest[i] = host[i] & (bits >= 8 ? 0xff : 0xff00 >> bits & 0xff);
	}
	/* The lowest one is of all routers (RFC 4291, 2.6.1). */
	guest[TAP_IPV6 - 1] |= 1;
	if (memcmp(guest, host, TAP_IPV6) == 0)
		guest[TAP_IPV6 - 1] ^= 3;
	return true;
}

static bool read_hex(const char *digits, uint8_t to[TAP_IPV6])
{
	unsigned i, byte;

	for (i = 0; i < TAP_IPV6; i++) {
		if (sscanf(digits + 2 * i, "%2x", &byte) != 1)
			return false;
		to[i] = (uint8_t)byte;
	}
	return true;
}

void tap_read_ipv6(struct tap_wire *wire, const char *name, const char *text)
{
	char digits[2 * TAP_IPV6 + 1], owner[TAP_NAME_MAX + 1];
	unsigned prefix, scope, flags;
	const char *line = text;

	wire->prefix6 = 0;
	while (line && wire->prefix6 == 0 && wire->mtu >= MTU_MIN) {
		if (sscanf(line, "%32[0-9a-f] %*x %x %x %x %15s", digits, &prefix, &scope, &flags,
			   owner) == 5 &&
		    strcmp(owner, name) == 0 && scope == SCOPE_GLOBAL &&
		    !(flags & (TEMPORARY | DAD_FAILED | DEPRECATED)) &&
		    strlen(digits) == sizeof(digits) - 1 && read_hex(digits, wire->host6) &&
		    tap_guest_address6(wire->host6, prefix, wire->guest6))
			wire->prefix6 = prefix;
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
}
