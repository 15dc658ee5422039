/* SPDX-License-Identifier: Apache-2.0 */
/* Exec rules in the monitor: verdicts, what the guest may remember, questions, a hostile guest. */
#include "vmm/sandbox/programs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/audit_log.h"
#include "tests/support/unit.h"
#include "tests/unit/approvals_common.h"

static const char rules[] = "policy 1\n"
			    "exec deny /bin/bad\n"
			    "exec ask /bin/ask*\n"
			    "exec allow /bin/**\n";

static struct programs *programs;

/* What the guest was told. */
static unsigned verdicts;
static uint32_t number;
static int error;
static bool remember;
static char text[AGENT_MESSAGE_MAX];

static void on_verdict(void *arg, uint32_t check, int what, bool remembers, const char *why)
{
	(void)arg;
	verdicts++;
	number = check;
	error = what;
	remember = remembers;
	snprintf(text, sizeof(text), "%s", why);
}

static void begin_programs(const char *policy)
{
	begin_with(policy, NULL);
	verdicts = 0;
	ck_assert_int_eq(programs_create(&programs, guard, questions, on_verdict, NULL), 0);
}

static void end_programs(void)
{
	programs_destroy(programs);
	end();
}

static struct policy *policy_of(const char *text_of)
{
	const struct policy_source source = {.name = "p", .directory = "/"};
	struct policy *policy;
	struct err err;

	ck_assert_msg(policy_parse(&policy, text_of, strlen(text_of), &source, &err) == 0, "%s",
		      err.text);
	return policy;
}

static void check_at(uint32_t check, const char *path, bool no_path)
{
	const struct agent_check request = {.number = check,
					    .pid = 7,
					    .uid = 1000,
					    .no_path = no_path,
					    .path = path,
					    .length = strlen(path),
					    .program = "/bin/sh",
					    .program_length = 7};

	programs_check(programs, &request);
}

static void check(uint32_t id, const char *path)
{
	check_at(id, path, false);
}

START_TEST(rules_decide)
{
	begin_programs(rules);
	check(1, "/bin/good");
	ck_assert_uint_eq(verdicts, 1);
	ck_assert_uint_eq(number, 1);
	ck_assert_int_eq(error, 0);
	ck_assert(remember);
	ck_assert_str_eq(text, "");
	check(2, "/bin/bad");
	ck_assert_int_eq(error, EACCES);
	ck_assert(remember);
	ck_assert_str_eq(text, "/bin/bad is denied by the policy: exec deny /bin/bad");
	check(3, "/usr/bin/good");
	ck_assert_int_eq(error, EACCES);
	ck_assert_str_eq(text, "/usr/bin/good is denied by the policy: no rule allows it");
	/* A file without a path matches nothing, whatever its name says. */
	check_at(4, "/bin/good", true);
	ck_assert_int_eq(error, EACCES);
	ck_assert_str_eq(text, "no path: /bin/good is denied by the policy: it has no path in the "
			       "sandbox");
	/* Paths that no kernel makes. */
	check(5, "");
	ck_assert_int_eq(error, EACCES);
	check(6, "bin/good");
	ck_assert_int_eq(error, EACCES);
	check(7, "/bin/../etc/x");
	ck_assert_int_eq(error, EACCES);
	check(8, "/bin/a/../bad");
	ck_assert_int_eq(error, EACCES);
	ck_assert_uint_eq(verdicts, 8);
	replace_policy("policy 1\n");
	check_at(9, "/bin/good", true);
	ck_assert_int_eq(error, 0);
	end_programs();
}
END_TEST

START_TEST(no_operator)
{
	begin_programs(rules);
	check(1, "/bin/ask");
	ck_assert_uint_eq(verdicts, 1);
	ck_assert_int_eq(error, EACCES);
	ck_assert(!remember);
	ck_assert_str_eq(text, "/bin/ask is denied by the policy: exec ask /bin/ask* (no "
			       "operator approved it)");
	ck_assert_uint_eq(asked, 0);
	end_programs();
}
END_TEST

START_TEST(an_operator_decides)
{
	const struct approval *first;
	unsigned at;

	begin_programs(rules);
	approvals_attend(questions, true);
	check(1, "/bin/ask");
	check(2, "/bin/ask");
	check(3, "/bin/ask3");
	turn();
	ck_assert_uint_eq(asked, 2);
	ck_assert_uint_eq(verdicts, 0);
	at = 0;
	first = approvals_next(questions, &at);
	ck_assert_str_eq(first->program, "/bin/sh");
	ck_assert_uint_eq(first->pid, 7);
	ck_assert_uint_eq(first->uid, 1000);
	ck_assert_int_eq(approvals_reply(questions, 1, APPROVAL_ONCE, true, "me"), 0);
	ck_assert_uint_eq(verdicts, 2); /* both wait for one decision */
	ck_assert_int_eq(error, 0);
	ck_assert(!remember);
	ck_assert_int_eq(approvals_reply(questions, 2, APPROVAL_NO, true, "me"), 0);
	ck_assert_uint_eq(verdicts, 3);
	ck_assert_uint_eq(number, 3);
	ck_assert_int_eq(error, EACCES);
	/* Once is once; for the session is remembered by the guest. */
	check(4, "/bin/ask");
	ck_assert_uint_eq(verdicts, 3);
	ck_assert_int_eq(approvals_reply(questions, 3, APPROVAL_SESSION, true, "me"), 0);
	ck_assert_uint_eq(verdicts, 4);
	check(5, "/bin/ask");
	ck_assert_uint_eq(verdicts, 5);
	ck_assert_int_eq(error, 0);
	ck_assert(remember);
	end_programs();
}
END_TEST

START_TEST(what_waits_ends_with_the_process_and_the_policy)
{
	begin_programs(rules);
	approvals_attend(questions, true);
	check(1, "/bin/ask");
	check(2, "/bin/ask");
	turn();
	programs_gone(programs, 1);
	ck_assert_uint_eq(over, 0); /* another process waits for the same */
	programs_gone(programs, 9);
	programs_gone(programs, 2);
	ck_assert_uint_eq(over, 1);
	ck_assert_uint_eq(verdicts, 0);
	ck_assert_int_eq(approvals_reply(questions, 1, APPROVAL_ONCE, true, "me"), -ENOENT);
	check(3, "/bin/ask");
	replace_policy("policy 1\nexec allow /bin/ask\n");
	ck_assert_uint_eq(verdicts, 1);
	ck_assert_int_eq(error, 0);
	replace_policy(rules);
	check(4, "/bin/ask");
	replace_policy("policy 1\nexec deny /bin/ask\nexec allow /**\n");
	ck_assert_uint_eq(verdicts, 2);
	ck_assert_int_eq(error, EACCES);
	/* The last operator leaves. */
	replace_policy(rules);
	check(5, "/bin/ask");
	approvals_attend(questions, false);
	ck_assert_uint_eq(verdicts, 3);
	ck_assert_int_eq(error, EACCES);
	/* The agent connects again. */
	approvals_attend(questions, true);
	check(6, "/bin/ask");
	programs_reset(programs);
	ck_assert_uint_eq(verdicts, 3);
	check(6, "/bin/ask");
	ck_assert_uint_eq(verdicts, 3);
	end_programs();
}
END_TEST

START_TEST(a_flood_of_questions)
{
	char path[64];
	uint32_t i;

	begin_programs(rules);
	approvals_attend(questions, true);
	for (i = 1; i <= 1000; i++) {
		snprintf(path, sizeof(path), "/bin/ask%u", i);
		check(i, path);
	}
	turn();
	ck_assert_uint_le(asked, APPROVALS_MAX);
	ck_assert_uint_ge(verdicts, 1000 - APPROVALS_MAX);
	/* More processes than there is room for wait for one decision. */
	for (; i <= 2000; i++)
		check(i, "/bin/ask1");
	ck_assert_uint_ge(verdicts, 2000 - APPROVALS_MAX - AGENT_CHECKS_MAX);
	/* One number twice: the older is lost. */
	check(1, "/bin/good");
	ck_assert_int_eq(error, 0);
	end_programs();
}
END_TEST

static void happen(struct agent_event event, const char *path, const char *arguments, size_t length)
{
	event.pid = 7;
	event.uid = 1000;
	event.path = path;
	event.length = strlen(path);
	event.arguments = arguments;
	event.arguments_length = length;
	programs_happened(programs, &event);
}

static void check_log(const char *line, unsigned count)
{
	const unsigned found = audit_log_lines(line);

	ck_assert_msg(found == count, "%u times: %s", found, line);
}

START_TEST(starts_and_ends_are_logged)
{
	static const char policy[] = "policy 1\naudit processes\non-deny continue audit=required\n";
	const struct agent_event end = {.kind = AGENT_EVENT_END, .parent = 1};
	struct policy_request request = {
		.class = POLICY_EXEC, .op = POLICY_RUN, .object = "/bin/sh", .length = 7};
	unsigned i;

	audit_log_begin();
	begin_programs(policy);
	programs_destroy(programs);
	guard_destroy(guard);
	ck_assert_int_eq(
		guard_create(&guard, policy_of(policy), audit_log_open((struct audit_config){0})),
		0);
	ck_assert_int_eq(programs_create(&programs, guard, questions, on_verdict, NULL), 0);
	happen((struct agent_event){.kind = AGENT_EVENT_START, .parent = 3}, "/bin/sh",
	       "sh\0-c\0\033[2J\0", 11);
	check_log("\"event\":\"process-start\",\"class\":\"exec\",\"object\":\"/bin/sh\","
		  "\"detail\":\"parent=3 argv=sh -c "
		  "\\u001b[2J\",\"claimed_pid\":7,\"claimed_uid\":1000",
		  1);
	happen((struct agent_event){.kind = AGENT_EVENT_START, .cut = true}, "", "a\0bc", 4);
	check_log("argv=a bc...", 1);
	happen((struct agent_event){.kind = AGENT_EVENT_END,
				    .parent = 3,
				    .status = 9,
				    .cpu_us = 1200,
				    .peak_kib = 80},
	       "", "", 0);
	check_log("\"detail\":\"parent=3 signal=9 cpu_us=1200 peak_kib=80\"", 1);
	happen((struct agent_event){.kind = AGENT_EVENT_END, .status = 126 << 8}, "", "", 0);
	check_log("status=126", 1);
	happen((struct agent_event){.kind = AGENT_EVENT_LOST, .status = 12}, "", "", 0);
	check_log("\"event\":\"process-lost\"", 1);
	check_log("count=12", 1);
	happen((struct agent_event){.kind = AGENT_EVENT_DENIED, .parent = 3}, "/bin/bad", "", 0);
	check_log("\"event\":\"process-denied\",\"class\":\"exec\",\"object\":\"/bin/bad\","
		  "\"detail\":\"parent=3\",\"claimed_pid\":7,\"claimed_uid\":1000",
		  1);
	/* A storm of them has a budget of its own: it costs no operation its line, nor its verdict.
	 */
	for (i = 0; i < 30000; i++)
		happen(end, "", "", 0);
	ck_assert_int_eq(guard_check(guard, &request, NULL), POLICY_ALLOW);
	check_log("\"op\":\"run\"", 1);
	programs_destroy(programs);
	approvals_destroy(questions);
	guard_destroy(guard);
	check_log("\"event\":\"gap\",\"allowed\":0,\"refused\":0,\"processes\":", 1);
	loop_destroy(loop);
	audit_log_end();
}
END_TEST

UNIT_MAIN("programs", starts_and_ends_are_logged, rules_decide, no_operator, an_operator_decides,
	  what_waits_ends_with_the_process_and_the_policy, a_flood_of_questions)
