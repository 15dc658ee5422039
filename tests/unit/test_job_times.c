/* SPDX-License-Identifier: Apache-2.0 */
/* Times of a detached command's output. */
#include "vmm/control/job_times.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/unit.h"

#define NOW UINT64_C(1800000000)

static struct job_times times;
static int fd;

static void begin(void)
{
	fd = memfd_create("times", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_ge(fd, 0);
	job_times_init(&times, fd);
}

static void note(uint64_t now, uint64_t out, uint64_t errors)
{
	job_times_note(&times, now, (const uint64_t[2]){out, errors});
}

static off_t found(uint64_t since)
{
	return job_times_find(fd, since, 0);
}

START_TEST(output_is_found_by_its_time)
{
	begin();
	ck_assert_int_eq(found(1), 0); /* nothing is known */
	note(NOW, 0, 0);
	note(NOW, 10, 0);
	note(NOW + 5, 20, 7);
	note(NOW + 5, 30, 9);
	note(NOW + 100, 40, 11);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 3 * 27);
	ck_assert_int_eq(found(0), 0);
	ck_assert_int_eq(found(NOW), 0);
	ck_assert_int_eq(found(NOW + 2), 20);
	ck_assert_int_eq(found(NOW + 5), 20);
	ck_assert_int_eq(job_times_find(fd, NOW + 5, 1), 7);
	ck_assert_int_eq(found(NOW + 7), 40);
	ck_assert_int_eq(found(NOW + 100), 40);
	ck_assert_int_eq(found(NOW + 102), INT64_MAX);
	close(fd);
}
END_TEST

/* Later output is never taken for older output. */
START_TEST(a_clock_may_be_set_back)
{
	begin();
	note(NOW, 0, 0);
	note(NOW - 1000, 10, 0);
	note(NOW + 2, 20, 0);
	ck_assert_int_eq(found(NOW), 0);
	ck_assert_int_eq(found(NOW + 1), 0);
	ck_assert_int_eq(found(NOW + 2), 20);
	close(fd);
}
END_TEST

/* Each second a byte, for a day and more: the file is bounded, and nothing new is left out. */
START_TEST(many_spans_are_joined)
{
	uint64_t i, seconds = 100000, worst = 0;
	off_t at;

	begin();
	for (i = 0; i < seconds; i++)
		note(NOW + i, i, 0);
	ck_assert_int_le(lseek(fd, 0, SEEK_END), JOB_TIMES_MAX * 27);
	ck_assert_int_eq(found(NOW + 2 * seconds), INT64_MAX);
	for (i = 0; i < seconds; i += 99) {
		at = found(NOW + i);
		if (at > (off_t)i)
			ck_abort_msg("output of second %d is left out", (int)i);
		worst = max_u64(worst, i - (uint64_t)at);
	}
	ck_assert_uint_le(worst, 2 * times.seconds);
	ck_assert_uint_eq(times.seconds, 64);
	/* Output that comes seldom keeps its times, however old it is. */
	close(fd);
	begin();
	for (i = 0; i < JOB_TIMES_MAX + 1; i++)
		note(NOW + 3600 * i, 2 * i, 0);
	ck_assert_int_eq(found(NOW + 3600 * 7), 12); /* with its neighbour */
	ck_assert_int_eq(found(NOW + 3600 * 6), 12);
	close(fd);
}
END_TEST

START_TEST(a_forged_file_is_harmless)
{
	static const char *const bad[] = {
		"",
		"x",
		"1800000000 0000001 000000",
		"1800000000 0000001 0000001x",
		"1800000000 000000x 0000001\n",
		"-800000000 0000001 0000001\n",
		"1800000000\n0000001 0000001\n",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		begin();
		ck_assert_int_eq(pwrite(fd, bad[i], strlen(bad[i]), 0), (ssize_t)strlen(bad[i]));
		ck_assert_msg(found(NOW) == 0, "%s", bad[i]);
		close(fd);
	}
	begin();
	ck_assert_int_eq(pwrite(fd, "9999999999 9999999 0000000\n", 27, 0), 27);
	ck_assert_int_eq(found(NOW), 9999999);
	close(fd);
	ck_assert_int_eq(job_times_find(-1, NOW, 0), 0);
}
END_TEST

START_TEST(a_file_that_cannot_be_written_ends_the_notes)
{
	static const uint64_t at[2];

	begin();
	job_times_init(&times, -1);
	job_times_note(&times, NOW, at);
	job_times_init(&times, fd);
	close(fd);
	job_times_note(&times, NOW, at);
	ck_assert_int_eq(times.fd, -1);
}
END_TEST

/* A full disk: what comes afterwards must not seem older than it is. */
START_TEST(a_file_that_can_not_grow_tells_nothing)
{
	begin();
	note(NOW, 0, 0);
	ck_assert_int_eq(found(NOW + 100), INT64_MAX);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	note(NOW + 100, 40, 0);
	ck_assert_int_eq(found(NOW + 100), 0);
	note(NOW + 200, 50, 0);
	ck_assert_int_eq(found(NOW + 200), 0);
	close(fd);
}
END_TEST

UNIT_MAIN("job times", output_is_found_by_its_time, a_clock_may_be_set_back, many_spans_are_joined,
	  a_forged_file_is_harmless, a_file_that_cannot_be_written_ends_the_notes,
	  a_file_that_can_not_grow_tells_nothing)
