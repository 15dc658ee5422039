/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the text of a policy, from a file or a descriptor. */
#ifndef CORDON_LAUNCH_POLICY_TEXT_H
#define CORDON_LAUNCH_POLICY_TEXT_H

#include <stddef.h>

#include "vmm/base/err.h"

/*
 * The descriptor that a path stands for ("-", /dev/stdin, /dev/fd/N, /proc/self/fd/N), or -1. A
 * shell's <(COMMAND) is such a path; all other paths must be regular files.
 */
int policy_text_fd(const char *path);

/* What messages call it: "stdin" for "-". */
const char *policy_text_name(const char *path);

/*
 * Reads the whole text into *text, which the caller frees. A text longer than POLICY_FILE_MAX is
 * cut to one byte more than that. 0 or -errno with a message.
 */
int policy_text_read(const char *path, char **text, size_t *length, struct err *err);

#endif
