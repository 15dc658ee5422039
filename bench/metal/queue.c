/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "bench/metal/guest.h"
#include "boot/layout.h"

#define QUEUES_MAX	   8
#define MAGIC		   0x74726976u
#define RING_BYTES	   4096
#define COMPILER_BARRIER() __asm__ volatile("" ::: "memory")

/* Each ring of a queue has a page of its own. */
static uint8_t rings[QUEUES_MAX][3][RING_BYTES] __attribute__((aligned(RING_BYTES)));
static unsigned rings_used;

static uint32_t read_register(const struct device *device, unsigned offset)
{
	return *(volatile uint32_t *)(device->base + offset);
}

static void write_register(const struct device *device, unsigned offset, uint32_t value)
{
	*(volatile uint32_t *)(device->base + offset) = value;
}

static void write_address(const struct device *device, unsigned offset, const volatile void *at)
{
	uint64_t address = (uintptr_t)at;

	write_register(device, offset, (uint32_t)address);
	write_register(device, offset + 4, (uint32_t)(address >> 32));
}

bool device_find(struct device *device, uint32_t id, unsigned nth)
{
	unsigned slot;

	for (slot = 0; slot < LAYOUT_VIRTIO_COUNT; slot++) {
		device->base =
			(uint8_t *)(uintptr_t)(LAYOUT_VIRTIO_BASE + slot * LAYOUT_VIRTIO_STRIDE);
		if (read_register(device, VIRTIO_MMIO_MAGIC_VALUE) != MAGIC)
			return false;
		if (read_register(device, VIRTIO_MMIO_DEVICE_ID) == id && nth-- == 0)
			return true;
	}
	return false;
}

uint8_t device_config8(const struct device *device, unsigned offset)
{
	return device->base[VIRTIO_MMIO_CONFIG + offset];
}

uint64_t device_config64(const struct device *device, unsigned offset)
{
	return *(volatile uint64_t *)(device->base + VIRTIO_MMIO_CONFIG + offset);
}

static void start_queue(const struct device *device, struct queue *queue, uint16_t number)
{
	uint8_t(*ring)[RING_BYTES] = rings[rings_used++];
	uint32_t size;

	write_register(device, VIRTIO_MMIO_QUEUE_SEL, number);
	size = read_register(device, VIRTIO_MMIO_QUEUE_NUM_MAX);
	*queue = (struct queue){
		.descriptors = (struct vring_desc *)ring[0],
		.available = (uint16_t *)ring[1],
		.used = (uint16_t *)ring[2],
		.doorbell = (uint32_t *)(device->base + VIRTIO_MMIO_QUEUE_NOTIFY),
		.number = number,
		.size = (uint16_t)(size < QUEUE_SIZE_MAX ? size : QUEUE_SIZE_MAX),
	};
	write_register(device, VIRTIO_MMIO_QUEUE_NUM, queue->size);
	write_address(device, VIRTIO_MMIO_QUEUE_DESC_LOW, ring[0]);
	write_address(device, VIRTIO_MMIO_QUEUE_AVAIL_LOW, ring[1]);
	write_address(device, VIRTIO_MMIO_QUEUE_USED_LOW, ring[2]);
	write_register(device, VIRTIO_MMIO_QUEUE_READY, 1);
}

void device_start(struct device *device, uint64_t features, struct queue *queue, unsigned queues)
{
	uint32_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE;
	unsigned i;

	features |= 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX |
		    1ull << VIRTIO_RING_F_INDIRECT_DESC;
	write_register(device, VIRTIO_MMIO_STATUS, 0);
	write_register(device, VIRTIO_MMIO_STATUS, status);
	write_register(device, VIRTIO_MMIO_STATUS, status |= VIRTIO_CONFIG_S_DRIVER);
	for (i = 0; i < 2; i++) {
		write_register(device, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		write_register(device, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * i));
	}
	write_register(device, VIRTIO_MMIO_STATUS, status |= VIRTIO_CONFIG_S_FEATURES_OK);
	for (i = 0; i < queues; i++)
		start_queue(device, &queue[i], (uint16_t)i);
	write_register(device, VIRTIO_MMIO_STATUS, status | VIRTIO_CONFIG_S_DRIVER_OK);
}

void queue_offer(struct queue *queue, uint16_t head)
{
	queue->available[2 + queue->offered % queue->size] = head;
	queue->offered++;
	COMPILER_BARRIER();
	queue->available[1] = queue->offered;
}

void queue_kick(struct queue *queue)
{
	uint16_t event;

	if (queue->rung == queue->offered)
		return;
	/* The device must see the new index before we read whether it wants the doorbell. */
	__asm__ volatile("mfence" ::: "memory");
	event = queue->used[2 + 4 * queue->size];
	if (vring_need_event(event, queue->offered, queue->rung)) {
		*queue->doorbell = queue->number;
		queue->doorbells++;
	}
	queue->rung = queue->offered;
}

bool queue_take(struct queue *queue, uint16_t *head, uint32_t *length)
{
	volatile uint16_t *entry;

	if (queue->used[1] == queue->seen)
		return false;
	COMPILER_BARRIER();
	entry = queue->used + 2 + 4 * (queue->seen % queue->size);
	*head = entry[0];
	*length = *(volatile uint32_t *)(entry + 2);
	queue->seen++;
	/* An event index that is always behind: no interrupts. */
	queue->available[2 + queue->size] = (uint16_t)(queue->seen - 1);
	return true;
}
