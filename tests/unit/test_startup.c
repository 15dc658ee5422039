/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up: the cursor, with steps of a test. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/sandbox/startup.h"

enum { FIRST, SECOND, THIRD, STEPS };

struct world {
	struct startup startup;
	char log[256]; /* what happened, in order */
	struct agent_reply reply[STEPS];
	int request[STEPS];  /* what request() returns */
	int answered[STEPS]; /* what answered() returns */
	unsigned done, failed, warned;
};

static void note(struct world *world, const char *fmt, int number, const char *text)
{
	size_t used = strlen(world->log);

	snprintf(world->log + used, sizeof(world->log) - used, fmt, number, text);
}

static int send_step(struct world *world, int step, const struct agent_reply *reply,
		     struct err *err)
{
	note(world, "r%d%s ", step, "");
	world->reply[step] = *reply;
	if (world->request[step] < 0)
		return err_set(err, -world->request[step], "request %d", step);
	return world->request[step];
}

static int step_replied(struct world *world, int step, int error, struct err *err)
{
	int ret = world->answered[step];

	note(world, "a%d%s ", step, "");
	if (error)
		return err_set(err, error, "reply %d", error);
	world->answered[step] = 0;
	return ret;
}

static int request_first(void *arg, const struct agent_reply *reply, struct err *err)
{
	return send_step(arg, FIRST, reply, err);
}

static int request_second(void *arg, const struct agent_reply *reply, struct err *err)
{
	return send_step(arg, SECOND, reply, err);
}

static int request_third(void *arg, const struct agent_reply *reply, struct err *err)
{
	return send_step(arg, THIRD, reply, err);
}

static int second_replied(void *arg, int error, struct err *err)
{
	return step_replied(arg, SECOND, error, err);
}

static int third_replied(void *arg, int error, struct err *err)
{
	return step_replied(arg, THIRD, error, err);
}

static const struct startup_step steps[STEPS] = {
	{"first", request_first, NULL, false},
	{"second", request_second, second_replied, true},
	{"third", request_third, third_replied, false},
};

static void world_done(void *arg)
{
	struct world *world = arg;

	world->done++;
	note(world, "done%.0d%s", 0, "");
}

static void world_failed(void *arg, const char *step, const char *why)
{
	struct world *world = arg;

	world->failed++;
	note(world, "failed%.0d %s", 0, step);
	note(world, "%.0d: %s", 0, why);
}

static void world_warned(void *arg, const char *step, const char *why)
{
	struct world *world = arg;

	world->warned++;
	note(world, "warned%.0d %s", 0, step);
	note(world, "%.0d: %s ", 0, why);
}

static const struct startup_ops world_ops = {
	.done = world_done, .failed = world_failed, .warned = world_warned};

static void world_init(struct world *world)
{
	*world = (struct world){.request = {STARTUP_WAIT, STARTUP_WAIT, STARTUP_WAIT}};
	startup_init(&world->startup, steps, STEPS, &world_ops, world);
}

static void send_reply(struct world *world, int step, int error)
{
	world->reply[step].done(world->reply[step].arg, error);
}

START_TEST(steps_come_in_order_and_each_waits_for_its_reply)
{
	struct world world;

	world_init(&world);
	startup_begin(&world.startup);
	ck_assert_str_eq(world.log, "r0 ");
	send_reply(&world, FIRST, EBUSY); /* nothing looks at it */
	ck_assert_str_eq(world.log, "r0 r1 ");
	send_reply(&world, SECOND, 0);
	send_reply(&world, THIRD, 0);
	ck_assert_str_eq(world.log, "r0 r1 a1 r2 a2 done");
	/* and then nothing more */
	send_reply(&world, THIRD, 0);
	startup_begin(&world.startup);
	startup_fail(&world.startup, "late", "late");
	ck_assert_str_eq(world.log, "r0 r1 a1 r2 a2 done");
}
END_TEST

START_TEST(a_step_without_a_request_is_passed_and_one_may_have_several)
{
	struct world world;

	world_init(&world);
	world.request[FIRST] = world.request[THIRD] = 0;
	world.answered[SECOND] = STARTUP_AGAIN;
	startup_begin(&world.startup);
	send_reply(&world, SECOND, 0);
	ck_assert_str_eq(world.log, "r0 r1 a1 r1 ");
	send_reply(&world, SECOND, 0);
	ck_assert_str_eq(world.log, "r0 r1 a1 r1 a1 r2 done");
}
END_TEST

START_TEST(a_required_step_that_fails_ends_it)
{
	struct world world;

	world_init(&world);
	world.request[FIRST] = 0;
	startup_begin(&world.startup);
	send_reply(&world, SECOND, ENODEV);
	ck_assert_str_eq(world.log, "r0 r1 a1 failed second: reply 19");
	send_reply(&world, SECOND, 0);
	startup_begin(&world.startup);
	ck_assert_str_eq(world.log, "r0 r1 a1 failed second: reply 19");

	world_init(&world);
	world.request[FIRST] = 0;
	world.request[SECOND] = -ENOTCONN;
	startup_begin(&world.startup);
	ck_assert_str_eq(world.log, "r0 r1 failed second: request 1");
	ck_assert_uint_eq(world.failed, 1);
	ck_assert_uint_eq(world.done, 0);

	/* from outside, in whatever step it is */
	world_init(&world);
	startup_begin(&world.startup);
	startup_fail(&world.startup, "ports", "none");
	send_reply(&world, FIRST, 0);
	ck_assert_str_eq(world.log, "r0 failed ports: none");
}
END_TEST

START_TEST(an_optional_step_that_fails_is_a_warning)
{
	struct world world;

	world_init(&world);
	world.request[FIRST] = world.request[SECOND] = 0;
	startup_begin(&world.startup);
	send_reply(&world, THIRD, EIO);
	ck_assert_str_eq(world.log, "r0 r1 r2 a2 warned third: reply 5 done");

	world_init(&world);
	world.request[SECOND] = 0;
	world.request[FIRST] = world.request[THIRD] = -EIO;
	startup_begin(&world.startup);
	ck_assert_str_eq(world.log,
			 "r0 warned first: request 0 r1 r2 warned third: request 2 done");
	ck_assert_uint_eq(world.warned, 2);
}
END_TEST

START_TEST(after_a_lost_connection_it_begins_at_the_first_step)
{
	struct world world;

	world_init(&world);
	startup_begin(&world.startup);
	send_reply(&world, FIRST, 0);
	send_reply(&world, SECOND, AGENT_REPLY_LOST);
	/* it has stopped, and a late reply belongs to no step */
	send_reply(&world, SECOND, 0);
	ck_assert_str_eq(world.log, "r0 r1 ");
	startup_begin(&world.startup);
	ck_assert_str_eq(world.log, "r0 r1 r0 ");
	send_reply(&world, FIRST, 0);
	send_reply(&world, SECOND, 0);
	send_reply(&world, THIRD, 0);
	ck_assert_str_eq(world.log, "r0 r1 r0 r1 a1 r2 a2 done");
	ck_assert_uint_eq(world.done, 1);
}
END_TEST

UNIT_MAIN("startup", steps_come_in_order_and_each_waits_for_its_reply,
	  a_step_without_a_request_is_passed_and_one_may_have_several,
	  a_required_step_that_fails_ends_it, an_optional_step_that_fails_is_a_warning,
	  after_a_lost_connection_it_begins_at_the_first_step)
