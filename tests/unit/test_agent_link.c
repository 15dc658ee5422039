/* SPDX-License-Identifier: Apache-2.0 */
/* How long the agent of a restored guest may be away. */
#include "vmm/machine/agent_link.h"

#include <errno.h>

#include "tests/support/unit.h"
#include "vmm/machine/machine.h"

static struct machine machine;

static long read_nothing(void *arg, void *to, size_t length)
{
	(void)arg;
	(void)to;
	(void)length;
	return -EAGAIN;
}

static long write_all(void *arg, const void *from, size_t length)
{
	(void)arg;
	(void)from;
	return (long)length;
}

static void close_nothing(void *arg)
{
	(void)arg;
}

static void nothing(void *arg)
{
	(void)arg;
}

/* A restored guest whose agent has connected; the time for old connections is over. */
static void begin(bool starting)
{
	const struct agent_transport transport = {
		.read = read_nothing, .write = write_all, .close = close_nothing};
	struct err err;

	machine = (struct machine){.restored = true, .starting = starting};
	machine.end_task = (struct loop_task){.run = nothing};
	ck_assert_int_eq(loop_create(&machine.loop), 0);
	ck_assert_int_eq(vsock_create(&machine.devices.vsock, machine.loop, 3, NULL, &err), 0);
	ck_assert_int_eq(agent_link_create(&machine, &err), 0);
	ck_assert_int_eq(agent_channel_attach(machine.channel, &transport), 0);
}

static void end(void)
{
	agent_link_destroy(&machine);
	vsock_destroy(machine.devices.vsock);
	loop_destroy(machine.loop);
}

/* On a busy host an old connection may end late, and the next one take long. */
START_TEST(while_it_starts_its_owner_decides)
{
	begin(true);
	agent_channel_closed(machine.channel);
	ck_assert_int_eq(machine.end, MACHINE_RUNNING);
	ck_assert(!machine.lost_timer.armed);
	end();
}
END_TEST

START_TEST(later_it_must_not_be_away)
{
	begin(false);
	agent_channel_closed(machine.channel);
	ck_assert_int_eq(machine.end, MACHINE_AGENT_LOST);
	end();
	/* But for a time after it was restored. */
	begin(false);
	machine.settled_ns = UINT64_MAX;
	agent_channel_closed(machine.channel);
	ck_assert_int_eq(machine.end, MACHINE_RUNNING);
	ck_assert(machine.lost_timer.armed);
	end();
}
END_TEST

UNIT_MAIN("agent_link", while_it_starts_its_owner_decides, later_it_must_not_be_away)
