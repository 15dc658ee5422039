/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of the host behind a disk: the read and write steps that a scratch disk (disk.c) and a
 * layer over an image (overlay.c) share. The caller checks ranges.
 */
#ifndef CORDON_BLK_HOST_FILE_H
#define CORDON_BLK_HOST_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"

#define HOST_FILE_ZEROS (64u << 10) /* the most bytes of one step of writing zeros */
extern const uint8_t host_file_zeros[HOST_FILE_ZEROS];

/*
 * Creates an unnamed file of bytes in the directory for large temporary files (TMPDIR, or
 * /var/tmp). what names it in messages ("a disk"). A descriptor, or -errno with a message.
 */
int host_file_create(uint64_t bytes, const char *what, struct err *err);

/*
 * Read as many bytes as there are, or write as many as there is room for, however many calls that
 * takes: at least 1; or -errno (-EIO: none were moved).
 */
int64_t host_file_read(int fd, uint64_t offset, void *to, uint64_t length);
int64_t host_file_write(int fd, uint64_t offset, const void *from, uint64_t length);

/* Deallocates a whole range. 0 or -errno (-EOPNOTSUPP: the file system has no holes). */
int host_file_deallocate(int fd, uint64_t offset, uint64_t length);

/* One step of deallocating a range; skips existing holes. Bytes done, or -errno as above. */
int64_t host_file_punch(int fd, uint64_t offset, uint64_t length);

/*
 * Finds the next range at or after *offset that has data, in whole blocks of DISK_BLOCK: true, and
 * sets *offset and *length. False: there is none up to bytes.
 */
bool host_file_next_data(int fd, uint64_t bytes, uint64_t *offset, uint64_t *length);

#endif
