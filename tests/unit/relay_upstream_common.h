/* SPDX-License-Identifier: Apache-2.0 */
/* A fake of vmm/net/resolver.h: what it was asked for, and its replies. */
#ifndef CORDON_TEST_RELAY_UPSTREAM_COMMON_H
#define CORDON_TEST_RELAY_UPSTREAM_COMMON_H

#include "vmm/net/resolver.h"

struct upstream {
	int result; /* of resolver_query() */
	unsigned queries, waiting;
	uint32_t ticket; /* of the last query */
	char name[DNS_NAME_TEXT];
	uint16_t type;
	struct resolver_servers servers;
};
extern struct upstream upstream;

/* Replies to the last query, or to that with a ticket. */
void resolved(int rcode, const struct dns_addresses *addresses);
void resolved_ticket(uint32_t ticket, int rcode, const struct dns_addresses *addresses);

/* Addresses of one type from their text, with a space between two. */
struct dns_addresses addresses_of(uint16_t type, uint32_t ttl, const char *list);

#endif
