/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network client for the guest: one probe per argument, one line of output each:
 *
 *     tcp:HOST:PORT:TEXT	 connects, sends TEXT (if any), shows what comes back
 *     tls:HOST:PORT:NAME	 the same with a ClientHello for NAME ("-": without a name)
 *     split:HOST:PORT:NAME	 the same, each byte of it in a segment of its own
 *     http:HOST:PORT:NAME	 the same with an HTTP request whose Host is NAME
 *     proxy:HOST:PORT:NAME	 the same with an HTTP CONNECT to NAME
 *     again:HOST:PORT:NAME	 as tls, three times from one port: after a close, and after a reset
 *     udp:HOST:PORT:TEXT	 sends a datagram, shows its reply
 *     name:HOST		 the addresses of a name
 *     echo:HOST:PORT:BYTES	 sends so many bytes and reads them back: how many came back right
 *     scan:HOST:FROM-TO	 connects to each port: how many accept, refuse, or fail otherwise
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int find(const char *host, const char *port, int type, struct addrinfo **found)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = type};

	return getaddrinfo(host, port, &hints, found);
}

/* Returns a connected socket, or -1 after printing why not. */
static int reach(const char *probe, const char *host, const char *port, int type)
{
	const struct timeval patience = {.tv_sec = 60};
	struct addrinfo *found;
	int fd, ret = find(host, port, type, &found);

	if (ret != 0) {
		printf("%s: no such name\n", probe);
		return -1;
	}
	fd = socket(AF_INET, type, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, found->ai_addr, found->ai_addrlen) < 0) {
		printf("%s: connect: %s\n", probe, strerror(errno));
		close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

static void converse(const char *probe, int fd, const void *data, size_t length, int split)
{
	const uint8_t *at = data;
	char answer[256];
	size_t part = split ? 1 : length;
	int one = 1;
	ssize_t got;

	if (split)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (; length > 0; at += part, length -= part)
		if (send(fd, at, part, MSG_NOSIGNAL) < 0)
			break;
	got = recv(fd, answer, sizeof(answer) - 1, 0);
	if (got < 0)
		printf("%s: receive: %s\n", probe, strerror(errno));
	else
		printf("%s: got %.*s\n", probe, (int)got, answer);
	close(fd);
}

static size_t put16(uint8_t *to, size_t at, size_t value)
{
	to[at] = (uint8_t)(value >> 8);
	to[at + 1] = (uint8_t)value;
	return at + 2;
}

static size_t hello(uint8_t *to, const char *name)
{
	size_t at = 9, length = strlen(name), extensions;

	memset(to, 0, 64);
	at = put16(to, at, 0x0303) + 32; /* version, random */
	to[at++] = 0;			 /* session */
	at = put16(to, put16(to, at, 2), 0x1301);
	to[at++] = 1;
	to[at++] = 0;
	extensions = at;
	at += 2;
	if (strcmp(name, "-") != 0) {
		at = put16(to, put16(to, put16(to, at, 0), length + 5), length + 3);
		to[at++] = 0;
		at = put16(to, at, length);
		memcpy(to + at, name, length);
		at += length;
	}
	put16(to, extensions, at - extensions - 2);
	to[0] = 22;
	put16(to, 1, 0x0301);
	put16(to, 3, at - 5);
	to[5] = 1;
	to[6] = 0;
	put16(to, 7, at - 9);
	return at;
}

static size_t request(uint8_t *to, size_t size, const char *kind, const char *name)
{
	const char *form = strcmp(kind, "proxy") == 0 ? "CONNECT %s:80 HTTP/1.1\r\nHost: %s\r\n\r\n"
						      : "GET /%.0s HTTP/1.1\r\nHost: %s\r\n\r\n";

	return (size_t)snprintf((char *)to, size, form, name, name);
}

static void scan(const char *probe, const char *host, char *ports)
{
	unsigned from = (unsigned)atoi(ports), to = from, port, open = 0, refused = 0, other = 0;
	char text[8];
	struct addrinfo *found;
	int fd;

	if (strchr(ports, '-'))
		to = (unsigned)atoi(strchr(ports, '-') + 1);
	for (port = from; port <= to; port++) {
		snprintf(text, sizeof(text), "%u", port);
		if (find(host, text, SOCK_STREAM, &found) != 0)
			continue;
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, found->ai_addr, found->ai_addrlen) == 0)
			open++;
		else if (errno == ECONNREFUSED)
			refused++;
		else
			other++;
		close(fd);
		freeaddrinfo(found);
	}
	printf("%s: open %u, refused %u, other %u\n", probe, open, refused, other);
}

/* Sends and receives at once: the peer sends back what it has before it reads more. */
static void echo(const char *probe, int fd, size_t length)
{
	struct pollfd pollfd = {.fd = fd};
	size_t sent = 0, same = 0, part, i;
	uint8_t bytes[4096];
	ssize_t n = 1;

	while (same < length && n != 0) {
		pollfd.events = (short)(POLLIN | (sent < length ? POLLOUT : 0));
		if (poll(&pollfd, 1, 60000) <= 0)
			break;
		if ((pollfd.revents & POLLOUT) && sent < length) {
			part = length - sent < sizeof(bytes) ? length - sent : sizeof(bytes);
			for (i = 0; i < part; i++)
				bytes[i] = (uint8_t)((sent + i) * 31 >> 3);
			n = send(fd, bytes, part, MSG_NOSIGNAL | MSG_DONTWAIT);
			sent += n > 0 ? (size_t)n : 0;
			n = 1;
		}
		if (!(pollfd.revents & (POLLIN | POLLHUP | POLLERR)))
			continue;
		n = recv(fd, bytes, sizeof(bytes), 0);
		for (i = 0; n > 0 && i < (size_t)n; i++, same++)
			if (bytes[i] != (uint8_t)(same * 31 >> 3))
				n = 0;
	}
	printf("%s: %zu of %zu\n", probe, same, length);
	close(fd);
}

static void show_name(const char *probe, const char *host)
{
	struct addrinfo *found, *at;
	char text[INET_ADDRSTRLEN];

	if (find(host, NULL, SOCK_STREAM, &found) != 0) {
		printf("%s: no such name\n", probe);
		return;
	}
	printf("%s: is", probe);
	for (at = found; at; at = at->ai_next)
		printf(" %s", inet_ntop(AF_INET, &((struct sockaddr_in *)at->ai_addr)->sin_addr,
					text, sizeof(text)));
	printf("\n");
	freeaddrinfo(found);
}

/* Connects from a port that may have been in use a moment ago. */
static int reach_from(const struct addrinfo *to, uint16_t port)
{
	const struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(port)};
	const struct timeval patience = {.tv_sec = 60};
	int fd, one = 1, turns, ret = -1;

	for (turns = 0; turns < 600 && ret < 0; turns++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		ret = bind(fd, (const struct sockaddr *)&from, sizeof(from));
		if (ret == 0)
			ret = connect(fd, to->ai_addr, to->ai_addrlen);
		if (ret == 0)
			return fd;
		close(fd);
		if (errno != EADDRINUSE && errno != EADDRNOTAVAIL)
			break;
		/* The guest's end of the last connection is not closed yet. */
		usleep(100000);
	}
	return -1;
}

static void again(const char *probe, const char *host, const char *port, const char *name)
{
	const struct linger reset = {.l_onoff = 1};
	struct addrinfo *found;
	uint8_t bytes[1024];
	size_t length = hello(bytes, name);
	char answer[256];
	ssize_t got;
	int fd, turn;

	printf("%s:", probe);
	if (find(host, port, SOCK_STREAM, &found) != 0) {
		printf(" no such name\n");
		return;
	}
	for (turn = 0; turn < 3; turn++) {
		fd = reach_from(found, 7777);
		got = fd >= 0 ? send(fd, bytes, length, MSG_NOSIGNAL) : -1;
		if (got >= 0)
			got = recv(fd, answer, sizeof(answer), 0);
		if (got < 0)
			printf(" %s", strerror(errno));
		else
			printf(" %.*s", (int)got, answer);
		/* The server closes after its reply; the second time this end resets. */
		if (turn == 1)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		else
			while (got > 0)
				got = recv(fd, answer, sizeof(answer), 0);
		close(fd);
	}
	printf("\n");
	freeaddrinfo(found);
}

static void run(const char *probe)
{
	char *copy = strdup(probe), *kind = strtok(copy, ":"), *host = strtok(NULL, ":");
	char *port = strtok(NULL, ":"), *text = strtok(NULL, "");
	static uint8_t bytes[1024];
	int fd;

	if (strcmp(kind, "name") == 0) {
		show_name(probe, host);
	} else if (strcmp(kind, "scan") == 0) {
		scan(probe, host, port);
	} else if (strcmp(kind, "again") == 0) {
		again(probe, host, port, text);
	} else {
		fd = reach(probe, host, port, strcmp(kind, "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM);
		if (fd < 0)
			;
		else if (strcmp(kind, "echo") == 0)
			echo(probe, fd, (size_t)atol(text));
		else if (strcmp(kind, "tls") == 0 || strcmp(kind, "split") == 0)
			converse(probe, fd, bytes, hello(bytes, text), kind[0] == 's');
		else if (strcmp(kind, "http") == 0 || strcmp(kind, "proxy") == 0)
			converse(probe, fd, bytes, request(bytes, sizeof(bytes), kind, text), 0);
		else
			converse(probe, fd, text, text ? strlen(text) : 0, 0);
	}
	free(copy);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		run(argv[i]);
	return 0;
}
