/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/rng/rng.h"

#include <string.h>

#include "tests/support/fake_guest.h"
#include "tests/support/unit.h"

static struct fake_guest guest;
static struct fake_queue *queue;
static struct loop *loop;
static struct rng *rng;

static void begin(void)
{
	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(rng_create(&rng, loop), 0);
	fake_guest_init(&guest, MIB(2));
	fake_guest_attach(&guest, rng_device(rng));
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_DEVICE_ID), 4);
	ck_assert(fake_guest_bring_up(&guest, 0));
	queue = &guest.queue[0];
}

static void end(void)
{
	rng_destroy(rng);
	loop_destroy(loop);
	fake_guest_destroy(&guest);
}

static void stop(void *arg)
{
	loop_stop(arg);
}

/* Lets the loop do what it has to, for about so long. */
static void run_for(uint64_t ns)
{
	struct loop_timer timer = {.expired = stop, .arg = loop};

	loop_timer_start(loop, &timer, ns);
	ck_assert_int_eq(loop_run(loop), 0);
}

static bool all_zero(uint64_t address, size_t length)
{
	const uint8_t *at = fake_guest_at(&guest, address);
	size_t i;

	for (i = 0; i < length; i++)
		if (at[i] != 0)
			return false;
	return true;
}

START_TEST(a_buffer_is_filled)
{
	uint64_t buffer;
	uint32_t head, written;

	begin();
	buffer = fake_guest_alloc(&guest, 256, 16);
	fake_queue_add_one(queue, buffer, 64, true);
	fake_queue_kick(queue);
	ck_assert(fake_queue_take_used(queue, &head, &written));
	ck_assert_uint_eq(written, 64);
	/* Not 0 by chance: 2^-256 a half. */
	ck_assert(!all_zero(buffer, 32));
	ck_assert(!all_zero(buffer + 32, 32));
	ck_assert(all_zero(buffer + 64, 192));
	ck_assert(memcmp(fake_guest_at(&guest, buffer), fake_guest_at(&guest, buffer + 32), 32));
	ck_assert_uint_eq(fake_guest_interrupts(&guest), 1);
	end();
}
END_TEST

START_TEST(writable_segments_are_filled_and_readable_ones_are_not)
{
	struct fake_segment segment[] = {{0, 32, false}, {0, 32, true}, {0, 64, true}};
	uint32_t head, written;
	unsigned i;

	begin();
	for (i = 0; i < ARRAY_SIZE(segment); i++)
		segment[i].address = fake_guest_alloc(&guest, 64, 64);
	fake_queue_add(queue, segment, ARRAY_SIZE(segment));
	fake_queue_kick(queue);
	ck_assert(fake_queue_take_used(queue, &head, &written));
	ck_assert_uint_eq(written, 96);
	ck_assert(all_zero(segment[0].address, 64));
	ck_assert(!all_zero(segment[1].address, 32));
	ck_assert(all_zero(segment[1].address + 32, 32));
	ck_assert(!all_zero(segment[2].address + 32, 32));
	end();
}
END_TEST

START_TEST(a_chain_without_room_is_completed)
{
	uint32_t head, written;
	uint64_t buffer;

	begin();
	buffer = fake_guest_alloc(&guest, 64, 16);
	fake_queue_add_one(queue, buffer, 64, false);
	fake_queue_kick(queue);
	ck_assert(fake_queue_take_used(queue, &head, &written));
	ck_assert_uint_eq(written, 0);
	ck_assert(all_zero(buffer, 64));
	end();
}
END_TEST

START_TEST(a_huge_buffer_is_filled_in_part)
{
	uint32_t head, written;
	uint64_t buffer;

	begin();
	buffer = fake_guest_alloc(&guest, MIB(1), 4096);
	fake_queue_add_one(queue, buffer, MIB(1), true);
	fake_queue_kick(queue);
	ck_assert(fake_queue_take_used(queue, &head, &written));
	ck_assert_uint_gt(written, 0);
	ck_assert_uint_le(written, 64 << 10);
	ck_assert(all_zero(buffer + written, 4096));
	end();
}
END_TEST

START_TEST(a_greedy_guest_waits_and_is_served_in_the_end)
{
	uint64_t buffer, begun = loop_now_ns(), total = 0, passed;
	uint32_t head, written;
	unsigned i, served = 0;

	begin();
	buffer = fake_guest_alloc(&guest, 64 << 10, 4096);
	for (i = 0; i < queue->size; i++)
		fake_queue_add_one(queue, buffer, 64 << 10, true);
	fake_queue_kick(queue);
	/* Ringing does not help: one turn, then other devices. */
	for (i = 0; i < 1000; i++)
		fake_queue_kick(queue);
	ck_assert_uint_le(fake_queue_used_index(queue), 1);
	while (served < queue->size) {
		run_for(5000000);
		for (; fake_queue_take_used(queue, &head, &written); served++)
			total += written;
		/* A burst at the beginning, then the rate; the clock is read after the bytes. */
		passed = loop_now_ns() - begun;
		ck_assert_uint_le(total,
				  (256u << 10) + passed * RNG_BYTES_PER_SECOND / 1000000000u);
	}
	ck_assert_uint_gt(total, 256u << 10);
	end();
}
END_TEST

START_TEST(many_small_chains_are_served_in_turns)
{
	uint64_t buffer;
	unsigned i;

	begin();
	buffer = fake_guest_alloc(&guest, 64, 16);
	for (i = 0; i < queue->size; i++)
		fake_queue_add_one(queue, buffer, 1, true);
	fake_queue_kick(queue);
	ck_assert_uint_lt(fake_queue_used_index(queue), queue->size);
	run_for(1000000);
	ck_assert_uint_eq(fake_queue_used_index(queue), queue->size);
	end();
}
END_TEST

START_TEST(a_broken_ring_stops_and_a_reset_heals)
{
	uint32_t head, written;
	uint64_t buffer;

	begin();
	fake_queue_set_avail_index(queue, 9999);
	fake_queue_kick(queue);
	ck_assert(fake_status(&guest) & FAKE_ST_NEEDS_RESET);
	run_for(1000000);
	fake_guest_forget(&guest);
	ck_assert(fake_guest_bring_up(&guest, 0));
	buffer = fake_guest_alloc(&guest, 64, 16);
	fake_queue_add_one(queue, buffer, 64, true);
	fake_queue_kick(queue);
	ck_assert(fake_queue_take_used(queue, &head, &written));
	ck_assert_uint_eq(written, 64);
	end();
}
END_TEST

START_TEST(nothing_is_written_after_a_reset)
{
	uint64_t buffer;
	unsigned i;

	begin();
	buffer = fake_guest_alloc(&guest, 64 << 10, 4096);
	for (i = 0; i < queue->size; i++)
		fake_queue_add_one(queue, buffer, 64 << 10, true);
	fake_queue_kick(queue);
	run_for(1000000);
	/* Work is waiting now, for a timer or in a task. */
	fake_write(&guest, FAKE_REG_STATUS, 0);
	memset(guest.ram, 0, guest.ram_size);
	run_for(30000000);
	ck_assert(all_zero(FAKE_RAM_BASE, guest.ram_size));
	end();
}
END_TEST

START_TEST(destroying_works_at_any_time)
{
	rng_destroy(NULL);
	begin();
	fake_queue_add_one(queue, FAKE_RAM_BASE, MIB(1), true);
	end();
}
END_TEST

UNIT_MAIN("rng", a_buffer_is_filled, writable_segments_are_filled_and_readable_ones_are_not,
	  a_chain_without_room_is_completed, a_huge_buffer_is_filled_in_part,
	  a_greedy_guest_waits_and_is_served_in_the_end, many_small_chains_are_served_in_turns,
	  a_broken_ring_stops_and_a_reset_heals, nothing_is_written_after_a_reset,
	  destroying_works_at_any_time)
