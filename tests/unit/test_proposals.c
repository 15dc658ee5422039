/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that a guest proposes: the check of one, and the table of open ones under a hostile guest.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/proposals_common.h"

/* --- the check -------------------------------------------------------------------------------- */

static const struct {
	const char *line, *why; /* why NULL: it can be proposed */
} lines[] = {
	{"net allow tls pypi.org:443", NULL},
	{"net allow tcp *:*", NULL},
	{"net ask tcp a.test:1", NULL},
	{"file write /w/ro/a", NULL},
	{"file write /w/ro/a /w/ro/b", NULL},
	{"file read /x # a comment", NULL},
	/* No rule. */
	{"", "a rule is needed"},
	{"net", "a rule is needed"},
	{"network allow tls a.test:1", "a rule is needed"},
	{"include open", "a rule is needed"},
	{"limit memory=1G", "a rule is needed"},
	{"share /etc /x", "a rule is needed"},
	{"policy 1", "a rule is needed"},
	{"on-deny continue", "a rule is needed"},
	{"# net allow tls a.test:1", "a rule is needed"},
	{"net alow tls a.test:443", "proposal:2:5"},
	{"net allow tls a.test", "proposal:2:"},
	{"net allow tls a.test:443\nshare /etc /x", "one line"},
	{"net allow tls a.test:443\r", "one line"},
	{"file read /x/\x1b[1m", "proposal:2:"},
	{"file read /x/\xff", "proposal:2:"},
	{"file read /x/\xe2\x80\xae", "proposal:2:"},
	{"file read $HOME/x", "proposal:2:"},
	/* Nothing is added. */
	{"net deny tls a.test:443", "allows nothing"},
	{"net allow tls good.test:443", "the policy cannot take this rule"},
	{"file hide /w/a", "allows nothing"},
	{"file write /w/a", "allows nothing"},
	/* The policy cannot take it; the words tell nothing of the host or of what is hidden. */
	{"net allow tls bad.test:443", "the policy cannot take this rule"},
	{"file read /w/secret/key", "the policy cannot take this rule"},
};

START_TEST(a_line_is_checked)
{
	struct policy *policy = make_policy();
	enum policy_class class;
	char adds[POLICY_ADDS];
	struct err err;
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		err.text[0] = '\0';
		ret = policy_check_proposal(policy, lines[i].line, adds, &class, &err);
		ck_assert_msg((ret == 0) == !lines[i].why, "%s: %s", lines[i].line, err.text);
		ck_assert_msg((ret == 0) == (adds[0] != '\0'), "%s", lines[i].line);
		if (lines[i].why)
			ck_assert_msg(strstr(err.text, lines[i].why) != NULL, "%s: %s",
				      lines[i].line, err.text);
		ck_assert_ptr_null(strstr(err.text, "host.policy"));
		ck_assert_ptr_null(strstr(err.text, "secret"));
	}
	policy_free(policy);
}
END_TEST

/* The first target may be harmless: it must not look as if it were all. */
START_TEST(several_targets_are_not_one)
{
	static const struct {
		const char *line, *adds;
	} several[] = {
		{"net allow tls pypi.org:443 *:443",
		 "one of its 2 targets: it allows more, or that can't be ruled out: "
		 "net tls pypi.org:443 (added:2)"},
		{"net allow tls *:443 # pypi.org:443 and no other",
		 "it allows more, or that can't be ruled out: net tls *:443 (added:2)"},
		{"file read /x/a /y/b /z/c",
		 "one of its 3 targets: it allows more: file /x/a (read, added:2; before: deny by "
		 "default)"},
	};
	struct policy *policy = make_policy();
	enum policy_class class;
	char adds[POLICY_ADDS];
	struct err err;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(several); i++) {
		ck_assert_int_eq(policy_check_proposal(policy, several[i].line, adds, &class, &err),
				 0);
		ck_assert_str_eq(adds, several[i].adds);
	}
	policy_free(policy);
}
END_TEST

/* --- decisions -------------------------------------------------------------------------------- */

START_TEST(an_operator_decides)
{
	begin();
	propose(7, "net allow tls pypi.org:443", "pip install");
	ck_assert_uint_eq(shown, 1);
	ck_assert_uint_eq(replies, 0);
	ck_assert_str_eq(shown_rule, "net allow tls pypi.org:443");
	ck_assert_str_eq(shown_reason, "pip install");
	ck_assert_ptr_nonnull(strstr(shown_adds, "pypi.org:443"));
	ck_assert_int_eq(proposals_approve(proposals, shown_number + 1, "added:2", "by a"),
			 -ENOENT);
	ck_assert_int_eq(proposals_approve(proposals, shown_number, "added:2", "by a"), 0);
	ck_assert_uint_eq(replies, 1);
	ck_assert_uint_eq(reply_id, 7);
	ck_assert_int_eq(result, AGENT_APPROVED);
	ck_assert_str_eq(how, "always by a");
	/* An answer for a proposal that is gone. */
	ck_assert_int_eq(proposals_approve(proposals, shown_number, "added:2", "by a"), -ENOENT);
	ck_assert_int_eq(proposals_reject(proposals, shown_number, NULL, "by a"), -ENOENT);
	ck_assert_uint_eq(replies, 1);
	/* Nothing is remembered: the same proposal waits again. */
	propose(8, "net allow tls pypi.org:443", "");
	ck_assert_uint_eq(shown, 2);
	ck_assert_int_eq(proposals_reject(proposals, shown_number, "use the\x1b[2J mirror", "by b"),
			 0);
	ck_assert_int_eq(result, AGENT_REJECTED);
	ck_assert_str_eq(reply_text, "use the\\x1b[2J mirror");
	propose(9, "net allow tls pypi.org:443", "");
	ck_assert_uint_eq(count_open(), 1);
	end();
}
END_TEST

/* The program has gone; the agent has connected again; the last operator leaves. */
START_TEST(proposals_end_otherwise)
{
	begin();
	propose(1, "net allow tls a.test:443", "");
	propose(2, "net allow tls b.test:443", "");
	proposals_withdraw(proposals, 3);
	ck_assert_uint_eq(count_open(), 2);
	proposals_withdraw(proposals, 1);
	ck_assert_uint_eq(count_open(), 1);
	ck_assert_str_eq(how, "none: the program has gone");
	proposals_reset(proposals);
	ck_assert_uint_eq(count_open(), 0);
	ck_assert_uint_eq(replies, 0);
	propose(4, "net allow tls c.test:443", "");
	propose(5, "net allow tls d.test:443", "");
	attend(true);
	ck_assert_uint_eq(count_open(), 2);
	attend(false);
	ck_assert_uint_eq(count_open(), 0);
	ck_assert_uint_eq(replies, 2);
	ck_assert_int_eq(result, AGENT_UNDECIDED);
	ck_assert_str_eq(reply_text, "the last operator has disconnected");
	/* Without an operator it is refused at once; with one, the twin waits. */
	propose(6, "net allow tls e.test:443", "");
	ck_assert_uint_eq(replies, 3);
	ck_assert_int_eq(result, AGENT_UNDECIDED);
	attend(true);
	propose(6, "net allow tls e.test:443", "");
	ck_assert_uint_eq(count_open(), 1);
	/* A number that is in use is no second proposal. */
	propose(6, "net allow tls f.test:443", "");
	ck_assert_uint_eq(count_open(), 1);
	ck_assert_uint_eq(replies, 4);
	/* Without a network its rules have no effect. */
	proposals_set_network(proposals, false);
	propose(7, "net allow tls g.test:443", "");
	ck_assert_int_eq(result, AGENT_NO_RULE);
	ck_assert_ptr_nonnull(strstr(reply_text, "without a network"));
	propose(8, "file read /x", "");
	ck_assert_uint_eq(count_open(), 2);
	end();
}
END_TEST

/* The same rule of several programs is one proposal, and the decision is for all of them. */
START_TEST(callers_of_one_rule_share_a_proposal)
{
	static const char rule[] = "net allow tls a.test:443";
	unsigned at = 0, i;

	begin();
	propose(1, rule, "first");
	propose(2, rule, "second");
	propose(3, "net allow tls b.test:443", "");
	ck_assert_uint_eq(count_open(), 2);
	ck_assert_uint_eq(shown, 2);
	ck_assert_uint_eq(proposals_next(proposals, &at)->callers +
				  proposals_next(proposals, &at)->callers,
			  3);
	/* A number that is in use, also of a caller that came later. */
	propose(2, "net allow tls c.test:443", "");
	ck_assert_str_eq(reply_text, "the proposal's number is in use");
	ck_assert_uint_eq(replies, 1);
	/* One that goes takes the proposal of the other along as little as its place. */
	proposals_withdraw(proposals, 1);
	ck_assert_uint_eq(count_open(), 2);
	ck_assert_uint_eq(over, 0);
	propose(4, rule, "third");
	ck_assert_int_eq(proposals_approve(proposals, shown_number - 1, "added:2", "by a"), 0);
	ck_assert_uint_eq(replies, 3);
	ck_assert_uint_eq(over, 1);
	ck_assert_int_eq(result, AGENT_APPROVED);
	ck_assert_uint_eq(count_open(), 1);
	proposals_withdraw(proposals, 3);
	ck_assert_uint_eq(count_open(), 0);
	/* The bound is on callers, whatever they propose. */
	for (replies = 0, i = 10; i < 11 + PROPOSALS_MAX; i++)
		propose(i, rule, "");
	ck_assert_uint_eq(count_open(), 1);
	ck_assert_uint_gt(replies, 0);
	ck_assert_int_eq(result, AGENT_UNDECIDED);
	end();
}
END_TEST

/* --- a hostile guest -------------------------------------------------------------------------- */

START_TEST(control_characters_are_harmless)
{
	static char rule[AGENT_PROPOSE_RULE_MAX], reason[AGENT_PROPOSE_REASON_MAX];

	begin();
	propose(1, "net allow tls a.test:443", "\x1b]0;x\x07\n\xe2\x80\xae\xff");
	ck_assert_uint_eq(shown, 1);
	ck_assert_str_eq(shown_reason, "\\x1b]0;x\\x07\\x0a\\u202e\\xff");
	/* The longest of both, and each byte of the worst kind. */
	memset(rule, '\x1b', sizeof(rule));
	memset(reason, '\x01', sizeof(reason));
	proposals_propose(proposals, 2, rule, sizeof(rule), reason, sizeof(reason));
	ck_assert_uint_eq(shown, 1);
	ck_assert_int_eq(result, AGENT_NO_RULE);
	/* A NUL does not hide what follows it. */
	memcpy(rule, "net allow tls b.test:443", 25);
	proposals_propose(proposals, 3, rule, sizeof(rule), reason, sizeof(reason));
	ck_assert_uint_eq(shown, 1);
	ck_assert_int_eq(result, AGENT_NO_RULE);
	memset(rule, ' ', sizeof(rule));
	memcpy(rule, "net allow tls b.test:443", 24);
	proposals_propose(proposals, 4, rule, sizeof(rule), reason, sizeof(reason));
	ck_assert_uint_eq(shown, 2);
	ck_assert_uint_lt(strlen(shown_reason), PROPOSAL_REASON);
	end();
}
END_TEST

/* Each gets a reply; operators see a bounded number of them, the log as well. */
START_TEST(ten_thousand_proposals)
{
	char directory[] = "/tmp/cordon-proposals-XXXXXX", path[96], rule[64], line[4096];
	const struct audit_config config = {.path = path};
	struct audit *audit;
	struct err err;
	unsigned log_lines = 0, i;
	FILE *file;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/log", directory);
	ck_assert_msg(audit_open(&audit, &config, &err) == 0, "%s", err.text);
	begin_with(audit, NULL);
	for (i = 1; i <= 10000; i++) {
		snprintf(rule, sizeof(rule), "net allow tls n%u.test:443", i);
		propose(i, rule, "");
		ck_assert(replies == 0 || result == AGENT_UNDECIDED);
	}
	ck_assert_uint_eq(count_open(), PROPOSALS_MAX);
	ck_assert_uint_eq(shown, PROPOSALS_MAX);
	ck_assert_uint_eq(replies, 10000 - PROPOSALS_MAX);
	/* When those are over, the rate is the bound. */
	proposals_reset(proposals);
	for (i = 1; i <= 10000; i++) {
		propose(i, "net allow tls a.test:443", "");
		proposals_withdraw(proposals, i);
	}
	ck_assert_uint_le(shown, PROPOSALS_MAX + 60 * PROPOSALS_SECOND);
	/* Wrong rules count as well: each costs the monitor a look. */
	for (i = 1; i <= 10000; i++)
		propose(i, "net alow tls a.test:443", "");
	ck_assert_uint_eq(count_open(), 0);
	end();
	strcat(path, ".denials");
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		log_lines +=
			strstr(line, "\"event\":\"ask\"") || strstr(line, "\"event\":\"answer\"");
	fclose(file);
	ck_assert_uint_ge(log_lines, 2 * PROPOSALS_MAX);
	ck_assert_uint_le(log_lines, 2 * (PROPOSALS_MAX + 120 * PROPOSALS_SECOND));
	snprintf(line, sizeof(line), "rm -r %s", directory);
	ck_assert_int_eq(system(line), 0);
}
END_TEST

/* A policy that takes long to parse: the guest cannot keep the loop busy with it. */
START_TEST(a_long_look_is_followed_by_a_pause)
{
	static char text[200000];
	const struct policy_source source = {
		.name = "/home/user/host.policy", .directory = "/", .rootfs = true};
	struct policy *policy;
	struct timespec begin_time, end_time;
	uint64_t took_ns;
	size_t used = strlen(strcpy(text, "policy 1\n"));
	unsigned i, looks = 0;
	struct err err;

	for (i = 0; i < 4000; i++)
		used += (size_t)sprintf(text + used, "net allow tls n%u.test:443\n", i);
	begin();
	ck_assert_msg(policy_parse(&policy, text, used, &source, &err) == 0, "%s", err.text);
	ck_assert_int_eq(guard_replace(guard, policy, "a test"), 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin_time);
	propose(1, "net allow tls a.test:443", "");
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end_time);
	took_ns = (uint64_t)(end_time.tv_sec - begin_time.tv_sec) * 1000000000u +
		  (uint64_t)end_time.tv_nsec - (uint64_t)begin_time.tv_nsec;
	ck_assert_uint_eq(shown, 1);
	/* On a host where that is quick there is nothing to bound. */
	for (i = 2; i < 100; i++)
		propose(i, "net allow tls b.test:443", "");
	looks = shown;
	ck_assert(took_ns < 2 * PROPOSALS_LOOK_NS || looks == 1);
	end();
}
END_TEST

UNIT_MAIN("proposals", a_line_is_checked, several_targets_are_not_one, an_operator_decides,
	  proposals_end_otherwise, callers_of_one_rule_share_a_proposal,
	  control_characters_are_harmless, ten_thousand_proposals,
	  a_long_look_is_followed_by_a_pause)
