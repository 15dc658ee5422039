/* SPDX-License-Identifier: Apache-2.0 */
/* What would help after a denial: the line that an operator could add to the running policy. */
#ifndef CORDON_POLICY_REMEDY_H
#define CORDON_POLICY_REMEDY_H

#include "vmm/policy/policy.h"
#include "vmm/policy/request.h"

/* Room for a line with two patterns. */
#define POLICY_REMEDY_LINE (POLICY_REQUEST_RULE + 2 * POLICY_OBJECT_MAX + 2)

/*
 * Whether one added rule (added.h) would allow what the policy has denied: line is that rule.
 * False: no added rule would, or it would open a protected place (policy_protected()); line is "".
 *
 * decision is that on the request, with its rule. Much cheaper than policy_explain(), since a guest
 * decides how often it is called.
 */
bool policy_remedy(const struct policy *policy, const struct policy_request *request,
		   const struct policy_decision *decision, char line[POLICY_REMEDY_LINE]);

#endif
