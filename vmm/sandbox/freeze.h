/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `on-ask freeze`: while a question waits for a person, the whole guest stands still, its clocks
 * and guest time (vmm/base/loop.h) with it, so that nothing in it times out.
 *
 * The memory of a guest that has stood still for long is written to a file without a name, and
 * mapped from there, so that the host has it back: the guest's pages are then read from
 * the file when they are next used.
 */
#ifndef CORDON_SANDBOX_FREEZE_H
#define CORDON_SANDBOX_FREEZE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/loop.h"
#include "vmm/policy/policy.h"
#include "vmm/sandbox/pause.h"
#include "vmm/sandbox/quiesce.h"

struct freeze {
	struct sandbox *sandbox;
	struct pause *pause;
	int directory; /* for memory; -1: it is never written to disk */
	struct policy_on_ask on_ask;
	bool wanted, ready, frozen;
	bool spilling, spilled; /* memory is being written to disk, or has been */
	uint64_t since_ns;
	struct loop_timer timer; /* until memory is written */
	struct quiesce quiesce;
};

/*
 * directory: a descriptor of one on the disk that memory is written to, which stays the caller's;
 * -1: none. The sandbox and its guard exist by the first freeze_set().
 */
void freeze_init(struct freeze *freeze, struct sandbox *sandbox, struct pause *pause,
		 int directory);

/* on_ask: the guest is to stand still, and how; NULL: it goes on. From the loop. */
void freeze_set(struct freeze *freeze, const struct policy_on_ask *on_ask);

/* The sandbox is ready. Until then the guest is not frozen: it has yet to answer the monitor. */
void freeze_ready(struct freeze *freeze);

/* Lets the guest go on, for good: it is to shut down. Call it before pause_end(). */
void freeze_end(struct freeze *freeze);

/* Before the sandbox is destroyed: stops timers, and leaves the guest as it is. */
void freeze_close(struct freeze *freeze);

#endif
