/* SPDX-License-Identifier: Apache-2.0 */
/* File descriptors: closing once, whole reads and writes, flags. */
#ifndef CORDON_BASE_FD_H
#define CORDON_BASE_FD_H

#include <stddef.h>
#include <sys/types.h>

/* Closes *fd unless it is negative, and sets it to -1. errno is kept. */
void fd_close(int *fd);

/* 0 or -errno. */
int fd_set_nonblock(int fd);

/* Reads until length bytes are there or the file ends. Returns the bytes read, or -errno. */
ssize_t fd_read_full(int fd, void *to, size_t length);

/* As fd_read_full, at a file offset. */
ssize_t fd_pread_full(int fd, void *to, size_t length, off_t offset);

/* Writes all of it: 0 or -errno. */
int fd_write_full(int fd, const void *from, size_t length);

/*
 * Raises the soft limit of descriptors to FD_WANTED, as far as the hard one lets: so that each use
 * of them can have all that it wants (budget.h); the usual 1024 are soon used up.
 */
#define FD_WANTED 10240
void fd_raise_limit(void);

#endif
