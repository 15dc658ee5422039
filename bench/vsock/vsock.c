/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures streams between host and guest, and between two processes of the host over socket pairs:
 * bytes a second both ways, and round trips, for each number of STREAMS. KIB and ROUND-TRIPS are
 * the totals of all streams. Prints a line `ID VALUE UNIT` a figure; the ID of the host ends in
 * .host.
 *
 * vsock CORDON GUEST-PROGRAM KIB ROUND-TRIPS STREAMS...
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
static char socket_path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];

struct measure {
	enum bench_kind kind;
	unsigned streams;
};

#define KINDS	     3
#define MEASURES_MAX 24
static struct measure measures[MEASURES_MAX];
static size_t measure_count;

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

/* --- the two other ends ---------------------------------------------------------------------- */

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

/* --- the sandbox ------------------------------------------------------------------------------ */

/* Runs the guest's program, which arrives through stdin. Returns when it listens. */
static pid_t start_guest(const char *cordon, const char *program)
{
	char command[512] = "cat > /tmp/bench && chmod +x /tmp/bench && exec /tmp/bench", line[16];
	FILE *out;
	int pipe_fd[2];
	pid_t child;
	size_t i;

	for (i = 0; i < measure_count; i++)
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

static void show(const struct measure *measure, uint64_t amount, double took, const char *suffix)
{
	static const char *const names[] = {
		[BENCH_SINK] = "to-guest", [BENCH_SOURCE] = "from-guest"};
	double total = (double)amount * measure->streams;

	if (measure->kind != BENCH_ECHO)
		printf("%s.%u%s %.6g MB/s\n", names[measure->kind], measure->streams, suffix,
		       total / took / 1e6);
	else if (measure->streams == 1)
		printf("round-trip%s %.6g us\n", suffix, took * 1e6 * PING_BYTES / total);
	else
		printf("round-trips.%u%s %.6g 1/s\n", measure->streams, suffix,
		       total / PING_BYTES / took);
	fflush(stdout);
}

static bool parse_streams(char **argument)
{
	unsigned streams, kind;

	for (; *argument; argument++) {
		streams = (unsigned)atoi(*argument);
		if (streams == 0 || streams > BENCH_STREAMS || measure_count + KINDS > MEASURES_MAX)
			return false;
		for (kind = BENCH_SINK; kind <= BENCH_ECHO; kind++)
			measures[measure_count++] = (struct measure){kind, streams};
	}
	return measure_count > 0;
}

int main(int argc, char **argv)
{
	uint64_t bulk, pings, amount;
	const char *tmp;
	pid_t child;
	int status;
	size_t i;

	if (argc < 6 || !parse_streams(argv + 5)) {
		fprintf(stderr, "usage: vsock CORDON GUEST-PROGRAM KIB ROUND-TRIPS STREAMS...\n");
		return EXIT_FAILURE;
	}
	bulk = strtoull(argv[3], NULL, 10) << 10;
	pings = strtoull(argv[4], NULL, 10);
	tmp = getenv("TMPDIR");
	if (snprintf(socket_path, sizeof(socket_path), "%s/bench-%d.vsock", tmp ? tmp : "/tmp",
		     (int)getpid()) >= (int)sizeof(socket_path)) {
		errno = ENAMETOOLONG;
		die("$TMPDIR");
	}
	signal(SIGPIPE, SIG_IGN);
	child = start_guest(argv[1], argv[2]);
	for (i = 0; i < measure_count; i++) {
		amount = measures[i].kind == BENCH_ECHO ? pings * PING_BYTES : bulk;
		/* The same total for any number of streams. */
		amount = amount / measures[i].streams / PING_BYTES * PING_BYTES;
		if (amount < PING_BYTES)
			amount = PING_BYTES;
		show(&measures[i], amount, measure_guest(&measures[i], amount), "");
		show(&measures[i], amount, measure_pair(&measures[i], amount), ".host");
	}
	if (waitpid(child, &status, 0) < 0 || status != 0)
		die("the sandbox failed");
	return EXIT_SUCCESS;
}
