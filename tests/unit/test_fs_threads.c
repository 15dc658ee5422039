/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file system device in as many threads as it has in a sandbox: vCPUs that ring doorbells, one
 * of them on the others' queue, the loop that finishes what took longer, and meanwhile resets,
 * holds and changes of the server. What must hold: no data race (under TSan), each request returns
 * once or, after a reset, not at all, its reply is its own, and afterwards all slots are free.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "tests/support/fake_fs_server.h"
#include "tests/support/fake_guest.h"
#include "tests/support/unit.h"

#define VCPUS	 3
#define REQUESTS 100 /* of each vCPU */
#define BYTES	 64u

static struct loop *loop;
static struct fake_guest guest;
static struct fs *fs;
static atomic_uint running;
static atomic_bool stop;
static atomic_uint returned, failed, errors;

/* --- vCPUs ------------------------------------------------------------------------------------ */

struct vcpu_thread {
	pthread_t thread;
	unsigned queue;
	uint64_t in, out;
};

static void offer(struct vcpu_thread *vcpu, unsigned number)
{
	struct fake_queue *queue = &guest.queue[vcpu->queue];
	uint8_t *in = fake_guest_at(&guest, vcpu->in);
	uint16_t *index = (uint16_t *)(void *)(queue->avail + 2);

	memset(in, (int)number, BYTES + 24);
	store_le32(in, BYTES + 24);
	fake_queue_set(queue, 0, vcpu->in, BYTES + 24, FAKE_DESC_NEXT, 1);
	fake_queue_set(queue, 1, vcpu->out, BYTES, FAKE_DESC_WRITE, 0);
	store_le16(queue->avail + 4 + 2 * (queue->avail_index % queue->size), 0);
	queue->avail_index++;
	__atomic_store_n(index, htole16(queue->avail_index), __ATOMIC_RELEASE);
}

/* One request after the other, each with its reply. A doorbell may be another vCPU's as well. */
static void *run_vcpu(void *arg)
{
	struct vcpu_thread *vcpu = arg;
	struct fake_queue *queue = &guest.queue[vcpu->queue];
	const uint8_t *in = fake_guest_at(&guest, vcpu->in),
		      *out = fake_guest_at(&guest, vcpu->out);
	unsigned i;
	int error;

	for (i = 0; i < REQUESTS; i += error != -ENOTCONN) {
		offer(vcpu, i);
		fake_write_as_vcpu(&guest, loop, FAKE_REG_QUEUE_NOTIFY, vcpu->queue);
		while (fake_queue_used_index(queue) == queue->used_index)
			sched_yield();
		queue->used_index++;
		error = (int32_t)load_le32(out + 4);
		if (error == -ENOTCONN) {
			/* There was no server: once more. */
			atomic_fetch_add(&errors, 1);
			continue;
		}
		if (error || memcmp(out + 8, in + 8, 8) != 0 ||
		    memcmp(out + 16, in + 40, BYTES - 16) != 0)
			atomic_fetch_add(&failed, 1);
		atomic_fetch_add(&returned, 1);
	}
	atomic_fetch_sub(&running, 1);
	return NULL;
}

/* Rings everybody's doorbell. */
static void *run_storm(void *arg)
{
	unsigned queue = 0;

	(void)arg;
	while (!atomic_load(&stop)) {
		fake_write_as_vcpu(&guest, loop, FAKE_REG_QUEUE_NOTIFY, queue++ % (VCPUS + 1));
		sched_yield();
	}
	return NULL;
}

static void *run_loop(void *arg)
{
	(void)arg;
	loop_run(loop);
	return NULL;
}

static struct vcpu_thread vcpu[VCPUS];
static pthread_t storm, loop_thread;

static void begin(uint64_t features)
{
	unsigned i;

	fake_guest_init(&guest, MIB(4));
	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(fs_create(&fs, loop, VCPUS), 0);
	fake_guest_attach(&guest, fs_device(fs));
	ck_assert(fake_guest_bring_up(&guest, features));
	for (i = 0; i < VCPUS; i++)
		vcpu[i] = (struct vcpu_thread){
			.queue = i + 1,
			.in = fake_guest_alloc(&guest, 4096, 4096),
			.out = fake_guest_alloc(&guest, 4096, 4096),
		};
	atomic_store(&stop, false);
	ck_assert_int_eq(pthread_create(&loop_thread, NULL, run_loop, NULL), 0);
	ck_assert_int_eq(pthread_create(&storm, NULL, run_storm, NULL), 0);
}

static void start_vcpus(void)
{
	unsigned i;

	atomic_store(&running, VCPUS);
	for (i = 0; i < VCPUS; i++)
		ck_assert_int_eq(pthread_create(&vcpu[i].thread, NULL, run_vcpu, &vcpu[i]), 0);
}

static void join_vcpus(void)
{
	unsigned i;

	for (i = 0; i < VCPUS; i++)
		pthread_join(vcpu[i].thread, NULL);
}

static void end(void)
{
	atomic_store(&stop, true);
	pthread_join(storm, NULL);
	loop_stop(loop);
	pthread_join(loop_thread, NULL);
	fs_destroy(fs);
	loop_destroy(loop);
	fake_guest_destroy(&guest);
}

static bool idle(void)
{
	bool is;

	loop_lock(loop);
	is = fs_idle(fs);
	loop_unlock(loop);
	return is;
}

static void set_server(struct fake_fs_server *server)
{
	loop_lock(loop);
	fs_set_server(fs, server ? &fake_fs_server_ops : NULL, server);
	loop_unlock(loop);
}

static void wait_idle(void)
{
	while (!idle())
		sched_yield();
}

static uint64_t requests(void)
{
	struct fs_stats stats;

	loop_lock(loop);
	fs_stats(fs, &stats);
	loop_unlock(loop);
	return stats.requests;
}

/* Until so many have been sent to servers, or the vCPUs have ended. */
static void wait_requests(uint64_t count)
{
	while (requests() < count && atomic_load(&running) > 0)
		sched_yield();
}

START_TEST(each_request_returns_with_its_reply)
{
	struct fake_fs_server *server;
	struct fs_stats stats;

	begin(FAKE_F_EVENT_IDX);
	server = fake_fs_server_begin(loop, fs, 3, 0);
	set_server(server);
	start_vcpus();
	join_vcpus();
	wait_idle();
	ck_assert_uint_eq(atomic_load(&returned), VCPUS * REQUESTS);
	ck_assert_uint_eq(atomic_load(&failed) + atomic_load(&errors), 0);
	loop_lock(loop);
	fs_stats(fs, &stats);
	loop_unlock(loop);
	ck_assert_uint_eq(stats.requests, VCPUS * REQUESTS);
	set_server(NULL);
	fake_fs_server_end(server);
	end();
}
END_TEST

START_TEST(holds_while_doorbells_ring)
{
	struct fake_fs_server *server;
	struct fs_stats before, after;
	unsigned held = 0;

	begin(0);
	server = fake_fs_server_begin(loop, fs, 3, 0);
	set_server(server);
	start_vcpus();
	while (atomic_load(&running) > 0) {
		loop_lock(loop);
		fs_hold(fs, true);
		fs_stats(fs, &before);
		loop_unlock(loop);
		wait_idle();
		loop_lock(loop);
		fs_stats(fs, &after);
		held += before.requests == after.requests && fs_idle(fs);
		fs_hold(fs, false);
		loop_unlock(loop);
		ck_assert_uint_gt(held, 0);
		sched_yield();
	}
	join_vcpus();
	ck_assert_uint_eq(atomic_load(&returned), VCPUS * REQUESTS);
	ck_assert_uint_eq(atomic_load(&failed) + atomic_load(&errors), 0);
	set_server(NULL);
	fake_fs_server_end(server);
	end();
}
END_TEST

/* Requests fail with ENOTCONN, or have their reply: nothing in between. */
START_TEST(servers_that_come_and_go)
{
	struct fake_fs_server *server;

	begin(0);
	start_vcpus();
	while (atomic_load(&running) > 0) {
		server = fake_fs_server_begin(loop, fs, 3, 80000);
		set_server(server);
		wait_requests(requests() + 2);
		set_server(NULL);
		fake_fs_server_end(server);
	}
	join_vcpus();
	ck_assert_uint_eq(atomic_load(&returned), VCPUS * REQUESTS);
	ck_assert_uint_eq(atomic_load(&failed), 0);
	end();
}
END_TEST

/* A driver resets the device and brings it up again, with requests under way and doorbells. */
START_TEST(resets_while_doorbells_ring)
{
	struct fake_fs_server *server;
	unsigned i, rounds;

	begin(0);
	server = fake_fs_server_begin(loop, fs, 3, 200000);
	set_server(server);
	for (rounds = 0; rounds < 200; rounds++) {
		for (i = 0; i < VCPUS; i++) {
			offer(&vcpu[i], i);
			fake_write_as_vcpu(&guest, loop, FAKE_REG_QUEUE_NOTIFY, i + 1);
		}
		loop_lock(loop);
		fake_write(&guest, FAKE_REG_STATUS, 0);
		/* Nothing writes there any more. */
		for (i = 0; i < VCPUS; i++)
			memset(fake_guest_at(&guest, vcpu[i].out), 0xaa, BYTES);
		loop_unlock(loop);
		wait_idle();
		for (i = 0; i < VCPUS; i++)
			ck_assert_uint_eq(*(uint8_t *)fake_guest_at(&guest, vcpu[i].out + 8), 0xaa);
		loop_lock(loop);
		fake_guest_forget(&guest);
		ck_assert(fake_guest_bring_up(&guest, 0));
		for (i = 0; i < VCPUS; i++) {
			vcpu[i].in = fake_guest_alloc(&guest, 4096, 4096);
			vcpu[i].out = fake_guest_alloc(&guest, 4096, 4096);
		}
		loop_unlock(loop);
	}
	start_vcpus();
	join_vcpus();
	ck_assert_uint_eq(atomic_load(&returned), VCPUS * REQUESTS);
	ck_assert_uint_eq(atomic_load(&failed) + atomic_load(&errors), 0);
	wait_idle();
	set_server(NULL);
	fake_fs_server_end(server);
	end();
}
END_TEST

UNIT_MAIN("fs_threads", each_request_returns_with_its_reply, holds_while_doorbells_ring,
	  servers_that_come_and_go, resets_while_doorbells_ring)
