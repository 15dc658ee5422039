/* SPDX-License-Identifier: Apache-2.0 */
/* The limit on processes of a sandbox that is ready, when its agent has connected again. */
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
	ck_assert_str_eq(fake->log, "welcome limits ");
	ck_assert_uint_eq(fake->processes, 50);
	/* The policy's limit of now, not the one of the start. */
	set_policy(fake, "policy 1\nlimit processes=20\n");
	ck_assert_uint_eq(fake->processes, 20);
	lose_connection(fake);
	ck_assert_str_eq(fake->log, "welcome limits ");
	ck_assert_uint_eq(fake->processes, 20);
	/* That there is none any more may have been lost, too. */
	set_policy(fake, "policy 1\n");
	ck_assert_uint_eq(fake->processes, 0);
	lose_connection(fake);
	ck_assert_str_eq(fake->log, "welcome limits ");
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
	ck_assert_str_eq(fake->log, "welcome ");
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
	ck_assert_str_eq(fake->log, "welcome ");
	ck_assert_int_eq(machine->end, MACHINE_SETUP_FAILED);
	ck_assert_msg(strncmp(machine->end_message.text, "the guest's limits: ", 20) == 0, "%s",
		      machine->end_message.text);
	loop_cancel(fake->loop, &machine->end_task);
	fake_destroy(fake);
}
END_TEST

UNIT_MAIN("startup_limits", a_sandbox_that_is_ready_gets_its_limit_again,
	  a_sandbox_without_a_limit_gets_none_again,
	  a_limit_that_cannot_be_renewed_ends_the_machine)
