/* SPDX-License-Identifier: Apache-2.0 */
/* The IPv6 addresses of a tap's wire, of which the host's interface has one, or none. */
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

/* The value of a lower-case hexadecimal digit, or -1. */
static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes a number of at most 8 digits behind blanks. */
static bool take_number(const char **at, unsigned *to)
{
	unsigned digits = 0;

	while (**at == ' ')
		(*at)++;
	for (*to = 0; digit_of(**at) >= 0 && digits < 8; digits++)
		*to = *to << 4 | (unsigned)digit_of(*(*at)++);
	return digits > 0;
}

static bool take_address(const char **at, uint8_t to[TAP_IPV6])
{
	unsigned i;

	for (i = 0; i < 2 * TAP_IPV6; i++) {
		const int digit = digit_of((*at)[i]);

		if (digit < 0)
			return false;
		to[i / 2] = (uint8_t)(to[i / 2] << 4 | digit);
	}
	*at += i;
	return true;
}

/* Whether the rest of a line is this name, behind blanks. */
static bool take_name(const char *at, const char *name)
{
	const size_t length = strlen(name);

	at += strspn(at, " ");
	return strncmp(at, name, length) == 0 && (at[length] == '\n' || at[length] == '\0');
}

void tap_read_ipv6(struct tap_wire *wire, const char *name, const char *text)
{
	unsigned index, prefix, scope, flags;
	const char *line = text, *at;

	wire->prefix6 = 0;
	while (line && wire->prefix6 == 0 && wire->mtu >= MTU_MIN) {
		at = line;
		if (take_address(&at, wire->host6) && take_number(&at, &index) &&
		    take_number(&at, &prefix) && take_number(&at, &scope) &&
		    take_number(&at, &flags) && take_name(at, name) && scope == SCOPE_GLOBAL &&
		    !(flags & (TEMPORARY | DAD_FAILED | DEPRECATED)) &&
		    tap_guest_address6(wire->host6, prefix, wire->guest6))
			wire->prefix6 = prefix;
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
}
