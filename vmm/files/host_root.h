/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the host that `--rootfs host` shows: programs and libraries, and the files in /etc
 * that they need and that are not secret. A list of allowed paths; all others are hidden from the
 * guest.
 */
#ifndef CORDON_FILES_HOST_ROOT_H
#define CORDON_FILES_HOST_ROOT_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a normalised absolute path of the host is shown, or is a parent of one that is. */
bool host_root_shows(const char *path, size_t length);

#endif
