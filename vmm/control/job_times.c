/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control/job_times.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

/* "TIME STDOUT STDERR\n", of fixed width, so that a line is found by its number. */
#define TIME_MAX  UINT64_C(9999999999)
#define PLACE_MAX UINT64_C(9999999)
#define LINE	  (10 + 1 + 7 + 1 + 7 + 1)

void job_times_init(struct job_times *times, int fd)
{
	*times = (struct job_times){.fd = fd, .seconds = 1};
}

/*
 * Joins each span with the next one: its end is that of the second, its beginning the first's. What
 * was behind them is filled with the last one, until new spans take its place.
 */
static bool join(struct job_times *times)
{
	char line[JOB_TIMES_MAX][LINE];
	unsigned i;

	if (fd_pread_full(times->fd, line, sizeof(line), 0) != sizeof(line))
		return false;
	for (i = 0; i < JOB_TIMES_MAX / 2; i++) {
		memmove(line[i], line[2 * i], LINE);
		memcpy(line[i], line[2 * i + 1], 10);
	}
	for (; i < JOB_TIMES_MAX; i++)
		memcpy(line[i], line[JOB_TIMES_MAX / 2 - 1], LINE);
	times->spans = JOB_TIMES_MAX / 2;
	times->seconds *= 2;
	return pwrite(times->fd, line, sizeof(line), 0) == sizeof(line);
}

/* Without the later spans, the earlier ones would tell that newer output is old. */
static void give_up(struct job_times *times)
{
	if (ftruncate(times->fd, 0) < 0) {
		/* What is there stays, and is too old. */
	}
	times->fd = -1;
}

void job_times_note(struct job_times *times, uint64_t now, const uint64_t at[2])
{
	char line[LINE + 1];

	if (times->fd < 0 || (times->spans > 0 && now < times->until))
		return;
	/* A clock that was set back must not make later output older. */
	times->until = max_u64(now, times->until) + times->seconds;
	if (times->spans == JOB_TIMES_MAX && !join(times)) {
		give_up(times);
		return;
	}
	snprintf(line, sizeof(line), "%010" PRIu64 " %07" PRIu64 " %07" PRIu64 "\n",
		 min_u64(times->until, TIME_MAX), min_u64(at[0], PLACE_MAX),
		 min_u64(at[1], PLACE_MAX));
	if (pwrite(times->fd, line, LINE, (off_t)times->spans * LINE) == LINE)
		times->spans++;
	else
		give_up(times);
}

/* A number of fixed width that begins here and ends in this character. */
static bool take(const char *text, unsigned digits, char end, uint64_t *number)
{
	unsigned i;

	*number = 0;
	for (i = 0; i < digits; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		*number = *number * 10 + (uint64_t)(text[i] - '0');
	}
	return text[digits] == end;
}

off_t job_times_find(int fd, uint64_t since, unsigned stream)
{
	char line[JOB_TIMES_MAX][LINE];
	uint64_t until, at[2];
	ssize_t i, count = fd_pread_full(fd, line, sizeof(line), 0) / LINE;

	for (i = 0; i < count; i++) {
		if (!take(line[i], 10, ' ', &until) || !take(line[i] + 11, 7, ' ', &at[0]) ||
		    !take(line[i] + 19, 7, '\n', &at[1]))
			return 0;
		if (until >= since)
			return (off_t)at[stream];
	}
	return count > 0 ? INT64_MAX : 0;
}
