/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes a new file FILE of so many MiB, each PATTERN for SECONDS, and removes it. With
 * `direct` without the page cache (O_DIRECT). Runs in the guest, on a disk, and on the host. Linked
 * statically. Prints a line `ID VALUE UNIT` a figure.
 *
 *   disk FILE MIB SECONDS direct|cached PATTERN...
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX   32
#define REQUEST_MAX (1u << 20)
#define BUFFER	    (4u << 20) /* requests share it: touching a page for the first time is dear */

/* As in the kernel's aio_abi.h, for which the C library has no header. */
struct iocb {
	uint64_t data;
	uint32_t key, flags;
	uint16_t opcode;
	int16_t priority;
	uint32_t fd;
	uint64_t buffer, bytes;
	int64_t offset;
	uint64_t reserved;
	uint32_t more_flags, event_fd;
};
struct io_event {
	uint64_t data, object;
	int64_t result, result2;
};
enum { IOCB_READ, IOCB_WRITE };

struct pattern {
	const char *id;
	bool write, flush, random;
	uint32_t size, depth;
	const char *unit;
};

static const struct pattern patterns[] = {
	{"read-4k-d1", false, false, true, 4096, 1, "1/s"},
	{"read-4k-d32", false, false, true, 4096, 32, "1/s"},
	{"read-4k-seq-d32", false, false, false, 4096, 32, "1/s"},
	{"read-128k-d1", false, false, false, 128 << 10, 1, "MB/s"},
	{"read-128k-d32", false, false, false, 128 << 10, 32, "MB/s"},
	{"read-1m-d1", false, false, false, 1 << 20, 1, "MB/s"},
	{"read-1m-d32", false, false, false, 1 << 20, 32, "MB/s"},
	{"write-4k-d1", true, false, true, 4096, 1, "1/s"},
	{"write-4k-d32", true, false, true, 4096, 32, "1/s"},
	{"write-1m-d32", true, false, false, 1 << 20, 32, "MB/s"},
	{"flush-4k", true, true, true, 4096, 1, "us"},
};
#define PATTERNS (sizeof(patterns) / sizeof(patterns[0]))

static uint8_t buffer[BUFFER] __attribute__((aligned(4096)));
static uint64_t span, next_offset, seed = 0x9e3779b97f4a7c15u;
static unsigned long context; /* of asynchronous requests */
static const char *path;
static int fd;

static void fail(const char *what)
{
	fprintf(stderr, "bench disk: %s: %s\n", what, strerror(errno));
	unlink(path);
	exit(EXIT_FAILURE);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static off_t offset_for(const struct pattern *pattern)
{
	uint64_t blocks = span / pattern->size;

	if (!pattern->random)
		return (off_t)(next_offset++ % blocks * pattern->size);
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (off_t)(seed % blocks * pattern->size);
}

static void one(const struct pattern *pattern)
{
	off_t at = offset_for(pattern);
	ssize_t n = pattern->write ? pwrite(fd, buffer, pattern->size, at)
				   : pread(fd, buffer, pattern->size, at);

	if (n != (ssize_t)pattern->size)
		fail(pattern->id);
	if (pattern->flush && fdatasync(fd) < 0)
		fail("fdatasync");
}

static void submit(const struct pattern *pattern, struct iocb *requests, const unsigned *slots,
		   long count)
{
	struct iocb *list[DEPTH_MAX];
	long done, i;

	for (i = 0; i < count; i++) {
		list[i] = &requests[slots[i]];
		*list[i] = (struct iocb){
			.data = slots[i],
			.opcode = pattern->write ? IOCB_WRITE : IOCB_READ,
			.fd = (uint32_t)fd,
			.buffer = (uintptr_t)&buffer[slots[i] * pattern->size % BUFFER],
			.bytes = pattern->size,
			.offset = offset_for(pattern)};
	}
	for (i = 0; i < count; i += done) {
		done = syscall(SYS_io_submit, context, count - i, list + i);
		if (done <= 0)
			fail("io_submit");
	}
}

/* Keeps depth requests in flight until the time is over; returns how many were done. */
static unsigned long many(const struct pattern *pattern, double end)
{
	static struct iocb requests[DEPTH_MAX];
	struct io_event events[DEPTH_MAX];
	unsigned slots[DEPTH_MAX] = {0}, i;
	unsigned long done = 0;
	long in_flight = pattern->depth, n, k;

	for (i = 0; i < pattern->depth; i++)
		slots[i] = i;
	submit(pattern, requests, slots, in_flight);
	while (in_flight > 0) {
		n = syscall(SYS_io_getevents, context, 1, DEPTH_MAX, events, NULL);
		if (n <= 0)
			fail("io_getevents");
		for (k = 0; k < n; k++) {
			if (events[k].result != (int64_t)pattern->size)
				fail(pattern->id);
			slots[k] = (unsigned)events[k].data;
		}
		done += (unsigned long)n;
		if (now() < end)
			submit(pattern, requests, slots, n);
		else
			in_flight -= n;
	}
	return done;
}

static void measure(const struct pattern *pattern, double seconds)
{
	double start = now(), took, rate;
	unsigned long done = 0;

	next_offset = 0;
	if (pattern->depth > 1) {
		done = many(pattern, start + seconds);
	} else {
		do {
			one(pattern);
			done++;
		} while (now() - start < seconds);
	}
	took = now() - start;
	rate = (double)done / took;
	if (strcmp(pattern->unit, "us") == 0)
		rate = 1e6 / rate;
	else if (strcmp(pattern->unit, "MB/s") == 0)
		rate *= pattern->size / 1e6;
	printf("%s %.6g %s\n", pattern->id, rate, pattern->unit);
	fflush(stdout);
}

/* Every block is written, so that no read finds a hole. */
static void make_file(int flags)
{
	uint64_t at;

	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | flags, 0600);
	if (fd < 0)
		fail(path);
	memset(buffer, 'd', REQUEST_MAX);
	for (at = 0; at < span; at += REQUEST_MAX)
		if (pwrite(fd, buffer, REQUEST_MAX, (off_t)at) != REQUEST_MAX)
			fail("write");
	if (fdatasync(fd) < 0)
		fail("fdatasync");
}

static const struct pattern *find(const char *id)
{
	size_t i;

	for (i = 0; i < PATTERNS; i++)
		if (strcmp(patterns[i].id, id) == 0)
			return &patterns[i];
	return NULL;
}

int main(int argc, char **argv)
{
	int i;

	for (i = 5; i < argc && find(argv[i]); i++)
		;
	if (argc < 6 || i < argc || atoi(argv[2]) < 1 || atof(argv[3]) <= 0) {
		fprintf(stderr, "usage: disk FILE MIB SECONDS direct|cached PATTERN...\n");
		return EXIT_FAILURE;
	}
	path = argv[1];
	span = (uint64_t)atoi(argv[2]) << 20;
	make_file(strcmp(argv[4], "direct") == 0 ? O_DIRECT : 0);
	if (syscall(SYS_io_setup, DEPTH_MAX, &context) < 0)
		fail("io_setup");
	for (i = 5; i < argc; i++)
		measure(find(argv[i]), atof(argv[3]));
	unlink(path);
	return EXIT_SUCCESS;
}
