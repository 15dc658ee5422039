/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/freeze.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/policy/guard.h"
#include "vmm/sandbox/sandbox.h"

/* While an operator's snapshot is written: how long until the next try. */
#define RETRY_NS UINT64_C(1000000000)
/* After a failure, such as a full disk; or spill= of the policy if that is longer. */
#define RETRY_AFTER_NS UINT64_C(60000000000)

static void note(const struct freeze *freeze, const char *detail)
{
	const struct guard_note line = {
		.class = POLICY_NET, .what = "freeze", .object = "", .detail = detail};

	if (freeze->sandbox->config.guard)
		guard_note(freeze->sandbox->config.guard, &line);
}

/* --- memory to disk --------------------------------------------------------------------------- */

static void end_spill(struct freeze *freeze)
{
	if (!freeze->spilling)
		return;
	freeze->spilling = false;
	quiesce_end(&freeze->quiesce);
	pause_release(freeze->pause, PAUSE_SNAPSHOT);
}

/* The guest's I/O has come to rest; failure: it did not, and why. */
static void spill(void *arg, const char *failure)
{
	struct freeze *freeze = arg;
	struct err err = {.text = ""};

	if (!failure &&
	    snapshot_spill_memory(&freeze->sandbox->machine, freeze->directory, &err) < 0)
		failure = err.text;
	freeze->spilled = !failure;
	end_spill(freeze);
	if (!failure) {
		note(freeze, "its memory was written to disk");
		return;
	}
	log_warning("the frozen sandbox keeps its memory for now: %s", failure);
	loop_timer_start(freeze->sandbox->machine.loop, &freeze->timer,
			 max_u64(freeze->on_ask.spill_ns, RETRY_AFTER_NS));
}

static void begin_quiesce(void *arg)
{
	struct freeze *freeze = arg;

	freeze->spilling = true;
	quiesce_begin(&freeze->quiesce, &freeze->sandbox->machine, spill, freeze);
}

static void spill_is_due(void *arg)
{
	struct freeze *freeze = arg;

	if (pause_hold(freeze->pause, PAUSE_SNAPSHOT, begin_quiesce, freeze) == -EALREADY)
		loop_timer_start(freeze->sandbox->machine.loop, &freeze->timer, RETRY_NS);
}

/* --- standing still --------------------------------------------------------------------------- */

/* Arms the timer as the policy says, which may have been replaced meanwhile. */
static void set_spill(struct freeze *freeze)
{
	uint64_t due_ns = freeze->since_ns + freeze->on_ask.spill_ns, now = loop_now_ns();

	loop_timer_stop(freeze->sandbox->machine.loop, &freeze->timer);
	if (!freeze->on_ask.spill_ns || freeze->spilled)
		return;
	if (freeze->directory >= 0)
		loop_timer_start(freeze->sandbox->machine.loop, &freeze->timer,
				 due_ns > now ? due_ns - now : 0);
	else
		log_warning("there is no record of the sandbox to write its memory to: spill= has "
			    "no effect");
}

static void stands_still(void *arg)
{
	struct freeze *freeze = arg;
	struct machine *machine = &freeze->sandbox->machine;
	struct err err = {.text = ""};

	freeze->frozen = true;
	freeze->since_ns = loop_now_ns();
	loop_hold_guest_time(machine->loop, true);
	if (machine_stop_clock(machine, &err) < 0)
		log_warning("the frozen guest's clocks run on: %s", err.text);
	note(freeze, "the sandbox stands still until an operator decides");
	set_spill(freeze);
}

static void thaw(struct freeze *freeze)
{
	struct machine *machine = &freeze->sandbox->machine;
	struct err err = {.text = ""};
	char detail[64];

	end_spill(freeze);
	if (freeze->frozen) {
		loop_timer_stop(machine->loop, &freeze->timer);
		loop_hold_guest_time(machine->loop, false);
		if (machine_continue_clock(machine, &err) < 0)
			log_warning("the guest's clocks jump: %s", err.text);
		snprintf(detail, sizeof(detail), "the sandbox went on after %" PRIu64 " ms",
			 (loop_now_ns() - freeze->since_ns) / 1000000);
		note(freeze, detail);
	}
	freeze->frozen = freeze->spilled = false;
	pause_release(freeze->pause, PAUSE_FREEZE);
}

void freeze_set(struct freeze *freeze, const struct policy_on_ask *on_ask)
{
	freeze->wanted = on_ask != NULL;
	if (on_ask)
		freeze->on_ask = *on_ask;
	if (!freeze->ready)
		return;
	if (!on_ask)
		thaw(freeze);
	else if (pause_hold(freeze->pause, PAUSE_FREEZE, stands_still, freeze) == -EALREADY &&
		 freeze->frozen)
		set_spill(freeze);
}

void freeze_ready(struct freeze *freeze)
{
	freeze->ready = true;
	if (freeze->wanted)
		pause_hold(freeze->pause, PAUSE_FREEZE, stands_still, freeze);
}

void freeze_end(struct freeze *freeze)
{
	if (!freeze->ready)
		return;
	freeze->ready = false;
	thaw(freeze);
}

void freeze_close(struct freeze *freeze)
{
	freeze->ready = false;
	if (!freeze->frozen)
		return;
	loop_timer_stop(freeze->sandbox->machine.loop, &freeze->timer);
	quiesce_end(&freeze->quiesce);
}

void freeze_init(struct freeze *freeze, struct sandbox *sandbox, struct pause *pause, int directory)
{
	*freeze = (struct freeze){.sandbox = sandbox, .pause = pause, .directory = directory};
	freeze->timer = (struct loop_timer){.expired = spill_is_due, .arg = freeze};
}
