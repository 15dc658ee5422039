/* SPDX-License-Identifier: Apache-2.0 */
/* Lines added to the policy of a running sandbox: where they count, and what is refused. */
#include "tests/unit/policy_common.h"
#include "vmm/policy/added.h"

static struct policy *add(struct policy *policy, const char *line)
{
	struct policy *made;

	ck_assert_msg(policy_add_line(&made, policy, line, &why) == 0, "%s: %s", line, why.text);
	policy_free(policy);
	return made;
}

static void refused(const struct policy *policy, const char *line, const char *message)
{
	struct policy *made;

	ck_assert_int_lt(policy_add_line(&made, policy, line, &why), 0);
	ck_assert_msg(strstr(why.text, message) != NULL, "%s: %s", line, why.text);
	ck_assert_ptr_null(made);
}

static struct policy *undo(struct policy *policy, const char *line)
{
	static char taken[POLICY_FILE_MAX + 1];
	struct policy *made;

	ck_assert_msg(policy_undo_line(&made, policy, taken, &why) == 0, "%s", why.text);
	ck_assert_str_eq(taken, line);
	policy_free(policy);
	return made;
}

static enum policy_verdict connect_to(const struct policy *policy, const char *name, uint16_t port,
				      struct policy_decision *decision)
{
	const struct policy_request request = {
		.class = POLICY_NET,
		.op = POLICY_CONNECT,
		.net = {.protocol = POLICY_TLS,
			.name = name,
			.port = port,
			.family = AF_INET,
			.address = {93, 184, 216, 34}},
	};

	policy_decide(policy, &request, decision);
	return decision->verdict;
}

START_TEST(an_added_line_decides_and_is_taken_back)
{
	static const char text[] = "file read /w/a\nfile write /w/**\n";
	struct policy *policy = good(text);
	char *before = strdup(policy_text(policy));
	const struct policy_rule *last;

	ck_assert_ptr_null(policy_last_added(policy));
	policy = add(policy, "file write /w/a");
	ck_assert_int_eq(ask_file(policy, POLICY_WRITE, "/w/a"), POLICY_ALLOW);
	last = policy_last_added(policy);
	ck_assert_str_eq(last->file, "added");
	ck_assert_uint_eq(last->line, 2);
	ck_assert_uint_eq(policy_source(policy)->parts, 2);
	ck_assert_str_eq(policy_source(policy)->part[1].name, policy_name(policy));
	/* Each further line stands below those before it. */
	policy = add(policy, "file deny /w/b # for now");
	ck_assert_uint_eq(policy_last_added(policy)->line, 3);
	ck_assert_int_eq(ask_file(policy, POLICY_READ, "/w/b"), POLICY_DENY);
	policy = undo(policy, "file deny /w/b # for now");
	ck_assert_int_eq(ask_file(policy, POLICY_WRITE, "/w/b"), POLICY_ALLOW);
	policy = undo(policy, "file write /w/a");
	/* As if nothing had been added. */
	ck_assert_int_eq(ask_file(policy, POLICY_WRITE, "/w/a"), POLICY_DENY);
	ck_assert_uint_eq(policy_source(policy)->parts, 0);
	ck_assert_str_eq(policy_text(policy), before);
	free(before);
	policy_free(policy);
}
END_TEST

START_TEST(nothing_to_take_back)
{
	static char taken[POLICY_FILE_MAX + 1];
	struct policy *policy = good("file write /w/**\n"), *made;

	ck_assert_int_eq(policy_undo_line(&made, policy, taken, &why), -ENOENT);
	ck_assert_ptr_null(made);
	policy_free(policy);
}
END_TEST

START_TEST(an_added_approval_overrides_no_denial)
{
	struct policy *policy = good("file write /w/**\nnet deny tls bad.test:443\n"
				     "net ask tls *:443\n");
	struct policy_decision decision;

	ck_assert_int_eq(connect_to(policy, "a.test", 443, &decision), POLICY_ASK);
	policy = add(policy, "net allow tls *.test:443");
	ck_assert_int_eq(connect_to(policy, "a.test", 443, &decision), POLICY_ALLOW);
	ck_assert_str_eq(decision.rule->file, "added");
	ck_assert_str_eq(policy_rule(policy, POLICY_NET, decision.number - 1)->text,
			 "net allow tls *.test:443");
	/* The file's denial stays, in part and as a whole. */
	ck_assert_int_eq(connect_to(policy, "bad.test", 443, &decision), POLICY_DENY);
	refused(policy, "net allow tls bad.test:443", "'bad.test:443' stays denied by ");
	refused(policy, "net allow tls new.test:444 bad.test:443", "stays denied by ");
	/* Where no rule decides, it counts as well. */
	ck_assert_int_eq(connect_to(policy, "a.test", 444, &decision), POLICY_DENY);
	policy = add(policy, "net allow tls a.test:444");
	ck_assert_int_eq(connect_to(policy, "a.test", 444, &decision), POLICY_ALLOW);
	refused(policy, "net deny tls a.test:444",
		"added:3:1: 'a.test:444' is allowed here, and would be denied by added:4: net deny "
		"tls "
		"a.test:444; take this rule back first");
	/* An added denial decides over all others. */
	policy = add(policy, "net deny tls a.test:443");
	ck_assert_int_eq(connect_to(policy, "a.test", 443, &decision), POLICY_DENY);
	ck_assert_uint_eq(decision.line, 4);
	ck_assert_int_eq(connect_to(policy, "b.test", 443, &decision), POLICY_ALLOW);
	policy_free(policy);
}
END_TEST

START_TEST(a_rule_of_a_file_may_be_covered)
{
	struct policy *policy = good("file read /w/a\nfile write /w/**\nnet ask tls a.test:443\n");
	struct policy_decision decision;

	policy = add(policy, "file write /w/**");
	policy = add(policy, "net deny tls *:443");
	ck_assert_int_eq(ask_file(policy, POLICY_WRITE, "/w/a"), POLICY_ALLOW);
	ck_assert_int_eq(connect_to(policy, "a.test", 443, &decision), POLICY_DENY);
	policy_free(policy);
}
END_TEST

START_TEST(a_line_that_changes_nothing)
{
	struct policy *policy = good("file write /w/**\nnet allow tls a.test:443\n");

	refused(policy, "net allow tls a.test:443", "added:2:1: this rule never decides");
	policy = add(policy, "net allow tls *.b.test:443");
	refused(policy, "net allow tls x.b.test:443", "added:3:1: this rule never decides");
	policy = add(policy, "file read /w/c/**");
	refused(policy, "file write /w/c/d", "added:4:1: this rule never decides");
	policy_free(policy);
}
END_TEST

START_TEST(a_hidden_directory_stays_hidden)
{
	struct policy *policy = good("file hide /w/secret\nfile write /w/**\n");

	refused(policy, "file read /w/secret/a", "'/w/secret/a' stays hidden by ");
	refused(policy, "file read /w/secret/a/**", "stays hidden by ");
	policy = add(policy, "file read /w/secret/**");
	ck_assert_int_eq(ask_file(policy, POLICY_READ, "/w/secret/a"), POLICY_ALLOW);
	policy_free(policy);
}
END_TEST

START_TEST(lines_that_are_refused)
{
	static const struct {
		const char *line, *message;
	} bad[] = {
		{"net alow tls a.test:443", "added:2:5: unknown verdict 'alow'"},
		{"nett allow tls a.test:443", "did you mean 'net'"},
		{"share /tmp /x", "'share' can't be added to a running sandbox"},
		{"limit memory=1G", "'limit' can't be added"},
		{"on-deny continue", "'on-deny' can't be added"},
		{"include open", "'include' can't be added"},
		{"policy 1", "'policy' must be given only once"},
		{"secret a b", "'secret' can't be added"},
		{"", "a rule is needed"},
		{"   ", "a rule is needed"},
		{"# net allow tls a.test:443", "a rule is needed"},
		{"net allow tls a.test:443\nshare /tmp /x", "a rule is one line"},
		{"net allow tls a.test:443\r", "a rule is one line"},
		{"net allow tls a\033[31m.test:443", "a control character (0x1b)"},
		{"net allow tls a\xe2\x80\xae.test:443", "text direction"},
		{"net allow tls a\xff:443", "not UTF-8"},
		{"file read /elsewhere/**", "the rule covers no share"},
		{"file ask /w/a", "not enforced by this version"},
	};
	int ret;
	struct policy *policy = parse_with("file write /w/**\n", false, &ret);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		refused(policy, bad[i].line, bad[i].message);
	policy = add(policy, "net allow tls a.test:443");
	policy = add(policy, "exec allow /bin/sh");
	policy_free(policy);
}
END_TEST

START_TEST(a_file_called_added)
{
	static const char text[] = "policy 1\nnet ask tls *:443\nlimit cpus=2\n";
	struct policy_source source = {.name = "added", .directory = "/d"};
	struct policy_decision decision;
	struct policy *policy;

	ck_assert_int_eq(policy_parse(&policy, text, strlen(text), &source, &why), 0);
	policy = add(policy, "net allow tls a.test:443");
	ck_assert_int_eq(connect_to(policy, "a.test", 443, &decision), POLICY_ALLOW);
	ck_assert_uint_eq(policy_source(policy)->parts, 2);
	policy = undo(policy, "net allow tls a.test:443");
	ck_assert_uint_eq(policy_source(policy)->parts, 0);
	ck_assert_str_eq(policy_text(policy), text);
	policy_free(policy);
}
END_TEST

START_TEST(several_files_and_no_room)
{
	static const char one[] = "policy 1\n";
	struct policy_part part[POLICY_PARTS_MAX];
	struct policy_source source = {.name = "all", .part = part, .parts = POLICY_PARTS_MAX};
	char text[POLICY_PARTS_MAX * sizeof(one)] = "";
	struct policy *policy;
	size_t i;

	for (i = 0; i < POLICY_PARTS_MAX; i++) {
		part[i] = (struct policy_part){"x", "/", strlen(one)};
		strcat(text, one);
	}
	ck_assert_int_eq(policy_parse(&policy, text, strlen(text), &source, &why), 0);
	refused(policy, "net allow tls a.test:443", "no room for added lines");
	policy_free(policy);
	source.parts--;
	ck_assert_int_eq(policy_parse(&policy, text, source.parts * strlen(one), &source, &why), 0);
	policy = add(policy, "net allow tls a.test:443");
	policy = undo(policy, "net allow tls a.test:443");
	ck_assert_uint_eq(policy_source(policy)->parts, POLICY_PARTS_MAX - 1);
	policy_free(policy);
}
END_TEST

START_TEST(options_stay_behind_added_lines)
{
	static const char text[] = "policy 1\nnet ask tls *:443\n";
	static const char *const net[] = {"a.test:443"};
	struct policy_source source = {
		.name = "p", .directory = "/", .allow_net = net, .allow_nets = 1};
	struct policy_decision decision;
	struct policy *policy;

	ck_assert_int_eq(policy_parse(&policy, text, strlen(text), &source, &why), 0);
	policy = add(policy, "net allow tls b.test:443");
	policy = add(policy, "net ask tls c.test:444");
	ck_assert_int_eq(connect_to(policy, "a.test", 443, &decision), POLICY_ALLOW);
	ck_assert_str_eq(decision.rule->file, "--allow-net");
	ck_assert_int_eq(connect_to(policy, "b.test", 443, &decision), POLICY_ALLOW);
	ck_assert_str_eq(decision.rule->file, "added");
	ck_assert_int_eq(connect_to(policy, "c.test", 444, &decision), POLICY_ASK);
	ck_assert_uint_eq(decision.number, 1);
	ck_assert_int_eq(connect_to(policy, "c.test", 443, &decision), POLICY_ASK);
	/* The option's is redundant now, which is no mistake of the operator's. */
	policy = add(policy, "net allow tls *.test:443");
	policy_free(policy);
}
END_TEST

/* The monitor gives up earlier on a proof than a client, and never says that there is one. */
START_TEST(comparisons_are_brief)
{
	static const char *const lines[] = {"net allow tls b.test:443", "net deny tls a.test:443",
					    "file read /w/**/*a*b", "file hide /w/x"};
	static const int wanted[] = {-EPERM, 0, 0, 0};
	struct policy *policy = good("file write /w/**\nnet ask tls a.test:443\n"), *with;
	static char text[POLICY_FILE_MAX];
	size_t used = 0;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		ck_assert_int_eq(policy_add_line(&with, policy, lines[i], &why), 0);
		ck_assert_int_eq(policy_is_narrower_briefly(with, policy, &why), wanted[i]);
		ck_assert_int_eq(policy_is_narrower(with, policy, &why), wanted[i]);
		/* It is about the one rule that is new, wherever it stands. */
		if (wanted[i])
			ck_assert_ptr_nonnull(strstr(why.text, "b.test:443 (added:2)"));
		policy_free(with);
	}
	policy_free(policy);
	used = (size_t)sprintf(text, "policy 1\nshare . /w\n");
	for (i = 0; i < 1500; i++)
		used += (size_t)sprintf(text + used, "file read /w/**/*%05ua*b*\n", i);
	ck_assert_int_eq(policy_parse(&policy, text, used, &here, &why), 0);
	ck_assert_int_eq(policy_add_line(&with, policy, "file deny /w/**/*c*d*e", &why), 0);
	ck_assert_int_eq(policy_is_narrower_briefly(with, policy, &why), -EPERM);
	ck_assert_ptr_nonnull(strstr(why.text, "no proof"));
	policy_free(with);
	policy_free(policy);
}
END_TEST

UNIT_MAIN("added", an_added_line_decides_and_is_taken_back, nothing_to_take_back,
	  an_added_approval_overrides_no_denial, a_rule_of_a_file_may_be_covered,
	  a_line_that_changes_nothing, a_hidden_directory_stays_hidden, lines_that_are_refused,
	  a_file_called_added, several_files_and_no_room, options_stay_behind_added_lines,
	  comparisons_are_brief)
