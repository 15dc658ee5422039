/* SPDX-License-Identifier: Apache-2.0 */
/* The filter of system calls: sent at start-up, when the policy changes, and after a lost
 * connection. */
#include <string.h>

#include "tests/support/unit.h"
#include "tests/unit/startup_common.h"

/* As an operator does. */
static void set_policy(struct fake *fake, const char *text)
{
	struct policy *policy = policy_of(text);
	struct err err = {.text = ""};

	ck_assert_msg(system_calls_follow(&fake->sandbox, policy, &err) == 0, "%s", err.text);
	ck_assert_int_eq(guard_replace(fake->sandbox.config.guard, policy, "test"), 0);
	agent_channel_readable(fake->sandbox.machine.channel);
}

static bool was_sent(struct fake *fake)
{
	bool sent = strstr(fake->log, "filter ") != NULL;

	fake->log[0] = '\0';
	return sent;
}

START_TEST(a_changed_policy_has_its_filter_at_once)
{
	struct fake *fake = fake_create();

	fake_connect(fake);
	ck_assert_uint_eq(fake->done, 1);
	ck_assert(was_sent(fake));
	set_policy(fake, "policy 1\nlimit processes=50\nprocess deny ptrace\n");
	ck_assert(was_sent(fake));
	/* The same groups, by another rule: the agent has that filter. */
	set_policy(fake, "policy 1\nlimit processes=50\nprocess deny ptrace bpf\n");
	ck_assert(!was_sent(fake));
	set_policy(fake, "policy 1\nlimit processes=50\n");
	ck_assert(was_sent(fake));
	fake_destroy(fake);
}
END_TEST

START_TEST(a_new_connection_gets_the_filter_of_now)
{
	struct fake *fake = fake_create();

	fake_connect(fake);
	set_policy(fake, "policy 1\nlimit processes=50\nprocess deny ptrace\n");
	agent_channel_closed(fake->sandbox.machine.channel);
	fake->log[0] = '\0';
	fake_connect(fake);
	ck_assert(was_sent(fake));
	ck_assert_uint_eq(fake->sandbox.calls.open & 1u << POLICY_PTRACE, 0);
	ck_assert_int_eq(fake->sandbox.machine.end, MACHINE_RUNNING);
	fake_destroy(fake);
}
END_TEST

/* Before start-up gets to its step, a policy is only put in force; the step then sends its filter.
 */
START_TEST(a_policy_replaced_during_start_up_has_its_filter)
{
	struct fake *fake = fake_create();

	set_policy(fake, "policy 1\nlimit processes=50\nprocess deny ptrace\n");
	ck_assert(!was_sent(fake));
	fake->silent = AGENT_FORWARD;
	fake_connect(fake);
	ck_assert(was_sent(fake));
	ck_assert_uint_eq(fake->done, 0);
	/* after its step, and before the end */
	set_policy(fake, "policy 1\nlimit processes=50\nprocess deny userns\n");
	ck_assert(was_sent(fake));
	ck_assert_uint_eq(fake->sandbox.calls.open & 1u << POLICY_USERNS, 0);
	fake_destroy(fake);
}
END_TEST

START_TEST(an_old_agent_is_refused_where_rules_rest_on_it)
{
	struct fake *fake = fake_create();
	struct err err = {.text = ""};
	struct policy *policy;

	/* Without process rules it is good enough. */
	fake->features &= ~AGENT_FEATURE_FILTER;
	fake_connect(fake);
	ck_assert_uint_eq(fake->done, 1);
	ck_assert(!was_sent(fake));
	policy = policy_of("policy 1\nprocess deny ptrace\n");
	ck_assert_int_lt(system_calls_follow(&fake->sandbox, policy, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "the agent in the guest is too old"));
	policy_free(policy);
	fake_destroy(fake);
	fake = fake_create();
	fake->features &= ~AGENT_FEATURE_FILTER;
	ck_assert_int_eq(guard_replace(fake->sandbox.config.guard,
				       policy_of("policy 1\nprocess deny ptrace\n"), "test"),
			 0);
	fake_connect(fake);
	ck_assert_uint_eq(fake->done, 0);
	ck_assert_msg(
		strncmp(fake->failed, "system calls: the agent in the guest is too old", 47) == 0,
		"%s", fake->failed);
	fake_destroy(fake);
}
END_TEST

UNIT_MAIN("startup_calls", a_changed_policy_has_its_filter_at_once,
	  a_new_connection_gets_the_filter_of_now, a_policy_replaced_during_start_up_has_its_filter,
	  an_old_agent_is_refused_where_rules_rest_on_it)
