/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a sandbox that runs: bounds, the balloon's target, and what the agent is told. */
#include <errno.h>
#include <string.h>

#include "devices/balloon/balloon.h"
#include "tests/support/fake_guest.h"
#include "tests/support/unit.h"
#include "tests/unit/startup_common.h"

#define MEMORY MIB(128)
#define LEAST  MIB(72) /* 64 MiB and a sixteenth */

static struct fake *fake;
static struct fake_guest guest;
static struct err err;

static void begin(void)
{
	struct machine *machine;

	fake = fake_create();
	machine = &fake->sandbox.machine;
	machine->config.memory = MEMORY;
	fake_guest_init(&guest, MEMORY);
	ck_assert_int_eq(balloon_create(&machine->devices.balloon, fake->loop, &guest.memory, true),
			 0);
	fake_guest_attach(&guest, balloon_device(machine->devices.balloon));
	ck_assert(fake_guest_bring_up(&guest, 0));
	fake_connect(fake);
	ck_assert_uint_eq(fake->done, 1);
	fake->log[0] = '\0';
}

static void end(void)
{
	balloon_destroy(fake->sandbox.machine.devices.balloon);
	fake->sandbox.machine.devices.balloon = NULL;
	fake_guest_destroy(&guest);
	fake_destroy(fake);
}

static uint32_t target_pages(void)
{
	return fake_read(&guest, FAKE_REG_CONFIG);
}

static uint64_t limit_now(void)
{
	return sandbox_memory_limit(&fake->sandbox).now;
}

START_TEST(kernel_and_workload_do_without)
{
	begin();
	ck_assert_uint_eq(limit_now(), MEMORY);
	ck_assert_int_eq(sandbox_limit_memory(&fake->sandbox, MIB(96), &err), 0);
	ck_assert_uint_eq(target_pages(), MIB(32) / 4096);
	ck_assert_uint_eq(fake->memory_without, 32);
	ck_assert_uint_eq(fake->processes, 50); /* the policy's limits stay */
	ck_assert_uint_eq(limit_now(), MIB(96));
	ck_assert_uint_eq(sandbox_memory_limit(&fake->sandbox).given_back, 0);
	/* The same once more is no news for the agent. */
	fake->log[0] = '\0';
	ck_assert_int_eq(sandbox_limit_memory(&fake->sandbox, MIB(96), &err), 0);
	ck_assert_str_eq(fake->log, "");
	/* A part of a MiB is the workload's loss. */
	ck_assert_int_eq(sandbox_limit_memory(&fake->sandbox, MIB(96) - 4096, &err), 0);
	ck_assert_uint_eq(target_pages(), MIB(32) / 4096 + 1);
	ck_assert_uint_eq(fake->memory_without, 33);
	/* And back. */
	ck_assert_int_eq(sandbox_limit_memory(&fake->sandbox, MEMORY, &err), 0);
	ck_assert_uint_eq(target_pages(), 0);
	ck_assert_uint_eq(fake->memory_without, 0);
	end();
}
END_TEST

START_TEST(both_bounds_hold)
{
	begin();
	ck_assert_uint_eq(sandbox_memory_limit(&fake->sandbox).most, MEMORY);
	ck_assert_uint_eq(sandbox_memory_limit(&fake->sandbox).least, LEAST);
	ck_assert_int_eq(sandbox_limit_memory(&fake->sandbox, MEMORY + 1, &err), -EINVAL);
	ck_assert_str_eq(err.text, "the sandbox was started with 128M of memory, and can't have "
				   "more: start it with --memory 130M");
	ck_assert_int_eq(sandbox_limit_memory(&fake->sandbox, INT64_MAX, &err), -EINVAL);
	ck_assert_int_eq(sandbox_limit_memory(&fake->sandbox, LEAST - 1, &err), -EINVAL);
	ck_assert_str_eq(err.text, "a sandbox that was started with 128M of memory needs 72M of "
				   "it at least");
	ck_assert_int_eq(sandbox_limit_memory(&fake->sandbox, 0, &err), -EINVAL);
	ck_assert_uint_eq(limit_now(), MEMORY);
	ck_assert_str_eq(fake->log, "");
	ck_assert_int_eq(sandbox_limit_memory(&fake->sandbox, LEAST, &err), 0);
	ck_assert_uint_eq(limit_now(), LEAST);
	end();
}
END_TEST

/* The smallest machine has nothing to spare. */
START_TEST(a_small_sandbox_keeps_all)
{
	struct memory_limit limit;

	begin();
	fake->sandbox.machine.config.memory = MIB(64);
	limit = sandbox_memory_limit(&fake->sandbox);
	ck_assert_uint_eq(limit.least, MIB(64));
	ck_assert_int_eq(sandbox_limit_memory(&fake->sandbox, MIB(64), &err), 0);
	ck_assert_int_eq(sandbox_limit_memory(&fake->sandbox, MIB(62), &err), -EINVAL);
	end();
}
END_TEST

START_TEST(a_guest_without_a_driver_is_refused)
{
	begin();
	fake_write(&guest, FAKE_REG_STATUS, 0);
	ck_assert_int_eq(sandbox_limit_memory(&fake->sandbox, MIB(96), &err), -EOPNOTSUPP);
	ck_assert_uint_eq(limit_now(), MEMORY);
	ck_assert_uint_eq(fake->memory_without, 0);
	end();
}
END_TEST

START_TEST(an_old_agent_is_refused)
{
	begin();
	agent_channel_closed(fake->sandbox.machine.channel);
	fake->features &= ~AGENT_FEATURE_MEMORY;
	fake_connect(fake);
	ck_assert_int_eq(sandbox_limit_memory(&fake->sandbox, MIB(96), &err), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(err.text, "too old"));
	ck_assert_uint_eq(limit_now(), MEMORY);
	ck_assert_uint_eq(target_pages(), 0);
	end();
}
END_TEST

/* What was requested over a lost connection comes again. */
START_TEST(the_limit_comes_again)
{
	begin();
	ck_assert_int_eq(sandbox_limit_memory(&fake->sandbox, MIB(96), &err), 0);
	agent_channel_closed(fake->sandbox.machine.channel);
	fake->memory_without = 0;
	fake_connect(fake);
	ck_assert_uint_eq(fake->memory_without, 32);
	end();
}
END_TEST

UNIT_MAIN("memory_limit", kernel_and_workload_do_without, both_bounds_hold,
	  a_small_sandbox_keeps_all, a_guest_without_a_driver_is_refused, an_old_agent_is_refused,
	  the_limit_comes_again)
