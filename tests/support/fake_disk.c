/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"

#define THREADS 2

/* Fuzzers use this too, so the check library is not available. */
static void must(bool true_one, const char *what)
{
	if (true_one)
		return;
	fprintf(stderr, "fake disk: %s: %s\n", what, strerror(errno));
	abort();
}

void fake_disk_image(struct fake_disk *disk, uint64_t bytes)
{
	uint8_t *data = malloc(bytes);
	uint64_t at;
	int fd;

	snprintf(disk->image, sizeof(disk->image), "/tmp/cordon-test-image.XXXXXX");
	fd = mkstemp(disk->image);
	must(fd >= 0 && data, "image");
	for (at = 0; at < bytes; at++)
		data[at] = (uint8_t)(at / DISK_SECTOR);
	must(write(fd, data, bytes) == (ssize_t)bytes, "image");
	free(data);
	close(fd);
}

struct disk *fake_disk_open(struct fake_disk *disk)
{
	struct disk *image;

	must(disk_open_image(&image, disk->image, NULL) == 0, "open");
	return image;
}

struct disk *fake_disk_layered(struct fake_disk *disk, uint64_t bytes_max)
{
	struct disk *layered;

	must(disk_create_overlay(&layered, fake_disk_open(disk), bytes_max, NULL) == 0, "layer");
	return layered;
}

struct disk *fake_disk_scratch(uint64_t bytes)
{
	struct disk *scratch;

	must(disk_create_scratch(&scratch, bytes, NULL) == 0, "scratch");
	return scratch;
}

void fake_disk_begin(struct fake_disk *disk, struct disk *with)
{
	if (!disk->config.name)
		disk->config.name = "blk0";
	if (!disk->config.queues)
		disk->config.queues = 1;
	must(loop_create(&disk->loop) == 0, "loop");
	must(pool_create(&disk->pool, disk->loop) == 0, "pool");
	must(disk->small || pool_start(disk->pool, THREADS) == 0, "threads");
	must(blk_create(&disk->blk, disk->loop, disk->pool, &disk->config) == 0, "device");
	fake_guest_init(&disk->guest, disk->small ? KIB(256) : MIB(8));
	fake_guest_attach(&disk->guest, blk_device(disk->blk));
	if (with)
		blk_set_disk(disk->blk, with);
	must(fake_guest_bring_up(&disk->guest, disk->features), "DRIVER_OK");
	disk->data = fake_guest_alloc(&disk->guest, disk->small ? KIB(64) : MIB(4), 4096);
}

void fake_disk_end(struct fake_disk *disk)
{
	blk_destroy(disk->blk);
	pool_destroy(disk->pool);
	loop_destroy(disk->loop);
	fake_guest_destroy(&disk->guest);
	if (disk->image[0])
		unlink(disk->image);
	*disk = (struct fake_disk){0};
}

void fake_disk_offer(struct fake_disk *disk, unsigned queue, uint32_t type, uint64_t sector,
		     uint32_t length, bool writable)
{
	struct fake_segment segment[3];
	unsigned count = 0;
	uint8_t *header;

	disk->header = fake_guest_alloc(&disk->guest, 16, 16);
	disk->status = fake_guest_alloc(&disk->guest, 1, 1);
	header = fake_guest_at(&disk->guest, disk->header);
	store_le32(header, type);
	store_le64(header + 8, sector);
	*(uint8_t *)fake_guest_at(&disk->guest, disk->status) = FAKE_DISK_NONE;
	segment[count++] = (struct fake_segment){disk->header, 16, false};
	if (length > 0)
		segment[count++] = (struct fake_segment){disk->data, length, writable};
	segment[count++] = (struct fake_segment){disk->status, 1, true};
	fake_queue_add(&disk->guest.queue[queue], segment, count);
}

struct wait {
	struct fake_disk *disk;
	struct fake_queue *queue;
	uint16_t index;
	struct loop_timer timer;
};

static void look(void *arg)
{
	struct wait *wait = arg;

	if ((int16_t)(fake_queue_used_index(wait->queue) - wait->index) >= 0)
		loop_stop(wait->disk->loop);
	else
		loop_timer_start(wait->disk->loop, &wait->timer,
				 wait->disk->small || wait->disk->busy ? 0 : 100000);
}

void fake_disk_wait(struct fake_disk *disk, unsigned queue, unsigned count)
{
	struct fake_queue *of = &disk->guest.queue[queue];
	struct wait wait = {.disk = disk, .queue = of};
	uint32_t head, written;

	wait.index = (uint16_t)(of->used_index + count);
	wait.timer = (struct loop_timer){.expired = look, .arg = &wait};
	fake_queue_kick(of);
	loop_timer_start(disk->loop, &wait.timer, 0);
	must(loop_run(disk->loop) == 0, "loop");
	while (count-- > 0)
		must(fake_queue_take_used(of, &head, &written), "used");
}

uint8_t fake_disk_do(struct fake_disk *disk, uint32_t type, uint64_t sector, uint32_t length,
		     bool writable)
{
	fake_disk_offer(disk, 0, type, sector, length, writable);
	fake_disk_wait(disk, 0, 1);
	return *(uint8_t *)fake_guest_at(&disk->guest, disk->status);
}

static void stop(void *arg)
{
	loop_stop(arg);
}

void fake_disk_run(struct fake_disk *disk, uint64_t ns)
{
	struct loop_timer timer = {.expired = stop, .arg = disk->loop};

	loop_timer_start(disk->loop, &timer, ns);
	must(loop_run(disk->loop) == 0, "loop");
}

uint8_t *fake_disk_bytes(struct fake_disk *disk)
{
	return fake_guest_at(&disk->guest, disk->data);
}
