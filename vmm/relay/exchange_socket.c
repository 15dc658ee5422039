/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket of an exchange: connected, non-blocking, and read only while the link to the guest has
 * room. With an error queue (IP_RECVERR), so that every error that the network reports arrives, not
 * only those that Linux takes for fatal.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/errqueue.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/relay/exchange.h"
#include "vmm/relay/link.h"

/* --- errors ----------------------------------------------------------------------------------- */

static const struct sock_extended_err *error_in(struct msghdr *message)
{
	struct cmsghdr *part;

	for (part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_len < CMSG_LEN(sizeof(struct sock_extended_err)))
			continue;
		if ((part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) ||
		    (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR))
			return (const struct sock_extended_err *)CMSG_DATA(part);
	}
	return NULL;
}

/*
 * Reads the errors that wait, and tells the guest. False: there were none.
 *
 * Too big for a link on the way: that datagram is lost, and the host fragments the next ones. The
 * guest is not told, since it would then fragment them itself, and fragments are refused.
 */
static bool read_errors(struct exchange *exchange)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[256]; /* room for the error and the address of its sender */
	} control;
	uint8_t byte;
	struct iovec part = {&byte, sizeof(byte)};
	const struct sock_extended_err *error;
	unsigned count;

	for (count = 0; count < DATAGRAM_BATCH; count++) {
		struct msghdr message = {.msg_iov = &part,
					 .msg_iovlen = 1,
					 .msg_control = &control,
					 .msg_controllen = sizeof(control)};

		if (recvmsg(exchange->socket.fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			break;
		error = error_in(&message);
		if (!error ||
		    (error->ee_errno == EMSGSIZE && error->ee_origin != SO_EE_ORIGIN_LOCAL))
			continue;
		exchange_failed(exchange, (int)error->ee_errno,
				error->ee_errno == EMSGSIZE ? error->ee_info : 0);
	}
	return count > 0;
}

/* EPOLLERR: nothing that caused it may be left, as it is reported again and again. */
static void clear_errors(struct exchange *exchange)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (!read_errors(exchange) &&
	    getsockopt(exchange->socket.fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0)
		exchange_failed(exchange, error, 0);
}

/* --- sending ---------------------------------------------------------------------------------- */

bool exchange_send(struct exchange *exchange, const void *data, size_t length)
{
	unsigned attempt;
	int error;

	for (attempt = 0; attempt < 2; attempt++) {
		if (send(exchange->socket.fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return true;
		error = errno;
		if (error == EAGAIN || error == ENOBUFS || error == ENOMEM)
			break;
		/* An error about an earlier datagram may be reported in place of sending this one.
		 */
		if (!read_errors(exchange)) {
			exchange_failed(exchange, error, 0);
			break;
		}
		if (error == EMSGSIZE)
			break;
	}
	exchange->relay->stats.dropped++;
	return false;
}

/* --- reading ---------------------------------------------------------------------------------- */

bool exchange_read_failed(struct exchange *exchange)
{
	int error = errno;

	if (error == EAGAIN)
		return false;
	if (error != EINTR && !read_errors(exchange))
		exchange_failed(exchange, error, 0);
	return true;
}

static void pause_reading(struct exchange *exchange)
{
	struct datagrams *all = &exchange->relay->datagrams;

	loop_modify(exchange->relay->loop, &exchange->socket, 0);
	if (exchange->paused)
		return;
	exchange->paused = true;
	exchange->next_paused = NULL;
	exchange->previous_paused = all->last_paused;
	if (all->last_paused)
		all->last_paused->next_paused = exchange;
	else
		all->first_paused = exchange;
	all->last_paused = exchange;
}

void exchange_unpause(struct exchange *exchange)
{
	struct datagrams *all = &exchange->relay->datagrams;

	if (!exchange->paused)
		return;
	exchange->paused = false;
	if (exchange->previous_paused)
		exchange->previous_paused->next_paused = exchange->next_paused;
	else
		all->first_paused = exchange->next_paused;
	if (exchange->next_paused)
		exchange->next_paused->previous_paused = exchange->previous_paused;
	else
		all->last_paused = exchange->previous_paused;
}

void exchange_read(struct exchange *exchange)
{
	struct relay *relay = exchange->relay;
	unsigned count;

	for (count = 0; count < DATAGRAM_BATCH; count++) {
		if (!link_has_room(relay->frames)) {
			pause_reading(exchange);
			return;
		}
		if (!exchange->ops->receive(exchange))
			break;
	}
	exchange_unpause(exchange);
	loop_modify(relay->loop, &exchange->socket, EPOLLIN);
}

static void ready(void *arg, uint32_t events)
{
	struct exchange *exchange = arg;

	if (events & EPOLLERR)
		clear_errors(exchange);
	exchange_read(exchange);
}

/* --- life ------------------------------------------------------------------------------------- */

int exchange_socket(struct exchange *exchange, int protocol)
{
	const struct ip_address outside = relay_outside(&exchange->flow.key.peer);
	int one = 1, fd;

	fd = socket(outside.family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return -errno;
	exchange->socket.fd = fd;
	if (outside.family == AF_INET)
		return setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one, sizeof(one)) < 0 ? -errno : 0;
	/* A mapped address would reach an IPv4 one past the rules for that. */
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &one, sizeof(one)) < 0)
		return -errno;
	return 0;
}

int exchange_connect(struct exchange *exchange)
{
	const struct ip_address outside = relay_outside(&exchange->flow.key.peer);
	struct sockaddr_storage address;
	socklen_t length = ip_to_socket(&outside, exchange->flow.key.peer_port, &address);

	exchange->socket.ready = ready;
	exchange->socket.arg = exchange;
	if (connect(exchange->socket.fd, (const struct sockaddr *)&address, length) < 0)
		return -errno;
	return loop_add(exchange->relay->loop, &exchange->socket, EPOLLIN);
}
