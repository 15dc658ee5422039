/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MMIO transport behind a bus, with two devices: one of our own, which returns every chain and
 * checks what the transport promises to devices, and the entropy device. The script is a driver:
 * complete valid bring-ups, writes to single registers, working rings, and writes into their
 * memory.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "devices/rng/rng.h"
#include "tests/support/fake_guest.h"
#include "vmm/kvm/bus.h"

#define RAM_BYTES   (256u << 10)
#define STEPS	    200
#define CONFIG_SIZE 13
#define QUEUES	    3
#define MMIO_BASE   0xd0000000u

static struct {
	struct virtio_device device;
	struct virtqueue frozen[QUEUES]; /* as they were at activation */
	bool alive;
	int refuse;
	uint8_t config[CONFIG_SIZE];
} mock;

static struct {
	struct fake_guest guest;
	struct bus bus;
	struct loop *loop;
	struct rng *rng;
} world;

static int mock_activate(struct virtio_device *device)
{
	FUZZ_REQUIRE(!mock.alive);
	if (mock.refuse)
		return -5;
	mock.alive = true;
	memcpy(mock.frozen, device->queue, sizeof(mock.frozen));
	return 0;
}

static void mock_reset(struct virtio_device *device)
{
	(void)device;
	FUZZ_REQUIRE(mock.alive);
	mock.alive = false;
}

static void check_frozen(const struct virtio_device *device)
{
	unsigned i;

	for (i = 0; i < QUEUES; i++) {
		FUZZ_REQUIRE(device->queue[i].memory == mock.frozen[i].memory);
		FUZZ_REQUIRE(device->queue[i].size == mock.frozen[i].size);
		FUZZ_REQUIRE(device->queue[i].descriptors == mock.frozen[i].descriptors);
		FUZZ_REQUIRE(device->queue[i].driver_area == mock.frozen[i].driver_area);
		FUZZ_REQUIRE(device->queue[i].device_area == mock.frozen[i].device_area);
	}
}

static void mock_notify(struct virtio_device *device, unsigned queue)
{
	static struct virtio_chain chain;
	uint8_t bytes[64];
	unsigned i;

	FUZZ_REQUIRE(mock.alive && device->active && queue < QUEUES);
	FUZZ_REQUIRE(virtqueue_active(&device->queue[queue]));
	check_frozen(device);
	for (i = 0; i < 32 && virtio_device_pop(device, queue, &chain) > 0; i++) {
		virtio_chain_read(&chain, 0, bytes, sizeof(bytes));
		memset(bytes, 0xee, sizeof(bytes));
		virtio_device_push(device, queue, &chain,
				   (uint32_t)virtio_chain_write(&chain, 0, bytes, sizeof(bytes)));
	}
}

static void mock_config_read(struct virtio_device *device, uint32_t offset, void *to,
			     uint32_t length)
{
	FUZZ_REQUIRE(length >= 1 && length <= 8 &&
		     range_within(offset, length, device->config_size));
	memcpy(to, mock.config + offset, length);
}

static void mock_config_write(struct virtio_device *device, uint32_t offset, const void *from,
			      uint32_t length)
{
	FUZZ_REQUIRE(length >= 1 && length <= 8 &&
		     range_within(offset, length, device->config_size));
	memcpy(mock.config + offset, from, length);
}

static const struct virtio_device_ops mock_ops = {
	.activate = mock_activate,
	.reset = mock_reset,
	.notify = mock_notify,
	.config_read = mock_config_read,
	.config_write = mock_config_write,
};

static void begin(bool use_rng)
{
	struct fake_guest *guest = &world.guest;

	if (!guest->ram) {
		fake_guest_init(guest, RAM_BYTES);
		FUZZ_REQUIRE(loop_create(&world.loop) == 0);
	}
	memset(guest->ram, 0, guest->ram_size);
	fake_guest_forget(guest);
	memset(&mock, 0, sizeof(mock));
	mock.device = (struct virtio_device){
		.ops = &mock_ops,
		.name = "mock0",
		.id = 42,
		.features = 0xff,
		.queue_count = QUEUES,
		.queue_size_max = {8, 64, 256},
		.config_size = CONFIG_SIZE,
	};
	FUZZ_REQUIRE(rng_create(&world.rng, world.loop) == 0);
	fake_guest_attach(guest, use_rng ? rng_device(world.rng) : &mock.device);
	world.bus.count = 0;
	FUZZ_REQUIRE(bus_add(&world.bus, MMIO_BASE, VIRTIO_MMIO_SIZE, &virtio_mmio_bus_ops,
			     &guest->mmio) == 0);
}

static void end(void)
{
	fake_write(&world.guest, FAKE_REG_STATUS, 0);
	rng_destroy(world.rng);
	fake_guest_interrupts(&world.guest);
}

static void bring_up(struct fuzz_script *script)
{
	struct fake_guest *guest = &world.guest;
	uint64_t features = fuzz_number(script, 1) & guest->device->features;
	unsigned i;

	mock.refuse = fuzz_rarely(script, 16);
	features |= fuzz_below(script, 4) * FAKE_F_INDIRECT_DESC;
	fake_guest_forget(guest);
	FUZZ_REQUIRE(fake_guest_negotiate(guest, features));
	for (i = 0; i < guest->device->queue_count; i++) {
		fake_guest_set_queue(guest, i, (uint16_t)(1u << fuzz_below(script, 4)));
		if (fuzz_rarely(script, 16)) {
			fake_write(guest, FAKE_REG_QUEUE_READY, 0);
			fake_write(guest, (uint64_t)fuzz_number(script, 1) & 0xfc,
				   (uint32_t)fuzz_number(script, 4));
			fake_write(guest, FAKE_REG_QUEUE_READY, 1);
		}
	}
	fake_add_status(guest, FAKE_ST_DRIVER_OK);
}

static void add_chain(struct fuzz_script *script)
{
	struct fake_guest *guest = &world.guest;
	struct fake_queue *queue = &guest->queue[fuzz_below(script, guest->device->queue_count)];
	struct fake_segment segment[3];
	unsigned count = 1 + fuzz_below(script, 3), i;

	if (queue->size == 0)
		return;
	for (i = 0; i < count; i++)
		segment[i] = (struct fake_segment){
			.address = FAKE_RAM_BASE + RAM_BYTES / 2 + fuzz_number(script, 2),
			.length = 1 + (uint32_t)fuzz_number(script, 1),
			.writable = i > 0 || fuzz_below(script, 2),
		};
	fake_queue_add(queue, segment, count);
	fake_queue_kick(queue);
}

static void any_access(struct fuzz_script *script)
{
	uint64_t address = MMIO_BASE + (fuzz_number(script, 2) & 0x1fff) - 0x10;
	unsigned size = 1u << fuzz_below(script, 4);

	if (fuzz_below(script, 2) == 0)
		bus_read(&world.bus, address, size);
	else
		bus_write(&world.bus, address, size, fuzz_number(script, 8));
}

static void some_register(struct fuzz_script *script)
{
	static const uint16_t reg[] = {
		FAKE_REG_DRIVER_FEATURES, FAKE_REG_DRIVER_FEATURES_SEL,
		FAKE_REG_QUEUE_SEL,	  FAKE_REG_QUEUE_NUM,
		FAKE_REG_QUEUE_READY,	  FAKE_REG_QUEUE_NOTIFY,
		FAKE_REG_INTERRUPT_ACK,	  FAKE_REG_STATUS,
		FAKE_REG_QUEUE_DESC,	  FAKE_REG_QUEUE_DRIVER,
		FAKE_REG_QUEUE_DEVICE,	  FAKE_REG_QUEUE_DESC + 4,
	};
	uint16_t offset = reg[fuzz_below(script, ARRAY_SIZE(reg))];

	/* Mostly small numbers, as those matter to registers. */
	fake_write(&world.guest, offset,
		   (uint32_t)fuzz_number(script, fuzz_below(script, 4) ? 1 : 4));
}

static void step(struct fuzz_script *script)
{
	switch (fuzz_below(script, 8)) {
	case 0:
		bring_up(script);
		break;
	case 1:
	case 2:
		add_chain(script);
		break;
	case 3:
		any_access(script);
		break;
	case 4:
	case 5:
		some_register(script);
		break;
	case 6:
		/* Rings lie at the start of RAM. */
		world.guest.ram[fuzz_number(script, 2) & (RAM_BYTES / 8 - 1)] =
			(uint8_t)fuzz_number(script, 1);
		break;
	default:
		/* Runs the loop once, for what the entropy device has deferred. */
		loop_stop(world.loop);
		FUZZ_REQUIRE(loop_run(world.loop) == 0);
		break;
	}
}

static void check_promises(void)
{
	const struct virtio_device *device = world.guest.device;
	uint32_t status = fake_status(&world.guest);

	FUZZ_REQUIRE(!(status & ~0xcfu));
	FUZZ_REQUIRE(!(status & FAKE_ST_DRIVER_OK) || (status & FAKE_ST_FEATURES_OK));
	FUZZ_REQUIRE(!(status & FAKE_ST_FEATURES_OK) || (status & FAKE_ST_DRIVER));
	FUZZ_REQUIRE(!(status & FAKE_ST_DRIVER) || (status & FAKE_ST_ACKNOWLEDGE));
	FUZZ_REQUIRE(!device->active ||
		     ((status & FAKE_ST_DRIVER_OK) && !(status & FAKE_ST_FAILED)));
	FUZZ_REQUIRE(!(device->negotiated & ~device->features));
	FUZZ_REQUIRE(fake_read(&world.guest, FAKE_REG_INTERRUPT_STATUS) <= 3);
	FUZZ_REQUIRE(fake_read(&world.guest, FAKE_REG_MAGIC) == 0x74726976);
	if (device == &mock.device) {
		FUZZ_REQUIRE(device->active == mock.alive);
		if (mock.alive)
			check_frozen(device);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = {.at = data, .left = size};
	unsigned i;

	begin(fuzz_below(&script, 4) == 3);
	for (i = 0; i < STEPS && !fuzz_ended(&script); i++) {
		step(&script);
		check_promises();
	}
	end();
	return 0;
}
