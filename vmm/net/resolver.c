/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/resolver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

#define TCP_PREFIX    2
#define DATAGRAMS_MAX 16 /* read at once: forged ones must not stall the loop */

struct query {
	struct resolver *resolver;
	bool used, tcp;
	uint32_t ticket;
	char name[DNS_NAME_TEXT];
	struct dns_query sent; /* its name is the one above */
	unsigned tries;
	int rcode; /* of the last server that responded */
	struct loop_source source;
	struct loop_timer timer;
	uint8_t *response; /* over TCP: with its length in front */
	size_t have;
};

struct resolver {
	struct loop *loop;
	resolver_done *done;
	void *arg;
	struct resolver_servers servers;
	struct query query[RESOLVER_QUERIES];
};

/* --- a query ---------------------------------------------------------------------------------- */

static void close_socket(struct query *query)
{
	loop_timer_stop(query->resolver->loop, &query->timer);
	loop_remove(query->resolver->loop, &query->source);
	fd_close(&query->source.fd);
	free(query->response);
	query->response = NULL;
	query->have = 0;
}

static void finish(struct query *query, int rcode, const struct dns_addresses *addresses)
{
	struct resolver *resolver = query->resolver;

	close_socket(query);
	query->used = false;
	resolver->done(resolver->arg, query->ticket, rcode, addresses);
}

/*
 * Opens a socket connected to the server whose turn it is. 0 or -errno: the host may have no server
 * any more.
 */
static int open_socket(struct query *query, int type, uint32_t events)
{
	struct resolver *resolver = query->resolver;
	const struct sockaddr *address;
	unsigned server;
	int ret;

	if (resolver->servers.count == 0)
		return -ENOENT;
	server = query->tries % resolver->servers.count;
	address = (const void *)&resolver->servers.address[server];
	query->source.fd = socket(address->sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (query->source.fd < 0)
		return -errno;
	if (connect(query->source.fd, address, resolver->servers.length[server]) < 0 &&
	    errno != EINPROGRESS)
		return -errno;
	ret = loop_add(resolver->loop, &query->source, events);
	if (ret == 0)
		loop_timer_start(resolver->loop, &query->timer, RESOLVER_WAIT_NS);
	return ret;
}

static int send_datagram(struct query *query)
{
	uint8_t message[DNS_QUERY_MAX];
	size_t length;
	int ret;

	if (getrandom(&query->sent.id, sizeof(query->sent.id), 0) != sizeof(query->sent.id))
		return -EIO;
	length = dns_write_query(&query->sent, message);
	query->tcp = false;
	ret = open_socket(query, SOCK_DGRAM, EPOLLIN);
	if (ret == 0 && send(query->source.fd, message, length, MSG_NOSIGNAL) != (ssize_t)length)
		ret = -EIO;
	return ret;
}

/* Tries the next server, or the only one again; finally, ends with the last error of a server. */
static void next_try(struct query *query)
{
	for (;;) {
		close_socket(query);
		query->tries++;
		if (query->tries >= RESOLVER_TRIES || query->resolver->servers.count == 0) {
			finish(query, query->rcode, NULL);
			return;
		}
		if (send_datagram(query) == 0)
			return;
	}
}

static void timer_expired(void *arg)
{
	next_try(arg);
}

/* Handles a response. True: the query has ended, or another try has started. */
static bool take_response(struct query *query, const uint8_t *data, size_t length)
{
	struct dns_addresses addresses;
	int rcode;

	switch (dns_parse_response(data, length, &query->sent, &rcode, &addresses)) {
	case DNS_NOT_OURS:
		return false;
	case DNS_TRUNCATED:
		if (query->tcp)
			break;
		close_socket(query);
		query->tcp = true;
		query->response = malloc(TCP_PREFIX + DNS_RESPONSE_MAX);
		if (!query->response || open_socket(query, SOCK_STREAM, EPOLLOUT) < 0)
			next_try(query);
		return true;
	case DNS_MALFORMED:
		break;
	default:
		if (rcode == DNS_NO_ERROR || rcode == DNS_NO_NAME) {
			finish(query, rcode, &addresses);
			return true;
		}
		query->rcode = rcode;
		break;
	}
	next_try(query);
	return true;
}

static void datagram_ready(struct query *query)
{
	uint8_t data[DNS_EDNS_MAX];
	unsigned i;
	ssize_t got;

	for (i = 0; i < DATAGRAMS_MAX; i++) {
		got = recv(query->source.fd, data, sizeof(data), 0);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got < 0) { /* ECONNREFUSED: no server at that address */
			next_try(query);
			return;
		}
		if (take_response(query, data, (size_t)got))
			return;
	}
}

static void send_stream(struct query *query)
{
	uint8_t message[TCP_PREFIX + DNS_QUERY_MAX];
	size_t length = dns_write_query(&query->sent, message + TCP_PREFIX);

	store_be16(message, (uint16_t)length);
	/* A new connection takes that much at once, or it is broken. */
	if (send(query->source.fd, message, TCP_PREFIX + length, MSG_NOSIGNAL) !=
		    (ssize_t)(TCP_PREFIX + length) ||
	    loop_modify(query->resolver->loop, &query->source, EPOLLIN) < 0)
		next_try(query);
}

static void read_stream(struct query *query)
{
	size_t want = TCP_PREFIX;
	ssize_t got;

	for (;;) {
		if (query->have >= TCP_PREFIX)
			want = TCP_PREFIX + (size_t)load_be16(query->response);
		if (want > TCP_PREFIX + DNS_RESPONSE_MAX)
			break;
		if (query->have >= TCP_PREFIX && query->have == want) {
			if (!take_response(query, query->response + TCP_PREFIX, want - TCP_PREFIX))
				break;
			return;
		}
		got = recv(query->source.fd, query->response + query->have, want - query->have, 0);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0)
			break;
		query->have += (size_t)got;
	}
	next_try(query);
}

static void socket_ready(void *arg, uint32_t events)
{
	struct query *query = arg;

	if (!query->tcp)
		datagram_ready(query);
	else if (query->source.events & EPOLLOUT)
		send_stream(query);
	else
		read_stream(query);
	(void)events;
}

/* --- life ------------------------------------------------------------------------------------- */

int resolver_create(struct resolver **out, struct loop *loop, resolver_done *done, void *arg)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));
	unsigned i;

	*out = resolver;
	if (!resolver)
		return -ENOMEM;
	resolver->loop = loop;
	resolver->done = done;
	resolver->arg = arg;
	for (i = 0; i < RESOLVER_QUERIES; i++) {
		struct query *query = &resolver->query[i];

		query->resolver = resolver;
		query->source = (struct loop_source){.fd = -1, .ready = socket_ready, .arg = query};
		query->timer = (struct loop_timer){.expired = timer_expired, .arg = query};
	}
	return 0;
}

void resolver_set_servers(struct resolver *resolver, const struct resolver_servers *servers)
{
	resolver->servers = *servers;
	resolver->servers.count = (unsigned)min_u64(servers->count, RESOLVER_SERVERS);
}

void resolver_destroy(struct resolver *resolver)
{
	unsigned i;

	if (!resolver)
		return;
	for (i = 0; i < RESOLVER_QUERIES; i++)
		close_socket(&resolver->query[i]);
	free(resolver);
}

int resolver_query(struct resolver *resolver, uint32_t ticket, const char *name, uint16_t type)
{
	struct query *query = NULL;
	unsigned i;

	for (i = 0; i < RESOLVER_QUERIES && !query; i++)
		if (!resolver->query[i].used)
			query = &resolver->query[i];
	if (!query)
		return -EAGAIN;
	if (resolver->servers.count == 0)
		return -ENOENT;
	query->used = true;
	query->ticket = ticket;
	query->tries = 0;
	query->rcode = DNS_SERVER_FAILURE;
	snprintf(query->name, sizeof(query->name), "%s", name);
	query->sent = (struct dns_query){.name = query->name, .type = type};
	/* Even a failure is reported from the loop. */
	if (send_datagram(query) < 0)
		loop_timer_start(resolver->loop, &query->timer, 0);
	return 0;
}

void resolver_cancel(struct resolver *resolver, uint32_t ticket)
{
	unsigned i;

	for (i = 0; i < RESOLVER_QUERIES; i++) {
		struct query *query = &resolver->query[i];

		if (!query->used || query->ticket != ticket)
			continue;
		close_socket(query);
		query->used = false;
	}
}
