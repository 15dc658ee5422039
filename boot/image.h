/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that is loaded at boot: opened once, of bounded size, read at offsets. Its bytes are in a
 * file or, for an unpacked kernel, in memory. The file is hostile: it may be truncated, or change
 * while it is read.
 */
#ifndef CORDON_BOOT_IMAGE_H
#define CORDON_BOOT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/kvm/memory.h"

struct boot_image {
	const char *name; /* the path, for messages; belongs to the caller */
	uint64_t size;	  /* bytes */
	int fd;		  /* -1: the bytes are at data */
	bool immutable;	  /* a file without write permission: safe to map instead of copy */
	const uint8_t *data;
	void *mapping; /* what boot_image_close() unmaps, or NULL */
	size_t mapping_size;
};

/*
 * Opens a regular file of 1 to BOOT_FILE_SIZE_MAX bytes. what names its purpose in messages
 * ("kernel"). 0, or -errno with a message.
 */
int boot_image_open(struct boot_image *image, const char *path, const char *what, struct err *err);

/* Makes an image of bytes that the caller keeps. */
void boot_image_from_memory(struct boot_image *image, const char *name, const void *data,
			    uint64_t size);

/* Reads all of [offset, offset + length). 0, -ENOEXEC (past the end) or -errno, with a message. */
int boot_image_read(const struct boot_image *image, uint64_t offset, void *to, uint64_t length,
		    struct err *err);

/*
 * Places [offset, offset + length) of the image at guest-physical gpa. Maps whole pages from the
 * file, private, so that machines share them until a write, if that is safe (immutable) and
 * possible (memory is our own mapping without huge pages, offset and gpa congruent); copies all
 * else. Adds to *mapped and *copied, in bytes. 0 or -errno with a message.
 */
int boot_image_place(const struct boot_image *image, uint64_t offset, struct guest_memory *memory,
		     uint64_t gpa, uint64_t length, uint64_t *mapped, uint64_t *copied,
		     struct err *err);

/* Closes and unmaps. No effect on an image that was never opened, with fd -1 and mapping NULL. */
void boot_image_close(struct boot_image *image);

#endif
