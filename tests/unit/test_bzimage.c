/* SPDX-License-Identifier: Apache-2.0 */
/* bzImage: the payload comes out byte for byte; each broken image is refused and says what to do.
 */
#include "boot/bzimage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "boot/elf.h"
#include "tests/support/forged_kernel.h"
#include "tests/support/unit.h"

#define PAYLOAD (FORGED_SETUP + 0x40)
#define LIMIT	MIB(4)

static struct forged_elf elf;
static uint8_t *file;
static size_t file_size, packed_size;
static struct boot_image vmlinux;
static struct err err;

static void begin(void)
{
	uint8_t *packed;

	forged_elf_init(&elf);
	packed = forged_gzip(&elf, sizeof(elf), &packed_size);
	file = forged_bzimage(packed, packed_size, &file_size);
	free(packed);
	err.text[0] = '\0';
}

static int unpack(uint64_t size, uint64_t limit)
{
	struct boot_image image;

	boot_image_close(&vmlinux);
	boot_image_from_memory(&image, "forged", file, size);
	return bzimage_unpack(&vmlinux, &image, limit, &err);
}

static void refused(int code, const char *word)
{
	int ret = unpack(file_size, LIMIT);

	ck_assert_msg(ret == -code, "returned %d: %s", ret, err.text);
	ck_assert_msg(strstr(err.text, "forged") && strstr(err.text, word), "no '%s' in: %s", word,
		      err.text);
}

static void accepted(void)
{
	int ret = unpack(file_size, LIMIT);

	ck_assert_msg(ret == 0, "%s", err.text);
	ck_assert_uint_eq(vmlinux.size, sizeof(elf));
	ck_assert_int_eq(memcmp(vmlinux.data, &elf, sizeof(elf)), 0);
}

static void end(void)
{
	boot_image_close(&vmlinux);
	free(file);
}

START_TEST(unpacks_gzip)
{
	begin();
	ck_assert(bzimage_is_bzimage(file, file_size));
	accepted();
	/* What the build appends after the stream is not looked at. */
	store_le32(file + 0x24c, (uint32_t)packed_size);
	accepted();
	end();
}
END_TEST

/* Random bytes do not shrink: the payload is longer than the segments it is read in. */
START_TEST(unpacks_more_than_a_chunk)
{
	size_t length = MIB(1) + 12345, i;
	uint8_t *bytes = malloc(length), *packed;
	uint32_t state = 1;

	ck_assert_ptr_nonnull(bytes);
	for (i = 0; i < length; i++) {
		state = state * 1664525 + 1013904223;
		bytes[i] = (uint8_t)(state >> 24);
	}
	packed = forged_gzip(bytes, length, &packed_size);
	file = forged_bzimage(packed, packed_size, &file_size);
	ck_assert_int_eq(unpack(file_size, LIMIT), 0);
	ck_assert_uint_eq(vmlinux.size, length);
	ck_assert_int_eq(memcmp(vmlinux.data, bytes, length), 0);
	free(packed);
	free(bytes);
	end();
}
END_TEST

START_TEST(takes_a_plain_elf)
{
	forged_elf_init(&elf);
	file = forged_bzimage(&elf, sizeof(elf), &file_size);
	accepted();
	ck_assert_int_eq(unpack(file_size, sizeof(elf) - 1), -EFBIG);
	end();
}
END_TEST

START_TEST(refuses_other_images)
{
	begin();
	file[0x202] = 'h';
	refused(ENOEXEC, "not a bzImage");
	ck_assert(!bzimage_is_bzimage(file, file_size));
	file[0x202] = 'H';
	store_le16(file + 0x206, 0x020b);
	refused(ENOEXEC, "too old");
	store_le16(file + 0x206, 0x020c);
	accepted();
	store_le16(file + 0x236, 0);
	refused(ENOEXEC, "64-bit");
	store_le16(file + 0x236, 1);
	accepted();
	end();
}
END_TEST

START_TEST(refuses_lying_payload)
{
	begin();
	store_le32(file + 0x24c, 0);
	refused(ENOEXEC, "truncated");
	store_le32(file + 0x24c, UINT32_MAX);
	refused(ENOEXEC, "truncated");
	store_le32(file + 0x24c, (uint32_t)packed_size + 1);
	refused(ENOEXEC, "truncated");
	store_le32(file + 0x24c, (uint32_t)packed_size);
	store_le32(file + 0x248, UINT32_MAX);
	refused(ENOEXEC, "truncated");
	store_le32(file + 0x248, 0x40);
	file[0x1f1] = 255;
	refused(ENOEXEC, "truncated");
	file[0x1f1] = FORGED_SETUP / 512 - 1;
	accepted();
	end();
}
END_TEST

START_TEST(refuses_truncated_files)
{
	static const size_t size[] = {1, 0x202, 0x205, 0x24f, FORGED_SETUP, PAYLOAD, PAYLOAD + 20};
	size_t i;

	begin();
	for (i = 0; i < ARRAY_SIZE(size); i++) {
		ck_assert_int_eq(unpack(size[i], LIMIT), -ENOEXEC);
		ck_assert_msg(strstr(err.text, "truncated"), "%zu: %s", size[i], err.text);
	}
	ck_assert_int_eq(unpack(file_size - 1, LIMIT), -ENOEXEC);
	accepted();
	/* The gzip stream itself ends early. */
	store_le32(file + 0x24c, (uint32_t)packed_size - 9);
	refused(ENOEXEC, "compressed kernel is truncated");
	end();
}
END_TEST

START_TEST(refuses_damage)
{
	begin();
	file[PAYLOAD + packed_size / 2] ^= 0x55;
	refused(ENOEXEC, "damaged");
	file[PAYLOAD + packed_size / 2] ^= 0x55;
	/* The checksum at the end. */
	file[PAYLOAD + packed_size - 6] ^= 1;
	refused(ENOEXEC, "damaged");
	file[PAYLOAD + packed_size - 6] ^= 1;
	accepted();
	end();
}
END_TEST

/* A small file that unpacks to more than fits: unpacking stops at the limit. */
START_TEST(refuses_a_bomb)
{
	size_t length = MIB(64);
	uint8_t *zeros = calloc(1, length), *packed;

	ck_assert_ptr_nonnull(zeros);
	packed = forged_gzip(zeros, length, &packed_size);
	ck_assert_uint_lt(packed_size, MIB(1));
	file = forged_bzimage(packed, packed_size, &file_size);
	refused(EFBIG, "more memory");
	ck_assert_uint_le(vmlinux.size, LIMIT);
	ck_assert_int_eq(unpack(file_size, length + 1), 0);
	ck_assert_uint_eq(vmlinux.size, length);
	free(packed);
	free(zeros);
	end();
}
END_TEST

START_TEST(names_other_compressions)
{
	static const struct {
		const char *name;
		const char *magic;
		size_t length;
	} formats[] = {
		{"bzip2", "BZh9", 4},
		{"lzma", "\x5d\0\0\x80", 4},
		{"xz",
		 "\xfd"
		 "7zXZ\0",
		 6},
		{"lzo", "\x89LZO", 4},
		{"lz4", "\x02\x21\x4c\x18", 4},
		{"zstd", "\x28\xb5\x2f\xfd", 4},
		{"unknown compression", "abcd", 4},
	};
	uint8_t saved[6];
	size_t i;

	begin();
	memcpy(saved, file + PAYLOAD, sizeof(saved));
	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		memcpy(file + PAYLOAD, formats[i].magic, formats[i].length);
		refused(ENOEXEC, formats[i].name);
		ck_assert(strstr(err.text, "CONFIG_KERNEL_GZIP=y"));
	}
	memcpy(file + PAYLOAD, saved, sizeof(saved));
	accepted();
	end();
}
END_TEST

UNIT_MAIN("bzimage", unpacks_gzip, unpacks_more_than_a_chunk, takes_a_plain_elf,
	  refuses_other_images, refuses_lying_payload, refuses_truncated_files, refuses_damage,
	  refuses_a_bomb, names_other_compressions)
