/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the block device: a script makes chains that are valid or wrong in one place, of
 * every type, in segments of any size, on an image with a private layer or a scratch disk, with
 * resets, changes of the disk, saves and broken rings in between. What must hold: every chain comes
 * back once with a status of the specification, the image never changes, and a sector reads as what
 * the script is known to have written to it last.
 */
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tests/support/fake_disk.h"
#include "vmm/base/log.h"

#define SECTORS 32u
#define STEPS	48

static struct fake_disk disk;
static uint8_t known[SECTORS]; /* the byte that fills a sector */
static bool sure[SECTORS];
static bool image;

static void begin(struct fuzz_script *script)
{
	unsigned i;

	disk = (struct fake_disk){.small = true, .config.queues = 1 + fuzz_below(script, 3)};
	disk.features = fuzz_below(script, 2) ? FAKE_DISK_F_FLUSH : 0;
	if (!fuzz_rarely(script, 8))
		disk.features |= FAKE_DISK_F_DISCARD | FAKE_DISK_F_WRITE_ZEROES;
	if (!fuzz_rarely(script, 8))
		disk.features |= FAKE_F_INDIRECT_DESC;
	image = fuzz_below(script, 2);
	if (image)
		fake_disk_image(&disk, SECTORS * DISK_SECTOR);
	fake_disk_begin(&disk, image ? fake_disk_layered(&disk, SECTORS * DISK_SECTOR)
				     : fake_disk_scratch(SECTORS * DISK_SECTOR));
	for (i = 0; i < SECTORS; i++) {
		known[i] = image ? (uint8_t)i : 0;
		sure[i] = true;
	}
}

static void image_is_unchanged(void)
{
	struct disk *plain = fake_disk_open(&disk);
	uint8_t bytes[DISK_SECTOR];
	unsigned i;

	for (i = 0; i < SECTORS; i++) {
		FUZZ_REQUIRE(disk_read(plain, i * DISK_SECTOR, bytes, sizeof(bytes)) ==
			     DISK_SECTOR);
		FUZZ_REQUIRE(bytes[0] == i && bytes[DISK_SECTOR - 1] == i);
	}
	disk_destroy(plain);
}

/* A valid request within the disk, whose outcome the script knows. */
static void right(struct fuzz_script *script)
{
	uint32_t sector = fuzz_below(script, SECTORS), i;
	uint32_t count = 1 + fuzz_below(script, SECTORS - sector);
	uint8_t value = (uint8_t)fuzz_number(script, 1), *bytes = fake_disk_bytes(&disk);
	bool write = fuzz_below(script, 2);

	memset(bytes, value, (size_t)count * DISK_SECTOR);
	FUZZ_REQUIRE(fake_disk_do(&disk, write ? FAKE_DISK_OUT : FAKE_DISK_IN, sector,
				  count * DISK_SECTOR, !write) == FAKE_DISK_OK);
	for (i = sector; i < sector + count; i++, bytes += DISK_SECTOR) {
		if (write) {
			known[i] = value;
			sure[i] = true;
		} else if (sure[i]) {
			FUZZ_REQUIRE(bytes[0] == known[i] && bytes[DISK_SECTOR - 1] == known[i]);
		}
	}
}

static uint64_t number_near(struct fuzz_script *script)
{
	static const uint64_t bases[] = {
		0, SECTORS, UINT64_MAX, UINT64_C(1) << 55, UINT64_C(1) << 54, UINT32_MAX};

	return bases[fuzz_below(script, ARRAY_SIZE(bases))] + fuzz_number(script, 1) - 8;
}

/* Writes a range of a discard or write-zeroes request, near a valid one or not. */
static void fill_range(struct fuzz_script *script, uint8_t *to)
{
	store_le64(to, number_near(script));
	store_le32(to + 8, (uint32_t)number_near(script));
	store_le32(to + 12, fuzz_rarely(script, 4) ? (uint32_t)fuzz_number(script, 4) : 0);
}

/* Any request: segments of any size, the last writable one for the status. */
static void anything(struct fuzz_script *script)
{
	static const uint32_t types[] = {0, 1, 4, 8, 11, 13, 10, 14, 99};
	struct fake_queue *queue = &disk.guest.queue[fuzz_below(script, disk.config.queues)];
	struct fake_segment segment[6];
	uint64_t header = fake_guest_alloc(&disk.guest, 16, 16);
	uint8_t *raw = fake_guest_at(&disk.guest, header);
	unsigned count = 1 + fuzz_below(script, ARRAY_SIZE(segment)), i;
	bool writable = false;

	store_le32(raw, types[fuzz_below(script, ARRAY_SIZE(types))]);
	store_le64(raw + 8, number_near(script));
	for (i = 0; i < 16; i++)
		fill_range(script, fake_disk_bytes(&disk) + 16 * i);
	segment[0] = (struct fake_segment){
		header, fuzz_rarely(script, 8) ? 1 + fuzz_below(script, 16) : 16, false};
	for (i = 1; i < count; i++) {
		writable = writable || fuzz_below(script, 2);
		segment[i] = (struct fake_segment){disk.data,
						   fuzz_below(script, 2)
							   ? 1 + fuzz_number(script, 2) % 8192
							   : 512u * (1 + fuzz_below(script, 8)),
						   writable};
	}
	if (!fuzz_rarely(script, 8) && count < ARRAY_SIZE(segment))
		segment[count++] =
			(struct fake_segment){fake_guest_alloc(&disk.guest, 1, 1), 1, true};
	/* Without the feature an indirect table breaks the ring: no chain comes back then. */
	if ((disk.features & FAKE_F_INDIRECT_DESC) && fuzz_below(script, 2))
		fake_queue_add_indirect(queue, segment, count);
	else
		fake_queue_add(queue, segment, count);
	memset(sure, 0, sizeof(sure));
	if (!fuzz_rarely(script, 6))
		fake_disk_wait(&disk, (unsigned)(queue - disk.guest.queue),
			       (uint16_t)(queue->avail_index - queue->used_index));
}

static void again(void)
{
	fake_write(&disk.guest, FAKE_REG_STATUS, 0);
	fake_guest_forget(&disk.guest);
	FUZZ_REQUIRE(fake_guest_bring_up(&disk.guest, disk.features));
	disk.data = fake_guest_alloc(&disk.guest, KIB(64), 4096);
}

static void other_disk(void)
{
	unsigned i;

	blk_set_disk(disk.blk, fake_disk_scratch(SECTORS * DISK_SECTOR));
	for (i = 0; i < SECTORS; i++) {
		known[i] = 0;
		sure[i] = true;
	}
}

/* Every chain offered has come back once: none is lost or used twice. */
static void settle(void)
{
	struct fake_queue *queue;
	unsigned i;

	for (i = 0; i < disk.config.queues; i++) {
		queue = &disk.guest.queue[i];
		if (queue->avail_index != queue->used_index)
			fake_disk_wait(&disk, i,
				       (uint16_t)(queue->avail_index - queue->used_index));
		FUZZ_REQUIRE(fake_queue_used_index(queue) == queue->avail_index);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = {.at = data, .left = size};
	struct pack pack = {.data = NULL};
	unsigned steps;

	log_set_level(LOG_LEVEL_ERROR);
	begin(&script);
	for (steps = 0; steps < STEPS && !fuzz_ended(&script); steps++) {
		switch (fuzz_below(&script, 10)) {
		case 0:
			again();
			break;
		case 1:
			other_disk();
			break;
		case 2:
			blk_hold(disk.blk, true);
			while (!blk_idle(disk.blk))
				fake_disk_run(&disk, 0);
			virtio_mmio_save(&disk.guest.mmio, &pack);
			blk_hold(disk.blk, false);
			pack_free(&pack);
			break;
		case 3:
		case 4:
		case 5:
			settle();
			right(&script);
			break;
		default:
			anything(&script);
			break;
		}
	}
	settle();
	if (image)
		image_is_unchanged();
	fake_disk_end(&disk);
	return 0;
}
