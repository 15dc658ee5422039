/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protected places that lead elsewhere. A rule is about a path, but a link, the file `.git` of a
 * worktree or git's configuration can name another path of the same share that no rule protects.
 */
#ifndef CORDON_LAUNCH_SHARE_LEADS_H
#define CORDON_LAUNCH_SHARE_LEADS_H

#include "vmm/policy/risks.h"

#define SHARE_LEADS_TOLD_MAX 8 /* lines a share; more are left out */

/*
 * Reports one line for each such place at the top of a share: protected places and hooks that are
 * symbolic links, directories that .git leads to, and what git's configuration names (hooks,
 * included files, programs).
 */
void share_leads(const struct policy *policy, const struct policy_risk_ops *ops);

#endif
