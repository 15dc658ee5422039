/* SPDX-License-Identifier: Apache-2.0 */
/* A link: sending, and its life. */
#include "vmm/relay/link_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/iov.h"
#include "vmm/base/rights.h"
#include "vmm/base/ring.h"

#define SEND_BUFFER (1u << 20) /* bytes that are asked for; the host's limit may be lower */

int link_pair(int fd[2])
{
	int size = SEND_BUFFER, i;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0) {
		fd[0] = fd[1] = -1;
		return -errno;
	}
	/* Best effort: the usual limit of the host has room for a few frames, too. */
	for (i = 0; i < 2; i++)
		setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void drop_queue(struct link *link)
{
	ring_clear(&link->queue);
	fd_close(&link->queued_fd);
	link->gathered_length = 0;
}

void link_end(struct link *link)
{
	if (link->ended)
		return;
	link->ended = true;
	link->broken = true;
	drop_queue(link);
	loop_remove(link->loop, &link->source);
	loop_defer(link->loop, &link->later);
}

void link_break(struct link *link)
{
	link->broken = true;
	drop_queue(link);
	/* A hang-up is reported whether it is watched or not: it must not wake the loop for ever.
	 */
	loop_remove(link->loop, &link->source);
	loop_defer(link->loop, &link->later);
}

void link_watch(struct link *link)
{
	uint32_t events = 0;

	if (!link->stopped)
		events |= EPOLLIN;
	if (ring_used(&link->queue) > 0)
		events |= EPOLLOUT;
	if (!link->broken && loop_modify(link->loop, &link->source, events) < 0)
		link_end(link);
}

/* --- sending ---------------------------------------------------------------------------------- */

/* True: the message is sent, or never will be, since the link is broken. False: no room now. */
static bool try_send(struct link *link, struct iovec *part, unsigned parts, int fd)
{
	struct msghdr message = {.msg_iov = part, .msg_iovlen = parts};
	struct rights rights;

	rights_put(&message, &rights, &fd, fd >= 0 ? 1 : 0);
	if (sendmsg(link->source.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return true;
	if (errno == EAGAIN || errno == EINTR)
		return false;
	if (errno == EPIPE || errno == ECONNRESET || errno == ECONNREFUSED || errno == ENOTCONN)
		link_break(link);
	else
		link_end(link);
	return true;
}

/* The first message that waits; its bytes stand at part[0], and part[1] if it wraps around. */
static uint32_t first_queued(const struct link *link, struct iovec part[2], unsigned *parts)
{
	struct iovec stored[2];
	uint32_t length = 0;
	unsigned count = ring_readable(&link->queue, stored), i;
	size_t done = 0;

	*parts = iov_range(stored, count, 0, sizeof(length), part);
	for (i = 0; i < *parts; i++) {
		memcpy((uint8_t *)&length + done, part[i].iov_base, part[i].iov_len);
		done += part[i].iov_len;
	}
	*parts = iov_range(stored, count, sizeof(length), length, part);
	return length;
}

void link_send_queued(struct link *link)
{
	struct iovec part[2];
	unsigned parts, turn;
	uint32_t length;

	for (turn = 0; turn < LINK_BATCH && ring_used(&link->queue) > 0; turn++) {
		length = first_queued(link, part, &parts);
		if (!try_send(link, part, parts, link->queued_fd))
			break;
		if (link->broken)
			return;
		fd_close(&link->queued_fd);
		ring_consumed(&link->queue, sizeof(length) + length);
	}
	link_watch(link);
	if (link_has_room(link) && link->ops->drained)
		link->ops->drained(link->arg);
}

/* Bytes of a message; 0: none, or more than can ever be queued. */
static size_t length_of(const struct iovec *part, unsigned parts)
{
	size_t total = 0;
	unsigned i;

	for (i = 0; i < parts; i++) {
		if (part[i].iov_len > LINK_QUEUE - total)
			return 0;
		total += part[i].iov_len;
	}
	return total;
}

static bool enqueue(struct link *link, const struct iovec *part, unsigned parts, size_t total)
{
	uint32_t length = (uint32_t)total;
	unsigned i;

	if (ring_space(&link->queue) < sizeof(length) + total)
		return false;
	ring_write(&link->queue, &length, sizeof(length));
	for (i = 0; i < parts; i++)
		ring_write(&link->queue, part[i].iov_base, part[i].iov_len);
	link_watch(link);
	return !link->ended;
}

bool link_has_room(const struct link *link)
{
	return !link->broken && ring_used(&link->queue) == 0;
}

size_t link_waiting(const struct link *link)
{
	return ring_used(&link->queue);
}

static void send_gathered(struct link *link)
{
	const size_t length = link->gathered_length;
	struct iovec part = {link->gathered, length};

	link->gathered_length = 0;
	if (length > 0 && !try_send(link, &part, 1, -1))
		enqueue(link, &part, 1, length);
}

/* Nothing waits in the queue while something is gathered, so the order stays. */
static bool gather(struct link *link, const struct iovec *part, unsigned parts, size_t total)
{
	unsigned i;

	if (!link->gathers || total > LINK_SMALL)
		return false;
	if (total > LINK_GATHER - link->gathered_length)
		send_gathered(link);
	if (!link_has_room(link))
		return false;
	for (i = 0; i < parts; i++) {
		memcpy(link->gathered + link->gathered_length, part[i].iov_base, part[i].iov_len);
		link->gathered_length += part[i].iov_len;
	}
	return true;
}

void link_gather(struct link *link)
{
	link->gathers = link->gathered != NULL;
}

void link_flush(struct link *link)
{
	link->gathers = false;
	send_gathered(link);
}

bool link_send(struct link *link, const struct iovec *part, unsigned parts)
{
	struct iovec copy[LINK_PARTS];
	size_t total;

	if (link->broken || parts > LINK_PARTS)
		return false;
	total = length_of(part, parts);
	if (total == 0)
		return false;
	if (gather(link, part, parts, total))
		return true;
	send_gathered(link);
	if (link_has_room(link)) {
		memcpy(copy, part, parts * sizeof(*part));
		if (try_send(link, copy, parts, -1))
			return !link->broken;
	}
	return !link->broken && enqueue(link, part, parts, total);
}

bool link_send_fd(struct link *link, const struct iovec *part, unsigned parts, int fd)
{
	struct iovec copy[LINK_PARTS];
	size_t total;

	send_gathered(link);
	if (!link_has_room(link) || parts > LINK_PARTS || fd < 0)
		return false;
	total = length_of(part, parts);
	if (total == 0)
		return false;
	memcpy(copy, part, parts * sizeof(*part));
	if (try_send(link, copy, parts, fd))
		return !link->broken;
	link->queued_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (link->queued_fd < 0)
		return false;
	if (enqueue(link, part, parts, total))
		return true;
	fd_close(&link->queued_fd);
	return false;
}

/* --- life ------------------------------------------------------------------------------------- */

int link_create(struct link **out, struct loop *loop, int fd, size_t most,
		const struct link_ops *ops, void *arg)
{
	struct link *link = calloc(1, sizeof(*link));
	struct iovec room[2];
	int ret = -ENOMEM;

	*out = NULL;
	if (!link) {
		fd_close(&fd);
		return ret;
	}
	link->loop = loop;
	link->source = (struct loop_source){.fd = fd, .ready = link_ready, .arg = link};
	link->later = (struct loop_task){.run = link_go_on, .arg = link};
	link->ops = ops;
	link->arg = arg;
	link->most = most;
	link->queued_fd = -1;
	ring_init(&link->queue, LINK_QUEUE);
	link->buffer = malloc(most);
	if (ops->record)
		link->gathered = malloc(LINK_GATHER);
	/* The queue's memory is reserved now, so that link_has_room() keeps its promise. */
	if (link->buffer && (link->gathered || !ops->record) &&
	    ring_writable(&link->queue, room) > 0)
		ret = loop_add(loop, &link->source, EPOLLIN);
	if (ret < 0) {
		link_destroy(link);
		return ret;
	}
	*out = link;
	return 0;
}

void link_destroy(struct link *link)
{
	if (!link)
		return;
	loop_remove(link->loop, &link->source);
	loop_cancel(link->loop, &link->later);
	fd_close(&link->source.fd);
	fd_close(&link->queued_fd);
	ring_destroy(&link->queue);
	free(link->gathered);
	free(link->buffer);
	free(link);
}
