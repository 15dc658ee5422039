/* SPDX-License-Identifier: Apache-2.0 */
/* Cordon's own directories on the host: cache and state. */
#ifndef CORDON_BASE_DIRECTORY_H
#define CORDON_BASE_DIRECTORY_H

#include <limits.h>

#include "vmm/base/err.h"

/*
 * Writes the path $XDG_CACHE_HOME/cordon/NAME or ~/.cache/cordon/NAME, and creates the directory
 * (mode 0700) if it is missing. Its contents are trusted, so it must belong to the effective user
 * and be writable by no other; -EPERM otherwise. The path leaves 128 bytes for names below it.
 * 0 or -errno with a message.
 */
int directory_in_cache(const char *name, char path[PATH_MAX], struct err *err);

/* The path $XDG_CACHE_HOME/cordon or ~/.cache/cordon alone, without creating or checking a
 * directory. 0 or -errno with a message: there is none, or it is too long. */
int directory_cache_path(char path[PATH_MAX], struct err *err);

/*
 * As directory_in_cache(), for what must survive a reboot: $XDG_STATE_HOME/cordon, or
 * ~/.local/state/cordon. Without HOME (a service) it is /var/lib/cordon for host root and
 * /var/tmp/cordon-UID for other users. A relative XDG_STATE_HOME or HOME counts as unset.
 */
int directory_in_state(char path[PATH_MAX], struct err *err);

/* The path alone, without creating or checking a directory. 0 or -ENAMETOOLONG with a message. */
int directory_state_path(char path[PATH_MAX], struct err *err);

#endif
