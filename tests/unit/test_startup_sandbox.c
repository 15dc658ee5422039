/* SPDX-License-Identifier: Apache-2.0 */
/* The start-up steps of a sandbox against a fake agent. */
#include <errno.h>
#include <string.h>

#include "tests/support/unit.h"
#include "tests/unit/startup_common.h"

#define BEFORE_ROOT "welcome time seed "
#define WHOLE	    BEFORE_ROOT "root mount mount limits filter forward hostname "

START_TEST(a_sandbox_is_set_up_in_order)
{
	struct fake *fake = fake_create();

	fake_connect(fake);
	ck_assert_str_eq(fake->log, WHOLE);
	ck_assert_uint_eq(fake->processes, 50);
	ck_assert_uint_eq(fake->done, 1);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_guest_that_booted_gets_less)
{
	struct fake *fake = fake_create();

	fake->sandbox.restored = false;
	fake->sandbox.root.wanted = false;
	fake->sandbox.shares.count = 0;
	fake->sandbox.config.sockets.count = 0;
	fake->sandbox.config.hostname = NULL;
	fake_connect(fake);
	ck_assert_str_eq(fake->log, "welcome limits filter ");
	ck_assert_uint_eq(fake->done, 1);
	fake_destroy(fake);
}
END_TEST

START_TEST(exec_rules_come_before_any_command)
{
	struct fake *fake = fake_create();
	struct guard *guard = fake->sandbox.config.guard;

	ck_assert_int_eq(guard_replace(guard, policy_of("policy 1\nexec allow /bin/**\n"), "test"),
			 0);
	fake_connect(fake);
	ck_assert_str_eq(fake->log, BEFORE_ROOT "root mount mount filter exec forward hostname ");
	ck_assert_uint_eq(fake->sandbox.exec_wanted, AGENT_EXEC_CHECKS | AGENT_EXEC_NO_PTRACE);
	ck_assert_uint_eq(fake->done, 1);
	fake_destroy(fake);
	fake = fake_create();
	ck_assert_int_eq(
		guard_replace(fake->sandbox.config.guard,
			      policy_of("policy 1\nexec allow /bin/**\nprocess allow ptrace\n"),
			      "test"),
		0);
	fake_connect(fake);
	ck_assert_uint_eq(fake->sandbox.exec_wanted, AGENT_EXEC_CHECKS);
	fake_destroy(fake);
	/* A snapshot's guest may remember verdicts that are no longer true. */
	fake = fake_create();
	fake->sandbox.config.snapshot = "snapshot";
	fake_connect(fake);
	ck_assert_ptr_nonnull(strstr(fake->log, "exec"));
	ck_assert_uint_eq(fake->sandbox.exec_wanted, 0);
	fake_destroy(fake);
}
END_TEST

START_TEST(exec_rules_that_cannot_hold_end_the_start)
{
	static const struct {
		uint32_t error, features;
		const char *why;
	} fail[] = {
		{EBUSY, UINT32_MAX, "programs: exec rules: programs have run"},
		{EOPNOTSUPP, UINT32_MAX, "programs: the guest's kernel can't"},
		{0, UINT32_MAX & ~AGENT_FEATURE_EXEC,
		 "programs: the agent in the guest is too old for exec"},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fail); i++) {
		struct fake *fake = fake_create();

		ck_assert_int_eq(guard_replace(fake->sandbox.config.guard,
					       policy_of("policy 1\nexec allow /bin/**\n"), "test"),
				 0);
		fake->features = fail[i].features;
		fake->fails = AGENT_EXEC_RULES;
		fake->error = fail[i].error;
		fake_connect(fake);
		ck_assert_uint_eq(fake->done, 0);
		ck_assert_msg(strncmp(fake->failed, fail[i].why, strlen(fail[i].why)) == 0, "%s",
			      fake->failed);
		fake_destroy(fake);
	}
}
END_TEST

START_TEST(exec_rules_that_are_refused_later_end_the_sandbox)
{
	struct fake *fake = fake_create();

	fake->sandbox.machine.loop = fake->loop;
	fake_connect(fake);
	ck_assert_int_eq(fake->sandbox.machine.end, MACHINE_RUNNING);
	ck_assert_int_eq(guard_replace(fake->sandbox.config.guard,
				       policy_of("policy 1\naudit processes\n"), "test"),
			 0);
	fake->fails = AGENT_EXEC_RULES;
	fake->error = EOPNOTSUPP;
	sandbox_renew_rules(&fake->sandbox);
	agent_channel_readable(fake->sandbox.machine.channel);
	ck_assert_int_eq(fake->sandbox.machine.end, MACHINE_SETUP_FAILED);
	loop_cancel(fake->loop, &fake->sandbox.machine.end_task);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_template_comes_before_anything_of_the_user)
{
	struct fake *fake = fake_create();

	fake->sandbox.restored = false;
	fake->sandbox.template_due = true;
	fake->sandbox.machine.loop = fake->loop;
	fake_connect(fake);
	/* the machine is paused to be saved; the rest follows after that */
	ck_assert_str_eq(fake->log, "welcome filter rehearse ping ");
	ck_assert(fake->sandbox.machine.pausing && !fake->sandbox.template_due);
	fake->sandbox.template_saved.done(fake->sandbox.template_saved.arg, 0);
	agent_channel_readable(fake->sandbox.machine.channel);
	ck_assert_str_eq(
		fake->log,
		"welcome filter rehearse ping root mount mount limits filter forward hostname ");
	ck_assert_uint_eq(fake->done, 1);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_connection_lost_while_a_template_is_saved_gives_it_up)
{
	struct fake *fake = fake_create();

	fake->sandbox.restored = false;
	fake->sandbox.template_due = true;
	fake->sandbox.machine.loop = fake->loop;
	fake_connect(fake);
	ck_assert(fake->sandbox.machine.pausing);
	agent_channel_closed(fake->sandbox.machine.channel);
	fake->log[0] = '\0';
	sandbox_forget_replies(&fake->sandbox);
	/* or the root's reply could be taken for the template's */
	ck_assert(!fake->sandbox.machine.pausing && !fake->sandbox.machine.pause_done);
	ck_assert(!fake->sandbox.template_saved.done);
	fake_connect(fake);
	ck_assert_str_eq(fake->log, "welcome root mount mount limits filter forward hostname ");
	ck_assert_uint_eq(fake->done, 1);
	fake_destroy(fake);
}
END_TEST

/* Each step without which there is no sandbox: its name, and what follows no more. */
START_TEST(a_failed_step_is_named)
{
	static const struct {
		uint16_t type;
		uint32_t error;
		const char *log, *why;
	} tries[] = {
		{AGENT_ROOT, ENODEV, BEFORE_ROOT "root ", "root file system: "},
		{AGENT_MOUNT, ENOTDIR, BEFORE_ROOT "root mount ", "shares: share /host: /w0 "},
		{AGENT_LIMITS, EINVAL, BEFORE_ROOT "root mount mount limits ", "limits: "},
		{AGENT_FILTER, EACCES, BEFORE_ROOT "root mount mount limits filter ",
		 "system calls: "},
		{AGENT_FORWARD, EPERM, BEFORE_ROOT "root mount mount limits filter forward ",
		 "published sockets: "},
	};
	struct fake *fake;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tries); i++) {
		fake = fake_create();
		fake->fails = tries[i].type;
		fake->error = tries[i].error;
		fake_connect(fake);
		ck_assert_str_eq(fake->log, tries[i].log);
		ck_assert_msg(strncmp(fake->failed, tries[i].why, strlen(tries[i].why)) == 0, "%s",
			      fake->failed);
		ck_assert_uint_eq(fake->done, 0);
		fake_destroy(fake);
	}
}
END_TEST

START_TEST(random_numbers_that_stay_the_same_end_the_sandbox)
{
	struct fake *fake = fake_create();

	fake->sandbox.machine.loop = fake->loop;
	fake->fails = AGENT_RESEED;
	fake->error = EIO;
	fake_connect(fake);
	ck_assert_int_eq(fake->sandbox.machine.end, MACHINE_SETUP_FAILED);
	loop_cancel(fake->loop, &fake->sandbox.machine.end_task);
	fake_destroy(fake);
}
END_TEST

/* Without a later request that is waited for, a ping tells whether the agent replies at all. */
START_TEST(an_agent_without_a_filter_is_pinged)
{
	struct fake *fake = fake_create();

	fake->features = UINT32_MAX & ~AGENT_FEATURE_FILTER;
	fake->fails = AGENT_PING;
	fake->error = EPERM;
	fake_connect(fake);
	ck_assert_str_eq(fake->log,
			 "welcome time seed ping root mount mount limits forward hostname ");
	ck_assert_uint_eq(fake->done, 1);
	fake_destroy(fake);
}
END_TEST

/* What a network card needs is not here: its reply decides nothing, and others' errors neither. */
START_TEST(a_clock_that_fails_changes_nothing)
{
	static const uint16_t type[] = {AGENT_SET_TIME, AGENT_HOSTNAME};
	struct fake *fake;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(type); i++) {
		fake = fake_create();
		fake->fails = type[i];
		fake->error = EPERM;
		fake_connect(fake);
		ck_assert_str_eq(fake->log, WHOLE);
		ck_assert_uint_eq(fake->done, 1);
		fake_destroy(fake);
	}
}
END_TEST

START_TEST(an_agent_that_connects_again_gets_it_all_again)
{
	static const uint16_t type[] = {AGENT_FILTER, AGENT_ROOT, AGENT_MOUNT, AGENT_LIMITS,
					AGENT_FORWARD};
	struct fake *fake;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(type); i++) {
		fake = fake_create();
		fake->silent = type[i];
		fake_connect(fake);
		ck_assert_uint_eq(fake->done, 0);
		agent_channel_closed(fake->sandbox.machine.channel);
		ck_assert(fake->closed);
		ck_assert_str_eq(fake->failed, "");
		fake->silent = 0;
		fake->log[0] = '\0';
		/* what was done before, its agent says so of */
		fake->fails = AGENT_ROOT;
		fake->error = EALREADY;
		fake_connect(fake);
		ck_assert_str_eq(fake->log, WHOLE);
		ck_assert_str_eq(fake->failed, "");
		ck_assert_uint_eq(fake->done, 1);
		fake_destroy(fake);
	}
}
END_TEST

UNIT_MAIN("startup_sandbox", exec_rules_come_before_any_command,
	  exec_rules_that_cannot_hold_end_the_start,
	  exec_rules_that_are_refused_later_end_the_sandbox, a_sandbox_is_set_up_in_order,
	  a_guest_that_booted_gets_less, a_template_comes_before_anything_of_the_user,
	  a_connection_lost_while_a_template_is_saved_gives_it_up, a_failed_step_is_named,
	  a_clock_that_fails_changes_nothing, random_numbers_that_stay_the_same_end_the_sandbox,
	  an_agent_without_a_filter_is_pinged, an_agent_that_connects_again_gets_it_all_again)
