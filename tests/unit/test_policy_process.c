/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about groups of system calls. */
#include <errno.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/policy/added.h"
#include "vmm/policy/narrow.h"
#include "vmm/policy/policy.h"
#include "vmm/policy/process_groups.h"
#include "vmm/policy/proposal.h"

static int parse(struct policy **policy, const char *text, struct err *err)
{
	const struct policy_source source = {.name = "p", .lenient = true};

	return policy_parse(policy, text, strlen(text), &source, err);
}

static struct policy *good(const char *text)
{
	struct policy *policy;
	struct err err;

	ck_assert_msg(parse(&policy, text, &err) == 0, "%s", err.text);
	return policy;
}

static void bad(const char *text, const char *message)
{
	struct policy *policy;
	struct err err;

	ck_assert_int_eq(parse(&policy, text, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, message) != NULL, "%s", err.text);
	ck_assert_ptr_null(policy);
}

static bool is_open(const struct policy *policy, const char *group, const char *reason)
{
	const struct policy_request request = {.class = POLICY_PROCESS,
					       .op = POLICY_USE,
					       .object = group,
					       .length = strlen(group)};
	struct policy_decision decision;

	policy_decide(policy, &request, &decision);
	ck_assert_int_eq(decision.enforced_by, POLICY_GUEST);
	if (reason)
		ck_assert_msg(strstr(decision.reason, reason) != NULL, "%s", decision.reason);
	return decision.verdict == POLICY_ALLOW;
}

START_TEST(groups_have_defaults)
{
	static const char *const open[] = {"ptrace", "userns", "setuid", "raw-net", "memfd-exec"};
	static const char *const closed[] = {"keyring", "perf", "io_uring", "bpf", "clock"};
	struct policy *policy = good("policy 1\n");
	struct policy_decision decision;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(open); i++)
		ck_assert(is_open(policy, open[i], "open by default"));
	for (i = 0; i < ARRAY_SIZE(closed); i++)
		ck_assert(!is_open(policy, closed[i], "closed by default"));
	/* without any policy, too */
	policy_decide_group(NULL, POLICY_PTRACE, &decision);
	ck_assert_int_eq(decision.verdict, POLICY_ALLOW);
	policy_free(policy);
}
END_TEST

START_TEST(the_first_rule_of_a_group_counts)
{
	struct policy *policy = good("policy 1\nprocess allow ptrace clock\n"
				     "process deny ptrace userns bpf\n");

	ck_assert(is_open(policy, "ptrace", "a rule allows it"));
	ck_assert(is_open(policy, "clock", "a rule allows it"));
	ck_assert(!is_open(policy, "userns", "a rule denies it"));
	ck_assert(!is_open(policy, "bpf", "a rule denies it"));
	ck_assert(is_open(policy, "setuid", "open by default"));
	ck_assert_uint_eq(policy_rule_count(policy, POLICY_PROCESS), 2);
	ck_assert_int_eq(policy_rule(policy, POLICY_PROCESS, 0)->enforced_by, POLICY_GUEST);
	policy_free(policy);
}
END_TEST

START_TEST(exec_rules_close_what_leads_around_them)
{
	struct policy *policy = good("policy 1\nexec allow /bin/**\nprocess allow userns\n");

	ck_assert(!is_open(policy, "ptrace", "the exec rules close it"));
	ck_assert(!is_open(policy, "memfd-exec", "the exec rules close it"));
	ck_assert(is_open(policy, "userns", "a rule allows it"));
	ck_assert(is_open(policy, "setuid", "open by default"));
	ck_assert(is_open(policy, "raw-net", "open by default"));
	policy_free(policy);
}
END_TEST

START_TEST(mistakes_are_errors)
{
	bad("policy 1\nprocess allow ptrac\n", "p:2:15: unknown group of system calls 'ptrac': did "
					       "you mean 'ptrace'?");
	bad("policy 1\nprocess\n", "write process VERDICT GROUP");
	bad("policy 1\nprocess deny\n", "write process VERDICT GROUP");
	bad("policy 1\nprocess ask ptrace userns\nprocess deny userns userns\n",
	    "'userns' is in this rule already");
	bad("policy 1\nprocess read ptrace\n", "unknown verdict 'read'");
	bad("policy 1\nprocess deny ptrace\nprocess allow userns\nprocess allow ptrace userns\n",
	    "p:4:1: this rule never decides: all its groups are decided above it (p:2: process "
	    "deny ptrace)");
	bad("policy 1\nprocess allow bpf\n",
	    "p:2:15: 'bpf' can't be allowed: the guest's kernel has no bpf()");
	bad("policy 1\nprocess allow ptrace perf\n", "p:2:22: 'perf' can't be allowed");
	bad("policy 1\nprocess allow io_uring\n", "'io_uring' can't be allowed");
	bad("policy 1\nprocess allow keyring\n", "'keyring' can't be allowed");
	policy_free(good("policy 1\nprocess deny bpf perf io_uring keyring\n"));
	/* of one rule some groups may be decided above */
	policy_free(good("policy 1\nprocess deny ptrace\nprocess allow ptrace userns\n"));
}
END_TEST

START_TEST(ask_is_not_enforced)
{
	static const char text[] = "policy 1\nprocess ask ptrace\n";
	struct policy *policy;
	struct err err;

	ck_assert_int_eq(policy_parse(&policy, text, strlen(text), NULL, &err), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "the verdict 'ask' is not enforced"));
}
END_TEST

static void compare(const char *child, const char *parent, const char *message)
{
	struct policy *a = good(child), *b = good(parent);
	struct err err = {.text = ""};
	int ret = policy_is_narrower(a, b, &err);

	ck_assert_int_eq(ret, message ? -EPERM : 0);
	if (message)
		ck_assert_msg(strstr(err.text, message) != NULL, "%s", err.text);
	policy_free(a);
	policy_free(b);
}

START_TEST(a_narrower_policy_opens_no_group)
{
	compare("policy 1\n", "policy 1\n", NULL);
	compare("policy 1\nprocess deny ptrace\n", "policy 1\n", NULL);
	compare("policy 1\nprocess deny ptrace\n", "policy 1\nprocess deny ptrace\n", NULL);
	compare("policy 1\n", "policy 1\nprocess deny ptrace\n",
		"it allows more: process ptrace (by default; before: a rule denies it)");
	compare("policy 1\nprocess allow clock\n", "policy 1\n",
		"it allows more: process clock (p:2; before: closed by default)");
	compare("policy 1\nprocess allow clock\n", "policy 1\nprocess allow clock\n", NULL);
	compare("policy 1\nexec allow /bin/**\nprocess allow userns\n",
		"policy 1\nexec allow /bin/**\n", "it allows more: process userns (p:3; before: ");
	compare("policy 1\nexec allow /bin/**\n", "policy 1\n", NULL);
}
END_TEST

START_TEST(process_rules_are_neither_added_nor_proposed)
{
	struct policy *policy = good("policy 1\nprocess deny ptrace\n"), *made;
	char adds[POLICY_ADDS];
	enum policy_class class;
	struct err err;

	ck_assert_int_lt(policy_add_line(&made, policy, "process allow ptrace", &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "'process' can't be added to a running sandbox"));
	ck_assert_int_eq(policy_check_proposal(policy, "process allow ptrace", adds, &class, &err),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "process rules"));
	policy_free(policy);
}
END_TEST

START_TEST(the_table_is_whole)
{
	uint32_t seen = 0;
	size_t i;

	for (i = 0; i < process_call_count; i++) {
		ck_assert_int_ge(process_calls[i].group, PROCESS_ALWAYS);
		ck_assert_int_lt(process_calls[i].group, POLICY_GROUPS);
		ck_assert(process_calls[i].error == EPERM || process_calls[i].error == ENOSYS);
		ck_assert_uint_gt(strlen(process_calls[i].reason), 0);
		if (process_calls[i].group != PROCESS_ALWAYS)
			seen |= 1u << process_calls[i].group;
	}
	ck_assert_uint_eq(seen, (1u << POLICY_GROUPS) - 1);
	for (i = 0; i < POLICY_GROUPS; i++) {
		ck_assert_ptr_nonnull(process_groups[i].name);
		/* What cannot be opened must not be open. */
		ck_assert(!process_groups[i].missing || !process_groups[i].open);
	}
}
END_TEST

UNIT_MAIN("policy_process", groups_have_defaults, the_first_rule_of_a_group_counts,
	  exec_rules_close_what_leads_around_them, mistakes_are_errors, ask_is_not_enforced,
	  a_narrower_policy_opens_no_group, process_rules_are_neither_added_nor_proposed,
	  the_table_is_whole)
