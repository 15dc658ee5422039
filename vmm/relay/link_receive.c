/* SPDX-License-Identifier: Apache-2.0 */
/* A link: receiving. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/rights.h"
#include "vmm/relay/link_internal.h"

/* Receives a message, and a descriptor that came with it. Its length; 0: none, or the link ends. */
static size_t receive(struct link *link, int *fd)
{
	struct iovec part = {.iov_base = link->buffer, .iov_len = link->most};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct rights rights;
	ssize_t got;

	*fd = -1;
	rights_room(&message, &rights, 1);
	got = recvmsg(link->source.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0 && errno == ECONNRESET && !link->broken) {
		/* The peer has not read all that it was sent. What it has sent itself follows. */
		link_break(link);
		return 0;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR) && !link->broken)
		return 0;
	if (got >= 0)
		rights_take(&message, fd, 1);
	/* 0 bytes are the end, or a message that no link sends. */
	if (got <= 0 || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		fd_close(fd);
		link_end(link);
		return 0;
	}
	return (size_t)got;
}

/* The first record of length bytes; 0: it is malformed. */
static size_t first_record(const struct link *link, const uint8_t *data, size_t length)
{
	size_t record = link->ops->record ? link->ops->record(link->arg, data, length) : length;

	return record <= length ? record : 0;
}

/* Whether there is something to deliver: what is left of a message, or the next one. */
static bool have_records(struct link *link, int *fd)
{
	size_t at, record;

	*fd = -1;
	if (link->rest_length > 0)
		return true;
	link->rest = link->buffer;
	link->rest_length = receive(link, fd);
	for (at = 0; at < link->rest_length; at += record) {
		record = first_record(link, link->rest + at, link->rest_length - at);
		if (record == 0) {
			fd_close(fd);
			link->rest_length = 0;
			link_end(link);
		}
	}
	return link->rest_length > 0;
}

/*
 * Reads one batch. That a long frame is one by itself lets both ends work at a time: while the
 * owner passes its bytes on, the other end writes the next one.
 */
static void read_messages(struct link *link)
{
	const unsigned most = link->ops->record ? LINK_RECORDS : LINK_BATCH;
	size_t length, total = 0;
	unsigned count;
	uint8_t *data;
	int fd;

	for (count = 0; count < most && total < LINK_BATCH_BYTES && !link->ended; count++) {
		if (link->ops->room && !link->ops->room(link->arg)) {
			link->stopped = true;
			break;
		}
		if (!have_records(link, &fd))
			break;
		data = link->rest;
		length = first_record(link, data, link->rest_length);
		link->rest += length;
		link->rest_length -= length;
		total += length;
		link->ops->message(link->arg, data, length, fd);
	}
	link_watch(link);
	if (link->rest_length > 0 && !link->stopped)
		loop_defer(link->loop, &link->later);
	if (count > 0 && link->ops->batch)
		link->ops->batch(link->arg);
}

void link_ready(void *arg, uint32_t events)
{
	struct link *link = arg;

	if (events & EPOLLOUT)
		link_send_queued(link);
	if (link->ended || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	if (!link->stopped)
		read_messages(link);
	if (link->stopped && !link->broken && events & (EPOLLHUP | EPOLLERR))
		link_break(link);
}

void link_go_on(void *arg)
{
	struct link *link = arg;

	if (link->ended) {
		fd_close(&link->source.fd);
		link->ops->closed(link->arg);
		return;
	}
	if (!link->stopped)
		read_messages(link);
	if (link->broken && !link->stopped)
		loop_defer(link->loop, &link->later);
}

void link_resume(struct link *link)
{
	if (!link->stopped || link->ended)
		return;
	link->stopped = false;
	link_watch(link);
	if (link->broken || link->rest_length > 0)
		loop_defer(link->loop, &link->later);
}
