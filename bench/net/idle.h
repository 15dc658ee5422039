/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What idle connections cost: a guest without a machine opens so many through the relay, and leaves
 * them alone. Any error ends the process with a message.
 */
#ifndef CORDON_BENCH_IDLE_H
#define CORDON_BENCH_IDLE_H

#include <sys/types.h>

#include "bench/net/card.h"
#include "vmm/base/loop.h"

#define IDLE_MOST 16000 /* connections */

extern const struct card_user idle_user;

/*
 * Kernel memory (KiB) of one of the two sockets of so many connections from this host to HOLDER,
 * both of which are watched by epoll.
 */
double idle_kernel_of_sockets(unsigned count);

struct idle_cost {
	double process; /* KiB, proportional (PSS), by which the relay's process has grown */
	double kernel;	/* KiB in the slabs of the host's kernel, the server's sockets included */
};

/* Opens the connections; pid: of the relay. Runs the loop meanwhile. */
struct idle_cost idle_measure(struct loop *loop, const struct card *card, pid_t pid,
			      unsigned count);

#endif
