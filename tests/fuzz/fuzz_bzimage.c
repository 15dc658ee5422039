/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzImage unpacking, and the loader after it. The first byte chooses: the rest is the packed
 * payload (a valid gzip stream is in the corpus), or it patches the setup header or the payload of
 * a valid file; the file may also be cut.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "boot/bzimage.h"
#include "boot/elf.h"
#include "tests/support/forged_kernel.h"

#define LIMIT	     MIB(1)
#define HEADER_START 0x1f0
#define HEADER_BYTES 0x60

static uint8_t *valid_payload(size_t *size)
{
	static uint8_t *packed;
	static size_t packed_size;
	struct forged_elf elf;

	if (!packed) {
		forged_elf_init(&elf);
		packed = forged_gzip(&elf, sizeof(elf), &packed_size);
	}
	*size = packed_size;
	return packed;
}

/* Flips bits: each patch is two bytes of offset and one of value. */
static void patch(uint8_t *to, size_t size, const uint8_t *bytes, size_t length)
{
	for (; length >= 3 && size > 0; bytes += 3, length -= 3)
		to[load_le16(bytes) % size] ^= bytes[2];
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static struct guest_memory memory;
	static uint8_t *ram;
	struct boot_image image, vmlinux;
	struct elf_kernel kernel;
	struct err err;
	size_t payload_size, size;
	uint8_t *file, *payload, mode;

	if (!ram) {
		ram = aligned_alloc(4096, FORGED_MEMORY);
		FUZZ_REQUIRE(ram && guest_memory_add(&memory, 0, ram, FORGED_MEMORY) == 0);
		memory.fd = -1;
	}
	if (length == 0)
		return 0;
	mode = *bytes++;
	length--;
	if (mode & 1) {
		file = forged_bzimage(bytes, length, &size);
	} else {
		payload = valid_payload(&payload_size);
		file = forged_bzimage(payload, payload_size, &size);
		if (mode & 2)
			patch(file + HEADER_START, HEADER_BYTES, bytes, length);
		else
			patch(file + FORGED_SETUP + 0x40, payload_size, bytes, length);
	}
	if (mode & 4 && size > 1)
		size -= load_le16(file + size / 2) % size; /* cut the file */
	boot_image_from_memory(&image, "fuzz", file, size);
	if (bzimage_unpack(&vmlinux, &image, LIMIT, &err) == 0) {
		FUZZ_REQUIRE(vmlinux.size <= LIMIT);
		(void)elf_parse(&kernel, &vmlinux, &memory, &err);
	}
	boot_image_close(&vmlinux);
	free(file);
	return 0;
}
