/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repositories that a guest may have planted in a share: git on the host takes configuration and
 * hooks from any directory that looks like one.
 */
#ifndef CORDON_CONTROL_PLANTED_H
#define CORDON_CONTROL_PLANTED_H

#include <stdbool.h>
#include <time.h>

#include "vmm/policy/policy.h"

#define PLANTED_ENTRIES_MAX 50000 /* looked at */
#define PLANTED_DEPTH_MAX   64
#define PLANTED_MS_MAX	    300
#define PLANTED_TOLD_MAX    8 /* more are counted only */

struct planted_ops {
	void (*report)(void *arg, const char *text); /* one line */
	void *arg;
};

/*
 * Looks through a directory, following no link and leaving no file system, for bare repositories;
 * and indexes that name files in .git; since: only such as came or changed then or later, and also
 * for new .git and symbolic links in one. NULL: whenever. The bounds hold for this one call.
 * Returns how many were found.
 */
unsigned planted_find(const char *top, const struct timespec *since, const struct planted_ops *ops);

/* The time that since is compared with: files get no older one from now on. */
struct timespec planted_now(void);

#endif
