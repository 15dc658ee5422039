/* SPDX-License-Identifier: Apache-2.0 */
/* The watch over the device lock: what holds it for long is reported, by the loop and by others. */
#include "vmm/base/watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/loop.h"

static char path[] = "/tmp/cordon-watch.XXXXXX";

static void hold(void)
{
	uint64_t until = loop_now_ns() + 2 * WATCH_HOLD_NS;

	while (loop_now_ns() < until) {
		/* The lock is held. */
	}
}

static void hold_in_loop(void *arg)
{
	hold();
	loop_stop(arg);
}

/* Runs a loop with one task, and holds its lock outside of it; returns what was reported. */
static char *report(const char *variable)
{
	static char text[4096];
	struct loop *loop;
	struct loop_task task = {.run = hold_in_loop};
	ssize_t n;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	setenv(variable, path, 1);
	ck_assert_int_eq(loop_create(&loop), 0);
	task.arg = loop;
	loop_defer(loop, &task);
	ck_assert_int_eq(loop_run(loop), 0);
	loop_lock_for(loop, 0xd0001070);
	hold();
	loop_unlock(loop);
	loop_destroy(loop);
	n = read(fd, text, sizeof(text) - 1);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	close(fd);
	unlink(path);
	return text;
}

START_TEST(holders_are_reported)
{
	char *line = report("CORDON_LOCK_WATCH");

	ck_assert_int_eq(strncmp(line, "held=", 5), 0);
	ck_assert_ptr_nonnull(strstr(line, " by=loop calls=1 longest="));
	ck_assert_ptr_nonnull(strstr(line, " program=test_watch\n"));
	line = strchr(line, '\n') + 1;
	ck_assert_int_eq(strncmp(line, "held=", 5), 0);
	ck_assert_ptr_nonnull(strstr(line, " by=thread "));
	ck_assert_ptr_nonnull(strstr(line, " access=0xd0001070 "));
}
END_TEST

START_TEST(without_the_variable_nothing_is)
{
	unsetenv("CORDON_LOCK_WATCH");
	ck_assert_str_eq(report("CORDON_LOCK_WATCHED"), "");
}
END_TEST

UNIT_MAIN("watch", holders_are_reported, without_the_variable_nothing_is)
