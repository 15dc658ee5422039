/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings that break a rule, from the start or later, and rings that another processor changes while
 * the device reads them. The worst outcome is that the device needs a reset; other devices go on.
 */
#include "tests/guest/hostile.h"

#define BROKEN (ST_LIVE | ST_RESET)

/* The socket device's transmit queue: the device reads every chain in it. */
static struct guest_ring *tx_ring(struct hostile *h)
{
	return driver_ring(h, SLOT_VSOCK, 1);
}

static void everything_still_works(struct hostile *h)
{
	driver_ask_rng(h);
	packets_expect_alive(h);
}

/* --- impossible queues ------------------------------------------------------------------------ */

static void expect_refused(struct hostile *h, const char *what)
{
	driver_write(h, SLOT_VSOCK, REG_QUEUE_READY, 1);
	driver_write(h, SLOT_VSOCK, REG_STATUS, ST_LIVE);
	driver_expect_status(h, SLOT_VSOCK, BROKEN, what);
	driver_kick(h, tx_ring(h));
	driver_ask_rng(h);
}

static void begin_queue(struct hostile *h, uint32_t size)
{
	driver_go_to(h, SLOT_VSOCK, ST_ACK | ST_DRIVER | ST_FEAT);
	driver_set_queue(h, tx_ring(h), size);
}

static void queue_sizes(struct hostile *h)
{
	static const uint32_t size[] = {0, 3, 17, 65, 128, 0xffff, 0x10000, 1u << 31, UINT32_MAX};
	size_t i;

	driver_expect_rng(h);
	for (i = 0; i < ARRAY_SIZE(size); i++) {
		begin_queue(h, size[i]);
		expect_refused(h, "a queue of an impossible size is refused");
	}
	everything_still_works(h);
}

static void queue_addresses(struct hostile *h)
{
	static const uint64_t wrong[] = {
		HOSTILE_RINGS + 1,		    /* odd */
		HOSTILE_RINGS + HOSTILE_RING_BYTES, /* over another area of the same queue */
		HOSTILE_MEMORY - 16,		    /* runs out of memory halfway */
		HOSTILE_MEMORY,
		LAYOUT_HOLE_START,
		LAYOUT_VIRTIO_BASE,
		GIB(4),
		UINT64_C(1) << 63,
		UINT64_MAX - 15,
	};
	static const uint32_t area[] = {REG_QUEUE_DESC, REG_QUEUE_DRIVER, REG_QUEUE_DEVICE};
	size_t i, k;

	driver_expect_rng(h);
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		for (k = 0; k < ARRAY_SIZE(area); k++) {
			/* For the descriptor table the second entry is where it belongs. */
			if (i == 1 && k == 0)
				continue;
			begin_queue(h, RING_SIZE);
			driver_write_address(h, SLOT_VSOCK, area[k], wrong[i]);
			expect_refused(h, "a queue at an impossible address is refused");
		}
	everything_still_works(h);
}

/* --- impossible chains ------------------------------------------------------------------------ */

static void chain_loop(struct hostile *h, struct guest_ring *tx)
{
	driver_descriptor(h, tx, 0, HOSTILE_BUFFERS, 64, DESC_NEXT, 1);
	driver_descriptor(h, tx, 1, HOSTILE_BUFFERS, 64, DESC_NEXT, 0);
	driver_offer(h, tx, 0);
}

static void chain_itself(struct hostile *h, struct guest_ring *tx)
{
	driver_descriptor(h, tx, 3, HOSTILE_BUFFERS, 64, DESC_NEXT, 3);
	driver_offer(h, tx, 3);
}

static void chain_empty_segment(struct hostile *h, struct guest_ring *tx)
{
	driver_descriptor(h, tx, 0, HOSTILE_BUFFERS, 0, 0, 0);
	driver_offer(h, tx, 0);
}

static void chain_wraps(struct hostile *h, struct guest_ring *tx)
{
	driver_descriptor(h, tx, 0, UINT64_MAX - 7, 44, 0, 0);
	driver_offer(h, tx, 0);
}

static void chain_out_of_memory(struct hostile *h, struct guest_ring *tx)
{
	driver_descriptor(h, tx, 0, HOSTILE_MEMORY - 8, 44, 0, 0);
	driver_offer(h, tx, 0);
}

static void chain_in_a_device(struct hostile *h, struct guest_ring *tx)
{
	driver_descriptor(h, tx, 0, LAYOUT_VIRTIO_BASE, 44, 0, 0);
	driver_offer(h, tx, 0);
}

static void chain_of_4_gib(struct hostile *h, struct guest_ring *tx)
{
	driver_descriptor(h, tx, 0, HOSTILE_BUFFERS, UINT32_MAX, 0, 0);
	driver_offer(h, tx, 0);
}

static void chain_next_outside(struct hostile *h, struct guest_ring *tx)
{
	driver_descriptor(h, tx, 0, HOSTILE_BUFFERS, 44, DESC_NEXT, RING_SIZE);
	driver_offer(h, tx, 0);
}

static void chain_head_outside(struct hostile *h, struct guest_ring *tx)
{
	driver_offer(h, tx, RING_SIZE);
}

static void chain_readable_after_writable(struct hostile *h, struct guest_ring *tx)
{
	driver_descriptor(h, tx, 0, HOSTILE_BUFFERS, 44, DESC_WRITE | DESC_NEXT, 1);
	driver_descriptor(h, tx, 1, HOSTILE_BUFFERS, 44, 0, 0);
	driver_offer(h, tx, 0);
}

static void index_jumps(struct hostile *h, struct guest_ring *tx)
{
	script_write(h, 2, tx->base + RING_AVAILABLE + 2, tx->available + RING_SIZE + 1u);
}

static void index_jumps_far(struct hostile *h, struct guest_ring *tx)
{
	script_write(h, 2, tx->base + RING_AVAILABLE + 2, 0xffff);
}

static void table_of(struct hostile *h, struct guest_ring *tx, uint64_t at, uint32_t length,
		     uint16_t flags)
{
	driver_descriptor(h, tx, 0, at, length, DESC_INDIRECT | flags, 1);
	driver_offer(h, tx, 0);
}

static void table_nested(struct hostile *h, struct guest_ring *tx)
{
	driver_table_entry(h, HOSTILE_BUFFERS, 0, HOSTILE_BUFFERS, 16, DESC_INDIRECT, 0);
	table_of(h, tx, HOSTILE_BUFFERS, 16, 0);
}

static void table_empty(struct hostile *h, struct guest_ring *tx)
{
	table_of(h, tx, HOSTILE_BUFFERS, 0, 0);
}

static void table_cut(struct hostile *h, struct guest_ring *tx)
{
	driver_table_entry(h, HOSTILE_BUFFERS, 0, HOSTILE_BUFFERS, 44, 0, 0);
	table_of(h, tx, HOSTILE_BUFFERS, 17, 0);
}

static void table_outside(struct hostile *h, struct guest_ring *tx)
{
	table_of(h, tx, HOSTILE_MEMORY - 16, 32, 0);
}

static void table_with_next(struct hostile *h, struct guest_ring *tx)
{
	driver_table_entry(h, HOSTILE_BUFFERS, 0, HOSTILE_BUFFERS, 44, 0, 0);
	table_of(h, tx, HOSTILE_BUFFERS, 16, DESC_NEXT);
}

/* 131 segments, one more than a chain may have. */
static void table_too_long(struct hostile *h, struct guest_ring *tx)
{
	uint16_t i;

	for (i = 0; i <= VIRTIO_CHAIN_SEGMENTS; i++)
		driver_table_entry(h, HOSTILE_BUFFERS, i, HOSTILE_BUFFERS + 0x10000, 1,
				   i < VIRTIO_CHAIN_SEGMENTS ? DESC_NEXT : 0, (uint16_t)(i + 1));
	table_of(h, tx, HOSTILE_BUFFERS, 16 * (VIRTIO_CHAIN_SEGMENTS + 1), 0);
}

static void table_of_64k_entries(struct hostile *h, struct guest_ring *tx)
{
	/* Memory there is zero: the first segment has no bytes. */
	table_of(h, tx, MIB(32), 16 * 65536, 0);
}

static void broken_chains(struct hostile *h)
{
	static void (*const bad[])(struct hostile *, struct guest_ring *) = {
		chain_loop,	      chain_itself,	   chain_empty_segment,
		chain_wraps,	      chain_out_of_memory, chain_in_a_device,
		chain_of_4_gib,	      chain_next_outside,  chain_head_outside,
		index_jumps,	      index_jumps_far,	   chain_readable_after_writable,
		table_nested,	      table_empty,	   table_cut,
		table_outside,	      table_with_next,	   table_too_long,
		table_of_64k_entries,
	};
	size_t i;

	driver_expect_rng(h);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		packets_begin(h);
		bad[i](h, tx_ring(h));
		driver_kick(h, tx_ring(h));
		driver_expect_status_soon(h, SLOT_VSOCK, BROKEN, "a broken chain needs a reset");
		driver_kick(h, tx_ring(h));
		driver_ask_rng(h);
		packets_expect_alive(h);
	}
}

/* The other direction: the socket device replies to a packet, but its receive buffers are wrong. */
static void broken_receive_buffers(struct hostile *h)
{
	static void (*const bad[])(struct hostile *, struct guest_ring *) = {
		chain_loop, chain_empty_segment, chain_out_of_memory, index_jumps, table_nested,
	};
	struct vsock_header header = packet(VSOCK_OP_REQUEST, 5, PORT_UNUSED);
	struct guest_ring *rx = driver_ring(h, SLOT_VSOCK, 0);
	size_t i;

	driver_expect_rng(h);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		driver_bring_up(h, SLOT_VSOCK);
		bad[i](h, rx);
		driver_kick(h, rx);
		packet_send(h, &header, 0);
		driver_expect_status_soon(h, SLOT_VSOCK, BROKEN, "a broken buffer needs a reset");
		driver_ask_rng(h);
		packets_expect_alive(h);
	}
}

/* The same against the entropy device. */
static void broken_rng(struct hostile *h)
{
	static void (*const bad[])(struct hostile *, struct guest_ring *) = {
		chain_loop,
		chain_out_of_memory,
		index_jumps,
		table_nested,
	};
	struct guest_ring *ring = driver_ring(h, SLOT_RNG, 0);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		driver_expect_rng(h);
		bad[i](h, ring);
		driver_kick(h, ring);
		driver_expect_status_soon(h, SLOT_RNG, BROKEN, "a broken ring needs a reset");
		packets_expect_alive(h);
	}
	driver_expect_rng(h);
}

/* Resets a device while its queue is full, again and again. */
static void resets_while_busy(struct hostile *h)
{
	struct guest_ring *ring = driver_ring(h, SLOT_RNG, 0);
	uint16_t round, i;

	for (round = 0; round < 50; round++) {
		driver_bring_up(h, SLOT_RNG);
		for (i = 0; i < RING_SIZE; i++) {
			driver_descriptor(h, ring, i, HOSTILE_BUFFERS, 65536, DESC_WRITE, 0);
			driver_offer(h, ring, i);
		}
		driver_kick(h, ring);
		driver_write(h, SLOT_RNG, REG_STATUS, round % 2 ? 0 : ST_LIVE | ST_FAILED);
		driver_kick(h, ring);
	}
	packets_expect_alive(h);
	driver_bring_up(h, SLOT_RNG);
	driver_expect_status(h, SLOT_RNG, ST_LIVE, "the entropy device comes up");
	driver_ask_rng(h);
}

/* --- while another processor writes ----------------------------------------------------------- */

#define RACES	  300
#define RACE_WAIT 500 /* polls, each an exit, while the device reads the ring */

static uint64_t race_status[RACES];

static void start_second_cpu(struct hostile *h)
{
	/*
	 * Sends INIT and start-up IPIs; the vector is the code's page. KVM delivers no IPI to an
	 * APIC id before a local APIC is enabled.
	 */
	script_write(h, 4, LAYOUT_LAPIC + 0xf0, 0x1ff);
	script_write(h, 4, LAYOUT_LAPIC + 0x310, 1u << 24);
	script_write(h, 4, LAYOUT_LAPIC + 0x300, 0x4500);
	script_write(h, 4, LAYOUT_LAPIC + 0x310, 1u << 24);
	script_write(h, 4, LAYOUT_LAPIC + 0x300, 0x4600 | HOSTILE_CPU2_CODE >> 12);
}

static void race(struct hostile *h)
{
	struct guest_ring *tx = tx_ring(h);
	uint16_t i, k;

	if (h->test->second_cpu)
		start_second_cpu(h);
	driver_expect_rng(h);
	driver_descriptor(h, tx, 0, HOSTILE_HEADERS, 44, 0, 0);
	for (i = 0; i < RACES; i++) {
		packets_begin(h);
		/* Few chains: with many, the device would always read one while it is wrong. */
		for (k = 0; k <= i % 4; k++)
			driver_offer(h, tx, 0);
		driver_kick(h, tx);
		script_wait_briefly(h, tx->base + RING_USED + 2, tx->available, RACE_WAIT);
		race_status[i] = script_read(h, 4, driver_register(SLOT_VSOCK, REG_STATUS));
		if (i % 10 == 0)
			driver_ask_rng(h);
	}
	driver_ask_rng(h);
}

/* Changes descriptor 0 of the queue: address, length, flags and next are now right, now wrong. */
static void race_descriptor(struct hostile *h)
{
	uint16_t at = (uint16_t)tx_ring(h)->base;

	script_flip(h, at + 8, 44);
	script_flip(h, at + 6, 0);
	script_flip(h, at + 12, 0);
	script_flip(h, at + 6, 0xffff);
	script_flip(h, at + 10, 0x7fff);
	script_flip(h, at + 8, 0);
	script_flip(h, at + 14, 7);
	script_flip(h, at + 12, DESC_NEXT);
	script_flip(h, at + 6, 0);
	script_flip(h, at + 12, DESC_INDIRECT);
	script_flip(h, at + 10, 0);
	script_flip(h, at + 12, 0);
	script_flip(h, at + 8, 44);
	race(h);
}

/* Changes the available ring: its index and its first heads. */
static void race_index(struct hostile *h)
{
	uint16_t at = (uint16_t)(tx_ring(h)->base + RING_AVAILABLE);
	uint16_t k;

	for (k = 0; k < 6; k++)
		script_flip(h, at + 4 + 2 * k, k % 2 ? 0 : RING_SIZE + k);
	script_flip(h, at + 2, RING_SIZE + 5);
	for (k = 0; k < 6; k++)
		script_flip(h, at + 4 + 2 * k, 0);
	script_flip(h, at + 2, RING_SIZE);
	for (k = 0; k < 12; k++)
		script_flip(h, at, k & 1);
	race(h);
}

static void check_race(struct hostile *h)
{
	unsigned alive = 0, broken = 0, i;
	uint64_t status;

	for (i = 0; i < RACES; i++) {
		status = script_result(h, race_status[i]);
		alive += status == ST_LIVE;
		broken += status == BROKEN;
	}
	if (h->test->second_cpu && load_le16(guest_memory_at(&h->memory, HOSTILE_ROUNDS, 2)) == 0)
		hostile_fail(h, "the second processor did not run");
	if (alive + broken != RACES)
		hostile_fail(h, "a status is neither alive nor broken");
	/* Unless both outcomes were seen, there was no race. */
	else if (alive == 0 || broken == 0)
		hostile_fail(h, "there was no race: %u alive, %u broken", alive, broken);
}

static const struct hostile_test tests[] = {
	{.name = "queue_sizes", .setup = packets_listen, .build = queue_sizes},
	{.name = "queue_addresses", .setup = packets_listen, .build = queue_addresses},
	{.name = "broken_chains", .setup = packets_listen, .build = broken_chains},
	{.name = "broken_receive_buffers",
	 .setup = packets_listen,
	 .build = broken_receive_buffers},
	{.name = "broken_rng", .setup = packets_listen, .build = broken_rng},
	{.name = "resets_while_busy", .setup = packets_listen, .build = resets_while_busy},
	{.name = "descriptor_changed_by_a_thread",
	 .build = race_descriptor,
	 .check = check_race,
	 .flip_thread = true},
	{.name = "index_changed_by_a_thread",
	 .build = race_index,
	 .check = check_race,
	 .flip_thread = true},
	{.name = "descriptor_changed_by_a_second_cpu",
	 .build = race_descriptor,
	 .check = check_race,
	 .second_cpu = true},
	{.name = "index_changed_by_a_second_cpu",
	 .build = race_index,
	 .check = check_race,
	 .second_cpu = true},
};

HOSTILE_MAIN(tests)
