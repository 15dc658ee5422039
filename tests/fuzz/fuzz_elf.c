/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ELF loader. The input patches a valid vmlinux: each 11 bytes are an offset (two bytes), a
 * width and a value, so that most of the file stays valid. A file that the parser accepts must also
 * load, and loading may touch nothing outside guest memory (the sanitizer checks).
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "boot/elf.h"
#include "tests/support/forged_kernel.h"

/*
 * Most values that break something lie near a boundary: small numbers are offsets from such values.
 */
static uint64_t choose_value(const uint8_t *from)
{
	static const uint64_t near[] = {0,
					UINT64_MAX,
					FORGED_MEMORY,
					FORGED_TEXT,
					FORGED_DATA,
					sizeof(struct forged_elf),
					UINT64_C(1) << 63,
					0x100000};
	uint64_t value = load_le64(from);

	if (value >> 56 != 0)
		return value;
	return near[value >> 48 & 7] + (uint64_t)(int64_t)(int16_t)value;
}

static void patch(struct forged_elf *elf, const uint8_t *bytes, size_t length)
{
	/* Patches headers only: the loader does not look at the contents of segments. */
	uint8_t *file = (uint8_t *)elf;
	const size_t headers = offsetof(struct forged_elf, gap);
	uint64_t value;
	size_t at, width;

	for (; length >= 11; bytes += 11, length -= 11) {
		at = load_le16(bytes) % headers;
		width = bytes[2] % 8 + 1;
		value = choose_value(bytes + 3);
		memcpy(file + at, &value, width < headers - at ? width : headers - at);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static struct guest_memory memory;
	static uint8_t *ram;
	struct boot_image image;
	struct elf_kernel kernel;
	struct forged_elf *elf, *cut;
	uint64_t size = sizeof(*elf), mapped, copied;
	struct err err;

	if (!ram) {
		ram = aligned_alloc(4096, FORGED_MEMORY);
		FUZZ_REQUIRE(ram && guest_memory_add(&memory, 0, ram, FORGED_MEMORY) == 0);
		memory.fd = -1;
	}
	/* Of the exact size, so that the sanitizer detects an access beyond it. */
	elf = malloc(sizeof(*elf));
	FUZZ_REQUIRE(elf);
	forged_elf_init(elf);
	if (length >= 2 && bytes[0] == 0xff) {
		size = load_le16(bytes) % sizeof(*elf) + 1; /* cut the file */
		bytes += 2;
		length -= 2;
	}
	patch(elf, bytes, length);
	cut = realloc(elf, size);
	FUZZ_REQUIRE(cut);
	boot_image_from_memory(&image, "fuzz", cut, size);
	if (elf_parse(&kernel, &image, &memory, &err) == 0)
		FUZZ_REQUIRE(elf_load(&kernel, &image, &memory, &mapped, &copied, &err) == 0);
	free(cut);
	return 0;
}
