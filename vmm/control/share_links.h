/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of the host that lead through a symbolic link which a sandbox can have made. */
#ifndef CORDON_CONTROL_SHARE_LINKS_H
#define CORDON_CONTROL_SHARE_LINKS_H

#include "vmm/policy/policy.h"

/*
 * Refuses a path (of another share, of a root file system, of a snapshot) that enters a writable
 * share of the policy and goes on through a symbolic link there: the guest of an earlier sandbox
 * chose where it leads. what: "--rootfs". 0, or -ELOOP with a message.
 */
int share_links_check(const struct policy *policy, const char *path, const char *what,
		      struct err *err);

/* The same for one share. */
int share_links_check_share(const struct policy_share *share, const char *path, const char *what,
			    struct err *err);

#endif
