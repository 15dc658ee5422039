/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process's copy of a policy: the text and its context in a sealed memory file, from which the
 * process parses it again.
 *
 * POLICY_COPY_WHOLE: every request gets the same verdict by the same rule, with the same number,
 * line and file, from both.
 *
 * POLICY_COPY_RELAY: so do requests of the network. Shares of the command line are left out: they
 * bring file rules only, and rules are numbered within their class.
 *
 * Copies are read without the checks for an author's mistakes, which were made of the policy: of
 * the relay's, a share may have no rule left that allows reading it.
 */
#ifndef CORDON_POLICY_POLICY_COPY_H
#define CORDON_POLICY_POLICY_COPY_H

#include "vmm/policy/policy.h"

#define POLICY_COPY_MAX (2u << 20) /* bytes of a copy; a policy has at most half of that */

enum policy_copy_of {
	POLICY_COPY_RELAY,
	POLICY_COPY_WHOLE,
};

/* Makes the file, which can no longer change. The caller closes *fd. 0 or -errno. */
int policy_copy_write(const struct policy *policy, enum policy_copy_of of, int *fd);

/*
 * Reads it back; fd stays open. 0; -EPERM: the file is not sealed; -EINVAL: not a copy of a policy;
 * -EFBIG; -ENOMEM; or another -errno.
 */
int policy_copy_read(int fd, struct policy **policy);

#endif
