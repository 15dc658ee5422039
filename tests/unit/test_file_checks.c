/* SPDX-License-Identifier: Apache-2.0 */
/* Operators decide about files: what becomes of a request's question in the monitor. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/approvals_common.h"
#include "vmm/sandbox/file_checks.h"

#define POLICY                   \
	"policy 1\nshare / /w\n" \
	"file ask-read /w/s*\n"  \
	"file ask-write /w/**\n"
#define READABLE "policy 1\nshare / /w\nfile write /w/**\n"

static struct file_checks *checks;
/* By slot: what was sent; -1: nothing. */
static int sent[4];

static void send_verdict(void *arg, unsigned slot, enum policy_verdict verdict)
{
	(void)arg;
	sent[slot] = verdict;
}

static void begin_checks(const char *policy)
{
	memset(sent, -1, sizeof(sent));
	begin_with(policy, NULL);
	ck_assert_int_eq(file_checks_create(&checks, guard, questions, send_verdict, NULL), 0);
	approvals_attend(questions, true);
}

static void end_checks(void)
{
	file_checks_destroy(checks);
	end();
}

static void ask(unsigned slot, enum policy_op op, const char *object, const char *other)
{
	const struct policy_request request = {
		.class = POLICY_FILE,
		.op = op,
		.object = object,
		.length = strlen(object),
		.other = other,
		.other_length = other ? strlen(other) : 0,
		.root = 2,
	};

	sent[slot] = -1;
	file_checks_ask(checks, slot, &request);
	turn();
}

static unsigned open_questions(void)
{
	unsigned at = 0, count = 0;

	while (approvals_next(questions, &at))
		count++;
	return count;
}

static void reply(enum approval_reply answer)
{
	unsigned at = 0;
	const struct approval *question = approvals_next(questions, &at);

	ck_assert_ptr_nonnull(question);
	ck_assert_int_eq(approvals_reply(questions, question->number, answer, true, "a test"), 0);
	turn();
}

START_TEST(one_question_for_all_that_wait)
{
	begin_checks(POLICY);
	ask(0, POLICY_READ, "/w/s", NULL);
	ask(1, POLICY_READ, "/w/s", NULL);
	ask(2, POLICY_WRITE, "/w/x", NULL);
	ck_assert_uint_eq(open_questions(), 2);
	reply(APPROVAL_ONCE);
	ck_assert_int_eq(sent[0], POLICY_ALLOW);
	ck_assert_int_eq(sent[1], POLICY_ALLOW);
	ck_assert_int_eq(sent[2], -1);
	reply(APPROVAL_NO);
	ck_assert_int_eq(sent[2], POLICY_DENY);
	/* Once is once. */
	ask(0, POLICY_READ, "/w/s", NULL);
	ck_assert_int_eq(sent[0], -1);
	ck_assert_uint_eq(open_questions(), 1);
	end_checks();
}
END_TEST

START_TEST(withdrawn_with_the_last_that_waits)
{
	begin_checks(POLICY);
	ask(0, POLICY_READ, "/w/s", NULL);
	ask(1, POLICY_READ, "/w/s", NULL);
	file_checks_withdraw(checks, 0);
	ck_assert_uint_eq(open_questions(), 1);
	/* What waits for another decision now does not wait for the first one. */
	ask(1, POLICY_READ, "/w/s2", NULL);
	ck_assert_uint_eq(open_questions(), 1);
	file_checks_withdraw(checks, 1);
	file_checks_withdraw(checks, 1);
	ck_assert_uint_eq(open_questions(), 0);
	ck_assert_int_eq(sent[0], -1);
	ck_assert_int_eq(sent[1], -1);
	end_checks();
}
END_TEST

START_TEST(decisions_are_remembered)
{
	begin_checks(POLICY);
	ask(0, POLICY_READ, "/w/s", NULL);
	reply(APPROVAL_SESSION);
	ask(1, POLICY_READ, "/w/s", NULL);
	ck_assert_int_eq(sent[1], POLICY_ALLOW);
	ask(1, POLICY_WRITE, "/w/x", NULL);
	reply(APPROVAL_NEVER);
	ask(1, POLICY_WRITE, "/w/x", NULL);
	ck_assert_int_eq(sent[1], POLICY_DENY);
	/* A pair of names says nothing of other pairs, nor of its names. */
	ask(0, POLICY_RENAME, "/w/a", "/w/b");
	reply(APPROVAL_SESSION);
	ask(1, POLICY_RENAME, "/w/a", "/w/b");
	ck_assert_int_eq(sent[1], POLICY_ALLOW);
	ask(1, POLICY_RENAME, "/w/a", "/w/c");
	ck_assert_int_eq(sent[1], -1);
	ask(2, POLICY_WRITE, "/w/a", NULL);
	ck_assert_int_eq(sent[2], -1);
	ck_assert_uint_eq(open_questions(), 2);
	end_checks();
}
END_TEST

START_TEST(another_policy_is_left_to_the_server)
{
	begin_checks(POLICY);
	ask(0, POLICY_READ, "/w/s", NULL);
	/* Closed; the server, which knows the policy, decides by it. */
	replace_policy(READABLE);
	ck_assert_uint_eq(open_questions(), 0);
	ck_assert_int_eq(sent[0], -1);
	file_checks_withdraw(checks, 0);
	replace_policy(POLICY);
	ask(0, POLICY_READ, "/w/s", NULL);
	replace_policy(POLICY);
	ck_assert_uint_eq(open_questions(), 1);
	/* It asks again: the same question. */
	ask(0, POLICY_READ, "/w/s", NULL);
	ck_assert_uint_eq(open_questions(), 1);
	reply(APPROVAL_ONCE);
	ck_assert_int_eq(sent[0], POLICY_ALLOW);
	end_checks();
}
END_TEST

START_TEST(denied_at_once)
{
	unsigned i;
	char path[32];

	begin_checks(POLICY);
	approvals_attend(questions, false);
	ask(0, POLICY_READ, "/w/s", NULL);
	ck_assert_int_eq(sent[0], POLICY_DENY);
	approvals_attend(questions, true);
	ask(0, POLICY_READ, "/w/s\x1b", NULL);
	ck_assert_int_eq(sent[0], POLICY_DENY);
	/* The last of these is one too many. */
	for (i = 0; i <= APPROVALS_MAX; i++) {
		snprintf(path, sizeof(path), "/w/s%u", i);
		ask(1, POLICY_READ, path, NULL);
	}
	ck_assert_uint_le(open_questions(), 1);
	end_checks();
	begin_checks(POLICY "on-ask deny\n");
	ask(0, POLICY_READ, "/w/s", NULL);
	ck_assert_int_eq(sent[0], POLICY_DENY);
	end_checks();
	/* There are no operators at all. */
	begin_with(POLICY, NULL);
	ck_assert_int_eq(file_checks_create(&checks, guard, NULL, send_verdict, NULL), 0);
	ask(0, POLICY_READ, "/w/s", NULL);
	ck_assert_int_eq(sent[0], POLICY_DENY);
	end_checks();
}
END_TEST

UNIT_MAIN("file_checks", one_question_for_all_that_wait, withdrawn_with_the_last_that_waits,
	  decisions_are_remembered, another_policy_is_left_to_the_server, denied_at_once)
