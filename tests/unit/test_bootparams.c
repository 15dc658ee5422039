/* SPDX-License-Identifier: Apache-2.0 */
/* boot_params, read back as the kernel reads it: by the offsets of the boot protocol. */
#include "boot/bootparams.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "boot/layout.h"
#include "tests/support/forged_kernel.h"
#include "tests/support/unit.h"

/* Offsets in the zero page, from zero-page.rst and boot.rst. */
#define AT_EXT_RAMDISK_IMAGE 0x0c0
#define AT_EXT_RAMDISK_SIZE  0x0c4
#define AT_E820_ENTRIES	     0x1e8
#define AT_SENTINEL	     0x1ef
#define AT_BOOT_FLAG	     0x1fe
#define AT_MAGIC	     0x202
#define AT_LOADER	     0x210
#define AT_LOADFLAGS	     0x211
#define AT_RAMDISK_IMAGE     0x218
#define AT_RAMDISK_SIZE	     0x21c
#define AT_CMDLINE	     0x228
#define AT_SUBARCH	     0x23c
#define AT_SETUP_DATA	     0x250
#define AT_E820		     0x2d0

#define E820_BYTES 20

static struct guest_memory memory;
static struct err err;

static const uint8_t *zero_page(void)
{
	return guest_memory_at(&memory, LAYOUT_BOOT_PARAMS, 4096);
}

static void check_e820(unsigned i, uint64_t start, uint64_t end)
{
	const uint8_t *entry = zero_page() + AT_E820 + i * E820_BYTES;

	ck_assert_uint_eq(load_le64(entry), start);
	ck_assert_uint_eq(load_le64(entry + 8), end - start);
	ck_assert_uint_eq(load_le32(entry + 16), 1);
}

static void write_params(const struct bootparams *params)
{
	ck_assert_msg(bootparams_write(params, &memory, &err) == 0, "%s", err.text);
}

START_TEST(fields)
{
	struct bootparams params = {
		.cmdline = "quiet x=1", .initrd_start = 0x123456000, .initrd_size = 0x1234};
	const uint8_t *page;

	forged_memory(&memory, FORGED_MEMORY);
	write_params(&params);
	page = zero_page();
	ck_assert_uint_eq(page[AT_SENTINEL], 0);
	ck_assert_uint_eq(load_le16(page + AT_BOOT_FLAG), 0xaa55);
	ck_assert_int_eq(memcmp(page + AT_MAGIC, "HdrS", 4), 0);
	ck_assert_uint_eq(page[AT_LOADER], 0xff);
	ck_assert_uint_eq(page[AT_LOADFLAGS], 1);
	ck_assert_uint_eq(load_le32(page + AT_SUBARCH), 4);
	ck_assert_uint_eq(load_le32(page + AT_RAMDISK_IMAGE), 0x23456000);
	ck_assert_uint_eq(load_le32(page + AT_EXT_RAMDISK_IMAGE), 1);
	ck_assert_uint_eq(load_le32(page + AT_RAMDISK_SIZE), 0x1234);
	ck_assert_uint_eq(load_le32(page + AT_EXT_RAMDISK_SIZE), 0);
	ck_assert_uint_eq(load_le64(page + AT_SETUP_DATA), 0);
	ck_assert_str_eq(guest_memory_at(&memory, load_le32(page + AT_CMDLINE), 16), "quiet x=1");
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(e820_below_the_hole)
{
	struct bootparams params = {.cmdline = NULL};

	forged_memory(&memory, FORGED_MEMORY);
	write_params(&params);
	ck_assert_uint_eq(zero_page()[AT_E820_ENTRIES], 2);
	check_e820(0, 0, LAYOUT_LOW_END);
	check_e820(1, LAYOUT_HIGH_START, FORGED_MEMORY);
	ck_assert_str_eq(guest_memory_at(&memory, LAYOUT_CMDLINE, 1), "");
	guest_memory_destroy(&memory);
}
END_TEST

/* Nothing of 4 GiB is touched, so the host need not have it: memory is given page by page. */
START_TEST(e820_around_the_hole)
{
	struct bootparams params = {.cmdline = ""};

	forged_memory(&memory, GIB(4));
	write_params(&params);
	ck_assert_uint_eq(zero_page()[AT_E820_ENTRIES], 3);
	check_e820(0, 0, LAYOUT_LOW_END);
	check_e820(1, LAYOUT_HIGH_START, LAYOUT_HOLE_START);
	check_e820(2, LAYOUT_HOLE_END, LAYOUT_HOLE_END + GIB(4) - LAYOUT_HOLE_START);
	guest_memory_destroy(&memory);
}
END_TEST

/* What the kernel's drivers may claim, and what it must not allocate from. */
START_TEST(e820_leaves_out_what_is_ours)
{
	ck_assert_uint_ge(LAYOUT_VMGENID, LAYOUT_LOW_END);
	ck_assert_uint_ge(LAYOUT_SETUP_DATA, LAYOUT_VMGENID + 4096);
	ck_assert_uint_le(LAYOUT_SETUP_DATA + LAYOUT_SETUP_MAX, LAYOUT_HIGH_START);
	ck_assert_uint_le(LAYOUT_CMDLINE + LAYOUT_CMDLINE_MAX, LAYOUT_LOW_END);
}
END_TEST

START_TEST(setup_data_list)
{
	uint8_t seed[32], dtb[300];
	struct bootparams params = {
		.seed = seed, .seed_size = sizeof(seed), .dtb = dtb, .dtb_size = sizeof(dtb)};
	const uint8_t *element;

	memset(seed, 0x5e, sizeof(seed));
	memset(dtb, 0xd7, sizeof(dtb));
	forged_memory(&memory, FORGED_MEMORY);
	write_params(&params);
	element = guest_memory_at(&memory, load_le64(zero_page() + AT_SETUP_DATA), 16 + 32);
	ck_assert_ptr_nonnull(element);
	ck_assert_uint_eq(load_le32(element + 8), 9);
	ck_assert_uint_eq(load_le32(element + 12), sizeof(seed));
	ck_assert_int_eq(memcmp(element + 16, seed, sizeof(seed)), 0);
	element = guest_memory_at(&memory, load_le64(element), 16 + sizeof(dtb));
	ck_assert_ptr_nonnull(element);
	ck_assert_uint_eq(load_le64(element), 0);
	ck_assert_uint_eq(load_le32(element + 8), 2);
	ck_assert_uint_eq(load_le32(element + 12), sizeof(dtb));
	ck_assert_int_eq(memcmp(element + 16, dtb, sizeof(dtb)), 0);

	/* Each alone. */
	params.seed = NULL;
	write_params(&params);
	element = guest_memory_at(&memory, load_le64(zero_page() + AT_SETUP_DATA), 16);
	ck_assert_uint_eq(load_le32(element + 8), 2);
	ck_assert_uint_eq(load_le64(element), 0);
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(refuses_long_command_line)
{
	char *line = malloc(LAYOUT_CMDLINE_MAX + 1);
	struct bootparams params = {.cmdline = line};

	ck_assert_ptr_nonnull(line);
	memset(line, 'a', LAYOUT_CMDLINE_MAX);
	line[LAYOUT_CMDLINE_MAX] = '\0';
	forged_memory(&memory, FORGED_MEMORY);
	ck_assert_int_eq(bootparams_write(&params, &memory, &err), -E2BIG);
	ck_assert(strstr(err.text, "command line is too long: 2048 bytes"));
	line[LAYOUT_CMDLINE_MAX - 1] = '\0';
	write_params(&params);
	ck_assert_str_eq(guest_memory_at(&memory, LAYOUT_CMDLINE, LAYOUT_CMDLINE_MAX), line);
	free(line);
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(refuses_large_device_tree)
{
	uint8_t *dtb = calloc(1, LAYOUT_SETUP_MAX);
	struct bootparams params = {.dtb = dtb, .dtb_size = LAYOUT_SETUP_MAX - 15};

	ck_assert_ptr_nonnull(dtb);
	forged_memory(&memory, FORGED_MEMORY);
	ck_assert_int_eq(bootparams_write(&params, &memory, &err), -E2BIG);
	ck_assert(strstr(err.text, "device tree"));
	params.dtb_size--;
	write_params(&params);
	free(dtb);
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(refuses_little_memory)
{
	struct bootparams params = {.cmdline = ""};

	forged_memory(&memory, MIB(1));
	ck_assert_int_eq(bootparams_write(&params, &memory, &err), -ENOMEM);
	ck_assert(strstr(err.text, "too little"));
	guest_memory_destroy(&memory);
	forged_memory(&memory, MIB(1) + 4096);
	write_params(&params);
	guest_memory_destroy(&memory);
}
END_TEST

UNIT_MAIN("bootparams", fields, e820_below_the_hole, e820_around_the_hole,
	  e820_leaves_out_what_is_ours, setup_data_list, refuses_long_command_line,
	  refuses_large_device_tree, refuses_little_memory)
