/* SPDX-License-Identifier: Apache-2.0 */
/* Reports what a policy allows that can hurt the host. */
#ifndef CORDON_POLICY_RISKS_H
#define CORDON_POLICY_RISKS_H

#include "vmm/policy/policy.h"

struct policy_risk_ops {
	/*
	 * Whether a place exists in a share's directory: then only existing places count, without
	 * those that work must be able to change. NULL: all possible places count.
	 */
	bool (*present)(void *arg, const struct policy_share *share, const char *place);
	void (*report)(void *arg, const char *text);
	void *arg;
};

/*
 * Reports, in one line each, which protected places (protected.h) a share leaves open, that the
 * whole home directory is shared, and which rules allow the whole Internet or network.
 */
void policy_risks(const struct policy *policy, const struct policy_risk_ops *ops);

/*
 * Reports exec rules that allow no program, or no loader or C library, patterns that look
 * like a shell's or like a list, directories that are allowed without what is in them, and what
 * policy_linked_programs() does.
 */
void policy_program_risks(const struct policy *policy, const struct policy_risk_ops *ops);

/*
 * Reports exec rules that deny a program in /bin and the like, or ask about it, while the same
 * program in /usr/bin is allowed: in most root file systems the one is a link to the other.
 */
void policy_linked_programs(const struct policy *policy, const struct policy_risk_ops *ops);

#endif
