/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a disk that no driver makes, a driver that resets the device with requests under way,
 * and a second processor that changes requests while the device handles them. The device fails each
 * such request or needs a reset; afterwards it works, and so do the other devices.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "tests/guest/hostile.h"

#define DISK_BYTES MIB(1)
#define SECTORS	   (DISK_BYTES / 512)

/* Addresses of a request's parts; the header lies where a second processor reaches it. */
#define HEADER	 0xe000u
#define STATUS	 0xe100u
#define DATA	 HOSTILE_BUFFERS
#define BIG_DATA (256u << 10)

#define T_IN	       0u
#define T_OUT	       1u
#define T_FLUSH	       4u
#define T_DISCARD      11u
#define T_ZEROES       13u
#define T_SECURE_ERASE 14u
#define UNANSWERED     0xeeu
#define PATTERN	       UINT64_C(0x0123456789abcdef)
#define OTHER	       UINT64_C(0x5555555555555555)
#define BROKEN	       (ST_LIVE | ST_RESET)
#define RESET_LOOKS    2000

static unsigned slot; /* of the disk that a test drives */

static void setup(struct hostile *h)
{
	struct disk *disk;
	struct err err;

	slot = SLOT_DISK;
	if (disk_create_scratch(&disk, DISK_BYTES, &err) < 0 ||
	    devices_set_disk(&h->devices, MACHINE_DISK_WRITABLE, disk, &err) < 0)
		hostile_fail(h, "no disk: %s", err.text);
}

/* An image whose every word is PATTERN, in a file that the process itself could write to. */
static void setup_image(struct hostile *h)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	uint64_t words[512];
	struct disk *disk;
	struct err err;
	size_t i;

	slot = SLOT_IMAGE;
	for (i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = PATTERN;
	for (i = 0; fd >= 0 && i < DISK_BYTES / sizeof(words); i++)
		if (write(fd, words, sizeof(words)) != sizeof(words))
			hostile_fail(h, "no image");
	if (disk_open_file(&disk, fd, "image", NULL, &err) < 0 ||
	    devices_set_disk(&h->devices, MACHINE_DISK_IMAGE, disk, &err) < 0)
		hostile_fail(h, "no disk: %s", err.text);
	close(fd);
}

static struct guest_ring *ring_of(struct hostile *h)
{
	return driver_ring(h, slot, 0);
}

static void put_header(struct hostile *h, uint32_t type, uint64_t sector)
{
	script_write(h, 8, HEADER, type);
	script_write(h, 8, HEADER + 8, sector);
	script_write(h, 1, STATUS, UNANSWERED);
}

/* Offers a header, length bytes of data (0: none) and the status, in descriptors 0 to 2. */
static void put_request(struct hostile *h, uint32_t type, uint64_t sector, uint32_t length)
{
	struct guest_ring *ring = ring_of(h);
	uint16_t write = type == T_IN ? DESC_WRITE : 0;

	put_header(h, type, sector);
	driver_descriptor(h, ring, 0, HEADER, 16, DESC_NEXT, length ? 1 : 2);
	driver_descriptor(h, ring, 1, DATA, length, (uint16_t)(DESC_NEXT | write), 2);
	driver_descriptor(h, ring, 2, STATUS, 1, DESC_WRITE, 0);
	driver_offer(h, ring, 0);
}

static void expect_status(struct hostile *h, uint8_t status, const char *what)
{
	driver_kick(h, ring_of(h));
	driver_expect_used(h, ring_of(h), 1, what);
	script_expect(h, script_read(h, 1, STATUS), status, what);
}

/* Reads return what was written: the positive twin of all refusals. */
static void expect_works(struct hostile *h)
{
	script_write(h, 8, DATA, PATTERN);
	script_write(h, 8, DATA + 1016, ~PATTERN);
	put_request(h, T_OUT, SECTORS - 2, 1024);
	expect_status(h, 0, "a write within the disk");
	put_request(h, T_FLUSH, 0, 0);
	expect_status(h, 0, "a flush");
	script_write(h, 8, DATA, 0);
	script_write(h, 8, DATA + 1016, 0);
	put_request(h, T_IN, SECTORS - 2, 1024);
	expect_status(h, 0, "a read within the disk");
	script_expect(h, script_read(h, 8, DATA), PATTERN, "what was written is read");
	script_expect(h, script_read(h, 8, DATA + 1016), ~PATTERN, "to its end");
}

static void works(struct hostile *h)
{
	driver_bring_up(h, SLOT_DISK);
	expect_works(h);
	driver_expect_rng(h);
}

static void requests_beyond(struct hostile *h)
{
	static const uint64_t sector[] = {
		SECTORS,
		SECTORS - 1, /* of two sectors */
		UINT64_MAX,
		UINT64_MAX - 1,
		UINT64_C(1) << 55,
		(UINT64_C(1) << 55) - 1,
		(UINT64_C(1) << 55) + 1,
		UINT64_C(1) << 54,
		UINT64_C(1) << 63,
		UINT32_MAX,
	};
	static const uint32_t type[] = {T_IN, T_OUT};
	size_t i, k;

	driver_bring_up(h, SLOT_DISK);
	script_write(h, 8, DATA, OTHER);
	for (i = 0; i < ARRAY_SIZE(sector); i++)
		for (k = 0; k < ARRAY_SIZE(type); k++) {
			put_request(h, type[k], sector[i], 1024);
			expect_status(h, 1, "a request beyond the disk");
		}
	script_expect(h, script_read(h, 8, DATA), OTHER, "nothing was read");
	expect_works(h);
	driver_expect_rng(h);
}

static void malformed_requests(struct hostile *h)
{
	struct guest_ring *ring = ring_of(h);
	uint32_t length;

	driver_bring_up(h, SLOT_DISK);
	for (length = 1; length < 512; length += 73) {
		put_request(h, T_IN, 0, length);
		expect_status(h, 1, "a part of a sector");
	}
	put_request(h, 0xffffffff, 0, 512);
	expect_status(h, 2, "an unknown type");
	put_request(h, T_DISCARD, 0, 16);
	expect_status(h, 2, "a type that was not negotiated");
	put_request(h, T_IN, 0, 0);
	expect_status(h, 1, "a read of nothing");
	/* Only a status; and a chain without room for one. */
	put_header(h, T_IN, 0);
	driver_descriptor(h, ring, 0, STATUS, 1, DESC_WRITE, 0);
	driver_offer(h, ring, 0);
	expect_status(h, 1, "a status only");
	put_header(h, T_OUT, 0);
	driver_descriptor(h, ring, 0, HEADER, 16, DESC_NEXT, 1);
	driver_descriptor(h, ring, 1, DATA, 512, 0, 0);
	driver_offer(h, ring, 0);
	expect_status(h, UNANSWERED, "no place for a status");
	/* The status goes over the header. */
	put_header(h, T_IN, 0);
	driver_descriptor(h, ring, 0, HEADER, 16, DESC_NEXT, 1);
	driver_descriptor(h, ring, 1, DATA, 512, DESC_WRITE | DESC_NEXT, 2);
	driver_descriptor(h, ring, 2, HEADER, 1, DESC_WRITE, 0);
	driver_offer(h, ring, 0);
	expect_status(h, UNANSWERED, "a status over the header");
	expect_works(h);
	driver_expect_rng(h);
}

static void chains_out_of_memory(struct hostile *h)
{
	static const uint64_t address[] = {HOSTILE_MEMORY - 512, HOSTILE_MEMORY, LAYOUT_VIRTIO_BASE,
					   UINT64_MAX - 511};
	struct guest_ring *ring = ring_of(h);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(address); i++) {
		driver_bring_up(h, SLOT_DISK);
		put_header(h, T_IN, 0);
		driver_descriptor(h, ring, 0, HEADER, 16, DESC_NEXT, 1);
		driver_descriptor(h, ring, 1, address[i], 1024, DESC_WRITE | DESC_NEXT, 2);
		driver_descriptor(h, ring, 2, STATUS, 1, DESC_WRITE, 0);
		driver_offer(h, ring, 0);
		driver_kick(h, ring);
		driver_expect_status_soon(h, SLOT_DISK, BROKEN, "data out of memory");
	}
	driver_bring_up(h, SLOT_DISK);
	expect_works(h);
	driver_expect_rng(h);
}

/* Full rings of requests, with more doorbells than needed. */
static void flood(struct hostile *h)
{
	struct guest_ring *ring = ring_of(h);
	unsigned round;

	driver_bring_up(h, SLOT_DISK);
	for (round = 0; round < 20; round++) {
		put_request(h, round % 2 ? T_IN : T_OUT, 0, 65536);
		driver_flood(h, ring, 10);
	}
	expect_works(h);
	driver_expect_rng(h);
}

/* Once the reset is acknowledged, no request has an effect any more. */
static void resets_under_way(struct hostile *h)
{
	struct guest_ring *ring = ring_of(h);
	unsigned round;

	driver_bring_up(h, SLOT_DISK);
	script_write(h, 8, DATA, PATTERN);
	put_request(h, T_OUT, 0, BIG_DATA);
	expect_status(h, 0, "a large write");
	for (round = 0; round < 20; round++) {
		driver_bring_up(h, SLOT_DISK);
		put_request(h, T_IN, 0, BIG_DATA);
		driver_fill(h, ring);
		driver_kick(h, ring);
		/* In some rounds some requests, or all, are done before the reset. */
		script_wait_briefly(h, ring->base + RING_USED + 2, (uint16_t)(round % 8), 1000);
		driver_write(h, SLOT_DISK, REG_STATUS, 0);
		script_write(h, 8, DATA, OTHER);
		script_write(h, 1, STATUS, UNANSWERED);
		script_wait_briefly(h, STATUS, 0, RESET_LOOKS);
		script_expect(h, script_read(h, 8, DATA), OTHER, "nothing is read after a reset");
		script_expect(h, script_read(h, 1, STATUS), UNANSWERED, "nor is it told");
	}
	driver_bring_up(h, SLOT_DISK);
	expect_works(h);
	driver_expect_rng(h);
}

static void expect_image(struct hostile *h, uint64_t sector)
{
	script_write(h, 8, DATA, 0);
	script_write(h, 8, DATA + 1016, 0);
	put_request(h, T_IN, sector, 1024);
	expect_status(h, 0, "a read of the image");
	script_expect(h, script_read(h, 8, DATA), PATTERN, "the image is as it was");
	script_expect(h, script_read(h, 8, DATA + 1016), PATTERN, "to the end of the read");
}

/* The image is a file that sandboxes share: no request writes to it, negotiated or not. */
static void writes_to_an_image(struct hostile *h)
{
	static const uint32_t writing[] = {T_OUT, T_DISCARD, T_ZEROES, T_SECURE_ERASE};
	static const uint64_t sector[] = {0, 1, SECTORS / 2, SECTORS - 2};
	struct guest_ring *ring = ring_of(h);
	size_t i, k;

	driver_bring_up(h, SLOT_IMAGE);
	for (i = 0; i < ARRAY_SIZE(sector); i++) {
		for (k = 0; k < ARRAY_SIZE(writing); k++) {
			/* as data, and as the one range of 16 bytes that some types have */
			script_write(h, 8, DATA, sector[i]);
			script_write(h, 8, DATA + 8, 2);
			put_request(h, writing[k], sector[i], k == 0 ? 1024 : 16);
			/* IOERR for a write, UNSUPP for what a read-only disk does not offer */
			expect_status(h, k == 0 ? 1 : 2, "a request that would write");
		}
		expect_image(h, sector[i]);
	}
	/* A write whose data the device may write to, and a read with data that it may not. */
	put_header(h, T_OUT, 0);
	driver_descriptor(h, ring, 0, HEADER, 16, DESC_NEXT, 1);
	driver_descriptor(h, ring, 1, DATA, 512, DESC_WRITE | DESC_NEXT, 2);
	driver_descriptor(h, ring, 2, STATUS, 1, DESC_WRITE, 0);
	driver_offer(h, ring, 0);
	expect_status(h, 1, "a write with data to be written");
	expect_image(h, 0);
	driver_expect_rng(h);
}

/* Type and sector change all the time: the device must check and use the same copy of each. */
static void changing_headers(struct hostile *h)
{
	unsigned round;

	driver_bring_up(h, SLOT_DISK);
	script_flip(h, HEADER, T_IN);
	script_flip(h, HEADER + 14, 0xffff);
	script_flip(h, HEADER, T_OUT);
	script_flip(h, HEADER + 14, 0);
	script_flip(h, HEADER + 8, 0xffff);
	script_flip(h, HEADER, 99);
	script_flip(h, HEADER + 8, 1);
	for (round = 0; round < 200; round++) {
		put_request(h, round % 2 ? T_IN : T_OUT, 1, 512);
		driver_kick(h, ring_of(h));
		driver_expect_used(h, ring_of(h), 1, "a request that changes");
	}
	driver_expect_rng(h);
}

static const struct hostile_test tests[] = {
	{.name = "a_disk_works", .setup = setup, .build = works},
	{.name = "requests_beyond_the_disk", .setup = setup, .build = requests_beyond},
	{.name = "malformed_requests", .setup = setup, .build = malformed_requests},
	{.name = "data_out_of_memory", .setup = setup, .build = chains_out_of_memory},
	{.name = "a_flood_of_requests", .setup = setup, .build = flood},
	{.name = "resets_with_requests_under_way", .setup = setup, .build = resets_under_way},
	{.name = "writes_to_an_image", .setup = setup_image, .build = writes_to_an_image},
	{.name = "headers_that_change",
	 .setup = setup,
	 .build = changing_headers,
	 .flip_thread = true},
};

HOSTILE_MAIN(tests)
