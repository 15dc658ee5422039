/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/mmio_common.h"

struct dev_state dev;
struct fake_guest guest;

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

struct virtio_device_ops ops = {
	.activate = dev_activate,
	.reset = dev_reset,
	.notify = dev_notify,
	.config_read = dev_config_read,
	.config_write = dev_config_write,
};

void begin(void)
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

void end(void)
{
	fake_guest_destroy(&guest);
}

const uint32_t states[] = {
	0,	ACK,	      ACK | DRIVER,	     ACK | DRIVER | FEAT,	   LIVE,
	FAILED, ACK | FAILED, ACK | DRIVER | FAILED, ACK | DRIVER | FEAT | FAILED, LIVE | FAILED,
};

void go_to(uint32_t state)
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
