/* SPDX-License-Identifier: Apache-2.0 */
/* A file server that the launcher starts, while the guest runs. */
#ifndef CORDON_SANDBOX_SHARES_PROCESS_H
#define CORDON_SANDBOX_SHARES_PROCESS_H

#include "vmm/files/client.h"
#include "vmm/jail/launcher.h"

/*
 * Entries of the launcher's table: the first server, and one that takes another one's place, which
 * has one descriptor more. state: NULL, or for tests another program's path.
 */
extern const struct launcher_request shares_process_first, shares_process_next;

/* launcher: one with both. It outlives the servers that are started. */
struct files_client_starter shares_process_starter(struct launcher *launcher);

#endif
