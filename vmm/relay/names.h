/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's resolver, and the pins: which addresses were returned for which name.
 *
 * Only names that a rule could permit are queried outside; all others do not exist. Responses have
 * addresses only, A and AAAA: other records are a way out for data that no workload needs, and a
 * permitted name appears to have none of them. Nor does it have AAAA records while the host has no
 * route to the IPv6 Internet. Special addresses (ip_is_special()) are removed, but for those that
 * `net allow any` opens; what remains is pinned to the name of the query. Of a special address, the
 * pinned names only close it (decide_flow()).
 *
 * Names are those of vmm/net/dns.h. The name "host" is the sandbox's own IP_OWN_HOST, with an IPv4
 * address only: most services of a host's loopback listen at 127.0.0.1 alone, and programs try IPv6
 * first.
 *
 * Bounded: NAMES_WAITING queries at a time, whatever brought them, and NAMES_SECOND a second; both
 * for each sandbox. A query waits for the monitor's verdict, then for the resolvers: at most
 * RESOLVER_TRIES times RESOLVER_WAIT_NS.
 */
#ifndef CORDON_RELAY_NAMES_H
#define CORDON_RELAY_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/net/dns.h"
#include "vmm/net/dns_pins.h"
#include "vmm/relay/ip.h"

#define NAMES_PORT    53
#define NAMES_WAITING 64
#define NAMES_SECOND  50  /* queries a second */
#define NAMES_BURST   200 /* and after a pause */

struct names;
struct names_slot;
struct packet;
struct relay;
struct resolver_servers; /* vmm/net/resolver.h */

/* The relay has its loop. Until names_set_resolvers() there are no resolvers. 0 or -errno. */
int names_create(struct names **out, struct relay *relay);

/* The host's resolvers from now on. */
void names_set_resolvers(struct names *names, const struct resolver_servers *servers);

/*
 * As names_forget(), and frees it. Before the loop and what decide_cancel() needs. NULL is
 * harmless.
 */
void names_destroy(struct names *names);

/*
 * The guest is another one: pins are removed, and queries that wait are dropped. Their done() is
 * not called.
 */
void names_forget(struct names *names);

/* A datagram of the guest to IP_OWN_ROUTER's NAMES_PORT. */
void names_datagram(struct relay *relay, const struct packet *packet);

/* --- queries by other ways -------------------------------------------------------------------- */

/* A query of the guest, embedded in its owner's struct; zeroed at first. */
struct names_query {
	/*
	 * The response, of at most DNS_EDNS_MAX bytes, valid during the call. Called once, perhaps
	 * from within names_ask(); the struct may then be used for the next query.
	 */
	void (*done)(void *arg, const uint8_t *response, size_t length);
	void *arg;
	/* private */
	struct names_slot *slot; /* NULL: it does not wait */
};

/*
 * Takes a message of the guest. stream: any length of the response fits, as over TCP; otherwise it
 * is limited as over UDP (512 bytes, or what EDNS says). 0: done() was or will be called. -EINVAL:
 * the message gets no response (shorter than a header, or itself a response); done() is not called.
 */
int names_ask(struct names *names, struct names_query *query, const uint8_t *message, size_t length,
	      bool stream);

/* done() will not be called any more. Harmless if the query does not wait. */
void names_cancel(struct names *names, struct names_query *query);

/* --- pins ------------------------------------------------------------------------------------- */

/*
 * The names that open an address now, the newest first; at most PIN_NAMES_MAX. They are valid until
 * the next response of a resolver. Returns their number.
 */
unsigned names_of(struct names *names, const struct ip_address *address, uint64_t now_ns,
		  const char *name[PIN_NAMES_MAX]);

/* Whether the name opens the address now. */
bool names_have(struct names *names, const char *name, const struct ip_address *address,
		uint64_t now_ns);

/*
 * Whether the host has a route to the IPv6 Internet. Nothing is sent: a datagram socket is
 * connected. In a file of its own, so that tests can replace it.
 */
bool names_host_has6(void);

#endif
