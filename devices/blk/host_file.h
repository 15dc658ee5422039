/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of the host below a disk: the steps of reading and writing that a scratch disk (disk.c) and
 * a layer over an image (overlay.c) share. Ranges are the caller's to check.
 */
#ifndef CORDON_BLK_HOST_FILE_H
#define CORDON_BLK_HOST_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"

#define HOST_FILE_ZEROS (64u << 10) /* bytes that one step of writing zeros covers at most */
extern const uint8_t host_file_zeros[HOST_FILE_ZEROS];

/*
 * A nameless file of so many bytes in a directory for large temporary files (TMPDIR, or /var/tmp).
 * what: "a disk", for messages. A descriptor, or -errno with a message.
 */
int host_file_create(uint64_t bytes, const char *what, struct err *err);

/* One pread(2) or pwrite(2): bytes moved, at least 1; or -errno (-EIO: none were moved). */
int64_t host_file_read(int fd, uint64_t offset, void *to, uint64_t length);
int64_t host_file_write(int fd, uint64_t offset, const void *from, uint64_t length);

/* Deallocates a range, all of it: 0, or -errno (-EOPNOTSUPP: the file system has no holes). */
int host_file_deallocate(int fd, uint64_t offset, uint64_t length);

/* A step of deallocating a range; holes are passed over whole. Bytes done, or -errno as above. */
int64_t host_file_punch(int fd, uint64_t offset, uint64_t length);

/*
 * The next range at or after *offset that has data, in whole blocks of DISK_BLOCK: true, and
 * *offset and *length say where. False: none is left of the file's bytes.
 */
bool host_file_next_data(int fd, uint64_t bytes, uint64_t *offset, uint64_t *length);

#endif
