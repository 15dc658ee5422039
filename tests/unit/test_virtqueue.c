/* SPDX-License-Identifier: Apache-2.0 */
/* Split virtqueues: what a driver may do works, and everything else breaks the queue and no more.
 */
#include "devices/virtio/virtqueue.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/support/fake_guest.h"
#include "tests/support/unit.h"

#define SIZE	  16
#define INDIRECT  FAKE_F_INDIRECT_DESC
#define EVENT_IDX FAKE_F_EVENT_IDX

static struct fake_guest guest;
static struct fake_queue ring;
static struct virtqueue queue;
static struct virtio_chain chain;
static uint64_t buffer; /* 4 KiB of the guest's memory */

static void begin(uint64_t features, uint16_t size)
{
	struct virtqueue_config config;
	struct err err = {""};

	fake_guest_init(&guest, MIB(2));
	fake_queue_init(&guest, &ring, size);
	buffer = fake_guest_alloc(&guest, 4096, 4096);
	config = fake_queue_config(&ring);
	memset(&queue, 0, sizeof(queue));
	ck_assert_msg(virtqueue_activate(&queue, &config, VIRTQUEUE_SIZE_MAX, features,
					 &guest.memory, &err) == 0,
		      "%s", err.text);
	ck_assert(virtqueue_active(&queue));
}

static void end(void)
{
	fake_guest_destroy(&guest);
}

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
	/* A maximum beyond what a queue can have does not help. */
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

/* Puts one of the three areas so that it ends `over` bytes behind the end of memory. */
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
	struct virtqueue_config config;
	unsigned area;
	size_t i;

	begin(0, SIZE);
	for (area = 0; area < 3; area++) {
		for (i = 0; i < ARRAY_SIZE(wild); i++) {
			uint64_t *field[] = {&config.descriptors, &config.driver, &config.device};

			config = fake_queue_config(&ring);
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
	/* Side by side is right. */
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

/* --- chains that are right -------------------------------------------------------------------- */

START_TEST(a_chain_comes_as_iovecs_and_goes_back_used)
{
	struct fake_piece piece[] = {{0, 10, false}, {0, 20, false}, {0, 30, true}};
	uint32_t head, written;
	unsigned i;

	begin(0, SIZE);
	for (i = 0; i < ARRAY_SIZE(piece); i++)
		piece[i].address = buffer + 100 * i;
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 0);
	fake_queue_add_one(&ring, buffer, 1, false);
	fake_queue_add(&ring, piece, 3);
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

START_TEST(a_chain_may_be_as_long_as_the_queue)
{
	struct fake_piece piece[SIZE];
	unsigned i;

	begin(0, SIZE);
	for (i = 0; i < SIZE; i++)
		piece[i] = (struct fake_piece){buffer + i, 1, i >= 5};
	fake_queue_add(&ring, piece, SIZE);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	ck_assert_uint_eq(chain.readable_count, 5);
	ck_assert_uint_eq(chain.writable_count, SIZE - 5);
	end();
}
END_TEST

START_TEST(an_indirect_table_holds_a_chain)
{
	struct fake_piece piece[] = {{0, 11, false}, {0, 12, true}, {0, 13, true}};
	unsigned i;

	begin(INDIRECT, SIZE);
	for (i = 0; i < ARRAY_SIZE(piece); i++)
		piece[i].address = buffer + 64 * i;
	fake_queue_add_indirect(&ring, piece, 3);
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
	/* Not aligned, and marked writable, which means nothing for a table (2.7.5.3.2). */
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

START_TEST(a_chain_has_as_many_pieces_as_allowed)
{
	struct fake_piece piece[VIRTIO_CHAIN_PIECES + 1];
	unsigned i;

	begin(INDIRECT, SIZE);
	for (i = 0; i < ARRAY_SIZE(piece); i++)
		piece[i] = (struct fake_piece){buffer + i, 1, false};
	fake_queue_add_indirect(&ring, piece, VIRTIO_CHAIN_PIECES);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	ck_assert_uint_eq(chain.readable_count, VIRTIO_CHAIN_PIECES);
	fake_queue_add_indirect(&ring, piece, VIRTIO_CHAIN_PIECES + 1);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), -E2BIG);
	end();
}
END_TEST

/* --- chains that are wrong -------------------------------------------------------------------- */

/* A malformed ring stays broken, whatever the driver does next, and does no harm. */
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

START_TEST(a_loop_in_a_large_queue_ends_at_the_pieces)
{
	uint16_t i;

	begin(0, 1024);
	for (i = 0; i < 1024; i++)
		fake_queue_set(&ring, i, buffer, 1, FAKE_DESC_NEXT, (i + 1) % 1024);
	fake_queue_offer(&ring, 0);
	expect_broken(-E2BIG);
}
END_TEST

START_TEST(a_piece_of_no_bytes)
{
	begin(0, SIZE);
	fake_queue_add_one(&ring, buffer, 0, true);
	expect_broken(-EINVAL);
}
END_TEST

START_TEST(a_piece_outside_memory)
{
	begin(0, SIZE);
	fake_queue_add_one(&ring, 0, 1, false);
	expect_broken(-EFAULT);
}
END_TEST

START_TEST(a_piece_that_ends_outside_memory)
{
	begin(0, SIZE);
	fake_queue_add_one(&ring, FAKE_RAM_BASE + guest.ram_size - 8, 8, false);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	fake_queue_add_one(&ring, FAKE_RAM_BASE + guest.ram_size - 8, 9, false);
	expect_broken(-EFAULT);
}
END_TEST

START_TEST(a_piece_that_wraps)
{
	begin(0, SIZE);
	fake_queue_add_one(&ring, UINT64_MAX - 3, 16, false);
	expect_broken(-EFAULT);
}
END_TEST

START_TEST(a_piece_of_the_whole_address_space)
{
	begin(0, SIZE);
	fake_queue_add_one(&ring, buffer, UINT32_MAX, true);
	expect_broken(-EFAULT);
}
END_TEST

START_TEST(readable_after_writable)
{
	struct fake_piece piece[] = {{0, 1, true}, {0, 1, false}};

	begin(0, SIZE);
	piece[0].address = piece[1].address = buffer;
	fake_queue_add(&ring, piece, 2);
	expect_broken(-EINVAL);
}
END_TEST

/* A region of 3 GiB with nothing behind it: pieces whose sum is around 4 GiB. */
static void add_large_pieces(uint32_t third)
{
	struct guest_memory large = {.fd = -1};
	struct fake_piece piece[] = {{GIB(8), 1u << 31, false}, {GIB(8), 1u << 30, false}, {0}};
	unsigned i;

	begin(0, SIZE);
	ck_assert_int_eq(guest_memory_create(&large, MIB(2), MIB(2), GIB(1), NULL), 0);
	/* The segments are not read: only their addresses are checked. */
	ck_assert_int_eq(guest_memory_add(&guest.memory, GIB(8), large.mapping, GIB(3)), 0);
	piece[2] = (struct fake_piece){GIB(8), third, true};
	fake_queue_add(&ring, piece, 3);
	for (i = 0; i < 3; i++)
		ck_assert_uint_eq(load_le32(ring.desc + 16 * i + 8), piece[i].length);
	guest_memory_destroy(&large);
}

START_TEST(a_total_below_4_gib)
{
	add_large_pieces((1u << 30) - 1);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	ck_assert_uint_eq(chain.readable_length + chain.writable_length, UINT32_MAX);
	end();
}
END_TEST

START_TEST(a_total_of_4_gib)
{
	add_large_pieces(1u << 30);
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
	/* 2 is an entry of the queue's table, but not of this one. */
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

/* --- the driver changes its mind -------------------------------------------------------------- */

START_TEST(a_chain_is_a_copy)
{
	struct fake_piece piece = {0, 32, true};

	begin(0, SIZE);
	piece.address = buffer;
	fake_queue_add(&ring, &piece, 1);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	fake_queue_set(&ring, 0, UINT64_MAX, UINT32_MAX, FAKE_DESC_NEXT, 99);
	ck_assert_uint_eq(chain.writable_count, 1);
	ck_assert_uint_eq(chain.writable_length, 32);
	ck_assert_ptr_eq(chain.writable[0].iov_base, fake_guest_at(&guest, buffer));
	ck_assert_uint_eq(virtio_chain_write(&chain, 0, "abc", 3), 3);
	end();
}
END_TEST

static atomic_bool flip_stop;

/* Changes one descriptor between right, and wrong in several ways, as fast as it can. */
static void *flip(void *arg)
{
	uint8_t *descriptor = arg;
	unsigned i;

	for (i = 0; !atomic_load(&flip_stop); i++) {
		__atomic_store_n((uint64_t *)(void *)descriptor, i & 1 ? buffer : UINT64_MAX - 100,
				 __ATOMIC_RELAXED);
		__atomic_store_n((uint32_t *)(void *)(descriptor + 8), i & 2 ? 64 : UINT32_MAX,
				 __ATOMIC_RELAXED);
		__atomic_store_n((uint32_t *)(void *)(descriptor + 12), i & 4 ? 0 : 0x00010001,
				 __ATOMIC_RELAXED);
	}
	return NULL;
}

/* All of [iov_base, iov_base + iov_len) is the guest's memory. */
static bool in_ram(const struct iovec *iov)
{
	return range_within((uint64_t)((uint8_t *)iov->iov_base - guest.ram), iov->iov_len,
			    guest.ram_size);
}

/* The control: checks a descriptor where it lies, then uses it. True if what it uses is wrong. */
static bool naive_pop_is_fooled(void)
{
	const volatile uint64_t *address = (const volatile uint64_t *)(void *)ring.desc;
	const volatile uint32_t *length = (const volatile uint32_t *)(void *)(ring.desc + 8);

	if (!guest_memory_at(&guest.memory, *address, *length))
		return false;
	return !guest_memory_at(&guest.memory, *address, *length);
}

START_TEST(what_is_handed_out_is_right_while_the_driver_writes)
{
	struct virtqueue_config config;
	unsigned taken = 0, refused = 0, fooled = 0, i, k;
	pthread_t thread;
	int ret;

	begin(0, SIZE);
	config = fake_queue_config(&ring);
	fake_queue_set(&ring, 1, buffer, 1, 0, 0);
	atomic_store(&flip_stop, false);
	ck_assert_int_eq(pthread_create(&thread, NULL, flip, ring.desc), 0);
	/* Until all outcomes have been seen, and the control has lost: else there was no race. */
	for (i = 0; i < 100000000; i++) {
		if (i > 200000 && taken > 1000 && refused > 1000 && fooled > 10)
			break;
		fooled += naive_pop_is_fooled();
		ck_assert_int_eq(virtqueue_activate(&queue, &config, SIZE, 0, &guest.memory, NULL),
				 0);
		ring.avail_index = 0;
		fake_queue_offer(&ring, 0);
		ret = virtqueue_pop(&queue, &chain);
		if (ret < 0) {
			refused++;
			continue;
		}
		ck_assert_int_eq(ret, 1);
		taken++;
		for (k = 0; k < chain.readable_count; k++)
			ck_assert(in_ram(&chain.readable[k]));
	}
	atomic_store(&flip_stop, true);
	pthread_join(thread, NULL);
	ck_assert_uint_gt(taken, 1000);
	ck_assert_uint_gt(refused, 1000);
	ck_assert_uint_gt(fooled, 10);
	end();
}
END_TEST

/* --- interrupts and doorbells ----------------------------------------------------------------- */

START_TEST(an_interrupt_unless_the_flag_says_no)
{
	begin(0, SIZE);
	ck_assert(!virtqueue_should_interrupt(&queue));
	virtqueue_push(&queue, 0, 0);
	virtqueue_push(&queue, 1, 0);
	ck_assert(virtqueue_should_interrupt(&queue));
	ck_assert(!virtqueue_should_interrupt(&queue));
	fake_queue_set_flags(&ring, 1);
	virtqueue_push(&queue, 2, 0);
	ck_assert(!virtqueue_should_interrupt(&queue));
	fake_queue_set_flags(&ring, 0);
	ck_assert(!virtqueue_should_interrupt(&queue));
	virtqueue_push(&queue, 3, 0);
	ck_assert(virtqueue_should_interrupt(&queue));
	end();
}
END_TEST

START_TEST(an_interrupt_when_the_event_index_is_passed)
{
	unsigned i, interrupts = 0;

	begin(EVENT_IDX, SIZE);
	/* The flag means nothing now. */
	fake_queue_set_flags(&ring, 1);
	virtqueue_push(&queue, 0, 0);
	ck_assert(virtqueue_should_interrupt(&queue));
	virtqueue_push(&queue, 0, 0);
	ck_assert(!virtqueue_should_interrupt(&queue));
	fake_queue_set_used_event(&ring, 4);
	for (i = 2; i < 5; i++) {
		virtqueue_push(&queue, 0, 0);
		ck_assert(virtqueue_should_interrupt(&queue) == (i == 4));
	}
	/* Passed in one step of several. */
	fake_queue_set_used_event(&ring, 6);
	for (i = 0; i < 4; i++)
		virtqueue_push(&queue, 0, 0);
	ck_assert(virtqueue_should_interrupt(&queue));
	/* One interrupt in 65536 pushes, across the wrap. */
	fake_queue_set_used_event(&ring, 3);
	for (i = 0; i < 65536; i++) {
		virtqueue_push(&queue, 0, 0);
		interrupts += virtqueue_should_interrupt(&queue);
	}
	ck_assert_uint_eq(interrupts, 1);
	end();
}
END_TEST

START_TEST(the_doorbell_flag)
{
	begin(0, SIZE);
	virtqueue_disable_doorbell(&queue);
	ck_assert_uint_eq(fake_queue_used_flags(&ring), 1);
	/* It stays off until it is enabled, also when the queue is found empty. */
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 0);
	ck_assert_uint_eq(fake_queue_used_flags(&ring), 1);
	ck_assert(!virtqueue_enable_doorbell(&queue));
	ck_assert_uint_eq(fake_queue_used_flags(&ring), 0);
	virtqueue_disable_doorbell(&queue);
	fake_queue_add_one(&ring, buffer, 1, true);
	ck_assert(virtqueue_enable_doorbell(&queue));
	end();
}
END_TEST

START_TEST(the_doorbell_event_index)
{
	unsigned i;

	begin(EVENT_IDX, SIZE);
	for (i = 0; i < 3; i++)
		fake_queue_add_one(&ring, buffer, 1, true);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	/* Nothing is asked for while chains are there ... */
	ck_assert_uint_eq(fake_queue_avail_event(&ring), 0);
	/* ... but the next one when there are none, without the device doing a thing. */
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 0);
	ck_assert_uint_eq(fake_queue_avail_event(&ring), 3);
	virtqueue_disable_doorbell(&queue);
	fake_queue_add_one(&ring, buffer, 1, true);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 0);
	ck_assert_uint_eq(fake_queue_avail_event(&ring), 3);
	ck_assert(!virtqueue_enable_doorbell(&queue));
	ck_assert_uint_eq(fake_queue_avail_event(&ring), 4);
	/* The flags must stay 0 with EVENT_IDX (2.7.10). */
	ck_assert_uint_eq(fake_queue_used_flags(&ring), 0);
	end();
}
END_TEST

/* --- copying ---------------------------------------------------------------------------------- */

START_TEST(bytes_are_copied_across_pieces)
{
	struct fake_piece piece[] = {{0, 3, false}, {0, 1, false}, {0, 4, false},
				     {0, 2, true},  {0, 5, true},  {0, 1, true}};
	char got[16] = "";
	unsigned i;

	begin(0, SIZE);
	for (i = 0; i < ARRAY_SIZE(piece); i++)
		piece[i].address = buffer + 16 * i;
	memcpy(fake_guest_at(&guest, buffer), "abc", 3);
	memcpy(fake_guest_at(&guest, buffer + 16), "d", 1);
	memcpy(fake_guest_at(&guest, buffer + 32), "efgh", 4);
	fake_queue_add(&ring, piece, ARRAY_SIZE(piece));
	ck_assert_int_eq(virtqueue_pop(&queue, &chain), 1);
	ck_assert_uint_eq(virtio_chain_read(&chain, 0, got, 16), 8);
	ck_assert_str_eq(got, "abcdefgh");
	ck_assert_uint_eq(virtio_chain_read(&chain, 2, got, 4), 4);
	ck_assert_mem_eq(got, "cdef", 4);
	ck_assert_uint_eq(virtio_chain_read(&chain, 8, got, 1), 0);
	ck_assert_uint_eq(virtio_chain_read(&chain, UINT64_MAX, got, 1), 0);
	ck_assert_uint_eq(virtio_chain_read(&chain, 0, got, 0), 0);
	ck_assert_uint_eq(virtio_chain_write(&chain, 1, "123456789", 9), 7);
	ck_assert_mem_eq(fake_guest_at(&guest, buffer + 48), "\0001", 3);
	ck_assert_mem_eq(fake_guest_at(&guest, buffer + 64), "23456\0", 6);
	ck_assert_mem_eq(fake_guest_at(&guest, buffer + 80), "7", 2);
	ck_assert_uint_eq(virtio_chain_write(&chain, 8, "x", 1), 0);
	end();
}
END_TEST

UNIT_MAIN("virtqueue", sizes_are_powers_of_two_up_to_the_maximum, rings_must_be_aligned,
	  rings_must_lie_in_memory, rings_must_not_overlap, nothing_happens_on_an_inactive_queue,
	  a_chain_comes_as_iovecs_and_goes_back_used, indices_wrap_at_sixteen_bits,
	  a_queue_may_be_full, a_chain_can_be_put_back, a_chain_may_be_as_long_as_the_queue,
	  an_indirect_table_holds_a_chain, an_indirect_table_may_follow_direct_descriptors,
	  a_chain_has_as_many_pieces_as_allowed, an_index_that_jumped, an_index_that_went_back,
	  a_head_outside_the_table, a_next_outside_the_table,
	  a_next_outside_that_is_not_used_is_fine, a_descriptor_that_follows_itself, a_loop_of_many,
	  a_loop_in_a_large_queue_ends_at_the_pieces, a_piece_of_no_bytes, a_piece_outside_memory,
	  a_piece_that_ends_outside_memory, a_piece_that_wraps, a_piece_of_the_whole_address_space,
	  readable_after_writable, a_total_below_4_gib, a_total_of_4_gib,
	  an_indirect_table_that_was_not_negotiated, an_indirect_table_that_has_a_next,
	  an_indirect_table_that_is_empty, an_indirect_table_that_is_cut,
	  an_indirect_table_outside_memory, an_indirect_table_of_4_gib,
	  an_indirect_table_in_an_indirect_table, a_next_outside_the_indirect_table,
	  a_loop_in_an_indirect_table, a_chain_is_a_copy,
	  what_is_handed_out_is_right_while_the_driver_writes, an_interrupt_unless_the_flag_says_no,
	  an_interrupt_when_the_event_index_is_passed, the_doorbell_flag, the_doorbell_event_index,
	  bytes_are_copied_across_pieces)
