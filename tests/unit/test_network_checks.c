/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts for the relay: of the policy, of operators, remembered, withdrawn; and their log. */
#include "vmm/sandbox/network_checks.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/audit_log.h"
#include "tests/support/fake_relay.h"
#include "tests/support/unit.h"
#include "vmm/policy/guard.h"
#include "vmm/sandbox/approvals.h"

static struct loop *loop;
static struct guard *guard;
static struct approvals *questions;
static struct network_checks checks;
static struct {
	unsigned count;
	uint32_t ticket;
	bool allowed, approved;
} verdicts;
static bool published;

static void on_verdict(void *arg, uint32_t ticket, bool allowed, bool approved)
{
	(void)arg;
	verdicts.count++;
	verdicts.ticket = ticket;
	verdicts.allowed = allowed;
	verdicts.approved = approved;
}

static bool on_published(void *arg, uint16_t guest_port, bool udp)
{
	(void)arg;
	return published && guest_port == 80 && !udp;
}

static void on_decided(void *arg, uint32_t number, enum approval_event outcome, const char *reason)
{
	(void)arg;
	network_checks_decided(&checks, number, outcome, reason);
}

static struct policy *parse(const char *text)
{
	const struct policy_source source = {.name = "p", .lenient = true};
	struct policy *policy;

	ck_assert_int_eq(policy_parse(&policy, text, strlen(text), &source, NULL), 0);
	return policy;
}

#define ASKS "policy 1\nnet allow tcp *:1\nnet deny tcp *:2\nnet ask tcp *:*\n"

static void begin(const char *text, bool attended)
{
	static const struct network_checks_ops ops = {.verdict = on_verdict,
						      .published = on_published};

	memset(&verdicts, 0, sizeof(verdicts));
	published = true;
	audit_log_begin();
	ck_assert_int_eq(
		guard_create(&guard, parse(text), audit_log_open((struct audit_config){0})), 0);
	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(approvals_create(&questions, loop, guard, NULL), 0);
	approvals_attend(questions, attended);
	approvals_set_requester(questions, POLICY_NET, on_decided, NULL);
	network_checks_init(&checks, guard, questions, &ops, NULL);
}

static void end(void)
{
	network_checks_close(&checks);
	ck_assert_uint_eq(checks.count, 0);
	approvals_destroy(questions);
	loop_destroy(loop);
	guard_destroy(guard);
	audit_log_end();
}

/* How many lines of the log have the text. */
static unsigned logged(const char *text)
{
	struct audit_check check;
	struct err err = {""};
	unsigned found = 0;

	ck_assert_msg(audit_log_check(&check, text, &found, &err) == 0, "%s", err.text);
	return found;
}

static void take(uint32_t ticket, uint16_t port)
{
	struct relay_check check = fake_relay_check(ticket);

	check.port = port;
	network_checks_take(&checks, &check);
}

static void expect(unsigned count, uint32_t ticket, bool allowed, bool approved)
{
	ck_assert_uint_eq(verdicts.count, count);
	ck_assert_uint_eq(verdicts.ticket, ticket);
	ck_assert_int_eq(verdicts.allowed, allowed);
	ck_assert_int_eq(verdicts.approved, approved);
}

static unsigned open_questions(void)
{
	unsigned at = 0, count = 0;

	while (approvals_next(questions, &at))
		count++;
	return count;
}

/* The only open question. */
static uint32_t question(void)
{
	unsigned at = 0;
	const struct approval *first = approvals_next(questions, &at);

	ck_assert_ptr_nonnull(first);
	ck_assert_ptr_null(approvals_next(questions, &at));
	return first->number;
}

static void reply(enum approval_reply answer)
{
	ck_assert_int_eq(approvals_reply(questions, question(), answer, true, "by me"), 0);
}

/* --- the policy's verdicts -------------------------------------------------------------------- */

START_TEST(the_policy_decides_at_once)
{
	begin(ASKS, true);
	take(5, 1);
	expect(1, 5, true, false);
	take(6, 2);
	expect(2, 6, false, false);
	ck_assert_uint_eq(checks.count + open_questions(), 0);
	ck_assert_uint_eq(logged("\"verdict\":\"allow\""), 1);
	ck_assert_uint_eq(logged("\"verdict\":\"deny\""), 1);
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
	ck_assert_uint_eq(logged("\"rule\":\"--publish\""), 1);
	check.protocol = POLICY_UDP;
	network_checks_take(&checks, &check);
	expect(2, 1, false, false);
	check.protocol = POLICY_TCP;
	published = false;
	network_checks_take(&checks, &check);
	expect(3, 1, false, false);
	ck_assert_uint_eq(logged("\"rule\":\"--publish\""), 1);
	end();
}
END_TEST

START_TEST(what_the_relay_refused_is_only_logged)
{
	begin(ASKS, true);
	take(0, 2);
	ck_assert_uint_eq(verdicts.count, 0);
	ck_assert_uint_eq(logged("\"verdict\":\"deny\""), 1);
	/* The policy has changed meanwhile: it says nothing that was not so. */
	take(0, 1);
	take(0, 3);
	ck_assert_uint_eq(verdicts.count + open_questions(), 0);
	ck_assert_uint_eq(logged("\"verdict\":\"allow\""), 0);
	ck_assert_uint_eq(logged("\"verdict\":\"deny\""), 1);
	ck_assert_uint_eq(logged("\"event\":\"flow-refused\""), 2);
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
	ck_assert_uint_eq(logged("an operator allowed"), 2);
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
	ck_assert_uint_eq(logged("\"method\":\"GET\",\"path\":\"/one\""), 1);
	ck_assert_uint_eq(logged("\"verdict\":\"allow\""), 2);
	ck_assert_uint_eq(logged("an operator allowed its connection once"), 1);
	/* Neither the other rule, nor another name. */
	take_request(4, "a.test", "POST", "/two");
	expect(4, 4, false, false);
	take_request(5, "b.test", "GET", "/three");
	expect(5, 5, false, false);
	ck_assert_uint_eq(logged("the approval of its connection is not known"), 3);
	take_request(6, "b.test", NULL, "");
	reply(APPROVAL_SESSION);
	take_request(7, "b.test", "GET", "/three");
	expect(7, 7, true, true);
	ck_assert_uint_eq(logged("an operator allowed its connection for the sandbox's life"), 1);
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

START_TEST(without_an_operator_it_is_denied)
{
	begin(ASKS, false);
	take(1, 22);
	expect(1, 1, false, false);
	ck_assert_uint_eq(logged("no operator is attached"), 1);
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
	ck_assert_uint_eq(logged("the policy says on-ask deny"), 1);
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
	ck_assert_uint_eq(logged("too many questions are open"), 1);
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
	ck_assert_uint_eq(logged("\"event\":\"answer\""), 1);
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
	ck_assert_uint_eq(logged("\"verdict\":\"allow\""), 2);
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
	  outcomes_are_counted, an_approved_connection_covers_its_requests,
	  approved_connections_are_bounded)
