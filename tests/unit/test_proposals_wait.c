/* SPDX-License-Identifier: Apache-2.0 */
/* How long proposals wait for an operator; and the command of --on-ask. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/unit/proposals_common.h"

static void stop_loop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void pass_time(uint64_t ns)
{
	struct loop_timer timer = {.expired = stop_loop};

	loop_timer_start(loop, &timer, ns);
	ck_assert_int_eq(loop_run(loop), 0);
}

/* In a sandbox that stays, proposals wait for an operator who comes later, as `on-ask` says. */
START_TEST(proposals_wait_for_an_operator)
{
	begin();
	attend(false);
	/* Of a single command none can come but with `on-ask freeze`, without a control socket at
	 * all. */
	propose(1, "net allow tls a.test:443", "");
	ck_assert_str_eq(reply_text, "no operator is attached");
	replace_policy("on-ask freeze\n");
	propose(2, "net allow tls a.test:443", "");
	ck_assert_uint_eq(replies, 2);
	approvals_set_reachable(questions, true, false);
	propose(3, "net allow tls a.test:443", "");
	ck_assert_uint_eq(count_open(), 1);
	replace_policy("on-ask wait=1h\n");
	ck_assert_uint_eq(count_open(), 0);
	ck_assert_str_eq(reply_text, "the policy was changed, and no operator is attached");
	/* One that stays: operators come and go; without a statement in the policy, too. */
	approvals_set_reachable(questions, true, true);
	propose(4, "net allow tls a.test:443", "");
	replace_policy("");
	propose(5, "net allow tls b.test:443", "");
	attend(true);
	attend(false);
	ck_assert_uint_eq(count_open(), 2);
	ck_assert_uint_eq(replies, 3);
	ck_assert_int_eq(proposals_approve(proposals, shown_number, "added:2", "by a"), 0);
	ck_assert_uint_eq(reply_id, 5);
	/* deny: those that are open end, and new ones do not begin. */
	replace_policy("on-ask deny\n");
	ck_assert_uint_eq(count_open(), 0);
	ck_assert_str_eq(reply_text, "the policy was changed and says on-ask deny");
	attend(true);
	propose(6, "net allow tls a.test:443", "");
	ck_assert_uint_eq(reply_id, 6);
	ck_assert_int_eq(result, AGENT_UNDECIDED);
	ck_assert_str_eq(reply_text, "the policy says on-ask deny");
	ck_assert_uint_eq(count_open(), 0);
	end();
}
END_TEST

/* The last operator goes when told: that ends the proposal, unless the command may decide. */
START_TEST(an_operator_who_leaves_when_told)
{
	begin();
	leaves = true;
	propose(1, "net allow tls a.test:443", "");
	ck_assert_uint_eq(count_open(), 0);
	ck_assert_uint_eq(replies, 1);
	ck_assert_str_eq(reply_text, "the last operator has disconnected");
	end();
	begin_with(NULL, "exec sleep 1000 #");
	propose(1, "net allow tls a.test:443", "");
	ck_assert_uint_eq(count_open(), 1);
	pass_time(20000000);
	ck_assert_uint_eq(replies, 0);
	leaves = false;
	end();
}
END_TEST

/* `on-ask wait` bounds a proposal's time as a question's; without it, the program does. */
START_TEST(proposals_wait_for_a_bounded_time)
{
	begin();
	propose(1, "net allow tls a.test:443", "");
	pass_time(UINT64_C(1300000000));
	ck_assert_uint_eq(count_open(), 1);
	replace_policy("on-ask wait=500ms\n");
	pass_time(UINT64_C(1300000000));
	ck_assert_uint_eq(count_open(), 0);
	ck_assert_uint_eq(reply_id, 1);
	ck_assert_int_eq(result, AGENT_UNDECIDED);
	ck_assert_str_eq(reply_text, "no operator decided in time");
	end();
}
END_TEST

/* --- the command of --on-ask ------------------------------------------------------------------ */

/* Proposes and lets the command end. attended: an operator could decide, too. */
static void command_decides(const char *command, bool attended)
{
	unsigned i;

	begin_with(NULL, command);
	attend(attended);
	propose(1, "net allow tls a.test:443", "for \"tests\"");
	ck_assert_uint_eq(replies, 0);
	for (i = 0; i < 200 && replies == 0 && (i < 20 || !attended); i++)
		pass_time(20000000);
	ck_assert_uint_eq(count_open(), attended && replies == 0);
}

START_TEST(a_command_decides)
{
	command_decides("grep -q '\"kind\":\"proposal\".*\"reason\":\"for \\\\\"tests' && "
			"echo '{\"answer\":\"approve\",\"reason\":\"listed\"}' #",
			false);
	ck_assert_msg(result == AGENT_APPROVED, "%s", reply_text);
	ck_assert_str_eq(reply_text, "added:7");
	ck_assert_str_eq(added_rule, "net allow tls a.test:443");
	ck_assert_str_eq(added_by, "by the command of --on-ask: listed");
	ck_assert_str_eq(how, "always by the command of --on-ask: listed");
	end();
	/* It has no arguments. */
	command_decides("[ $# = 0 ] && echo '{\"answer\":\"reject\",\"reason\":\"no\\u001b\"}' #",
			false);
	ck_assert_int_eq(result, AGENT_REJECTED);
	ck_assert_str_eq(reply_text, "no\\x1b");
	ck_assert_str_eq(how, "no by the command of --on-ask: no\\x1b");
	ck_assert_str_eq(added_rule, "");
	end();
	command_decides("[ $# = 0 ] && echo '{\"answer\":\"reject\"}'; #", false);
	ck_assert_str_eq(reply_text, "an operator rejected it");
	end();
}
END_TEST

/* What decides a question, and what decides nothing, never decides a proposal. */
START_TEST(a_command_that_decides_nothing)
{
	static const struct {
		const char *command, *why;
	} cases[] = {
		{"exit 1 #", ": its exit status is not 0"},
		{"echo once #", ": its answer is not one line of JSON"},
		{"echo approve #", ": its answer is not one line of JSON"},
		{"echo '{\"answer\":\"always\"}' #", ": its answer is not approve or reject"},
		{"echo '{\"answer\":\"approve\"}'; exit 1 #", ": its exit status is not 0"},
	};
	char why[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		command_decides(cases[i].command, false);
		snprintf(why, sizeof(why), "the command of --on-ask made no decision%s",
			 cases[i].why);
		ck_assert_int_eq(result, AGENT_UNDECIDED);
		ck_assert_str_eq(reply_text, why);
		ck_assert_str_eq(added_rule, "");
		end();
	}
	/* It stays with an operator, who decides; also if the rule can't be added. */
	command_decides("exit 1 #", true);
	ck_assert_int_eq(proposals_approve(proposals, shown_number, "added:2", "by a"), 0);
	end();
	add_fails = true;
	command_decides("echo '{\"answer\":\"approve\"}' #", true);
	ck_assert_str_eq(added_rule, "net allow tls a.test:443");
	ck_assert_int_eq(proposals_reject(proposals, shown_number, NULL, "by a"), 0);
	end();
	command_decides("echo '{\"answer\":\"approve\"}' #", false);
	ck_assert_int_eq(result, AGENT_UNDECIDED);
	ck_assert_str_eq(reply_text, "the approved rule could not be added");
	add_fails = false;
	end();
}
END_TEST

/* It ends with its proposal, and when the policy no longer asks. */
START_TEST(a_command_that_never_ends)
{
	begin_with(NULL, "exec sleep 1000 #");
	attend(false);
	propose(1, "net allow tls a.test:443", "");
	pass_time(20000000);
	attend(true);
	attend(false);
	ck_assert_uint_eq(count_open(), 1);
	proposals_withdraw(proposals, 1);
	on_ask_wait_ended(launcher);
	propose(2, "net allow tls a.test:443", "");
	pass_time(20000000);
	replace_policy("on-ask deny\n");
	ck_assert_str_eq(reply_text, "the policy was changed and says on-ask deny");
	on_ask_wait_ended(launcher);
	propose(3, "net allow tls a.test:443", "");
	ck_assert_str_eq(reply_text, "the policy says on-ask deny");
	replace_policy("");
	propose(4, "net allow tls a.test:443", "");
	pass_time(20000000);
	end();
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

UNIT_MAIN("proposals_wait", proposals_wait_for_an_operator, proposals_wait_for_a_bounded_time,
	  an_operator_who_leaves_when_told, a_command_decides, a_command_that_decides_nothing,
	  a_command_that_never_ends)
