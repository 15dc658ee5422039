/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules that a guest proposes: one line, checked against a policy, and what it would add. Nothing
 * is added here: a person decides.
 */
#ifndef CORDON_POLICY_PROPOSAL_H
#define CORDON_POLICY_PROPOSAL_H

#include "vmm/policy/policy.h"

/*
 * Checks a line, of any bytes up to NUL, that the guest has chosen. 0: adds then has an example of
 * what the policy would allow with it, or that this cannot be ruled out (narrow.h), and how many
 * targets the rule has if they are several: for the operator, as it may name files of the host.
 * -EINVAL: the line is no rule, the policy cannot take it, or it adds nothing; err then says why in
 * words fit for the guest: no names of the host, and nothing of the policy but that it cannot take
 * this rule. -ENOMEM.
 */
#define POLICY_ADDS 256
int policy_check_proposal(const struct policy *policy, const char *line, char adds[POLICY_ADDS],
			  enum policy_class *class, struct err *err);

#endif
