/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is behind a block device: bytes that can be read, and perhaps written.
 *
 * An image is a plain file or a block device of the host, raw: its format is never looked at, and
 * it is opened for reading only. What a guest writes goes to a private layer: a nameless temporary
 * file, over an image (copy-on-write, blocks of DISK_BLOCK bytes) or over nothing (a scratch disk,
 * zeros at first). It takes room on the host only where it was written, and is gone with the
 * process.
 *
 * Calls come from the threads of the pool, several at once. Ranges have been checked against the
 * disk's size by the caller. Each call does a step, bounded in bytes and in system calls, of what
 * it is asked for, so that the caller can look in between whether it shall go on.
 */
#ifndef CORDON_BLK_DISK_H
#define CORDON_BLK_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/blk/sizes.h"
#include "vmm/base/err.h"

struct disk;

/*
 * Opens an image. Refused: what is neither a plain file nor a block device, is empty, has a size
 * that is not a multiple of 512 bytes, or is locked (flock) by a program that writes it; the disk
 * holds a shared lock on it. 0 or -errno with a message.
 */
int disk_open_image(struct disk **out, const char *path, struct err *err);

/* A scratch disk of so many bytes (rounded down to DISK_BLOCK), not 0. */
int disk_create_scratch(struct disk **out, uint64_t bytes, struct err *err);

/* A private layer over an image, which it owns from now on, also on failure: at most so many bytes.
 */
int disk_create_overlay(struct disk **out, struct disk *image, uint64_t bytes_max, struct err *err);

/* One more owner; and one less: the last one closes it. NULL is harmless. */
struct disk *disk_hold(struct disk *disk);
void disk_destroy(struct disk *disk);

uint64_t disk_bytes(const struct disk *disk);
bool disk_is_read_only(const struct disk *disk);

/*
 * Bytes moved, which may be fewer than asked for but at least 1 (length is not 0); or -errno: -EIO
 * where the image ends before its size, -EROFS, -ENOSPC (the private layer's limit, or the host's
 * disk is full).
 */
int64_t disk_read(struct disk *disk, uint64_t offset, void *to, uint64_t length);
int64_t disk_write(struct disk *disk, uint64_t offset, const void *from, uint64_t length);

/* The range is not needed any more; what it reads as then is the disk's choice. Bytes done, or
 * -errno. What is a hole already is passed over whole. */
int64_t disk_discard(struct disk *disk, uint64_t offset, uint64_t length);

/* The range reads as zeros. Bytes done, or -errno. Holes are passed over here, too. */
int64_t disk_zero(struct disk *disk, uint64_t offset, uint64_t length);

/* fdatasync(2) of what was written: one call, but for all of it. 0 or -errno. */
int disk_flush(struct disk *disk);

/* --- for snapshots; no other call may be under way --- */

/*
 * The next written range of the private layer at or after *offset: true, and *offset and *length
 * say where. False if there is none, or no private layer.
 */
bool disk_next_written(struct disk *disk, uint64_t *offset, uint64_t *length);

/* The image's path as it was opened, or "". */
const char *disk_path(const struct disk *disk);

/* The limit of a private layer over an image; 0: there is no such layer. */
uint64_t disk_layer_limit(const struct disk *disk);

/* What tells an image from another: 0s if there is none. */
struct disk_identity {
	uint64_t bytes, modified_s, modified_ns;
};
struct disk_identity disk_identity(const struct disk *disk);

/* A path that opens the private layer's file as long as the disk lives (/proc/self/fd/N). */
void disk_private_path(const struct disk *disk, char path[32]);

#endif
