/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/iov.h"
#include "vmm/base/ring.h"

#define BATCH	    64		/* messages each way at a wake-up */
#define BATCH_BYTES (64u << 10) /* that are read at a wake-up, but for the last message's */
#define SEND_BUFFER (1u << 20)	/* bytes that are asked for; the host's limit may be lower */

/*
 * A link whose peer has closed can send no longer (broken), but still delivers what has arrived. It
 * ends when that is read, or at once if the socket fails or the peer breaks a rule. Both go on in a
 * task, so the owner never hears of it from within a call of its own.
 */
struct link {
	struct loop *loop;
	struct loop_source source;
	struct loop_task later; /* reads on when broken; tells of the end */
	const struct link_ops *ops;
	void *arg;
	size_t most;
	uint8_t *buffer;   /* most bytes */
	struct ring queue; /* messages that wait, each behind its length */
	int queued_fd;	   /* goes with the first of them; -1 */
	bool stopped;	   /* the owner has no room */
	bool broken;
	bool ended;
};

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
}

static void end_link(struct link *link)
{
	if (link->ended)
		return;
	link->ended = true;
	link->broken = true;
	drop_queue(link);
	loop_remove(link->loop, &link->source);
	loop_defer(link->loop, &link->later);
}

/* The peer has closed its end: the reader comes to that, behind the last message. */
static void break_link(struct link *link)
{
	link->broken = true;
	drop_queue(link);
	/* A hang-up is reported whether it is watched or not: it must not wake the loop for ever.
	 */
	loop_remove(link->loop, &link->source);
	loop_defer(link->loop, &link->later);
}

/* Watches what is of use now. */
static void watch(struct link *link)
{
	uint32_t events = 0;

	if (!link->stopped)
		events |= EPOLLIN;
	if (ring_used(&link->queue) > 0)
		events |= EPOLLOUT;
	if (!link->broken && loop_modify(link->loop, &link->source, events) < 0)
		end_link(link);
}

/* --- sending ---------------------------------------------------------------------------------- */

/* True: the message is sent, or never will be, since the link is broken. False: no room now. */
static bool try_send(struct link *link, struct iovec *part, unsigned parts, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.space = {0}};
	struct msghdr message = {.msg_iov = part, .msg_iovlen = parts};
	struct cmsghdr *header;

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	if (sendmsg(link->source.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return true;
	if (errno == EAGAIN || errno == EINTR)
		return false;
	if (errno == EPIPE || errno == ECONNRESET || errno == ECONNREFUSED || errno == ENOTCONN)
		break_link(link);
	else
		end_link(link);
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

/* Sends what waits, until the socket is full. */
static void flush(struct link *link)
{
	struct iovec part[2];
	unsigned parts, turn;
	uint32_t length;

	for (turn = 0; turn < BATCH && ring_used(&link->queue) > 0; turn++) {
		length = first_queued(link, part, &parts);
		if (!try_send(link, part, parts, link->queued_fd))
			break;
		if (link->broken)
			return;
		fd_close(&link->queued_fd);
		ring_consumed(&link->queue, sizeof(length) + length);
	}
	watch(link);
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
	watch(link);
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

bool link_send(struct link *link, const struct iovec *part, unsigned parts)
{
	struct iovec copy[LINK_PARTS];
	size_t total;

	if (link->broken || parts > LINK_PARTS)
		return false;
	total = length_of(part, parts);
	if (total == 0)
		return false;
	if (ring_used(&link->queue) == 0) {
		memcpy(copy, part, parts * sizeof(*part));
		if (try_send(link, copy, parts, -1))
			return !link->broken;
	}
	return enqueue(link, part, parts, total);
}

bool link_send_fd(struct link *link, const struct iovec *part, unsigned parts, int fd)
{
	struct iovec copy[LINK_PARTS];
	size_t total;

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

/* --- receiving -------------------------------------------------------------------------------- */

/* Takes the descriptors out of a message: the first, or -1. Any others are closed. */
static int take_fds(struct msghdr *message)
{
	struct cmsghdr *header;
	int first = -1, fd;
	size_t count, i;

	for (header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
			if (first < 0)
				first = fd;
			else
				close(fd);
		}
	}
	return first;
}

/* Receives a message, and a descriptor that came with it. Its length; 0: none, or the link ends. */
static size_t receive(struct link *link, int *fd)
{
	/* Room for one descriptor: of any more the kernel makes MSG_CTRUNC. */
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {.iov_base = link->buffer, .iov_len = link->most};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = CMSG_LEN(sizeof(int))};
	ssize_t got = recvmsg(link->source.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*fd = -1;
	if (got < 0 && errno == ECONNRESET && !link->broken) {
		/* The peer has not read all that it was sent. What it has sent itself follows. */
		break_link(link);
		return 0;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR) && !link->broken)
		return 0;
	if (got >= 0)
		*fd = take_fds(&message);
	/* 0 bytes are the end, or a message that no link sends. */
	if (got <= 0 || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		fd_close(fd);
		end_link(link);
		return 0;
	}
	return (size_t)got;
}

/*
 * Reads one batch. That a long frame is one by itself lets both ends work at a time: while the
 * owner passes its bytes on, the other end writes the next one.
 */
static void read_messages(struct link *link)
{
	size_t length, total = 0;
	unsigned count;
	int fd;

	for (count = 0; count < BATCH && total < BATCH_BYTES && !link->ended; count++) {
		if (link->ops->room && !link->ops->room(link->arg)) {
			link->stopped = true;
			break;
		}
		length = receive(link, &fd);
		if (length == 0)
			break;
		total += length;
		link->ops->message(link->arg, link->buffer, length, fd);
	}
	watch(link);
	if (count > 0 && link->ops->batch)
		link->ops->batch(link->arg);
}

static void link_ready(void *arg, uint32_t events)
{
	struct link *link = arg;

	if (events & EPOLLOUT)
		flush(link);
	if (link->ended || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	if (!link->stopped)
		read_messages(link);
	if (link->stopped && !link->broken && events & (EPOLLHUP | EPOLLERR))
		break_link(link);
}

static void do_later(void *arg)
{
	struct link *link = arg;

	if (link->ended) {
		fd_close(&link->source.fd);
		link->ops->closed(link->arg);
		return;
	}
	if (!link->stopped)
		read_messages(link);
	if (!link->stopped)
		loop_defer(link->loop, &link->later);
}

void link_resume(struct link *link)
{
	if (!link->stopped || link->ended)
		return;
	link->stopped = false;
	watch(link);
	if (link->broken)
		loop_defer(link->loop, &link->later);
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
	link->later = (struct loop_task){.run = do_later, .arg = link};
	link->ops = ops;
	link->arg = arg;
	link->most = most;
	link->queued_fd = -1;
	ring_init(&link->queue, LINK_QUEUE);
	link->buffer = malloc(most);
	/* The queue's memory is reserved now, so that link_has_room() keeps its promise. */
	if (link->buffer && ring_writable(&link->queue, room) > 0)
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
	free(link->buffer);
	free(link);
}
