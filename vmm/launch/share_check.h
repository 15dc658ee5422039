/* SPDX-License-Identifier: Apache-2.0 */
/* What is shared with a sandbox, looked at on the host before it starts. */
#ifndef CORDON_LAUNCH_SHARE_CHECK_H
#define CORDON_LAUNCH_SHARE_CHECK_H

#include "vmm/policy/policy.h"

#define SHARE_CHECK_ENTRIES 2048 /* looked at in search of repositories, of a share */

/*
 * Refuses shares that reach too far: the home directory, / or what is above them; and of writable
 * ones, directories above repositories, the inside of a repository's own directory and of places
 * that hold secrets.
 * --allow-home is for those who mean it. 0 or -EPERM with a message.
 */
int share_check_reach(const struct policy *policy, struct err *err);

/* One warning for each group of protected places that are there and that the policy leaves open. */
void share_warn(const struct policy *policy);

/*
 * Whether a directory's file system takes upper and lower case for the same, as its own name or
 * that of .git in it shows. Rules compare bytes.
 */
bool share_ignores_case(const char *host);

#endif
