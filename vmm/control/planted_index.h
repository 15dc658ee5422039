/* SPDX-License-Identifier: Apache-2.0 */
/*
 * git's index, as a guest may have left it. git on the host trusts it: `git restore .` writes every
 * file that it names, those in .git included, which git itself would never put there.
 */
#ifndef CORDON_CONTROL_PLANTED_INDEX_H
#define CORDON_CONTROL_PLANTED_INDEX_H

#include <stdbool.h>
#include <stddef.h>

#define PLANTED_INDEX_MAX (64u << 20) /* bytes that are read */

/*
 * Whether an index (versions 2 to 4, in memory) names a path with a component `.git`, in any case,
 * or is none that git could have written.
 */
bool planted_index_is_bad(const void *bytes, size_t length);

#endif
