/* SPDX-License-Identifier: Apache-2.0 */
/* Compares two policies: whether one lets directories be renamed that the other does not. */
#ifndef CORDON_POLICY_NARROW_MOVES_H
#define CORDON_POLICY_NARROW_MOVES_H

#include "vmm/policy/policy.h"

/*
 * A directory is renamed only if the rules for everything beneath its old and its new name are
 * alike. With fewer allowances for single paths, more directories can be alike: a policy that makes
 * all hooks directories read-only, /w/.git/hooks as well as /w/a/hooks, lets /w/a take the place of
 * /w/.git, with hooks that were prepared while only /w/.git/hooks was read-only.
 *
 * Proves that child renames a directory only where parent does, which allows at least as much for
 * every path: any two directories of a share that are alike for child, and that it may write, are
 * alike for parent. work: steps of the search, for all shares together. 0; -EPERM with a message,
 * also if there is no proof; or -ENOMEM. Sound: 0 is never wrong.
 */
#define NARROW_MOVES_WORK 400000000
int narrow_moves(const struct policy *child, const struct policy *parent, uint64_t work,
		 struct err *err);

#endif
