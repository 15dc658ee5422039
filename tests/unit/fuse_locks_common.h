/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the FUSE server's locks share: one file, open for reading and writing. */
#ifndef CORDON_TEST_FUSE_LOCKS_COMMON_H
#define CORDON_TEST_FUSE_LOCKS_COMMON_H

#include "tests/unit/fuse_common.h"

#define ALL INT64_MAX

extern uint64_t node, fh;

/* Makes and opens the file. Returns another descriptor of it, that of a program of the host. */
int begin_locks(void);
int set(uint64_t owner, int type, uint64_t start, uint64_t end);
int set_flock(uint64_t handle, int type);
/* What the host's program at fd finds in the way of a lock. */
short host_sees(int fd, short type, off_t start, off_t length);
/* The host's program locks the whole file: as fcntl(2). */
int host_locks(int fd, short type);

#endif
