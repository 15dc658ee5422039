/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `--rootfs host` shows of the host: its programs and libraries, and of /etc what they need
 * and what is no secret. A list of what is shown; everything else does not exist for the guest.
 */
#ifndef CORDON_FILES_HOST_ROOT_H
#define CORDON_FILES_HOST_ROOT_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a normalised absolute path of the host is shown, or leads to what is. */
bool host_root_shows(const char *path, size_t length);

#endif
