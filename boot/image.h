/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that is loaded at boot: opened once, its size bounded, read at offsets. The bytes are
 * either a file's or, for an unpacked kernel, in memory. The file is hostile: it may be cut, or
 * change while it is read.
 */
#ifndef CORDON_BOOT_IMAGE_H
#define CORDON_BOOT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/kvm/memory.h"

struct boot_image {
	const char *name; /* for messages: the path; the caller's */
	uint64_t size;	  /* bytes */
	int fd;		  /* -1: the bytes are at data */
	bool immutable;	  /* a file that nobody may write: it can be mapped instead of copied */
	const uint8_t *data;
	void *mapping; /* what boot_image_close() unmaps, or NULL */
	size_t mapping_size;
};

/*
 * Opens a regular file of 1 to BOOT_FILE_SIZE_MAX bytes; what says what it should be ("kernel").
 * 0, or -errno with a message.
 */
int boot_image_open(struct boot_image *image, const char *path, const char *what, struct err *err);

/* An image over bytes that the caller keeps. */
void boot_image_from_memory(struct boot_image *image, const char *name, const void *data,
			    uint64_t size);

/* Reads [offset, offset + length) whole. 0, -ENOEXEC (beyond the end) or -errno, with a message. */
int boot_image_read(const struct boot_image *image, uint64_t offset, void *to, uint64_t length,
		    struct err *err);

/*
 * Puts [offset, offset + length) of the image at guest-physical gpa. Whole pages are mapped from
 * the file, private, and shared with other machines until written, if that is safe (immutable) and
 * possible (memory is our own mapping, offset and gpa congruent); all else is copied. Adds to
 * *mapped and *copied, in bytes. 0 or -errno with a message.
 */
int boot_image_place(const struct boot_image *image, uint64_t offset, struct guest_memory *memory,
		     uint64_t gpa, uint64_t length, uint64_t *mapped, uint64_t *copied,
		     struct err *err);

/* Closes and unmaps. Works on an image that was never opened if its fd is -1 and mapping NULL. */
void boot_image_close(struct boot_image *image);

#endif
