/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A DNS server on loopback for a relay_world: every name has the address RESOLVER_ADDRESS. The
 * test's own connect() leads that address back to loopback: resolver_redirect().
 */
#ifndef CORDON_TEST_RELAY_RESOLVER_H
#define CORDON_TEST_RELAY_RESOLVER_H

#include "tests/support/relay_world.h"

#define RESOLVER_ADDRESS 0x5db8d822u /* a public address, to which nothing is ever sent */
#define RESOLVER_PRIVATE 0x0a090807u /* and a special one: 10.9.8.7 */

struct relay_resolver {
	struct loop_source source;
	uint16_t port;
	unsigned queries;
	uint32_t address; /* in its responses: RESOLVER_ADDRESS at first */
};

/* Before relay_world_begin(), which is to have its port. */
void relay_resolver_begin(struct relay_resolver *resolver);
/* Starts to answer, on the world's loop. */
void relay_resolver_serve(struct relay_resolver *resolver, struct relay_world *world);
void relay_resolver_end(struct relay_resolver *resolver, struct relay_world *world);

/* The guest asks for the A record of a name, and waits for the response. */
void relay_resolver_ask(struct relay_world *world, const char *name);

/*
 * For a test's connect(): both addresses become the loopback; any other address that is not
 * loopback ends the test.
 */
void resolver_redirect(struct sockaddr_storage *address);

#endif
