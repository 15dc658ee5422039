/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports: opened, closed, and clients of TCP ports. */
#include "vmm/relay/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/relay/listen_internal.h"

/* --- when a socket is read -------------------------------------------------------------------- */

void publication_watch(struct publication *publication)
{
	const struct relay *relay = publication->relay;
	bool held = publication->which.udp ? publication->full : relay->publishing->resting;

	loop_modify(relay->loop, &publication->socket,
		    relay->card.configured && !held ? EPOLLIN : 0);
}

static void watch_all(struct relay *relay)
{
	struct publishing *publishing = relay->publishing;
	unsigned i;

	for (i = 0; publishing && i < publishing->count; i++)
		publication_watch(publishing->port[i]);
}

void publishing_card(struct relay *relay)
{
	watch_all(relay);
}

void publishing_resume(struct relay *relay)
{
	struct publishing *publishing = relay->publishing;
	unsigned i;

	for (i = 0; publishing && i < publishing->count; i++)
		publishing->port[i]->full = false;
	watch_all(relay);
}

/* A listener stays ready while there is no descriptor for its client: it must not be watched. */
static void rest(struct relay *relay)
{
	relay->publishing->resting = true;
	watch_all(relay);
	loop_timer_start(relay->loop, &relay->publishing->rest,
			 UINT64_C(1000000) * PUBLISHING_REST_MS);
}

static void rested(void *arg)
{
	struct relay *relay = arg;

	relay->publishing->resting = false;
	watch_all(relay);
}

/* --- clients of TCP --------------------------------------------------------------------------- */

bool publication_client(const struct sockaddr_storage *from, struct ip_address *peer,
			uint16_t *port)
{
	struct ip_address address = {.family = 0};

	if (!ip_from_socket(from, &address, port) || *port == 0 || ip_is_own(&address))
		return false;
	*peer = relay_inside(&address);
	return true;
}

static void accepted(struct publication *publication, int fd, const struct sockaddr_storage *from)
{
	struct relay *relay = publication->relay;
	struct relay_key key = {.guest_port = publication->which.guest_port,
				.protocol = IPPROTO_TCP};
	struct relay_flow *flow;

	if (!publication_client(from, &key.peer, &key.peer_port)) {
		close(fd);
		relay->stats.dropped++;
		return;
	}
	stream_accept(relay, fd, &key.peer, key.peer_port, key.guest_port);
	/* Two ports may lead to one of the guest: its flow is found again when this one closes. */
	flow = relay_flows_find(&relay->flows, &key);
	if (flow && flow->inbound && flow->published == 0)
		flow->published = publication->number;
}

static void accept_ready(void *arg, uint32_t events)
{
	struct publication *publication = arg;
	struct sockaddr_storage from;
	socklen_t length;
	unsigned count;
	int fd;

	(void)events;
	if (!publication->relay->card.configured)
		return;
	for (count = 0; count < PUBLISHING_ACCEPTS; count++) {
		length = sizeof(from);
		fd = accept4(publication->socket.fd, (struct sockaddr *)&from, &length,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			accepted(publication, fd, &from);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno != EINTR && errno != ECONNABORTED) {
			rest(publication->relay);
			return;
		}
	}
}

static void datagrams_ready(void *arg, uint32_t events)
{
	struct publication *publication = arg;
	int error;
	socklen_t size = sizeof(error);

	/* There should be none without IP_RECVERR; if there is one, it is not to stay. */
	if (events & EPOLLERR)
		getsockopt(publication->socket.fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (publication->relay->card.configured)
		publication_read(publication);
}

/* --- opening ---------------------------------------------------------------------------------- */

/* With SO_REUSEADDR, connections in TIME-WAIT do not block a TCP port; UDP sockets would share it.
 */
static int set_options(int fd, const struct relay_publish *which, unsigned family)
{
	int one = 1, only = which->address.family == AF_INET6;

	if (family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)) < 0)
		return -errno;
	if (which->udp)
		return publication_udp_options(fd, family);
	return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ? -errno : 0;
}

static int open_socket(struct publication *publication, unsigned family)
{
	const struct relay_publish *which = &publication->which;
	const struct ip_address any = {.family = (uint16_t)family};
	int type = (which->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
	struct sockaddr_storage address;
	socklen_t length = ip_to_socket(which->address.family ? &which->address : &any,
					which->host_port, &address);
	int fd = socket((int)family, type, 0), ret;

	if (fd < 0)
		return -errno;
	ret = set_options(fd, which, family);
	if (ret == 0 && (bind(fd, (const struct sockaddr *)&address, length) < 0 ||
			 (!which->udp && listen(fd, PUBLISHING_BACKLOG) < 0)))
		ret = -errno;
	if (ret < 0) {
		fd_close(&fd);
		return ret;
	}
	publication->socket.fd = fd;
	publication->family = family;
	return 0;
}

static int open_any(struct publication *publication)
{
	unsigned family = publication->which.address.family;
	int ret;

	if (family != 0)
		return open_socket(publication, family);
	ret = open_socket(publication, AF_INET6);
	if (ret == -EAFNOSUPPORT || ret == -EADDRNOTAVAIL)
		ret = open_socket(publication, AF_INET);
	return ret;
}

static bool is_valid(const struct relay_publish *which)
{
	return which->host_port != 0 && which->guest_port != 0 &&
	       (which->address.family == 0 || which->address.family == AF_INET ||
		which->address.family == AF_INET6);
}

int publishing_open(struct relay *relay, const struct relay_publish *which)
{
	struct publishing *publishing = relay->publishing;
	struct publication *publication;
	int ret;

	if (!is_valid(which))
		return -EINVAL;
	if (publishing->count == RELAY_PUBLISHED)
		return -ENOSPC;
	publication = calloc(1, sizeof(*publication));
	if (!publication)
		return -ENOMEM;
	publication->relay = relay;
	publication->which = *which;
	publication->socket = (struct loop_source){
		.fd = -1, .ready = which->udp ? datagrams_ready : accept_ready, .arg = publication};
	ret = open_any(publication);
	if (ret == 0)
		ret = loop_add(relay->loop, &publication->socket, 0);
	if (ret < 0) {
		fd_close(&publication->socket.fd);
		free(publication);
		return ret;
	}
	publication->number = ++publishing->last_number;
	publishing->port[publishing->count++] = publication;
	publication_watch(publication);
	return 0;
}

/* --- closing ---------------------------------------------------------------------------------- */

static void end_flows(struct relay *relay, uint32_t number)
{
	struct relay_flow *flow, *next;

	for (flow = relay_flows_after(&relay->flows, NULL); flow; flow = next) {
		next = relay_flows_after(&relay->flows, flow);
		if (flow->inbound && flow->published == number)
			relay_flows_end(&relay->flows, flow, RELAY_DROPPED);
	}
}

static void close_at(struct relay *relay, unsigned index)
{
	struct publishing *publishing = relay->publishing;
	struct publication *publication = publishing->port[index];

	loop_remove(relay->loop, &publication->socket);
	fd_close(&publication->socket.fd);
	publishing->port[index] = publishing->port[--publishing->count];
	end_flows(relay, publication->number);
	free(publication);
}

static bool is_same(const struct relay_publish *a, const struct relay_publish *b)
{
	return a->host_port == b->host_port && a->guest_port == b->guest_port &&
	       !a->udp == !b->udp && ip_same(&a->address, &b->address);
}

int publishing_close(struct relay *relay, const struct relay_publish *which)
{
	struct publishing *publishing = relay->publishing;
	unsigned i;

	for (i = 0; i < publishing->count; i++) {
		if (!is_same(&publishing->port[i]->which, which))
			continue;
		close_at(relay, i);
		return 0;
	}
	return -ENOENT;
}

/* --- life ------------------------------------------------------------------------------------- */

int publishing_create(struct relay *relay)
{
	struct publishing *publishing = calloc(1, sizeof(*publishing));

	if (!publishing)
		return -ENOMEM;
	publishing->rest = (struct loop_timer){.expired = rested, .arg = relay};
	relay->publishing = publishing;
	return 0;
}

void publishing_destroy(struct relay *relay)
{
	struct publishing *publishing = relay->publishing;

	if (!publishing)
		return;
	while (publishing->count > 0)
		close_at(relay, publishing->count - 1);
	loop_timer_stop(relay->loop, &publishing->rest);
	free(publishing);
	relay->publishing = NULL;
}
