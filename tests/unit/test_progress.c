/* SPDX-License-Identifier: Apache-2.0 */
/* The line about a long operation: on a terminal only, after a while, no wider, and gone at the
 * end. */
#include "vmm/base/progress.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/log.h"

static int master;

/* A terminal of so many columns as stderr, which changes nothing of what is written. */
static void take_stderr(unsigned short columns)
{
	struct winsize window = {.ws_row = 24, .ws_col = columns};
	struct termios mode;
	int slave, unlocked = 0;

	master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(master, 0);
	ck_assert_int_eq(ioctl(master, TIOCSPTLCK, &unlocked), 0);
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	ck_assert_int_ge(slave, 0);
	ck_assert_int_eq(tcgetattr(slave, &mode), 0);
	cfmakeraw(&mode);
	ck_assert_int_eq(tcsetattr(slave, TCSANOW, &mode), 0);
	ck_assert_int_eq(ioctl(slave, TIOCSWINSZ, &window), 0);
	ck_assert_int_eq(dup2(slave, STDERR_FILENO), STDERR_FILENO);
	close(slave);
}

static const char *said(void)
{
	static char text[4096];
	ssize_t got = read(master, text, sizeof(text) - 1);

	text[got > 0 ? got : 0] = '\0';
	return text;
}

/* So long that the line appears with the next bytes. */
static void wait_for_line(void)
{
	usleep(1100000);
}

START_TEST(a_long_operation_is_shown_and_erased)
{
	take_stderr(80);
	progress_add(1); /* of nothing */
	progress_begin("reading %s", "x\n");
	progress_add(MIB(3));
	ck_assert_str_eq(said(), "");
	wait_for_line();
	progress_add(MIB(2));
	ck_assert_str_eq(said(), "\rcordon: reading x\\x0a: 5 MiB");
	progress_add(MIB(2));
	ck_assert_str_eq(said(), ""); /* not again so soon */
	log_warning("w");
	ck_assert_str_eq(said(), "\r                            \rcordon: warning: w\n");
	progress_end();
	progress_add(MIB(2));
	ck_assert_str_eq(said(), "");
}
END_TEST

START_TEST(the_line_fits)
{
	const char *end;
	char name[300];

	take_stderr(50);
	memset(name, 'n', sizeof(name));
	memcpy(name + 16, "\xc3\xa4", 2); /* is not cut in two */
	name[299] = '\0';
	progress_begin("r %s", name);
	wait_for_line();
	progress_add(1);
	ck_assert_str_eq(said(), "\rcordon: r nnnnnnnnnnnnnnnn: 0 MiB");
	progress_end();
	end = said();
	ck_assert(end[0] == '\r' && end[strlen(end) - 1] == '\r');
}
END_TEST

START_TEST(nothing_is_shown_elsewhere)
{
	int pipes[2];

	take_stderr(80);
	log_set_level(LOG_LEVEL_ERROR);
	progress_begin("quiet");
	wait_for_line();
	progress_add(1);
	progress_end();
	ck_assert_str_eq(said(), "");
	log_set_level(LOG_LEVEL_WARNING);
	ck_assert_int_eq(pipe2(pipes, O_NONBLOCK), 0);
	dup2(pipes[1], STDERR_FILENO);
	master = pipes[0];
	progress_begin("no terminal");
	wait_for_line();
	progress_add(1);
	progress_end();
	ck_assert_str_eq(said(), "");
}
END_TEST

UNIT_MAIN("progress", a_long_operation_is_shown_and_erased, the_line_fits,
	  nothing_is_shown_elsewhere)
