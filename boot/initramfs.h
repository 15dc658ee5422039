/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places an initramfs in guest memory, and writes one (cpio "newc", Linux
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
 * Places the file at path, page aligned, at the highest address that fits between kernel_end and
 * the device hole. *start and *size tell where. 0; -ENOMEM (larger than the memory that is left)
 * or -errno, with a message.
 */
int initramfs_load(const char *path, struct guest_memory *memory, uint64_t kernel_end,
		   uint64_t *start, uint64_t *size, struct err *err);

/*
 * The writer. All entries belong to guest root and have time 0 (1970), so that equal input gives
 * equal bytes. The kernel unpacks entries in order: write parents first. Paths have no leading
 * slash. All functions return 0 or -errno with a message.
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
 * As cpio_file(), for a file that our kernel uses in place instead of copying it
 * (CONFIG_INITRAMFS_IN_PLACE, docs/boot.md): its contents start on a page boundary and are padded
 * with zeros to whole pages, which does no harm to an ELF program.
 */
int cpio_program(struct cpio *cpio, const char *path, unsigned mode, const void *bytes,
		 size_t length, struct err *err);
int cpio_device(struct cpio *cpio, const char *path, unsigned mode, unsigned major, unsigned minor,
		struct err *err);
/* Writes the trailer and flushes. */
int cpio_end(struct cpio *cpio, struct err *err);

#endif
