/* SPDX-License-Identifier: Apache-2.0 */
/* Chains that break a rule. */
#include "devices/virtio/virtqueue.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/support/fake_guest.h"
#include "tests/support/unit.h"
#include "tests/unit/virtqueue_common.h"

/* --- invalid chains --------------------------------------------------------------------------- */

/* A malformed ring breaks the queue, which stays broken whatever the driver does next. */
static void expect_broken(int code)
{
	ck_assert(virtqueue_has_chain(&queue));
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), code);
	ck_assert(queue.broken);
	ck_assert(!virtqueue_has_chain(&queue));
	ck_assert(!virtqueue_enable_doorbell(&queue));
	fake_queue_set(&ring, 0, buffer, 1, 0, 0);
	fake_queue_offer(&ring, 0);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), -EIO);
	ck_assert_uint_eq(fake_queue_used_index(&ring), 0);
	end();
}

START_TEST(an_index_that_jumped)
{
	begin(0, SIZE);
	fake_queue_set_avail_index(&ring, SIZE + 1);
	expect_broken(-EINVAL);
}
END_TEST

START_TEST(an_index_that_went_back)
{
	begin(0, SIZE);
	fake_queue_add_one(&ring, buffer, 1, false);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	fake_queue_set_avail_index(&ring, 0);
	expect_broken(-EINVAL);
}
END_TEST

START_TEST(a_head_outside_the_table)
{
	begin(0, SIZE);
	fake_queue_offer(&ring, SIZE);
	expect_broken(-EINVAL);
}
END_TEST

START_TEST(a_next_outside_the_table)
{
	begin(0, SIZE);
	fake_queue_set(&ring, 0, buffer, 1, FAKE_DESC_NEXT, SIZE);
	fake_queue_offer(&ring, 0);
	expect_broken(-EINVAL);
}
END_TEST

START_TEST(a_next_outside_that_is_not_used_is_fine)
{
	begin(0, SIZE);
	fake_queue_set(&ring, 0, buffer, 1, 0, UINT16_MAX);
	fake_queue_offer(&ring, 0);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	end();
}
END_TEST

START_TEST(a_descriptor_that_follows_itself)
{
	begin(0, SIZE);
	fake_queue_set(&ring, 0, buffer, 1, FAKE_DESC_NEXT, 0);
	fake_queue_offer(&ring, 0);
	expect_broken(-ELOOP);
}
END_TEST

START_TEST(a_loop_of_many)
{
	uint16_t i;

	begin(0, SIZE);
	for (i = 0; i < SIZE; i++)
		fake_queue_set(&ring, i, buffer, 1, FAKE_DESC_NEXT, (i + 1) % SIZE);
	fake_queue_offer(&ring, 5);
	expect_broken(-ELOOP);
}
END_TEST

START_TEST(a_loop_in_a_large_queue_ends_at_the_segment_limit)
{
	uint16_t i;

	begin(0, 1024);
	for (i = 0; i < 1024; i++)
		fake_queue_set(&ring, i, buffer, 1, FAKE_DESC_NEXT, (i + 1) % 1024);
	fake_queue_offer(&ring, 0);
	expect_broken(-E2BIG);
}
END_TEST

START_TEST(an_empty_segment)
{
	begin(0, SIZE);
	fake_queue_add_one(&ring, buffer, 0, true);
	expect_broken(-EINVAL);
}
END_TEST

START_TEST(a_segment_outside_memory)
{
	begin(0, SIZE);
	fake_queue_add_one(&ring, 0, 1, false);
	expect_broken(-EFAULT);
}
END_TEST

START_TEST(a_segment_that_ends_outside_memory)
{
	begin(0, SIZE);
	fake_queue_add_one(&ring, FAKE_RAM_BASE + guest.ram_size - 8, 8, false);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	fake_queue_add_one(&ring, FAKE_RAM_BASE + guest.ram_size - 8, 9, false);
	expect_broken(-EFAULT);
}
END_TEST

START_TEST(a_segment_that_wraps)
{
	begin(0, SIZE);
	fake_queue_add_one(&ring, UINT64_MAX - 3, 16, false);
	expect_broken(-EFAULT);
}
END_TEST

START_TEST(a_segment_of_the_whole_address_space)
{
	begin(0, SIZE);
	fake_queue_add_one(&ring, buffer, UINT32_MAX, true);
	expect_broken(-EFAULT);
}
END_TEST

START_TEST(readable_after_writable)
{
	struct fake_segment segment[] = {{0, 1, true}, {0, 1, false}};

	begin(0, SIZE);
	segment[0].address = segment[1].address = buffer;
	fake_queue_add(&ring, segment, 2);
	expect_broken(-EINVAL);
}
END_TEST

/* Segments of a 3 GiB region, which has no memory behind it, with a sum of about 4 GiB. */
static void add_large_segments(uint32_t third)
{
	struct guest_memory large = {.fd = -1};
	struct fake_segment segment[] = {{GIB(8), 1u << 31, false}, {GIB(8), 1u << 30, false}, {0}};
	unsigned i;

	begin(0, SIZE);
	ck_assert_int_eq(guest_memory_create(&large, MIB(2), MIB(2), GIB(1), NULL), 0);
	/* The segments are not read: only their addresses are checked. */
	ck_assert_int_eq(guest_memory_add(&guest.memory, GIB(8), large.mapping, GIB(3)), 0);
	segment[2] = (struct fake_segment){GIB(8), third, true};
	fake_queue_add(&ring, segment, 3);
	for (i = 0; i < 3; i++)
		ck_assert_uint_eq(load_le32(ring.desc + 16 * i + 8), segment[i].length);
	guest_memory_destroy(&large);
}

START_TEST(a_total_below_4_gib)
{
	add_large_segments((1u << 30) - 1);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	ck_assert_uint_eq(chain.readable_length + chain.writable_length, UINT32_MAX);
	end();
}
END_TEST

START_TEST(a_total_of_4_gib)
{
	add_large_segments(1u << 30);
	expect_broken(-E2BIG);
}
END_TEST

/* One descriptor, index 0, that names an indirect table of `length` bytes at `table`. */
static void offer_table(uint64_t table, uint32_t length, uint16_t flags)
{
	fake_queue_set(&ring, 0, table, length, FAKE_DESC_INDIRECT | flags, 1);
	fake_queue_set(&ring, 1, buffer, 1, 0, 0);
	fake_queue_offer(&ring, 0);
}

START_TEST(an_indirect_table_that_was_not_negotiated)
{
	begin(0, SIZE);
	fake_table_set(&guest, buffer, 0, buffer, 1, 0, 0);
	offer_table(buffer, 16, 0);
	expect_broken(-EINVAL);
}
END_TEST

START_TEST(an_indirect_table_that_has_a_next)
{
	begin(INDIRECT, SIZE);
	fake_table_set(&guest, buffer, 0, buffer, 1, 0, 0);
	offer_table(buffer, 16, FAKE_DESC_NEXT);
	expect_broken(-EINVAL);
}
END_TEST

START_TEST(an_indirect_table_that_is_empty)
{
	begin(INDIRECT, SIZE);
	offer_table(buffer, 0, 0);
	expect_broken(-EINVAL);
}
END_TEST

START_TEST(an_indirect_table_that_is_cut)
{
	begin(INDIRECT, SIZE);
	offer_table(buffer, 24, 0);
	expect_broken(-EINVAL);
}
END_TEST

START_TEST(an_indirect_table_outside_memory)
{
	begin(INDIRECT, SIZE);
	offer_table(FAKE_RAM_BASE + guest.ram_size - 16, 32, 0);
	expect_broken(-EFAULT);
}
END_TEST

START_TEST(an_indirect_table_of_4_gib)
{
	begin(INDIRECT, SIZE);
	offer_table(buffer, 0xfffffff0, 0);
	expect_broken(-EFAULT);
}
END_TEST

START_TEST(an_indirect_table_in_an_indirect_table)
{
	begin(INDIRECT, SIZE);
	fake_table_set(&guest, buffer, 0, buffer + 64, 16, FAKE_DESC_INDIRECT, 0);
	fake_table_set(&guest, buffer + 64, 0, buffer, 1, 0, 0);
	offer_table(buffer, 16, 0);
	expect_broken(-EINVAL);
}
END_TEST

START_TEST(a_next_outside_the_indirect_table)
{
	begin(INDIRECT, SIZE);
	/* 2 is an entry of the queue's table, but not of this table. */
	fake_table_set(&guest, buffer, 0, buffer, 1, FAKE_DESC_NEXT, 2);
	offer_table(buffer, 32, 0);
	expect_broken(-EINVAL);
}
END_TEST

START_TEST(a_loop_in_an_indirect_table)
{
	begin(INDIRECT, SIZE);
	fake_table_set(&guest, buffer, 0, buffer, 1, FAKE_DESC_NEXT, 1);
	fake_table_set(&guest, buffer, 1, buffer, 1, FAKE_DESC_NEXT, 0);
	offer_table(buffer, 32, 0);
	expect_broken(-ELOOP);
}
END_TEST

UNIT_MAIN("virtqueue_wrong", an_index_that_jumped, an_index_that_went_back,
	  a_head_outside_the_table, a_next_outside_the_table,
	  a_next_outside_that_is_not_used_is_fine, a_descriptor_that_follows_itself, a_loop_of_many,
	  a_loop_in_a_large_queue_ends_at_the_segment_limit, an_empty_segment,
	  a_segment_outside_memory, a_segment_that_ends_outside_memory, a_segment_that_wraps,
	  a_segment_of_the_whole_address_space, readable_after_writable, a_total_below_4_gib,
	  a_total_of_4_gib, an_indirect_table_that_was_not_negotiated,
	  an_indirect_table_that_has_a_next, an_indirect_table_that_is_empty,
	  an_indirect_table_that_is_cut, an_indirect_table_outside_memory,
	  an_indirect_table_of_4_gib, an_indirect_table_in_an_indirect_table,
	  a_next_outside_the_indirect_table, a_loop_in_an_indirect_table)
