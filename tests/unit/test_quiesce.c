/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before a snapshot, the event loop waits for a request to a disk that hangs, but only until the
 * deadline; and such a request does not delay the end of the sandbox.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devices/blk/page_cache.h"
#include "tests/support/fake_disk.h"
#include "tests/support/unit.h"
#include "vmm/base/pack.h"
#include "vmm/machine/machine.h"
#include "vmm/sandbox/quiesce.h"

static struct fake_disk disk;
static struct machine machine;
static struct quiesce quiesce;
static unsigned done_count;
static char failure[200];
static struct pack saved;

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool shut;
	unsigned stopped;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* Reads of the disks wait at a gate. */
ssize_t pread(int fd, void *to, size_t length, off_t offset)
{
	pthread_mutex_lock(&gate.lock);
	gate.stopped++;
	pthread_cond_broadcast(&gate.changed);
	while (gate.shut)
		pthread_cond_wait(&gate.changed, &gate.lock);
	gate.stopped--;
	pthread_mutex_unlock(&gate.lock);
	return syscall(SYS_pread64, fd, to, length, offset);
}

/* The page cache has nothing, so that every read goes to a thread, and to the gate. */
int64_t page_cache_read(int fd, uint64_t offset, const struct iovec *iov, unsigned count)
{
	(void)fd;
	(void)offset;
	(void)iov;
	(void)count;
	return -EAGAIN;
}

static void open_gate(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.shut = false;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

static void done(void *arg, const char *why)
{
	(void)arg;
	done_count++;
	snprintf(failure, sizeof(failure), "%s", why ? why : "");
	if (!why)
		ck_assert(quiesce.saves ? blk_saves(disk.blk) : blk_idle(disk.blk));
	if (!why && quiesce.saves)
		virtio_mmio_save(&disk.guest.mmio, &saved);
	quiesce_end(&quiesce);
}

static void begin_with(struct disk *with)
{
	static const struct blk_config other = {.name = "blk1", .queues = 1};

	fake_disk_begin(&disk, with);
	machine = (struct machine){.loop = disk.loop};
	machine.devices.blk[0] = disk.blk;
	ck_assert_int_eq(blk_create(&machine.devices.blk[1], disk.loop, disk.pool, &other), 0);
	ck_assert_int_eq(fs_create(&machine.devices.fs, disk.loop, 1), 0);
	done_count = 0;
}

static void begin(void)
{
	disk = (struct fake_disk){.image = ""};
	begin_with(fake_disk_scratch(MIB(1)));
}

static void begin_image(void)
{
	disk = (struct fake_disk){.config.read_only = true};
	fake_disk_image(&disk, MIB(1));
	begin_with(fake_disk_open(&disk));
}

static void end(void)
{
	fs_destroy(machine.devices.fs);
	blk_destroy(machine.devices.blk[1]);
	fake_disk_end(&disk);
}

/* A read that waits at the gate. */
static void begin_read(void)
{
	gate.shut = true;
	fake_disk_offer(&disk, 0, FAKE_DISK_IN, 0, 512, true);
	fake_queue_kick(&disk.guest.queue[0]);
	pthread_mutex_lock(&gate.lock);
	while (gate.stopped == 0)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

static void wait_done(void)
{
	unsigned i;

	for (i = 0; i < 10000 && done_count == 0; i++)
		fake_disk_run(&disk, 1000000);
	ck_assert_uint_eq(done_count, 1);
}

/* The read ends, and another one is served. */
static void goes_on(void)
{
	open_gate();
	fake_disk_wait(&disk, 0, 1);
	ck_assert_uint_eq(*(uint8_t *)fake_guest_at(&disk.guest, disk.status), FAKE_DISK_OK);
	ck_assert_uint_eq(fake_disk_do(&disk, FAKE_DISK_IN, 0, 512, true), FAKE_DISK_OK);
}

START_TEST(a_disk_that_hangs_refuses_the_snapshot)
{
	begin();
	begin_read();
	quiesce_begin(&quiesce, &machine, done, NULL);
	ck_assert_uint_gt(quiesce.deadline_ns, loop_now_ns() + UINT64_C(3000000000));
	fake_disk_run(&disk, 20000000);
	ck_assert_uint_eq(done_count, 0);
	quiesce.deadline_ns = loop_now_ns();
	wait_done();
	ck_assert_ptr_nonnull(strstr(failure, "blk0"));
	ck_assert_ptr_nonnull(strstr(failure, "try again"));
	goes_on();
	end();
}
END_TEST

/* The twin: it ends in time. Requests that come meanwhile wait for the snapshot. */
START_TEST(a_slow_disk_is_waited_for)
{
	begin();
	begin_read();
	quiesce_begin(&quiesce, &machine, done, NULL);
	fake_disk_run(&disk, 20000000);
	ck_assert_uint_eq(done_count, 0);
	fake_disk_offer(&disk, 0, FAKE_DISK_IN, 0, 512, true);
	fake_queue_kick(&disk.guest.queue[0]);
	open_gate();
	wait_done();
	ck_assert_str_eq(failure, "");
	fake_disk_wait(&disk, 0, 2);
	ck_assert_uint_eq(*(uint8_t *)fake_guest_at(&disk.guest, disk.status), FAKE_DISK_OK);
	end();
}
END_TEST

START_TEST(a_snapshot_can_be_given_up)
{
	begin();
	begin_read();
	quiesce_begin(&quiesce, &machine, done, NULL);
	fake_disk_run(&disk, 5000000);
	quiesce_end(&quiesce);
	quiesce_end(&quiesce);
	ck_assert_ptr_null(quiesce.machine);
	goes_on();
	ck_assert_uint_eq(done_count, 0);
	end();
}
END_TEST

/* Puts another device in the place of the one that was saved. 0 or -errno. */
static int restore(struct virtio_mmio *second)
{
	struct unpack unpack = {.data = saved.data, .length = saved.length};
	struct blk *blk;
	struct err err;

	ck_assert_int_eq(blk_create(&blk, disk.loop, disk.pool, &disk.config), 0);
	disk.blk = machine.devices.blk[0] = blk;
	virtio_mmio_init(second, blk_device(blk), &disk.guest.memory, &disk.guest.irq);
	blk_set_disk(blk, fake_disk_open(&disk));
	return virtio_mmio_restore(second, &unpack, &err);
}

/* Of an image: the read is saved, goes on here, and is done again by the restored device. */
START_TEST(a_read_of_an_image_is_saved)
{
	struct virtio_mmio second;
	struct blk *first;

	begin_image();
	begin_read();
	quiesce_begin_saving(&quiesce, &machine, done, NULL);
	fake_disk_run(&disk, 20000000);
	ck_assert_uint_eq(done_count, 0);
	wait_done();
	ck_assert_str_eq(failure, "");
	ck_assert(!blk_idle(disk.blk));
	/* The saved one ends here before it has returned the request. */
	first = disk.blk;
	fake_write(&disk.guest, FAKE_REG_STATUS, 0);
	ck_assert_int_eq(restore(&second), 0);
	fake_disk_run(&disk, 20000000);
	ck_assert_uint_eq(fake_queue_used_index(&disk.guest.queue[0]), 0);
	open_gate();
	while (fake_queue_used_index(&disk.guest.queue[0]) == 0)
		fake_disk_run(&disk, 1000000);
	ck_assert_uint_eq(*(uint8_t *)fake_guest_at(&disk.guest, disk.status), FAKE_DISK_OK);
	fake_disk_run(&disk, 5000000);
	ck_assert_uint_eq(fake_queue_used_index(&disk.guest.queue[0]), 1);
	blk_destroy(first);
	pack_free(&saved);
	end();
}
END_TEST

/* The twin: what is written to is waited for, for a snapshot as well. */
START_TEST(a_write_is_not_saved)
{
	begin();
	begin_read();
	quiesce_begin_saving(&quiesce, &machine, done, NULL);
	fake_disk_run(&disk, 2 * QUIESCE_IMAGE_NS);
	ck_assert_uint_eq(done_count, 0);
	quiesce.deadline_ns = loop_now_ns();
	wait_done();
	ck_assert_ptr_nonnull(strstr(failure, "blk0"));
	goes_on();
	end();
}
END_TEST

/* The list at the end of the state: count, then queue and head of each. */
START_TEST(forged_lists_are_refused)
{
	static const uint16_t forged[][3] = {{1, 1, 0}, {1, 0, BLK_QUEUE_SIZE},
					     {2, 0, 0}, {BLK_IN_FLIGHT + 1, 0, 0},
					     {1, 8, 0}, {1, 0xffff, 0}};
	struct virtio_mmio second;
	struct blk *first;
	unsigned i;

	begin_image();
	begin_read();
	quiesce_begin_saving(&quiesce, &machine, done, NULL);
	wait_done();
	first = disk.blk;
	fake_write(&disk.guest, FAKE_REG_STATUS, 0);
	for (i = 0; i < ARRAY_SIZE(forged); i++) {
		store_le16(saved.data + saved.length - 6, forged[i][0]);
		store_le16(saved.data + saved.length - 4, forged[i][1]);
		store_le16(saved.data + saved.length - 2, forged[i][2]);
		ck_assert_int_lt(restore(&second), 0);
		blk_destroy(disk.blk);
	}
	store_le16(saved.data + saved.length - 6, 1);
	store_le16(saved.data + saved.length - 4, 0);
	store_le16(saved.data + saved.length - 2, 0);
	ck_assert_int_eq(restore(&second), 0);
	open_gate();
	fake_disk_run(&disk, 5000000);
	blk_destroy(first);
	pack_free(&saved);
	end();
}
END_TEST

UNIT_MAIN("quiesce", a_disk_that_hangs_refuses_the_snapshot, a_slow_disk_is_waited_for,
	  a_snapshot_can_be_given_up, a_read_of_an_image_is_saved, a_write_is_not_saved,
	  forged_lists_are_refused)
