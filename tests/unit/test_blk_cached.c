/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads that the event thread serves from the host's page cache. This program replaces that read:
 * it counts, and finds nothing, or cannot tell, on demand; a thread's read waits at a gate.
 */
#include "devices/blk/page_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/fake_disk.h"
#include "tests/support/unit.h"

#define EVERY_ONE (FAKE_DISK_F_FLUSH | FAKE_DISK_F_DISCARD | FAKE_DISK_F_WRITE_ZEROES)
#define DEPTH	  32u

static struct fake_disk disk;

/* --- the host --------------------------------------------------------------------------------- */

static struct {
	int error;	/* of reads from the page cache; 0: they succeed */
	size_t most;	/* bytes that one of them returns */
	unsigned calls; /* of them; only the event thread makes these */
	atomic_uint reads;
	pthread_mutex_t gate; /* locked: reads by threads wait */
} host = {.gate = PTHREAD_MUTEX_INITIALIZER};

static ssize_t host_read(int fd, void *to, size_t length, off_t offset)
{
	return syscall(SYS_pread64, fd, to, length, offset);
}

int64_t page_cache_read(int fd, uint64_t offset, const struct iovec *iov, unsigned count)
{
	int64_t done = 0, n = 0;
	size_t part;
	unsigned i;

	host.calls++;
	if (host.error)
		return -host.error;
	for (i = 0; i < count && (size_t)done < host.most; i++) {
		part = min_u64(iov[i].iov_len, host.most - (size_t)done);
		n = host_read(fd, iov[i].iov_base, part, (off_t)offset + done);
		if (n <= 0)
			break;
		done += n;
	}
	return done > 0 ? done : n < 0 ? -errno : -EIO;
}

ssize_t pread(int fd, void *to, size_t length, off_t offset)
{
	atomic_fetch_add(&host.reads, 1);
	pthread_mutex_lock(&host.gate);
	pthread_mutex_unlock(&host.gate);
	return host_read(fd, to, length, offset);
}

static void begin(int error)
{
	host.error = error;
	host.most = SIZE_MAX;
	host.calls = 0;
	atomic_store(&host.reads, 0);
	disk = (struct fake_disk){.features = EVERY_ONE};
	fake_disk_image(&disk, MIB(2));
	fake_disk_begin(&disk, fake_disk_open(&disk));
}

static uint16_t used(void)
{
	return fake_queue_used_index(&disk.guest.queue[0]);
}

static void offer_reads(unsigned count, uint32_t length)
{
	while (count-- > 0)
		fake_disk_offer(&disk, 0, FAKE_DISK_IN, 1, length, true);
}

/* Rings the doorbell; what the event thread does at once is then done. */
static void ring(void)
{
	fake_queue_kick(&disk.guest.queue[0]);
}

/* --- tests ------------------------------------------------------------------------------------ */

START_TEST(cached_reads_need_no_thread)
{
	begin(0);
	fake_guest_interrupts(&disk.guest);
	offer_reads(DEPTH, 4096);
	ring();
	ck_assert_uint_eq(used(), DEPTH);
	ck_assert_uint_eq(host.calls, DEPTH);
	ck_assert_uint_eq(atomic_load(&host.reads), 0);
	/* All of them by one interrupt. */
	ck_assert_uint_eq(fake_guest_interrupts(&disk.guest), 1);
	ck_assert(blk_idle(disk.blk));
	fake_disk_wait(&disk, 0, DEPTH);
	ck_assert_uint_eq(fake_disk_bytes(&disk)[0], 1);
	ck_assert_uint_eq(fake_disk_bytes(&disk)[4095], 8);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(segments_of_any_length_are_filled)
{
	static const uint32_t lengths[] = {1, 511, 4095, 1, 512, 3072};
	struct fake_segment segment[ARRAY_SIZE(lengths) + 2];
	size_t most, i, at;
	uint32_t head, written;
	const uint8_t *bytes;

	for (most = 1; most < 10000; most = most * 7 + 1) {
		begin(0);
		host.most = most;
		segment[0] =
			(struct fake_segment){fake_guest_alloc(&disk.guest, 16, 16), 16, false};
		for (i = at = 0; i < ARRAY_SIZE(lengths); at += lengths[i++])
			segment[1 + i] = (struct fake_segment){disk.data + at, lengths[i], true};
		segment[1 + i] =
			(struct fake_segment){fake_guest_alloc(&disk.guest, 1, 1), 1, true};
		fake_queue_add(&disk.guest.queue[0], segment, ARRAY_SIZE(segment));
		ring();
		ck_assert(fake_queue_take_used(&disk.guest.queue[0], &head, &written));
		ck_assert_uint_eq(written, 8193);
		bytes = fake_disk_bytes(&disk);
		for (i = 0; i < 8192 && bytes[i] == i / 512; i++)
			;
		ck_assert_uint_eq(i, 8192);
		ck_assert_uint_eq(bytes[8192], 0);
		fake_disk_end(&disk);
	}
}
END_TEST

/* What the page cache does not have, a thread reads; it goes on where the event thread stopped. */
START_TEST(missed_reads_go_to_a_thread)
{
	begin(EAGAIN);
	pthread_mutex_lock(&host.gate);
	offer_reads(1, 4096);
	ring();
	ck_assert_uint_eq(host.calls, 1);
	/* Meanwhile the event thread does not try others. */
	host.error = 0;
	offer_reads(3, 4096);
	ring();
	ck_assert_uint_eq(host.calls, 1);
	ck_assert_uint_eq(used(), 0);
	ck_assert(!blk_idle(disk.blk));
	pthread_mutex_unlock(&host.gate);
	fake_disk_wait(&disk, 0, 4);
	ck_assert_uint_eq(fake_disk_bytes(&disk)[4095], 8);
	ck_assert_uint_eq(atomic_load(&host.reads), 4);
	/* Then it does. */
	offer_reads(1, 4096);
	ring();
	ck_assert_uint_eq(used(), 5);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(a_reset_forgets_a_missed_read)
{
	begin(EAGAIN);
	pthread_mutex_lock(&host.gate);
	offer_reads(4, 4096);
	ring();
	fake_write(&disk.guest, FAKE_REG_STATUS, 0);
	ck_assert_uint_eq(fake_status(&disk.guest), 0);
	pthread_mutex_unlock(&host.gate);
	fake_guest_forget(&disk.guest);
	ck_assert(fake_guest_bring_up(&disk.guest, disk.features));
	disk.data = fake_guest_alloc(&disk.guest, 4096, 4096);
	while (!blk_idle(disk.blk))
		fake_disk_run(&disk, 1000000);
	host.error = 0;
	host.calls = 0;
	offer_reads(1, 4096);
	ring();
	ck_assert_uint_eq(host.calls, 1);
	ck_assert_uint_eq(used(), 1);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(a_host_that_cannot_tell_is_asked_once)
{
	static const int errors[] = {EOPNOTSUPP, ENOSYS};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		begin(errors[i]);
		offer_reads(4, 4096);
		fake_disk_wait(&disk, 0, 4);
		offer_reads(4, 4096);
		fake_disk_wait(&disk, 0, 4);
		ck_assert_uint_eq(host.calls, 1);
		ck_assert_uint_eq(fake_disk_bytes(&disk)[4095], 8);
		fake_disk_end(&disk);
	}
}
END_TEST

/* The event thread moves a bounded number of bytes, and then other devices have their turn. */
START_TEST(a_turn_is_bounded)
{
	begin(0);
	offer_reads(12, KIB(256));
	ring();
	ck_assert_uint_eq(used(), 4);
	fake_disk_wait(&disk, 0, 12);
	ck_assert_uint_eq(host.calls, 12);
	/* One read is at most a turn. */
	offer_reads(2, MIB(1));
	ring();
	ck_assert_uint_eq(used(), 13);
	fake_disk_wait(&disk, 0, 2);
	ck_assert_uint_eq(host.calls, 14);
	/* Longer ones are for the threads, in steps. */
	offer_reads(1, MIB(1) + 512);
	fake_disk_wait(&disk, 0, 1);
	ck_assert_uint_eq(host.calls, 14);
	ck_assert_uint_eq(atomic_load(&host.reads), 5);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(a_layer_reads_from_both_files)
{
	begin(0);
	blk_set_disk(disk.blk, fake_disk_layered(&disk, MIB(1)));
	memset(fake_disk_bytes(&disk), 0xee, 4096);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_OUT, 8, 4096, false), FAKE_DISK_OK);
	host.calls = 0;
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_IN, 7, 5120, true), FAKE_DISK_OK);
	ck_assert_uint_eq(host.calls, 3);
	ck_assert_uint_eq(fake_disk_bytes(&disk)[511], 7);
	ck_assert_uint_eq(fake_disk_bytes(&disk)[512], 0xee);
	ck_assert_uint_eq(fake_disk_bytes(&disk)[4607], 0xee);
	ck_assert_uint_eq(fake_disk_bytes(&disk)[4608], 16);
	fake_disk_end(&disk);
}
END_TEST

START_TEST(limits_hold_for_cached_reads)
{
	begin(0);
	blk_set_limits(disk.blk, 0, 8);
	offer_reads(DEPTH, 4096);
	ring();
	ck_assert_uint_le(used(), 9);
	fake_write(&disk.guest, FAKE_REG_STATUS, 0);
	fake_disk_end(&disk);
}
END_TEST

UNIT_MAIN("blk_cached", cached_reads_need_no_thread, segments_of_any_length_are_filled,
	  missed_reads_go_to_a_thread, a_reset_forgets_a_missed_read,
	  a_host_that_cannot_tell_is_asked_once, a_turn_is_bounded, a_layer_reads_from_both_files,
	  limits_hold_for_cached_reads)
