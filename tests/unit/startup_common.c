/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/startup_common.h"

void note(struct world *world, const char *fmt, int number, const char *text)
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

const struct startup_step steps[STEPS] = {
	{"first", request_first, NULL, false},
	{"second", request_second, second_replied, true},
	{"third", request_third, third_replied, false},
};
