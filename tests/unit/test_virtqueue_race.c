/* SPDX-License-Identifier: Apache-2.0 */
/* A driver that changes its rings meanwhile; interrupts, doorbells, copies. */
#include "devices/virtio/virtqueue.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/support/fake_guest.h"
#include "tests/support/unit.h"
#include "tests/unit/virtqueue_common.h"

#define EVENT_IDX FAKE_F_EVENT_IDX

/* --- rings that change ------------------------------------------------------------------------ */

START_TEST(a_chain_is_a_copy)
{
	struct fake_segment segment = {0, 32, true};

	begin(0, SIZE);
	segment.address = buffer;
	fake_queue_add(&ring, &segment, 1);
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

/* Changes a descriptor between valid and several invalid values, as fast as it can. */
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

/* Whether all of [iov_base, iov_base + iov_len) is guest memory. */
static bool in_ram(const struct iovec *iov)
{
	return range_within((uint64_t)((uint8_t *)iov->iov_base - guest.ram), iov->iov_len,
			    guest.ram_size);
}

/*
 * The control checks a descriptor in place, then reads it again to use it. True if it has changed.
 */
static bool naive_pop_is_fooled(void)
{
	const uint64_t *address = (const uint64_t *)(void *)ring.desc;
	const uint32_t *length = (const uint32_t *)(void *)(ring.desc + 8);

	if (!guest_memory_at(&guest.memory, __atomic_load_n(address, __ATOMIC_RELAXED),
			     __atomic_load_n(length, __ATOMIC_RELAXED)))
		return false;
	return !guest_memory_at(&guest.memory, __atomic_load_n(address, __ATOMIC_RELAXED),
				__atomic_load_n(length, __ATOMIC_RELAXED));
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
	/* Until all outcomes have occurred and the control has lost: else there was no race. */
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
	/* With EVENT_IDX the flag is ignored. */
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
	/* The index is passed by several pushes at once. */
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
	/* The doorbell stays off until it is enabled, even when the queue is found empty. */
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
	/* While there are chains no doorbell is requested ... */
	ck_assert_uint_eq(fake_queue_avail_event(&ring), 0);
	/* ... but an empty pop requests the next one, without any call of the device. */
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

START_TEST(bytes_are_copied_across_segments)
{
	struct fake_segment segment[] = {{0, 3, false}, {0, 1, false}, {0, 4, false},
					 {0, 2, true},	{0, 5, true},  {0, 1, true}};
	char got[16] = "";
	unsigned i;

	begin(0, SIZE);
	for (i = 0; i < ARRAY_SIZE(segment); i++)
		segment[i].address = buffer + 16 * i;
	memcpy(fake_guest_at(&guest, buffer), "abc", 3);
	memcpy(fake_guest_at(&guest, buffer + 16), "d", 1);
	memcpy(fake_guest_at(&guest, buffer + 32), "efgh", 4);
	fake_queue_add(&ring, segment, ARRAY_SIZE(segment));
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

UNIT_MAIN("virtqueue_race", a_chain_is_a_copy, what_is_handed_out_is_right_while_the_driver_writes,
	  an_interrupt_unless_the_flag_says_no, an_interrupt_when_the_event_index_is_passed,
	  the_doorbell_flag, the_doorbell_event_index, bytes_are_copied_across_segments)
