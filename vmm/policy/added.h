/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines that operators add to the policy of a running sandbox, one at a time, and take back.
 *
 * They stand in the policy's text as a part of their own, the first (policy_part_is_added()):
 * `policy 1`, then one rule a line. So `added:2` names the first of them in messages and in the
 * log. Added rules are tried before all others, except that `net allow` is an approval in advance,
 * as with --allow-net: it counts where the others say 'ask' or none of them matches.
 */
#ifndef CORDON_POLICY_ADDED_H
#define CORDON_POLICY_ADDED_H

#include "vmm/policy/policy.h"

/*
 * Makes of a policy the one with a line more. 0; or -errno with a message: of the parser; or that
 * the line is no rule, or cannot take effect.
 */
int policy_add_line(struct policy **made, const struct policy *policy, const char *line,
		    struct err *err);

/*
 * Makes of a policy the one without the line that was added last, which line gets, with a NUL. 0 or
 * -errno with a message; -ENOENT: no line was added.
 */
int policy_undo_line(struct policy **made, const struct policy *policy,
		     char line[POLICY_FILE_MAX + 1], struct err *err);

/* The rule of the line that was added last, or NULL. */
const struct policy_rule *policy_last_added(const struct policy *policy);

#endif
