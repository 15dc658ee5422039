/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/relay_upstream_common.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"

struct upstream upstream;

static resolver_done *on_done;
static void *on_done_arg;
static uint32_t waiting[RESOLVER_QUERIES];

int resolver_create(struct resolver **out, struct loop *loop, resolver_done *done, void *arg)
{
	ck_assert_ptr_nonnull(loop);
	memset(&upstream, 0, sizeof(upstream));
	memset(waiting, 0, sizeof(waiting));
	on_done = done;
	on_done_arg = arg;
	*out = (struct resolver *)&upstream;
	return 0;
}

void resolver_set_servers(struct resolver *resolver, const struct resolver_servers *servers)
{
	ck_assert_ptr_eq(resolver, &upstream);
	upstream.servers = *servers;
}

void resolver_destroy(struct resolver *resolver)
{
	ck_assert(!resolver || resolver == (struct resolver *)&upstream);
}

static uint32_t *place_of(uint32_t ticket)
{
	unsigned i;

	for (i = 0; i < RESOLVER_QUERIES; i++)
		if (waiting[i] == ticket)
			return &waiting[i];
	return NULL;
}

int resolver_query(struct resolver *resolver, uint32_t ticket, const char *name, uint16_t type)
{
	uint32_t *place = place_of(0);

	ck_assert_ptr_eq(resolver, &upstream);
	ck_assert_uint_ne(ticket, 0);
	ck_assert_ptr_null(place_of(ticket));
	ck_assert(type == DNS_TYPE_A || type == DNS_TYPE_AAAA);
	if (upstream.result < 0)
		return upstream.result;
	ck_assert_ptr_nonnull(place);
	*place = ticket;
	upstream.queries++;
	upstream.waiting++;
	upstream.ticket = ticket;
	upstream.type = type;
	snprintf(upstream.name, sizeof(upstream.name), "%s", name);
	return 0;
}

void resolver_cancel(struct resolver *resolver, uint32_t ticket)
{
	uint32_t *place = place_of(ticket);

	ck_assert_ptr_eq(resolver, &upstream);
	ck_assert_uint_ne(ticket, 0);
	if (!place)
		return;
	*place = 0;
	upstream.waiting--;
}

/* Also one that does not wait: the resolver is not trusted to keep its promise. */
void resolved_ticket(uint32_t ticket, int rcode, const struct dns_addresses *addresses)
{
	uint32_t *place = ticket ? place_of(ticket) : NULL;

	if (place) {
		*place = 0;
		upstream.waiting--;
	}
	on_done(on_done_arg, ticket, rcode, addresses);
}

void resolved(int rcode, const struct dns_addresses *addresses)
{
	resolved_ticket(upstream.ticket, rcode, addresses);
}

struct dns_addresses addresses_of(uint16_t type, uint32_t ttl, const char *list)
{
	struct dns_addresses addresses = {.type = type, .ttl = ttl};
	char text[INET6_ADDRSTRLEN];
	size_t length;

	for (; *list; list += length + (list[length] == ' ')) {
		length = strcspn(list, " ");
		snprintf(text, sizeof(text), "%.*s", (int)length, list);
		ck_assert_uint_lt(addresses.count, DNS_ADDRESSES);
		ck_assert_int_eq(inet_pton(type == DNS_TYPE_A ? AF_INET : AF_INET6, text,
					   addresses.address[addresses.count++]),
				 1);
	}
	return addresses;
}
