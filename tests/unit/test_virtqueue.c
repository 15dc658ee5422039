/* SPDX-License-Identifier: Apache-2.0 */
/* Split virtqueues: what a driver may do works; everything else breaks just the queue. */
#include "devices/virtio/virtqueue.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/support/fake_guest.h"
#include "tests/support/unit.h"
#include "tests/unit/virtqueue_common.h"

/* --- activation ------------------------------------------------------------------------------ */

static int activate(struct virtqueue_config config)
{
	struct err err = {""};
	int ret = virtqueue_activate(&queue, &config, 256, 0, &guest.memory, &err);

	ck_assert(virtqueue_active(&queue) == (ret == 0));
	ck_assert((err.text[0] != '\0') == (ret != 0));
	return ret;
}

START_TEST(sizes_are_powers_of_two_up_to_the_maximum)
{
	static const uint32_t bad[] = {0, 3, 15, 17, 255, 257, 512, 1u << 16, 1u << 31, UINT32_MAX};
	struct virtqueue_config config;
	size_t i;

	begin(0, 256);
	config = fake_queue_config(&ring);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		config.size = bad[i];
		ck_assert_int_eq(activate(config), -EINVAL);
	}
	for (config.size = 1; config.size <= 256; config.size *= 2)
		ck_assert_int_eq(activate(config), 0);
	/* A maximum above the limit of all queues does not raise that limit. */
	config.size = 4096;
	ck_assert_int_eq(virtqueue_activate(&queue, &config, UINT32_MAX, 0, &guest.memory, NULL),
			 -EINVAL);
	end();
}
END_TEST

START_TEST(rings_must_be_aligned)
{
	struct virtqueue_config config;
	unsigned i;

	begin(0, SIZE);
	for (i = 1; i < 16; i++) {
		config = fake_queue_config(&ring);
		config.descriptors += i;
		ck_assert_int_eq(activate(config), -EINVAL);
	}
	config = fake_queue_config(&ring);
	config.driver++;
	ck_assert_int_eq(activate(config), -EINVAL);
	for (i = 1; i < 4; i++) {
		config = fake_queue_config(&ring);
		config.device += i;
		ck_assert_int_eq(activate(config), -EINVAL);
	}
	ck_assert_int_eq(activate(fake_queue_config(&ring)), 0);
	end();
}
END_TEST

/* Places one of the three areas so that it ends `over` bytes after the end of memory. */
static int activate_at_end(unsigned area, uint64_t length, uint64_t align, uint64_t over)
{
	struct virtqueue_config config = fake_queue_config(&ring);
	uint64_t *field[] = {&config.descriptors, &config.driver, &config.device};
	uint64_t memory_end = FAKE_RAM_BASE + guest.ram_size;

	*field[area] = ((memory_end - length) & ~(align - 1)) + over;
	return activate(config);
}

START_TEST(rings_must_lie_in_memory)
{
	static const uint64_t wild[] = {0, FAKE_RAM_BASE - 16, UINT64_MAX & ~UINT64_C(15),
					UINT64_C(1) << 63, UINT64_C(1) << 32};
	static const uint64_t length[] = {16 * SIZE, 6 + 2 * SIZE, 6 + 8 * SIZE};
	static const uint64_t align[] = {16, 2, 4};
	unsigned area;
	size_t i;

	begin(0, SIZE);
	for (area = 0; area < 3; area++) {
		for (i = 0; i < ARRAY_SIZE(wild); i++) {
			struct virtqueue_config config = fake_queue_config(&ring);
			uint64_t *field[] = {&config.descriptors, &config.driver, &config.device};

			*field[area] = wild[i];
			ck_assert_int_eq(activate(config), -EFAULT);
		}
		ck_assert_int_eq(activate_at_end(area, length[area], align[area], 0), 0);
		ck_assert_int_eq(activate_at_end(area, length[area], align[area], align[area]),
				 -EFAULT);
	}
	end();
}
END_TEST

START_TEST(rings_must_not_overlap)
{
	struct virtqueue_config config;

	begin(0, SIZE);
	config = fake_queue_config(&ring);
	config.driver = config.descriptors;
	ck_assert_int_eq(activate(config), -EINVAL);
	config = fake_queue_config(&ring);
	config.device = config.descriptors + 16 * SIZE - 4;
	ck_assert_int_eq(activate(config), -EINVAL);
	config = fake_queue_config(&ring);
	config.driver = config.device + 6 + 8 * SIZE - 2;
	ck_assert_int_eq(activate(config), -EINVAL);
	/* Adjacent areas are valid. */
	config.driver = config.device + 6 + 8 * SIZE;
	ck_assert_int_eq(activate(config), 0);
	end();
}
END_TEST

START_TEST(nothing_happens_on_an_inactive_queue)
{
	begin(0, SIZE);
	fake_queue_add_one(&ring, buffer, 64, true);
	ck_assert(virtqueue_has_chain(&queue));
	virtqueue_reset(&queue);
	ck_assert(!virtqueue_active(&queue));
	ck_assert(!virtqueue_has_chain(&queue));
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 0);
	virtqueue_push(&queue, 0, 1);
	ck_assert_uint_eq(fake_queue_used_index(&ring), 0);
	ck_assert(!virtqueue_should_interrupt(&queue));
	virtqueue_disable_doorbell(&queue);
	ck_assert(!virtqueue_enable_doorbell(&queue));
	virtqueue_undo_pop(&queue);
	end();
}
END_TEST

/* --- valid chains ----------------------------------------------------------------------------- */

START_TEST(a_chain_comes_as_iovecs_and_goes_back_used)
{
	struct fake_segment segment[] = {{0, 10, false}, {0, 20, false}, {0, 30, true}};
	uint32_t head, written;
	unsigned i;

	begin(0, SIZE);
	for (i = 0; i < ARRAY_SIZE(segment); i++)
		segment[i].address = buffer + 100 * i;
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 0);
	fake_queue_add_one(&ring, buffer, 1, false);
	fake_queue_add(&ring, segment, 3);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	ck_assert_uint_eq(chain.head, 0);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	ck_assert_uint_eq(chain.head, 1);
	ck_assert_uint_eq(chain.readable_count, 2);
	ck_assert_uint_eq(chain.writable_count, 1);
	ck_assert_uint_eq(chain.readable_length, 30);
	ck_assert_uint_eq(chain.writable_length, 30);
	ck_assert_ptr_eq(chain.readable[0].iov_base, fake_guest_at(&guest, buffer));
	ck_assert_ptr_eq(chain.readable[1].iov_base, fake_guest_at(&guest, buffer + 100));
	ck_assert_uint_eq(chain.readable[1].iov_len, 20);
	ck_assert_ptr_eq(chain.writable[0].iov_base, fake_guest_at(&guest, buffer + 200));
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 0);
	virtqueue_push(&queue, 1, 25);
	virtqueue_push(&queue, 0, 0);
	ck_assert(fake_queue_take_used(&ring, &head, &written));
	ck_assert_uint_eq(head, 1);
	ck_assert_uint_eq(written, 25);
	ck_assert(fake_queue_take_used(&ring, &head, &written));
	ck_assert_uint_eq(head, 0);
	ck_assert(!fake_queue_take_used(&ring, &head, &written));
	end();
}
END_TEST

START_TEST(used_chains_are_seen_once_published)
{
	uint32_t head, written, i;

	begin(0, SIZE);
	for (i = 0; i < 3; i++)
		fake_queue_add_one(&ring, buffer, 64, true);
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
		virtqueue_add_used(&queue, chain.head, i);
	}
	ck_assert_uint_eq(fake_queue_used_index(&ring), 0);
	virtqueue_publish(&queue);
	ck_assert(virtqueue_should_interrupt(&queue));
	ck_assert(!virtqueue_should_interrupt(&queue));
	for (i = 0; i < 3; i++) {
		ck_assert(fake_queue_take_used(&ring, &head, &written));
		ck_assert_uint_eq(written, i);
	}
	ck_assert(!fake_queue_take_used(&ring, &head, &written));
	virtqueue_reset(&queue);
	virtqueue_publish(&queue);
	end();
}
END_TEST

START_TEST(indices_wrap_at_sixteen_bits)
{
	uint32_t i, head, written, expected;

	begin(0, 4);
	for (i = 0; i < 3 * 65536 / 2; i++) {
		expected = fake_queue_add_one(&ring, buffer, 1, true);
		ck_assert(virtqueue_has_chain(&queue));
		ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
		ck_assert(!virtqueue_has_chain(&queue));
		virtqueue_push(&queue, chain.head, i);
		ck_assert(fake_queue_take_used(&ring, &head, &written));
		ck_assert(head == expected && written == i);
	}
	end();
}
END_TEST

START_TEST(a_queue_may_be_full)
{
	unsigned i;

	begin(0, SIZE);
	for (i = 0; i < SIZE; i++)
		fake_queue_add_one(&ring, buffer, 1, true);
	for (i = 0; i < SIZE; i++)
		ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 0);
	end();
}
END_TEST

START_TEST(a_chain_can_be_put_back)
{
	begin(0, SIZE);
	fake_queue_add_one(&ring, buffer, 7, true);
	fake_queue_add_one(&ring, buffer, 8, true);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	virtqueue_undo_pop(&queue);
	ck_assert(virtqueue_has_chain(&queue));
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	ck_assert_uint_eq(chain.writable_length, 7);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	ck_assert_uint_eq(chain.writable_length, 8);
	end();
}
END_TEST

START_TEST(a_chain_can_be_read_again)
{
	begin(0, SIZE);
	fake_queue_add_one(&ring, buffer, 7, true);
	fake_queue_add_one(&ring, buffer, 8, true);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	ck_assert_int_eq(virtqueue_read_chain(&queue, 0, &chain), 0);
	ck_assert_uint_eq(chain.head, 0);
	ck_assert_uint_eq(chain.writable_length, 7);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	ck_assert_uint_eq(chain.writable_length, 8);
	fake_queue_set(&ring, 0, buffer, 0, 0, 0);
	ck_assert_int_eq(virtqueue_read_chain(&queue, SIZE - 1, &chain), -EINVAL);
	ck_assert(queue.broken);
	ck_assert_int_eq(virtqueue_read_chain(&queue, 1, &chain), -EIO);
	end();
	begin(0, SIZE);
	fake_queue_set(&ring, SIZE - 1, buffer, 1, 0, 0);
	ck_assert_int_eq(virtqueue_read_chain(&queue, SIZE - 1, &chain), 0);
	ck_assert_int_eq(virtqueue_read_chain(&queue, SIZE, &chain), -EINVAL);
	virtqueue_reset(&queue);
	ck_assert_int_eq(virtqueue_read_chain(&queue, 0, &chain), -EIO);
	end();
}
END_TEST

START_TEST(a_chain_may_be_as_long_as_the_queue)
{
	struct fake_segment segment[SIZE];
	unsigned i;

	begin(0, SIZE);
	for (i = 0; i < SIZE; i++)
		segment[i] = (struct fake_segment){buffer + i, 1, i >= 5};
	fake_queue_add(&ring, segment, SIZE);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	ck_assert_uint_eq(chain.readable_count, 5);
	ck_assert_uint_eq(chain.writable_count, SIZE - 5);
	end();
}
END_TEST

START_TEST(an_indirect_table_holds_a_chain)
{
	struct fake_segment segment[] = {{0, 11, false}, {0, 12, true}, {0, 13, true}};
	unsigned i;

	begin(INDIRECT, SIZE);
	for (i = 0; i < ARRAY_SIZE(segment); i++)
		segment[i].address = buffer + 64 * i;
	fake_queue_add_indirect(&ring, segment, 3);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	ck_assert_uint_eq(chain.head, 0);
	ck_assert_uint_eq(chain.readable_length, 11);
	ck_assert_uint_eq(chain.writable_length, 25);
	end();
}
END_TEST

START_TEST(an_indirect_table_may_follow_direct_descriptors)
{
	uint64_t table;

	begin(INDIRECT, SIZE);
	/*
	 * The table is not aligned, and marked writable, which is ignored for a table (2.7.5.3.2).
	 */
	table = fake_guest_alloc(&guest, 64, 16) + 3;
	fake_table_set(&guest, table, 0, buffer + 8, 8, FAKE_DESC_NEXT, 1);
	fake_table_set(&guest, table, 1, buffer + 16, 16, FAKE_DESC_WRITE, 0);
	fake_queue_set(&ring, 3, buffer, 4, FAKE_DESC_NEXT, 9);
	fake_queue_set(&ring, 9, table, 32, FAKE_DESC_INDIRECT | FAKE_DESC_WRITE, 0);
	fake_queue_offer(&ring, 3);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	ck_assert_uint_eq(chain.head, 3);
	ck_assert_uint_eq(chain.readable_count, 2);
	ck_assert_uint_eq(chain.readable_length, 12);
	ck_assert_uint_eq(chain.writable_length, 16);
	end();
}
END_TEST

START_TEST(a_chain_has_as_many_segments_as_allowed)
{
	struct fake_segment segment[VIRTIO_CHAIN_SEGMENTS + 1];
	unsigned i;

	begin(INDIRECT, SIZE);
	for (i = 0; i < ARRAY_SIZE(segment); i++)
		segment[i] = (struct fake_segment){buffer + i, 1, false};
	fake_queue_add_indirect(&ring, segment, VIRTIO_CHAIN_SEGMENTS);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	ck_assert_uint_eq(chain.readable_count, VIRTIO_CHAIN_SEGMENTS);
	fake_queue_add_indirect(&ring, segment, VIRTIO_CHAIN_SEGMENTS + 1);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), -E2BIG);
	end();
}
END_TEST

UNIT_MAIN("virtqueue", sizes_are_powers_of_two_up_to_the_maximum, rings_must_be_aligned,
	  rings_must_lie_in_memory, rings_must_not_overlap, nothing_happens_on_an_inactive_queue,
	  a_chain_comes_as_iovecs_and_goes_back_used, used_chains_are_seen_once_published,
	  indices_wrap_at_sixteen_bits, a_queue_may_be_full, a_chain_can_be_put_back,
	  a_chain_can_be_read_again, a_chain_may_be_as_long_as_the_queue,
	  an_indirect_table_holds_a_chain, an_indirect_table_may_follow_direct_descriptors,
	  a_chain_has_as_many_segments_as_allowed)
