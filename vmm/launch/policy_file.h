/* SPDX-License-Identifier: Apache-2.0 */
/* Reading policies as the command line names them, and checking them against the host. */
#ifndef CORDON_LAUNCH_POLICY_FILE_H
#define CORDON_LAUNCH_POLICY_FILE_H

#include "vmm/launch/policy_options.h"

/* Reads, parses and checks. 0 or -errno with a message. */
int policy_load(struct policy **policy, const struct policy_options *options, struct err *err);

/*
 * Refuses a path that the sandbox could reach through a writable share, also by way of links and
 * mounts. what: "the audit log". 0 or -errno with a message.
 */
int policy_check_outside(const struct policy *policy, const char *path, const char *what,
			 struct err *err);

/*
 * The same for the audit log (NULL: none) and for the directories of records and of running
 * sandboxes, in which no share may be either.
 */
int policy_check_places(const struct policy *policy, const char *audit, struct err *err);

#endif
