/* SPDX-License-Identifier: Apache-2.0 */
/* An empty root directory for a process of our own: pivot_root(2). */
#ifndef CORDON_BASE_JAIL_ROOT_H
#define CORDON_BASE_JAIL_ROOT_H

#include <stdbool.h>

/* A directory that stays, at its own path, without what is mounted below it. */
struct jail_place {
	const char *path; /* absolute, without "." and ".." */
	bool read_only;
	/*
	 * A descriptor of the same directory, or NULL: it is replaced, under its number, by one
	 * whose ".." leads to the empty root.
	 */
	int *fd;
};

/*
 * Enters a mount namespace with nothing but these places in it; the rest is empty and read-only.
 * Needs CAP_SYS_ADMIN, and that the process has no other thread. False: it could not be done; then
 * the process has the old root, or one that leads nowhere.
 */
bool jail_enter_root(const struct jail_place *places, unsigned count);

#endif
