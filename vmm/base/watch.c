/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/clock.h"
#include "vmm/base/fd.h"

#define VARIABLE "CORDON_LOCK_WATCH"

struct times {
	uint64_t wall_ns;
	uint64_t processor_ns; /* of the thread: a busy host is not the holder's doing */
};

struct watch {
	int fd;
	struct times taken, called;
	unsigned calls;
	const void *function, *longest; /* in progress; that took longest in this hold */
	uint64_t longest_ns;
};

/* Where the program is loaded: the linker defines it. */
extern const char __ehdr_start[];

static struct times now(void)
{
	return (struct times){
		.wall_ns = clock_now_ns(CLOCK_MONOTONIC),
		.processor_ns = clock_now_ns(CLOCK_THREAD_CPUTIME_ID),
	};
}

struct watch *watch_create(void)
{
	const char *path = getenv(VARIABLE);
	struct watch *watch;

	if (!path || !*path)
		return NULL;
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return NULL;
	watch->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (watch->fd >= 0)
		return watch;
	free(watch);
	return NULL;
}

void watch_destroy(struct watch *watch)
{
	if (!watch)
		return;
	fd_close(&watch->fd);
	free(watch);
}

void watch_begin(struct watch *watch)
{
	if (!watch)
		return;
	watch->taken = now();
	watch->calls = 0;
	watch->function = NULL;
	watch->longest = NULL;
	watch->longest_ns = 0;
}

static void end_call(struct watch *watch, const struct times *end)
{
	uint64_t took = end->wall_ns - watch->called.wall_ns;

	if (!watch->function)
		return;
	if (took >= watch->longest_ns) {
		watch->longest_ns = took;
		watch->longest = watch->function;
	}
	watch->function = NULL;
}

void watch_call(struct watch *watch, const void *function)
{
	struct times begin;

	if (!watch)
		return;
	begin = now();
	end_call(watch, &begin);
	watch->called = begin;
	watch->function = function;
	watch->calls++;
}

/*
 * Functions are told by their offsets in the program, since most are static: `addr2line -f -e
 * PROGRAM OFFSET` has their names.
 */
static void report(const struct watch *watch, const struct times *held, const void *holder,
		   uint64_t access)
{
	const void *where = holder ? holder : watch->longest;
	char line[512];
	int length;

	length = snprintf(
		line, sizeof(line),
		"held=%llu processor=%llu by=%s calls=%u longest=%llu at=0x%llx access=0x%llx "
		"program=%s\n",
		(unsigned long long)held->wall_ns / 1000000,
		(unsigned long long)held->processor_ns / 1000000, holder ? "thread" : "loop",
		watch->calls, (unsigned long long)watch->longest_ns / 1000000,
		where ? (unsigned long long)((const char *)where - __ehdr_start) : 0,
		(unsigned long long)access, program_invocation_short_name);
	if (length > 0 && (size_t)length < sizeof(line) &&
	    write(watch->fd, line, (size_t)length) < 0) {
		/* The report is lost; the sandbox goes on. */
	}
}

void watch_end(struct watch *watch, const void *holder, uint64_t access)
{
	struct times end, held;

	if (!watch || watch->taken.wall_ns == 0)
		return;
	end = now();
	end_call(watch, &end);
	held.wall_ns = end.wall_ns - watch->taken.wall_ns;
	held.processor_ns = end.processor_ns - watch->taken.processor_ns;
	if (held.wall_ns > WATCH_HOLD_NS)
		report(watch, &held, holder, access);
	watch->taken.wall_ns = 0;
}
