/* SPDX-License-Identifier: Apache-2.0 */
/* The policy's language and its decisions; what a policy file can have wrong. */
#include "vmm/policy/policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/policy/explain.h"
#include "vmm/policy/narrow.h"
#include "tests/unit/policy_common.h"

START_TEST(first_match_counts)
{
	struct policy *policy = good("file read /w/a\nfile write /w/*\nfile append /w/log/**\n");

	ck_assert_int_eq(ask_file(policy, POLICY_READ, "/w/a"), POLICY_ALLOW);
	ck_assert_int_eq(ask_file(policy, POLICY_WRITE, "/w/a"), POLICY_DENY);
	ck_assert_int_eq(ask_file(policy, POLICY_WRITE, "/w/b"), POLICY_ALLOW);
	ck_assert_int_eq(ask_file(policy, POLICY_APPEND, "/w/log/x/y"), POLICY_ALLOW);
	ck_assert_int_eq(ask_file(policy, POLICY_CREATE, "/w/log/x"), POLICY_ALLOW);
	ck_assert_int_eq(ask_file(policy, POLICY_WRITE, "/w/log/x"), POLICY_DENY);
	ck_assert_int_eq(ask_file(policy, POLICY_REMOVE, "/w/log/x"), POLICY_DENY);
	/* The implicit denial at the end, of what no rule is about. */
	ck_assert_int_eq(ask_file(policy, POLICY_READ, "/w/c/d"), POLICY_DENY);
	ck_assert_int_eq(ask_file(policy, POLICY_LOOKUP, "/w/c/d"), POLICY_ALLOW);
	ck_assert_int_eq(ask_file(policy, POLICY_READ, "/elsewhere"), POLICY_DENY);
	policy_free(policy);
}
END_TEST

START_TEST(hidden_is_hidden_with_all_beneath)
{
	struct policy *policy = good("file hide /w/**/.env\nfile deny /w/d\nfile write /w/**\n");

	ck_assert_int_eq(ask_file(policy, POLICY_LOOKUP, "/w/.env"), POLICY_HIDE);
	ck_assert_int_eq(ask_file(policy, POLICY_CREATE, "/w/x/.env"), POLICY_HIDE);
	ck_assert_int_eq(ask_file(policy, POLICY_READ, "/w/x/.env/y"), POLICY_HIDE);
	ck_assert_int_eq(ask_file(policy, POLICY_READ, "/w/d/e"), POLICY_DENY);
	ck_assert_int_eq(ask_file(policy, POLICY_LOOKUP, "/w/d/e"), POLICY_ALLOW);
	ck_assert_int_eq(ask_file(policy, POLICY_READ, "/w/x/.envy"), POLICY_ALLOW);
	policy_free(policy);
}
END_TEST

START_TEST(both_ends_are_checked)
{
	struct policy *policy = good("file read /w/r\nfile hide /w/h\nfile write /w/**\n");
	struct policy_request request = {
		.class = POLICY_FILE,
		.op = POLICY_LINK,
		.object = "/w/a",
		.length = 4,
		.other = "/w/b",
		.other_length = 4,
	};
	struct policy_decision decision;

	policy_decide(policy, &request, &decision);
	ck_assert_int_eq(decision.verdict, POLICY_ALLOW);
	request.object = "/w/r";
	policy_decide(policy, &request, &decision);
	ck_assert_int_eq(decision.verdict, POLICY_DENY);
	request.object = "/w/a";
	request.other = "/w/r";
	policy_decide(policy, &request, &decision);
	ck_assert_int_eq(decision.verdict, POLICY_DENY);
	request.other = "/w/h";
	policy_decide(policy, &request, &decision);
	ck_assert_int_eq(decision.verdict, POLICY_DENY);
	request.object = "/w/h";
	policy_decide(policy, &request, &decision);
	ck_assert_int_eq(decision.verdict, POLICY_HIDE);
	policy_free(policy);
}
END_TEST

START_TEST(directories_carry_their_rules_or_stay)
{
	struct policy *policy = good("file read /w/g/hooks/**\nfile hide /w/**/.env\n"
				     "file read /w/*/x/y\nfile write /w/**\n");

	/* What is protected beneath one name would not be beneath the other. */
	ck_assert_int_eq(rename_directory(policy, "/w/g", "/w/h"), POLICY_DENY);
	ck_assert_int_eq(rename_directory(policy, "/w/h", "/w/g"), POLICY_DENY);
	ck_assert_int_eq(rename_directory(policy, "/w/a", "/w/b/c"), POLICY_DENY);
	ck_assert_int_eq(rename_directory(policy, "/w/a/x", "/w/a/z"), POLICY_DENY);
	/* .env is as hidden here as there. */
	ck_assert_int_eq(rename_directory(policy, "/w/a", "/w/b"), POLICY_ALLOW);
	ck_assert_int_eq(rename_directory(policy, "/w/a/b", "/w/b/c"), POLICY_ALLOW);
	ck_assert_int_eq(rename_directory(policy, "/w/a/x", "/w/b/x"), POLICY_ALLOW);
	policy_free(policy);
}
END_TEST

START_TEST(paths_that_cannot_be_are_denied)
{
	static const char *const bad[] = {"",	  "w",	   "/w/",    "//w",	"/w//a",
					  "/w/.", "/w/..", "/w/./a", "/w/../w", "/w/../x/y"};
	struct policy *policy = good("file write /w/**\n");
	char name[600] = "/w/", nul[] = "/w/a\0b";
	struct policy_request request = {
		.class = POLICY_FILE,
		.op = POLICY_READ,
		.object = nul,
		.length = 6,
	};
	struct policy_decision decision;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(ask_file(policy, POLICY_LOOKUP, bad[i]) == POLICY_DENY, "%s", bad[i]);
	policy_decide(policy, &request, &decision);
	ck_assert_int_eq(decision.verdict, POLICY_DENY);
	memset(name + 3, 'a', 255);
	ck_assert_int_eq(ask_file(policy, POLICY_READ, name), POLICY_ALLOW);
	name[3 + 255] = 'a';
	ck_assert_int_eq(ask_file(policy, POLICY_READ, name), POLICY_DENY);
	ck_assert_int_eq(ask_file(policy, POLICY_READ, "/w/..."), POLICY_ALLOW);
	ck_assert_int_eq(ask_file(policy, POLICY_READ, "/w/.a"), POLICY_ALLOW);
	policy_free(policy);
}
END_TEST

START_TEST(classes_without_rules_have_defaults)
{
	struct policy *policy, *locked;
	struct policy_request request = {
		.class = POLICY_EXEC,
		.op = POLICY_RUN,
		.object = "/bin/sh",
		.length = 7,
	};
	struct policy_decision decision;

	ck_assert_int_eq(policy_preset(&locked, "locked", &here, &why), 0);
	policy_decide(locked, &request, &decision);
	ck_assert_int_eq(decision.verdict, POLICY_ALLOW);
	ck_assert_int_eq(decision.enforced_by, POLICY_GUEST);
	ck_assert_int_eq(ask_file(locked, POLICY_READ, "/w/a"), POLICY_DENY);
	request = (struct policy_request){.class = POLICY_NET, .op = POLICY_CONNECT};
	policy_decide(locked, &request, &decision);
	ck_assert_int_eq(decision.verdict, POLICY_DENY);
	policy_free(locked);

	policy = good("file write /w/**\nexec allow /usr/bin/**\n");
	request = (struct policy_request){
		.class = POLICY_EXEC,
		.op = POLICY_RUN,
		.object = "/bin/sh",
		.length = 7,
	};
	policy_decide(policy, &request, &decision);
	ck_assert_int_eq(decision.verdict, POLICY_DENY);
	/* An operation of another class is denied. */
	request.op = POLICY_READ;
	policy_decide(policy, &request, &decision);
	ck_assert_int_eq(decision.verdict, POLICY_DENY);
	policy_free(policy);
}
END_TEST

static enum policy_verdict connect_to(const struct policy *policy, enum policy_protocol protocol,
				      const char *name, const char *address, uint16_t port)
{
	struct policy_request request = {
		.class = POLICY_NET,
		.op = POLICY_CONNECT,
		.net = {.protocol = protocol, .name = name, .port = port},
	};
	struct policy_decision decision;

	if (address) {
		request.net.family = strchr(address, ':') ? AF_INET6 : AF_INET;
		ck_assert_int_eq(inet_pton((int)request.net.family, address, request.net.address),
				 1);
	}
	policy_decide(policy, &request, &decision);
	return decision.verdict;
}

START_TEST(network_rules_match)
{
	struct policy *policy = good("file write /w/**\n"
				     "net deny tcp bad.example.com:*\n"
				     "net allow tls *.example.com:443 Plain.Test:443\n"
				     "net allow tcp 192.0.2.0/24:8000-8080 10.0.0.0/8:22\n"
				     "net ask tcp *:80\n");

	ck_assert_int_eq(connect_to(policy, POLICY_TLS, "a.example.com", "93.184.216.34", 443),
			 POLICY_ALLOW);
	ck_assert_int_eq(connect_to(policy, POLICY_TLS, "plain.test", "93.184.216.34", 443),
			 POLICY_ALLOW);
	ck_assert_int_eq(connect_to(policy, POLICY_TLS, "example.com", "93.184.216.34", 443),
			 POLICY_DENY);
	ck_assert_int_eq(connect_to(policy, POLICY_TLS, "xexample.com", "93.184.216.34", 443),
			 POLICY_DENY);
	ck_assert_int_eq(connect_to(policy, POLICY_TLS, "bad.example.com", "93.184.216.34", 443),
			 POLICY_DENY);
	ck_assert_int_eq(connect_to(policy, POLICY_TLS, "a.example.com", "93.184.216.34", 444),
			 POLICY_DENY);
	ck_assert_int_eq(connect_to(policy, POLICY_TCP, "a.example.com", "93.184.216.34", 443),
			 POLICY_DENY);
	ck_assert_int_eq(connect_to(policy, POLICY_TCP, NULL, "192.0.2.9", 8080), POLICY_ALLOW);
	ck_assert_int_eq(connect_to(policy, POLICY_TCP, NULL, "192.0.3.9", 8080), POLICY_DENY);
	ck_assert_int_eq(connect_to(policy, POLICY_TCP, NULL, "192.0.2.9", 8081), POLICY_DENY);
	ck_assert_int_eq(connect_to(policy, POLICY_TCP, NULL, "93.184.216.35", 80), POLICY_ASK);
	/* Private addresses by nothing but a rule for just them, whatever name leads there. */
	ck_assert_int_eq(connect_to(policy, POLICY_TLS, "a.example.com", "10.0.0.1", 443),
			 POLICY_DENY);
	ck_assert_int_eq(connect_to(policy, POLICY_TLS, "a.example.com", "::ffff:10.0.0.1", 443),
			 POLICY_DENY);
	ck_assert_int_eq(connect_to(policy, POLICY_TCP, NULL, "169.254.169.254", 80), POLICY_DENY);
	ck_assert_int_eq(connect_to(policy, POLICY_TCP, NULL, "10.1.2.3", 22), POLICY_ALLOW);
	policy_free(policy);
}
END_TEST

/* A rule that a star precedes decides about a special range, which the star does not reach. */
START_TEST(rules_for_special_ranges_follow_a_star)
{
	struct policy *policy = good("file write /w/**\nnet ask tcp *:*\n"
				     "net allow tcp 10.0.0.0/8:22\n");

	ck_assert_int_eq(connect_to(policy, POLICY_TCP, NULL, "10.1.2.3", 22), POLICY_ALLOW);
	ck_assert_int_eq(connect_to(policy, POLICY_TCP, NULL, "93.184.216.34", 22), POLICY_ASK);
	policy_free(policy);
}
END_TEST

static void explain_run(const struct policy *policy, const char *path,
			struct policy_explanation *explanation)
{
	const struct policy_request request = {
		.class = POLICY_EXEC, .op = POLICY_RUN, .object = path, .length = strlen(path)};

	ck_assert_int_eq(policy_explain(policy, &request, explanation), 0);
}

START_TEST(denied_programs_are_explained)
{
	static struct policy_explanation explanation;
	struct policy *policy =
		good("file read /w/**\nexec deny /tmp/**\nexec ask /opt/**\nexec allow /usr/**\n");

	explain_run(policy, "/usr/bin/git", &explanation);
	ck_assert_int_eq(explanation.decision.verdict, POLICY_ALLOW);
	explain_run(policy, "/tmp/a b", &explanation);
	ck_assert_int_eq(explanation.decision.verdict, POLICY_DENY);
	ck_assert_str_eq(explanation.line, "exec allow /tmp/a\\ b");
	ck_assert_ptr_eq(explanation.above, explanation.decision.rule);
	explain_run(policy, "/opt/x", &explanation);
	ck_assert_int_eq(explanation.decision.verdict, POLICY_ASK);
	ck_assert_str_eq(explanation.line, "exec allow /opt/x");
	explain_run(policy, "/usr", &explanation);
	ck_assert_int_eq(explanation.decision.verdict, POLICY_ALLOW);
	/* A line would not help: no rule matches a file without a path. */
	explain_run(policy, "no path: /memfd:x (deleted)", &explanation);
	ck_assert_int_eq(explanation.decision.verdict, POLICY_DENY);
	ck_assert_str_eq(explanation.line, "");
	ck_assert_ptr_null(explanation.nearest);
	policy_free(policy);
}
END_TEST

UNIT_MAIN("policy", first_match_counts, hidden_is_hidden_with_all_beneath, both_ends_are_checked,
	  directories_carry_their_rules_or_stay, paths_that_cannot_be_are_denied,
	  classes_without_rules_have_defaults, network_rules_match,
	  rules_for_special_ranges_follow_a_star, denied_programs_are_explained)
