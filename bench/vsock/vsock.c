/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures streams between host and guest: bytes a second both ways and round trips, with 1 and 64
 * streams, and the same with a process on the host at the other end of socket pairs. Figures are
 * comparable only within one run; the last column is the ratio of vsock to the socket pair.
 *
 * vsock CORDON GUEST-PROGRAM [KIB [ROUND-TRIPS]]
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/vsock/server.h"

#define CHUNK	      (64u << 10)
#define PING_BYTES    64u
#define CONNECT_TRIES 30

static char bytes[CHUNK];
static char socket_path[64];

struct measure {
	const char *name;
	enum bench_kind kind;
	unsigned streams;
};

static const struct measure measures[] = {
	{"to guest, 1 stream", BENCH_SINK, 1},	   {"to guest, 64 streams", BENCH_SINK, 64},
	{"from guest, 1 stream", BENCH_SOURCE, 1}, {"from guest, 64 streams", BENCH_SOURCE, 64},
	{"round trips, 1 stream", BENCH_ECHO, 1},  {"round trips, 64 streams", BENCH_ECHO, 64},
};
#define MEASURES (sizeof(measures) / sizeof(measures[0]))

static void die(const char *what)
{
	fprintf(stderr, "bench vsock: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* --- the client ------------------------------------------------------------------------------- */

/* What one stream still has to write and to read. */
struct client {
	int fd;
	uint64_t to_write, to_read;
	uint64_t may_write; /* a round trip waits for the one before it */
};

static void client_write(struct client *client)
{
	uint64_t length = client->to_write;
	ssize_t n;

	if (length > client->may_write)
		length = client->may_write;
	if (length > CHUNK)
		length = CHUNK;
	n = send(client->fd, bytes, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN)
		die("send");
	if (n > 0) {
		client->to_write -= (uint64_t)n;
		client->may_write -= (uint64_t)n;
	}
}

static void client_read(struct client *client, bool echo)
{
	ssize_t n = recv(client->fd, bytes, CHUNK, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN))
		die(n == 0 ? "a stream ended early" : "recv");
	if (n > 0) {
		client->to_read -= (uint64_t)n;
		if (echo)
			client->may_write += (uint64_t)n;
	}
}

/* Seconds from the first byte of the requests to the last byte of the replies. */
static double run_streams(const struct measure *measure, int *fds, uint64_t amount)
{
	static struct client client[BENCH_STREAMS];
	struct pollfd polls[BENCH_STREAMS];
	struct bench_request request = {.kind = measure->kind, .chunk = CHUNK, .bytes = amount};
	unsigned i, left = measure->streams;
	double start;

	for (i = 0; i < measure->streams; i++)
		if (recv(fds[i], bytes, 1, 0) != 1)
			die("no server");
	start = now();
	for (i = 0; i < measure->streams; i++) {
		if (send(fds[i], &request, sizeof(request), MSG_NOSIGNAL) != sizeof(request))
			die("request");
		client[i] = (struct client){.fd = fds[i]};
		client[i].to_write = measure->kind == BENCH_SOURCE ? 0 : amount;
		client[i].to_read = measure->kind == BENCH_SINK ? 1 : amount;
		client[i].may_write = measure->kind == BENCH_ECHO ? PING_BYTES : amount;
	}
	while (left > 0) {
		for (i = 0; i < measure->streams; i++) {
			polls[i] = (struct pollfd){.fd = client[i].to_read ? client[i].fd : -1};
			polls[i].events = POLLIN;
			if (client[i].to_write > 0 && client[i].may_write > 0)
				polls[i].events |= POLLOUT;
		}
		if (poll(polls, measure->streams, 60000) <= 0)
			die("no progress for a minute");
		for (i = 0; i < measure->streams; i++) {
			if (polls[i].revents & POLLOUT)
				client_write(&client[i]);
			if (!(polls[i].revents & (POLLIN | POLLHUP | POLLERR)))
				continue;
			client_read(&client[i], measure->kind == BENCH_ECHO);
			if (client[i].to_read == 0)
				left--;
		}
	}
	return now() - start;
}

/* --- the two other ends
 * ---------------------------------------------------------------------------- */

static double measure_pair(const struct measure *measure, uint64_t amount)
{
	int here[BENCH_STREAMS], there[BENCH_STREAMS], pair[2];
	unsigned i;
	double took;
	pid_t child;

	for (i = 0; i < measure->streams; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
			die("socketpair");
		here[i] = pair[0];
		there[i] = pair[1];
	}
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0)
		_exit(bench_serve(-1, there, measure->streams) < 0);
	took = run_streams(measure, here, amount);
	for (i = 0; i < measure->streams; i++) {
		close(here[i]);
		close(there[i]);
	}
	waitpid(child, NULL, 0);
	return took;
}

/* A descriptor, or -1: refused. A busy guest may not reply within the monitor's two seconds. */
static int try_guest(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char line[32];
	size_t used = 0;

	strcpy(address.sun_path, socket_path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die(socket_path);
	snprintf(line, sizeof(line), "CONNECT %d\n", BENCH_PORT);
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
		die("CONNECT");
	do {
		if (recv(fd, line + used, 1, 0) != 1) {
			close(fd);
			return -1;
		}
	} while (line[used] != '\n' && ++used < sizeof(line));
	if (memcmp(line, "OK ", 3) != 0)
		die("no OK");
	return fd;
}

static int connect_guest(void)
{
	unsigned tries;
	int fd;

	for (tries = 0; tries < CONNECT_TRIES; tries++) {
		fd = try_guest();
		if (fd >= 0)
			return fd;
	}
	die("the guest did not accept");
	return -1;
}

static double measure_guest(const struct measure *measure, uint64_t amount)
{
	int fds[BENCH_STREAMS];
	unsigned i;
	double took;

	for (i = 0; i < measure->streams; i++)
		fds[i] = connect_guest();
	took = run_streams(measure, fds, amount);
	for (i = 0; i < measure->streams; i++)
		close(fds[i]);
	return took;
}

/* --- the sandbox
 * -------------------------------------------------------------------------------------- */

/* Runs the guest's program, which arrives through stdin. Returns when it listens. */
static pid_t start_guest(const char *cordon, const char *program)
{
	char command[512] = "cat > /tmp/bench && chmod +x /tmp/bench && exec /tmp/bench", line[16];
	FILE *out;
	int pipe_fd[2];
	pid_t child;
	size_t i;

	for (i = 0; i < MEASURES; i++)
		snprintf(command + strlen(command), sizeof(command) - strlen(command), " %u",
			 measures[i].streams);
	if (pipe(pipe_fd) < 0)
		die("pipe");
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		dup2(pipe_fd[1], STDOUT_FILENO);
		close(pipe_fd[0]);
		close(pipe_fd[1]);
		if (!freopen(program, "r", stdin))
			_exit(125);
		execl(cordon, cordon, "run", "--vsock", socket_path, "--", "sh", "-c", command,
		      (char *)NULL);
		_exit(126);
	}
	close(pipe_fd[1]);
	out = fdopen(pipe_fd[0], "r");
	if (!out || !fgets(line, sizeof(line), out) || strcmp(line, "ready\n") != 0)
		die("the guest's program did not start");
	/* Keep it open: a sandbox whose output has no reader ends. */
	return child;
}

static void show(const struct measure *measure, uint64_t amount, double guest, double pair)
{
	double total = (double)amount * measure->streams;

	if (measure->kind == BENCH_ECHO) {
		total /= PING_BYTES;
		/* The time of one round trip in a stream, and round trips a second in all streams.
		 */
		printf("%-24s %10.1f us %10.0f /s %10.1f us %10.0f /s %8.4f\n", measure->name,
		       guest * 1e6 * measure->streams / total, total / guest,
		       pair * 1e6 * measure->streams / total, total / pair, pair / guest);
	} else {
		printf("%-24s %10.2f MiB/s %17s %10.2f MiB/s %8s %12.4f\n", measure->name,
		       total / guest / 1048576, "", total / pair / 1048576, "", pair / guest);
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	uint64_t bulk, pings, amount;
	double guest;
	pid_t child;
	int status;
	size_t i;

	if (argc < 3) {
		fprintf(stderr, "usage: vsock CORDON GUEST-PROGRAM [KIB [ROUND-TRIPS]]\n");
		return EXIT_FAILURE;
	}
	bulk = (argc > 3 ? strtoull(argv[3], NULL, 10) : 4096) << 10;
	pings = argc > 4 ? strtoull(argv[4], NULL, 10) : 256;
	snprintf(socket_path, sizeof(socket_path), "/tmp/cordon-bench-%d.vsock", (int)getpid());
	signal(SIGPIPE, SIG_IGN);
	child = start_guest(argv[1], argv[2]);
	printf("%-24s %30s %30s %8s\n", "", "vsock", "socket pair", "ratio");
	for (i = 0; i < MEASURES; i++) {
		amount = measures[i].kind == BENCH_ECHO ? pings * PING_BYTES : bulk;
		/* The same total for any number of streams. */
		amount = amount / measures[i].streams / PING_BYTES * PING_BYTES;
		if (amount < PING_BYTES)
			amount = PING_BYTES;
		guest = measure_guest(&measures[i], amount);
		show(&measures[i], amount, guest, measure_pair(&measures[i], amount));
	}
	if (waitpid(child, &status, 0) < 0 || status != 0)
		die("the sandbox failed");
	return EXIT_SUCCESS;
}
