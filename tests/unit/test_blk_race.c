/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread reads a private layer while another writes a block for the first time: the blocks next
 * to it must still read as the image's. The control looks at the map twice, as a careless reader
 * would, and loses the race.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "devices/blk/overlay.h"
#include "devices/blk/sizes.h"
#include "tests/support/fake_disk.h"
#include "tests/support/unit.h"

#define BLOCKS	    64u /* of an extent: one is written, all are read */
#define EXTENT	    (BLOCKS * DISK_BLOCK)
#define EXTENTS	    64u
#define ROUNDS_MAX  200u
#define IMAGE_BYTES ((uint64_t)EXTENTS * EXTENT + DISK_BLOCK)

typedef int64_t (*reader)(struct overlay *overlay, uint64_t offset, void *to, uint64_t length);

static struct fake_disk image;
static int image_fd;
static struct overlay *layered;
static atomic_uint extent; /* that reader and writer have reached */
static atomic_bool over;

static bool is_private(const struct overlay *overlay, uint64_t block)
{
	return atomic_load(&overlay->map[block / 8]) >> (block % 8) & 1;
}

/* Takes the length of the run from one look at the map, but the file from a second look. */
static int64_t read_carelessly(struct overlay *overlay, uint64_t offset, void *to, uint64_t length)
{
	uint64_t block = offset / DISK_BLOCK, i;
	bool private = is_private(overlay, block);

	for (i = 1; i < length / DISK_BLOCK && is_private(overlay, block + i) == private; i++)
		;
	sched_yield();
	return pread(is_private(overlay, block) ? overlay->fd : overlay->image_fd, to,
		     i * DISK_BLOCK, (off_t)offset);
}

/* Writes the first block of each extent that the reader reaches. */
static void *write_first_blocks(void *arg)
{
	static uint8_t block[DISK_BLOCK];
	unsigned done = 0, now;

	(void)arg;
	memset(block, 0xff, sizeof(block));
	/* Makes the layer's file long, so that blocks not in it read as zeros. */
	ck_assert_int_eq(overlay_write(layered, (uint64_t)EXTENTS * EXTENT, block, sizeof(block)),
			 DISK_BLOCK);
	while (!atomic_load(&over)) {
		now = atomic_load(&extent);
		if (now == done) {
			sched_yield();
			continue;
		}
		ck_assert_int_eq(
			overlay_write(layered, (uint64_t)(now - 1) * EXTENT, block, sizeof(block)),
			DISK_BLOCK);
		done = now;
	}
	return NULL;
}

/* Whether the blocks after the first one, as far as they were read, are the image's. */
static bool is_whole(const uint8_t *bytes, int64_t length, uint64_t offset)
{
	int64_t i;

	for (i = DISK_BLOCK + DISK_SECTOR; i < length; i += DISK_BLOCK)
		if (bytes[i] != (uint8_t)((offset + (uint64_t)i) / DISK_SECTOR))
			return false;
	return true;
}

/* Goes through all extents of a new layer. Returns how many reads were wrong. */
static unsigned race(reader read_layer)
{
	static uint8_t bytes[EXTENT];
	unsigned lost = 0, i;
	struct err err = {""};
	pthread_t writer;
	int64_t n;

	ck_assert_int_eq(overlay_create(&layered, image_fd, IMAGE_BYTES, MIB(64), &err), 0);
	atomic_store(&extent, 0);
	atomic_store(&over, false);
	ck_assert_int_eq(pthread_create(&writer, NULL, write_first_blocks, NULL), 0);
	for (i = 0; i < EXTENTS; i++) {
		atomic_store(&extent, i + 1);
		/*
		 * Until the write is visible, so that one of these reads ran concurrently with it.
		 */
		do {
			bytes[0] = 0;
			n = read_layer(layered, (uint64_t)i * EXTENT, bytes, EXTENT);
			lost += n < (int64_t)DISK_BLOCK || !is_whole(bytes, n, i * EXTENT);
		} while (bytes[0] != 0xff);
	}
	atomic_store(&over, true);
	pthread_join(writer, NULL);
	overlay_destroy(layered);
	return lost;
}

START_TEST(a_first_write_leaves_its_neighbours_alone)
{
	unsigned rounds = 0, lost = 0;

	image = (struct fake_disk){.image = ""};
	fake_disk_image(&image, IMAGE_BYTES);
	image_fd = open(image.image, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(image_fd, 0);
	/*
	 * The control first: the real test then runs more than twice as many rounds as it needed.
	 */
	while (lost == 0 && rounds++ < ROUNDS_MAX)
		lost = race(read_carelessly);
	ck_assert_msg(lost > 0, "the control never lost: this proves nothing");
	for (rounds = rounds * 2 + 20; rounds > 0; rounds--)
		ck_assert_uint_eq(race(overlay_read), 0);
	close(image_fd);
	unlink(image.image);
}
END_TEST

UNIT_MAIN("blk_race", a_first_write_leaves_its_neighbours_alone)
