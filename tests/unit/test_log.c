/* SPDX-License-Identifier: Apache-2.0 */
/* Messages, and the console's last lines, as they arrive at stderr. */
#include "vmm/base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/clock.h"
#include "vmm/machine/console.h"

static int reader; /* of the pipe that is stderr */

static void take_stderr(void)
{
	int pipes[2];

	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_int_eq(dup2(pipes[1], STDERR_FILENO), STDERR_FILENO);
	close(pipes[1]);
	reader = pipes[0];
	ck_assert_int_eq(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
}

static const char *said(void)
{
	static char text[65536];
	ssize_t got = read(reader, text, sizeof(text) - 1);

	text[got > 0 ? got : 0] = '\0';
	return text;
}

START_TEST(one_line_with_its_level)
{
	take_stderr();
	log_error("%d is %s", 7, "odd");
	ck_assert_str_eq(said(), "cordon: 7 is odd\n");
	log_warning("x");
	ck_assert_str_eq(said(), "cordon: warning: x\n");
	log_info("not shown");
	ck_assert_str_eq(said(), "");
}
END_TEST

START_TEST(no_message_commands_the_terminal)
{
	take_stderr();
	log_error("no file '%s'", "\033]0;title\a\r\n\177x\tgr\303\274n");
	ck_assert_str_eq(said(),
			 "cordon: no file '\\x1b]0;title\\x07\\x0d\\x0a\\x7fx\tgr\303\274n'\n");
}
END_TEST

/* Without a reader: every line fits or is lost, and no writer waits (check(3) would time out). */
START_TEST(no_writer_waits_for_a_reader)
{
	unsigned i;

	take_stderr();
	log_set_level(LOG_LEVEL_INFO);
	for (i = 0; i < 20000; i++)
		log_info("an unread line, number %u", i);
	log_error("an error waits a moment, once");
	log_error("and not again");
	log_error("and again");
	ck_assert_ptr_nonnull(strstr(said(), "number 0\n"));
	/* Once the lines are read, the next one gets through. */
	while (said()[0])
		continue;
	log_error("here");
	ck_assert_str_eq(said(), "cordon: here\n");
}
END_TEST

static void show(const char *output, size_t length, unsigned lines)
{
	struct console console;

	ck_assert_int_eq(console_init(&console, NULL, -1), 0);
	console_output(&console, (const uint8_t *)output, length);
	console_print_tail(&console, lines);
	console_destroy(&console);
}

START_TEST(lines_of_a_guest_have_a_rate)
{
	unsigned lines = 0, i;
	uint64_t begun = clock_now_ns(CLOCK_MONOTONIC), passed;
	const char *text;

	take_stderr();
	log_set_level(LOG_LEVEL_INFO);
	for (i = 0; i < 1000; i++)
		log_guest("number %u", i);
	passed = clock_now_ns(CLOCK_MONOTONIC) - begun;
	for (text = said(); (text = strchr(text, '\n')); text++)
		lines++;
	ck_assert_uint_ge(lines, LOG_GUEST_SECOND);
	ck_assert_uint_le(lines, LOG_GUEST_SECOND * (2 + passed / 1000000000));
}
END_TEST

START_TEST(last_lines_of_the_console)
{
	static const char output[] = "one\r\ntwo\r\n\033[2Jthree\377\r\n\r\n";

	take_stderr();
	show(output, sizeof(output) - 1, 2);
	ck_assert_str_eq(said(), "cordon: console: two\ncordon: console: \\x1b[2Jthree\\xff\n");
}
END_TEST

START_TEST(an_endless_line_is_cut)
{
	static char output[CONSOLE_TAIL];
	const char *text;

	take_stderr();
	memset(output, '\033', sizeof(output));
	show(output, sizeof(output), 16);
	text = said();
	ck_assert_uint_lt(strlen(text), 1024);
	ck_assert_ptr_nonnull(strstr(text, "console: \\x1b\\x1b"));
	ck_assert_ptr_nonnull(strstr(text, " ...\n"));
}
END_TEST

UNIT_MAIN("log", one_line_with_its_level, no_message_commands_the_terminal,
	  no_writer_waits_for_a_reader, lines_of_a_guest_have_a_rate, last_lines_of_the_console,
	  an_endless_line_is_cut)
