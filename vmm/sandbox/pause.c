/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/pause.h"

#include <errno.h>

#include "vmm/sandbox/sandbox.h"

static bool holds(const struct pause *pause)
{
	int i;

	for (i = 0; i < PAUSE_REASONS; i++)
		if (pause->hold[i].held)
			return true;
	return false;
}

static void call_done(struct pause *pause, enum pause_reason reason)
{
	void (*done)(void *arg) = pause->hold[reason].done;

	pause->hold[reason].done = NULL;
	if (done)
		done(pause->hold[reason].arg);
}

static void all_stand_still(void *arg)
{
	struct pause *pause = arg;
	int i;

	pause->reached = true;
	/* The guest acknowledges nothing: that must not count against its connections. */
	network_hold_time(&pause->sandbox->network, true);
	/* A callback may release reasons, and with the last one the guest goes on. */
	for (i = 0; i < PAUSE_REASONS && pause->reached; i++)
		call_done(pause, (enum pause_reason)i);
}

int pause_hold(struct pause *pause, enum pause_reason reason, void (*done)(void *arg), void *arg)
{
	if (pause->hold[reason].held)
		return -EALREADY;
	if (pause->ended || pause->sandbox->machine.end != MACHINE_RUNNING)
		return -EBUSY;
	if (!holds(pause) && machine_pause(&pause->sandbox->machine, all_stand_still, pause) < 0)
		return -EBUSY;
	pause->hold[reason].held = true;
	pause->hold[reason].done = done;
	pause->hold[reason].arg = arg;
	if (pause->reached)
		call_done(pause, reason);
	return 0;
}

void pause_release(struct pause *pause, enum pause_reason reason)
{
	if (!pause->hold[reason].held)
		return;
	pause->hold[reason].held = false;
	pause->hold[reason].done = NULL;
	if (holds(pause))
		return;
	if (pause->reached)
		network_hold_time(&pause->sandbox->network, false);
	pause->reached = false;
	machine_resume(&pause->sandbox->machine);
	sandbox_set_time(pause->sandbox);
}

void pause_end(struct pause *pause)
{
	int i;

	pause->ended = true;
	for (i = 0; i < PAUSE_REASONS; i++)
		pause_release(pause, (enum pause_reason)i);
}

bool pause_reached(const struct pause *pause, enum pause_reason reason)
{
	return pause->reached && pause->hold[reason].held;
}
