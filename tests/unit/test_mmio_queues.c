/* SPDX-License-Identifier: Apache-2.0 */
/* Queue registers and doorbells of the MMIO transport. */
#include "devices/virtio/mmio.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "tests/support/fake_guest.h"
#include "tests/support/unit.h"
#include "tests/unit/mmio_common.h"

/* --- queues ----------------------------------------------------------------------------------- */

START_TEST(queue_sel_out_of_range)
{
	static const uint32_t wild[] = {QUEUES, VIRTIO_DEVICE_QUEUES, 255, 65536, UINT32_MAX};
	size_t i;

	begin();
	ck_assert(fake_guest_negotiate(&guest, 0));
	fake_write(&guest, FAKE_REG_QUEUE_SEL, QUEUES - 1);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_QUEUE_NUM_MAX), 256);
	for (i = 0; i < ARRAY_SIZE(wild); i++) {
		fake_write(&guest, FAKE_REG_QUEUE_SEL, wild[i]);
		ck_assert_uint_eq(fake_read(&guest, FAKE_REG_QUEUE_NUM_MAX), 0);
		fake_write(&guest, FAKE_REG_QUEUE_NUM, 16);
		fake_write_address(&guest, FAKE_REG_QUEUE_DESC, FAKE_RAM_BASE);
		fake_write(&guest, FAKE_REG_QUEUE_READY, 1);
		ck_assert_uint_eq(fake_read(&guest, FAKE_REG_QUEUE_READY), 0);
	}
	for (i = 0; i < VIRTIO_DEVICE_QUEUES; i++)
		ck_assert(!guest.mmio.queue[i].ready && guest.mmio.queue[i].size == 0);
	end();
}
END_TEST

START_TEST(queues_are_written_only_between_features_ok_and_driver_ok)
{
	size_t i;

	begin();
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		bool may = states[i] == (ACK | DRIVER | FEAT);

		go_to(states[i]);
		fake_write(&guest, FAKE_REG_QUEUE_SEL, 1);
		fake_write(&guest, FAKE_REG_QUEUE_NUM, 8);
		fake_write_address(&guest, FAKE_REG_QUEUE_DRIVER, 0x123456789a);
		fake_write(&guest, FAKE_REG_QUEUE_READY, 1);
		ck_assert_uint_eq(guest.mmio.queue[1].size, may ? 8 : 0);
		ck_assert_uint_eq(guest.mmio.queue[1].driver, may ? 0x123456789a : 0);
		ck_assert_uint_eq(fake_read(&guest, FAKE_REG_QUEUE_READY), may);
	}
	end();
}
END_TEST

START_TEST(a_ready_queue_does_not_change)
{
	struct virtqueue_config before;
	uint64_t offset;

	begin();
	ck_assert(fake_guest_negotiate(&guest, 0));
	fake_guest_set_queue(&guest, 0, 16);
	before = guest.mmio.queue[0];
	fake_write(&guest, FAKE_REG_QUEUE_NUM, 8);
	for (offset = 0x80; offset < 0xb0; offset += 4)
		fake_write(&guest, offset, 0x1000);
	ck_assert_uint_eq(guest.mmio.queue[0].size, before.size);
	ck_assert_uint_eq(guest.mmio.queue[0].descriptors, before.descriptors);
	ck_assert_uint_eq(guest.mmio.queue[0].driver, before.driver);
	ck_assert_uint_eq(guest.mmio.queue[0].device, before.device);
	/* The twin: while the queue is not ready, the write takes effect. */
	fake_write(&guest, FAKE_REG_QUEUE_READY, 0);
	fake_write(&guest, FAKE_REG_QUEUE_NUM, 8);
	ck_assert_uint_eq(guest.mmio.queue[0].size, 8);
	end();
}
END_TEST

START_TEST(an_active_queue_is_frozen)
{
	uint8_t *descriptors;
	uint64_t offset;

	begin();
	ck_assert(fake_guest_bring_up(&guest, 0));
	descriptors = (uint8_t *)(uintptr_t)dev.device.queue[0].descriptors;
	fake_write(&guest, FAKE_REG_QUEUE_SEL, 0);
	fake_write(&guest, FAKE_REG_QUEUE_READY, 0);
	fake_write(&guest, FAKE_REG_QUEUE_NUM, 1);
	for (offset = 0x80; offset < 0xb0; offset += 4)
		fake_write(&guest, offset, 0);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_QUEUE_READY), 1);
	ck_assert_ptr_eq(dev.device.queue[0].descriptors, descriptors);
	ck_assert_uint_eq(dev.device.queue[0].size, 16);
	end();
}
END_TEST

START_TEST(addresses_have_two_halves_in_any_order)
{
	begin();
	ck_assert(fake_guest_negotiate(&guest, 0));
	fake_write(&guest, 0x084, 0x11223344);
	fake_write(&guest, 0x080, 0x55667788);
	ck_assert_uint_eq(guest.mmio.queue[0].descriptors, 0x1122334455667788);
	fake_write(&guest, 0x0a0, 0x55667788);
	fake_write(&guest, 0x0a4, 0x11223344);
	ck_assert_uint_eq(guest.mmio.queue[0].device, 0x1122334455667788);
	end();
}
END_TEST

START_TEST(queues_that_are_not_ready_stay_inactive)
{
	begin();
	ck_assert(fake_guest_negotiate(&guest, 0));
	fake_guest_set_queue(&guest, 1, 4);
	fake_add_status(&guest, OK);
	ck_assert_uint_eq(fake_status(&guest), LIVE);
	ck_assert(!virtqueue_active(&dev.device.queue[0]));
	ck_assert(virtqueue_active(&dev.device.queue[1]));
	ck_assert_uint_eq(dev.device.queue[1].size, 4);
	fake_write(&guest, FAKE_REG_QUEUE_NOTIFY, 0);
	ck_assert_uint_eq(dev.notified[0], 0);
	fake_write(&guest, FAKE_REG_QUEUE_NOTIFY, 1);
	ck_assert_uint_eq(dev.notified[1], 1);
	end();
}
END_TEST

START_TEST(a_queue_that_is_wrong_needs_a_reset)
{
	begin();
	ck_assert(fake_guest_negotiate(&guest, 0));
	fake_guest_set_queue(&guest, 0, 16);
	fake_guest_set_queue(&guest, 1, 128); /* the maximum is 64 */
	fake_add_status(&guest, OK);
	ck_assert_uint_eq(fake_status(&guest), LIVE | RESET);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_INTERRUPT_STATUS), 2);
	ck_assert_uint_eq(fake_guest_interrupts(&guest), 1);
	ck_assert_uint_eq(dev.activations, 0);
	ck_assert(!virtqueue_active(&dev.device.queue[0]));
	fake_queue_kick(&guest.queue[0]);
	ck_assert_uint_eq(dev.notified[0], 0);
	fake_write(&guest, FAKE_REG_STATUS, 0);
	ck_assert_uint_eq(dev.resets, 0);
	fake_guest_forget(&guest);
	ck_assert(fake_guest_bring_up(&guest, 0));
	end();
}
END_TEST

START_TEST(a_device_that_cannot_start_needs_a_reset)
{
	begin();
	dev.refuse = -ENOMEM;
	ck_assert(!fake_guest_bring_up(&guest, 0));
	ck_assert_uint_eq(fake_status(&guest), LIVE | RESET);
	ck_assert(!dev.device.active);
	ck_assert(!virtqueue_active(&dev.device.queue[0]));
	dev.refuse = 0;
	fake_guest_forget(&guest);
	ck_assert(fake_guest_bring_up(&guest, 0));
	end();
}
END_TEST

/* --- doorbells -------------------------------------------------------------------------------- */

START_TEST(doorbells_reach_active_queues_only)
{
	static const uint32_t wild[] = {QUEUES, VIRTIO_DEVICE_QUEUES, 65536, UINT32_MAX};
	size_t i;

	begin();
	fake_write(&guest, FAKE_REG_QUEUE_NOTIFY, 0);
	ck_assert(fake_guest_negotiate(&guest, 0));
	fake_guest_set_queue(&guest, 0, 0);
	fake_write(&guest, FAKE_REG_QUEUE_NOTIFY, 0);
	virtio_mmio_notify(&guest.mmio, 0);
	fake_add_status(&guest, OK);
	ck_assert_uint_eq(dev.notified[0], 0);
	for (i = 0; i < ARRAY_SIZE(wild); i++) {
		fake_write(&guest, FAKE_REG_QUEUE_NOTIFY, wild[i]);
		virtio_mmio_notify(&guest.mmio, wild[i]);
	}
	ck_assert_uint_eq(dev.notified[0] + dev.notified[1] + dev.notified[2], 0);
	fake_write(&guest, FAKE_REG_QUEUE_NOTIFY, 0);
	virtio_mmio_notify(&guest.mmio, 0);
	ck_assert_uint_eq(dev.notified[0], 2);
	end();
}
END_TEST

START_TEST(what_was_offered_before_driver_ok_is_seen)
{
	uint64_t buffer;

	begin();
	ck_assert(fake_guest_negotiate(&guest, 0));
	fake_guest_set_queue(&guest, 0, 0);
	fake_guest_set_queue(&guest, 1, 0);
	buffer = fake_guest_alloc(&guest, 16, 16);
	fake_queue_add_one(&guest.queue[1], buffer, 16, true);
	fake_add_status(&guest, OK);
	ck_assert_uint_eq(dev.notified[0], 0);
	ck_assert_uint_eq(dev.notified[1], 1);
	end();
}
END_TEST

static unsigned rung[QUEUES];

static void ring(void *arg, unsigned queue)
{
	ck_assert_ptr_eq(arg, &guest);
	rung[queue]++;
}

/* A vCPU's thread writes DRIVER_OK: the device's work is for the event loop. */
START_TEST(what_was_offered_before_driver_ok_rings_a_doorbell)
{
	uint64_t buffer;

	begin();
	guest.mmio.ring = ring;
	guest.mmio.ring_arg = &guest;
	ck_assert(fake_guest_negotiate(&guest, 0));
	fake_guest_set_queue(&guest, 0, 0);
	fake_guest_set_queue(&guest, 1, 0);
	buffer = fake_guest_alloc(&guest, 16, 16);
	fake_queue_add_one(&guest.queue[1], buffer, 16, true);
	fake_add_status(&guest, OK);
	ck_assert_uint_eq(dev.notified[0] + dev.notified[1], 0);
	ck_assert_uint_eq(rung[0], 0);
	ck_assert_uint_eq(rung[1], 1);
	virtio_mmio_notify(&guest.mmio, 1);
	ck_assert_uint_eq(dev.notified[1], 1);
	end();
}
END_TEST

UNIT_MAIN("mmio_queues", queue_sel_out_of_range,
	  queues_are_written_only_between_features_ok_and_driver_ok, a_ready_queue_does_not_change,
	  an_active_queue_is_frozen, addresses_have_two_halves_in_any_order,
	  queues_that_are_not_ready_stay_inactive, a_queue_that_is_wrong_needs_a_reset,
	  a_device_that_cannot_start_needs_a_reset, doorbells_reach_active_queues_only,
	  what_was_offered_before_driver_ok_is_seen,
	  what_was_offered_before_driver_ok_rings_a_doorbell)
