/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before a snapshot: the requests of a paused guest that are under way, to its disks and to the
 * file server, come to their end, and no other is begun. It is waited for in the event loop, so
 * that signals, limits of time and clients are served meanwhile, and not for ever.
 */
#ifndef CORDON_SANDBOX_QUIESCE_H
#define CORDON_SANDBOX_QUIESCE_H

#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/base/loop.h"

/* How long a disk of the host may take for the requests under way. */
#define QUIESCE_SECONDS 5u

struct machine;
struct shares;

/* Zeros at first. */
struct quiesce {
	struct machine *machine; /* NULL: not begun */
	struct shares *shares;
	struct loop_timer timer;
	uint64_t deadline_ns;
	void (*done)(void *arg, const char *failure);
	void *arg;
};

/*
 * The vCPUs are paused. done is called once, from the loop: with NULL, and then nothing is under
 * way until quiesce_end(); or with a message that says what did not come to its end. It calls
 * quiesce_end() in any case.
 */
void quiesce_begin(struct quiesce *quiesce, struct machine *machine, struct shares *shares,
		   void (*done)(void *arg, const char *failure), void *arg);

/* Requests are served again. done is not called any more. Harmless if it was not begun. */
void quiesce_end(struct quiesce *quiesce);

#endif
