/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts for the relay: of the policy, of operators, remembered, withdrawn; and their log. */
#include "tests/unit/network_checks_common.h"

#include <string.h>

/* --- the policy's verdicts -------------------------------------------------------------------- */

START_TEST(the_policy_decides_at_once)
{
	begin(ASKS, true);
	take(5, 1);
	expect(1, 5, true, false);
	take(6, 2);
	expect(2, 6, false, false);
	ck_assert_uint_eq(checks.count + open_questions(), 0);
	ck_assert_uint_eq(audit_log_lines("\"verdict\":\"allow\""), 1);
	ck_assert_uint_eq(audit_log_lines("\"verdict\":\"deny\""), 1);
	end();
}
END_TEST

START_TEST(requests_of_all_kinds_are_decided)
{
	static const char text[] = "policy 1\nnet allow http GET a.test/v1/**\n"
				   "net allow tls a.test:443\nnet allow tcp [2606::]/16:22\n"
				   "net allow icmp 93.184.216.34\n";
	struct relay_check check = fake_relay_check(1);

	begin(text, false);
	check.protocol = POLICY_HTTP;
	check.has_name = check.has_method = 1;
	strcpy(check.name, "a.test");
	strcpy(check.method, "GET");
	strcpy(check.path, "/v1/x");
	network_checks_take(&checks, &check);
	expect(1, 1, true, false);
	strcpy(check.path, "/v2/x");
	network_checks_take(&checks, &check);
	expect(2, 1, false, false);
	strcpy(check.path, "/v1/x");
	check.unclear = 1;
	network_checks_take(&checks, &check);
	expect(3, 1, false, false);
	/* IPv6 */
	check = fake_relay_check(2);
	check.port = 22;
	check.address = (struct ip_address){.bytes = {0x26, 6, 1}, .family = AF_INET6};
	network_checks_take(&checks, &check);
	expect(4, 2, true, false);
	check.address.bytes[0] = 0x27;
	network_checks_take(&checks, &check);
	expect(5, 2, false, false);
	check = fake_relay_check(3);
	check.protocol = POLICY_ICMP;
	check.port = 0;
	network_checks_take(&checks, &check);
	expect(6, 3, true, false);
	/* A query, which is never about the host itself. */
	check = (struct relay_check){
		.ticket = 4, .op = POLICY_RESOLVE, .protocol = POLICY_DNS, .has_name = 1};
	strcpy(check.name, "a.test");
	network_checks_take(&checks, &check);
	expect(7, 4, true, false);
	strcpy(check.name, "b.test");
	network_checks_take(&checks, &check);
	expect(8, 4, false, false);
	end();
}
END_TEST

START_TEST(only_published_ports_let_clients_in)
{
	struct relay_check check = fake_relay_check(1);

	begin("policy 1\nnet deny tcp *:*\n", false);
	check.op = POLICY_LISTEN;
	network_checks_take(&checks, &check);
	expect(1, 1, true, false);
	ck_assert_uint_eq(audit_log_lines("\"rule\":\"--publish\""), 1);
	check.protocol = POLICY_UDP;
	network_checks_take(&checks, &check);
	expect(2, 1, false, false);
	check.protocol = POLICY_TCP;
	published = false;
	network_checks_take(&checks, &check);
	expect(3, 1, false, false);
	ck_assert_uint_eq(audit_log_lines("\"rule\":\"--publish\""), 1);
	end();
}
END_TEST

START_TEST(what_the_relay_refused_is_only_logged)
{
	begin(ASKS, true);
	take(0, 2);
	ck_assert_uint_eq(verdicts.count, 0);
	ck_assert_uint_eq(audit_log_lines("\"verdict\":\"deny\""), 1);
	/* The policy has changed meanwhile: it says nothing that was not so. */
	take(0, 1);
	take(0, 3);
	ck_assert_uint_eq(verdicts.count + open_questions(), 0);
	ck_assert_uint_eq(audit_log_lines("\"verdict\":\"allow\""), 0);
	ck_assert_uint_eq(audit_log_lines("\"verdict\":\"deny\""), 1);
	ck_assert_uint_eq(audit_log_lines("\"event\":\"flow-refused\""), 2);
	end();
}
END_TEST

/* --- operators -------------------------------------------------------------------------------- */

START_TEST(an_operator_decides)
{
	begin(ASKS, true);
	take(7, 22);
	ck_assert_uint_eq(verdicts.count, 0);
	ck_assert_uint_eq(checks.count, 1);
	/* Another connection to the same port shares the question; others have their own. */
	take(8, 22);
	ck_assert_uint_eq(open_questions(), 1);
	take(1, 1);
	expect(1, 1, true, false);
	reply(APPROVAL_ONCE);
	ck_assert_uint_eq(verdicts.count, 3);
	expect(3, 8, true, true);
	ck_assert_uint_eq(checks.count, 0);
	ck_assert_uint_eq(audit_log_lines("an operator allowed"), 2);
	/* It was for those alone. */
	take(9, 22);
	ck_assert_uint_eq(verdicts.count, 3);
	reply(APPROVAL_NO);
	expect(4, 9, false, false);
	end();
}
END_TEST

START_TEST(decisions_for_good_are_remembered)
{
	begin(ASKS, true);
	take(1, 22);
	reply(APPROVAL_SESSION);
	expect(1, 1, true, true);
	/* The relay knows nothing of it, and takes it for an approval. */
	take(2, 22);
	expect(2, 2, true, true);
	take(3, 23);
	reply(APPROVAL_NEVER);
	expect(3, 3, false, false);
	take(4, 23);
	expect(4, 4, false, false);
	ck_assert_uint_eq(open_questions(), 0);
	end();
}
END_TEST

START_TEST(without_an_operator_it_is_denied)
{
	begin(ASKS, false);
	take(1, 22);
	expect(1, 1, false, false);
	ck_assert_uint_eq(audit_log_lines("no operator is attached"), 1);
	/* The last one leaves. */
	approvals_attend(questions, true);
	take(2, 22);
	ck_assert_uint_eq(verdicts.count, 1);
	approvals_attend(questions, false);
	expect(2, 2, false, false);
	end();
	begin("policy 1\non-ask deny\nnet ask tcp *:*\n", true);
	take(1, 22);
	expect(1, 1, false, false);
	ck_assert_uint_eq(audit_log_lines("the policy says on-ask deny"), 1);
	end();
}
END_TEST

START_TEST(a_name_that_cannot_be_shown_is_denied)
{
	struct relay_check check = fake_relay_check(1);

	begin(ASKS, true);
	check.has_name = 1;
	strcpy(check.name, "-rf");
	network_checks_take(&checks, &check);
	expect(1, 1, false, false);
	ck_assert_uint_eq(open_questions(), 0);
	strcpy(check.name, "a.test");
	network_checks_take(&checks, &check);
	ck_assert_uint_eq(open_questions(), 1);
	end();
}
END_TEST

START_TEST(what_waits_is_bounded)
{
	uint32_t i;

	begin(ASKS, true);
	for (i = 1; i <= NETWORK_CHECKS_WAITING; i++)
		take(i, 22);
	ck_assert_uint_eq(verdicts.count, 0);
	ck_assert_uint_eq(checks.count, NETWORK_CHECKS_WAITING);
	take(100, 22);
	expect(1, 100, false, false);
	ck_assert_uint_eq(audit_log_lines("too many questions are open"), 1);
	/* One less, one more. */
	network_checks_drop(&checks, 5);
	take(101, 22);
	ck_assert_uint_eq(verdicts.count, 1);
	reply(APPROVAL_ONCE);
	ck_assert_uint_eq(verdicts.count, 1 + NETWORK_CHECKS_WAITING);
	/* And questions have their own bound. */
	for (i = 1; i <= APPROVALS_MAX + 2; i++)
		take(i, (uint16_t)(1000 + i));
	ck_assert_uint_lt(checks.count, APPROVALS_MAX + 1);
	ck_assert_uint_eq(open_questions(), checks.count);
	end();
}
END_TEST

START_TEST(a_question_is_withdrawn_with_its_last_request)
{
	begin(ASKS, true);
	take(1, 22);
	take(2, 22);
	network_checks_drop(&checks, 1);
	network_checks_drop(&checks, 1);
	network_checks_drop(&checks, 99);
	ck_assert_uint_eq(open_questions(), 1);
	network_checks_drop(&checks, 2);
	ck_assert_uint_eq(open_questions() + checks.count, 0);
	ck_assert_uint_eq(verdicts.count, 0);
	ck_assert_uint_eq(audit_log_lines("\"event\":\"answer\""), 1);
	/* All at once, at the end. */
	take(3, 22);
	take(4, 22);
	take(5, 23);
	ck_assert_uint_eq(open_questions(), 2);
	network_checks_close(&checks);
	ck_assert_uint_eq(open_questions() + checks.count, 0);
	ck_assert_uint_eq(verdicts.count, 0);
	end();
}
END_TEST

START_TEST(a_new_policy_decides_what_waits)
{
	begin(ASKS, true);
	take(1, 22);
	take(2, 22);
	take(3, 23);
	take(4, 24);
	ck_assert_int_eq(guard_replace(guard,
				       parse("policy 1\nnet allow tcp *:22\nnet deny tcp *:23\n"
					     "net ask tcp *:24\n"),
				       "me"),
			 0);
	network_checks_policy_changed(&checks);
	ck_assert_uint_eq(verdicts.count, 3);
	expect(3, 3, false, false);
	ck_assert_uint_eq(checks.count, 1);
	ck_assert_uint_eq(open_questions(), 1);
	approvals_policy_changed(questions);
	ck_assert_uint_eq(open_questions(), 1);
	/* An approval counts only while the policy says ask. */
	ck_assert_int_eq(guard_replace(guard, parse("policy 1\nnet deny tcp *:24\n"), "me"), 0);
	reply(APPROVAL_ONCE);
	expect(4, 4, false, false);
	ck_assert_uint_eq(audit_log_lines("\"verdict\":\"allow\""), 2);
	end();
}
END_TEST

/* What no person denied is counted apart from what a person did. */
START_TEST(outcomes_are_counted)
{
	unsigned at = 0;
	const struct approval *open;

	begin(ASKS, true);
	take(1, 22);
	reply(APPROVAL_ONCE);
	take(2, 22);
	reply(APPROVAL_NO);
	approvals_attend(questions, false);
	take(3, 22);
	expect(3, 3, false, false);
	approvals_attend(questions, true);
	take(4, 22);
	open = approvals_next(questions, &at);
	ck_assert_ptr_nonnull(open);
	ck_assert_uint_eq(open->history.allowed, 1);
	ck_assert_uint_eq(open->history.denied, 2);
	ck_assert_uint_eq(open->history.unattended, 1);
	end();
}
END_TEST

UNIT_MAIN("network_checks", the_policy_decides_at_once, requests_of_all_kinds_are_decided,
	  only_published_ports_let_clients_in, what_the_relay_refused_is_only_logged,
	  an_operator_decides, decisions_for_good_are_remembered, without_an_operator_it_is_denied,
	  a_name_that_cannot_be_shown_is_denied, what_waits_is_bounded,
	  a_question_is_withdrawn_with_its_last_request, a_new_policy_decides_what_waits,
	  outcomes_are_counted)
