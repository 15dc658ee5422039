/* SPDX-License-Identifier: Apache-2.0 */
/* Finds paths of the host that lead through a symbolic link that a guest may have made. */
#ifndef CORDON_CONTROL_SHARE_LINKS_H
#define CORDON_CONTROL_SHARE_LINKS_H

#include "vmm/policy/policy.h"

/*
 * Refuses a path (of another share, a root file system, a snapshot) that enters a writable share of
 * the policy and then follows a symbolic link there: the guest of an earlier sandbox may have
 * chosen where it leads. what: "--rootfs", for the message. 0, or -ELOOP with a message.
 */
int share_links_check(const struct policy *policy, const char *path, const char *what,
		      struct err *err);

/* The same for one share. */
int share_links_check_share(const struct policy_share *share, const char *path, const char *what,
			    struct err *err);

/*
 * Opens a directory, with O_PATH, as open(2) would, but follows no symbolic link that lies in a
 * writable share of the policy, nor '..' of a directory in one: while the sandbox runs, its guest
 * could redirect a link, or move the directory, at any moment.
 * The descriptor, or -errno with a message.
 */
int share_links_open(const struct policy *policy, const char *path, struct err *err);

#endif
