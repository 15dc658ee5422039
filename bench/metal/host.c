/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of the bare-metal measurements. Prints one number; `serve`, before that, a line
 * once a client can connect.
 *
 *   metal-host tsc                                   cycles of the TSC a second
 *   metal-host file OPERATION PATTERN SIZE BUFFERS SPAN SECONDS PATH
 *                                                    requests a second of one process
 *   metal-host udp PORT BYTES SECONDS                datagrams a second to a port of the loopback
 *   metal-host pair send|receive|echo CHUNK BYTES    seconds between two processes
 *   metal-host serve send|receive|echo CHUNK BYTES SOCKET
 *                                                    the same with a client of a new Unix socket
 *
 * PATH of `file write` and `file flush` is a directory: a nameless file is made there. Directions
 * are the client's: with `send` it sends BYTES, which takes the time from one byte sent to it to
 * the last one received. `echo` is the time of BYTES / CHUNK round trips.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define CHUNK_MAX   (1u << 20)
#define BUFFERS_MAX 32

/* Files go through several buffers in turn, as a guest does; sockets use the first. */
static uint8_t buffer[BUFFERS_MAX * CHUNK_MAX] __attribute__((aligned(4096)));

static void fail(const char *what)
{
	fprintf(stderr, "metal-host: ");
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void print_tsc(void)
{
	double start = now();
	uint64_t cycles = __rdtsc();

	while (now() - start < 0.2)
		;
	cycles = __rdtsc() - cycles;
	printf("%.0f\n", (double)cycles / (now() - start));
}

/* --- files ------------------------------------------------------------------------------------ */

struct file {
	int fd;
	bool write, flush, random;
	size_t size;
	unsigned buffers, turn;
	uint64_t span, next, seed;
};

static off_t next_offset(struct file *file)
{
	uint64_t blocks = file->span / file->size;

	if (!file->random)
		return (off_t)(file->next++ % blocks * file->size);
	file->seed ^= file->seed << 13;
	file->seed ^= file->seed >> 7;
	file->seed ^= file->seed << 17;
	return (off_t)(file->seed % blocks * file->size);
}

static void request(struct file *file)
{
	uint8_t *data = buffer + file->turn++ % file->buffers * file->size;
	ssize_t n = file->write ? pwrite(file->fd, data, file->size, next_offset(file))
				: pread(file->fd, data, file->size, next_offset(file));

	if (n != (ssize_t)file->size)
		fail("the file");
	if (file->flush && fdatasync(file->fd) < 0)
		fail("fdatasync");
}

/* Writes all of a new file, so that no measured request allocates a block. */
static void fill(struct file *file)
{
	uint64_t at;
	size_t part;

	for (at = 0; at < file->span; at += part) {
		part = file->span - at < CHUNK_MAX ? (size_t)(file->span - at) : CHUNK_MAX;
		if (pwrite(file->fd, buffer, part, (off_t)at) != (ssize_t)part)
			fail("the file");
	}
	if (fdatasync(file->fd) < 0)
		fail("fdatasync");
}

static void measure_file(char **argument)
{
	struct file file = {.seed = 0x9e3779b97f4a7c15u};
	double start, end, seconds = atof(argument[5]);
	unsigned long done = 0;

	file.flush = strcmp(argument[0], "flush") == 0;
	file.write = file.flush || strcmp(argument[0], "write") == 0;
	file.random = strcmp(argument[1], "random") == 0;
	file.size = strtoul(argument[2], NULL, 10);
	file.buffers = (unsigned)strtoul(argument[3], NULL, 10);
	file.span = strtoull(argument[4], NULL, 10);
	if (file.size == 0 || file.size > CHUNK_MAX || file.span < file.size || file.buffers == 0 ||
	    file.buffers > BUFFERS_MAX)
		fail("the size");
	file.fd = open(argument[6],
		       file.write ? O_TMPFILE | O_RDWR | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0600);
	if (file.fd < 0 || (file.write && ftruncate(file.fd, (off_t)file.span) < 0))
		fail(argument[6]);
	if (file.write)
		fill(&file);
	start = now();
	do {
		request(&file);
		done++;
		end = now();
	} while (end - start < seconds);
	printf("%.1f\n", (double)done / (end - start));
}

/* --- datagrams -------------------------------------------------------------------------------- */

static void measure_udp(char **argument)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)atoi(argument[0])),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	size_t bytes = strtoul(argument[1], NULL, 10);
	double start = now(), end, seconds = atof(argument[2]);
	unsigned long done = 0;

	if (bytes > CHUNK_MAX || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		fail("the port");
	do {
		if (send(fd, buffer, bytes, 0) != (ssize_t)bytes)
			fail("send");
		done++;
		end = now();
	} while (end - start < seconds);
	printf("%.1f\n", (double)done / (end - start));
}

/* --- sockets ---------------------------------------------------------------------------------- */

static void put(int fd, uint64_t bytes, size_t chunk)
{
	ssize_t n;

	for (; bytes > 0; bytes -= (uint64_t)n) {
		n = write(fd, buffer, bytes < chunk ? bytes : chunk);
		if (n <= 0)
			fail("write");
	}
}

static void get(int fd, uint64_t bytes)
{
	ssize_t n;

	for (; bytes > 0; bytes -= (uint64_t)n) {
		n = read(fd, buffer, bytes < CHUNK_MAX ? bytes : CHUNK_MAX);
		if (n <= 0)
			fail("read");
	}
}

enum direction { SEND, RECEIVE, ECHO };

/* What the guest does, as a process (sockets.c). */
static void be_client(int fd, enum direction direction, size_t chunk, uint64_t bytes)
{
	uint64_t done;

	switch (direction) {
	case SEND:
		get(fd, 1);
		put(fd, bytes, chunk);
		get(fd, 1);
		break;
	case RECEIVE:
		get(fd, bytes);
		put(fd, 1, 1);
		break;
	case ECHO:
		for (done = 0; done < bytes; done += chunk) {
			get(fd, chunk);
			put(fd, chunk, chunk);
		}
		break;
	}
}

/* Returns the seconds. */
static double serve(int fd, enum direction direction, size_t chunk, uint64_t bytes)
{
	double start = now();
	uint64_t done;

	switch (direction) {
	case SEND:
		put(fd, 1, 1);
		get(fd, bytes);
		start = now() - start;
		put(fd, 1, 1);
		break;
	case RECEIVE:
		put(fd, bytes, chunk);
		get(fd, 1);
		start = now() - start;
		break;
	case ECHO:
		for (done = 0; done < bytes; done += chunk) {
			put(fd, chunk, chunk);
			get(fd, chunk);
		}
		start = now() - start;
		break;
	}
	return start;
}

static int accept_client(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

	if (strlen(path) >= sizeof(address.sun_path))
		fail("the socket's path");
	strcpy(address.sun_path, path);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 1) < 0)
		fail(path);
	puts("listening");
	fflush(stdout);
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		fail("accept");
	unlink(path);
	return fd;
}

static void measure_socket(int argc, char **argument)
{
	static const char *const names[] = {"send", "receive", "echo"};
	enum direction direction = SEND;
	size_t chunk = strtoul(argument[1], NULL, 10);
	uint64_t bytes = strtoull(argument[2], NULL, 10);
	int pair[2];

	while (direction < ECHO && strcmp(argument[0], names[direction]) != 0)
		direction++;
	if (chunk == 0 || chunk > CHUNK_MAX)
		fail("the chunk");
	memset(buffer, 'd', CHUNK_MAX);
	if (argc > 3) {
		printf("%.9f\n", serve(accept_client(argument[3]), direction, chunk, bytes));
		return;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		fail("socketpair");
	if (fork() == 0) {
		be_client(pair[1], direction, chunk, bytes);
		_exit(0);
	}
	printf("%.9f\n", serve(pair[0], direction, chunk, bytes));
	wait(NULL);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "tsc") == 0)
		print_tsc();
	else if (argc == 9 && strcmp(argv[1], "file") == 0)
		measure_file(argv + 2);
	else if (argc == 5 && strcmp(argv[1], "udp") == 0)
		measure_udp(argv + 2);
	else if (argc == 5 && strcmp(argv[1], "pair") == 0)
		measure_socket(argc - 2, argv + 2);
	else if (argc == 6 && strcmp(argv[1], "serve") == 0)
		measure_socket(argc - 2, argv + 2);
	else
		return 2;
	return 0;
}
