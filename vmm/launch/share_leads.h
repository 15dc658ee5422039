/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where protected places of a share really are: a rule is about a path, and a link, the file `.git`
 * of a worktree, or git's configuration can name another one in the same share that no rule keeps
 * from the guest.
 */
#ifndef CORDON_LAUNCH_SHARE_LEADS_H
#define CORDON_LAUNCH_SHARE_LEADS_H

#include "vmm/policy/risks.h"

#define SHARE_LEADS_TOLD_MAX 8 /* lines a share; more are left out */

/*
 * Tells a line for each such place at the top of a share: protected places and hooks that are
 * symbolic links, the directories that .git leads to, and what git's configuration names (hooks,
 * included files, programs).
 */
void share_leads(const struct policy *policy, const struct policy_risk_ops *ops);

#endif
