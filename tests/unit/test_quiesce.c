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
#include "vmm/machine/machine.h"
#include "vmm/sandbox/quiesce.h"

static struct fake_disk disk;
static struct machine machine;
static struct quiesce quiesce;
static unsigned done_count;
static char failure[200];

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
		ck_assert(blk_idle(disk.blk));
	quiesce_end(&quiesce);
}

static void begin(void)
{
	static const struct blk_config other = {.name = "blk1", .queues = 1};

	disk = (struct fake_disk){.image = ""};
	fake_disk_begin(&disk, fake_disk_scratch(MIB(1)));
	machine = (struct machine){.loop = disk.loop};
	machine.devices.blk[0] = disk.blk;
	ck_assert_int_eq(blk_create(&machine.devices.blk[1], disk.loop, disk.pool, &other), 0);
	ck_assert_int_eq(fs_create(&machine.devices.fs, disk.loop, 1), 0);
	done_count = 0;
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

UNIT_MAIN("quiesce", a_disk_that_hangs_refuses_the_snapshot, a_slow_disk_is_waited_for,
	  a_snapshot_can_be_given_up)
