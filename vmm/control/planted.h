/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds repositories that a guest may have planted in a share: git on the host takes configuration
 * and hooks from any directory that looks like one.
 */
#ifndef CORDON_CONTROL_PLANTED_H
#define CORDON_CONTROL_PLANTED_H

#include <stdbool.h>
#include <time.h>

#include "vmm/policy/policy.h"

#define PLANTED_ENTRIES_MAX 50000 /* directory entries to visit */
#define PLANTED_DEPTH_MAX   64
#define PLANTED_MS_MAX	    300
#define PLANTED_NAMED_MAX   8 /* findings to report by name; further ones are counted */

struct planted_ops {
	void (*report)(void *arg, const char *text); /* one line */
	void *arg;
};

/*
 * Searches a directory, without following links or leaving the file system, for bare repositories
 * and for indexes that name files in .git. since: only those that appeared or changed then or
 * later, and also new .git directories and new symbolic links in them; NULL: at any time. The
 * bounds above hold for each call. Returns the number of findings.
 */
unsigned planted_find(const char *top, const struct timespec *since, const struct planted_ops *ops);

/* The same in a directory that is open, also with O_PATH; label stands for its path in reports. */
unsigned planted_find_in(int top, const char *label, const struct timespec *since,
			 const struct planted_ops *ops);

/* The time for since: no file gets an older timestamp from now on. */
struct timespec planted_now(void);

#endif
