/* SPDX-License-Identifier: Apache-2.0 */
/* Reads of a file of the host that do not wait for its disk. */
#ifndef CORDON_BLK_PAGE_CACHE_H
#define CORDON_BLK_PAGE_CACHE_H

#include <stdint.h>
#include <sys/uio.h>

/*
 * One preadv2(2) of what the page cache has, in the iovecs. Bytes read, at least 1; -EAGAIN: it
 * does not have the first one, or the file is shorter; -EOPNOTSUPP or -ENOSYS: this host cannot
 * tell; or another -errno.
 */
int64_t page_cache_read(int fd, uint64_t offset, const struct iovec *iov, unsigned count);

#endif
