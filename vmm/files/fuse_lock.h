/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the FUSE server's locks: the table of a node (fuse_lock.c), and the host's locks. */
#ifndef CORDON_FILES_FUSE_LOCK_H
#define CORDON_FILES_FUSE_LOCK_H

#include "vmm/files/fuse_internal.h"

struct fuse_lock {
	struct fuse_lock *next;
	struct fuse_handle *handle; /* that it was taken through */
	uint64_t owner;
	int64_t start, end; /* the last byte */
	int type;	    /* F_RDLCK or F_WRLCK */
	uint32_t pid;
	bool flock;
};

struct fuse_locks {
	struct fuse_lock *first;
	int host;	/* -1: the host has no range */
	int host_flags; /* of its open */
};

/* Takes a lock of a handle on the host, unless the share is read-only: 0, -EAGAIN or -errno. */
int fuse_lock_host(struct fuse_root *root, struct fuse_locks *locks,
		   const struct fuse_lock *wanted);

/* Unlocks on the host what no owner has locked of a range. */
void fuse_unlock_host(const struct fuse_locks *locks, int64_t start, int64_t end);

/* fcntl(2) with a range, which is set to what it returns: 0 or -errno. */
int fuse_lock_range(int fd, int command, int type, int64_t start, int64_t end, struct flock *lock);

#endif
