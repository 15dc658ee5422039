/* SPDX-License-Identifier: Apache-2.0 */
/* What a server reports and what not, and that one that lies is found out. */
#include "vmm/policy/guard_remote.h"

#include <errno.h>
#include <string.h>

#include "tests/support/unit.h"
#include "tests/unit/guard_ways_common.h"
#include "vmm/policy/report.h"

/* --- what is not sent ------------------------------------------------------------------------- */

static unsigned told;

static void count_denial(void *arg, const struct policy *policy,
			 const struct policy_request *request,
			 const struct policy_decision *decision)
{
	(void)arg;
	ck_assert(policy && request->class == POLICY_FILE && decision->verdict != POLICY_ALLOW);
	ck_assert(!decision->rule || decision->rule->line == decision->line);
	told++;
}

static enum policy_verdict check(struct guard *guard, enum policy_op op, const char *path)
{
	const struct policy_request request = {
		.class = POLICY_FILE, .op = op, .object = path, .length = strlen(path)};

	return op == POLICY_LOOKUP ? guard_decide(guard, &request, NULL)
				   : guard_check(guard, &request, NULL);
}

START_TEST(without_a_log_only_denials_are_reported)
{
	struct way way;

	begin(&way, policy_of(0), NULL);
	add_server(&way);
	guard_watch_denials(way.monitor, count_denial, NULL);
	told = 0;
	ck_assert_int_eq(check(way.server, POLICY_WRITE, "/w/a"), POLICY_ALLOW);
	ck_assert_int_eq(check(way.server, POLICY_LOOKUP, "/w/.env"), POLICY_HIDE);
	deliver(&way);
	ck_assert_uint_eq(way.reports, 0);
	ck_assert_int_eq(check(way.server, POLICY_READ, "/w/src/b"), POLICY_DENY);
	ck_assert_int_eq(check(way.server, POLICY_READ, "/w/.env"), POLICY_HIDE);
	deliver(&way);
	ck_assert_uint_eq(way.reports, 2);
	ck_assert_uint_eq(told, 2);
	end_guards(&way);
}
END_TEST

START_TEST(hidden_names_are_reported_once_a_while)
{
	struct way way;
	unsigned i;

	begin(&way, policy_of(0), &plenty);
	add_server(&way);
	for (i = 0; i < 1000; i++)
		check(way.server, POLICY_LOOKUP, "/w/.env");
	deliver(&way);
	ck_assert_uint_eq(way.reports, 1);
	check(way.server, POLICY_LOOKUP, "/w/a/.env");
	deliver(&way);
	ck_assert_uint_eq(way.reports, 2);
	clock_ns += AUDIT_HIDDEN_NS;
	check(way.server, POLICY_LOOKUP, "/w/.env");
	deliver(&way);
	ck_assert_uint_eq(way.reports, 3);
	end_guards(&way);
	remove_log(&way);
}
END_TEST

START_TEST(only_what_waits_for_the_log_waits)
{
	struct way way;

	begin(&way, policy_of(2), &plenty);
	add_server(&way);
	ck_assert_int_eq(check(way.server, POLICY_READ, "/w/a"), POLICY_ALLOW);
	ck_assert_uint_eq(way.waits, 1);
	ck_assert_int_eq(check(way.server, POLICY_WRITE, "/w/x/b"), POLICY_DENY);
	ck_assert_int_eq(check(way.server, POLICY_READ, "/w/x/a"), POLICY_DENY); /* ask */
	ck_assert_uint_eq(way.waits, 1);
	ck_assert_int_eq(guard_replace(way.monitor, policy_of(0), "me"), 0);
	ck_assert_int_eq(check(way.server, POLICY_READ, "/w/a"), POLICY_ALLOW);
	ck_assert_uint_eq(way.waits, 1);
	end_guards(&way);
	remove_log(&way);
}
END_TEST

static int send_nothing(void *arg, const void *report, size_t length, bool required,
			uint64_t *ticket)
{
	(void)arg;
	(void)report;
	(void)length;
	(void)required;
	(void)ticket;
	return -EPIPE;
}

START_TEST(without_a_monitor_a_required_log_denies)
{
	const struct guard_remote remote = {.send = send_nothing, .wait = wait_verdict};
	const struct guard_note note = {
		.class = POLICY_FILE, .what = "read-only-share", .object = "/w"};
	const struct policy_request request = {
		.class = POLICY_FILE, .op = POLICY_READ, .object = "/w/a", .length = 4};
	struct guard *guard;

	ck_assert_int_eq(guard_create_remote(&guard, policy_of(2), 5, GUARD_REPORTS_ALL, &remote),
			 0);
	ck_assert_uint_eq(guard_version(guard), 5);
	ck_assert_int_eq(check(guard, POLICY_READ, "/w/a"), POLICY_DENY);
	ck_assert_int_eq(guard_note(guard, &note), POLICY_DENY);
	/* Not what is for other guards, and no policy of the past. */
	ck_assert_int_eq(guard_grant(guard, &request, "--x"), POLICY_DENY);
	ck_assert_int_eq(guard_check_asked(guard, &request, POLICY_ALLOW, "x"), POLICY_DENY);
	ck_assert_int_eq(guard_replace(guard, policy_of(0), "me"), -EINVAL);
	ck_assert_int_eq(guard_replace_remote(guard, policy_of(0), 5, GUARD_REPORTS_ALL), -EINVAL);
	/* Without the requirement it goes on. */
	ck_assert_int_eq(guard_replace_remote(guard, policy_of(0), 6, GUARD_REPORTS_ALL), 0);
	ck_assert_int_eq(check(guard, POLICY_READ, "/w/a"), POLICY_ALLOW);
	ck_assert_int_eq(guard_note(guard, &note), POLICY_ALLOW);
	guard_destroy(guard);
	ck_assert_int_eq(guard_create(&guard, policy_of(0), NULL), 0);
	ck_assert_int_eq(guard_replace_remote(guard, policy_of(0), 6, GUARD_REPORTS_ALL), -EINVAL);
	guard_destroy(guard);
}
END_TEST

/* --- lies ------------------------------------------------------------------------------------- */

static int report(struct guard *guard, uint64_t number, enum policy_op op, const char *path,
		  enum policy_verdict verdict, unsigned rule)
{
	const struct policy_report made = {
		.policy = number,
		.request = {.class = POLICY_FILE, .op = op, .object = path, .length = strlen(path)},
		.verdict = verdict,
		.rule = rule,
	};
	enum policy_verdict act = POLICY_HIDE;
	struct pack pack = {.data = NULL};
	int ret;

	ck_assert_int_eq(policy_report_pack(&pack, &made), 0);
	ret = guard_report(guard, pack.data, pack.length, &act);
	ck_assert_int_eq(act, ret == 0 ? verdict : POLICY_DENY);
	pack_free(&pack);
	return ret;
}

START_TEST(a_server_that_lies_is_found_out)
{
	enum policy_verdict verdict;
	struct guard *guard;

	ck_assert_int_eq(guard_create(&guard, policy_of(0), NULL), 0);
	guard_watch_denials(guard, count_denial, NULL);
	told = 0;
	ck_assert_int_eq(report(guard, 0, POLICY_READ, "/w/src/b", POLICY_DENY, 2), 0);
	ck_assert_int_eq(report(guard, 0, POLICY_READ, "/w/x/b", POLICY_ALLOW, 3), 0);
	ck_assert_int_eq(report(guard, 0, POLICY_READ, "/v", POLICY_DENY, 0), 0);
	ck_assert_uint_eq(told, 2);
	/* Another verdict, another rule, another policy. */
	ck_assert_int_eq(report(guard, 0, POLICY_READ, "/w/src/b", POLICY_ALLOW, 2), -EPROTO);
	ck_assert_int_eq(report(guard, 0, POLICY_READ, "/w/src/b", POLICY_HIDE, 2), -EPROTO);
	ck_assert_int_eq(report(guard, 0, POLICY_READ, "/w/src/b", POLICY_DENY, 1), -EPROTO);
	ck_assert_int_eq(report(guard, 0, POLICY_READ, "/w/src/b", POLICY_DENY, 0), -EPROTO);
	ck_assert_int_eq(report(guard, 0, POLICY_READ, "/v", POLICY_DENY, 1), -EPROTO);
	ck_assert_int_eq(report(guard, 1, POLICY_READ, "/w/src/b", POLICY_DENY, 2), -EPROTO);
	ck_assert_int_eq(report(guard, UINT64_MAX, POLICY_READ, "/w/src/b", POLICY_DENY, 2),
			 -EPROTO);
	ck_assert_int_eq(guard_report(guard, "x", 1, &verdict), -EINVAL);
	ck_assert_int_eq(guard_report(guard, NULL, 0, &verdict), -EINVAL);
	ck_assert_uint_eq(told, 2);
	/* Of a policy that is no longer in force. */
	ck_assert_int_eq(guard_replace(guard, policy_of(0), "me"), 0);
	ck_assert_int_eq(report(guard, 0, POLICY_READ, "/w/src/b", POLICY_DENY, 2), -EPROTO);
	ck_assert_int_eq(report(guard, 1, POLICY_READ, "/w/src/b", POLICY_DENY, 2), 0);
	guard_destroy(guard);
}
END_TEST

/* The result of guard_question() for a question about "/w/...". */
static int question(struct guard *guard, uint64_t number, enum policy_report_kind kind,
		    enum policy_op op, const char *path)
{
	const struct policy_report made = {
		.kind = kind,
		.policy = number,
		.request = {.class = POLICY_FILE, .op = op, .object = path, .length = strlen(path)},
		.verdict = kind == POLICY_REPORT_QUESTION ? POLICY_ASK : POLICY_DENY,
	};
	enum policy_verdict verdict;
	struct policy_request request;
	struct pack pack = {.data = NULL};
	int ret;

	ck_assert_int_eq(policy_report_pack(&pack, &made), 0);
	ret = guard_question(guard, pack.data, pack.length, &request);
	if (kind == POLICY_REPORT_QUESTION)
		ck_assert_int_eq(guard_report(guard, pack.data, pack.length, &verdict), -EINVAL);
	if (ret == 0)
		ck_assert(request.op == op && request.length == strlen(path));
	pack_free(&pack);
	return ret;
}

START_TEST(questions_are_checked)
{
	static const char text[] = "policy 1\nshare / /w\nfile ask-read /w/s\n"
				   "file ask-write /w/**\n";
	const struct policy_source source = {.name = "p", .directory = "/"};
	const struct policy_report lookup = {
		.kind = POLICY_REPORT_QUESTION,
		.request = {.class = POLICY_FILE, .op = POLICY_LOOKUP, .object = "/w", .length = 2},
		.verdict = POLICY_ASK,
	};
	struct pack pack = {.data = NULL};
	struct policy_request request;
	struct policy *policy;
	struct guard *guard;
	struct err err;

	ck_assert_int_eq(policy_parse(&policy, text, strlen(text), &source, &err), 0);
	ck_assert_int_eq(guard_create(&guard, policy, NULL), 0);
	ck_assert_int_eq(question(guard, 0, POLICY_REPORT_QUESTION, POLICY_READ, "/w/s"), 0);
	ck_assert_int_eq(question(guard, 0, POLICY_REPORT_QUESTION, POLICY_REMOVE, "/w/x"), 0);
	/* What the policy decides, another policy, and what is no question. */
	ck_assert_int_eq(question(guard, 0, POLICY_REPORT_QUESTION, POLICY_WRITE, "/w/s"), -EPROTO);
	ck_assert_int_eq(question(guard, 0, POLICY_REPORT_QUESTION, POLICY_READ, "/w/x"), -EPROTO);
	ck_assert_int_eq(question(guard, 1, POLICY_REPORT_QUESTION, POLICY_READ, "/w/s"), -ESTALE);
	ck_assert_int_eq(question(guard, 0, POLICY_REPORT_DECISION, POLICY_READ, "/w/s"), -EINVAL);
	ck_assert_int_eq(guard_question(guard, "x", 1, &request), -EINVAL);
	ck_assert_int_eq(policy_report_pack(&pack, &lookup), -EINVAL);
	pack_free(&pack);
	guard_destroy(guard);
}
END_TEST

UNIT_MAIN("guard_report", questions_are_checked, without_a_log_only_denials_are_reported,
	  hidden_names_are_reported_once_a_while, only_what_waits_for_the_log_waits,
	  without_a_monitor_a_required_log_denies, a_server_that_lies_is_found_out)
