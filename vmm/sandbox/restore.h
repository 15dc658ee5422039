/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox from a snapshot file, which is hostile. In this order, and each step only after the
 * whole of the one before: parse, check, build; then sandbox_start() gives the guest a new
 * generation id, ends the connections of its former life and starts the vCPUs.
 */
#ifndef CORDON_SANDBOX_RESTORE_H
#define CORDON_SANDBOX_RESTORE_H

#include "vmm/base/err.h"

struct loop;
struct machine_ops;
struct sandbox;

/* Opens the file that the configuration names: its form, checksums and tables. */
int restore_parse(struct sandbox *sandbox, struct err *err);

/*
 * Whether this sandbox may and can be made from it: its size against the policy's limits, its root
 * against the one that is open; with --verify the checksum of memory. Nothing of it is in use yet.
 */
int restore_check(struct sandbox *sandbox, struct err *err);

/* Makes the machine, its disks and the sessions of its shares. Each 0 or -errno with a message. */
int restore_build(struct sandbox *sandbox, struct loop *loop, const struct machine_ops *ops,
		  struct err *err);

#endif
