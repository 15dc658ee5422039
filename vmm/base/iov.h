/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays of iovecs, for system calls that move bytes of several segments. */
#ifndef CORDON_BASE_IOV_H
#define CORDON_BASE_IOV_H

#include <stdint.h>
#include <sys/uio.h>

/*
 * The iovecs for up to length bytes from byte offset on. to has room for count of them, and may be
 * from. Returns how many there are.
 */
unsigned iov_range(const struct iovec *from, unsigned count, uint64_t offset, uint64_t length,
		   struct iovec *to);

#endif
