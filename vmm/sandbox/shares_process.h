/* SPDX-License-Identifier: Apache-2.0 */
/* A file server that the launcher starts, while the guest runs. */
#ifndef CORDON_SANDBOX_SHARES_PROCESS_H
#define CORDON_SANDBOX_SHARES_PROCESS_H

#include <stdbool.h>

#include "vmm/files/client.h"
#include "vmm/jail/launcher.h"

struct shares_process {
	const char *program; /* for tests, another one; NULL: this program */
	bool isolate;	     /* with a core scheduling cookie of its own (isolate.h) */
};

/*
 * Entries of the launcher's table: the first server, and one that takes another one's place, which
 * has one descriptor more. state: a struct shares_process.
 */
extern const struct launcher_request shares_process_first, shares_process_next;

/* launcher: one with both. It outlives the servers that are started. */
struct files_client_starter shares_process_starter(struct launcher *launcher);

#endif
