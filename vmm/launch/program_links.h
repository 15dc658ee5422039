/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exec rules that name a symbolic link. The guest's kernel gives the path of the file that it has
 * opened, so such a rule matches nothing, and another one decides.
 */
#ifndef CORDON_LAUNCH_PROGRAM_LINKS_H
#define CORDON_LAUNCH_PROGRAM_LINKS_H

#include "vmm/policy/risks.h"

/*
 * Reports, for a root file system that is the host's, one line for each path of an exec rule that
 * is a link to a program on which the policy decides otherwise. Patterns with wildcards are left
 * out, and so are paths in shares and those that policy_linked_programs() reports.
 */
void program_links(const struct policy *policy, const struct policy_risk_ops *ops);

#endif
