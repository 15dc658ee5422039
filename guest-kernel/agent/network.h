/* SPDX-License-Identifier: Apache-2.0 */
/* Private to network.c and network6.c: the request NETWORK in its parts. */
#ifndef CORDON_GUEST_AGENT_NETWORK_H
#define CORDON_GUEST_AGENT_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/agent/wire.h"

#define NETWORK_CARD "eth0"
#define ADDRESS6     16 /* bytes */

/* A checked NETWORK. Pointers lead into its payload. */
struct network_settings {
	uint32_t address, prefix, router, resolver, mtu;
	const uint8_t *mac; /* NULL: the card keeps its own */

	/* In IPv6; NULL: none. Without an address, the others are NULL as well. */
	const uint8_t *address6, *router6, *resolver6;
	uint32_t prefix6;

	const char *search; /* without a NUL */
	size_t search_length;
};

/* Checks a NETWORK whole: 0 or EINVAL. */
uint32_t network_parse(struct network_settings *settings, const uint8_t *payload, uint32_t length);

/*
 * All but the resolver: addresses, link, routes. Where the kernel has no IPv6, takes the resolver6
 * out of the settings. 0 or -errno.
 */
int network_set_card(struct network_settings *settings);

/* The text of resolv.conf. Returns its length. */
#define NETWORK_RESOLVER_TEXT (AGENT_NETWORK_SEARCH_MAX + 128)
size_t network_resolver_text(const struct network_settings *settings,
			     char to[NETWORK_RESOLVER_TEXT]);

/* Writes to a file of /proc/sys. A failure is logged. */
void network_sysctl(const char *path, const char *value);

/*
 * Before the card is switched on: keeps the kernel from looking for routers and from making
 * addresses by itself, or switches IPv6 off on the card.
 */
void network6_prepare(bool wanted);

/*
 * Gives the card its address, a link-local one, and the default route. The card, which has that
 * index, is on. 0 or -errno; -EOPNOTSUPP: the kernel has no IPv6.
 */
int network6_set(const struct network_settings *settings, unsigned card);

/* The messages that do that, for one write, and the number of the last one, which gets a reply.
 * Returns their length. */
#define NETWORK6_MESSAGES 256
size_t network6_messages(const struct network_settings *settings, unsigned card,
			 uint8_t to[NETWORK6_MESSAGES], uint32_t *last);

#endif
