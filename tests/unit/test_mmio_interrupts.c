/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts and the configuration space of the MMIO transport. */
#include "devices/virtio/mmio.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "tests/support/fake_guest.h"
#include "tests/support/unit.h"
#include "tests/unit/mmio_common.h"

/* --- interrupts ------------------------------------------------------------------------------- */

START_TEST(interrupts_are_reported_and_acknowledged_by_kind)
{
	const struct virtio_transport_ops *transport;

	begin();
	ck_assert(fake_guest_bring_up(&guest, 0));
	transport = dev.device.transport_ops;
	transport->interrupt_queue(dev.device.transport, 1);
	transport->interrupt_config(dev.device.transport);
	ck_assert_uint_eq(fake_guest_interrupts(&guest), 2);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_INTERRUPT_STATUS), 3);
	fake_write(&guest, FAKE_REG_INTERRUPT_ACK, 1);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_INTERRUPT_STATUS), 2);
	fake_write(&guest, FAKE_REG_INTERRUPT_ACK, 0xfffffffd);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_INTERRUPT_STATUS), 2);
	fake_write(&guest, FAKE_REG_INTERRUPT_ACK, UINT32_MAX);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_INTERRUPT_STATUS), 0);
	ck_assert_uint_eq(fake_guest_interrupts(&guest), 0);
	end();
}
END_TEST

static void *raise_many(void *arg)
{
	unsigned i;

	for (i = 0; i < 20000; i++)
		dev.device.transport_ops->interrupt_queue(arg, 0);
	return NULL;
}

START_TEST(no_interrupt_is_lost_between_status_and_ack)
{
	unsigned config = 0, i;
	uint32_t status;
	pthread_t thread;

	begin();
	ck_assert(fake_guest_bring_up(&guest, 0));
	/* An acknowledgement of one kind never clears the other kind, raised by another thread. */
	ck_assert_int_eq(pthread_create(&thread, NULL, raise_many, dev.device.transport), 0);
	for (i = 0; i < 20000; i++) {
		atomic_fetch_or(&guest.mmio.interrupt_status, 2);
		fake_write(&guest, FAKE_REG_INTERRUPT_ACK, 1);
		status = fake_read(&guest, FAKE_REG_INTERRUPT_STATUS);
		config += (status & 2) != 0;
		fake_write(&guest, FAKE_REG_INTERRUPT_ACK, 2);
	}
	pthread_join(thread, NULL);
	ck_assert_uint_eq(config, 20000);
	dev.device.transport_ops->interrupt_queue(dev.device.transport, 0);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_INTERRUPT_STATUS), 1);
	end();
}
END_TEST

START_TEST(a_used_chain_interrupts_when_wanted)
{
	struct virtio_chain chain;
	uint64_t buffer;

	begin();
	ck_assert(fake_guest_bring_up(&guest, 0));
	buffer = fake_guest_alloc(&guest, 16, 16);
	fake_queue_add_one(&guest.queue[0], buffer, 16, true);
	ck_assert_int_eq(virtio_device_pop(&dev.device, 0, &chain), 1);
	virtio_device_push(&dev.device, 0, &chain, 0);
	ck_assert_uint_eq(fake_guest_interrupts(&guest), 1);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_INTERRUPT_STATUS), 1);
	fake_queue_set_flags(&guest.queue[0], 1);
	virtio_device_push(&dev.device, 0, &chain, 0);
	ck_assert_uint_eq(fake_guest_interrupts(&guest), 0);
	end();
}
END_TEST

START_TEST(a_broken_ring_needs_a_reset_and_others_go_on)
{
	struct virtio_chain chain;
	uint64_t buffer;

	begin();
	ck_assert(fake_guest_bring_up(&guest, 0));
	buffer = fake_guest_alloc(&guest, 16, 16);
	fake_queue_add_one(&guest.queue[0], 0, 1, true);
	ck_assert_int_eq(virtio_device_pop(&dev.device, 0, &chain), -EFAULT);
	ck_assert_uint_eq(fake_status(&guest), LIVE | RESET);
	ck_assert_uint_eq(fake_guest_interrupts(&guest), 1);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_INTERRUPT_STATUS), 2);
	/* The driver is interrupted once. */
	ck_assert_int_eq(virtio_device_pop(&dev.device, 0, &chain), -EIO);
	ck_assert_uint_eq(fake_guest_interrupts(&guest), 0);
	fake_queue_kick(&guest.queue[0]);
	ck_assert_uint_eq(dev.notified[0], 0);
	fake_queue_add_one(&guest.queue[1], buffer, 16, true);
	fake_queue_kick(&guest.queue[1]);
	ck_assert_uint_eq(dev.notified[1], 1);
	ck_assert_int_eq(virtio_device_pop(&dev.device, 1, &chain), 1);
	/* Only a reset clears the bit. */
	fake_write(&guest, FAKE_REG_STATUS, LIVE);
	ck_assert_uint_eq(fake_status(&guest), LIVE | RESET);
	fake_guest_forget(&guest);
	ck_assert(fake_guest_bring_up(&guest, 0));
	ck_assert_int_eq(virtio_device_pop(&dev.device, 0, &chain), 0);
	end();
}
END_TEST

START_TEST(an_impossible_index_is_reported_by_the_pop)
{
	struct virtio_chain chain;

	begin();
	ck_assert(fake_guest_bring_up(&guest, 0));
	fake_queue_set_avail_index(&guest.queue[0], 1000);
	ck_assert(virtqueue_has_chain(&dev.device.queue[0]));
	ck_assert_int_eq(virtio_device_pop(&dev.device, 0, &chain), -EINVAL);
	ck_assert_uint_eq(fake_status(&guest), LIVE | RESET);
	end();
}
END_TEST

/* --- configuration space ---------------------------------------------------------------------- */

START_TEST(configuration_is_read_at_any_width_and_offset)
{
	uint64_t offset, expected;
	unsigned size, i;

	begin();
	for (offset = 0; offset < VIRTIO_MMIO_SIZE - FAKE_REG_CONFIG; offset++)
		for (size = 1; size <= 8; size *= 2) {
			if (offset + size > VIRTIO_MMIO_SIZE - FAKE_REG_CONFIG)
				continue;
			for (expected = 0, i = 0; i < size; i++)
				if (offset + i < CONFIG_SIZE)
					expected |= (0xa0 + offset + i) << (8 * i);
			ck_assert_uint_eq(fake_read_size(&guest, FAKE_REG_CONFIG + offset, size),
					  expected);
		}
	end();
}
END_TEST

START_TEST(configuration_is_written_whole_or_not)
{
	begin();
	fake_add_status(&guest, ACK);
	fake_write_size(&guest, FAKE_REG_CONFIG, 1, 0x11);
	ck_assert_uint_eq(dev.config[0], 0xa0); /* there is no driver yet */
	fake_add_status(&guest, DRIVER);
	fake_write_size(&guest, FAKE_REG_CONFIG, 1, 0x11);
	fake_write_size(&guest, FAKE_REG_CONFIG + 1, 2, 0x3322);
	fake_write_size(&guest, FAKE_REG_CONFIG + 2, 8, 0x9988776655443322);
	ck_assert_uint_eq(load_be64(dev.config), 0x1122223344556677);
	ck_assert_uint_eq(dev.config[9], 0x99);
	fake_write_size(&guest, FAKE_REG_CONFIG + CONFIG_SIZE - 1, 2, 0);
	fake_write_size(&guest, FAKE_REG_CONFIG + CONFIG_SIZE, 1, 0);
	fake_write_size(&guest, VIRTIO_MMIO_SIZE - 8, 8, 0);
	ck_assert_uint_eq(dev.config[9], 0x99);
	fake_write_size(&guest, FAKE_REG_CONFIG + CONFIG_SIZE - 1, 1, 0x77);
	ck_assert_uint_eq(dev.config[9], 0x77);
	fake_add_status(&guest, FAILED);
	fake_write_size(&guest, FAKE_REG_CONFIG, 1, 0x55);
	ck_assert_uint_eq(dev.config[0], 0x11);
	end();
}
END_TEST

START_TEST(a_device_need_not_take_configuration)
{
	struct virtio_device_ops without = ops;

	begin();
	without.config_write = NULL;
	dev.device.ops = &without;
	go_to(ACK | DRIVER);
	fake_write_size(&guest, FAKE_REG_CONFIG, 4, 0);
	ck_assert_uint_eq(dev.config[0], 0xa0);
	end();
}
END_TEST

START_TEST(the_generation_follows_changes)
{
	uint32_t before;

	begin();
	ck_assert(fake_guest_bring_up(&guest, 0));
	before = fake_read(&guest, FAKE_REG_GENERATION);
	fake_read_size(&guest, FAKE_REG_CONFIG, 8);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_GENERATION), before);
	dev.device.transport_ops->interrupt_config(dev.device.transport);
	ck_assert_uint_ne(fake_read(&guest, FAKE_REG_GENERATION), before);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_INTERRUPT_STATUS), 2);
	end();
}
END_TEST

UNIT_MAIN("mmio_interrupts", interrupts_are_reported_and_acknowledged_by_kind,
	  no_interrupt_is_lost_between_status_and_ack, a_used_chain_interrupts_when_wanted,
	  a_broken_ring_needs_a_reset_and_others_go_on, an_impossible_index_is_reported_by_the_pop,
	  configuration_is_read_at_any_width_and_offset, configuration_is_written_whole_or_not,
	  a_device_need_not_take_configuration, the_generation_follows_changes)
