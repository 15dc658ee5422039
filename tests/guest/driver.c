/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guest/hostile.h"

#define RNG_BUFFER (HOSTILE_BUFFERS + 0x1ff000u)
#define RNG_BYTES  64u

uint64_t driver_register(unsigned slot, uint32_t offset)
{
	return LAYOUT_VIRTIO_BASE + slot * LAYOUT_VIRTIO_STRIDE + offset;
}

void driver_write(struct hostile *h, unsigned slot, uint32_t offset, uint32_t value)
{
	script_write(h, 4, driver_register(slot, offset), value);
}

void driver_write_address(struct hostile *h, unsigned slot, uint32_t offset, uint64_t value)
{
	driver_write(h, slot, offset, (uint32_t)value);
	driver_write(h, slot, offset + 4, (uint32_t)(value >> 32));
}

struct guest_ring *driver_ring(struct hostile *h, unsigned slot, unsigned queue)
{
	static const unsigned first[] = {
		[SLOT_VSOCK] = 0,  [SLOT_RNG] = 3, [SLOT_DISK] = 4,    [SLOT_NET] = 5,
		[SLOT_IMAGE] = 10, [SLOT_FS] = 11, [SLOT_BALLOON] = 13};

	return &h->ring[first[slot] + queue];
}

void driver_set_queue(struct hostile *h, struct guest_ring *ring, uint32_t size)
{
	uint64_t at;

	for (at = 0; at < 6 + 2 * RING_SIZE; at += 8)
		script_write(h, 8, ring->base + RING_AVAILABLE + at, 0);
	for (at = 0; at < 6 + 8 * RING_SIZE; at += 8)
		script_write(h, 8, ring->base + RING_USED + at, 0);
	ring->available = 0;
	ring->used = 0;
	ring->size = size < RING_SIZE ? size : RING_SIZE;
	driver_write(h, ring->slot, REG_QUEUE_SEL, ring->queue);
	driver_write(h, ring->slot, REG_QUEUE_NUM, size);
	driver_write_address(h, ring->slot, REG_QUEUE_DESC, ring->base);
	driver_write_address(h, ring->slot, REG_QUEUE_DRIVER, ring->base + RING_AVAILABLE);
	driver_write_address(h, ring->slot, REG_QUEUE_DEVICE, ring->base + RING_USED);
}

static void set_queues(struct hostile *h, unsigned slot)
{
	unsigned queue, queues = 1;

	if (slot == SLOT_VSOCK)
		queues = 3;
	else if (slot == SLOT_NET)
		queues = h->test->several_pairs ? 5 : 2;
	else if (slot == SLOT_FS)
		queues = 2;
	else if (slot == SLOT_BALLOON)
		queues = 3;

	for (queue = 0; queue < queues; queue++) {
		/* The event queue has two entries. */
		driver_set_queue(h, driver_ring(h, slot, queue),
				 slot == SLOT_VSOCK && queue == 2 ? 2 : RING_SIZE);
		driver_write(h, slot, REG_QUEUE_READY, 1);
	}
}

void driver_go_to(struct hostile *h, unsigned slot, uint32_t status)
{
	static const uint32_t step[] = {ST_ACK, ST_DRIVER, ST_FEAT, ST_OK};
	uint32_t now = 0;
	size_t i;

	driver_write(h, slot, REG_STATUS, 0);
	for (i = 0; i < ARRAY_SIZE(step) && (status & step[i]); i++) {
		now |= step[i];
		if (step[i] == ST_FEAT) {
			/*
			 * VERSION_1 and indirect tables; for a card also checksums, merging and
			 * pairs.
			 */
			driver_write(h, slot, REG_DRIVER_FEATURES_SEL, 1);
			driver_write(h, slot, REG_DRIVER_FEATURES, 1);
			driver_write(h, slot, REG_DRIVER_FEATURES_SEL, 0);
			driver_write(h, slot, REG_DRIVER_FEATURES,
				     1u << 28 | (slot == SLOT_NET ? 0x8003u : 0) |
					     (slot == SLOT_NET && h->test->several_pairs ? 0x420000u
											 : 0));
		}
		if (step[i] == ST_OK)
			set_queues(h, slot);
		driver_write(h, slot, REG_STATUS, now);
	}
	if (status & ST_FAILED)
		driver_write(h, slot, REG_STATUS, now | ST_FAILED);
}

void driver_table_entry(struct hostile *h, uint64_t table, unsigned index, uint64_t address,
			uint32_t length, uint16_t flags, uint16_t next)
{
	script_write(h, 8, table + 16 * index, address);
	script_write(h, 8, table + 16 * index + 8,
		     length | (uint64_t)flags << 32 | (uint64_t)next << 48);
}

void driver_descriptor(struct hostile *h, const struct guest_ring *ring, unsigned index,
		       uint64_t address, uint32_t length, uint16_t flags, uint16_t next)
{
	driver_table_entry(h, ring->base, index, address, length, flags, next);
}

void driver_offer(struct hostile *h, struct guest_ring *ring, uint16_t head)
{
	uint64_t entry = ring->base + RING_AVAILABLE + 4 + 2 * (ring->available % ring->size);

	script_write(h, 2, entry, head);
	script_write(h, 2, ring->base + RING_AVAILABLE + 2, ++ring->available);
}

void driver_kick(struct hostile *h, const struct guest_ring *ring)
{
	driver_write(h, ring->slot, REG_QUEUE_NOTIFY, ring->queue);
}

void driver_expect_used(struct hostile *h, struct guest_ring *ring, unsigned count,
			const char *what)
{
	ring->used = (uint16_t)(ring->used + count);
	script_expect_done(h, script_wait(h, ring->base + RING_USED + 2, ring->used), what);
}

void driver_fill(struct hostile *h, struct guest_ring *ring)
{
	unsigned i;

	for (i = 1; i < ring->size; i++)
		driver_offer(h, ring, 0);
}

void driver_flood(struct hostile *h, struct guest_ring *ring, unsigned doorbells)
{
	unsigned i;

	driver_fill(h, ring);
	for (i = 0; i < doorbells; i++)
		driver_kick(h, ring);
	driver_expect_used(h, ring, ring->size, "all of a flood");
}

void driver_expect_status(struct hostile *h, unsigned slot, uint32_t status, const char *what)
{
	script_expect(h, script_read(h, 4, driver_register(slot, REG_STATUS)), status, what);
}

void driver_expect_status_soon(struct hostile *h, unsigned slot, uint32_t status, const char *what)
{
	script_expect_done(h, script_wait32(h, driver_register(slot, REG_STATUS), status), what);
}

void driver_ask_rng(struct hostile *h)
{
	struct guest_ring *ring = driver_ring(h, SLOT_RNG, 0);
	uint64_t entry = ring->base + RING_USED + 4 + 8 * (ring->used % ring->size);

	driver_descriptor(h, ring, 0, RNG_BUFFER, RNG_BYTES, DESC_WRITE, 0);
	driver_offer(h, ring, 0);
	driver_kick(h, ring);
	driver_expect_used(h, ring, 1, "the entropy device answers");
	script_expect(h, script_read(h, 8, entry), (uint64_t)RNG_BYTES << 32,
		      "the entropy device fills the buffer");
}

void driver_expect_rng(struct hostile *h)
{
	driver_bring_up(h, SLOT_RNG);
	driver_expect_status(h, SLOT_RNG, ST_LIVE, "the entropy device comes up");
	driver_ask_rng(h);
	driver_ask_rng(h);
}
