/* SPDX-License-Identifier: Apache-2.0 */
/* What a turn of the balloon is bounded by, reports of free pages, and what a guest gives away. */
#include <string.h>

#include "tests/unit/balloon_common.h"

START_TEST(a_huge_chain_takes_several_turns)
{
	uint32_t count = 2 * BALLOON_TURN_NUMBERS + 1;
	unsigned i, rounds = 0;
	uint64_t at, buffer;

	begin();
	at = filled(1);
	buffer = fake_guest_alloc(&guest, count * 4u, 4);
	for (i = 0; i < count - 1; i++)
		store_le32(fake_guest_at(&guest, buffer + i * 4u), UINT32_MAX);
	store_le32(fake_guest_at(&guest, buffer + i * 4u), (uint32_t)(at / PAGE));
	fake_queue_add_one(inflate, buffer, count * 4u, false);
	/* Ringing does not help: a turn a round, between which other devices have theirs. */
	for (; fake_queue_used_index(inflate) == 0 && rounds < 100; rounds++) {
		for (i = 0; i < 1000; i++)
			fake_queue_kick(inflate);
		run_once();
	}
	ck_assert_uint_ge(rounds, 3);
	expect_used(inflate, 1);
	ck_assert(all_are(at, PAGE, 0));
	ck_assert_uint_eq(balloon_held(balloon), PAGE);
	end();
}
END_TEST

/* A vCPU's thread rings, with the device lock: it does none of the work. */
START_TEST(a_doorbell_does_nothing_itself)
{
	uint64_t at, buffer;

	begin();
	at = filled(1);
	buffer = fake_guest_alloc(&guest, 4, 4);
	store_le32(fake_guest_at(&guest, buffer), (uint32_t)(at / PAGE));
	fake_queue_add_one(inflate, buffer, 4, false);
	fake_queue_kick(inflate);
	ck_assert_uint_eq(balloon_held(balloon), 0);
	ck_assert(all_are(at, PAGE, 0x5a));
	run_once();
	expect_used(inflate, 1);
	ck_assert_uint_eq(balloon_held(balloon), PAGE);
	ck_assert(all_are(at, PAGE, 0));
	end();
}
END_TEST

/* How many rounds a chain takes whose segments all lie over the same length bytes at an address. */
static unsigned rounds_of_all_over(struct fake_queue *queue, uint64_t at, uint32_t length,
				   bool writable)
{
	struct fake_segment segment[100];
	unsigned i, rounds = 0;

	for (i = 0; i < ARRAY_SIZE(segment); i++)
		segment[i] = (struct fake_segment){at, length, writable};
	fake_queue_add(queue, segment, ARRAY_SIZE(segment));
	fake_queue_kick(queue);
	for (; fake_queue_used_index(queue) == 0 && rounds < 1000; rounds++)
		run_once();
	expect_used(queue, 1);
	return rounds;
}

/* What a chain costs is bounded, too: its segments may all be the whole of memory. */
START_TEST(an_endless_chain_ends)
{
	uint32_t counted = BALLOON_CHAIN_NUMBERS, rounds = counted / BALLOON_TURN_NUMBERS;
	uint64_t at, buffer;

	begin_with(MIB(64), F_REPORTING);
	buffer = fake_guest_alloc(&guest, (counted + 1) * 4u, 4);
	at = filled(2);
	memset(fake_guest_at(&guest, buffer), 0xff, (counted + 1) * 4u);
	store_le32(fake_guest_at(&guest, buffer + (counted - 1) * 4u), (uint32_t)(at / PAGE));
	store_le32(fake_guest_at(&guest, buffer + counted * 4u), (uint32_t)(at / PAGE) + 1);
	ck_assert_uint_le(rounds_of_all_over(inflate, buffer, (counted + 1) * 4u, false),
			  rounds + 2);
	ck_assert_uint_eq(balloon_held(balloon), PAGE);
	ck_assert(all_are(at, PAGE, 0));
	ck_assert(all_are(at + PAGE, PAGE, 0x5a));
	/* 100 times 32 MiB, of 64 MiB. */
	ck_assert_uint_le(rounds_of_all_over(report, FAKE_RAM_BASE + MIB(32), MIB(32), true), 3);
	end();
}
END_TEST

/* Each second page: no two are beside each other, so each is a call of the host's kernel. */
START_TEST(scattered_pages_take_several_turns)
{
	uint32_t numbers[BALLOON_TURN_CALLS * 2];
	unsigned i, rounds = 0;
	uint64_t at;

	begin_with(MIB(16), 0);
	at = filled(2 * ARRAY_SIZE(numbers));
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		numbers[i] = (uint32_t)(at / PAGE) + 2 * i;
	name_pages(inflate, numbers, ARRAY_SIZE(numbers));
	ck_assert_uint_eq(fake_queue_used_index(inflate), 0);
	ck_assert_uint_gt(balloon_held(balloon), 0);
	ck_assert_uint_le(balloon_held(balloon), BALLOON_TURN_CALLS * PAGE);
	for (; fake_queue_used_index(inflate) == 0 && rounds < 100; rounds++)
		run_once();
	expect_used(inflate, 1);
	ck_assert_uint_eq(balloon_held(balloon), ARRAY_SIZE(numbers) * PAGE);
	end();
}
END_TEST

START_TEST(reported_pages_are_given_back)
{
	struct fake_segment segment[2];
	uint64_t at;

	begin();
	at = filled(8);
	segment[0] = (struct fake_segment){at + PAGE, 2 * PAGE, true};
	/* Only whole pages. */
	segment[1] = (struct fake_segment){at + 4 * PAGE + 1, 3 * PAGE, true};
	fake_queue_add(report, segment, 2);
	ring(report);
	expect_used(report, 1);
	ck_assert(all_are(at, PAGE, 0x5a));
	ck_assert(all_are(at + PAGE, 2 * PAGE, 0));
	ck_assert(all_are(at + 3 * PAGE, 2 * PAGE, 0x5a));
	ck_assert(all_are(at + 5 * PAGE, 2 * PAGE, 0));
	ck_assert(all_are(at + 7 * PAGE, PAGE, 0x5a));
	/* They are still the guest's. */
	ck_assert_uint_eq(balloon_held(balloon), 0);
	end();
}
END_TEST

START_TEST(reports_take_several_turns)
{
	uint64_t size = 2 * BALLOON_TURN_BYTES + PAGE, at;
	unsigned rounds = 0;

	begin_with(size + MIB(4), F_REPORTING);
	at = filled((unsigned)(size / PAGE));
	fake_queue_add_one(report, at, (uint32_t)size, true);
	ring(report);
	ck_assert_uint_eq(fake_queue_used_index(report), 0);
	ck_assert(all_are(at, BALLOON_TURN_BYTES, 0));
	ck_assert(all_are(at + BALLOON_TURN_BYTES, BALLOON_TURN_BYTES, 0x5a));
	for (; fake_queue_used_index(report) == 0 && rounds < 100; rounds++)
		run_once();
	expect_used(report, 1);
	ck_assert(all_are(at, size, 0));
	end();
}
END_TEST

START_TEST(reports_need_their_feature)
{
	uint64_t at;

	begin_with(RAM, F_DEFLATE_ON_OOM);
	at = filled(1);
	fake_queue_add_one(report, at, PAGE, true);
	ring(report);
	expect_used(report, 0);
	ck_assert(all_are(at, PAGE, 0x5a));
	end();
}
END_TEST

START_TEST(nothing_is_given_back_after_a_reset)
{
	uint64_t size = 2 * BALLOON_TURN_BYTES, at;

	begin_with(size + MIB(4), F_REPORTING);
	at = filled((unsigned)(size / PAGE));
	fake_queue_add_one(report, at, (uint32_t)size, true);
	ring(report);
	/* The rest waits in a task. */
	fake_write(&guest, FAKE_REG_STATUS, 0);
	run_once();
	ck_assert(all_are(at + BALLOON_TURN_BYTES, BALLOON_TURN_BYTES, 0x5a));
	end();
}
END_TEST

/* A guest that gives away its rings and its list has a broken queue, and the monitor goes on. */
START_TEST(a_guest_may_give_away_its_rings)
{
	uint32_t numbers[RAM / PAGE];
	unsigned i;

	begin();
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		numbers[i] = RAM_PAGE + i;
	name_pages(inflate, numbers, ARRAY_SIZE(numbers));
	run_once();
	ring(inflate);
	ring(deflate);
	run_once();
	ck_assert_uint_le(balloon_held(balloon), RAM);
	fake_guest_forget(&guest);
	ck_assert(fake_guest_bring_up(&guest, 0));
	name_page(inflate, filled(1));
	ck_assert_uint_eq(balloon_held(balloon), PAGE);
	end();
}
END_TEST

UNIT_MAIN("balloon_turns", a_huge_chain_takes_several_turns, a_doorbell_does_nothing_itself,
	  an_endless_chain_ends, scattered_pages_take_several_turns, reported_pages_are_given_back,
	  reports_take_several_turns, reports_need_their_feature,
	  nothing_is_given_back_after_a_reset, a_guest_may_give_away_its_rings)
