/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio-mmio transport, with a device that only writes down what happens to it. */
#include "devices/virtio/mmio.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "tests/support/fake_guest.h"
#include "tests/support/unit.h"

#define ACK    FAKE_ST_ACKNOWLEDGE
#define DRIVER FAKE_ST_DRIVER
#define OK     FAKE_ST_DRIVER_OK
#define FEAT   FAKE_ST_FEATURES_OK
#define RESET  FAKE_ST_NEEDS_RESET
#define FAILED FAKE_ST_FAILED
#define LIVE   (ACK | DRIVER | FEAT | OK)

#define CONFIG_SIZE 10
#define QUEUES	    3
#define FEATURE_A   (UINT64_C(1) << 3)
#define FEATURE_B   (UINT64_C(1) << 40)

static struct {
	struct virtio_device device;
	unsigned activations, resets, notified[QUEUES];
	int refuse; /* what activate returns */
	uint8_t config[CONFIG_SIZE];
} dev;

static struct fake_guest guest;

static int dev_activate(struct virtio_device *device)
{
	ck_assert_ptr_eq(device, &dev.device);
	dev.activations++;
	return dev.refuse;
}

static void dev_reset(struct virtio_device *device)
{
	(void)device;
	dev.resets++;
}

static void dev_notify(struct virtio_device *device, unsigned queue)
{
	ck_assert(device->active);
	ck_assert_uint_lt(queue, QUEUES);
	dev.notified[queue]++;
}

static void dev_config_read(struct virtio_device *device, uint32_t offset, void *to,
			    uint32_t length)
{
	(void)device;
	ck_assert(length > 0 && range_within(offset, length, CONFIG_SIZE));
	memcpy(to, dev.config + offset, length);
}

static void dev_config_write(struct virtio_device *device, uint32_t offset, const void *from,
			     uint32_t length)
{
	(void)device;
	ck_assert(length > 0 && range_within(offset, length, CONFIG_SIZE));
	memcpy(dev.config + offset, from, length);
}

static struct virtio_device_ops ops = {
	.activate = dev_activate,
	.reset = dev_reset,
	.notify = dev_notify,
	.config_read = dev_config_read,
	.config_write = dev_config_write,
};

static void begin(void)
{
	unsigned i;

	memset(&dev, 0, sizeof(dev));
	dev.device = (struct virtio_device){
		.ops = &ops,
		.name = "test0",
		.id = 42,
		.features = FEATURE_A | FEATURE_B,
		.queue_count = QUEUES,
		.queue_size_max = {16, 64, 256},
		.config_size = CONFIG_SIZE,
	};
	for (i = 0; i < CONFIG_SIZE; i++)
		dev.config[i] = (uint8_t)(0xa0 + i);
	fake_guest_init(&guest, MIB(1));
	fake_guest_attach(&guest, &dev.device);
}

static void end(void)
{
	fake_guest_destroy(&guest);
}

/* --- plain registers -------------------------------------------------------------------------- */

START_TEST(a_device_says_what_it_is)
{
	begin();
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_MAGIC), 0x74726976);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_VERSION), 2);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_DEVICE_ID), 42);
	ck_assert_uint_eq(fake_status(&guest), 0);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_INTERRUPT_STATUS), 0);
	end();
}
END_TEST

START_TEST(registers_have_one_width)
{
	uint64_t offset;
	unsigned size;

	begin();
	for (offset = 0; offset < FAKE_REG_CONFIG; offset++)
		for (size = 1; size <= 8; size *= 2) {
			if (size == 4 && offset % 4 == 0)
				continue;
			ck_assert_uint_eq(fake_read_size(&guest, offset, size), 0);
			fake_write_size(&guest, offset, size, UINT64_MAX);
			fake_write_size(&guest, offset, size, ACK);
		}
	ck_assert_uint_eq(fake_status(&guest), 0);
	fake_write_size(&guest, FAKE_REG_STATUS, 4, ACK);
	ck_assert_uint_eq(fake_status(&guest), ACK);
	end();
}
END_TEST

START_TEST(read_only_and_unknown_registers_ignore_writes)
{
	static const uint64_t writable[] = {0x014, 0x020, 0x024, 0x030, 0x038, 0x044, 0x050, 0x064,
					    0x070, 0x080, 0x084, 0x090, 0x094, 0x0a0, 0x0a4};
	uint32_t before[FAKE_REG_CONFIG / 4], offset;
	size_t i;

	begin();
	ck_assert(fake_guest_negotiate(&guest, 0));
	for (offset = 0; offset < FAKE_REG_CONFIG; offset += 4)
		before[offset / 4] = fake_read(&guest, offset);
	for (offset = 0; offset < FAKE_REG_CONFIG; offset += 4) {
		for (i = 0; i < ARRAY_SIZE(writable); i++)
			if (writable[i] == offset)
				break;
		if (i == ARRAY_SIZE(writable))
			fake_write(&guest, offset, 0x5a5a5a5a);
	}
	for (offset = 0; offset < FAKE_REG_CONFIG; offset += 4)
		ck_assert_uint_eq(fake_read(&guest, offset), before[offset / 4]);
	end();
}
END_TEST

START_TEST(write_only_registers_read_as_zero)
{
	static const uint64_t only[] = {0x014, 0x020, 0x024, 0x030, 0x038, 0x050, 0x064,
					0x080, 0x084, 0x090, 0x094, 0x0a0, 0x0a4, 0x0ac};
	size_t i;

	begin();
	ck_assert(fake_guest_negotiate(&guest, 0));
	for (i = 0; i < ARRAY_SIZE(only); i++) {
		fake_write(&guest, only[i], 1);
		ck_assert_uint_eq(fake_read(&guest, only[i]), 0);
	}
	end();
}
END_TEST

START_TEST(there_is_no_shared_memory_and_no_queue_reset)
{
	uint32_t i;

	begin();
	for (i = 0; i < 16; i += 4) {
		fake_write(&guest, 0x0ac, i);
		ck_assert_uint_eq(fake_read(&guest, FAKE_REG_SHM_LEN + i), UINT32_MAX);
	}
	ck_assert(fake_guest_bring_up(&guest, 0));
	fake_write(&guest, FAKE_REG_QUEUE_SEL, 0);
	fake_write(&guest, FAKE_REG_QUEUE_RESET, 1);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_QUEUE_RESET), 0);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_QUEUE_READY), 1);
	fake_queue_kick(&guest.queue[0]);
	ck_assert_uint_eq(dev.notified[0], 1);
	end();
}
END_TEST

/* --- features --------------------------------------------------------------------------------- */

START_TEST(features_are_offered_in_two_halves)
{
	begin();
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_DEVICE_FEATURES),
			  1u << 3 | 1u << 28 | 1u << 29);
	fake_write(&guest, FAKE_REG_DEVICE_FEATURES_SEL, 1);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_DEVICE_FEATURES), 1u << 8 | 1u << 0);
	fake_write(&guest, FAKE_REG_DEVICE_FEATURES_SEL, 2);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_DEVICE_FEATURES), 0);
	fake_write(&guest, FAKE_REG_DEVICE_FEATURES_SEL, UINT32_MAX);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_DEVICE_FEATURES), 0);
	end();
}
END_TEST

START_TEST(any_subset_with_version_1_is_taken)
{
	begin();
	ck_assert(fake_guest_negotiate(&guest, FEATURE_B));
	ck_assert_uint_eq(dev.device.negotiated, FEATURE_B | UINT64_C(1) << 32);
	ck_assert(fake_guest_negotiate(&guest, 0));
	ck_assert_uint_eq(dev.device.negotiated, UINT64_C(1) << 32);
	ck_assert(fake_guest_negotiate(&guest, dev.device.features));
	ck_assert_uint_eq(dev.device.negotiated, dev.device.features);
	end();
}
END_TEST

START_TEST(a_feature_that_was_not_offered_is_refused)
{
	unsigned bit;

	begin();
	for (bit = 0; bit < 64; bit++)
		ck_assert(fake_guest_negotiate(&guest, UINT64_C(1) << bit) ==
			  ((dev.device.features >> bit) & 1));
	end();
}
END_TEST

/* The driver's features, sel by sel, and then FEATURES_OK. */
static bool try_features(uint32_t low, uint32_t high, uint32_t sel, uint32_t beyond)
{
	fake_write(&guest, FAKE_REG_STATUS, 0);
	fake_add_status(&guest, ACK);
	fake_add_status(&guest, DRIVER);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES, low);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES_SEL, 1);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES, high);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES_SEL, sel);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES, beyond);
	fake_add_status(&guest, FEAT);
	return fake_status(&guest) & FEAT;
}

START_TEST(version_1_is_required)
{
	begin();
	ck_assert(!try_features(1u << 3, 0, 2, 0));
	ck_assert_uint_eq(fake_status(&guest), ACK | DRIVER);
	/* A driver may correct itself without a reset. */
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES_SEL, 1);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES, 1);
	fake_add_status(&guest, FEAT);
	ck_assert_uint_eq(fake_status(&guest), ACK | DRIVER | FEAT);
	end();
}
END_TEST

START_TEST(features_beyond_64_are_refused)
{
	begin();
	ck_assert(try_features(0, 1, 2, 0));
	ck_assert(!try_features(0, 1, 2, 1));
	ck_assert(!try_features(0, 1, UINT32_MAX, 1));
	/* Forgotten by the next reset. */
	ck_assert(try_features(0, 1, 3, 0));
	end();
}
END_TEST

START_TEST(features_change_only_between_driver_and_features_ok)
{
	begin();
	fake_add_status(&guest, ACK);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES, UINT32_MAX);
	fake_add_status(&guest, DRIVER);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES_SEL, 1);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES, 1);
	fake_add_status(&guest, FEAT);
	ck_assert_uint_eq(fake_status(&guest), ACK | DRIVER | FEAT);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES, 0xff);
	ck_assert_uint_eq(dev.device.negotiated, UINT64_C(1) << 32);
	ck_assert_uint_eq(guest.mmio.driver_features, UINT64_C(1) << 32);
	end();
}
END_TEST

/* --- the status ------------------------------------------------------------------------------- */

/* Every state that there is, and how a driver gets there. */
static const uint32_t states[] = {
	0,	ACK,	      ACK | DRIVER,	     ACK | DRIVER | FEAT,	   LIVE,
	FAILED, ACK | FAILED, ACK | DRIVER | FAILED, ACK | DRIVER | FEAT | FAILED, LIVE | FAILED,
};

static void go_to(uint32_t state)
{
	static const uint32_t step[] = {ACK, DRIVER, FEAT, OK};
	size_t i;

	fake_write(&guest, FAKE_REG_STATUS, 0);
	for (i = 0; i < ARRAY_SIZE(step) && (state & step[i]); i++) {
		fake_add_status(&guest, step[i]);
		if (step[i] == DRIVER) {
			fake_write(&guest, FAKE_REG_DRIVER_FEATURES_SEL, 1);
			fake_write(&guest, FAKE_REG_DRIVER_FEATURES, 1);
		}
	}
	if (state & FAILED)
		fake_add_status(&guest, FAILED);
	ck_assert_uint_eq(fake_status(&guest), state);
}

static bool may_follow(uint32_t from, uint32_t to)
{
	uint32_t added = to & ~from;

	if (to == 0 || to == from)
		return true;
	if ((from & ~to) || (from & FAILED))
		return false;
	if (added == FAILED)
		return true;
	return (from == 0 && added == ACK) || (from == ACK && added == DRIVER) ||
	       (from == (ACK | DRIVER) && added == FEAT) ||
	       (from == (ACK | DRIVER | FEAT) && added == OK);
}

START_TEST(every_status_after_every_status)
{
	uint32_t value;
	size_t i;

	begin();
	for (i = 0; i < ARRAY_SIZE(states); i++)
		for (value = 0; value < 256; value++) {
			go_to(states[i]);
			fake_write(&guest, FAKE_REG_STATUS, value);
			/* NEEDS_RESET is not the driver's: without it the rest counts. */
			if (value == RESET)
				ck_assert_uint_eq(fake_status(&guest), states[i]);
			else
				ck_assert_uint_eq(fake_status(&guest),
						  may_follow(states[i], value & ~RESET)
							  ? value & ~RESET
							  : states[i]);
		}
	end();
}
END_TEST

START_TEST(high_bits_of_the_status_are_no_step)
{
	begin();
	fake_write(&guest, FAKE_REG_STATUS, ACK | 0x100);
	ck_assert_uint_eq(fake_status(&guest), 0);
	fake_write(&guest, FAKE_REG_STATUS, ACK);
	fake_write(&guest, FAKE_REG_STATUS, 0x80000000);
	ck_assert_uint_eq(fake_status(&guest), ACK);
	end();
}
END_TEST

START_TEST(a_device_is_activated_and_reset_once)
{
	begin();
	fake_write(&guest, FAKE_REG_STATUS, 0);
	ck_assert_uint_eq(dev.resets, 0);
	ck_assert(fake_guest_bring_up(&guest, 0));
	ck_assert_uint_eq(dev.activations, 1);
	ck_assert(dev.device.active);
	fake_write(&guest, FAKE_REG_STATUS, LIVE);
	ck_assert_uint_eq(dev.activations, 1);
	fake_write(&guest, FAKE_REG_STATUS, 0);
	fake_write(&guest, FAKE_REG_STATUS, 0);
	ck_assert_uint_eq(dev.resets, 1);
	ck_assert(!dev.device.active);
	ck_assert(!virtqueue_active(&dev.device.queue[0]));
	fake_guest_forget(&guest);
	ck_assert(fake_guest_bring_up(&guest, 0));
	ck_assert_uint_eq(dev.activations, 2);
	end();
}
END_TEST

START_TEST(a_driver_that_gave_up_stops_the_device)
{
	begin();
	ck_assert(fake_guest_bring_up(&guest, 0));
	fake_add_status(&guest, FAILED);
	ck_assert_uint_eq(dev.resets, 1);
	fake_queue_kick(&guest.queue[0]);
	ck_assert_uint_eq(dev.notified[0], 0);
	fake_write(&guest, FAKE_REG_STATUS, 0);
	ck_assert_uint_eq(dev.resets, 1);
	fake_guest_forget(&guest);
	ck_assert(fake_guest_bring_up(&guest, 0));
	fake_queue_kick(&guest.queue[0]);
	ck_assert_uint_eq(dev.notified[0], 1);
	end();
}
END_TEST

START_TEST(a_reset_forgets_everything)
{
	begin();
	ck_assert(fake_guest_bring_up(&guest, FEATURE_A));
	dev.device.transport_ops->interrupt_queue(dev.device.transport, 0);
	dev.device.transport_ops->needs_reset(dev.device.transport);
	fake_write(&guest, FAKE_REG_DEVICE_FEATURES_SEL, 1);
	fake_write(&guest, FAKE_REG_QUEUE_SEL, 2);
	fake_write(&guest, FAKE_REG_STATUS, 0);
	ck_assert_uint_eq(fake_status(&guest), 0);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_INTERRUPT_STATUS), 0);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_QUEUE_NUM_MAX), 16);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_QUEUE_READY), 0);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_DEVICE_FEATURES) & (1u << 3), 1u << 3);
	ck_assert_uint_eq(dev.device.negotiated, 0);
	end();
}
END_TEST

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
	/* The twin: not ready, it does. */
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
	fake_guest_set_queue(&guest, 1, 128); /* the most is 64 */
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

/* --- interrupts ------------------------------------------------------------------------------- */

START_TEST(interrupts_are_told_and_acknowledged_by_kind)
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
	/* Acknowledging one kind in one thread never swallows the other kind of another. */
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
	/* Told once. */
	ck_assert_int_eq(virtio_device_pop(&dev.device, 0, &chain), -EIO);
	ck_assert_uint_eq(fake_guest_interrupts(&guest), 0);
	fake_queue_kick(&guest.queue[0]);
	ck_assert_uint_eq(dev.notified[0], 0);
	fake_queue_add_one(&guest.queue[1], buffer, 16, true);
	fake_queue_kick(&guest.queue[1]);
	ck_assert_uint_eq(dev.notified[1], 1);
	ck_assert_int_eq(virtio_device_pop(&dev.device, 1, &chain), 1);
	/* The driver cannot take the bit back but by a reset. */
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

UNIT_MAIN("mmio", a_device_says_what_it_is, registers_have_one_width,
	  read_only_and_unknown_registers_ignore_writes, write_only_registers_read_as_zero,
	  there_is_no_shared_memory_and_no_queue_reset, features_are_offered_in_two_halves,
	  any_subset_with_version_1_is_taken, a_feature_that_was_not_offered_is_refused,
	  version_1_is_required, features_beyond_64_are_refused,
	  features_change_only_between_driver_and_features_ok, every_status_after_every_status,
	  high_bits_of_the_status_are_no_step, a_device_is_activated_and_reset_once,
	  a_driver_that_gave_up_stops_the_device, a_reset_forgets_everything,
	  queue_sel_out_of_range, queues_are_written_only_between_features_ok_and_driver_ok,
	  a_ready_queue_does_not_change, an_active_queue_is_frozen,
	  addresses_have_two_halves_in_any_order, queues_that_are_not_ready_stay_inactive,
	  a_queue_that_is_wrong_needs_a_reset, a_device_that_cannot_start_needs_a_reset,
	  doorbells_reach_active_queues_only, what_was_offered_before_driver_ok_is_seen,
	  interrupts_are_told_and_acknowledged_by_kind, no_interrupt_is_lost_between_status_and_ack,
	  a_used_chain_interrupts_when_wanted, a_broken_ring_needs_a_reset_and_others_go_on,
	  an_impossible_index_is_reported_by_the_pop, configuration_is_read_at_any_width_and_offset,
	  configuration_is_written_whole_or_not, a_device_need_not_take_configuration,
	  the_generation_follows_changes)
