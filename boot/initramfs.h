/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The initramfs: placing one in guest memory, and writing one (cpio "newc", Linux
 * Documentation/driver-api/early-userspace/buffer-format.rst).
 */
#ifndef CORDON_BOOT_INITRAMFS_H
#define CORDON_BOOT_INITRAMFS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "vmm/base/err.h"
#include "vmm/kvm/memory.h"

/*
 * Puts the file at path as high as it goes in the memory below the hole, page aligned, above
 * kernel_end. *start and *size say where. 0; -ENOMEM (larger than the memory that is left) or
 * -errno, with a message.
 */
int initramfs_load(const char *path, struct guest_memory *memory, uint64_t kernel_end,
		   uint64_t *start, uint64_t *size, struct err *err);

/*
 * The writer. Everything belongs to root and dates from 1970, so that equal input gives equal
 * bytes; the kernel takes entries in their order, parents first. Paths have no leading slash. All
 * return 0 or -errno with a message.
 */
struct cpio {
	FILE *to;
	uint32_t next_inode;
	uint64_t written; /* bytes */
};

void cpio_begin(struct cpio *cpio, FILE *to);
int cpio_directory(struct cpio *cpio, const char *path, unsigned mode, struct err *err);
int cpio_symlink(struct cpio *cpio, const char *path, const char *target, struct err *err);
int cpio_file(struct cpio *cpio, const char *path, unsigned mode, const void *bytes, size_t length,
	      struct err *err);
/*
 * The same for a file that our kernel need not copy (CONFIG_INITRAMFS_IN_PLACE, docs/boot.md): its
 * contents begin on a page and are filled up with zeros to whole ones, which no ELF program minds.
 */
int cpio_program(struct cpio *cpio, const char *path, unsigned mode, const void *bytes,
		 size_t length, struct err *err);
int cpio_device(struct cpio *cpio, const char *path, unsigned mode, unsigned major, unsigned minor,
		struct err *err);
/* The trailer; flushes. */
int cpio_end(struct cpio *cpio, struct err *err);

#endif
