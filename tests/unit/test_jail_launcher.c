/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher, with monitors that work and that end. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/launcher_common.h"

/* --- a monitor that works --------------------------------------------------------------------- */

static struct loop *loop;
static struct launcher *launcher;

struct seen {
	struct launcher_call call;
	unsigned parts, done;
	int result, status, fd;
	size_t length;
	char text[LAUNCHER_BYTES];
};

static void on_part(void *arg, struct launcher_message *message)
{
	struct seen *seen = arg;

	seen->parts++;
	seen->length = message->length;
	memcpy(seen->text, message->bytes, message->length);
	if (message->length == sizeof(seen->status))
		memcpy(&seen->status, message->bytes, sizeof(seen->status));
	if (message->fds == 1 && seen->fd < 0) {
		seen->fd = message->fd[0];
		message->fd[0] = -1;
	}
}

static void on_done(void *arg, int result)
{
	struct seen *seen = arg;

	seen->done++;
	seen->result = result;
	loop_stop(loop);
}

static void setup(void)
{
	struct err err;

	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(launcher_start(&launcher, loop, &config, &err), 0);
}

static void teardown(void)
{
	launcher_destroy(launcher);
	loop_destroy(loop);
}

static struct seen *seen_new(void)
{
	struct seen *seen = calloc(1, sizeof(*seen));

	ck_assert_ptr_nonnull(seen);
	seen->fd = -1;
	seen->call = (struct launcher_call){.part = on_part, .done = on_done, .arg = seen};
	return seen;
}

static int call(struct seen *seen, const struct launcher_request *request, const void *bytes,
		size_t length, int fd)
{
	struct launcher_message message = {
		.bytes = bytes, .length = length, .fd = {fd}, .fds = fd >= 0};

	return launcher_call(launcher, &seen->call, request, &message);
}

static void wait_done(struct seen *seen)
{
	ck_assert_int_eq(launcher_wait(launcher, &seen->call, HANG_MS), 0);
	ck_assert_uint_eq(seen->done, 1);
}

/* Starts a script that writes to a pipe once it is up, and waits for that. */
static int start_script(struct seen *seen, const struct launcher_request *request)
{
	int fd[2];
	char byte;

	ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
	ck_assert_int_eq(call(seen, request, NULL, 0, fd[1]), 0);
	close(fd[1]);
	ck_assert_int_eq(read(fd[0], &byte, 1), 1);
	return fd[0];
}

/* Waits until no process has the other end of a pipe any more. */
static void wait_all_gone(int fd)
{
	char bytes[64];

	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
	close(fd);
}

START_TEST(a_request_has_a_reply)
{
	struct seen *seen = seen_new(), *again = seen_new();
	static char most[LAUNCHER_BYTES];
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(call(seen, &echo, "abc", 3, fd), 0);
	/* By the loop. */
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(seen->parts, 2);
	ck_assert_uint_eq(seen->done, 1);
	ck_assert_int_eq(seen->result, 0);
	ck_assert_uint_eq(seen->length, 3);
	ck_assert_mem_eq(seen->text, "abc", 3);
	ck_assert_int_ge(seen->fd, 0);
	close(seen->fd);
	/* With as many bytes as there can be. */
	memset(most, 'x', sizeof(most));
	ck_assert_int_eq(call(again, &echo, most, sizeof(most), fd), 0);
	wait_done(again);
	ck_assert_uint_eq(again->length, sizeof(most));
	close(again->fd);
	close(fd);
	free(again);
	free(seen);
}
END_TEST

START_TEST(a_handler_refuses)
{
	struct seen *seen = seen_new();

	ck_assert_int_eq(call(seen, &refuse, NULL, 0, -1), 0);
	wait_done(seen);
	ck_assert_int_eq(seen->result, -EACCES);
	ck_assert_uint_eq(seen->parts, 0);
	ck_assert_int_eq(call(seen, &other, NULL, 0, -1), -ENOENT);
	free(seen);
}
END_TEST

/* Its own socket, the standard streams, and what the table's handlers keep. */
START_TEST(it_has_no_other_descriptor)
{
	struct seen *seen = seen_new();
	int kept = open("/dev/null", O_RDONLY), other_fd = dup(kept), next[2];
	char expected[128];

	launcher_destroy(launcher);
	/* The pair of sockets gets these numbers; it has the second. */
	next[0] = dup(kept);
	next[1] = dup(kept);
	close(next[0]);
	close(next[1]);
	config.keep[0] = kept;
	config.keeps = 1;
	ck_assert_int_eq(launcher_start(&launcher, loop, &config, NULL), 0);
	ck_assert_int_eq(call(seen, &look, NULL, 0, -1), 0);
	wait_done(seen);
	snprintf(expected, sizeof(expected), "0 1 2 %d %d %s 1 0", kept, next[1], LAUNCHER_NAME);
	ck_assert_str_eq(seen->text, expected);
	close(kept);
	close(other_fd);
	free(seen);
}
END_TEST

/* With what the child has left running. */
START_TEST(a_childs_end_is_told)
{
	struct seen *seen = seen_new();
	int fd = start_script(seen, &leave);

	wait_done(seen);
	ck_assert_int_eq(seen->result, 0);
	ck_assert_int_eq(seen->status, 7 << 8);
	wait_all_gone(fd);
	free(seen);
}
END_TEST

START_TEST(a_stubborn_child_ends_with_its_call)
{
	struct seen *seen = seen_new(), *after = seen_new();
	int fd = start_script(seen, &hold);

	launcher_cancel(launcher, &seen->call);
	wait_all_gone(fd);
	/* No callback for it, and the launcher goes on. */
	ck_assert_int_eq(call(after, &look, NULL, 0, -1), 0);
	wait_done(after);
	ck_assert_uint_eq(seen->done + seen->parts, 0);
	/* Twice is harmless. */
	launcher_cancel(launcher, &seen->call);
	free(after);
	free(seen);
}
END_TEST

START_TEST(a_wait_has_an_end)
{
	struct seen *seen = seen_new();
	int fd = start_script(seen, &hold);

	ck_assert_int_eq(launcher_wait(launcher, &seen->call, 10), -ETIME);
	wait_all_gone(fd);
	free(seen);
}
END_TEST

START_TEST(a_stubborn_child_ends_with_the_launcher)
{
	struct seen *seen = seen_new();
	int fd = start_script(seen, &hold);

	launcher_destroy(launcher);
	launcher = NULL;
	wait_all_gone(fd);
	free(seen);
}
END_TEST

START_TEST(calls_are_bounded)
{
	struct seen *seen[LAUNCHER_CALLS], *more = seen_new();
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC), up;
	unsigned i;

	for (i = 0; i < LAUNCHER_CALLS - 1; i++) {
		seen[i] = seen_new();
		ck_assert_int_eq(call(seen[i], &hold, NULL, 0, fd), 0);
	}
	seen[i] = seen_new();
	up = start_script(seen[i], &hold);
	ck_assert_int_eq(call(more, &look, NULL, 0, -1), -EBUSY);
	/* Once one has ended there is room. */
	launcher_cancel(launcher, &seen[0]->call);
	for (i = 1; i < LAUNCHER_CALLS - 1 && call(more, &look, NULL, 0, -1) == -EBUSY; i++)
		launcher_wait(launcher, &seen[i]->call, 1);
	wait_done(more);
	launcher_destroy(launcher);
	launcher = NULL;
	wait_all_gone(up);
	for (i = 0; i < LAUNCHER_CALLS; i++)
		free(seen[i]);
	free(more);
	close(fd);
}
END_TEST

START_TEST(a_launcher_that_ends_fails_its_calls)
{
	struct seen *seen = seen_new(), *after = seen_new();
	int fd = start_script(seen, &hold);

	ck_assert_int_gt(launcher_pid(launcher), 0);
	/* The first two are not for it. */
	ck_assert_int_eq(kill(launcher_pid(launcher), SIGTERM), 0);
	ck_assert_int_eq(kill(launcher_pid(launcher), SIGHUP), 0);
	ck_assert_int_eq(call(after, &look, NULL, 0, -1), 0);
	wait_done(after);
	ck_assert_int_eq(after->result, 0);
	ck_assert_int_eq(kill(launcher_pid(launcher), SIGUSR1), 0);
	wait_done(seen);
	ck_assert_int_eq(seen->result, -EPIPE);
	wait_all_gone(fd);
	ck_assert_int_eq(launcher_pid(launcher), 0);
	ck_assert_int_eq(call(seen, &look, NULL, 0, -1), -EPIPE);
	free(after);
	free(seen);
}
END_TEST

/* --- a monitor that ends ---------------------------------------------------------------------- */

START_TEST(it_ends_with_a_monitor_that_is_killed)
{
	int fd[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		setup();
		if (call(seen_new(), &hold, NULL, 0, fd[1]) < 0)
			_exit(1);
		pause();
	}
	close(fd[1]);
	ck_assert_int_eq(read(fd[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	wait_all_gone(fd[0]);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("launcher");
	TCase *works = tcase_create("works"), *ends = tcase_create("ends");

	/* A busy host takes long to start so many shells. */
	tcase_set_timeout(works, 60);
	tcase_add_checked_fixture(works, setup, teardown);
	tcase_add_test(works, a_request_has_a_reply);
	tcase_add_test(works, a_handler_refuses);
	tcase_add_test(works, it_has_no_other_descriptor);
	tcase_add_test(works, a_childs_end_is_told);
	tcase_add_test(works, a_stubborn_child_ends_with_its_call);
	tcase_add_test(works, a_wait_has_an_end);
	tcase_add_test(works, a_stubborn_child_ends_with_the_launcher);
	tcase_add_test(works, calls_are_bounded);
	tcase_add_test(works, a_launcher_that_ends_fails_its_calls);
	tcase_add_test(ends, it_ends_with_a_monitor_that_is_killed);
	suite_add_tcase(s, works);
	suite_add_tcase(s, ends);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
