/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a rule into the policy file on the host that a sandbox was started with. */
#ifndef CORDON_CLI_POLICY_SAVE_H
#define CORDON_CLI_POLICY_SAVE_H

#include <limits.h>

#include "vmm/base/err.h"
#include "vmm/policy/policy.h"

struct saved_rule {
	char path[PATH_MAX];
	unsigned line; /* in the file, from 1 */
};

/*
 * Writes a line above the rule `above`, "FILE:LINE" in the sandbox's policy. The file must be a
 * regular one that belongs to the user, and be what the sandbox read but for lines that were added
 * since (vmm/policy/added.h) and saved. It is replaced at once, and keeps its mode and group. A
 * line that it has already stays as it is. Its directory is locked meanwhile, so that of several
 * processes that save none loses its line. 0 or -errno with a message; then nothing has changed.
 * -ESTALE: the file is another than the sandbox read; -EBUSY: the directory stays locked (3 s).
 */
int policy_save(const struct policy *policy, const char *above, const char *line,
		struct saved_rule *saved, struct err *err);

#endif
