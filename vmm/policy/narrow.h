/* SPDX-License-Identifier: Apache-2.0 */
/* Compares two policies: whether one allows nothing that the other does not. */
#ifndef CORDON_POLICY_NARROW_H
#define CORDON_POLICY_NARROW_H

#include "vmm/policy/policy.h"

/*
 * Proves that child allows nothing that parent does not: no further share, no higher limit, and for
 * every file, program and peer no better verdict (hide < deny < read < append < write; deny < ask <
 * allow), and no rename of a directory (narrow_moves.h). 0; or -EPERM with a message that names the
 * child's line that allows more, or says that there is no proof; or -ENOMEM. Sound: 0 is never
 * wrong.
 */
int policy_is_narrower(const struct policy *child, const struct policy *parent, struct err *err);

/*
 * The same within NARROW_BRIEF steps of its searches, for a thread that others wait for: some 20 ms
 * for the largest policies. More often than above there is no proof.
 */
#define NARROW_BRIEF 500000
int policy_is_narrower_briefly(const struct policy *child, const struct policy *parent,
			       struct err *err);

#endif
