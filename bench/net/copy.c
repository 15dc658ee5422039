/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/net/copy.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/net/measures.h"

#define PIECE 65536
#define PORTS 5

static const enum port ports[PORTS] = {SINK, SOURCE, ECHO, CLOSER, COUNTER};

static struct sockaddr_in place(const char *address, enum port port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	inet_pton(AF_INET, address, &to.sin_addr);
	return to;
}

static int open_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		fail("a socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return fd;
}

/* One read and what it takes to write it. 0: the end; -1: an error. */
static ssize_t copy_some(int from, int to)
{
	static uint8_t bytes[PIECE];
	ssize_t got = recv(from, bytes, sizeof(bytes), 0), done, sent;

	for (done = 0; done < got; done += sent) {
		sent = send(to, bytes + done, (size_t)(got - done), MSG_NOSIGNAL);
		if (sent < 0)
			return -1;
	}
	return got;
}

/* Until both ends have closed. False: one has failed. */
static bool copy_both(int client, int server)
{
	struct pollfd side[2] = {{.fd = client, .events = POLLIN},
				 {.fd = server, .events = POLLIN}};
	const int fd[2] = {client, server};
	unsigned i;
	ssize_t n;

	while (side[0].fd >= 0 || side[1].fd >= 0) {
		if (poll(side, 2, -1) < 0)
			fail("poll");
		for (i = 0; i < 2; i++) {
			if (side[i].fd < 0 || !side[i].revents)
				continue;
			n = copy_some(fd[i], fd[!i]);
			if (n < 0)
				return false;
			if (n == 0) {
				shutdown(fd[!i], SHUT_WR);
				side[i].fd = -1;
			}
		}
	}
	return true;
}

static void serve(int listener, enum port port)
{
	struct sockaddr_in to = place(SERVER, port);
	int client = accept(listener, NULL, NULL), server = open_socket(), one = 1;
	const struct linger reset = {.l_onoff = 1};

	if (client < 0)
		fail("accept");
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(server, (struct sockaddr *)&to, sizeof(to)) < 0)
		fail("connect");
	/* A server whose client has gone must not go on writing. */
	if (!copy_both(client, server))
		setsockopt(server, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(client);
	close(server);
}

void copy_serve(const char *address, int ready_fd)
{
	struct pollfd listener[PORTS];
	unsigned i;

	for (i = 0; i < PORTS; i++) {
		struct sockaddr_in at = place(address, ports[i]);

		listener[i] = (struct pollfd){.fd = open_socket(), .events = POLLIN};
		if (bind(listener[i].fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
		    listen(listener[i].fd, 256) < 0)
			fail("the copying process");
	}
	close(ready_fd);
	for (;;) {
		if (poll(listener, PORTS, -1) < 0)
			fail("poll");
		for (i = 0; i < PORTS; i++)
			if (listener[i].revents)
				serve(listener[i].fd, ports[i]);
	}
}
