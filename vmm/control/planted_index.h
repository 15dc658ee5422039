/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks a git index that a guest may have written. git on the host trusts the index: `git restore
 * .` writes every file that it names, also files in .git, which git itself never adds to an index.
 */
#ifndef CORDON_CONTROL_PLANTED_INDEX_H
#define CORDON_CONTROL_PLANTED_INDEX_H

#include <stdbool.h>
#include <stddef.h>

#define PLANTED_INDEX_MAX (64u << 20) /* bytes; a larger index is not read */

/*
 * Whether an index (versions 2 to 4, in memory) names a path with a component `.git`, in upper or
 * lower case, or is one that git could not have written.
 */
bool planted_index_is_bad(const void *bytes, size_t length);

#endif
