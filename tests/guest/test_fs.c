/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile driver of the file system device, whose doorbells the vCPU's own thread handles:
 * malformed requests and rings, rings and headers that another processor changes meanwhile,
 * doorbells from two processors at once, and resets in between. The device fails each such request
 * or needs a reset; afterwards it works, and so do the other devices.
 */
#include <sched.h>

#include "tests/guest/hostile.h"
#include "tests/support/fake_fs_server.h"

/* Addresses of a request's parts; the header lies where a second processor reaches it. */
#define HEADER	   0xe800u
#define REPLY	   HOSTILE_BUFFERS
#define UNIQUE	   UINT64_C(0x1122334455667788)
#define PATTERN	   UINT64_C(0x0123456789abcdef)
#define UNANSWERED UINT64_C(0x5555555555555555)
#define BROKEN	   (ST_LIVE | ST_RESET)
#define LENGTH	   64u /* of a request, and of the room for its reply */
#define ECHO	   40u /* of its reply */

static struct fake_fs_server *server;
static pthread_t storm_thread;
static atomic_bool storm_stop;

static void connect_server(struct hostile *h, uint64_t delay_ns)
{
	server = fake_fs_server_begin(h->loop, h->devices.fs, 5, delay_ns);
	loop_lock(h->loop);
	fs_set_server(h->devices.fs, &fake_fs_server_ops, server);
	loop_unlock(h->loop);
}

static void setup(struct hostile *h)
{
	connect_server(h, 0);
}

/* Slower than a doorbell waits. */
static void setup_slow(struct hostile *h)
{
	connect_server(h, 300000);
}

/* As the thread of a second vCPU that does nothing but ring doorbells. */
static void *storm(void *arg)
{
	struct hostile *h = arg;
	unsigned i;

	for (i = 0; !atomic_load(&storm_stop); i++) {
		bus_write_unlocked(&h->vm.mmio, driver_register(SLOT_FS, REG_QUEUE_NOTIFY), 4,
				   i % 3);
		if (i % 16 == 0)
			sched_yield();
	}
	return NULL;
}

static void begin_storm(struct hostile *h)
{
	if (pthread_create(&storm_thread, NULL, storm, h) != 0)
		hostile_fail(h, "no thread");
}

static void setup_storm(struct hostile *h)
{
	connect_server(h, 0);
	begin_storm(h);
}

static void setup_slow_storm(struct hostile *h)
{
	connect_server(h, 300000);
	begin_storm(h);
}

static void check(struct hostile *h)
{
	struct fs_stats stats;

	fs_stats(h->devices.fs, &stats);
	if (stats.doorbells == 0)
		hostile_fail(h, "no doorbell was handled by a vCPU's thread");
	if (server->wrong > 0)
		hostile_fail(h, "the device broke the server's rules");
}

static void check_storm(struct hostile *h)
{
	atomic_store(&storm_stop, true);
	pthread_join(storm_thread, NULL);
	check(h);
}

/* --- requests --------------------------------------------------------------------------------- */

static void put_header(struct hostile *h, uint32_t length)
{
	script_write(h, 4, HEADER, length);
	script_write(h, 8, HEADER + 8, UNIQUE);
	script_write(h, 8, HEADER + 40, PATTERN);
	script_write(h, 8, REPLY, UNANSWERED);
	script_write(h, 8, REPLY + 16, UNANSWERED);
}

/* Offers a request in descriptors 0 and 1. */
static void put_request(struct hostile *h, unsigned queue, uint32_t claim, uint32_t length,
			uint32_t room)
{
	struct guest_ring *ring = driver_ring(h, SLOT_FS, queue);

	put_header(h, claim);
	driver_descriptor(h, ring, 0, HEADER, length, room ? DESC_NEXT : 0, 1);
	driver_descriptor(h, ring, 1, REPLY, room, DESC_WRITE, 0);
	driver_offer(h, ring, 0);
}

static void expect_used(struct hostile *h, unsigned queue, const char *what)
{
	driver_kick(h, driver_ring(h, SLOT_FS, queue));
	driver_expect_used(h, driver_ring(h, SLOT_FS, queue), 1, what);
}

/* Its reply is the device's: a header with an error. */
static void expect_error(struct hostile *h, unsigned queue, int error, const char *what)
{
	expect_used(h, queue, what);
	script_expect(h, script_read(h, 8, REPLY), 16 | (uint64_t)(uint32_t)error << 32, what);
	script_expect(h, script_read(h, 8, REPLY + 16), UNANSWERED, what);
}

/* A request that works: the positive twin of all refusals. */
static void expect_works(struct hostile *h)
{
	unsigned queue;

	for (queue = 0; queue < 2; queue++) {
		put_request(h, queue, LENGTH, LENGTH, LENGTH);
		expect_used(h, queue, "a request");
		script_expect(h, script_read(h, 8, REPLY), ECHO, "its length");
		script_expect(h, script_read(h, 8, REPLY + 8), UNIQUE, "its number");
		script_expect(h, script_read(h, 8, REPLY + 16), PATTERN, "its bytes");
	}
}

static void works(struct hostile *h)
{
	driver_bring_up(h, SLOT_FS);
	expect_works(h);
	driver_expect_rng(h);
}

static void malformed_requests(struct hostile *h)
{
	static const uint32_t claim[] = {0, 1, 39, 40, 63, 65, 1u << 17, UINT32_MAX};
	size_t i;

	driver_bring_up(h, SLOT_FS);
	for (i = 0; i < ARRAY_SIZE(claim); i++) {
		put_request(h, 1, claim[i], LENGTH, LENGTH);
		expect_error(h, 1, -22, "a length that is not the request's");
	}
	put_request(h, 1, FS_REQUEST_MAX + 1, FS_REQUEST_MAX + 1, LENGTH);
	expect_error(h, 1, -22, "a request that is too long");
	put_request(h, 1, 39, 39, LENGTH);
	expect_used(h, 1, "less than a header");
	script_expect(h, script_read(h, 8, REPLY), UNANSWERED, "which gets no reply");
	put_request(h, 1, LENGTH, LENGTH, 15);
	expect_used(h, 1, "no room for a reply");
	script_expect(h, script_read(h, 8, REPLY), UNANSWERED, "which is not written");
	put_request(h, 1, LENGTH, LENGTH, 0);
	expect_used(h, 1, "no reply wanted");
	/* The reply goes over the request. */
	put_header(h, LENGTH);
	driver_descriptor(h, driver_ring(h, SLOT_FS, 1), 0, HEADER, LENGTH, DESC_NEXT, 1);
	driver_descriptor(h, driver_ring(h, SLOT_FS, 1), 1, HEADER, LENGTH, DESC_WRITE, 0);
	driver_offer(h, driver_ring(h, SLOT_FS, 1), 0);
	expect_used(h, 1, "a reply over the request");
	expect_works(h);
	driver_expect_rng(h);
}

static void malformed_rings(struct hostile *h)
{
	static const uint64_t address[] = {HOSTILE_MEMORY - 32, HOSTILE_MEMORY, LAYOUT_VIRTIO_BASE,
					   UINT64_MAX - 32};
	struct guest_ring *ring = driver_ring(h, SLOT_FS, 1);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(address); i++) {
		driver_bring_up(h, SLOT_FS);
		put_header(h, LENGTH);
		driver_descriptor(h, ring, 0, HEADER, LENGTH, DESC_NEXT, 1);
		driver_descriptor(h, ring, 1, address[i], LENGTH, DESC_WRITE, 0);
		driver_offer(h, ring, 0);
		driver_kick(h, ring);
		driver_expect_status_soon(h, SLOT_FS, BROKEN, "a reply out of memory");
	}
	driver_bring_up(h, SLOT_FS);
	driver_descriptor(h, ring, 0, HEADER, LENGTH, DESC_NEXT, 0);
	driver_offer(h, ring, 0);
	driver_kick(h, ring);
	driver_expect_status_soon(h, SLOT_FS, BROKEN, "a chain without an end");
	driver_bring_up(h, SLOT_FS);
	script_write(h, 2, ring->base + RING_AVAILABLE + 2, RING_SIZE + 1);
	driver_kick(h, ring);
	driver_expect_status_soon(h, SLOT_FS, BROKEN, "an index that jumps");
	/* Doorbells that are none. */
	driver_write(h, SLOT_FS, REG_QUEUE_NOTIFY, 3);
	driver_write(h, SLOT_FS, REG_QUEUE_NOTIFY, UINT32_MAX);
	script_write(h, 8, driver_register(SLOT_FS, REG_QUEUE_NOTIFY), 1);
	script_write(h, 2, driver_register(SLOT_FS, REG_QUEUE_NOTIFY), 1);
	driver_bring_up(h, SLOT_FS);
	expect_works(h);
	driver_expect_rng(h);
}

/* Full rings of requests, with more doorbells than needed. */
static void flood(struct hostile *h)
{
	struct guest_ring *ring = driver_ring(h, SLOT_FS, 1);
	unsigned round;

	driver_bring_up(h, SLOT_FS);
	for (round = 0; round < 20; round++) {
		put_request(h, 1, LENGTH, LENGTH, LENGTH);
		driver_flood(h, ring, 10);
	}
	expect_works(h);
	driver_expect_rng(h);
}

/* Once the reset is acknowledged, no reply is written any more. */
static void resets_under_way(struct hostile *h)
{
	struct guest_ring *ring = driver_ring(h, SLOT_FS, 1);
	unsigned round;

	for (round = 0; round < 30; round++) {
		driver_bring_up(h, SLOT_FS);
		put_request(h, 1, LENGTH, LENGTH, LENGTH);
		driver_fill(h, ring);
		driver_kick(h, ring);
		script_wait_briefly(h, ring->base + RING_USED + 2, (uint16_t)(round % 4), 500);
		driver_write(h, SLOT_FS, REG_STATUS, 0);
		script_write(h, 8, REPLY, UNANSWERED);
		script_wait_briefly(h, REPLY, ECHO, 500);
		script_expect(h, script_read(h, 8, REPLY), UNANSWERED,
			      "nothing is written after a reset");
	}
	driver_bring_up(h, SLOT_FS);
	expect_works(h);
	driver_expect_rng(h);
}

/* The other processor changes the length: the device must check and use the same copy. */
static void changing_headers(struct hostile *h)
{
	unsigned round;

	driver_bring_up(h, SLOT_FS);
	script_flip(h, HEADER, LENGTH);
	script_flip(h, HEADER + 2, 0xffff);
	script_flip(h, HEADER, 40);
	script_flip(h, HEADER + 2, 0);
	script_flip(h, HEADER + 8, 1);
	for (round = 0; round < 200; round++) {
		put_request(h, 1, LENGTH, LENGTH, LENGTH);
		expect_used(h, 1, "a request that changes");
	}
	driver_expect_rng(h);
}

/* The other processor changes the ring. Requests may be lost, and the ring may be refused. */
static void changing_rings(struct hostile *h)
{
	struct guest_ring *ring = driver_ring(h, SLOT_FS, 1);
	uint16_t base = (uint16_t)ring->base;
	unsigned round;

	script_flip(h, (uint16_t)(base + RING_AVAILABLE + 2), 1);
	script_flip(h, base + 8, 0);  /* the length of the first descriptor */
	script_flip(h, base + 14, 1); /* the second follows it */
	script_flip(h, base + 8, LENGTH);
	script_flip(h, (uint16_t)(base + RING_AVAILABLE + 2), 7);
	script_flip(h, base + 14, 0); /* it follows itself */
	script_flip(h, (uint16_t)(base + RING_AVAILABLE + 2), 0x8000);
	script_flip(h, base + 4, 0xffff); /* its address is out of memory */
	script_flip(h, base + 4, 0);
	for (round = 0; round < 60; round++) {
		driver_bring_up(h, SLOT_FS);
		put_request(h, 1, LENGTH, LENGTH, LENGTH);
		driver_kick(h, ring);
		driver_kick(h, ring);
	}
	/* The other queue is not the one that changes. */
	put_request(h, 0, LENGTH, LENGTH, LENGTH);
	expect_used(h, 0, "a request in the other queue");
	driver_expect_rng(h);
}

static void storm_with_resets(struct hostile *h)
{
	unsigned round;

	for (round = 0; round < 40; round++) {
		driver_bring_up(h, SLOT_FS);
		put_request(h, 0, LENGTH, LENGTH, LENGTH);
		put_request(h, 1, LENGTH, LENGTH, LENGTH);
		driver_kick(h, driver_ring(h, SLOT_FS, round % 2));
	}
	driver_bring_up(h, SLOT_FS);
	expect_works(h);
	driver_expect_rng(h);
}

static const struct hostile_test tests[] = {
	{.name = "a_file_system_works", .setup = setup, .build = works, .check = check},
	{.name = "malformed_file_requests",
	 .setup = setup,
	 .build = malformed_requests,
	 .check = check},
	{.name = "malformed_file_rings", .setup = setup, .build = malformed_rings, .check = check},
	{.name = "a_flood_of_file_requests", .setup = setup, .build = flood, .check = check},
	{.name = "a_flood_at_a_slow_server", .setup = setup_slow, .build = flood, .check = check},
	{.name = "file_requests_under_way_at_resets",
	 .setup = setup_slow,
	 .build = resets_under_way,
	 .check = check},
	{.name = "file_requests_that_change",
	 .setup = setup,
	 .build = changing_headers,
	 .check = check,
	 .flip_thread = true},
	{.name = "file_rings_that_a_processor_changes",
	 .setup = setup,
	 .build = changing_rings,
	 .check = check,
	 .second_cpu = true},
	{.name = "file_rings_that_change_fast",
	 .setup = setup,
	 .build = changing_rings,
	 .check = check,
	 .flip_thread = true},
	{.name = "doorbells_of_two_processors_and_resets",
	 .setup = setup_storm,
	 .build = storm_with_resets,
	 .check = check_storm},
	{.name = "the_same_at_a_slow_server",
	 .setup = setup_slow_storm,
	 .build = storm_with_resets,
	 .check = check_storm},
};

HOSTILE_MAIN(tests)
