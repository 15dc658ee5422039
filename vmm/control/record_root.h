/* SPDX-License-Identifier: Apache-2.0 */
/* The directory that the records are in: for the files of the record only. */
#ifndef CORDON_CONTROL_RECORD_ROOT_H
#define CORDON_CONTROL_RECORD_ROOT_H

#include "vmm/control/record.h"

/* Names of what is being made and removed; a record can't have one. One of each: see root_lock().
 */
#define RECORD_MAKING	".new"
#define RECORD_REMOVING ".gone"

struct record_root {
	char path[PATH_MAX];
	int fd;
};

/* Opens and locks it; it is made if it is not there. What a killed one left in it is removed. */
int root_lock(struct record_root *root, struct err *err);
void root_unlock(struct record_root *root);

/* Whether a monitor holds the record; false if there is none. */
bool root_lives(const struct record_root *root, const char *id);

/* The same, and it will go on doing so: one that is dying, or has written its end, is waited for.
 */
bool root_is_held(const struct record_root *root, const char *id);

/* Renames a record to what is being removed, and removes it. 0 or -errno. */
int root_remove(const struct record_root *root, const char *id);

/* As record_prune(), in a directory that is locked. bytes UINT64_MAX: sizes are not looked at. */
int root_prune(const struct record_root *root, const struct record_bounds *bounds);

/* The bytes of all files of a record. */
uint64_t root_size(int root_fd, const char *id);

/* Calls each() with every record's name until it returns false. */
void root_each(int root_fd, bool (*each)(void *arg, const char *id), void *arg);

#endif
