/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queries the host's resolvers for the addresses of a name, IPv4 or IPv6, with its own sockets on
 * the event loop: UDP first, TCP if the response is truncated, each server in turn. Every query has
 * its own socket, and so a random port that an attacker has to guess along with the id.
 *
 * It opens no file. The nameserver lines of a resolv.conf are read by the functions below, in the
 * monitor, which has the host's files; queries are sent by the relay, which has none.
 *
 * Bounded: RESOLVER_QUERIES at a time, RESOLVER_TRIES each.
 */
#ifndef CORDON_NET_RESOLVER_H
#define CORDON_NET_RESOLVER_H

#include <sys/socket.h>
#include <sys/types.h>

#include "vmm/base/err.h"
#include "vmm/base/loop.h"
#include "vmm/net/dns.h"

#define RESOLVER_QUERIES 64
#define RESOLVER_SERVERS 3
#define RESOLVER_TRIES	 4
#define RESOLVER_WAIT_NS UINT64_C(2000000000) /* for each response */

#define RESOLVER_FILE_MAX    16384 /* bytes of a resolv.conf that are looked at */
#define RESOLVER_DOMAINS     6	   /* in a search list, as in the C library */
#define RESOLVER_SEARCH_TEXT 256   /* bytes of a search list with its NUL */

struct resolver;

struct resolver_servers {
	unsigned count;
	struct sockaddr_storage address[RESOLVER_SERVERS];
	socklen_t length[RESOLVER_SERVERS];
};

/* Parses the nameserver lines of a resolv.conf; ignores other and invalid lines. port: of each. */
void resolver_parse(const char *text, size_t length, uint16_t port,
		    struct resolver_servers *servers);

/*
 * Reads a resolv.conf: its length, without a last line that RESOLVER_FILE_MAX cuts; or -1 if it is
 * missing or no regular file. Never waits for a writer.
 */
ssize_t resolver_file_text(const char *path, char text[RESOLVER_FILE_MAX]);

/* A resolv.conf that is read again when it changes. Zeroed at first but for path and port. */
struct resolver_file {
	const char *path;
	uint16_t port; /* of the servers: 53 except in tests */
	/* private */
	bool known;
	struct resolver_servers read; /* that it had at the last call */
};

/*
 * Reads the file, of which the whole lines within RESOLVER_FILE_MAX count, and never waits for it.
 * By its contents, since a file that is replaced twice within a clock tick may look the same. True:
 * servers are the new ones. False: they are as before, or there is no such regular file now.
 */
bool resolver_file_read(struct resolver_file *file, struct resolver_servers *servers);

/*
 * Parses the search list of a resolv.conf, in which the last line "search DOMAIN..." or "domain
 * DOMAIN" with an argument counts. Writes the domains, normalised as dns.h says, with one space
 * between them; leaves out invalid ones, and those from the first on that is too much for
 * RESOLVER_DOMAINS or RESOLVER_SEARCH_TEXT. Returns their number.
 */
unsigned resolver_search(const char *text, size_t length, char to[RESOLVER_SEARCH_TEXT]);
/* The same of a file; 0 also if that can't be read. */
unsigned resolver_file_search(const char *path, char to[RESOLVER_SEARCH_TEXT]);

/* The result of a query: an enum dns_rcode, and addresses with DNS_NO_ERROR. */
typedef void resolver_done(void *arg, uint32_t ticket, int rcode,
			   const struct dns_addresses *addresses);

/* It has no servers yet. 0 or -ENOMEM. */
int resolver_create(struct resolver **out, struct loop *loop, resolver_done *done, void *arg);
/* The servers from now on, also of queries that wait, at their next try. */
void resolver_set_servers(struct resolver *resolver, const struct resolver_servers *servers);
void resolver_destroy(struct resolver *resolver);

/*
 * Starts a query. name: normalised. type: DNS_TYPE_A or DNS_TYPE_AAAA. The loop calls done() once,
 * never from within this call. 0; -EAGAIN: too many queries; -ENOENT: there is no server.
 */
int resolver_query(struct resolver *resolver, uint32_t ticket, const char *name, uint16_t type);

/* Ends the query with that ticket, if there is one: done() is not called. */
void resolver_cancel(struct resolver *resolver, uint32_t ticket);

#endif
