/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads an ELF vmlinux (System V ABI, x86-64): ET_EXEC, PT_LOAD segments at their physical
 * addresses. Checks all program headers before it writes a byte of guest memory.
 */
#ifndef CORDON_BOOT_ELF_H
#define CORDON_BOOT_ELF_H

#include <stdbool.h>
#include <stdint.h>

#include "boot/image.h"
#include "vmm/base/err.h"
#include "vmm/kvm/memory.h"

#define ELF_SEGMENTS_MAX 32

struct elf_segment {
	uint64_t offset, file_size;    /* in the file */
	uint64_t address, memory_size; /* guest-physical; memory_size is never 0 */
};

/* The checked headers of a kernel. */
struct elf_kernel {
	struct elf_segment segment[ELF_SEGMENTS_MAX]; /* sorted by address */
	unsigned count;
	uint64_t entry;	     /* guest-physical, inside a segment's file bytes */
	uint64_t start, end; /* the range from the first to the last segment */
};

/* Whether a file that starts with these bytes is an ELF file, of any kind. */
bool elf_is_elf(const void *bytes, uint64_t length);

/*
 * Reads and checks the headers. Refuses files that are not 64-bit, little endian, x86-64 and
 * ET_EXEC; truncated headers or segments; a segment's file size over its memory size; segments that
 * wrap, overlap, start below LAYOUT_HIGH_START or lie outside memory; no PT_LOAD; an entry outside
 * all segments. 0; -ENOEXEC (not such a kernel) or -ENOMEM (memory too small) with a message.
 */
int elf_parse(struct elf_kernel *kernel, const struct boot_image *image,
	      const struct guest_memory *memory, struct err *err);

/*
 * Places the segments in memory, which must be all zero. *mapped and *copied count the bytes of
 * each kind, see boot_image_place(). 0 or -errno with a message.
 */
int elf_load(const struct elf_kernel *kernel, const struct boot_image *image,
	     struct guest_memory *memory, uint64_t *mapped, uint64_t *copied, struct err *err);

#endif
