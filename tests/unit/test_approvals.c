/* SPDX-License-Identifier: Apache-2.0 */
/* Approvals: attached operators, remembered decisions, and floods of questions. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/approvals_common.h"

START_TEST(an_operator_is_notified_and_decides)
{
	struct policy_net net = to("x.test", "192.0.9.1", 22),
			  other = to("x.test", "192.0.9.2", 22);
	int number;

	begin(NULL);
	ck_assert_int_eq(ask_about(&net), -ENOENT); /* no operator */
	approvals_attend(questions, true);
	number = ask_about(&net);
	ck_assert_int_gt(number, 0);
	ck_assert_int_eq(ask_about(&net), number); /* the same */
	ck_assert_int_ne(ask_about(&other), number);
	ck_assert_uint_eq(asked, 0); /* from the loop only */
	turn();
	ck_assert_uint_eq(asked, 2);
	ck_assert_str_eq(shown, "tcp x.test 192.0.9.2:22");
	ck_assert_str_eq(rule, "p:3");
	ck_assert_int_eq(approvals_reply(questions, (uint32_t)number, APPROVAL_ONCE, true, "by me"),
			 0);
	ck_assert_str_eq(how, "once by me");
	ck_assert(answered_yes);
	ck_assert_uint_eq(answered_number, (uint32_t)number);
	/* "once" counts once, and a late decision is ignored. */
	ck_assert_int_eq(recall(&net), -1);
	ck_assert_int_eq(approvals_reply(questions, (uint32_t)number, APPROVAL_ONCE, true, "by me"),
			 -ENOENT);
	end();
}
END_TEST

START_TEST(a_decision_for_the_sandbox_is_remembered)
{
	struct policy_net net = to("x.test", "192.0.9.1", 22),
			  elsewhere = to("x.test", "192.0.9.2", 22);
	struct policy_net port = to("x.test", "192.0.9.1", 23), bare = to(NULL, "192.0.9.1", 22);

	begin(NULL);
	approvals_attend(questions, true);
	approvals_reply(questions, (uint32_t)ask_about(&net), APPROVAL_SESSION, true, "");
	ck_assert_int_eq(recall(&net), 1);
	ck_assert_int_eq(recall(&elsewhere), 1); /* the name counts */
	ck_assert_int_eq(recall(&port), -1);
	ck_assert_int_eq(recall(&bare), -1);
	approvals_reply(questions, (uint32_t)ask_about(&bare), APPROVAL_NEVER, true, "");
	ck_assert_int_eq(recall(&bare), 0);
	ck_assert(!answered_yes);
	/* The last decision counts. */
	approvals_reply(questions, (uint32_t)ask_about(&net), APPROVAL_NEVER, true, "");
	ck_assert_int_eq(recall(&net), 0);
	end();
}
END_TEST

START_TEST(an_operator_who_disconnects_has_refused)
{
	struct policy_net net = to(NULL, "192.0.9.1", 22);

	begin(NULL);
	approvals_attend(questions, true);
	ck_assert_int_gt(ask_about(&net), 0);
	approvals_attend(questions, false);
	ck_assert_uint_eq(answered, 1);
	ck_assert(!answered_yes);
	ck_assert_int_eq(answered_outcome, APPROVAL_UNATTENDED);
	ck_assert_str_eq(answered_why, "the last operator has disconnected");
	ck_assert_int_eq(ask_about(&net), -ENOENT);
	approvals_attend(questions, true);
	ck_assert_int_gt(ask_about(&net), 0);
	end();
}
END_TEST

START_TEST(a_flood_of_questions_is_bounded)
{
	struct policy_net net = to(NULL, "192.0.9.1", 1);
	unsigned i, taken = 0, at = 0;

	begin(NULL);
	approvals_attend(questions, true);
	for (i = 0; i < 100; i++) {
		net.port = (uint16_t)(100 + i);
		taken += ask_about(&net) > 0;
	}
	ck_assert_uint_eq(taken, APPROVALS_MAX);
	for (i = 0; approvals_next(questions, &at); i++)
		;
	ck_assert_uint_eq(i, APPROVALS_MAX);
	turn();
	ck_assert_uint_eq(asked, APPROVALS_MAX);
	/* Answering them does not make room for as many at once: a person is not to be worn out. */
	for (i = 1; i <= APPROVALS_MAX; i++)
		ck_assert_int_eq(approvals_reply(questions, i, APPROVAL_NO, true, ""), 0);
	for (i = taken = 0; i < 100; i++) {
		net.port = (uint16_t)(300 + i);
		taken += ask_about(&net) > 0;
	}
	ck_assert_uint_lt(taken, APPROVALS_MAX);
	end();
}
END_TEST

START_TEST(a_question_without_a_waiting_flow_is_closed)
{
	struct policy_net net = to(NULL, "192.0.9.1", 22);
	int number;

	begin(NULL);
	approvals_attend(questions, true);
	number = ask_about(&net);
	approvals_take_back(questions, (uint32_t)number);
	ck_assert_uint_eq(over, 1);
	ck_assert_uint_eq(answered, 0);
	turn();
	ck_assert_uint_eq(asked, 0);
	end();
}
END_TEST

/* The guest chose it: what is shown and given to a command is a name, and no option. */
START_TEST(an_invalid_name_opens_no_question)
{
	static const char *const bad[] = {"-x.test",	     "--help",	  "a b.test",
					  "a\033[31m.test",  "a\nb.test", "a;b",
					  "\xc2\x9b[m.test", "A.test"};
	char longest[255];
	struct policy_net net;
	size_t i;

	begin("echo once");
	approvals_attend(questions, true);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		net = to(bad[i], "192.0.9.1", 22);
		ck_assert_int_eq(ask_about(&net), -EINVAL);
	}
	memset(longest, 'x', sizeof(longest));
	longest[254] = '\0';
	net = to(longest, "192.0.9.1", 22);
	ck_assert_int_eq(ask_about(&net), -EINVAL);
	turn();
	ck_assert_uint_eq(asked, 0);
	longest[253] = '\0';
	ck_assert_int_gt(ask_about(&net), 0);
	net = to("a-b_c.x1.test", "192.0.9.1", 22);
	ck_assert_int_gt(ask_about(&net), 0);
	end();
}
END_TEST

static void on_asked_leave(void *arg, const struct approval *question)
{
	(void)arg;
	(void)question;
	asked++;
	approvals_attend(questions, false);
}

/* Notifying the last operator ends its connection: the command still decides, and once. */
START_TEST(an_operator_lost_while_notified_leaves_the_command)
{
	static const struct approvals_ops ops = {.asked = on_asked_leave, .over = on_over};
	struct policy_net net = to("x.test", "192.0.9.1", 22);
	unsigned at = 0;

	begin("echo once");
	approvals_set_ops(questions, &ops, NULL);
	approvals_attend(questions, true);
	ck_assert_int_gt(ask_about(&net), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(asked, 1);
	ck_assert_uint_eq(answered, 1);
	ck_assert(answered_yes);
	ck_assert_ptr_null(approvals_next(questions, &at));
	turn();
	on_ask_wait_ended(launcher);
	end();
}
END_TEST

static void command_says(const char *command, bool yes, const char *why)
{
	struct policy_net net = to("x.test", "192.0.9.1", 22);

	begin(command);
	ck_assert_int_gt(ask_about(&net), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(answered, 1);
	ck_assert_msg(answered_yes == yes, "%s: %s", command, answered_why);
	ck_assert_str_eq(answered_why, why);
	end();
}

START_TEST(a_command_decides)
{
#define NONE "the command of --on-ask made no decision: "

	command_says("echo once", true, "an operator allowed it");
	command_says("test \"$1 $2 $3 $4 $5\" = 'tcp x.test 192.0.9.1 22 p:3' && echo session #",
		     true, "an operator allowed it for the sandbox's life");
	command_says("echo no", false, "an operator refused it");
	command_says("echo perhaps", false, NONE "its answer is not one line of JSON");
	command_says("echo once; exit 3 #", false, NONE "its exit status is not 0");
	command_says("/nowhere/at/all", false, NONE "it was not found (status 127)");
	command_says("true #", false, NONE "it printed no answer");
}
END_TEST

START_TEST(an_operator_leaves_after_an_undecided_command)
{
	struct policy_net net = to(NULL, "192.0.9.1", 22);
	unsigned i;

	begin("true");
	approvals_attend(questions, true);
	ck_assert_int_gt(ask_about(&net), 0);
	/* Enough for it to end; were it not, the outcome would be the same. */
	for (i = 0; i < 100; i++, usleep(1000))
		turn();
	/* The operator can still decide; then the operator leaves. */
	ck_assert_uint_eq(answered, 0);
	approvals_attend(questions, false);
	while (answered == 0)
		turn();
	ck_assert_uint_eq(answered, 1);
	ck_assert(!answered_yes);
	end();
}
END_TEST

START_TEST(a_command_ends_with_its_question)
{
	struct policy_net net = to(NULL, "192.0.9.1", 22);
	char command[96], path[] = "/tmp/cordon-ask.XXXXXX";
	struct stat stat;
	int fd = mkstemp(path), number;

	ck_assert_int_ge(fd, 0);
	snprintf(command, sizeof(command), "echo >>%s; exec sleep 1000 #", path);
	begin(command);
	number = ask_about(&net);
	do {
		turn();
		ck_assert_int_eq(fstat(fd, &stat), 0);
	} while (stat.st_size == 0);
	/* An operator may be quicker than it. */
	ck_assert_int_eq(approvals_reply(questions, (uint32_t)number, APPROVAL_ONCE, true, ""), 0);
	ck_assert(answered_yes);
	/* Killed and reaped: there is no child. */
	on_ask_wait_ended(launcher);
	end();
	close(fd);
	unlink(path);
}
END_TEST

UNIT_MAIN("questions", an_operator_is_notified_and_decides,
	  a_decision_for_the_sandbox_is_remembered, an_operator_who_disconnects_has_refused,
	  a_flood_of_questions_is_bounded, a_question_without_a_waiting_flow_is_closed,
	  an_invalid_name_opens_no_question, an_operator_lost_while_notified_leaves_the_command,
	  a_command_decides, an_operator_leaves_after_an_undecided_command,
	  a_command_ends_with_its_question)
