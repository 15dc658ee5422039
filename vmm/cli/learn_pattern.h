/* SPDX-License-Identifier: Apache-2.0 */
/* What `policy learn` writes for an object of the log: a guest chose its name. */
#ifndef CORDON_CLI_LEARN_PATTERN_H
#define CORDON_CLI_LEARN_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "vmm/policy/policy.h"

#define LEARN_PATTERN_SIZE (POLICY_PATTERN_MAX + 1)

/*
 * A pattern for a path: the path itself, quoted, or for names that are made at random (git's
 * objects, temporary files) what all of their kind have in common and no protected place has.
 * False: no policy can have the path in it (control characters, too long, not normalised).
 */
bool learn_pattern(const char *path, size_t length, char pattern[LEARN_PATTERN_SIZE]);

/* Whether a name of the network can be written as a target, and means itself there. */
bool learn_is_host_name(const char *name);

#endif
