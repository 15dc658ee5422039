/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports jumps of the host's real-time clock, when the clock was set or the host was suspended.
 * The guest's clock does not follow such a jump, so the owner must set it.
 */
#ifndef CORDON_SANDBOX_HOST_CLOCK_H
#define CORDON_SANDBOX_HOST_CLOCK_H

#include "vmm/base/loop.h"

struct host_clock {
	void (*jumped)(void *arg);
	void *arg;
	struct loop *loop; /* NULL: not watched */
	struct loop_source source;
};

/* Watches from now on; jumped() is called in the loop. 0 or -errno. */
int host_clock_watch(struct host_clock *clock, struct loop *loop, void (*jumped)(void *arg),
		     void *arg);

/* Works on zeros, and may be called twice. */
void host_clock_close(struct host_clock *clock);

#endif
