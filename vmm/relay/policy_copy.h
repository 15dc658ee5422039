/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The relay's copy of a policy: the text and its context in a sealed memory file, from which the
 * relay parses it again.
 *
 * Network requests get the same verdict and the same rule number from both. Shares of the command
 * line are left out: they bring file rules only, and rules are numbered within their class. For the
 * same reason the copy is read leniently: without those shares a file rule may cover none.
 */
#ifndef CORDON_RELAY_POLICY_COPY_H
#define CORDON_RELAY_POLICY_COPY_H

#include "vmm/policy/policy.h"

#define POLICY_COPY_MAX (2u << 20) /* bytes of a copy; a policy has at most half of that */

/* Makes the file, which can no longer change. The caller closes *fd. 0 or -errno. */
int policy_copy_write(const struct policy *policy, int *fd);

/*
 * Reads it back; fd stays open. 0; -EPERM: the file is not sealed; -EINVAL: not a copy of a policy;
 * -EFBIG; -ENOMEM; or another -errno.
 */
int policy_copy_read(int fd, struct policy **policy);

#endif
