/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/forged_kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "boot/layout.h"
#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

/* Fuzz targets use this too, so the check library is not available. */
static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "forged kernel: %s\n", what);
	abort();
}

void forged_elf_init(struct forged_elf *elf)
{
	memset(elf, 0, sizeof(*elf));
	memset(elf->text, 0x90, sizeof(elf->text));
	memset(elf->data, 0xda, sizeof(elf->data));
	elf->header = (Elf64_Ehdr){.e_type = ET_EXEC,
				   .e_machine = EM_X86_64,
				   .e_version = EV_CURRENT,
				   .e_entry = FORGED_ENTRY,
				   .e_phoff = offsetof(struct forged_elf, segment),
				   .e_ehsize = sizeof(Elf64_Ehdr),
				   .e_phentsize = sizeof(Elf64_Phdr),
				   .e_phnum = 3};
	memcpy(elf->header.e_ident, ELFMAG, SELFMAG);
	elf->header.e_ident[EI_CLASS] = ELFCLASS64;
	elf->header.e_ident[EI_DATA] = ELFDATA2LSB;
	elf->header.e_ident[EI_VERSION] = EV_CURRENT;
	/* Data comes first in the table, to show that its order need not be that of addresses. */
	elf->segment[0] = (Elf64_Phdr){.p_type = PT_LOAD,
				       .p_flags = PF_R | PF_W,
				       .p_offset = offsetof(struct forged_elf, data),
				       .p_vaddr = 0xffffffff80000000 + FORGED_DATA,
				       .p_paddr = FORGED_DATA,
				       .p_filesz = sizeof(elf->data),
				       .p_memsz = FORGED_DATA_MEMORY};
	elf->segment[1] = (Elf64_Phdr){.p_type = PT_LOAD,
				       .p_flags = PF_R | PF_X,
				       .p_offset = offsetof(struct forged_elf, text),
				       .p_vaddr = 0xffffffff80000000 + FORGED_TEXT,
				       .p_paddr = FORGED_TEXT,
				       .p_filesz = sizeof(elf->text),
				       .p_memsz = sizeof(elf->text)};
	/* A loader ignores a note's addresses, however odd. */
	elf->segment[2] =
		(Elf64_Phdr){.p_type = PT_NOTE, .p_paddr = UINT64_MAX, .p_filesz = 2, .p_memsz = 1};
}

void forged_setup_init(uint8_t setup[FORGED_SETUP], uint32_t payload_length)
{
	memset(setup, 0, FORGED_SETUP);
	setup[0x1f1] = FORGED_SETUP / 512 - 1;
	store_le16(setup + 0x1fe, 0xaa55);
	memcpy(setup + 0x202, "HdrS", 4);
	store_le16(setup + 0x206, 0x020f);
	store_le16(setup + 0x236, 0x0001); /* 64-bit entry */
	store_le32(setup + 0x248, 0x40);   /* payload, from the end of the setup code */
	store_le32(setup + 0x24c, payload_length);
}

uint8_t *forged_gzip(const void *bytes, size_t length, size_t *packed)
{
	uint8_t *to = malloc(length + FORGED_PACKING);
	z_stream stream = {.next_in = (Bytef *)(uintptr_t)bytes,
			   .avail_in = (uInt)length,
			   .next_out = to,
			   .avail_out = (uInt)(length + FORGED_PACKING)};

	need(to && deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK,
	     "deflateInit2");
	need(deflate(&stream, Z_FINISH) == Z_STREAM_END, "deflate");
	*packed = stream.total_out;
	deflateEnd(&stream);
	return to;
}

uint8_t *forged_bzimage(const void *payload, size_t length, size_t *size)
{
	uint8_t *image;

	*size = FORGED_SETUP + 0x40 + length;
	image = calloc(1, *size);
	need(image != NULL, "memory");
	forged_setup_init(image, (uint32_t)length);
	memcpy(image + FORGED_SETUP + 0x40, payload, length);
	return image;
}

char *forged_file(const void *bytes, size_t length, unsigned mode)
{
	char *path = strdup("/tmp/cordon-test-XXXXXX");
	int fd = path ? mkstemp(path) : -1;

	need(fd >= 0, "mkstemp");
	need(fd_write_full(fd, bytes, length) == 0 && fchmod(fd, mode) == 0, "temporary file");
	fd_close(&fd);
	return path;
}

void forged_memory(struct guest_memory *memory, uint64_t size)
{
	struct err err = {""};

	need(guest_memory_create(memory, size, LAYOUT_HOLE_START, LAYOUT_HOLE_END, &err) == 0,
	     err.text);
	memory->huge = false; /* on every host, since with huge pages everything is copied */
}
