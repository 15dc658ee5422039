/* SPDX-License-Identifier: Apache-2.0 */
/* Pages that go into the balloon and come back, the target, and resets. */
#include <string.h>

#include "tests/unit/balloon_common.h"

START_TEST(it_is_a_balloon)
{
	begin();
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_DEVICE_ID), DEVICE_ID);
	fake_write(&guest, FAKE_REG_DEVICE_FEATURES_SEL, 0);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_DEVICE_FEATURES) & 0xff,
			  F_DEFLATE_ON_OOM | F_REPORTING);
	ck_assert_uint_eq(fake_read(&guest, CONFIG_PAGES), 0);
	ck_assert_uint_eq(fake_read(&guest, CONFIG_ACTUAL), 0);
	/* Nothing comes after these two fields. */
	ck_assert_uint_eq(fake_read(&guest, CONFIG_ACTUAL + 4), 0);
	ck_assert_uint_eq(balloon_held(balloon), 0);
	end();
	balloon_destroy(NULL);
	ck_assert_int_eq(loop_create(&loop), 0);
	fake_guest_init(&guest, RAM);
	ck_assert_int_eq(balloon_create(&balloon, loop, &guest.memory, false), 0);
	fake_guest_attach(&guest, balloon_device(balloon));
	ck_assert(!fake_guest_negotiate(&guest, F_REPORTING));
	ck_assert(fake_guest_negotiate(&guest, F_DEFLATE_ON_OOM));
	end();
}
END_TEST

START_TEST(a_page_is_given_back_and_its_neighbours_are_not)
{
	uint64_t at;

	begin();
	at = filled(3);
	name_page(inflate, at + PAGE);
	expect_used(inflate, 1);
	ck_assert(all_are(at, PAGE, 0x5a));
	ck_assert(all_are(at + PAGE, PAGE, 0));
	ck_assert(all_are(at + 2 * PAGE, PAGE, 0x5a));
	ck_assert_uint_eq(balloon_held(balloon), PAGE);
	ck_assert_uint_eq(fake_guest_interrupts(&guest), 1);
	/* The page can be used again at once. */
	name_page(deflate, at + PAGE);
	expect_used(deflate, 1);
	ck_assert_uint_eq(balloon_held(balloon), 0);
	memset(fake_guest_at(&guest, at + PAGE), 0x77, PAGE);
	ck_assert(all_are(at + PAGE, PAGE, 0x77));
	end();
}
END_TEST

START_TEST(pages_are_given_back_in_any_order)
{
	static const unsigned order[] = {0, 1, 2, 9, 8, 7, 4, 20, 22, 21, 30, 5};
	uint32_t numbers[ARRAY_SIZE(order)];
	bool named[32] = {false};
	uint64_t at;
	unsigned i;

	begin();
	at = filled(32);
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		numbers[i] = (uint32_t)(at / PAGE) + order[i];
		named[order[i]] = true;
	}
	name_pages(inflate, numbers, ARRAY_SIZE(numbers));
	expect_used(inflate, 1);
	for (i = 0; i < 32; i++)
		ck_assert(all_are(at + i * PAGE, PAGE, named[i] ? 0 : 0x5a));
	ck_assert_uint_eq(balloon_held(balloon), ARRAY_SIZE(order) * PAGE);
	end();
}
END_TEST

START_TEST(a_page_counts_once)
{
	uint32_t numbers[3];
	uint64_t at;

	begin();
	at = filled(2);
	numbers[0] = numbers[1] = (uint32_t)(at / PAGE);
	numbers[2] = numbers[0] + 1;
	name_pages(inflate, numbers, 2);
	ck_assert_uint_eq(balloon_held(balloon), PAGE);
	/* Named again, it is the driver's fault if it was used meanwhile: nothing is lost. */
	memset(fake_guest_at(&guest, at), 0x77, PAGE);
	name_pages(inflate, numbers, 1);
	ck_assert_uint_eq(balloon_held(balloon), PAGE);
	ck_assert(all_are(at, PAGE, 0x77));
	/* One that was never in it, and one that is taken back twice. */
	name_pages(deflate, numbers + 1, 2);
	ck_assert_uint_eq(balloon_held(balloon), 0);
	name_pages(deflate, numbers, 3);
	ck_assert_uint_eq(balloon_held(balloon), 0);
	ck_assert(all_are(at + PAGE, PAGE, 0x5a));
	name_pages(inflate, numbers, 3);
	ck_assert_uint_eq(balloon_held(balloon), 2 * PAGE);
	end();
}
END_TEST

START_TEST(what_is_not_memory_is_ignored)
{
	uint32_t last = RAM_PAGE + RAM / PAGE - 1;
	uint32_t outside[] = {0, RAM_PAGE - 1, last + 1, 0x7fffffff, 0x80000000, UINT32_MAX};
	uint32_t inside[] = {RAM_PAGE + 512, last};

	begin();
	name_pages(inflate, outside, ARRAY_SIZE(outside));
	name_pages(deflate, outside, ARRAY_SIZE(outside));
	expect_used(inflate, 1);
	expect_used(deflate, 1);
	ck_assert_uint_eq(balloon_held(balloon), 0);
	name_pages(inflate, inside, ARRAY_SIZE(inside));
	expect_used(inflate, 1);
	ck_assert_uint_eq(balloon_held(balloon), 2 * PAGE);
	ck_assert(!(fake_status(&guest) & FAKE_ST_NEEDS_RESET));
	end();
}
END_TEST

START_TEST(chains_of_odd_lengths_are_completed)
{
	uint64_t at, buffer;

	begin();
	at = filled(2);
	buffer = fake_guest_alloc(&guest, 16, 4);
	store_le32(fake_guest_at(&guest, buffer), (uint32_t)(at / PAGE));
	store_le32(fake_guest_at(&guest, buffer + 4), (uint32_t)(at / PAGE) + 1);
	fake_queue_add_one(inflate, buffer, 7, false); /* the second number is cut short */
	fake_queue_add_one(inflate, buffer, 3, false);
	fake_queue_add_one(inflate, buffer, 8, true); /* nothing to read */
	fake_queue_add_one(report, buffer, 8, false); /* nothing to write */
	ring(inflate);
	ring(report);
	expect_used(inflate, 3);
	expect_used(report, 1);
	ck_assert_uint_eq(balloon_held(balloon), PAGE);
	ck_assert(all_are(at + PAGE, PAGE, 0x5a));
	end();
}
END_TEST

/* Numbers that lie across the segments of a chain. */
START_TEST(numbers_may_be_split)
{
	struct fake_segment segment[3];
	uint64_t at, buffer;
	unsigned i;

	begin();
	at = filled(2);
	buffer = fake_guest_alloc(&guest, 8, 4);
	store_le32(fake_guest_at(&guest, buffer), (uint32_t)(at / PAGE));
	store_le32(fake_guest_at(&guest, buffer + 4), (uint32_t)(at / PAGE) + 1);
	for (i = 0; i < 3; i++)
		segment[i] = (struct fake_segment){buffer + 3 * i, i < 2 ? 3 : 2, false};
	fake_queue_add(inflate, segment, 3);
	ring(inflate);
	expect_used(inflate, 1);
	ck_assert_uint_eq(balloon_held(balloon), 2 * PAGE);
	end();
}
END_TEST

START_TEST(the_target_is_told_and_bounded)
{
	uint32_t generation;

	begin();
	fake_guest_interrupts(&guest);
	generation = fake_read(&guest, FAKE_REG_GENERATION);
	balloon_set_target(balloon, 3 * PAGE + 1);
	ck_assert_uint_eq(fake_read(&guest, CONFIG_PAGES), 3);
	ck_assert_uint_eq(balloon_target(balloon), 3 * PAGE);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_INTERRUPT_STATUS), 2);
	ck_assert_uint_ne(fake_read(&guest, FAKE_REG_GENERATION), generation);
	ck_assert_uint_eq(fake_guest_interrupts(&guest), 1);
	balloon_set_target(balloon, 3 * PAGE);
	ck_assert_uint_eq(fake_guest_interrupts(&guest), 0);
	balloon_set_target(balloon, RAM + PAGE);
	ck_assert_uint_eq(balloon_target(balloon), RAM);
	balloon_set_target(balloon, UINT64_MAX);
	ck_assert_uint_eq(balloon_target(balloon), RAM);
	balloon_set_target(balloon, 0);
	ck_assert_uint_eq(fake_read(&guest, CONFIG_PAGES), 0);
	end();
}
END_TEST

START_TEST(the_driver_writes_one_field_only)
{
	begin();
	balloon_set_target(balloon, 5 * PAGE);
	fake_write(&guest, CONFIG_ACTUAL, 77);
	ck_assert_uint_eq(fake_read(&guest, CONFIG_ACTUAL), 77);
	fake_write(&guest, CONFIG_PAGES, 99);
	fake_write_size(&guest, CONFIG_ACTUAL, 2, 1);
	fake_write_size(&guest, CONFIG_ACTUAL + 2, 2, 1);
	fake_write_size(&guest, CONFIG_PAGES, 8, 1);
	fake_write_size(&guest, CONFIG_ACTUAL, 8, 1);
	ck_assert_uint_eq(fake_read(&guest, CONFIG_PAGES), 5);
	ck_assert_uint_eq(fake_read(&guest, CONFIG_ACTUAL), 77);
	ck_assert_uint_eq(balloon_held(balloon), 0);
	end();
}
END_TEST

START_TEST(a_reset_empties_it_and_keeps_the_target)
{
	uint64_t at;

	begin();
	at = filled(1);
	balloon_set_target(balloon, 5 * PAGE);
	name_page(inflate, at);
	ck_assert_uint_eq(balloon_held(balloon), PAGE);
	fake_queue_set_avail_index(inflate, 9999);
	ring(inflate);
	ck_assert(fake_status(&guest) & FAKE_ST_NEEDS_RESET);
	fake_guest_forget(&guest);
	ck_assert(fake_guest_bring_up(&guest, 0));
	ck_assert_uint_eq(balloon_held(balloon), 0);
	ck_assert_uint_eq(fake_read(&guest, CONFIG_PAGES), 5);
	ck_assert_uint_eq(fake_read(&guest, CONFIG_ACTUAL), 0);
	at = filled(1);
	name_page(inflate, at);
	ck_assert(all_are(at, PAGE, 0));
	ck_assert_uint_eq(balloon_held(balloon), PAGE);
	end();
}
END_TEST

UNIT_MAIN("balloon", it_is_a_balloon, a_page_is_given_back_and_its_neighbours_are_not,
	  pages_are_given_back_in_any_order, a_page_counts_once, what_is_not_memory_is_ignored,
	  chains_of_odd_lengths_are_completed, numbers_may_be_split, the_target_is_told_and_bounded,
	  the_driver_writes_one_field_only, a_reset_empties_it_and_keeps_the_target)
