/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

enum sink_kind {
	SINK_NONE,
	SINK_NONBLOCKING, /* a descriptor of our own with O_NONBLOCK */
	SINK_SOCKET,
	SINK_PLAIN, /* a regular file: written at once */
	SINK_SMALL, /* may block: write only when ready, and at most PIPE_BUF bytes */
};

static int reopen(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static int sink_open(struct sink *sink, int fd)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (S_ISFIFO(status.st_mode) || (S_ISCHR(status.st_mode) && isatty(fd))) {
		sink->fd = reopen(fd);
		sink->kind = SINK_NONBLOCKING;
		if (sink->fd >= 0)
			return 0;
		sink->kind = SINK_SMALL;
	} else if (S_ISSOCK(status.st_mode)) {
		sink->kind = SINK_SOCKET;
	} else {
		/* Another kind of file may report readiness; sink_init() finds out. */
		sink->kind = S_ISREG(status.st_mode) ? SINK_PLAIN : SINK_SMALL;
	}
	sink->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return sink->fd < 0 ? -errno : 0;
}

static void sink_fail(struct sink *sink, int code)
{
	size_t lost = ring_used(&sink->buffer);

	sink->failed = true;
	loop_remove(sink->loop, &sink->source);
	ring_clear(&sink->buffer);
	if (sink->ops && sink->ops->failed)
		sink->ops->failed(sink->arg, code);
	if (lost > 0 && sink->ops && sink->ops->drained)
		sink->ops->drained(sink->arg, lost);
}

static ssize_t write_once(struct sink *sink, const void *from, size_t length)
{
	ssize_t n;

	do {
		if (sink->kind == SINK_SOCKET)
			n = send(sink->fd, from, length, MSG_DONTWAIT | MSG_NOSIGNAL);
		else if (sink->kind == SINK_SMALL)
			n = write(sink->fd, from, min_u64(length, PIPE_BUF));
		else
			n = write(sink->fd, from, length);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Writes until the descriptor would block, the buffer is empty, or the turn is over. */
static void sink_flush(struct sink *sink)
{
	struct iovec iov[2];
	ssize_t n = 0;
	int turns = sink->kind == SINK_SMALL ? 1 : 8;

	while (turns-- > 0 && ring_readable(&sink->buffer, iov) > 0) {
		n = write_once(sink, iov[0].iov_base, iov[0].iov_len);
		if (n < 0)
			break;
		ring_consumed(&sink->buffer, (size_t)n);
		if (sink->ops && sink->ops->drained)
			sink->ops->drained(sink->arg, (size_t)n);
	}
	/* epoll reports nothing for a regular file, so EAGAIN on one is an error. */
	if (n < 0 && (n != -EAGAIN || sink->kind == SINK_PLAIN))
		sink_fail(sink, (int)-n);
	else
		loop_modify(sink->loop, &sink->source, sink_pending(sink) > 0 ? EPOLLOUT : 0);
}

static void sink_ready(void *arg, uint32_t events)
{
	struct sink *sink = arg;

	if (sink_pending(sink) > 0)
		sink_flush(sink);
	else if (events & (EPOLLERR | EPOLLHUP))
		sink_fail(sink, EPIPE); /* the reader is gone: report it before the next write */
}

int sink_init(struct sink *sink, struct loop *loop, int fd, size_t capacity,
	      const struct sink_ops *ops, void *arg)
{
	int ret;

	*sink = (struct sink){.loop = loop, .ops = ops, .arg = arg, .fd = -1};
	ring_init(&sink->buffer, capacity);
	ret = sink_open(sink, fd);
	if (ret < 0)
		return ret;
	sink->source = (struct loop_source){.fd = sink->fd, .ready = sink_ready, .arg = sink};
	if (sink->kind == SINK_PLAIN)
		return 0;
	ret = loop_add(loop, &sink->source, 0);
	if (ret == -EPERM) {
		sink->kind = SINK_PLAIN;
		ret = 0;
	}
	return ret;
}

size_t sink_write(struct sink *sink, const void *from, size_t length)
{
	size_t taken;

	if (sink->failed) {
		if (sink->ops && sink->ops->drained)
			sink->ops->drained(sink->arg, length);
		return length;
	}
	taken = ring_write(&sink->buffer, from, length);
	if (sink->kind == SINK_PLAIN)
		while (sink_pending(sink) > 0 && !sink->failed)
			sink_flush(sink);
	else
		loop_modify(sink->loop, &sink->source, EPOLLOUT);
	return taken;
}

size_t sink_pending(const struct sink *sink)
{
	return ring_used(&sink->buffer);
}

void sink_destroy(struct sink *sink)
{
	if (sink->kind == SINK_NONE)
		return;
	if (!sink->failed && sink_pending(sink) > 0 && sink->kind != SINK_SMALL)
		sink_flush(sink);
	loop_remove(sink->loop, &sink->source);
	ring_destroy(&sink->buffer);
	fd_close(&sink->fd);
	sink->kind = SINK_NONE;
}
