/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox's network by way of a relay: card, agent, verdicts, reports, and the log. */
#include <unistd.h>

#include "tests/unit/network_relay_common.h"

START_TEST(frames_and_states_pass)
{
	unsigned i;

	begin(0, 0);
	/* No frame before the agent is ready. */
	guest_sends(ECHO, 0);
	fake_relay_run(loop, 20);
	ck_assert_uint_eq(card_stats().transmitted, 0);
	start();
	wait_for("card configured=0 partial=1 mac=02");
	network_relay_set_mac(&network);
	network_configured(&network);
	wait_for("card configured=1 partial=1 mac=");
	network_hold_time(&network, true);
	wait_for("time held=1");
	network_hold_time(&network, false);
	wait_for("time held=0");
	guest_sends(ECHO, 0);
	for (i = 0; i < 500 && card_stats().received == 0; i++)
		fake_relay_run(loop, 5);
	ck_assert_uint_eq(card_stats().received, 1);
	/* The guest resets its card, which then takes nothing. */
	fake_write(&card_guest, FAKE_REG_STATUS, 0);
	wait_for("forgotten");
	wait_for("card configured=1 partial=0");
	end();
}
END_TEST

START_TEST(verdicts_and_questions)
{
	unsigned at = 0;
	const struct approval *open;

	begin(0, 0);
	start();
	guest_sends(CHECK, 1);
	wait_for("verdict 9 allowed=1 approved=0");
	guest_sends(CHECK, 3);
	wait_for("verdict 9 allowed=0 approved=0");
	guest_sends(CHECK, 2);
	wait_for("\"event\":\"ask\"");
	ck_assert_uint_eq(network_waiting(&network), 1);
	open = approvals_next(questions, &at);
	ck_assert_ptr_nonnull(open);
	ck_assert_int_eq(approvals_reply(questions, open->number, APPROVAL_ONCE, true, "me"), 0);
	wait_for("verdict 9 allowed=1 approved=1");
	ck_assert_uint_eq(network_waiting(&network), 0);
	/* The flow ends before there is an answer. */
	guest_sends(CHECK, 2);
	guest_sends(UNCHECK, 0);
	wait_for("none:");
	ck_assert_uint_eq(network_waiting(&network), 0);
	end();
}
END_TEST

/* The relay has no files: it has the host's resolvers before a name's verdict, and once. */
START_TEST(the_relay_is_told_of_the_resolvers)
{
	const bool there = access(NETWORK_RESOLV_CONF, R_OK) == 0;

	begin(0, 0);
	start();
	guest_sends(CHECK, 3);
	wait_for("verdict 9 allowed=0 approved=0");
	ck_assert_uint_eq(audit_log_lines("resolvers"), 0);
	guest_sends(NAME, 0);
	wait_for("verdict 9 allowed=1 approved=0");
	ck_assert_uint_eq(audit_log_lines("resolvers"), there);
	guest_sends(NAME, 0);
	guest_sends(ECHO, 0);
	fake_relay_run(loop, 20);
	ck_assert_uint_eq(audit_log_lines("resolvers"), there);
	end();
}
END_TEST

START_TEST(a_new_policy_reaches_the_relay)
{
	begin(0, 0);
	start();
	guest_sends(CHECK, 2);
	wait_for("\"event\":\"ask\"");
	ck_assert_int_eq(guard_replace(guard, parse("policy 1\nnet allow tcp *:2\n"), "me"), 0);
	network_policy_changed(&network);
	approvals_policy_changed(questions);
	wait_for("policy of 1");
	wait_for("verdict 9 allowed=1 approved=0");
	end();
}
END_TEST

START_TEST(reports_come_on_request)
{
	const struct relay_client_report *report;

	begin(0, 0);
	start();
	ck_assert_ptr_null(network_report(&network));
	ck_assert(network_request_report(&network, on_reported, NULL));
	wait_until(&reports);
	report = network_report(&network);
	ck_assert_uint_eq(report->flows, 1);
	ck_assert_uint_eq(report->total.guest_bytes, 77);
	/* One that is outstanding when the relay ends. */
	guest_sends(VIOLATE, 0);
	wait_for("it violated its protocol");
	reports = 0;
	ck_assert(!network_request_report(&network, on_reported, NULL));
	ck_assert_ptr_nonnull(network_report(&network));
	end();
}
END_TEST

/* What the relay logs as it forgets its flows is in the log when the network is closed. */
START_TEST(the_last_events_are_logged)
{
	begin(0, 0);
	start();
	ck_assert_uint_eq(audit_log_lines("forgotten"), 0);
	network_close(&network);
	ck_assert_uint_eq(audit_log_lines("forgotten"), 1);
	end();
}
END_TEST

int main(int argc, char **argv)
{
	const TTest *const tests[] = {frames_and_states_pass,
				      verdicts_and_questions,
				      the_relay_is_told_of_the_resolvers,
				      a_new_policy_reaches_the_relay,
				      reports_come_on_request,
				      the_last_events_are_logged};

	if (argc == 1 && strcmp(argv[0], RELAY_CLIENT_PROGRAM) == 0)
		return be_relay();
	return unit_run("network_relay", NULL, tests, ARRAY_SIZE(tests));
}
