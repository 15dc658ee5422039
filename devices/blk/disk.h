/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The storage behind a block device: a range of bytes that can be read, and perhaps written.
 *
 * An image is a raw regular file or block device of the host: its format is never interpreted, and
 * it is opened read-only. A guest's writes go to a private layer, an unnamed temporary file, over
 * an image (copy-on-write, blocks of DISK_BLOCK bytes) or alone (a scratch disk, zeros at first).
 * It takes space on the host only where it was written, and vanishes with the process.
 *
 * The pool's threads call these functions, several at once. The caller has checked ranges against
 * the disk's size. Each call performs one step of the operation, bounded in bytes and in system
 * calls, so that the caller can check for cancellation in between.
 */
#ifndef CORDON_BLK_DISK_H
#define CORDON_BLK_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "devices/blk/sizes.h"
#include "vmm/base/err.h"

struct disk;

/*
 * Opens an image and takes a shared lock on it. Refuses a file that is neither regular nor a block
 * device, is empty, has a size that is not a multiple of 512 bytes, or is locked (flock) by a
 * program that writes to it. 0 or -errno with a message.
 */
int disk_open_image(struct disk **out, const char *path, struct err *err);

/* Identifies an image; zeros if there is none. */
struct disk_identity {
	uint64_t bytes, modified_s, modified_ns;
};

/*
 * The same for a file that is open for reading; the disk has a descriptor of its own. name is for
 * messages and stands for the path. contents: two numbers that identify what is in the file, in
 * place of its modification time, if its maker knows such (or NULL): then a copy of the file is the
 * same image.
 */
int disk_open_file(struct disk **out, int fd, const char *name, const uint64_t contents[2],
		   struct err *err);

/* Creates a scratch disk of bytes, not 0, rounded down to DISK_BLOCK. 0 or -errno with a message.
 */
int disk_create_scratch(struct disk **out, uint64_t bytes, struct err *err);

/* Creates a private layer of at most bytes_max over an image, which it then owns, also on failure.
 * 0 or -errno with a message. */
int disk_create_overlay(struct disk **out, struct disk *image, uint64_t bytes_max, struct err *err);

/* Add and remove an owner; the last one closes the disk. NULL is allowed. */
struct disk *disk_hold(struct disk *disk);
void disk_destroy(struct disk *disk);

uint64_t disk_bytes(const struct disk *disk);
bool disk_is_read_only(const struct disk *disk);

/*
 * Return the bytes moved, at least 1 and at most length, which is not 0; or -errno: -EIO if the
 * image has become shorter, -EROFS, -ENOSPC (the private layer's limit, or the host's disk is
 * full).
 */
int64_t disk_read(struct disk *disk, uint64_t offset, void *to, uint64_t length);
int64_t disk_write(struct disk *disk, uint64_t offset, const void *from, uint64_t length);

/*
 * For the event thread: reads what the host has in its page cache, and does not wait for its disk.
 * The iovecs, which the call may shorten, have length bytes. As disk_read(), and -EAGAIN: use
 * disk_read() on another thread. Always so for block devices, and where the host's file system
 * cannot tell.
 */
int64_t disk_read_cached(struct disk *disk, uint64_t offset, struct iovec *iov, unsigned count,
			 uint64_t length);

/* Discards a range: its contents are then undefined. Skips existing holes. Returns the bytes done,
 * or -errno. */
int64_t disk_discard(struct disk *disk, uint64_t offset, uint64_t length);

/* Makes a range read as zeros; also skips holes. Returns the bytes done, or -errno. */
int64_t disk_zero(struct disk *disk, uint64_t offset, uint64_t length);

/* fdatasync(2): all that was written becomes stable. 0 or -errno. */
int disk_flush(struct disk *disk);

/* --- for snapshots; no other call may run meanwhile --- */

/*
 * Finds the next written range of the private layer at or after *offset: true, and sets *offset and
 * *length. False if there is none, or no private layer.
 */
bool disk_next_written(struct disk *disk, uint64_t *offset, uint64_t *length);

/* The image's path as it was opened, or "". */
const char *disk_path(const struct disk *disk);

/* The limit of a private layer over an image; 0: no such layer. */
uint64_t disk_layer_limit(const struct disk *disk);

struct disk_identity disk_identity(const struct disk *disk);

/* A path to the private layer's file, valid while the disk exists (/proc/self/fd/N). */
void disk_private_path(const struct disk *disk, char path[32]);

#endif
