/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may have how many of the process's descriptors.
 *
 * What a guest can make the monitor open and what clients of the host need come out of one limit
 * (RLIMIT_NOFILE). Each use has a bound of its own, which is derived from the limit that really
 * holds: so a guest that opens all it can leaves the control socket working, and the other way
 * round.
 */
#ifndef CORDON_BASE_BUDGET_H
#define CORDON_BASE_BUDGET_H

#include "vmm/base/err.h"

enum budget_use {
	BUDGET_CLIENTS,	   /* clients of the control socket: the connection */
	BUDGET_JOBS,	   /* their commands: three streams each */
	BUDGET_QUERIES,	   /* questions to the host's DNS servers */
	BUDGET_FILES,	   /* open files of shares and of a served root */
	BUDGET_HANDSHAKES, /* clients of vsock sockets that have not said their port */
	BUDGET_STREAMS,	   /* vsock streams to sockets of the host */
	BUDGET_USES,
};

/*
 * Divides what the limit leaves beside the descriptors that are open now. Called once, when a
 * machine is complete; until then each use has all that it can want. 0, or -EMFILE with a message
 * if the limit is too low for a sandbox.
 */
int budget_divide(struct err *err);

/* How many of them there may be at once. From any thread. */
unsigned budget(enum budget_use use);

/* The division, without a process: open descriptors, limit. For budget_divide() and tests. */
int budget_compute(unsigned open, unsigned limit, unsigned most[BUDGET_USES], struct err *err);

#endif
