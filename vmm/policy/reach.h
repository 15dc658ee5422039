/* SPDX-License-Identifier: Apache-2.0 */
/* The reach of a rule: the nearest rules that match more and less than it. */
#ifndef CORDON_POLICY_REACH_H
#define CORDON_POLICY_REACH_H

#include "vmm/policy/policy.h"

#define REACH_LINES 2 /* each way */
#define REACH_LINE  (POLICY_PATTERN_MAX + 64)

struct policy_reach {
	unsigned broader_count, narrower_count;
	char broader[REACH_LINES][REACH_LINE], narrower[REACH_LINES][REACH_LINE];
};

/*
 * Lines that a person may have meant instead: a name with any port, all names of its domain; all
 * that is in a directory; one port, one of several targets, a lower verdict. For showing only: the
 * rule must be of a policy that exists.
 */
void policy_reach(const struct policy_rule *rule, struct policy_reach *reach);

#endif
