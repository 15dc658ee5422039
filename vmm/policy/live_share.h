/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares of a running sandbox: a policy with one more, or one less, of those that the command line
 * gave. Its text stays the same.
 */
#ifndef CORDON_POLICY_LIVE_SHARE_H
#define CORDON_POLICY_LIVE_SHARE_H

#include "vmm/policy/policy.h"

/*
 * Adds a share, and the rule that --share adds: after those of the policy. 0, or -errno with a
 * message: of the parser; more than POLICY_SHARES_MAX.
 */
int policy_with_share(struct policy **made, const struct policy *policy,
		      const struct policy_share *share, struct err *err);

/*
 * Takes the share at a path of the guest away, with its rule. 0, or -errno with a message; -ENOENT:
 * there is none; -EPERM: it is a line of the policy.
 */
int policy_without_share(struct policy **made, const struct policy *policy, const char *guest,
			 struct err *err);

#endif
