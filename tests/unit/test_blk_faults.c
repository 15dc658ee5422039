/* SPDX-License-Identifier: Apache-2.0 */
/* The block device under load, with a host that fails, and with a driver that gives up. */
#include "devices/blk/blk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include "devices/blk/page_cache.h"
#include "vmm/base/bucket.h"
#include "tests/support/fake_disk.h"
#include "tests/support/unit.h"

#define EVERY_ONE (FAKE_DISK_F_FLUSH | FAKE_DISK_F_DISCARD | FAKE_DISK_F_WRITE_ZEROES)

static struct fake_disk disk;

static void begin(uint64_t bytes)
{
	disk = (struct fake_disk){.features = EVERY_ONE};
	fake_disk_begin(&disk, fake_disk_scratch(bytes));
}

static int64_t read_cached(const char *path, uint64_t offset)
{
	uint8_t bytes[512];
	const struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int64_t n = page_cache_read(fd, offset, &iov, 1);

	close(fd);
	return n;
}

static uint8_t status(void)
{
	return *(uint8_t *)fake_guest_at(&disk.guest, disk.status);
}

START_TEST(an_image_that_was_cut_is_an_error)
{
	disk = (struct fake_disk){.features = EVERY_ONE};
	fake_disk_image(&disk, 64 * 512);
	fake_disk_begin(&disk, fake_disk_open(&disk));
	ck_assert_int_eq(truncate(disk.image, 10 * 512 + 100), 0);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_IN, 9, 512, true), FAKE_DISK_OK);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_IN, 10, 512, true), FAKE_DISK_IOERR);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_IN, 8, 4096, true), FAKE_DISK_IOERR);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_IN, 40, 512, true), FAKE_DISK_IOERR);
	/* It is for a thread to find the end: some hosts show one where the page cache has none. */
	ck_assert_int_eq(read_cached(disk.image, 10 * 512), 100);
	ck_assert_int_eq(read_cached(disk.image, 11 * 512), -EAGAIN);
	fake_disk_end(&disk);
	/* Nor does a private layer copy from beyond the cut. */
	disk = (struct fake_disk){.features = EVERY_ONE};
	fake_disk_image(&disk, 64 * 512);
	fake_disk_begin(&disk, fake_disk_layered(&disk, MIB(1)));
	ck_assert_int_eq(truncate(disk.image, 512), 0);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_OUT, 1, 512, false), FAKE_DISK_IOERR);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_OUT, 8, 4096, false), FAKE_DISK_OK);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(a_host_without_room_is_an_error)
{
	struct rlimit limit = {.rlim_cur = 65536, .rlim_max = RLIM_INFINITY}, before;

	getrlimit(RLIMIT_FSIZE, &before);
	limit.rlim_max = before.rlim_max;
	begin(MIB(1));
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	/*
	 * Up to the limit; across it, where the host writes a part; beyond it. No SIGXFSZ either.
	 */
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_OUT, 127, 512, false), FAKE_DISK_OK);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_OUT, 120, 8192, false), FAKE_DISK_IOERR);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_OUT, 256, 512, false), FAKE_DISK_IOERR);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_IN, 256, 512, true), FAKE_DISK_OK);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_OUT, 256, 512, false), FAKE_DISK_OK);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(a_driver_without_flush_gets_it_with_each_write)
{
	struct blk_stats stats;

	disk = (struct fake_disk){.features = 0};
	fake_disk_begin(&disk, fake_disk_scratch(MIB(1)));
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_OUT, 0, 512, false), FAKE_DISK_OK);
	/* What was not negotiated is unsupported, but a flush is harmless. */
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_ZEROES, 0, 16, false), FAKE_DISK_UNSUPP);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_FLUSH, 0, 0, false), FAKE_DISK_OK);
	blk_stats(disk.blk, &stats);
	ck_assert_uint_eq(stats.writes, 1);
	ck_assert_uint_eq(stats.bytes_written, 512);
	ck_assert_uint_eq(stats.flushes, 1);
	ck_assert_uint_eq(stats.failed, 1);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(a_full_ring_is_served)
{
	unsigned i, rounds, each = BLK_QUEUE_SIZE / 3;

	begin(MIB(1));
	for (rounds = 0; rounds < 20; rounds++) {
		for (i = 0; i < each; i++)
			fake_disk_offer(&disk, 0, i % 2 ? FAKE_DISK_IN : FAKE_DISK_OUT, i, 4096,
					i % 2);
		fake_disk_wait(&disk, 0, each);
		ck_assert_uint_eq(status(), FAKE_DISK_OK);
		fake_guest_interrupts(&disk.guest);
	}
	fake_disk_end(&disk);
}
END_TEST

/* Requests that need no thread of the pool do not occupy the loop: other sources get a turn. */
START_TEST(a_flood_of_nonsense_is_served_in_turns)
{
	uint64_t segment;
	unsigned i;

	begin(MIB(1));
	segment = fake_guest_alloc(&disk.guest, 16, 16);
	for (i = 0; i < BLK_QUEUE_SIZE; i++)
		fake_queue_add_one(&disk.guest.queue[0], segment, 1, true);
	fake_queue_kick(&disk.guest.queue[0]);
	ck_assert_uint_lt(fake_queue_used_index(&disk.guest.queue[0]), BLK_QUEUE_SIZE);
	ck_assert_uint_gt(fake_queue_used_index(&disk.guest.queue[0]), 0);
	fake_disk_wait(&disk, 0, BLK_QUEUE_SIZE);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(queues_are_independent)
{
	unsigned queue;

	disk = (struct fake_disk){.features = EVERY_ONE | FAKE_DISK_F_MQ, .config.queues = 4};
	fake_disk_begin(&disk, fake_disk_scratch(MIB(1)));
	ck_assert_uint_eq(fake_read_size(&disk.guest, FAKE_REG_CONFIG + 34, 2), 4);
	for (queue = 0; queue < 4; queue++) {
		memset(fake_disk_bytes(&disk), (int)queue + 1, 512);
		fake_disk_offer(&disk, queue, FAKE_DISK_OUT, queue, 512, false);
		fake_disk_wait(&disk, queue, 1);
		ck_assert_uint_eq(status(), FAKE_DISK_OK);
	}
	/* A broken ring stops the device until its reset, and nothing else. */
	fake_queue_set_avail_index(&disk.guest.queue[2], 9999);
	fake_queue_kick(&disk.guest.queue[2]);
	ck_assert(fake_status(&disk.guest) & FAKE_ST_NEEDS_RESET);
	fake_guest_forget(&disk.guest);
	ck_assert(fake_guest_bring_up(&disk.guest, disk.features));
	disk.data = fake_guest_alloc(&disk.guest, 4096, 4096);
	fake_disk_offer(&disk, 3, FAKE_DISK_IN, 0, 2048, true);
	fake_disk_wait(&disk, 3, 1);
	for (queue = 0; queue < 4; queue++)
		ck_assert_uint_eq(fake_disk_bytes(&disk)[queue * 512 + 511], queue + 1);
	fake_disk_end(&disk);
}
END_TEST

/* As many large reads as can be under way, of a disk without any zero byte. */
static void flood_of_reads(void)
{
	unsigned i;

	begin(MIB(4));
	memset(fake_disk_bytes(&disk), 0x77, MIB(4));
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_OUT, 0, MIB(4), false), FAKE_DISK_OK);
	for (i = 0; i < BLK_QUEUE_SIZE / 3; i++)
		fake_disk_offer(&disk, 0, FAKE_DISK_IN, 0, MIB(4), true);
	fake_queue_kick(&disk.guest.queue[0]);
}

static bool memory_is_zero(void)
{
	uint64_t i;

	for (i = 0; i < disk.guest.ram_size; i++)
		if (disk.guest.ram[i] != 0)
			return false;
	return true;
}

START_TEST(nothing_is_written_after_a_reset)
{
	unsigned round;

	for (round = 0; round < 10; round++) {
		flood_of_reads();
		fake_write(&disk.guest, FAKE_REG_STATUS, 0);
		ck_assert_uint_eq(fake_status(&disk.guest), 0);
		memset(disk.guest.ram, 0, disk.guest.ram_size);
		fake_disk_run(&disk, 5000000);
		ck_assert(memory_is_zero());
		/* The device comes up again. */
		fake_guest_forget(&disk.guest);
		ck_assert(fake_guest_bring_up(&disk.guest, disk.features));
		disk.data = fake_guest_alloc(&disk.guest, MIB(4), 4096);
		ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_IN, 0, 512, true), FAKE_DISK_OK);
		fake_disk_end(&disk);
	}
}
END_TEST

/* The control: without the reset the reads' data does come. */
START_TEST(without_a_reset_it_is_written)
{
	static const uint8_t zeros[MIB(4)];

	flood_of_reads();
	/* As a vCPU would: the device writes there at the same time. */
	guest_copy_out(fake_disk_bytes(&disk), zeros, sizeof(zeros));
	fake_disk_wait(&disk, 0, BLK_QUEUE_SIZE / 3);
	ck_assert_uint_eq(fake_disk_bytes(&disk)[0], 0x77);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(destroying_works_at_any_time)
{
	blk_destroy(NULL);
	pool_destroy(NULL);
	disk_destroy(NULL);
	flood_of_reads();
	fake_disk_end(&disk);
	/* Before the pool has threads there is nothing to do or to wait for. */
	begin(MIB(1));
	fake_disk_end(&disk);
}
END_TEST

START_TEST(a_disk_changes_under_load)
{
	flood_of_reads();
	blk_set_disk(disk.blk, fake_disk_scratch(MIB(1)));
	/* Requests under way have finished on the old disk; the rest finds a smaller disk. */
	fake_disk_wait(&disk, 0, BLK_QUEUE_SIZE / 3);
	ck_assert_uint_eq(status(), FAKE_DISK_IOERR);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_IN, 0, 512, true), FAKE_DISK_OK);
	ck_assert_uint_eq(fake_disk_bytes(&disk)[0], 0);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(a_drained_device_is_saved_and_goes_on_elsewhere)
{
	struct pack pack = {.data = NULL};
	struct virtio_mmio second;
	struct unpack unpack;
	struct blk *blk;
	uint16_t used;
	struct err err;

	flood_of_reads();
	blk_hold(disk.blk, true);
	while (!blk_idle(disk.blk))
		fake_disk_run(&disk, 1000000);
	/* Chains taken from the ring have been used; the rest stays in the ring. */
	used = fake_queue_used_index(&disk.guest.queue[0]);
	ck_assert_uint_ge(used, BLK_IN_FLIGHT);
	ck_assert_uint_lt(used, 1 + BLK_QUEUE_SIZE / 3);
	virtio_mmio_save(&disk.guest.mmio, &pack);
	ck_assert(!pack.failed);
	/* The first device is gone; its ring is still in memory. */
	blk_destroy(disk.blk);
	ck_assert_int_eq(blk_create(&blk, disk.loop, disk.pool, &disk.config), 0);
	disk.blk = blk;
	virtio_mmio_init(&second, blk_device(blk), &disk.guest.memory, &disk.guest.irq);
	blk_set_disk(blk, fake_disk_scratch(MIB(4)));
	unpack = (struct unpack){.data = pack.data, .length = pack.length};
	ck_assert_int_eq(virtio_mmio_restore(&second, &unpack, &err), 0);
	while (fake_queue_used_index(&disk.guest.queue[0]) < 1 + BLK_QUEUE_SIZE / 3)
		fake_disk_run(&disk, 1000000);
	ck_assert_uint_eq(status(), FAKE_DISK_OK);
	ck_assert_uint_eq(fake_disk_bytes(&disk)[0], 0);
	pack_free(&pack);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(rates_are_kept)
{
	uint64_t begun, passed;
	unsigned i;

	begin(MIB(1));
	blk_set_limits(disk.blk, KIB(256), 0);
	begun = loop_now_ns();
	/* A burst of 256 KiB, one request on credit, then 256 KiB a second. */
	for (i = 0; i < 6; i++)
		ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_OUT, 0, KIB(64), false),
				  FAKE_DISK_OK);
	passed = loop_now_ns() - begun;
	ck_assert_uint_ge(passed, 250000000);
	blk_set_limits(disk.blk, 0, 10);
	begun = loop_now_ns();
	for (i = 0; i < 14; i++)
		fake_disk_offer(&disk, 0, FAKE_DISK_FLUSH, 0, 0, false);
	fake_disk_wait(&disk, 0, 14);
	ck_assert_uint_ge(loop_now_ns() - begun, 300000000);
	/* A reset while the device waits for tokens. */
	for (i = 0; i < 20; i++)
		fake_disk_offer(&disk, 0, FAKE_DISK_FLUSH, 0, 0, false);
	fake_queue_kick(&disk.guest.queue[0]);
	fake_write(&disk.guest, FAKE_REG_STATUS, 0);
	fake_disk_run(&disk, 10000000);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(a_bucket_counts)
{
	struct bucket bucket;

	bucket_init(&bucket, 1000, 0);
	ck_assert_uint_eq(bucket_wait_ns(&bucket, 0), 0);
	bucket_take(&bucket, 1500);
	/* 501 tokens are missing. */
	ck_assert_uint_eq(bucket_wait_ns(&bucket, 0), 501000001);
	ck_assert_uint_ne(bucket_wait_ns(&bucket, 500000000), 0);
	ck_assert_uint_eq(bucket_wait_ns(&bucket, 501000000), 0);
	/* The bucket never holds more than a second's worth. */
	ck_assert_uint_eq(bucket_wait_ns(&bucket, UINT64_C(1) << 62), 0);
	bucket_take(&bucket, 1000);
	ck_assert_uint_ne(bucket_wait_ns(&bucket, UINT64_C(1) << 62), 0);
	/* A fraction of a token is not lost. */
	bucket_init(&bucket, 1, 0);
	bucket_take(&bucket, 1);
	bucket_wait_ns(&bucket, 999999999);
	ck_assert_uint_eq(bucket_wait_ns(&bucket, 1000000000), 0);
	bucket_init(&bucket, 0, 0);
	bucket_take(&bucket, UINT64_MAX);
	ck_assert_uint_eq(bucket_wait_ns(&bucket, 0), 0);
	bucket_init(&bucket, UINT64_MAX, 0);
	bucket_take(&bucket, UINT64_MAX);
	bucket_take(&bucket, UINT64_MAX);
	ck_assert_uint_le(bucket_wait_ns(&bucket, 0), 1100000000);
}
END_TEST

START_TEST(images_are_checked)
{
	struct fake_disk file = {0};
	struct rlimit limit;
	struct disk *out;
	struct err err;
	int fd;

	ck_assert_int_eq(disk_open_image(&out, "/nonexistent/image", &err), -ENOENT);
	ck_assert_int_eq(disk_open_image(&out, "/dev/zero", &err), -EINVAL);
	ck_assert_int_eq(disk_open_image(&out, "/", &err), -EINVAL);
	fake_disk_image(&file, 1000);
	ck_assert_int_eq(disk_open_image(&out, file.image, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "512"));
	ck_assert_int_eq(truncate(file.image, 0), 0);
	ck_assert_int_eq(disk_open_image(&out, file.image, &err), -EINVAL);
	ck_assert_int_eq(truncate(file.image, 1024), 0);
	ck_assert_int_eq(disk_open_image(&out, file.image, &err), 0);
	ck_assert_uint_eq(disk_bytes(out), 1024);
	ck_assert(disk_is_read_only(out));
	/* The image's lock admits other readers, but no writer. */
	fd = open(file.image, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), -1);
	disk_destroy(out);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	ck_assert_int_eq(disk_open_image(&out, file.image, &err), -EBUSY);
	close(fd);
	unlink(file.image);
	ck_assert_int_eq(disk_create_scratch(&out, 4095, &err), -EINVAL);
	ck_assert_int_eq(disk_create_scratch(&out, UINT64_MAX, &err), -EINVAL);
	ck_assert_int_eq(disk_create_scratch(&out, 8191, &err), 0);
	ck_assert_uint_eq(disk_bytes(out), 4096);
	disk_destroy(out);
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = 8192;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(disk_create_scratch(&out, 8192, &err), 0);
	disk_destroy(out);
	ck_assert_int_eq(disk_create_scratch(&out, 8192 + 4096, &err), -EFBIG);
}
END_TEST

UNIT_MAIN("blk_faults", an_image_that_was_cut_is_an_error, a_host_without_room_is_an_error,
	  a_driver_without_flush_gets_it_with_each_write, a_full_ring_is_served,
	  a_flood_of_nonsense_is_served_in_turns, queues_are_independent,
	  nothing_is_written_after_a_reset, without_a_reset_it_is_written,
	  destroying_works_at_any_time, a_disk_changes_under_load,
	  a_drained_device_is_saved_and_goes_on_elsewhere, rates_are_kept, a_bucket_counts,
	  images_are_checked)
