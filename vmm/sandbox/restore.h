/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restores a sandbox from a snapshot file, which is hostile. The steps are parse, check and build,
 * each begun only when the one before is complete; then sandbox_start() gives the guest a new
 * generation id, ends the connections that it had when it was saved, and starts the vCPUs.
 */
#ifndef CORDON_SANDBOX_RESTORE_H
#define CORDON_SANDBOX_RESTORE_H

#include "vmm/base/err.h"

struct loop;
struct machine_ops;
struct sandbox;

/* Opens the file that the configuration names, and checks its form, checksums and tables. */
int restore_parse(struct sandbox *sandbox, struct err *err);

/*
 * Checks that this sandbox may and can be made from the file: its size against the policy's limits,
 * its root file system against the one that is open; with --verify, the checksums of memory.
 * Nothing of the file is in use yet.
 */
int restore_check(struct sandbox *sandbox, struct err *err);

/*
 * Builds the machine, its disks and the sessions of its shares. All return 0 or -errno with a
 * message.
 */
int restore_build(struct sandbox *sandbox, struct loop *loop, const struct machine_ops *ops,
		  struct err *err);

#endif
