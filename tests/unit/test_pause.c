/* SPDX-License-Identifier: Apache-2.0 */
/* The guest stands still as long as one of several reasons holds. */
#include <errno.h>

#include "tests/support/unit.h"
#include "vmm/sandbox/sandbox.h"
#include "vmm/sandbox/pause.h"

static struct sandbox sandbox;
static struct pause pause_state;
static unsigned reached[PAUSE_REASONS];
static bool releases; /* the first callback releases its reason at once */

static void begin(void)
{
	static const struct agent_channel_hooks hooks;
	struct machine *machine = &sandbox.machine;
	unsigned i;

	sandbox = (struct sandbox){.is_ready = false};
	ck_assert_int_eq(loop_create(&machine->loop), 0);
	ck_assert_int_eq(agent_channel_create(&machine->channel, machine->loop, &hooks, NULL), 0);
	pause_state = (struct pause){.sandbox = &sandbox};
	releases = false;
	for (i = 0; i < PAUSE_REASONS; i++)
		reached[i] = 0;
}

static void end(void)
{
	loop_timer_stop(sandbox.machine.loop, &sandbox.machine.halt_timer);
	agent_channel_destroy(sandbox.machine.channel);
	loop_destroy(sandbox.machine.loop);
}

static void on_reached(void *arg)
{
	unsigned *count = arg;

	(*count)++;
	if (releases)
		pause_release(&pause_state, (enum pause_reason)(count - reached));
}

static int hold(enum pause_reason reason)
{
	return pause_hold(&pause_state, reason, on_reached, &reached[reason]);
}

/* This machine has no vCPUs: they have all left the guest. */
static void all_stand_still(void)
{
	struct machine *machine = &sandbox.machine;

	ck_assert(machine->pausing);
	ck_assert_ptr_nonnull(machine->pause_done);
	machine->pause_done(machine->pause_arg);
	machine->pause_done = NULL;
}

START_TEST(each_reason_is_told_and_the_last_lets_go)
{
	begin();
	ck_assert_int_eq(hold(PAUSE_FREEZE), 0);
	ck_assert_int_eq(hold(PAUSE_FREEZE), -EALREADY);
	ck_assert_int_eq(hold(PAUSE_OPERATOR), 0);
	ck_assert(!pause_reached(&pause_state, PAUSE_FREEZE));
	ck_assert_uint_eq(reached[PAUSE_FREEZE], 0);
	all_stand_still();
	ck_assert_uint_eq(reached[PAUSE_FREEZE], 1);
	ck_assert_uint_eq(reached[PAUSE_OPERATOR], 1);
	/* One more is told at once. */
	ck_assert_int_eq(hold(PAUSE_SNAPSHOT), 0);
	ck_assert_uint_eq(reached[PAUSE_SNAPSHOT], 1);
	pause_release(&pause_state, PAUSE_FREEZE);
	pause_release(&pause_state, PAUSE_FREEZE);
	pause_release(&pause_state, PAUSE_SNAPSHOT);
	ck_assert(sandbox.machine.pausing);
	ck_assert(pause_reached(&pause_state, PAUSE_OPERATOR));
	ck_assert(!pause_reached(&pause_state, PAUSE_FREEZE));
	pause_release(&pause_state, PAUSE_OPERATOR);
	ck_assert(!sandbox.machine.pausing);
	/* And again: nothing is reached yet. */
	ck_assert_int_eq(hold(PAUSE_OPERATOR), 0);
	ck_assert(!pause_reached(&pause_state, PAUSE_OPERATOR));
	ck_assert_uint_eq(reached[PAUSE_OPERATOR], 1);
	all_stand_still();
	ck_assert_uint_eq(reached[PAUSE_OPERATOR], 2);
	end();
}
END_TEST

START_TEST(a_reason_released_early_is_not_told)
{
	begin();
	ck_assert_int_eq(hold(PAUSE_FREEZE), 0);
	pause_release(&pause_state, PAUSE_FREEZE);
	ck_assert(!sandbox.machine.pausing);
	ck_assert_int_eq(hold(PAUSE_FREEZE), 0);
	ck_assert_int_eq(hold(PAUSE_SNAPSHOT), 0);
	pause_release(&pause_state, PAUSE_FREEZE);
	all_stand_still();
	ck_assert_uint_eq(reached[PAUSE_FREEZE], 0);
	ck_assert_uint_eq(reached[PAUSE_SNAPSHOT], 1);
	pause_release(&pause_state, PAUSE_SNAPSHOT);
	end();
}
END_TEST

START_TEST(a_callback_may_release_its_reason)
{
	begin();
	releases = true;
	ck_assert_int_eq(hold(PAUSE_OPERATOR), 0);
	ck_assert_int_eq(hold(PAUSE_SNAPSHOT), 0);
	all_stand_still();
	ck_assert_uint_eq(reached[PAUSE_OPERATOR], 1);
	ck_assert_uint_eq(reached[PAUSE_SNAPSHOT], 1);
	ck_assert(!sandbox.machine.pausing);
	end();
}
END_TEST

START_TEST(at_the_end_nothing_holds_it)
{
	begin();
	ck_assert_int_eq(hold(PAUSE_OPERATOR), 0);
	ck_assert_int_eq(hold(PAUSE_FREEZE), 0);
	all_stand_still();
	pause_end(&pause_state);
	ck_assert(!sandbox.machine.pausing);
	ck_assert_int_eq(hold(PAUSE_FREEZE), -EBUSY);
	end();
	/* Nor once the machine has ended, or while it saves a template. */
	begin();
	sandbox.machine.end = MACHINE_RESET;
	ck_assert_int_eq(hold(PAUSE_OPERATOR), -EBUSY);
	sandbox.machine.end = MACHINE_RUNNING;
	sandbox.machine.pausing = true;
	ck_assert_int_eq(hold(PAUSE_OPERATOR), -EBUSY);
	sandbox.machine.pausing = false;
	ck_assert_int_eq(hold(PAUSE_OPERATOR), 0);
	pause_release(&pause_state, PAUSE_OPERATOR);
	end();
}
END_TEST

UNIT_MAIN("pause", each_reason_is_told_and_the_last_lets_go, a_reason_released_early_is_not_told,
	  a_callback_may_release_its_reason, at_the_end_nothing_holds_it)
