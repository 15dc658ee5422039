/* SPDX-License-Identifier: Apache-2.0 */
/* `cordon attach`: marks of the shell, and lines as real shells run them. */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/support/unit.h"
#include "vmm/base/fd.h"
#include "vmm/cli/attach_encode.h"
#include "vmm/cli/attach_marks.h"

#define TOKEN		 "0123456789abcdef0123456789abcdef"
#define OTHER		 "0123456789abcdef0123456789abcdee"
#define MARK(kind, rest) "\033]133;" kind ";" TOKEN ";" rest "\a"

/* --- marks ------------------------------------------------------------------------------------ */

/* What came, in order: text as it is, marks as "{D 3 7 /tmp}", "{P}", "{C}". */
static char seen[1 << 17];

static void add_text(void *arg, const char *bytes, size_t length)
{
	size_t used = strlen(seen);

	ck_assert_ptr_eq(arg, seen);
	ck_assert_uint_gt(length, 0);
	ck_assert_uint_lt(used + length, sizeof(seen));
	memcpy(seen + used, bytes, length);
	seen[used + length] = '\0';
}

static void add_mark(void *arg, enum mark mark, const struct marks_prompt *prompt)
{
	char text[2048];

	if (mark == MARK_PROMPT)
		snprintf(text, sizeof(text), "{D %d %u %s}", prompt->status, prompt->pid,
			 prompt->directory);
	else
		snprintf(text, sizeof(text), "{%c}", mark == MARK_MORE ? 'P' : 'C');
	add_text(arg, text, strlen(text));
}

static const struct marks_ops ops = {add_text, add_mark};

/* Feeds the bytes in chunks of each size up to their length: it must make no difference. */
static void check_marks(const char *bytes, const char *expected)
{
	size_t length = strlen(bytes), step, at, part;
	struct marks marks;

	for (step = 1; step <= length; step++) {
		seen[0] = '\0';
		marks_init(&marks, TOKEN, &ops, seen);
		for (at = 0; at < length; at += part) {
			part = length - at < step ? length - at : step;
			marks_feed(&marks, bytes + at, part);
		}
		marks_end(&marks);
		ck_assert_str_eq(seen, expected);
	}
}

START_TEST(marks_are_told_from_text)
{
	check_marks("a" MARK("D", "0;7;/tmp") "b", "a{D 0 7 /tmp}b");
	check_marks(MARK("C", "") "out" MARK("D", "255;1;/"), "{C}out{D 255 1 /}");
	check_marks(MARK("P", "") MARK("P", ""), "{P}{P}");
	check_marks(MARK("D", "1;2;"), "{D 1 2 }");
	check_marks(MARK("D", "1;2;a;b\033]c"), "{D 1 2 a;b\033]c}");
	check_marks("\033[1m\033]0;title\a\033\033" MARK("C", ""),
		    "\033[1m\033]0;title\a\033\033{C}");
}
END_TEST

START_TEST(text_that_looks_like_a_mark_stays)
{
	static const char *const text[] = {
		"\033]133;D;" OTHER ";0;1;/\a", /* another token */
		"\033]133;D;0;1;/\a",		/* none */
		"\033]133;D\a",
		"\033]133;A;" TOKEN ";\a",	  /* a kind that is not ours */
		"\033]133;D;" TOKEN ";256;1;/\a", /* not a status */
		"\033]133;D;" TOKEN ";;1;/\a",
		"\033]133;D;" TOKEN ";-1;1;/\a",
		"\033]133;D;" TOKEN ";1;99999999999;/\a",
		"\033]133;D;" TOKEN ";1\a",
		"\033]133;C;" TOKEN ";more\a",
		("\033]133;D;" TOKEN), /* it ends there */
		"\033",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(text); i++)
		check_marks(text[i], text[i]);
}
END_TEST

/* A directory longer than any is: nothing is lost, and the parser goes on. */
START_TEST(marks_without_an_end)
{
	char bytes[3 * MARKS_LONGEST];
	struct marks marks;
	size_t length = (size_t)snprintf(bytes, sizeof(bytes), "\033]133;D;%s;0;1;", TOKEN);

	memset(bytes + length, 'x', sizeof(bytes) - length);
	seen[0] = '\0';
	marks_init(&marks, TOKEN, &ops, seen);
	marks_feed(&marks, bytes, sizeof(bytes));
	marks_feed(&marks, MARK("C", ""), strlen(MARK("C", "")));
	ck_assert_uint_eq(strlen(seen), sizeof(bytes) + 3);
	ck_assert_int_eq(memcmp(seen, bytes, sizeof(bytes)), 0);
	ck_assert_str_eq(seen + sizeof(bytes), "{C}");
}
END_TEST

START_TEST(tokens_differ)
{
	char one[MARKS_TOKEN + 1], two[MARKS_TOKEN + 1];

	ck_assert_int_eq(marks_make_token(one), 0);
	ck_assert_int_eq(marks_make_token(two), 0);
	ck_assert_uint_eq(strspn(one, "0123456789abcdef"), MARKS_TOKEN);
	ck_assert_str_ne(one, two);
}
END_TEST

/* --- a real shell ----------------------------------------------------------------------------- */

static const char *const dash[] = {"dash", "-i", NULL};
static const char *const ash[] = {"busybox", "ash", "-i", NULL};
static const char *const bash[] = {"bash", "--norc", "--noprofile", "--noediting", "-i", NULL};
static const char *const *const shells[] = {dash, ash, bash};

struct shell_run {
	int fd;
	pid_t pid;
	struct marks marks;
};

static void start_shell(struct shell_run *run, const char *const *argv)
{
	char *env[ENCODE_ENV_MAX + 1];
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	int i;

	ck_assert_int_eq(encode_env(TOKEN, env), 0);
	run->pid = forkpty(&run->fd, NULL, NULL, &size);
	ck_assert_int_ge(run->pid, 0);
	if (run->pid == 0) {
		unsetenv("ENV");
		setenv("TERM", "xterm", 1);
		for (i = 0; env[i]; i++)
			putenv(env[i]);
		if (chdir("/tmp") == 0)
			execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	for (i = 0; env[i]; i++)
		free(env[i]);
	marks_init(&run->marks, TOKEN, &ops, seen);
}

static void read_some(struct shell_run *run)
{
	struct pollfd ready = {.fd = run->fd, .events = POLLIN};
	char bytes[4096];
	ssize_t n;

	ck_assert_msg(poll(&ready, 1, 20000) == 1, "nothing follows %s", seen);
	n = read(run->fd, bytes, sizeof(bytes));
	ck_assert_int_gt(n, 0);
	marks_feed(&run->marks, bytes, (size_t)n);
}

/* Reads until the shell waits: what came last is a prompt. */
static void read_prompt(struct shell_run *run)
{
	do
		read_some(run);
	while (!strstr(seen, "{D ") && !strstr(seen, "{P}"));
}

/* Sends encoded lines, and returns what came between the last start mark and the prompt. */
static const char *run_encoded(struct shell_run *run, char *text)
{
	char *line, *rest = text, *start;

	while ((line = strsep(&rest, "\n")) && rest) {
		ck_assert_uint_le(strlen(line), 1023);
		seen[0] = '\0';
		ck_assert_int_eq(fd_write_full(run->fd, line, strlen(line)), 0);
		ck_assert_int_eq(fd_write_full(run->fd, "\n", 1), 0);
		read_prompt(run);
	}
	free(text);
	start = strstr(seen, "{C}");
	return start ? start + 3 : "";
}

static const char *run_line(struct shell_run *run, const char *line)
{
	struct err err;
	char *text;

	ck_assert_int_eq(encode_command(line, false, &text, &err), 0);
	return run_encoded(run, text);
}

static const char *run_more(struct shell_run *run, const char *line)
{
	struct err err;
	bool changed;
	char *text;

	ck_assert_int_eq(encode_more(line, false, &text, &changed, &err), 0);
	return run_encoded(run, text);
}

static void expect(const char *got, const char *output, int status)
{
	char end[64];

	snprintf(end, sizeof(end), "{D %d ", status);
	ck_assert_msg(strncmp(got, output, strlen(output)) == 0 &&
			      strncmp(got + strlen(output), end, strlen(end)) == 0,
		      "expected %s%s, got %s", output, end, got);
}

static void end_shell(struct shell_run *run)
{
	kill(run->pid, SIGKILL);
	waitpid(run->pid, NULL, 0);
	close(run->fd);
}

static void start_with_marks(struct shell_run *run, const char *const *argv)
{
	seen[0] = '\0';
	start_shell(run, argv);
	ck_assert_int_eq(fd_write_full(run->fd, encode_setup, strlen(encode_setup)), 0);
	read_prompt(run);
}

static void in_each_shell(void (*check)(struct shell_run *run))
{
	struct shell_run run;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shells); i++) {
		start_with_marks(&run, shells[i]);
		check(&run);
		end_shell(&run);
	}
}

static void check_lines(struct shell_run *run)
{
	char line[8192] = "printf %s ", *end = line + strlen(line);

	expect(run_line(run, "cd /"), "", 0);
	ck_assert_ptr_nonnull(strstr(seen, " /}"));
	expect(run_line(run, "x='a b'; false"), "", 1);
	expect(run_line(run, "echo \"$? $x\""), "1 a b\r\n", 0);
	expect(run_line(run, ""), "", 0);
	expect(run_line(run, "# nothing"), "", 0);
	expect(run_line(run, "(exit 7)"), "", 7);
	expect(run_line(run, "printf '%s|' $? 'a\tb\\n' \"\303\244\""), "7|a\tb\\n|\303\244|", 0);
	expect(run_line(run, "(exit 9)"), "", 9);
	/* A long line, and one with control characters, arrive whole and keep $?. */
	memset(end, 'z', 5000);
	strcpy(end + 5000, "$?");
	ck_assert_int_eq(strncmp(run_line(run, line), end, 5000), 0);
	ck_assert_ptr_nonnull(strstr(seen, "z9{D"));
	expect(run_line(run, "printf '\001\033' | od -An -c"), " 001 033\r\n", 0);
	/* A shell within has prompts of its own. */
	expect(run_line(run, "env | grep ']133;'"), "", 1);
}

/* The lines do in each shell what they would do if they were typed there. */
START_TEST(lines_run_in_a_shell)
{
	in_each_shell(check_lines);
}
END_TEST

static void check_several_lines(struct shell_run *run)
{
	run_line(run, "for i in 1 2");
	ck_assert_ptr_nonnull(strstr(seen, "{P}"));
	run_more(run, "do echo \"<$i>\"");
	ck_assert_ptr_nonnull(strstr(seen, "{P}"));
	expect(run_more(run, "done"), "<1>\r\n<2>\r\n", 0);
	run_line(run, "cat <<END");
	run_more(run, "\tx");
	ck_assert_ptr_nonnull(strstr(seen, "{P}"));
	expect(run_more(run, "END"), "        x\r\n", 0);
	/* A wrong line does not start. */
	run_line(run, ")");
	ck_assert_ptr_null(strstr(seen, "{C}"));
	ck_assert_ptr_nonnull(strstr(seen, "{D 2 "));
}

START_TEST(commands_of_several_lines)
{
	in_each_shell(check_several_lines);
}
END_TEST

static void send_text(struct shell_run *run, const char *text)
{
	ck_assert_int_eq(fd_write_full(run->fd, text, strlen(text)), 0);
}

/* A line editor may draw its prompt again, so the prompt that counts follows the start mark. */
static const char *read_output(struct shell_run *run)
{
	const char *start;

	do
		read_some(run);
	while (!(start = strstr(seen, "{C}")) || !strstr(start, "{D "));
	return start + 3;
}

/* Types while a command runs, and sends the next line as soon as the shell waits for one. */
static const char *run_ahead(struct shell_run *run, const char *typed, const char *line)
{
	struct err err;
	char *text;

	seen[0] = '\0';
	send_text(run, "__cordon;sleep 0.1\n");
	usleep(20000);
	send_text(run, typed);
	read_output(run);
	seen[0] = '\0';
	ck_assert_int_eq(encode_command(line, false, &text, &err), 0);
	send_text(run, encode_clear);
	send_text(run, text);
	free(text);
	return read_output(run);
}

static void check_typed_ahead(struct shell_run *run)
{
	static const char *const typed[] = {
		"echo glued; ",
		/* The cursor is not at the end. */
		"echo glued\001",
		"echo glued\033[D\033[D\033[D",
		"echo glued\033[H\033[1;5C",
		/* Sequences without an end, and one of no key. */
		"echo glued; \033",
		"echo glued; \033[",
		"echo glued; \033O",
		"echo glued; \033[1;",
		"echo glued; \033[200",
		"\001\033",
		"echo glued; \033\033\033",
		/* A quote for the next key, a search, a character without its end. */
		"echo glued; \026",
		"\022echo",
		"echo glued; \303",
		"echo glued; \360\237",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(typed); i++) {
		expect(run_ahead(run, typed[i], "echo whole $?"), "whole 0\r\n", 0);
	}
	/* Behind the first line of a command. */
	run_line(run, "for i in 1 2");
	ck_assert_ptr_nonnull(strstr(seen, "{P}"));
	send_text(run, "echo glued\001\033");
	send_text(run, encode_clear);
	seen[0] = '\0';
	send_text(run, "do echo \"<$i>\"; done\n");
	while (!strstr(seen, "{D "))
		read_some(run);
	ck_assert_msg(strstr(seen, "{C}<1>\r\n<2>\r\n{D 0 ") != NULL, "%s", seen);
}

/* Text that was typed ahead without its end never becomes part of the next line. */
START_TEST(what_was_typed_ahead_is_discarded)
{
	in_each_shell(check_typed_ahead);
}
END_TEST

UNIT_MAIN("attach", marks_are_told_from_text, text_that_looks_like_a_mark_stays,
	  marks_without_an_end, tokens_differ, lines_run_in_a_shell, commands_of_several_lines,
	  what_was_typed_ahead_is_discarded)
