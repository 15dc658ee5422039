/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/vsock/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK_MAX (256u << 10)

struct stream {
	int fd;
	bool asked;
	struct bench_request request;
	uint64_t done;
};

static struct stream stream[BENCH_STREAMS];
static char bytes[CHUNK_MAX];

static ssize_t write_all(int fd, const char *from, size_t length)
{
	size_t done = 0;
	ssize_t n;

	while (done < length) {
		n = send(fd, from + done, length - done, MSG_NOSIGNAL);
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* Serves one step of a stream; false when it has ended. May block on the other side. */
static bool step(struct stream *at)
{
	uint64_t left = at->request.bytes - at->done;
	size_t chunk = at->request.chunk < CHUNK_MAX ? at->request.chunk : CHUNK_MAX;
	ssize_t n;

	if (!at->asked) {
		n = recv(at->fd, &at->request, sizeof(at->request), MSG_WAITALL);
		at->asked = n == (ssize_t)sizeof(at->request);
		return at->asked;
	}
	if (chunk > left)
		chunk = (size_t)left;
	if (at->request.kind == BENCH_SOURCE) {
		n = send(at->fd, bytes, chunk, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN;
		at->done += (uint64_t)n;
		return at->done < at->request.bytes;
	}
	n = recv(at->fd, bytes, chunk, 0);
	if (n <= 0)
		return false;
	at->done += (uint64_t)n;
	if (at->request.kind == BENCH_ECHO && write_all(at->fd, bytes, (size_t)n) < 0)
		return false;
	if (at->done < at->request.bytes)
		return true;
	if (at->request.kind == BENCH_SINK)
		write_all(at->fd, "", 1);
	return false;
}

static int watch(int epoll_fd, struct stream *at, int op, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = at};

	return epoll_ctl(epoll_fd, op, at->fd, &event) < 0 ? -errno : 0;
}

int bench_serve(int listener, const int *fds, unsigned streams)
{
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC), count, i, ret;
	struct epoll_event event[BENCH_STREAMS];
	unsigned left = streams, k;
	struct stream *at;
	bool was_asked;

	if (epoll_fd < 0)
		return -errno;
	for (k = 0; k < streams; k++) {
		stream[k] = (struct stream){.fd = fds ? fds[k] : accept(listener, NULL, NULL)};
		ret = stream[k].fd < 0 ? -errno
				       : watch(epoll_fd, &stream[k], EPOLL_CTL_ADD, EPOLLIN);
		if (ret < 0)
			return ret;
	}
	for (k = 0; k < streams; k++)
		write_all(stream[k].fd, "", 1);
	while (left > 0) {
		count = epoll_wait(epoll_fd, event, BENCH_STREAMS, -1);
		for (i = 0; i < count; i++) {
			at = event[i].data.ptr;
			was_asked = at->asked;
			if (!step(at)) {
				epoll_ctl(epoll_fd, EPOLL_CTL_DEL, at->fd, NULL);
				close(at->fd);
				left--;
			} else if (!was_asked && at->request.kind == BENCH_SOURCE) {
				watch(epoll_fd, at, EPOLL_CTL_MOD, EPOLLOUT);
			}
		}
	}
	close(epoll_fd);
	return 0;
}
