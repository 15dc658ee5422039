/* SPDX-License-Identifier: Apache-2.0 */
/* The command of --on-ask: the question on its stdin, its answer, and commands that misbehave. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/approvals_common.h"
#include "vmm/sandbox/approval_answer.h"
#include "vmm/sandbox/approval_json.h"

#define NONE "the command of --on-ask made no decision"
#define BY   "by the command of --on-ask"

/* --- answers ---------------------------------------------------------------------------------- */

static struct approval_answer answer_of(const char *text)
{
	struct approval_answer answer;

	approval_answer_read(&answer, text, strlen(text));
	return answer;
}

static void is_decision(const char *text, enum approval_reply reply, const char *by)
{
	struct approval_answer answer = answer_of(text);

	ck_assert_msg(answer.reply == (int)reply, "%s: %s", text, answer.why);
	ck_assert_str_eq(answer.by, by);
	ck_assert(!answer.is_word);
}

START_TEST(answers_of_one_line)
{
	is_decision("{\"answer\":\"once\"}\n", APPROVAL_ONCE, BY);
	is_decision("{\"answer\":\"session\"}", APPROVAL_SESSION, BY);
	is_decision("{\"answer\":\"always\",\"reason\":\"\"}\n", APPROVAL_ALWAYS, BY);
	is_decision("{\"answer\":\"no\",\"reason\":\"not \\\"this\\\"\"}\n", APPROVAL_NO,
		    BY ": not \"this\"");
	is_decision("{\"answer\":\"never\",\"reason\":null,\"by\":[1]}\n", APPROVAL_NEVER, BY);
	is_decision(" \r\n\t{ \"reason\" : \"\xc3\xa9\", \"answer\" : \"once\" } \r\n\n",
		    APPROVAL_ONCE, BY ": \xc3\xa9");
	/* What would command a terminal or mislead its reader is spelled out. */
	is_decision("{\"answer\":\"no\",\"reason\":\"a\\u001b[31m\\nb\\u202e\\u009b\"}",
		    APPROVAL_NO, BY ": a\\x1b[31m\\x0ab\\u202e\\u009b");
}
END_TEST

START_TEST(a_long_reason_is_cut)
{
	char text[APPROVAL_REASON_MAX * 4], *to = text;
	struct approval_answer answer;
	unsigned i;

	to += sprintf(to, "{\"answer\":\"once\",\"reason\":\"x");
	for (i = 0; i < APPROVAL_REASON_MAX; i++)
		to += sprintf(to, "\xc3\xa9");
	sprintf(to, "\"}\n");
	answer = answer_of(text);
	ck_assert_int_eq(answer.reply, APPROVAL_ONCE);
	/* After a whole character. */
	ck_assert_uint_eq(strlen(answer.by), strlen(BY ": ") + APPROVAL_REASON_MAX - 1);
	ck_assert_uint_lt(strlen(answer.by), APPROVAL_BY);
}
END_TEST

static void is_none(const char *text, const char *why)
{
	struct approval_answer answer = answer_of(text);

	ck_assert_msg(answer.reply == -1 && !answer.is_word, "%s", text);
	ck_assert_str_eq(answer.why, why);
}

START_TEST(answers_that_decide_nothing)
{
	static const char not_json[] = NONE ": its answer is not one line of JSON",
			  silent[] = NONE ": it printed no answer",
			  unknown[] = NONE ": its answer is not once, session, always, no or never",
			  reason[] = NONE ": the reason in its answer is not a string";
	char deep[6000] = "{\"answer\":\"once\",\"x\":";

	is_none("", silent);
	is_none(" \n\n", silent);
	is_none("perhaps\n", not_json);
	is_none("\"once\"\n", not_json);
	is_none("[{\"answer\":\"once\"}]\n", not_json);
	is_none("{", not_json);
	is_none("{\"answer\":\"once\"\n", not_json);
	is_none("{\"answer\":\"once\"}\n{\"answer\":\"once\"}\n", not_json);
	is_none("{\"answer\":\"once\"}\nonce\n", not_json);
	is_none("{\n\"answer\":\"once\"}\n", not_json);
	is_none("{\"answer\":\"once\"}{\"answer\":\"no\"}", not_json);
	is_none("{\"answer\":\"once\",\"answer\":\"no\"}", not_json);
	is_none("{\"answer\":\"once\",\"reason\":\"\xff\"}", not_json);
	is_none("{\"answer\":\"once\",\"reason\":\"\\u0000\"}", not_json);
	is_none("{}", unknown);
	is_none("{\"answer\":\"Once\"}", unknown);
	is_none("{\"answer\":\"once \"}", unknown);
	is_none("{\"answer\":1}", unknown);
	is_none("{\"answer\":[\"once\"]}", unknown);
	is_none("{\"answer\":\"once\",\"reason\":7}", reason);
	memset(deep + strlen(deep), '[', 5000);
	is_none(deep, not_json);
}
END_TEST

/* The form before JSON: the first word counts. */
START_TEST(answers_of_one_word)
{
	struct approval_answer answer = answer_of("\n session and more\nno\n");

	ck_assert_int_eq(answer.reply, APPROVAL_SESSION);
	ck_assert(answer.is_word);
	ck_assert_str_eq(answer.by, BY);
	answer = answer_of("once");
	ck_assert_int_eq(answer.reply, APPROVAL_ONCE);
	ck_assert(answer.is_word);
}
END_TEST

/* --- what it gets ----------------------------------------------------------------------------- */

static json_t *operators_question;

static void on_asked_keep(void *arg, const struct approval *question)
{
	(void)arg;
	json_decref(operators_question);
	operators_question = approval_json(question);
}

/* Asks about an operation. Returns the length of what the command has read on its stdin. */
static size_t gets_the_same(const char *policy_text, const struct policy_request *request)
{
	static const struct approvals_ops ops = {.asked = on_asked_keep, .over = on_over};
	char command[128], path[] = "/tmp/cordon-ask.XXXXXX";
	static char got[256 << 10];
	json_t *read;
	FILE *file;
	size_t n;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	snprintf(command, sizeof(command), "cat >%s && echo '{\"answer\":\"once\"}' #", path);
	begin(command);
	replace_policy(policy_text);
	approvals_set_ops(questions, &ops, NULL);
	approvals_set_requester(questions, request->class, on_answered, NULL);
	ck_assert_int_gt(approvals_ask(questions, request), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_msg(answered_yes, "%s", answered_why);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	n = fread(got, 1, sizeof(got), file);
	fclose(file);
	/* One line, and all of it. */
	ck_assert_uint_gt(n, 1);
	ck_assert_ptr_eq(memchr(got, '\n', n), got + n - 1);
	read = json_loadb(got, n, 0, NULL);
	ck_assert_ptr_nonnull(read);
	ck_assert(json_equal(read, operators_question));
	json_decref(read);
	json_decref(operators_question);
	operators_question = NULL;
	end();
	unlink(path);
	return n;
}

START_TEST(it_gets_what_operators_get)
{
	struct policy_request request = {
		.class = POLICY_NET, .op = POLICY_CONNECT, .net = to("x.test", "192.0.9.1", 22)};
	static char path[POLICY_OBJECT_MAX + 1];

	gets_the_same("policy 1\nnet ask tcp *:*\n", &request);
	request = (struct policy_request){
		.class = POLICY_EXEC, .op = POLICY_RUN, .object = "/bin/a\"b", .length = 8};
	gets_the_same("policy 1\nexec ask /**\n", &request);
	/* The largest one: more than a pipe holds. */
	memset(path, '\\', POLICY_OBJECT_MAX);
	path[0] = '/';
	request = (struct policy_request){.class = POLICY_FILE,
					  .op = POLICY_RENAME,
					  .object = path,
					  .length = POLICY_OBJECT_MAX,
					  .other = path,
					  .other_length = POLICY_OBJECT_MAX};
	ck_assert_uint_gt(gets_the_same("policy 1\n", &request), 65536);
}
END_TEST

/* --- commands that misbehave ------------------------------------------------------------------ */

static void command_says(const char *command, bool yes, const char *why, const char *then)
{
	struct policy_net net = to("x.test", "192.0.9.1", 22);

	begin(command);
	ck_assert_int_gt(ask_about(&net), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(answered, 1);
	ck_assert_msg(answered_yes == yes, "%s: %s", command, answered_why);
	ck_assert_str_eq(answered_why, why);
	ck_assert_str_eq(how, then);
	/* It is gone, with what it has started. */
	on_ask_wait_ended(launcher);
	end();
}

static void allows(const char *command)
{
	command_says(command, true, "an operator allowed it", "once " BY);
}

static void decides_nothing(const char *command, const char *why)
{
	command_says(command, false, why, why);
}

START_TEST(its_reason_is_passed_on)
{
	command_says("echo '{\"answer\":\"no\",\"reason\":\"on a weekend?\"}' #", false,
		     "an operator refused it", "no " BY ": on a weekend?");
	command_says("echo '{\"answer\":\"always\",\"reason\":\"a\\u001b[1m\"}' #", true,
		     "an operator allowed it always", "always " BY ": a\\x1b[1m");
}
END_TEST

START_TEST(it_need_not_read_the_question)
{
	allows("echo '{\"answer\":\"once\"}' #");
	allows("exec <&-; echo '{\"answer\":\"once\"}' #");
	allows("head -c 1 >/dev/null; echo '{\"answer\":\"once\"}' #");
	/* Nor are what it leaves behind, and how it writes, waited for. */
	allows("sleep 1000 & echo '{\"answer\":\"once\"}' #");
	allows("printf '{\"answer\":'; sleep 0.1; printf '\"once\"}'; exec >&-; sleep 0.1 #");
}
END_TEST

START_TEST(its_answer_is_bounded)
{
	static const char too_long[] = NONE ": its answer is too long",
			  not_json[] = NONE ": its answer is not one line of JSON";

	/* 17 bytes and as many blanks as are permitted; and one more. */
	allows("printf '%65519s{\"answer\":\"once\"}' '' #");
	decides_nothing("printf '%65520s{\"answer\":\"once\"}' '' #", too_long);
	decides_nothing("head -c 1048576 /dev/zero | tr '\\0' x #", too_long);
	decides_nothing("yes '{\"answer\":\"once\"}' #", too_long);
	decides_nothing("exec cat /dev/zero #", too_long);
	decides_nothing("echo '{\"answer\":\"once\"}'; echo '{\"answer\":\"once\"}' #", not_json);
	decides_nothing("echo '{\"answer\":' #", not_json);
	decides_nothing("head -c 1000 /dev/urandom; exit 1 #", NONE ": its exit status is not 0");
	decides_nothing("echo '{\"answer\":\"once\"}'; exit 1 #",
			NONE ": its exit status is not 0");
	decides_nothing("echo '{\"answer\":\"once\"}'; kill -9 $$ #", NONE ": a signal ended it");
	decides_nothing("/nowhere/at/all", NONE ": it was not found (status 127)");
	decides_nothing("/etc/passwd", NONE ": it could not be executed (status 126)");
}
END_TEST

/* The loop goes on beside a command that never ends; its question's end ends it. */
START_TEST(one_that_never_ends)
{
	static const char *const commands[] = {
		"exec sleep 1000 #",
		"exec >&- <&-; exec sleep 1000 #",
		"echo '{\"answer\":\"once\"}'; trap '' TERM HUP INT; while :; do sleep 1; done #",
	};
	struct policy_net net = to("x.test", "192.0.9.1", 22);
	unsigned i, turns;
	int number;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		begin(commands[i]);
		number = ask_about(&net);
		ck_assert_int_gt(number, 0);
		for (turns = 0; turns < 100; turns++)
			turn();
		ck_assert_uint_eq(answered, 0);
		approvals_take_back(questions, (uint32_t)number);
		ck_assert_uint_eq(over, 1);
		on_ask_wait_ended(launcher);
		end();
	}
}
END_TEST

/* --- an example ------------------------------------------------------------------------------- */

/* docs/examples/on-ask-notify.py understands the question; a fake notify-send keeps its arguments.
 */
START_TEST(a_notification_decides)
{
	char directory[] = "/tmp/cordon-ask.XXXXXX", path[64], variable[4096], shows[4096];
	FILE *file;
	size_t n;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/notify-send", directory);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs("#!/bin/sh\nprintf '%s\\n' \"$@\" >\"$0.shows\"\necho session\n", file);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(path, 0755), 0);
	snprintf(variable, sizeof(variable), "%s:%s", directory, getenv("PATH"));
	setenv("PATH", variable, 1);
	command_says("docs/examples/on-ask-notify.py", true,
		     "an operator allowed it for the sandbox's life",
		     "session " BY ": desktop notification");
	snprintf(path, sizeof(path), "%s/notify-send.shows", directory);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	n = fread(shows, 1, sizeof(shows) - 1, file);
	shows[n] = '\0';
	fclose(file);
	ck_assert_msg(strstr(shows, "\ntcp x.test 192.0.9.1:22\nnet ask tcp *:*\n"
				    "asked 0, allowed 0, denied 0 before\n"),
		      "%s", shows);
	unlink(path);
	snprintf(path, sizeof(path), "%s/notify-send", directory);
	unlink(path);
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

/* --- the form before JSON --------------------------------------------------------------------- */

static unsigned warnings(int fd)
{
	char text[4096];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	unsigned count = 0;
	const char *at;

	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	for (at = text; (at = strstr(at, "cordon: warning: --on-ask: ")); at++)
		count++;
	ck_assert(count == 0 || strstr(text, "print {\"answer\":\"once\"} instead of once"));
	return count;
}

START_TEST(a_word_is_warned_of_once)
{
	char path[] = "/tmp/cordon-ask.XXXXXX";
	int fd = mkstemp(path), stderr_fd = dup(STDERR_FILENO);

	ck_assert_int_ge(fd, 0);
	unlink(path);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	allows("echo '{\"answer\":\"once\"}' #");
	decides_nothing("echo perhaps #", NONE ": its answer is not one line of JSON");
	ck_assert_uint_eq(warnings(fd), 0);
	allows("echo once #");
	ck_assert_uint_eq(warnings(fd), 1);
	allows("echo once #");
	command_says("echo no #", false, "an operator refused it", "no " BY);
	ck_assert_uint_eq(warnings(fd), 1);
	ck_assert_int_eq(dup2(stderr_fd, STDERR_FILENO), STDERR_FILENO);
	close(stderr_fd);
	close(fd);
}
END_TEST

UNIT_MAIN("approval_command", answers_of_one_line, a_long_reason_is_cut,
	  answers_that_decide_nothing, answers_of_one_word, it_gets_what_operators_get,
	  its_reason_is_passed_on, it_need_not_read_the_question, its_answer_is_bounded,
	  one_that_never_ends, a_notification_decides, a_word_is_warned_of_once)
