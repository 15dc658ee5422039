/* SPDX-License-Identifier: Apache-2.0 */
/* Approvals and the policy: its replacement, rules instead of decisions, further classes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/approvals_common.h"

START_TEST(a_new_policy_decides_open_questions)
{
	struct policy_net net = to("x.test", "192.0.9.1", 22),
			  other = to("y.test", "192.0.9.2", 22);
	unsigned at = 0;
	uint32_t number;

	begin(NULL);
	approvals_attend(questions, true);
	number = (uint32_t)ask_about(&net);
	ck_assert_int_gt(ask_about(&other), 0);
	/* Another rule asks: both stay open, and say which. */
	replace_policy("policy 1\n\n\nnet ask tcp *:22\n");
	ck_assert_uint_eq(answered, 0);
	ck_assert_str_eq(approvals_next(questions, &at)->rule, "p:4");
	replace_policy("policy 1\nnet allow tcp x.test:22\nnet ask tcp *:*\n");
	ck_assert_uint_eq(answered, 1);
	ck_assert_uint_eq(answered_number, number);
	ck_assert(answered_yes);
	ck_assert_str_eq(how, "the policy was changed and allows it");
	/* It is the policy's decision: none is remembered. */
	ck_assert_int_eq(recall(&net), -1);
	ck_assert_int_eq(approvals_reply(questions, number, APPROVAL_NO, true, "late"), -ENOENT);
	replace_policy("policy 1\nnet allow tcp x.test:22\n");
	ck_assert_uint_eq(answered, 2);
	ck_assert(!answered_yes);
	ck_assert_str_eq(how, "the policy was changed and denies it");
	at = 0;
	ck_assert_ptr_null(approvals_next(questions, &at));
	end();
}
END_TEST

START_TEST(what_becomes_a_rule_is_not_remembered)
{
	struct policy_net net = to("x.test", "192.0.9.1", 22);

	begin(NULL);
	approvals_attend(questions, true);
	approvals_reply(questions, (uint32_t)ask_about(&net), APPROVAL_ALWAYS, false, "");
	ck_assert(answered_yes);
	ck_assert_int_eq(recall(&net), -1);
	approvals_reply(questions, (uint32_t)ask_about(&net), APPROVAL_NEVER, false, "");
	ck_assert(!answered_yes);
	ck_assert_int_eq(recall(&net), -1);
	approvals_reply(questions, (uint32_t)ask_about(&net), APPROVAL_ALWAYS, true, "");
	ck_assert_int_eq(recall(&net), 1);
	end();
}
END_TEST

START_TEST(a_question_shows_what_was_before)
{
	struct policy_net net = to("x.test", "192.0.9.1", 22),
			  elsewhere = to("x.test", "192.0.9.2", 22);
	struct policy_request request = {
		.class = POLICY_NET, .op = POLICY_CONNECT, .net = elsewhere};

	begin(NULL);
	approvals_attend(questions, true);
	ck_assert_int_gt(ask_about(&net), 0);
	turn();
	ck_assert_uint_eq(history.asked + history.allowed + history.denied, 0);
	approvals_reply(questions, 1, APPROVAL_ONCE, true, "");
	turn(); /* on_answered() has stopped the loop */
	/* The name counts, at whatever address. */
	approvals_count(questions, &request, APPROVAL_ALLOWED);
	approvals_count(questions, &request, APPROVAL_ALLOWED);
	approvals_count(questions, &request, APPROVAL_DENIED);
	ck_assert_int_gt(ask_about(&net), 0);
	turn();
	ck_assert_uint_eq(history.asked, 1);
	ck_assert_uint_eq(history.allowed, 2);
	ck_assert_uint_eq(history.denied, 1);
	end();
}
END_TEST

/* A class that has questions later only hands in operation and object. */
START_TEST(questions_of_other_classes)
{
	static const char path[] = "/usr/bin/curl", bad[] = "/bin/\033[31m";
	struct policy_request request = {
		.class = POLICY_EXEC, .op = POLICY_RUN, .object = path, .length = strlen(path)};
	struct policy_request unfit = request;
	struct policy_net net = to("x.test", "192.0.9.1", 22);
	int number;

	begin(NULL);
	replace_policy("policy 1\nexec ask /usr/**\nnet ask tcp *:*\n");
	approvals_attend(questions, true);
	unfit.object = bad;
	unfit.length = strlen(bad);
	ck_assert_int_eq(approvals_ask(questions, &unfit), -EINVAL);
	number = approvals_ask(questions, &request);
	ck_assert_int_gt(number, 0);
	ck_assert_int_eq(approvals_ask(questions, &request), number);
	turn();
	ck_assert_str_eq(shown, "/usr/bin/curl");
	ck_assert_str_eq(rule, "p:2");
	/* No decision reaches another class. */
	approvals_reply(questions, (uint32_t)number, APPROVAL_SESSION, true, "");
	ck_assert_uint_eq(answered, 0);
	ck_assert_int_eq(approvals_recall(questions, &request), 1);
	ck_assert_int_eq(recall(&net), -1);
	approvals_set_requester(questions, POLICY_EXEC, on_answered, NULL);
	number = approvals_ask(questions, &request);
	approvals_reply(questions, (uint32_t)number, APPROVAL_NO, true, "");
	ck_assert_uint_eq(answered_number, (uint32_t)number);
	end();
}
END_TEST

START_TEST(memory_is_bounded)
{
	struct approval_memory *memory = approval_memory_create();
	char key[32];
	unsigned i;

	ck_assert_ptr_nonnull(memory);
	for (i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "net allow tcp n%u.test:1", i);
		approval_memory_decide(memory, key, i % 2 == 0);
		approval_memory_count(memory, key, APPROVAL_ASKED);
		approval_memory_count(memory, "net allow tcp often.test:1", APPROVAL_DENIED);
	}
	ck_assert_int_eq(approval_memory_decision(memory, key), 0);
	ck_assert_int_eq(approval_memory_decision(memory, "net allow tcp n0.test:1"), -1);
	ck_assert_uint_eq(approval_memory_history(memory, "net allow tcp n0.test:1").asked, 0);
	ck_assert_uint_eq(approval_memory_history(memory, key).asked, 1);
	/* What is seen again and again stays. */
	ck_assert_uint_eq(approval_memory_history(memory, "net allow tcp often.test:1").denied,
			  1000);
	approval_memory_destroy(memory);
}
END_TEST

/* A rule for good reaches no further than the one that asks. */
START_TEST(a_rule_by_address_makes_one_by_address)
{
	struct policy_net net = to("x.test", "93.184.216.34", 22);
	char line[POLICY_REQUEST_RULE];
	unsigned at = 0;

	begin(NULL);
	approvals_attend(questions, true);
	ck_assert_int_gt(ask_about(&net), 0);
	policy_request_rule(&approvals_next(questions, &at)->lasting, POLICY_ACTION_ALLOW, line);
	ck_assert_str_eq(line, "net allow tcp x.test:22");
	replace_policy("policy 1\nnet ask tcp 93.184.0.0/16:22\n");
	at = 0;
	policy_request_rule(&approvals_next(questions, &at)->lasting, POLICY_ACTION_ALLOW, line);
	ck_assert_str_eq(line, "net allow tcp 93.184.216.34:22");
	replace_policy("policy 1\nnet ask tcp *.test:22\n");
	at = 0;
	policy_request_rule(&approvals_next(questions, &at)->lasting, POLICY_ACTION_DENY, line);
	ck_assert_str_eq(line, "net deny tcp x.test:22");
	end();
}
END_TEST

/* A name that DNS knows as "host" is not the host. */
START_TEST(a_name_that_looks_like_the_host)
{
	struct policy_net name = to("host", "93.184.216.34", 22), host = to(NULL, "192.0.2.1", 22);
	const struct policy_request request = {
		.class = POLICY_NET, .op = POLICY_CONNECT, .net = name};
	char line[POLICY_REQUEST_RULE];

	host.host = true;
	begin(NULL);
	approvals_attend(questions, true);
	approvals_reply(questions, (uint32_t)ask_about(&name), APPROVAL_SESSION, true, "");
	ck_assert_int_eq(recall(&name), 1);
	ck_assert_int_eq(recall(&host), -1);
	policy_request_rule(&request, POLICY_ACTION_ALLOW, line);
	ck_assert_str_eq(line, "net allow tcp 93.184.216.34:22");
	end();
}
END_TEST

UNIT_MAIN("approvals_policy", a_new_policy_decides_open_questions,
	  what_becomes_a_rule_is_not_remembered, a_question_shows_what_was_before,
	  questions_of_other_classes, memory_is_bounded, a_name_that_looks_like_the_host,
	  a_rule_by_address_makes_one_by_address)
