/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much a guest can make the device do at a time, counted in system calls and bytes; and a disk
 * of the host that hangs. This program replaces the calls that disks make: its own count, and stop
 * at a gate on demand.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/fake_disk.h"
#include "tests/support/unit.h"

#define EVERY_ONE (FAKE_DISK_F_FLUSH | FAKE_DISK_F_DISCARD | FAKE_DISK_F_WRITE_ZEROES)
#define SPARSE	  GIB(1)

static struct fake_disk disk;

/* --- the calls -------------------------------------------------------------------------------- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool watching; /* count the calls */
	bool shut;
	bool no_holes; /* the file system cannot punch holes */
	unsigned stopped, calls, writes;
	uint64_t moved, punched;
} host = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void came(uint64_t moved, uint64_t punched, bool write)
{
	pthread_mutex_lock(&host.lock);
	if (host.watching) {
		host.calls++;
		host.writes += write;
		host.moved += moved;
		host.punched += punched;
	}
	host.stopped++;
	pthread_cond_broadcast(&host.changed);
	while (host.shut)
		pthread_cond_wait(&host.changed, &host.lock);
	host.stopped--;
	pthread_mutex_unlock(&host.lock);
}

ssize_t pread(int fd, void *to, size_t length, off_t offset)
{
	came(length, 0, false);
	return syscall(SYS_pread64, fd, to, length, offset);
}

ssize_t pwrite(int fd, const void *from, size_t length, off_t offset)
{
	came(length, 0, true);
	return syscall(SYS_pwrite64, fd, from, length, offset);
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
	came(0, (uint64_t)length, false);
	if (host.no_holes) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

off_t lseek(int fd, off_t offset, int whence)
{
	came(0, 0, false);
	return syscall(SYS_lseek, fd, offset, whence);
}

static void watch(void)
{
	pthread_mutex_lock(&host.lock);
	host.watching = true;
	host.calls = host.writes = 0;
	host.moved = host.punched = 0;
	pthread_mutex_unlock(&host.lock);
}

static void set_gate(bool shut)
{
	pthread_mutex_lock(&host.lock);
	host.shut = shut;
	pthread_cond_broadcast(&host.changed);
	pthread_mutex_unlock(&host.lock);
}

/* Waits until so many threads wait at the gate. */
static void wait_stopped(unsigned count)
{
	pthread_mutex_lock(&host.lock);
	while (host.stopped < count)
		pthread_cond_wait(&host.changed, &host.lock);
	pthread_mutex_unlock(&host.lock);
}

/* Files are in memory: the test does not measure how long a disk takes. */
static void __attribute__((constructor)) in_memory(void)
{
	setenv("TMPDIR", "/dev/shm", 0);
}

/* --- steps ------------------------------------------------------------------------------------ */

enum way { READ, WRITE, DISCARD, ZERO };

static int64_t step(struct disk *of, enum way way, uint64_t offset, uint64_t length)
{
	static uint8_t bytes[DISK_STEP];

	switch (way) {
	case READ:
		return disk_read(of, offset, bytes, length);
	case WRITE:
		return disk_write(of, offset, bytes, length);
	case DISCARD:
		return disk_discard(of, offset, length);
	default:
		return disk_zero(of, offset, length);
	}
}

/* Handles a whole range. Each call must stay within its bounds and make progress. */
static unsigned steps(struct disk *of, enum way way, uint64_t offset, uint64_t length)
{
	unsigned count = 0;
	int64_t n;

	for (; length > 0; length -= (uint64_t)n) {
		watch();
		n = step(of, way, offset, length);
		if (n <= 0 || (uint64_t)n > length || host.calls > DISK_CALLS ||
		    host.moved > DISK_STEP || host.punched > DISK_PUNCH)
			ck_abort_msg("way %u, %llu bytes at %llu: %lld by %u calls, %llu moved, "
				     "%llu punched",
				     way, (unsigned long long)length, (unsigned long long)offset,
				     (long long)n, host.calls, (unsigned long long)host.moved,
				     (unsigned long long)host.punched);
		offset += (uint64_t)n;
		count++;
	}
	return count;
}

/* Writes every other block, for as many extents as possible. */
static void fragment(struct disk *of, uint64_t bytes)
{
	static const uint8_t block[DISK_BLOCK] = {1};
	uint64_t at;

	for (at = 0; at < bytes; at += 2ull * DISK_BLOCK)
		ck_assert_int_eq(disk_write(of, at, block, sizeof(block)), sizeof(block));
}

static void all_ways(struct disk *of, uint64_t bytes)
{
	enum way way;

	for (way = READ; way <= ZERO; way++) {
		fragment(of, bytes);
		steps(of, way, 0, bytes);
		fragment(of, bytes);
		steps(of, way, DISK_SECTOR, bytes - DISK_BLOCK);
	}
}

START_TEST(a_call_is_a_bounded_step)
{
	struct disk *of;

	for (host.no_holes = false;; host.no_holes = true) {
		of = fake_disk_scratch(MIB(6));
		all_ways(of, MIB(6));
		disk_destroy(of);
		disk = (struct fake_disk){.image = ""};
		fake_disk_image(&disk, MIB(6));
		of = fake_disk_layered(&disk, MIB(64));
		all_ways(of, MIB(6));
		disk_destroy(of);
		unlink(disk.image);
		if (host.no_holes)
			break;
	}
}
END_TEST

START_TEST(holes_are_passed_over)
{
	struct disk *of = fake_disk_scratch(SPARSE);
	uint8_t bytes[DISK_BLOCK];

	/* A gigabyte without data is one step; with some data in it, a few. */
	ck_assert_uint_eq(steps(of, DISCARD, 0, SPARSE), 1);
	ck_assert_uint_eq(steps(of, ZERO, 0, SPARSE), 1);
	ck_assert_uint_eq(host.writes, 0);
	ck_assert_int_eq(disk_write(of, SPARSE / 2, "data", 4), 4);
	ck_assert_uint_le(steps(of, ZERO, 0, SPARSE), 3);
	ck_assert_int_eq(disk_read(of, SPARSE / 2, bytes, sizeof(bytes)), sizeof(bytes));
	ck_assert_uint_eq(bytes[0], 0);
	disk_destroy(of);
}
END_TEST

/* Zeros over an image take no room on the host, but count against the layer's limit. */
START_TEST(zeros_of_a_layer_are_no_data)
{
	uint8_t bytes[DISK_STEP];
	struct disk *of;

	disk = (struct fake_disk){.image = ""};
	fake_disk_image(&disk, MIB(8) + DISK_SECTOR);
	of = fake_disk_layered(&disk, MIB(6));
	ck_assert_uint_le(steps(of, ZERO, 0, MIB(6)), 2);
	ck_assert_uint_eq(host.writes, 0);
	ck_assert_int_eq(disk_read(of, MIB(5), bytes, sizeof(bytes)), sizeof(bytes));
	ck_assert(bytes[0] == 0 && bytes[sizeof(bytes) - 1] == 0);
	ck_assert_int_eq(disk_zero(of, MIB(7), DISK_BLOCK), -ENOSPC);
	ck_assert_int_eq(disk_read(of, MIB(7), bytes, 1), 1);
	ck_assert_uint_eq(bytes[0], (uint8_t)(MIB(7) / DISK_SECTOR));
	disk_destroy(of);
	unlink(disk.image);
}
END_TEST

/* --- requests --------------------------------------------------------------------------------- */

static void begin(uint64_t bytes)
{
	disk = (struct fake_disk){.features = EVERY_ONE};
	fake_disk_begin(&disk, fake_disk_scratch(bytes));
}

static uint8_t status(void)
{
	return *(uint8_t *)fake_guest_at(&disk.guest, disk.status);
}

static void reset(void)
{
	fake_write(&disk.guest, FAKE_REG_STATUS, 0);
	ck_assert_uint_eq(fake_status(&disk.guest), 0);
}

static void come_up_again(void)
{
	fake_guest_forget(&disk.guest);
	ck_assert(fake_guest_bring_up(&disk.guest, disk.features));
	disk.data = fake_guest_alloc(&disk.guest, MIB(1), 4096);
}

/* Reads into so many segments of 64 KiB, all the same memory, the last with `more` bytes more. */
static uint8_t read_segments(unsigned count, uint32_t more)
{
	struct fake_segment segment[BLK_SEGMENTS_MAX + 2];
	uint64_t header = fake_guest_alloc(&disk.guest, 16, 16),
		 end = fake_guest_alloc(&disk.guest, 1, 1);
	uint32_t head, written;
	unsigned i;

	store_le32(fake_guest_at(&disk.guest, header), FAKE_DISK_IN);
	segment[0] = (struct fake_segment){header, 16, false};
	for (i = 1; i <= count; i++)
		segment[i] = (struct fake_segment){disk.data, BLK_SEGMENT_BYTES, true};
	segment[count].length += more;
	segment[i] = (struct fake_segment){end, 1, true};
	fake_queue_add(&disk.guest.queue[0], segment, count + 2);
	fake_queue_kick(&disk.guest.queue[0]);
	while (!fake_queue_take_used(&disk.guest.queue[0], &head, &written))
		fake_disk_run(&disk, 1000000);
	return *(uint8_t *)fake_guest_at(&disk.guest, end);
}

START_TEST(a_request_has_its_limit)
{
	uint32_t size_max;

	begin(MIB(16));
	size_max = fake_read(&disk.guest, FAKE_REG_CONFIG + 8);
	ck_assert_uint_eq(size_max, BLK_SEGMENT_BYTES);
	ck_assert_uint_eq(read_segments(BLK_SEGMENTS_MAX, 0), FAKE_DISK_OK);
	watch();
	ck_assert_uint_eq(read_segments(BLK_SEGMENTS_MAX, DISK_SECTOR), FAKE_DISK_IOERR);
	ck_assert_uint_eq(host.calls, 0);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(ranges_have_their_limits)
{
	static const struct {
		uint32_t type, most;
	} of[] = {{FAKE_DISK_DISCARD, BLK_DISCARD_SECTORS}, {FAKE_DISK_ZEROES, BLK_ZEROES_SECTORS}};
	unsigned i;

	begin(SPARSE);
	ck_assert_uint_eq(fake_read(&disk.guest, FAKE_REG_CONFIG + 36), BLK_DISCARD_SECTORS);
	ck_assert_uint_eq(fake_read(&disk.guest, FAKE_REG_CONFIG + 48), BLK_ZEROES_SECTORS);
	for (i = 0; i < ARRAY_SIZE(of); i++) {
		memset(fake_disk_bytes(&disk), 0, 16);
		store_le32(fake_disk_bytes(&disk) + 8, of[i].most);
		ck_assert_uint_eq(fake_disk_do(&disk, of[i].type, 0, 16, false), FAKE_DISK_OK);
		store_le32(fake_disk_bytes(&disk) + 8, of[i].most + 1);
		ck_assert_uint_eq(fake_disk_do(&disk, of[i].type, 0, 16, false), FAKE_DISK_IOERR);
	}
	fake_disk_end(&disk);
}
END_TEST

/* A cancelled request of the largest size does no more than the step that is running. */
START_TEST(a_cancelled_request_ends_with_its_step)
{
	uint8_t *bytes;
	unsigned i;

	begin(SPARSE);
	fragment(blk_disk(disk.blk), MIB(12));
	bytes = fake_disk_bytes(&disk);
	for (i = 0; i < BLK_RANGES_MAX; i++, bytes += 16) {
		store_le64(bytes, 0);
		store_le32(bytes + 8, BLK_DISCARD_SECTORS);
		store_le32(bytes + 12, 0);
	}
	set_gate(true);
	fake_disk_offer(&disk, 0, FAKE_DISK_DISCARD, 0, 16 * BLK_RANGES_MAX, false);
	fake_queue_kick(&disk.guest.queue[0]);
	wait_stopped(1);
	watch();
	reset();
	set_gate(false);
	while (!blk_idle(disk.blk))
		fake_disk_run(&disk, 1000000);
	ck_assert_uint_lt(host.calls, DISK_CALLS);
	ck_assert_uint_le(host.punched, DISK_PUNCH);
	/* After a new bring-up a request completes. */
	come_up_again();
	watch();
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_FLUSH, 0, 0, false), FAKE_DISK_OK);
	fake_disk_end(&disk);
}
END_TEST

/* The disk hangs in the middle of reads, and the driver resets the device. */
START_TEST(a_reset_waits_for_no_disk)
{
	uint64_t i;

	begin(MIB(4));
	memset(fake_disk_bytes(&disk), 0x77, MIB(4));
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_OUT, 0, MIB(4), false), FAKE_DISK_OK);
	set_gate(true);
	for (i = 0; i < 8; i++)
		fake_disk_offer(&disk, 0, FAKE_DISK_IN, 0, MIB(4), true);
	fake_queue_kick(&disk.guest.queue[0]);
	wait_stopped(2);
	reset();
	memset(disk.guest.ram, 0, disk.guest.ram_size);
	/* Only requests of the new driver wait for the old steps. */
	come_up_again();
	fake_disk_offer(&disk, 0, FAKE_DISK_IN, 0, 512, true);
	fake_queue_kick(&disk.guest.queue[0]);
	fake_disk_run(&disk, 10000000);
	ck_assert_uint_eq(fake_queue_used_index(&disk.guest.queue[0]), 0);
	ck_assert_uint_eq(status(), FAKE_DISK_NONE);
	set_gate(false);
	fake_disk_wait(&disk, 0, 1);
	ck_assert_uint_eq(status(), FAKE_DISK_OK);
	for (i = 0; i < MIB(1) && fake_disk_bytes(&disk)[i] == (i < 512 ? 0x77 : 0); i++)
		;
	ck_assert_uint_eq(i, MIB(1));
	fake_disk_end(&disk);
}
END_TEST

/* The twin: without a reset the same reads complete once the disk goes on. */
START_TEST(without_a_reset_requests_complete)
{
	begin(MIB(4));
	memset(fake_disk_bytes(&disk), 0x77, MIB(4));
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_OUT, 0, MIB(4), false), FAKE_DISK_OK);
	memset(fake_disk_bytes(&disk), 0, MIB(4));
	set_gate(true);
	fake_disk_offer(&disk, 0, FAKE_DISK_IN, 0, MIB(4), true);
	fake_queue_kick(&disk.guest.queue[0]);
	wait_stopped(1);
	set_gate(false);
	fake_disk_wait(&disk, 0, 1);
	ck_assert_uint_eq(status(), FAKE_DISK_OK);
	ck_assert_uint_eq(fake_disk_bytes(&disk)[MIB(4) - 1], 0x77);
	fake_disk_end(&disk);
}
END_TEST

/* A write from before a reset reaches the disk before the writes after it. */
START_TEST(old_writes_come_first)
{
	begin(MIB(4));
	memset(fake_disk_bytes(&disk), 0x01, 512);
	set_gate(true);
	fake_disk_offer(&disk, 0, FAKE_DISK_OUT, 0, 512, false);
	fake_queue_kick(&disk.guest.queue[0]);
	wait_stopped(1);
	reset();
	come_up_again();
	memset(fake_disk_bytes(&disk), 0x02, 512);
	fake_disk_offer(&disk, 0, FAKE_DISK_OUT, 0, 512, false);
	fake_queue_kick(&disk.guest.queue[0]);
	set_gate(false);
	fake_disk_wait(&disk, 0, 1);
	ck_assert_uint_eq(status(), FAKE_DISK_OK);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_IN, 0, 512, true), FAKE_DISK_OK);
	ck_assert_uint_eq(fake_disk_bytes(&disk)[0], 0x02);
	fake_disk_end(&disk);
}
END_TEST

/* Everything is destroyed while threads hang; when they go on they must not touch any of it. */
START_TEST(a_hung_disk_is_left_behind)
{
	begin(MIB(4));
	set_gate(true);
	fake_disk_offer(&disk, 0, FAKE_DISK_IN, 0, MIB(4), true);
	fake_disk_offer(&disk, 0, FAKE_DISK_IN, 0, MIB(4), true);
	fake_disk_offer(&disk, 0, FAKE_DISK_FLUSH, 0, 0, true);
	fake_queue_kick(&disk.guest.queue[0]);
	wait_stopped(2);
	fake_disk_end(&disk);
	set_gate(false);
	usleep(50000);
}
END_TEST

UNIT_MAIN("blk_steps", a_call_is_a_bounded_step, holes_are_passed_over,
	  zeros_of_a_layer_are_no_data, a_request_has_its_limit, ranges_have_their_limits,
	  a_cancelled_request_ends_with_its_step, a_reset_waits_for_no_disk,
	  without_a_reset_requests_complete, old_writes_come_first, a_hung_disk_is_left_behind)
