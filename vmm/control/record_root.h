/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of all records: for record*.c only. */
#ifndef CORDON_CONTROL_RECORD_ROOT_H
#define CORDON_CONTROL_RECORD_ROOT_H

#include "vmm/control/record.h"

/* Names of a record that is being made or removed; no record is called so. There is at most one of
 * each: see root_lock(). */
#define RECORD_MAKING	".new"
#define RECORD_REMOVING ".gone"

struct record_root {
	char path[PATH_MAX];
	int fd;
};

/* Opens and locks it, and makes it if needed. Removes leftovers of killed processes. */
int root_lock(struct record_root *root, struct err *err);
void root_unlock(struct record_root *root);

/* Whether a monitor holds the record; false if there is none. */
bool root_lives(const struct record_root *root, const char *id);

/* Whether a monitor holds the record and is going to: waits for one that is dying or has written
 * its end. */
bool root_is_held(const struct record_root *root, const char *id);

/* Renames a record to RECORD_REMOVING, then removes it. 0 or -errno. */
int root_remove(const struct record_root *root, const char *id);

/* As record_prune(), in the locked directory. bytes UINT64_MAX: sizes are not checked. */
int root_prune(const struct record_root *root, const struct record_bounds *bounds);

/* The bytes of all files of a record. */
uint64_t root_size(int root_fd, const char *id);

/* Calls each() with the id of every record until it returns false. */
void root_each(int root_fd, bool (*each)(void *arg, const char *id), void *arg);

#endif
