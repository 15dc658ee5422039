/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/net/passt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench/net/measures.h"
#include "vmm/base/bytes.h"
#include "vmm/base/ring.h"
#include "vmm/base/spawn.h"

#define PREFIX 4 /* bytes before a frame: its length */
#define TURN   16
#define OUTPUT (1u << 20)

static const uint8_t no_header[CARD_HEADER];

static struct {
	struct loop *loop;
	const struct card_user *user;
	struct loop_source source;
	struct loop_task write;
	struct ring out;
	size_t have;
	uint8_t in[4 * (PREFIX + CARD_FRAME)];
} passt;

static bool passt_room(void)
{
	return ring_used(&passt.out) <= OUTPUT / 2;
}

static void flush_out(void *arg)
{
	bool had_room = passt_room();
	struct iovec part[2];
	struct msghdr message = {.msg_iov = part};
	ssize_t sent;

	(void)arg;
	while (ring_used(&passt.out) > 0) {
		message.msg_iovlen = ring_readable(&passt.out, part);
		sent = sendmsg(passt.source.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN)
			break;
		if (sent < 0)
			fail("passt");
		ring_consumed(&passt.out, (size_t)sent);
	}
	loop_modify(passt.loop, &passt.source,
		    EPOLLIN | (ring_used(&passt.out) > 0 ? (uint32_t)EPOLLOUT : 0));
	if (!had_room && passt_room())
		passt.user->drained();
}

static void passt_frame(const uint8_t *header, const uint8_t *frame, size_t length)
{
	uint8_t prefix[PREFIX];

	(void)header;
	store_be32(prefix, (uint32_t)length);
	ring_write(&passt.out, prefix, sizeof(prefix));
	ring_write(&passt.out, frame, length);
	/* Before the loop waits again: several frames go at once. */
	loop_defer(passt.loop, &passt.write);
}

const struct card passt_card = {.room = passt_room, .send = passt_frame};

static void hand_out(void)
{
	size_t at = 0, length;

	while (passt.have - at >= PREFIX) {
		length = load_be32(passt.in + at);
		if (length > CARD_FRAME) {
			fprintf(stderr, "net-relay: passt sent a frame of %zu bytes\n", length);
			exit(1);
		}
		if (passt.have - at - PREFIX < length)
			break;
		passt.user->frame(no_header, passt.in + at + PREFIX, length);
		at += PREFIX + length;
	}
	memmove(passt.in, passt.in + at, passt.have - at);
	passt.have -= at;
}

static void passt_ready(void *arg, uint32_t events)
{
	unsigned turn;
	ssize_t got;

	(void)arg;
	if (events & EPOLLOUT)
		flush_out(NULL);
	for (turn = 0; turn < TURN && events & (EPOLLIN | EPOLLHUP); turn++) {
		got = recv(passt.source.fd, passt.in + passt.have, sizeof(passt.in) - passt.have,
			   MSG_DONTWAIT);
		if (got < 0 && errno == EAGAIN)
			break;
		if (got <= 0) {
			fprintf(stderr, "net-relay: passt has ended\n");
			exit(1);
		}
		passt.have += (size_t)got;
		hand_out();
	}
}

pid_t passt_start(struct loop *loop, const struct card_user *user)
{
	static const char *const argument[] = {
		"passt",     "-f",	    "-q",	 "-1",	    "-4",
		"--no-dhcp", "--no-dhcpv6", "--no-ndp",	 "--no-ra", "-D",
		"none",	     "-S",	    "none",	 "-M",	    "02:00:5e:00:00:04",
		"-m",	     "65520",	    "-n",	 "24",	    "-F",
		"3",	     "-a",	    "192.0.2.2", "-g",	    "192.0.2.4",
		"-t",	     "none",	    "-u",	 "none",    NULL};
	int pair[2], fd[] = {-1, -1, STDERR_FILENO, -1}, ret;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		fail("a socket pair");
	fd[3] = pair[1];
	/* posix_spawn() takes char *, but does not write to the strings. */
	ret = spawn_program(&pid, SPAWN_TOOL, "passt", (char *const *)(uintptr_t)argument, fd,
			    ARRAY_SIZE(fd));
	if (ret < 0) {
		errno = -ret;
		fail("passt");
	}
	close(pair[1]);
	passt.loop = loop;
	passt.user = user;
	passt.write = (struct loop_task){.run = flush_out};
	passt.source = (struct loop_source){.fd = pair[0], .ready = passt_ready};
	ring_init(&passt.out, OUTPUT);
	if (loop_add(loop, &passt.source, EPOLLIN) < 0)
		fail("the loop");
	return pid;
}
