/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host end that is a connected Unix socket. It is watched edge triggered, for all events at once:
 * "readable" and "writable" hold until a call returns EAGAIN. So bytes that cannot be moved yet (no
 * credit, no buffers) do not wake the loop again and again, and no system calls are needed to stop
 * and start watching.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/vsock/internal.h"
#include "vmm/base/fd.h"

static void unix_ready(void *arg, uint32_t events)
{
	struct vsock_stream *stream = arg;
	struct vsock_unix_end *end = &stream->unix_end;

	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		end->readable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		end->hangup = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		end->writable = true;
	/* Both directions are shut, and we did not shut the one to the host: it has closed. */
	if ((events & EPOLLHUP) && !end->write_shut && !stream->host_deaf)
		vsock_stream_host_deaf(stream);
	else if (end->writable && ring_used(&stream->from_guest) > 0)
		vsock_stream_flush(stream);
	if (!stream->freed)
		vsock_stream_ready(stream);
}

static ssize_t unix_take(struct vsock_stream *stream, const struct iovec *iov, unsigned count)
{
	struct vsock_unix_end *end = &stream->unix_end;
	struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count};
	ssize_t sent;

	if (!end->writable)
		return -EAGAIN;
	do {
		sent = sendmsg(end->source.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (sent < 0 && errno == EINTR);
	if (sent > 0) {
		if (end->visit)
			end->visit->from_guest += (uint64_t)sent;
		return sent;
	}
	if (sent < 0 && errno != EAGAIN)
		return -errno;
	end->writable = false;
	return -EAGAIN;
}

static ssize_t unix_give(struct vsock_stream *stream, const struct iovec *iov, unsigned count)
{
	struct vsock_unix_end *end = &stream->unix_end;
	struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count};
	ssize_t got;

	/* Without a control buffer the kernel closes descriptors that come with the bytes. */
	do {
		got = recvmsg(end->source.fd, &message, MSG_DONTWAIT);
	} while (got < 0 && errno == EINTR);
	if (got >= 0) {
		if (end->visit)
			end->visit->to_guest += (uint64_t)got;
		return got;
	}
	if (errno != EAGAIN)
		return -errno;
	end->readable = false;
	return -EAGAIN;
}

static bool unix_has_data(struct vsock_stream *stream)
{
	return stream->unix_end.readable;
}

static bool unix_at_end(struct vsock_stream *stream)
{
	struct vsock_unix_end *end = &stream->unix_end;
	char byte;

	if (!end->hangup)
		return false;
	if (recv(end->source.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		return true;
	/* There are bytes: give() finds the end of file after them. */
	end->hangup = false;
	return false;
}

static void unix_established(struct vsock_stream *stream)
{
	char line[32];
	int length;

	if (stream->unix_end.silent)
		return;
	/* The client may have sent its bytes and closed: they still go to the guest. */
	length = snprintf(line, sizeof(line), "OK %u\n", stream->ports.host);
	if (!stream->host_deaf && send(stream->unix_end.source.fd, line, (size_t)length,
				       MSG_NOSIGNAL | MSG_DONTWAIT) != length)
		vsock_stream_host_deaf(stream);
}

static void unix_stored(struct vsock_stream *stream)
{
	/* Stored bytes go out when the socket becomes writable. */
	(void)stream;
}

static void unix_finish(struct vsock_stream *stream)
{
	stream->unix_end.write_shut = true;
	shutdown(stream->unix_end.source.fd, SHUT_WR);
}

static void unix_unwanted(struct vsock_stream *stream)
{
	/* Make the host's writes fail, instead of filling a buffer that is never emptied. */
	stream->unix_end.readable = false;
	shutdown(stream->unix_end.source.fd, SHUT_RD);
}

static void unix_gone(struct vsock_stream *stream)
{
	struct vsock_unix_end *end = &stream->unix_end;

	loop_remove(stream->vsock->loop, &end->source);
	fd_close(&end->source.fd);
	vsock_visit_end(stream->vsock, end->visit);
	end->visit = NULL;
	end->readable = false;
	vsock_stream_detached(stream);
}

static void unix_release(struct vsock_stream *stream)
{
	/* The end has been detached and holds nothing. */
	(void)stream;
}

const struct vsock_end_ops vsock_unix_end_ops = {
	.take = unix_take,
	.give = unix_give,
	.has_data = unix_has_data,
	.at_end = unix_at_end,
	.established = unix_established,
	.stored = unix_stored,
	.finish = unix_finish,
	.unwanted = unix_unwanted,
	.gone = unix_gone,
	.release = unix_release,
};

int vsock_unix_attach(struct vsock_stream *stream, int fd)
{
	struct vsock_unix_end *end = &stream->unix_end;

	end->source = (struct loop_source){.fd = fd, .ready = unix_ready, .arg = stream};
	end->writable = true;
	return loop_add(stream->vsock->loop, &end->source,
			EPOLLIN | EPOLLOUT | EPOLLRDHUP | (uint32_t)EPOLLET);
}

/* --- connections requested by the guest ------------------------------------------------------- */

/*
 * Opens the socket of a port with O_PATH and follows no symbolic link. The guest chooses the port:
 * through a link that it finds, or can create, it could reach any socket of the host.
 */
static int open_port(const struct vsock *vsock, uint32_t port)
{
	char name[sizeof(vsock->unix_name) + sizeof("_4294967295")];
	struct stat status;
	int fd;

	snprintf(name, sizeof(name), "%s_%u", vsock->unix_name, port);
	fd = openat(vsock->unix_directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode))
		return fd;
	fd_close(&fd);
	return -ECONNREFUSED;
}

static int connect_to_port(struct vsock_stream *stream)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int port = open_port(stream->vsock, stream->ports.host), ret = 0;

	if (port < 0)
		return port;
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", port);
	if (connect(stream->unix_end.source.fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		ret = -errno;
	fd_close(&port);
	return ret < 0 ? ret : vsock_unix_attach(stream, stream->unix_end.source.fd);
}

int vsock_unix_connect(struct vsock_stream *stream)
{
	struct vsock_unix_end *end = &stream->unix_end;
	int ret;

	end->source.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (end->source.fd < 0)
		return -errno;
	ret = connect_to_port(stream);
	if (ret == -EAGAIN) {
		vsock_deadline_start(&stream->vsock->retrying, &stream->deadline);
		return 0;
	}
	if (ret == 0)
		vsock_stream_answer(stream, true);
	return ret;
}

/* connect(2) returns EAGAIN while the listener's backlog is full; epoll reports no event for it. */
void vsock_unix_retry_expired(struct vsock_deadline *deadline)
{
	struct vsock_stream *stream = list_entry(deadline, struct vsock_stream, deadline);
	int ret = connect_to_port(stream);

	if (ret == -EAGAIN && ++stream->unix_end.tries < VSOCK_RETRIES)
		vsock_deadline_start(&stream->vsock->retrying, deadline);
	else
		vsock_stream_answer(stream, ret == 0);
}
