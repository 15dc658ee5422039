/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forged kernels: a small, valid ELF vmlinux and a bzImage around it, in which tests break one
 * thing; and guest memory to load them into.
 */
#ifndef CORDON_TEST_FORGED_KERNEL_H
#define CORDON_TEST_FORGED_KERNEL_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/kvm/memory.h"

#define FORGED_MEMORY  (UINT64_C(8) << 20) /* of the guest: the kernel just fits */
#define FORGED_TEXT    UINT64_C(0x200000)  /* guest-physical */
#define FORGED_DATA    UINT64_C(0x300000)
#define FORGED_ENTRY   (FORGED_TEXT + 0x10)
#define FORGED_PACKING 512 /* how many bytes larger than its contents a forged bzImage may be */

/* A page-aligned text and a data segment whose memory is larger than its file bytes, and a note. */
struct forged_elf {
	Elf64_Ehdr header;
	Elf64_Phdr segment[3];
	uint8_t gap[0x1000 - sizeof(Elf64_Ehdr) - 3 * sizeof(Elf64_Phdr)];
	uint8_t text[0x2000]; /* at offset 0x1000, all 0x90 */
	uint8_t data[0x800];  /* all 0xda */
};
#define FORGED_DATA_MEMORY 0x1800

void forged_elf_init(struct forged_elf *elf);

/* The boot sector and setup code of a bzImage: two sectors after the first. */
#define FORGED_SETUP 0x600
void forged_setup_init(uint8_t setup[FORGED_SETUP], uint32_t payload_length);

/* Compresses bytes with gzip; the caller frees the result. */
uint8_t *forged_gzip(const void *bytes, size_t length, size_t *packed);

/* Makes a bzImage with the payload; the caller frees it. */
uint8_t *forged_bzimage(const void *payload, size_t length, size_t *size);

/* Writes a file with the mode and returns its path; the caller unlinks and frees it. */
char *forged_file(const void *bytes, size_t length, unsigned mode);

/* Creates zeroed guest memory of the size; fails the test on error. */
void forged_memory(struct guest_memory *memory, uint64_t size);

#endif
