/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before a snapshot: waits until the requests of a paused guest to its disks and to the file server
 * have finished, while no new one is begun. The event loop does the waiting, for a bounded time,
 * and meanwhile serves signals, time limits and clients.
 */
#ifndef CORDON_SANDBOX_QUIESCE_H
#define CORDON_SANDBOX_QUIESCE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/base/loop.h"

/* How long the requests under way may take. */
#define QUIESCE_SECONDS 5u

struct machine;

/* Zeros at first. */
struct quiesce {
	struct machine *machine; /* NULL: not begun */
	struct loop_timer timer;
	uint64_t begun_ns, deadline_ns;
	bool saves; /* quiesce_begin_saving(): reads of an image may stay under way */
	void (*done)(void *arg, const char *failure);
	void *arg;
};

/*
 * The vCPUs must be paused. done is called once, from the loop: with NULL if nothing is under way,
 * which then holds until quiesce_end(); or with a message that says what has not finished. done
 * must call quiesce_end() in either case.
 */
void quiesce_begin(struct quiesce *quiesce, struct machine *machine,
		   void (*done)(void *arg, const char *failure), void *arg);

/*
 * The same for a snapshot, which keeps the reads of an image that are still under way after
 * QUIESCE_IMAGE_NS: the image's disk may hang. Memory may change by them meanwhile.
 */
#define QUIESCE_IMAGE_NS UINT64_C(200000000)
void quiesce_begin_saving(struct quiesce *quiesce, struct machine *machine,
			  void (*done)(void *arg, const char *failure), void *arg);

/* Lets requests be served again; done is no longer called. Harmless without quiesce_begin(). */
void quiesce_end(struct quiesce *quiesce);

#endif
