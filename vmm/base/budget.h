/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Divides the process's file descriptors among their uses.
 *
 * One limit (RLIMIT_NOFILE) covers both the descriptors that a guest can make the monitor open and
 * those that clients on the host need. Each use gets a bound of its own, derived from the limit in
 * force. So a guest that opens as many as it can does not stop the control socket, nor do clients
 * stop the guest.
 */
#ifndef CORDON_BASE_BUDGET_H
#define CORDON_BASE_BUDGET_H

#include "vmm/base/err.h"

/* The largest useful number of items of each. */
#define BUDGET_CLIENTS_MAX    256
#define BUDGET_JOBS_MAX	      128
#define BUDGET_FILES_MAX      4096
#define BUDGET_HANDSHAKES_MAX 128
#define BUDGET_STREAMS_MAX    4096

enum budget_use {
	BUDGET_CLIENTS,	   /* connections of control socket clients */
	BUDGET_JOBS,	   /* their commands: three streams, times of output; two of a shell */
	BUDGET_FILES,	   /* open files of shares and of a served root file system */
	BUDGET_HANDSHAKES, /* clients of vsock sockets that have not yet sent a port number */
	BUDGET_STREAMS,	   /* vsock streams connected to Unix sockets of the host */
	BUDGET_USES,
};

/*
 * Divides what RLIMIT_NOFILE leaves beside the descriptors that are open now. Call it when the
 * machine is complete; until then each use has its maximum. 0; -EMFILE with a message if the
 * limit is too low for a sandbox; another -errno if the descriptors or the limit can't be read.
 */
int budget_divide(struct err *err);

/* How many items of this use (connections, jobs, files ...) may exist at once. Any thread. */
unsigned budget(enum budget_use use);

/*
 * The arithmetic of budget_divide(), for it and for tests: from the number of open descriptors and
 * the limit, the bound of each use.
 */
int budget_compute(unsigned open, unsigned limit, unsigned most[BUDGET_USES], struct err *err);

#endif
