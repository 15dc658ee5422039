/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses that no driver makes: every virtio register at every width and offset in every status,
 * unused ports and addresses, a console that never stops, and processors that execute or load page
 * tables from device memory.
 */
#include "tests/guest/hostile.h"

#define PORT_STEP   257	  /* beyond the first ports, only every 257th */
#define SPACE_BYTES 0xf00 /* of configuration space, after a device's registers */

static const uint32_t states[] = {
	0,
	ST_ACK,
	ST_ACK | ST_DRIVER,
	ST_ACK | ST_DRIVER | ST_FEAT,
	ST_LIVE,
	ST_FAILED,
	ST_ACK | ST_DRIVER | ST_FEAT | ST_FAILED,
	ST_LIVE | ST_FAILED,
};

/*
 * Reads have no effect, so they need no reset in between; after a write that may have one, the
 * device is brought back to the state.
 */
static void sweep_registers(struct hostile *h, unsigned slot, uint32_t state)
{
	static const uint64_t value[] = {0, 1, 2, 0x40, 0x80, 0x7fffffff, UINT64_MAX};
	uint32_t offset, size;
	size_t i;

	driver_go_to(h, slot, state);
	for (offset = 0; offset < 0x140; offset++)
		for (size = 1; size <= 8; size *= 2) {
			script_read(h, size, driver_register(slot, offset));
			if (size == 4 && offset % 4 == 0 && offset < 0x100)
				continue;
			script_write(h, size, driver_register(slot, offset), UINT64_MAX);
			script_write(h, size, driver_register(slot, offset), 1);
		}
	driver_expect_status(h, slot, state, "accesses of a wrong width change nothing");
	for (offset = 0; offset < 0x100; offset += 4)
		for (i = 0; i < ARRAY_SIZE(value); i++) {
			script_write(h, 4, driver_register(slot, offset), value[i]);
			script_read(h, 4, driver_register(slot, REG_STATUS));
			if (offset == REG_STATUS || (offset >= 0x38 && offset < 0xa8))
				driver_go_to(h, slot, state);
		}
}

static void registers_of(struct hostile *h, unsigned slot)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(states); i++)
		sweep_registers(h, slot, states[i]);
	driver_bring_up(h, slot);
	driver_expect_status(h, slot, ST_LIVE, "the device comes up after all that");
	driver_expect_rng(h);
}

static void registers_of_rng(struct hostile *h)
{
	registers_of(h, SLOT_RNG);
}

static void registers_of_vsock(struct hostile *h)
{
	registers_of(h, SLOT_VSOCK);
}

static void registers_of_disk(struct hostile *h)
{
	registers_of(h, SLOT_DISK);
}

static void registers_of_card(struct hostile *h)
{
	registers_of(h, SLOT_NET);
}

/*
 * Copies the whole configuration space before the guest runs, padded with zeros. These devices have
 * no field that a driver may write, so every read must match the copy.
 */
static void read_space(struct hostile *h, unsigned slot, uint8_t *space, size_t length)
{
	struct virtio_device *device = h->devices.virtio[slot].device;
	uint32_t offset;

	memset(space, 0, length);
	for (offset = 0; offset < device->config_size; offset++)
		device->ops->config_read(device, offset, space + offset, 1);
}

static void configuration_space(struct hostile *h)
{
	static const unsigned slots[] = {SLOT_VSOCK, SLOT_RNG, SLOT_DISK, SLOT_NET};
	uint8_t space[SPACE_BYTES + 8];
	uint32_t offset, size;
	uint64_t read;
	unsigned slot;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(slots); i++) {
		slot = slots[i];
		driver_bring_up(h, slot);
		read_space(h, slot, space, sizeof(space));
		for (offset = 0; offset < SPACE_BYTES - 8; offset += offset < 0x80 ? 1 : 37)
			for (size = 1; size <= 8; size *= 2) {
				read = script_read(h, size, driver_register(slot, 0x100 + offset));
				script_expect(h, read,
					      load_le64(space + offset) &
						      (UINT64_MAX >> (64 - 8 * size)),
					      "the configuration reads as the device has it");
				script_write(h, size, driver_register(slot, 0x100 + offset),
					     UINT64_MAX);
			}
		/* Accesses across the end of the window, into the next device or unused space. */
		for (offset = 0xff9; offset < 0x1000; offset++) {
			script_read(h, 8, driver_register(slot, offset));
			script_write(h, 8, driver_register(slot, offset), UINT64_MAX);
		}
		driver_expect_status(h, slot, ST_LIVE, "the device is alive");
	}
	script_expect(h, script_read(h, 8, driver_register(SLOT_VSOCK, 0x100)), VSOCK_GUEST_CID,
		      "the guest's CID cannot be written");
	driver_ask_rng(h);
}

static void queue_selections(struct hostile *h)
{
	static const uint32_t queue[] = {1, 3, 7, 8, 255, 0x10000, 0x7fffffff, UINT32_MAX};
	uint64_t num_max = driver_register(SLOT_RNG, REG_QUEUE_NUM_MAX);
	uint64_t ready = driver_register(SLOT_RNG, REG_QUEUE_READY);
	size_t i;

	driver_go_to(h, SLOT_RNG, ST_ACK | ST_DRIVER | ST_FEAT);
	for (i = 0; i < ARRAY_SIZE(queue); i++) {
		driver_set_queue(h, driver_ring(h, SLOT_RNG, 0), RING_SIZE);
		driver_write(h, SLOT_RNG, REG_QUEUE_SEL, queue[i]);
		driver_write(h, SLOT_RNG, REG_QUEUE_NUM, RING_SIZE);
		driver_write_address(h, SLOT_RNG, REG_QUEUE_DESC, HOSTILE_RINGS);
		driver_write(h, SLOT_RNG, REG_QUEUE_READY, 1);
		script_expect(h, script_read(h, 4, num_max), 0, "no such queue has a size");
		script_expect(h, script_read(h, 4, ready), 0, "no such queue is ready");
		driver_write(h, SLOT_RNG, REG_QUEUE_NOTIFY, queue[i]);
	}
	driver_expect_rng(h);
	for (i = 0; i < ARRAY_SIZE(queue); i++)
		driver_write(h, SLOT_RNG, REG_QUEUE_NOTIFY, queue[i]);
	driver_ask_rng(h);
}

/* --- unused ports and addresses --------------------------------------------------------------- */

static bool port_is_taken(uint32_t port)
{
	/* KVM's own interrupt controllers, and the two ways to end the machine, tested below. */
	return port == 0x20 || port == 0x21 || port == 0xa0 || port == 0xa1 || port == 0x4d0 ||
	       port == 0x4d1 || (port >= 0x61 && port <= 0x64) || (port >= 0x600 && port < 0x608);
}

static void ports_to_nothing(struct hostile *h)
{
	static const uint32_t all[] = {0, 0xff, 0xffff, 0, UINT32_MAX};
	uint32_t port, size;
	uint64_t read;

	for (port = 0; port < 0x10000; port += port < 0x800 ? 1 : PORT_STEP)
		for (size = 1; size <= 4; size *= 2) {
			if (port_is_taken(port))
				continue;
			script_out(h, size, (uint16_t)port, UINT32_MAX);
			read = script_in(h, size, (uint16_t)port);
			/* Low ports may be KVM's timers and the like; high ones are unused. */
			if (port > 0x1000 && port + size <= 0x10000)
				script_expect(h, read, all[size], "an empty port reads as ones");
		}
	driver_expect_rng(h);
}

static void addresses_of_nothing(struct hostile *h)
{
	static const uint64_t nothing[] = {
		HOSTILE_MEMORY, /* the first byte after RAM */
		0xbffffff8,
		LAYOUT_HOLE_START,
		0xcffffff8,				       /* before the first device */
		LAYOUT_VIRTIO_BASE + 8 * LAYOUT_VIRTIO_STRIDE, /* slots without a device */
		LAYOUT_VIRTIO_BASE + 9 * LAYOUT_VIRTIO_STRIDE,
		LAYOUT_UART + LAYOUT_UART_SIZE,
		HOSTILE_DEVICE + HOSTILE_DEVICE_SIZE,
		0xe0000000,
		0xfff00000,
		HOSTILE_FAR_VIRTUAL,
		HOSTILE_FAR_VIRTUAL + MIB(2) - 8,
	};
	uint32_t size, shift;
	uint64_t read;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(nothing); i++)
		for (size = 1; size <= 8; size *= 2) {
			script_write(h, size, nothing[i], 0);
			read = script_read(h, size, nothing[i]);
			script_expect(h, read, UINT64_MAX >> (64 - 8 * size),
				      "nothing reads as ones");
		}
	/* Across the ends of RAM, devices and pages. */
	for (shift = 1; shift < 8; shift++) {
		script_write(h, 8, LAYOUT_VIRTIO_BASE - shift, UINT64_MAX);
		script_write(h, 8, LAYOUT_UART - shift, UINT64_MAX);
		script_read(h, 8, LAYOUT_UART + LAYOUT_UART_SIZE - shift);
		script_read(h, 8, HOSTILE_MEMORY - shift);
		script_write(h, 8, HOSTILE_DEVICE + HOSTILE_DEVICE_SIZE + shift, UINT64_MAX);
	}
	driver_expect_rng(h);
}

static void check_ends(struct hostile *h)
{
	if (atomic_load(&h->resets) != 3 || atomic_load(&h->power_offs) != 2)
		hostile_fail(h, "%u resets and %u power-offs were heard", atomic_load(&h->resets),
			     atomic_load(&h->power_offs));
}

static void ends_of_the_machine(struct hostile *h)
{
	unsigned i;

	/* Writes that only resemble an end of the machine; then real ones, more than once. */
	script_out(h, 1, LAYOUT_PORT_I8042, 0xff);
	script_out(h, 1, LAYOUT_PORT_POWER, 0x20);
	script_out(h, 2, LAYOUT_PORT_POWER, 0x2001);
	script_out(h, 4, LAYOUT_PORT_POWER, 0x2000);
	for (i = 0; i < 3; i++)
		script_out(h, 1, LAYOUT_PORT_I8042, 0xfe);
	for (i = 0; i < 2; i++)
		script_out(h, 2, LAYOUT_PORT_POWER, 0x2000);
	driver_expect_rng(h);
}

/* --- console ---------------------------------------------------------------------------------- */

#define FLOOD_STRING 4096u
#define FLOOD_ROUNDS 60u
#define FLOOD_BYTES  20000u

static void check_flood(struct hostile *h)
{
	uint64_t sent = FLOOD_STRING * FLOOD_ROUNDS + FLOOD_BYTES;

	if (h->console.bytes != sent)
		hostile_fail(h, "%llu of %llu bytes of the console were seen",
			     (unsigned long long)h->console.bytes, (unsigned long long)sent);
}

static void console_flood(struct hostile *h)
{
	uint64_t first;

	first = script_out_string(h, LAYOUT_PORT_UART, HOSTILE_BUFFERS, FLOOD_STRING);
	/* The command's result field holds RSI, and is only read. */
	script_repeat(h, first, FLOOD_ROUNDS);
	first = script_write(h, 1, LAYOUT_UART, 'x');
	script_repeat(h, first, FLOOD_BYTES);
	driver_expect_rng(h);
}

static void uart_registers(struct hostile *h)
{
	static const uint8_t value[] = {0, 0xff, 0x80, 0x0f, 0x55};
	uint32_t offset, size;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(value); i++)
		for (offset = 0; offset < LAYOUT_UART_SIZE; offset++)
			for (size = 1; size <= 8; size *= 2) {
				script_write(h, size, LAYOUT_UART + offset, value[i]);
				script_read(h, size, LAYOUT_UART + offset);
			}
	driver_expect_rng(h);
}

/* --- processors that run into devices --------------------------------------------------------- */

static void check_stopped(struct hostile *h)
{
	if (!h->stopped)
		hostile_fail(h, "the guest went on");
	else if (!h->message[0])
		hostile_fail(h, "the guest's end has no message");
}

static void jump_into_a_device(struct hostile *h)
{
	driver_expect_rng(h);
	script_jump(h, LAYOUT_VIRTIO_BASE);
}

static void jump_to_nowhere(struct hostile *h)
{
	script_jump(h, HOSTILE_FAR_VIRTUAL);
}

static void page_tables_in_a_device(struct hostile *h)
{
	script_load_cr3(h, LAYOUT_VIRTIO_BASE);
}

static void page_tables_of_nothing(struct hostile *h)
{
	script_load_cr3(h, HOSTILE_BUFFERS);
}

static const struct hostile_test tests[] = {
	{.name = "every_register_of_rng_in_every_state", .build = registers_of_rng},
	{.name = "every_register_of_vsock_in_every_state", .build = registers_of_vsock},
	{.name = "every_register_of_disk_in_every_state", .build = registers_of_disk},
	{.name = "every_register_of_card_in_every_state", .build = registers_of_card},
	{.name = "configuration_space", .build = configuration_space},
	{.name = "queue_selections", .build = queue_selections},
	{.name = "ports_to_nothing", .build = ports_to_nothing},
	{.name = "addresses_of_nothing", .build = addresses_of_nothing},
	{.name = "ends_of_the_machine", .build = ends_of_the_machine, .check = check_ends},
	{.name = "console_flood", .build = console_flood, .check = check_flood},
	{.name = "uart_registers", .build = uart_registers},
	{.name = "jump_into_a_device",
	 .build = jump_into_a_device,
	 .check = check_stopped,
	 .may_stop = true},
	{.name = "jump_to_nowhere",
	 .build = jump_to_nowhere,
	 .check = check_stopped,
	 .may_stop = true},
	{.name = "page_tables_in_a_device",
	 .build = page_tables_in_a_device,
	 .check = check_stopped,
	 .may_stop = true},
	{.name = "page_tables_of_nothing",
	 .build = page_tables_of_nothing,
	 .check = check_stopped,
	 .may_stop = true},
};

HOSTILE_MAIN(tests)
