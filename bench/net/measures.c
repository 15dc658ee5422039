/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/net/measures.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The relay lets a burst of 2000 connections through. */
#define CONNECTIONS_MAX 500
#define FLIGHT_US	300000 /* wait so long for datagrams in flight */

const char *measure_server = SERVER;
const char *const measure_name[MEASURES] = {"out", "in", "datagrams", "round-trip", "connections"};
const char *const measure_unit[MEASURES] = {"MB/s", "MB/s", "1/s", "us", "1/s"};

static char bytes[CHUNK];

void fail(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int reach(int type, enum port port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, type, 0), one = 1;

	inet_pton(AF_INET, measure_server, &to.sin_addr);
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		fail("connect");
	return fd;
}

static struct outcome stream(bool out, double seconds)
{
	int fd = reach(SOCK_STREAM, out ? SINK : SOURCE);
	double began = now(), total = 0;
	ssize_t n;

	do {
		n = out ? send(fd, bytes, sizeof(bytes), 0) : recv(fd, bytes, sizeof(bytes), 0);
		total += (double)n;
	} while (n > 0 && now() - began < seconds);
	if (n <= 0)
		fail("a stream");
	shutdown(fd, SHUT_WR);
	/* Wait until the other end has received everything. */
	while (out && recv(fd, bytes, sizeof(bytes), 0) > 0)
		;
	close(fd);
	return (struct outcome){total / 1e6 / (now() - began), total / 1e6};
}

static uint64_t arrived(void)
{
	int fd = reach(SOCK_STREAM, COUNTER);
	uint64_t count;

	if (recv(fd, &count, sizeof(count), MSG_WAITALL) != sizeof(count))
		fail("the counter");
	close(fd);
	return count;
}

static struct outcome datagrams(double seconds)
{
	uint64_t before = arrived();
	int fd = reach(SOCK_DGRAM, COUNTER);
	double began = now(), sent, count;

	while (now() - began < seconds)
		send(fd, bytes, 64, 0);
	sent = now() - began;
	close(fd);
	usleep(FLIGHT_US);
	count = (double)(arrived() - before);
	return (struct outcome){count / sent, count};
}

static struct outcome round_trip(double seconds)
{
	int fd = reach(SOCK_STREAM, ECHO);
	double began = now();
	unsigned done = 0;
	char byte = 'x';

	do {
		if (send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1)
			fail("a round trip");
		done++;
	} while (now() - began < seconds);
	close(fd);
	return (struct outcome){1e6 * (now() - began) / done, done};
}

static struct outcome connections(double seconds)
{
	double began = now();
	unsigned done = 0;
	char byte;
	int fd;

	do {
		fd = reach(SOCK_STREAM, CLOSER);
		if (recv(fd, &byte, 1, 0) != 0)
			fail("a connection");
		close(fd);
		done++;
	} while (done < CONNECTIONS_MAX && now() - began < seconds);
	return (struct outcome){done / (now() - began), done};
}

struct outcome measure(enum measure what, double seconds)
{
	switch (what) {
	case OUT:
	case IN:
		return stream(what == OUT, seconds);
	case DATAGRAMS:
		return datagrams(seconds);
	case ROUND_TRIP:
		return round_trip(seconds);
	default:
		return connections(seconds);
	}
}
