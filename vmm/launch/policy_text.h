/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a policy file, also from a descriptor. */
#ifndef CORDON_LAUNCH_POLICY_TEXT_H
#define CORDON_LAUNCH_POLICY_TEXT_H

#include <stddef.h>

#include "vmm/base/err.h"

/*
 * The descriptor that a path stands for: "-", /dev/stdin, /dev/fd/N, /proc/self/fd/N. -1: none. So
 * a shell's <(COMMAND) is read to its end, while other paths must be plain files.
 */
int policy_text_fd(const char *path);

/* What messages call it: "stdin" for "-". */
const char *policy_text_name(const char *path);

/*
 * Reads it whole into *text, which is the caller's to free; of more than POLICY_FILE_MAX bytes one
 * more than that. 0 or -errno with a message.
 */
int policy_text_read(const char *path, char **text, size_t *length, struct err *err);

#endif
