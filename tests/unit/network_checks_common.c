/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/network_checks_common.h"

#include <string.h>

#include "tests/support/audit_log.h"

static struct loop *loop;
struct guard *guard;
struct approvals *questions;
struct network_checks checks;
struct verdicts verdicts;
bool published;

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

struct policy *parse(const char *text)
{
	const struct policy_source source = {.name = "p", .lenient = true};
	struct policy *policy;

	ck_assert_int_eq(policy_parse(&policy, text, strlen(text), &source, NULL), 0);
	return policy;
}

void begin(const char *text, bool attended)
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

void end(void)
{
	network_checks_close(&checks);
	ck_assert_uint_eq(checks.count, 0);
	approvals_destroy(questions);
	loop_destroy(loop);
	guard_destroy(guard);
	audit_log_end();
}

void take(uint32_t ticket, uint16_t port)
{
	struct relay_check check = fake_relay_check(ticket);

	check.port = port;
	network_checks_take(&checks, &check);
}

void expect(unsigned count, uint32_t ticket, bool allowed, bool approved)
{
	ck_assert_uint_eq(verdicts.count, count);
	ck_assert_uint_eq(verdicts.ticket, ticket);
	ck_assert_int_eq(verdicts.allowed, allowed);
	ck_assert_int_eq(verdicts.approved, approved);
}

unsigned open_questions(void)
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

void reply(enum approval_reply answer)
{
	ck_assert_int_eq(approvals_reply(questions, question(), answer, true, "by me"), 0);
}
