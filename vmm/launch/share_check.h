/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of shared directories on the host before a sandbox starts. */
#ifndef CORDON_LAUNCH_SHARE_CHECK_H
#define CORDON_LAUNCH_SHARE_CHECK_H

#include "vmm/policy/policy.h"

#define SHARE_CHECK_ENTRIES 2048 /* looked at in search of repositories, of a share */

/*
 * Refuses shares that reach too far: the home directory, / and directories above them; if writable
 * also directories above repositories, the inside of a .git directory and places that hold secrets.
 * --allow-home skips the check. 0 or -EPERM with a message.
 */
int share_check_reach(const struct policy *policy, struct err *err);
/* The same of the one at guest: the others are shared already. */
int share_check_reach_of(const struct policy *policy, const char *guest, struct err *err);

/* Logs one warning for each group of existing protected places that the policy leaves open. */
void share_warn(const struct policy *policy);

#endif
