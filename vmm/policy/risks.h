/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy allows although it can hurt the host. */
#ifndef CORDON_POLICY_RISKS_H
#define CORDON_POLICY_RISKS_H

#include "vmm/policy/policy.h"

struct policy_risk_ops {
	/*
	 * Whether a place is there, in a share's directory: then only what is there counts, and
	 * nothing that work must be able to change. NULL: all that could be there counts.
	 */
	bool (*present)(void *arg, const struct policy_share *share, const char *place);
	void (*tell)(void *arg, const char *text);
	void *arg;
};

/*
 * Tells, in one line each, which protected places (protected.h) a share leaves open, that all of
 * the home directory is shared, and which rule allows the whole Internet.
 */
void policy_risks(const struct policy *policy, const struct policy_risk_ops *ops);

#endif
