/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/quiesce.h"

#include <errno.h>

#include "vmm/machine/machine.h"

#define LOOK_NS 1000000u

static void hold(struct quiesce *quiesce, bool held)
{
	unsigned i;

	for (i = 0; i < MACHINE_DISKS; i++)
		blk_hold(quiesce->machine->devices.blk[i], held);
	fs_hold(quiesce->machine->devices.fs, held);
}

/* What still has a request under way that is waited for, for a message; NULL: nothing. */
static const char *busy_with(const struct quiesce *quiesce, uint64_t now_ns)
{
	struct machine_devices *devices = &quiesce->machine->devices;
	bool saves = quiesce->saves && now_ns >= quiesce->begun_ns + QUIESCE_IMAGE_NS;
	unsigned i;

	for (i = 0; i < MACHINE_DISKS; i++)
		if (!(saves ? blk_saves(devices->blk[i]) : blk_idle(devices->blk[i])))
			return blk_device(devices->blk[i])->name;
	return fs_idle(devices->fs) ? NULL : "its shares";
}

static void look(void *arg)
{
	struct quiesce *quiesce = arg;
	uint64_t now_ns = loop_now_ns();
	const char *what = busy_with(quiesce, now_ns);
	struct err why;

	if (what && now_ns < quiesce->deadline_ns) {
		loop_timer_start(quiesce->machine->loop, &quiesce->timer, LOOK_NS);
		return;
	}
	if (what)
		err_set(&why, EBUSY,
			"a request of the guest to %s has not ended for %u s: try again", what,
			QUIESCE_SECONDS);
	quiesce->done(quiesce->arg, what ? why.text : NULL);
}

void quiesce_begin(struct quiesce *quiesce, struct machine *machine,
		   void (*done)(void *arg, const char *failure), void *arg)
{
	uint64_t now_ns = loop_now_ns();

	*quiesce = (struct quiesce){
		.machine = machine,
		.timer = {.expired = look, .arg = quiesce},
		.begun_ns = now_ns,
		.deadline_ns = now_ns + QUIESCE_SECONDS * UINT64_C(1000000000),
		.done = done,
		.arg = arg,
	};
	hold(quiesce, true);
	loop_timer_start(machine->loop, &quiesce->timer, 0);
}

void quiesce_begin_saving(struct quiesce *quiesce, struct machine *machine,
			  void (*done)(void *arg, const char *failure), void *arg)
{
	quiesce_begin(quiesce, machine, done, arg);
	quiesce->saves = true;
}

void quiesce_end(struct quiesce *quiesce)
{
	if (!quiesce->machine)
		return;
	loop_timer_stop(quiesce->machine->loop, &quiesce->timer);
	hold(quiesce, false);
	quiesce->machine = NULL;
}
