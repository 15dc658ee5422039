/* SPDX-License-Identifier: Apache-2.0 */
/* `on-ask`: what happens to a question, and to the guest, until an operator decides. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/approvals_common.h"
#include "vmm/policy/audit.h"

#define FREEZE "policy 1\non-ask freeze spill=10m\nnet ask tcp *:*\n"

/* An answer has stopped the loop, which then runs once more for what was deferred. */
static void settle(void)
{
	turn();
	turn();
}

START_TEST(a_question_is_open_for_a_bounded_time)
{
	struct policy_net net = to("x.test", "192.0.9.1", 22),
			  other = to("y.test", "192.0.9.2", 22);
	int number;

	begin_with("policy 1\non-ask wait=50ms\nnet ask tcp *:*\n", NULL);
	approvals_attend(questions, true);
	number = ask_about(&net);
	ck_assert_int_gt(number, 0);
	/* Until it is answered nothing stops the loop: its timer did. */
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(answered, 1);
	ck_assert_uint_eq(answered_number, (uint32_t)number);
	ck_assert(!answered_yes);
	ck_assert_str_eq(answered_why, "no operator decided in time");
	ck_assert_str_eq(how, "no operator decided in time");
	ck_assert_int_eq(
		approvals_reply(questions, (uint32_t)number, APPROVAL_ONCE, true, "too late"),
		-ENOENT);
	/* One that is answered in time is not ended once more. */
	number = ask_about(&other);
	approvals_reply(questions, (uint32_t)number, APPROVAL_ONCE, true, "");
	usleep(60000);
	turn();
	ck_assert_uint_eq(answered, 2);
	ck_assert(answered_yes);
	ck_assert_uint_eq(freezes, 0);
	end();
}
END_TEST

START_TEST(a_shorter_time_holds_for_open_questions)
{
	struct policy_net net = to("x.test", "192.0.9.1", 22);

	begin(NULL);
	approvals_attend(questions, true);
	ck_assert_int_gt(ask_about(&net), 0);
	turn();
	ck_assert_uint_eq(answered, 0);
	usleep(20000);
	replace_policy("policy 1\non-ask wait=10ms\nnet ask tcp *:*\n");
	turn();
	ck_assert_uint_eq(answered, 1);
	ck_assert_str_eq(answered_why, "no operator decided in time");
	end();
}
END_TEST

START_TEST(a_frozen_guest_waits_for_an_operator)
{
	struct policy_net net = to("x.test", "192.0.9.1", 22),
			  other = to("y.test", "192.0.9.2", 22);
	int first, second;

	begin_with(FREEZE, NULL);
	/* Without a control socket no operator can ever come. */
	ck_assert_int_eq(ask_about(&net), -ENOENT);
	approvals_set_reachable(questions, true, false);
	first = ask_about(&net);
	ck_assert_int_gt(first, 0);
	ck_assert(!frozen); /* from the loop only */
	settle();
	ck_assert(frozen);
	ck_assert_uint_eq(freezes, 1);
	ck_assert_uint_eq(frozen_how.spill_ns, UINT64_C(600000000000));
	second = ask_about(&other);
	ck_assert_int_gt(second, 0);
	/* Operators come and go. */
	approvals_attend(questions, true);
	approvals_attend(questions, false);
	settle();
	ck_assert_uint_eq(answered, 0);
	/* It goes on with the last answer. */
	approvals_reply(questions, (uint32_t)second, APPROVAL_NO, true, "by me");
	settle();
	ck_assert(frozen);
	approvals_reply(questions, (uint32_t)first, APPROVAL_ONCE, true, "by me");
	ck_assert(answered_yes);
	settle();
	ck_assert(!frozen);
	ck_assert_uint_eq(freezes, 2);
	end();
}
END_TEST

/* With `on-ask wait` questions of a sandbox that stays wait for an operator who comes later. */
START_TEST(one_that_stays_waits_for_an_operator)
{
	static const char unsaid[] = "policy 1\nnet ask tcp *:*\n",
			  said[] = "policy 1\non-ask wait=50ms\nnet ask tcp *:*\n";
	struct policy_net net = to("x.test", "192.0.9.1", 22);
	int number;

	begin_with(said, NULL);
	/* Not that of a single command, whose caller waits; and not unless the policy says so. */
	approvals_set_reachable(questions, true, false);
	ck_assert_int_eq(ask_about(&net), -ENOENT);
	approvals_set_reachable(questions, true, true);
	replace_policy(unsaid);
	ck_assert_int_eq(ask_about(&net), -ENOENT);
	replace_policy(said);
	number = ask_about(&net);
	ck_assert_int_gt(number, 0);
	approvals_attend(questions, true);
	approvals_attend(questions, false);
	settle();
	ck_assert_uint_eq(answered, 0);
	ck_assert_uint_eq(freezes, 0);
	ck_assert_int_eq(approvals_reply(questions, (uint32_t)number, APPROVAL_ONCE, true, "by me"),
			 0);
	ck_assert(answered_yes);
	turn();
	/* Its time is bounded. */
	ck_assert_int_gt(ask_about(&net), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(answered, 2);
	ck_assert_str_eq(answered_why, "no operator decided in time");
	/* A policy without the statement ends it. */
	replace_policy("policy 1\non-ask wait=1h\nnet ask tcp *:*\n");
	ck_assert_int_gt(ask_about(&net), 0);
	replace_policy(unsaid);
	ck_assert_uint_eq(answered, 3);
	ck_assert_str_eq(answered_why, "the policy was changed, and no operator is attached");
	end();
}
END_TEST

START_TEST(what_waited_for_has_ended)
{
	struct policy_net net = to("x.test", "192.0.9.1", 22);

	begin_with(FREEZE, NULL);
	approvals_set_reachable(questions, true, false);
	approvals_take_back(questions, (uint32_t)ask_about(&net));
	settle();
	ck_assert_uint_eq(freezes, 0); /* never frozen */
	approvals_take_back(questions, (uint32_t)ask_about(&net));
	ck_assert_int_gt(ask_about(&net), 0);
	settle();
	ck_assert(frozen);
	replace_policy("policy 1\nnet allow tcp *:*\n");
	settle();
	ck_assert(!frozen);
	ck_assert(answered_yes);
	end();
}
END_TEST

START_TEST(another_policy_thaws_and_freezes)
{
	struct policy_net net = to("x.test", "192.0.9.1", 22);

	begin_with(FREEZE, NULL);
	approvals_set_reachable(questions, true, false);
	ck_assert_int_gt(ask_about(&net), 0);
	settle();
	ck_assert(frozen);
	/* The question can't wait without an operator. */
	replace_policy("policy 1\non-ask wait=1h\nnet ask tcp *:*\n");
	ck_assert_uint_eq(answered, 1);
	ck_assert_str_eq(answered_why, "the policy was changed, and no operator is attached");
	settle();
	ck_assert(!frozen);
	/* With one it stays open, and freezes the guest once the policy says so. */
	approvals_attend(questions, true);
	ck_assert_int_gt(ask_about(&net), 0);
	settle();
	ck_assert(!frozen);
	replace_policy(FREEZE);
	settle();
	ck_assert(frozen);
	ck_assert_uint_eq(answered, 1);
	end();
}
END_TEST

/* As long as it stood still it did not wait; and another time until memory is written counts. */
START_TEST(time_counts_from_the_new_policy)
{
	struct policy_net net = to("x.test", "192.0.9.1", 22);

	begin_with(FREEZE, NULL);
	approvals_attend(questions, true);
	ck_assert_int_gt(ask_about(&net), 0);
	settle();
	ck_assert(frozen);
	replace_policy("policy 1\non-ask freeze spill=1m\nnet ask tcp *:*\n");
	settle();
	ck_assert_uint_eq(freezes, 2);
	ck_assert_uint_eq(frozen_how.spill_ns, UINT64_C(60000000000));
	usleep(60000);
	replace_policy("policy 1\non-ask wait=50ms\nnet ask tcp *:*\n");
	settle();
	ck_assert(!frozen);
	ck_assert_uint_eq(answered, 0);
	usleep(60000);
	settle();
	ck_assert_uint_eq(answered, 1);
	ck_assert_str_eq(answered_why, "no operator decided in time");
	end();
}
END_TEST

START_TEST(a_policy_that_never_asks_ends_questions)
{
	struct policy_net net = to("x.test", "192.0.9.1", 22);
	int number;

	begin_with(FREEZE, "sleep 1000 #");
	approvals_attend(questions, true);
	number = ask_about(&net);
	settle();
	ck_assert(frozen);
	replace_policy("policy 1\non-ask deny\nnet ask tcp *:*\n");
	settle();
	ck_assert(!frozen);
	ck_assert_uint_eq(answered, 1);
	ck_assert(!answered_yes);
	ck_assert_str_eq(answered_why, "the policy was changed and says on-ask deny");
	ck_assert_int_eq(approvals_reply(questions, (uint32_t)number, APPROVAL_ONCE, true, "late"),
			 -ENOENT);
	end();
}
END_TEST

START_TEST(a_command_without_a_decision_leaves_it_to_operators)
{
	struct policy_net net = to("x.test", "192.0.9.1", 22);
	int number, i;

	begin_with(FREEZE, "exit 1 #");
	approvals_set_reachable(questions, true, false);
	number = ask_about(&net);
	for (i = 0; i < 200 && answered == 0; i++) {
		usleep(1000);
		settle();
	}
	ck_assert_uint_eq(answered, 0);
	ck_assert(frozen);
	ck_assert_int_eq(approvals_reply(questions, (uint32_t)number, APPROVAL_ONCE, true, "by me"),
			 0);
	end();
}
END_TEST

/* A policy that never asks says in the log what an operator might have allowed. */
START_TEST(denied_at_once_with_a_proposal)
{
	char directory[] = "/tmp/cordon-approvals-XXXXXX", path[64], text[16384] = "";
	const struct policy_source source = {.name = "p", .directory = "/"};
	static const char deny[] = "policy 1\non-ask deny\nnet ask tcp *:*\n";
	struct audit_config config = {.path = path};
	struct policy_net net = to("x.test", "192.0.9.1", 22), many;
	struct policy *policy;
	struct audit *audit;
	struct err err;
	unsigned i, lines = 0;
	char *at;
	FILE *file;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/log", directory);
	ck_assert_int_eq(audit_open(&audit, &config, &err), 0);
	ck_assert_int_eq(policy_parse(&policy, deny, strlen(deny), &source, &err), 0);
	begin(NULL);
	guard_destroy(guard);
	ck_assert_int_eq(guard_create(&guard, policy, audit), 0);
	approvals_destroy(questions);
	launcher = on_ask_launcher(loop, "echo once #");
	ck_assert_int_eq(approvals_create(&questions, loop, guard, launcher), 0);
	approvals_attend(questions, true);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(ask_about(&net), -EACCES);
	for (i = 0; i < 10000; i++) {
		many = to("y.test", "192.0.9.1", (uint16_t)(1 + i));
		ck_assert_int_eq(ask_about(&many), -EACCES);
	}
	settle();
	ck_assert_uint_eq(asked, 0);
	end();
	snprintf(path, sizeof(path), "%s/log.denials", directory);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_gt(fread(text, 1, sizeof(text) - 1, file), 0);
	fclose(file);
	ck_assert_ptr_nonnull(strstr(text, "rule=net allow tcp x.test:22"));
	for (at = text; (at = strstr(at, "\"proposal\"")) != NULL; at++)
		lines++;
	/* Once for an object, and bounded as questions are. */
	ck_assert_uint_ge(lines, APPROVALS_MAX);
	ck_assert_uint_le(lines, APPROVALS_MAX + 5);
	unlink(path);
	snprintf(path, sizeof(path), "%s/log", directory);
	unlink(path);
	rmdir(directory);
}
END_TEST

UNIT_MAIN("approvals_wait", a_question_is_open_for_a_bounded_time,
	  a_shorter_time_holds_for_open_questions, a_frozen_guest_waits_for_an_operator,
	  one_that_stays_waits_for_an_operator, what_waited_for_has_ended,
	  another_policy_thaws_and_freezes, time_counts_from_the_new_policy,
	  a_policy_that_never_asks_ends_questions,
	  a_command_without_a_decision_leaves_it_to_operators, denied_at_once_with_a_proposal)
