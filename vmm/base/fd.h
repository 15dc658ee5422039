/* SPDX-License-Identifier: Apache-2.0 */
/* File descriptors: close once, complete reads and writes, flags, eventfds. */
#ifndef CORDON_BASE_FD_H
#define CORDON_BASE_FD_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

/* Closes *fd unless it is negative, and sets it to -1. Preserves errno. */
void fd_close(int *fd);

/* Sets O_NONBLOCK. 0 or -errno. */
int fd_set_nonblock(int fd);

/* Reads length bytes, fewer only at end of file. Returns the bytes read, or -errno. */
ssize_t fd_read_full(int fd, void *to, size_t length);

/* As fd_read_full, from a file offset. */
ssize_t fd_pread_full(int fd, void *to, size_t length, off_t offset);

/* Writes all length bytes. 0 or -errno. */
int fd_write_full(int fd, const void *from, size_t length);

/*
 * The path of what is open, as the kernel knows it; " (deleted)" may stand behind one that is gone.
 * 0 or -errno, and then the path is empty.
 */
int fd_real_path(int fd, char path[PATH_MAX]);

/*
 * Wakes the reader of an eventfd (EFD_NONBLOCK). Where its counter is full the reader has been
 * woken already.
 */
void fd_notify(int event_fd);

/*
 * Raises the soft limit of open descriptors to FD_WANTED, or to the hard limit if that is lower, so
 * that each use can have its maximum (budget.h). The usual 1024 are soon used up.
 */
#define FD_WANTED 10240
void fd_raise_limit(void);

#endif
