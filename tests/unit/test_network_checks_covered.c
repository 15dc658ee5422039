/* SPDX-License-Identifier: Apache-2.0 */
/* Requests in connections that an operator has approved. */
#include "tests/unit/network_checks_common.h"

#include <string.h>

static void take_request(uint32_t ticket, const char *name, const char *method, const char *path)
{
	struct relay_check check = fake_relay_check(ticket);

	check.protocol = POLICY_HTTP;
	check.has_name = 1;
	check.has_method = check.covered = method != NULL;
	strcpy(check.name, name);
	strcpy(check.method, method ? method : "");
	strcpy(check.path, path);
	network_checks_take(&checks, &check);
}

#define WEB "policy 1\nnet ask http GET a.test\nnet ask http POST a.test\nnet ask http *.test\n"

/* Each request has a line, with what covers it: no person is asked, none is trusted blindly. */
START_TEST(an_approved_connection_covers_its_requests)
{
	begin(WEB, true);
	take_request(1, "a.test", "GET", "/early");
	expect(1, 1, false, false);
	ck_assert_uint_eq(open_questions(), 0);
	take_request(2, "a.test", NULL, "");
	reply(APPROVAL_ONCE);
	expect(2, 2, true, true);
	take_request(3, "a.test", "GET", "/one");
	expect(3, 3, true, true);
	ck_assert_uint_eq(audit_log_lines("\"method\":\"GET\",\"path\":\"/one\""), 1);
	ck_assert_uint_eq(audit_log_lines("\"verdict\":\"allow\""), 2);
	ck_assert_uint_eq(audit_log_lines("an operator allowed its connection once"), 1);
	/* Neither the other rule, nor another name. */
	take_request(4, "a.test", "POST", "/two");
	expect(4, 4, false, false);
	take_request(5, "b.test", "GET", "/three");
	expect(5, 5, false, false);
	ck_assert_uint_eq(audit_log_lines("the approval of its connection is not known"), 3);
	take_request(6, "b.test", NULL, "");
	reply(APPROVAL_SESSION);
	take_request(7, "b.test", "GET", "/three");
	expect(7, 7, true, true);
	ck_assert_uint_eq(
		audit_log_lines("an operator allowed its connection for the sandbox's life"), 1);
	ck_assert_uint_eq(open_questions(), 0);
	/* A rule that denies counts for what is covered, too. */
	ck_assert_int_eq(guard_replace(guard, parse("policy 1\nnet deny http *.test\n"), "me"), 0);
	take_request(8, "a.test", "GET", "/one");
	expect(8, 8, false, false);
	end();
}
END_TEST

static void take_at(uint8_t last, bool covered)
{
	struct relay_check check = fake_relay_check(1);

	check.protocol = POLICY_HTTP;
	check.has_name = 1;
	check.has_method = check.covered = covered;
	strcpy(check.name, "a.test");
	strcpy(check.method, covered ? "GET" : "");
	strcpy(check.path, covered ? "/" : "");
	check.address.bytes[2] = last == 0;
	check.address.bytes[3] = last;
	network_checks_take(&checks, &check);
}

START_TEST(approved_connections_are_bounded)
{
	unsigned i;

	begin(WEB, true);
	take_at(0, false);
	reply(APPROVAL_SESSION);
	for (i = 1; i < NETWORK_CHECKS_APPROVED; i++)
		take_at((uint8_t)i, false);
	take_at(1, false);
	take_at(0, true);
	expect(NETWORK_CHECKS_APPROVED + 2, 1, true, true);
	/* One more takes the place of the oldest. */
	take_request(2, "b.test", NULL, "");
	reply(APPROVAL_ONCE);
	take_at(0, true);
	expect(NETWORK_CHECKS_APPROVED + 4, 1, false, false);
	take_at(1, true);
	expect(NETWORK_CHECKS_APPROVED + 5, 1, true, true);
	end();
}
END_TEST

UNIT_MAIN("network_checks_covered", an_approved_connection_covers_its_requests,
	  approved_connections_are_bounded)
