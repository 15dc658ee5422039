/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the block device: what it does, and what it refuses. */
#include "devices/blk/blk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/fake_disk.h"
#include "tests/support/unit.h"

#define SECTORS	  64u
#define IMAGE	  (SECTORS * 512u)
#define EVERY_ONE (FAKE_DISK_F_FLUSH | FAKE_DISK_F_DISCARD | FAKE_DISK_F_WRITE_ZEROES)

static struct fake_disk disk;

static void begin_image(void)
{
	disk = (struct fake_disk){.config.read_only = true};
	disk.features = FAKE_DISK_F_FLUSH | FAKE_DISK_F_RO;
	fake_disk_image(&disk, IMAGE);
	fake_disk_begin(&disk, fake_disk_open(&disk));
}

static void begin_scratch(void)
{
	disk = (struct fake_disk){.features = EVERY_ONE};
	fake_disk_begin(&disk, fake_disk_scratch(IMAGE));
}

static void begin_layered(uint64_t bytes_max)
{
	disk = (struct fake_disk){.features = EVERY_ONE};
	fake_disk_image(&disk, IMAGE);
	fake_disk_begin(&disk, fake_disk_layered(&disk, bytes_max));
}

static uint8_t read_at(uint64_t sector, uint32_t length)
{
	memset(fake_disk_bytes(&disk), 0xcc, length);
	return fake_disk_do(&disk, FAKE_DISK_IN, sector, length, true);
}

static uint8_t write_at(uint64_t sector, uint32_t length, uint8_t value)
{
	memset(fake_disk_bytes(&disk), value, length);
	return fake_disk_do(&disk, FAKE_DISK_OUT, sector, length, false);
}

/* Whether `length` bytes of the last request's data, from `at` on, all have the value. */
static bool all_are(uint32_t at, uint32_t length, uint8_t value)
{
	const uint8_t *bytes = fake_disk_bytes(&disk);
	uint32_t i;

	for (i = at; i < at + length; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

static uint8_t range(uint32_t type, uint64_t sector, uint32_t count, uint32_t flags)
{
	uint8_t *bytes = fake_disk_bytes(&disk);

	store_le64(bytes, sector);
	store_le32(bytes + 8, count);
	store_le32(bytes + 12, flags);
	return fake_disk_do(&disk, type, 0, 16, false);
}

START_TEST(the_configuration_describes_the_disk)
{
	begin_image();
	ck_assert_uint_eq(fake_read(&disk.guest, FAKE_REG_DEVICE_ID), 2);
	ck_assert_uint_eq(fake_read_size(&disk.guest, FAKE_REG_CONFIG, 8), SECTORS);
	ck_assert_uint_eq(fake_read(&disk.guest, FAKE_REG_CONFIG + 12), BLK_SEGMENTS_MAX);
	ck_assert_uint_eq(fake_read(&disk.guest, FAKE_REG_CONFIG + 20), 512);
	ck_assert_uint_eq(fake_read_size(&disk.guest, FAKE_REG_CONFIG + 34, 2), 1);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(an_image_is_read)
{
	begin_image();
	ck_assert_uint_eq(read_at(0, 512), FAKE_DISK_OK);
	ck_assert(all_are(0, 512, 0));
	ck_assert_uint_eq(read_at(5, 1024), FAKE_DISK_OK);
	ck_assert(all_are(0, 512, 5) && all_are(512, 512, 6));
	ck_assert_uint_eq(read_at(SECTORS - 1, 512), FAKE_DISK_OK);
	ck_assert(all_are(0, 512, SECTORS - 1));
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_FLUSH, 0, 0, false), FAKE_DISK_OK);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(a_read_only_disk_is_not_written)
{
	begin_image();
	ck_assert_uint_eq(write_at(3, 512, 0xaa), FAKE_DISK_IOERR);
	ck_assert_uint_eq(read_at(3, 512), FAKE_DISK_OK);
	ck_assert(all_are(0, 512, 3));
	/* not negotiated, so unsupported */
	ck_assert_uint_eq(range(FAKE_DISK_DISCARD, 0, 8, 0), FAKE_DISK_UNSUPP);
	/* A device that has announced read-only stays so, whatever disk it gets. */
	blk_set_disk(disk.blk, fake_disk_scratch(IMAGE));
	ck_assert_uint_eq(write_at(3, 512, 0xaa), FAKE_DISK_IOERR);
	fake_disk_end(&disk);
	/* So is an image in a device that announced a writable disk. */
	disk = (struct fake_disk){.features = EVERY_ONE};
	fake_disk_image(&disk, IMAGE);
	fake_disk_begin(&disk, fake_disk_open(&disk));
	ck_assert_uint_eq(write_at(3, 512, 0xaa), FAKE_DISK_IOERR);
	ck_assert_uint_eq(range(FAKE_DISK_DISCARD, 0, 8, 0), FAKE_DISK_IOERR);
	ck_assert_uint_eq(range(FAKE_DISK_ZEROES, 0, 8, 0), FAKE_DISK_IOERR);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(written_data_is_read_back)
{
	begin_scratch();
	ck_assert_uint_eq(read_at(0, IMAGE), FAKE_DISK_OK);
	ck_assert(all_are(0, IMAGE, 0));
	ck_assert_uint_eq(write_at(7, 1536, 0x5a), FAKE_DISK_OK);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_FLUSH, 0, 0, false), FAKE_DISK_OK);
	ck_assert_uint_eq(read_at(6, 512 * 5), FAKE_DISK_OK);
	ck_assert(all_are(0, 512, 0) && all_are(512, 1536, 0x5a) && all_are(2048, 512, 0));
	fake_disk_end(&disk);
}
END_TEST

START_TEST(ranges_are_discarded_and_zeroed)
{
	begin_scratch();
	ck_assert_uint_eq(write_at(0, IMAGE, 0x77), FAKE_DISK_OK);
	ck_assert_uint_eq(range(FAKE_DISK_ZEROES, 3, 2, 1), FAKE_DISK_OK);
	ck_assert_uint_eq(range(FAKE_DISK_ZEROES, 9, 1, 0), FAKE_DISK_OK);
	ck_assert_uint_eq(range(FAKE_DISK_DISCARD, 16, 8, 0), FAKE_DISK_OK);
	ck_assert_uint_eq(read_at(0, IMAGE), FAKE_DISK_OK);
	ck_assert(all_are(0, 3 * 512, 0x77) && all_are(3 * 512, 1024, 0));
	ck_assert(all_are(5 * 512, 4 * 512, 0x77) && all_are(9 * 512, 512, 0));
	ck_assert(all_are(24 * 512, 512, 0x77));
	fake_disk_end(&disk);
}
END_TEST

static const struct {
	const char *what;
	uint32_t type;
	uint64_t sector;
	uint32_t count, flags;
	uint8_t status;
} bad_ranges[] = {
	{"the last sector", FAKE_DISK_ZEROES, SECTORS - 1, 1, 0, FAKE_DISK_OK},
	{"past the end", FAKE_DISK_ZEROES, SECTORS - 1, 2, 0, FAKE_DISK_IOERR},
	{"behind the end", FAKE_DISK_DISCARD, SECTORS, 1, 0, FAKE_DISK_IOERR},
	{"no sectors", FAKE_DISK_DISCARD, 0, 0, 0, FAKE_DISK_IOERR},
	{"a sum that wraps", FAKE_DISK_ZEROES, UINT64_MAX, 1, 0, FAKE_DISK_IOERR},
	{"bytes that wrap", FAKE_DISK_ZEROES, UINT64_C(1) << 55, 1, 0, FAKE_DISK_IOERR},
	{"more than the limit", FAKE_DISK_DISCARD, 0, UINT32_MAX, 0, FAKE_DISK_IOERR},
	{"a discard that unmaps", FAKE_DISK_DISCARD, 0, 8, 1, FAKE_DISK_UNSUPP},
	{"unknown flags", FAKE_DISK_ZEROES, 0, 8, 2, FAKE_DISK_UNSUPP},
};

START_TEST(bad_ranges_are_refused)
{
	size_t i;

	begin_scratch();
	for (i = 0; i < ARRAY_SIZE(bad_ranges); i++)
		ck_assert_msg(range(bad_ranges[i].type, bad_ranges[i].sector, bad_ranges[i].count,
				    bad_ranges[i].flags) == bad_ranges[i].status,
			      "%s", bad_ranges[i].what);
	/* Not a multiple of 16 bytes; too many; none. */
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_DISCARD, 0, 24, false), FAKE_DISK_IOERR);
	ck_assert_uint_eq(
		fake_disk_do(&disk, FAKE_DISK_DISCARD, 0, 16 * (BLK_RANGES_MAX + 1), false),
		FAKE_DISK_IOERR);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_DISCARD, 0, 0, false), FAKE_DISK_IOERR);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(the_id_is_returned)
{
	begin_image();
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_GET_ID, 0, FAKE_DISK_ID_BYTES, true),
			  FAKE_DISK_OK);
	ck_assert_str_eq((char *)fake_disk_bytes(&disk), "blk0");
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_GET_ID, 0, 19, true), FAKE_DISK_IOERR);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_GET_ID, 0, 0, true), FAKE_DISK_IOERR);
	fake_disk_end(&disk);
}
END_TEST

static const struct {
	const char *what;
	uint64_t sector;
	uint32_t length;
	uint8_t status;
} reaches[] = {
	{"all of it", 0, IMAGE, FAKE_DISK_OK},
	{"the last sector", SECTORS - 1, 512, FAKE_DISK_OK},
	{"past the end", SECTORS - 1, 1024, FAKE_DISK_IOERR},
	{"behind the end", SECTORS, 512, FAKE_DISK_IOERR},
	{"far behind", SECTORS + 1, 512, FAKE_DISK_IOERR},
	{"the last sector there can be", UINT64_MAX, 512, FAKE_DISK_IOERR},
	{"a sum that wraps to 0", UINT64_MAX, 1024, FAKE_DISK_IOERR},
	{"bytes that wrap to 0", UINT64_C(1) << 55, 512, FAKE_DISK_IOERR},
	{"bytes that wrap to sector 1", (UINT64_C(1) << 55) + 1, 512, FAKE_DISK_IOERR},
	{"negative bytes", UINT64_C(1) << 54, 512, FAKE_DISK_IOERR},
	{"nothing", 0, 0, FAKE_DISK_IOERR},
	{"less than a sector", 0, 511, FAKE_DISK_IOERR},
	{"more than a sector", 0, 513, FAKE_DISK_IOERR},
	{"one byte", 0, 1, FAKE_DISK_IOERR},
};

START_TEST(no_request_reaches_beyond_the_disk)
{
	size_t i;

	begin_scratch();
	for (i = 0; i < ARRAY_SIZE(reaches); i++) {
		ck_assert_msg(read_at(reaches[i].sector, reaches[i].length) == reaches[i].status,
			      "read: %s", reaches[i].what);
		ck_assert_msg(write_at(reaches[i].sector, reaches[i].length, 1) ==
				      reaches[i].status,
			      "write: %s", reaches[i].what);
	}
	fake_disk_end(&disk);
}
END_TEST

START_TEST(unknown_requests_are_unsupported)
{
	static const uint32_t types[] = {2, 3, 5, FAKE_DISK_LIFE, 12, 14, 0x80000000, UINT32_MAX};
	size_t i;

	begin_scratch();
	for (i = 0; i < ARRAY_SIZE(types); i++)
		ck_assert_uint_eq(fake_disk_do(&disk, types[i], 0, 512, true), FAKE_DISK_UNSUPP);
	ck_assert_uint_eq(read_at(0, 512), FAKE_DISK_OK);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(data_of_the_wrong_direction_is_refused)
{
	begin_scratch();
	/* Device-readable data for a read; device-writable data for a write. */
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_IN, 0, 512, false), FAKE_DISK_IOERR);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_OUT, 0, 512, true), FAKE_DISK_IOERR);
	ck_assert_uint_eq(read_at(0, 512), FAKE_DISK_OK);
	ck_assert(all_are(0, 512, 0));
	fake_disk_end(&disk);
}
END_TEST

/* Offers a chain unchanged, and returns the length written in its used element. */
static uint32_t raw(const struct fake_segment *segment, unsigned count)
{
	struct fake_queue *queue = &disk.guest.queue[0];
	uint32_t head, written = 0;

	fake_queue_add(queue, segment, count);
	fake_queue_kick(queue);
	while (!fake_queue_take_used(queue, &head, &written))
		fake_disk_run(&disk, 1000000);
	return written;
}

START_TEST(chains_of_the_wrong_shape_are_returned)
{
	uint64_t header, status, data;
	uint8_t *at;

	begin_scratch();
	header = fake_guest_alloc(&disk.guest, 16, 16);
	status = fake_guest_alloc(&disk.guest, 1, 1);
	data = fake_guest_alloc(&disk.guest, 1024, 16);
	at = fake_guest_at(&disk.guest, status);
	/* Without room for the status nothing is written, and nothing is done. */
	store_le32(fake_guest_at(&disk.guest, header), FAKE_DISK_OUT);
	memset(fake_guest_at(&disk.guest, data), 0xab, 1024);
	ck_assert_uint_eq(raw((struct fake_segment[]){{header, 16, false}, {data, 512, false}}, 2),
			  0);
	ck_assert_uint_eq(raw((struct fake_segment[]){{header, 16, false}}, 1), 0);
	ck_assert_uint_eq(read_at(0, 512), FAKE_DISK_OK);
	ck_assert(all_are(0, 512, 0));
	/* Only a status; a header that is one byte short. */
	*at = FAKE_DISK_NONE;
	ck_assert_uint_eq(raw((struct fake_segment[]){{status, 1, true}}, 1), 1);
	ck_assert_uint_eq(*at, FAKE_DISK_IOERR);
	*at = FAKE_DISK_NONE;
	ck_assert_uint_eq(raw((struct fake_segment[]){{header, 15, false}, {status, 1, true}}, 2),
			  1);
	ck_assert_uint_eq(*at, FAKE_DISK_IOERR);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(segments_are_cut_anywhere)
{
	uint64_t header, data;
	struct fake_segment segment[8];
	uint8_t *at;

	begin_scratch();
	ck_assert_uint_eq(write_at(2, 512, 0x22), FAKE_DISK_OK);
	ck_assert_uint_eq(write_at(3, 512, 0x33), FAKE_DISK_OK);
	header = fake_guest_alloc(&disk.guest, 16, 16);
	data = fake_guest_alloc(&disk.guest, 1025, 16);
	at = fake_guest_at(&disk.guest, data);
	store_le32(fake_guest_at(&disk.guest, header), FAKE_DISK_IN);
	store_le64((uint8_t *)fake_guest_at(&disk.guest, header) + 8, 2);
	segment[0] = (struct fake_segment){header, 3, false};
	segment[1] = (struct fake_segment){header + 3, 13, false};
	segment[2] = (struct fake_segment){data, 1, true};
	segment[3] = (struct fake_segment){data + 1, 700, true};
	/* The status is the last byte of the last segment, which also has data. */
	segment[4] = (struct fake_segment){data + 701, 324, true};
	at[1024] = FAKE_DISK_NONE;
	ck_assert_uint_eq(raw(segment, 5), 1025);
	ck_assert_uint_eq(at[1024], FAKE_DISK_OK);
	ck_assert(at[0] == 0x22 && at[511] == 0x22 && at[512] == 0x33 && at[1023] == 0x33);
	/* A write whose header and data share a segment. */
	store_le32(at, FAKE_DISK_OUT);
	store_le64(at + 8, 9);
	memset(at + 16, 0x99, 512);
	segment[0] = (struct fake_segment){data, 16 + 512, false};
	segment[1] = (struct fake_segment){data + 1000, 1, true};
	ck_assert_uint_eq(raw(segment, 2), 1);
	ck_assert_uint_eq(at[1000], FAKE_DISK_OK);
	ck_assert_uint_eq(read_at(9, 512), FAKE_DISK_OK);
	ck_assert(all_are(0, 512, 0x99));
	fake_disk_end(&disk);
}
END_TEST

START_TEST(as_many_segments_as_promised_fit)
{
	struct fake_segment segment[BLK_SEGMENTS_MAX + 2];
	uint64_t header, status, data;
	unsigned i;

	disk = (struct fake_disk){.features = EVERY_ONE};
	fake_disk_begin(&disk, fake_disk_scratch(BLK_SEGMENTS_MAX * 512 + 4096));
	header = fake_guest_alloc(&disk.guest, 16, 16);
	status = fake_guest_alloc(&disk.guest, 1, 1);
	data = fake_guest_alloc(&disk.guest, BLK_SEGMENTS_MAX * 512, 512);
	memset(fake_guest_at(&disk.guest, data), 0x42, BLK_SEGMENTS_MAX * 512);
	store_le32(fake_guest_at(&disk.guest, header), FAKE_DISK_OUT);
	segment[0] = (struct fake_segment){header, 16, false};
	for (i = 0; i < BLK_SEGMENTS_MAX; i++)
		segment[i + 1] = (struct fake_segment){data + i * 512, 512, false};
	segment[i + 1] = (struct fake_segment){status, 1, true};
	ck_assert_uint_eq(raw(segment, ARRAY_SIZE(segment)), 1);
	ck_assert_uint_eq(*(uint8_t *)fake_guest_at(&disk.guest, status), FAKE_DISK_OK);
	ck_assert_uint_eq(read_at(0, BLK_SEGMENTS_MAX * 512), FAKE_DISK_OK);
	ck_assert(all_are(0, BLK_SEGMENTS_MAX * 512, 0x42));
	fake_disk_end(&disk);
}
END_TEST

START_TEST(a_private_layer_leaves_the_image_alone)
{
	struct fake_disk other = {.features = EVERY_ONE};

	begin_layered(MIB(1));
	/* A part of a block, a whole block, and a range across two. */
	ck_assert_uint_eq(write_at(2, 512, 0xd1), FAKE_DISK_OK);
	ck_assert_uint_eq(write_at(8, 4096, 0xd2), FAKE_DISK_OK);
	ck_assert_uint_eq(write_at(23, 1024, 0xd3), FAKE_DISK_OK);
	ck_assert_uint_eq(range(FAKE_DISK_ZEROES, 40, 3, 0), FAKE_DISK_OK);
	ck_assert_uint_eq(range(FAKE_DISK_DISCARD, 8, 8, 0), FAKE_DISK_OK);
	ck_assert_uint_eq(read_at(0, IMAGE), FAKE_DISK_OK);
	ck_assert(all_are(1 * 512, 512, 1) && all_are(2 * 512, 512, 0xd1) &&
		  all_are(3 * 512, 512, 3));
	ck_assert(all_are(8 * 512, 4096, 0) && all_are(7 * 512, 512, 7));
	ck_assert(all_are(22 * 512, 512, 22) && all_are(23 * 512, 1024, 0xd3) &&
		  all_are(25 * 512, 512, 25));
	ck_assert(all_are(39 * 512, 512, 39) && all_are(40 * 512, 3 * 512, 0) &&
		  all_are(43 * 512, 512, 43));
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_FLUSH, 0, 0, false), FAKE_DISK_OK);
	/* Another layer over the same image does not see these writes. */
	strcpy(other.image, disk.image);
	fake_disk_begin(&other, fake_disk_layered(&other, MIB(1)));
	ck_assert_uint_eq(fake_disk_do(&other, FAKE_DISK_IN, 2, 512, true), FAKE_DISK_OK);
	ck_assert_uint_eq(fake_disk_bytes(&other)[0], 2);
	other.image[0] = '\0';
	fake_disk_end(&other);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(a_private_layer_has_its_limit)
{
	begin_layered(8192);
	ck_assert_uint_eq(write_at(0, 512, 1), FAKE_DISK_OK);
	ck_assert_uint_eq(write_at(9, 512, 2), FAKE_DISK_OK);
	ck_assert_uint_eq(write_at(16, 512, 3), FAKE_DISK_IOERR);
	ck_assert_uint_eq(write_at(16, 4096, 3), FAKE_DISK_IOERR);
	/* Blocks in the layer may be written again, and a discard frees no room. */
	ck_assert_uint_eq(write_at(1, 512, 4), FAKE_DISK_OK);
	ck_assert_uint_eq(range(FAKE_DISK_DISCARD, 0, 16, 0), FAKE_DISK_OK);
	ck_assert_uint_eq(write_at(16, 512, 3), FAKE_DISK_IOERR);
	ck_assert_uint_eq(read_at(16, 512), FAKE_DISK_OK);
	ck_assert(all_are(0, 512, 16));
	fake_disk_end(&disk);
}
END_TEST

START_TEST(an_empty_device_gets_a_disk)
{
	uint32_t generation;

	disk = (struct fake_disk){.features = EVERY_ONE};
	fake_disk_begin(&disk, NULL);
	ck_assert_uint_eq(fake_read_size(&disk.guest, FAKE_REG_CONFIG, 8), 0);
	ck_assert_uint_eq(read_at(0, 512), FAKE_DISK_IOERR);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_FLUSH, 0, 0, false), FAKE_DISK_IOERR);
	generation = fake_read(&disk.guest, FAKE_REG_GENERATION);
	fake_guest_interrupts(&disk.guest);
	blk_set_disk(disk.blk, fake_disk_scratch(IMAGE));
	ck_assert_uint_eq(fake_guest_interrupts(&disk.guest), 1);
	ck_assert_uint_ne(fake_read(&disk.guest, FAKE_REG_GENERATION), generation);
	ck_assert(fake_read(&disk.guest, FAKE_REG_INTERRUPT_STATUS) & 2);
	ck_assert_uint_eq(fake_read_size(&disk.guest, FAKE_REG_CONFIG, 8), SECTORS);
	ck_assert_uint_eq(write_at(0, 512, 9), FAKE_DISK_OK);
	blk_set_disk(disk.blk, NULL);
	ck_assert_uint_eq(read_at(0, 512), FAKE_DISK_IOERR);
	fake_disk_end(&disk);
}
END_TEST

UNIT_MAIN("blk", the_configuration_describes_the_disk, an_image_is_read,
	  a_read_only_disk_is_not_written, written_data_is_read_back,
	  ranges_are_discarded_and_zeroed, bad_ranges_are_refused, the_id_is_returned,
	  no_request_reaches_beyond_the_disk, unknown_requests_are_unsupported,
	  data_of_the_wrong_direction_is_refused, chains_of_the_wrong_shape_are_returned,
	  segments_are_cut_anywhere, as_many_segments_as_promised_fit,
	  a_private_layer_leaves_the_image_alone, a_private_layer_has_its_limit,
	  an_empty_device_gets_a_disk)
