/* SPDX-License-Identifier: Apache-2.0 */
/* Folders that Cordon keeps things of its own in. */
#ifndef CORDON_BASE_DIRECTORY_H
#define CORDON_BASE_DIRECTORY_H

#include <limits.h>

#include "vmm/base/err.h"

/*
 * $XDG_CACHE_HOME/cordon/NAME or ~/.cache/cordon/NAME, made if it is not there (0700). What others
 * could write there would be used as our own, so it must belong to us and be writable for nobody
 * else. The path leaves 128 bytes for names in it. 0 or -errno with a message.
 */
int directory_in_cache(const char *name, char path[PATH_MAX], struct err *err);

/*
 * The same for what has to outlive a restart: $XDG_STATE_HOME/cordon, or ~/.local/state/cordon.
 * Without HOME (a service) it is /var/lib/cordon for root and /var/tmp/cordon-UID for other users.
 * A relative XDG_STATE_HOME or HOME counts as not set.
 */
int directory_in_state(char path[PATH_MAX], struct err *err);

/* The same path, without making or checking any directory. 0 or -ENAMETOOLONG with a message. */
int directory_state_path(char path[PATH_MAX], struct err *err);

#endif
