/* SPDX-License-Identifier: Apache-2.0 */
/* The limit on processes of a sandbox that is ready, when its agent has connected again. */
#include <errno.h>
#include <string.h>

#include "tests/support/unit.h"
#include "tests/unit/startup_common.h"

/* Replaces the policy and requests its limit, as an operator does. */
static void set_policy(struct fake *fake, const char *text)
{
	struct err err;

	ck_assert_int_eq(guard_replace(fake->sandbox.config.guard, policy_of(text), "test"), 0);
	ck_assert_int_ge(sandbox_renew_limits(&fake->sandbox, NULL, &err), 0);
}

/* The agent loses its connection, and with it perhaps a request; then it connects again. */
static void lose_connection(struct fake *fake)
{
	agent_channel_closed(fake->sandbox.machine.channel);
	fake->log[0] = '\0';
	fake->processes = UINT32_MAX;
	fake_connect(fake);
	ck_assert_uint_eq(fake->done, 1);
}

START_TEST(a_sandbox_that_is_ready_gets_its_limit_again)
{
	struct fake *fake = fake_create();

	fake_connect(fake);
	lose_connection(fake);
	ck_assert_str_eq(fake->log, "welcome limits filter ");
	ck_assert_uint_eq(fake->processes, 50);
	/* The policy's limit of now, not the one of the start. */
	set_policy(fake, "policy 1\nlimit processes=20\n");
	ck_assert_uint_eq(fake->processes, 20);
	lose_connection(fake);
	ck_assert_str_eq(fake->log, "welcome limits filter ");
	ck_assert_uint_eq(fake->processes, 20);
	/* That there is none any more may have been lost, too. */
	set_policy(fake, "policy 1\n");
	ck_assert_uint_eq(fake->processes, 0);
	lose_connection(fake);
	ck_assert_str_eq(fake->log, "welcome limits filter ");
	ck_assert_uint_eq(fake->processes, 0);
	ck_assert_int_eq(fake->sandbox.machine.end, MACHINE_RUNNING);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_sandbox_without_a_limit_gets_none_again)
{
	struct fake *fake = fake_create();

	ck_assert_int_eq(guard_replace(fake->sandbox.config.guard, policy_of("policy 1\n"), "test"),
			 0);
	fake_connect(fake);
	ck_assert_ptr_null(strstr(fake->log, "limits"));
	lose_connection(fake);
	ck_assert_str_eq(fake->log, "welcome filter ");
	fake_destroy(fake);
}
END_TEST

/* Another agent, in the same guest: it would let the workload have more than the policy says. */
START_TEST(a_limit_that_cannot_be_renewed_ends_the_machine)
{
	struct fake *fake = fake_create();
	struct machine *machine = &fake->sandbox.machine;

	machine->loop = fake->loop;
	fake_connect(fake);
	ck_assert_int_eq(machine->end, MACHINE_RUNNING);
	fake->features &= ~AGENT_FEATURE_LIMITS;
	lose_connection(fake);
	ck_assert_str_eq(fake->log, "welcome filter ");
	ck_assert_int_eq(machine->end, MACHINE_SETUP_FAILED);
	ck_assert_msg(strncmp(machine->end_message.text, "the guest's limits: ", 20) == 0, "%s",
		      machine->end_message.text);
	loop_cancel(fake->loop, &machine->end_task);
	fake_destroy(fake);
}
END_TEST

static void begin_with(struct fake *fake, const char *text)
{
	fake->sandbox.machine.config.cpus = 2;
	ck_assert_int_eq(guard_replace(fake->sandbox.config.guard, policy_of(text), "test"), 0);
	fake_connect(fake);
}

/* The lower of option and policy; none where that is all that the sandbox has. */
START_TEST(the_share_of_the_processors_is_the_lower_one)
{
	static const struct {
		uint64_t option;
		const char *policy;
		uint32_t wanted;
	} cases[] = {
		{0, "policy 1\nlimit processes=9 cpus=1.5\n", 1500},
		{1250, "policy 1\nlimit processes=9 cpus=1.5\n", 1250},
		{1250, "policy 1\nlimit processes=9\n", 1250},
		{0, "policy 1\nlimit processes=9 cpus=2\n", 0},
		{2000, "policy 1\nlimit processes=9 cpus=8\n", 0},
		{0, "policy 1\nlimit processes=9\n", 0},
	};
	struct fake *fake;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		fake = fake_create();
		fake->sandbox.config.cpu_millis = cases[i].option;
		begin_with(fake, cases[i].policy);
		ck_assert_uint_eq(fake->done, 1);
		ck_assert_uint_eq(fake->cpu_millis, cases[i].wanted);
		ck_assert_uint_eq(fake->processes, 9);
		fake_destroy(fake);
	}
}
END_TEST

START_TEST(all_limits_go_in_one_request_and_come_again)
{
	struct fake *fake = fake_create();

	begin_with(fake, "policy 1\nlimit open-files=64 cpus=0.5\n");
	ck_assert_uint_eq(fake->done, 1);
	ck_assert_uint_eq(fake->open_files, 64);
	ck_assert_uint_eq(fake->cpu_millis, 500);
	lose_connection(fake);
	ck_assert_str_eq(fake->log, "welcome limits filter ");
	ck_assert_uint_eq(fake->open_files, 64);
	set_policy(fake, "policy 1\nlimit cpus=2\n");
	ck_assert_uint_eq(fake->open_files, 0);
	ck_assert_uint_eq(fake->cpu_millis, 0);
	fake_destroy(fake);
}
END_TEST

/* One that knows LIMITS of processes only keeps those, and is refused for more. */
START_TEST(an_older_agent_keeps_what_it_can)
{
	struct fake *fake = fake_create();
	struct err err;
	struct policy *policy;

	fake->features &= ~(AGENT_FEATURE_FILES_CPU | AGENT_FEATURE_MEMORY);
	begin_with(fake, "policy 1\nlimit processes=9\n");
	ck_assert_uint_eq(fake->done, 1);
	ck_assert_uint_eq(fake->processes, 9);
	policy = policy_of("policy 1\nlimit open-files=64\n");
	ck_assert_int_eq(sandbox_set_limits(&fake->sandbox, policy, NULL, &err), -EOPNOTSUPP);
	policy_free(policy);
	policy = policy_of("policy 1\nlimit cpus=1.5\n");
	ck_assert_int_eq(sandbox_set_limits(&fake->sandbox, policy, NULL, &err), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(err.text, "too old"));
	policy_free(policy);
	fake_destroy(fake);
	fake = fake_create();
	fake->features &= ~(AGENT_FEATURE_FILES_CPU | AGENT_FEATURE_MEMORY);
	begin_with(fake, "policy 1\nlimit open-files=64\n");
	ck_assert_uint_eq(fake->done, 0);
	ck_assert_msg(strstr(fake->failed, "too old"), "%s", fake->failed);
	fake_destroy(fake);
}
END_TEST

UNIT_MAIN("startup_limits", the_share_of_the_processors_is_the_lower_one,
	  all_limits_go_in_one_request_and_come_again, an_older_agent_keeps_what_it_can,
	  a_sandbox_that_is_ready_gets_its_limit_again, a_sandbox_without_a_limit_gets_none_again,
	  a_limit_that_cannot_be_renewed_ends_the_machine)
