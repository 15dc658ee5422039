/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_guest.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fake guest: %s\n", what);
	abort();
}

void fake_guest_init(struct fake_guest *guest, uint64_t ram_size)
{
	memset(guest, 0, sizeof(*guest));
	guest->memory.fd = -1;
	guest->ram_size = ram_size;
	guest->ram = aligned_alloc(4096, ram_size);
	need(guest->ram != NULL, "no memory");
	memset(guest->ram, 0, ram_size);
	need(guest_memory_add(&guest->memory, FAKE_RAM_BASE, guest->ram, ram_size) == 0,
	     "RAM was not added");
	need(irq_line_create(&guest->irq, 5) == 0, "no eventfd");
}

void fake_guest_destroy(struct fake_guest *guest)
{
	irq_line_destroy(&guest->irq);
	guest_memory_destroy(&guest->memory);
	free(guest->ram);
	guest->ram = NULL;
}

uint64_t fake_guest_alloc(struct fake_guest *guest, uint64_t size, uint64_t align)
{
	uint64_t at = align_up(guest->allocated, align);

	need(range_within(at, size, guest->ram_size), "RAM is used up");
	guest->allocated = at + size;
	memset(guest->ram + at, 0, size);
	return FAKE_RAM_BASE + at;
}

void fake_guest_forget(struct fake_guest *guest)
{
	guest->allocated = 0;
}

void *fake_guest_at(struct fake_guest *guest, uint64_t address)
{
	need(range_within(address - FAKE_RAM_BASE, 1, guest->ram_size), "address outside RAM");
	return guest->ram + (address - FAKE_RAM_BASE);
}

void fake_guest_attach(struct fake_guest *guest, struct virtio_device *device)
{
	guest->device = device;
	virtio_mmio_init(&guest->mmio, device, &guest->memory, &guest->irq);
}

uint64_t fake_read_size(struct fake_guest *guest, uint64_t offset, unsigned size)
{
	return virtio_mmio_bus_ops.read(&guest->mmio, offset, size);
}

void fake_write_size(struct fake_guest *guest, uint64_t offset, unsigned size, uint64_t value)
{
	/* As a vCPU's thread does. */
	if (!virtio_mmio_bus_ops.write_unlocked(&guest->mmio, offset, size, value))
		virtio_mmio_bus_ops.write(&guest->mmio, offset, size, value);
}

uint32_t fake_read(struct fake_guest *guest, uint64_t offset)
{
	return (uint32_t)fake_read_size(guest, offset, 4);
}

void fake_write(struct fake_guest *guest, uint64_t offset, uint32_t value)
{
	fake_write_size(guest, offset, 4, value);
}

void fake_write_as_vcpu(struct fake_guest *guest, struct loop *loop, uint64_t offset,
			uint32_t value)
{
	if (virtio_mmio_bus_ops.write_unlocked(&guest->mmio, offset, 4, value))
		return;
	loop_lock(loop);
	virtio_mmio_bus_ops.write(&guest->mmio, offset, 4, value);
	loop_unlock(loop);
}

void fake_write_address(struct fake_guest *guest, uint64_t offset, uint64_t value)
{
	fake_write(guest, offset, (uint32_t)value);
	fake_write(guest, offset + 4, (uint32_t)(value >> 32));
}

uint32_t fake_status(struct fake_guest *guest)
{
	return fake_read(guest, FAKE_REG_STATUS);
}

void fake_add_status(struct fake_guest *guest, uint32_t bits)
{
	fake_write(guest, FAKE_REG_STATUS, fake_status(guest) | bits);
}

bool fake_guest_negotiate(struct fake_guest *guest, uint64_t features)
{
	features |= FAKE_F_VERSION_1;
	fake_write(guest, FAKE_REG_STATUS, 0);
	fake_add_status(guest, FAKE_ST_ACKNOWLEDGE);
	fake_add_status(guest, FAKE_ST_DRIVER);
	fake_write(guest, FAKE_REG_DRIVER_FEATURES_SEL, 0);
	fake_write(guest, FAKE_REG_DRIVER_FEATURES, (uint32_t)features);
	fake_write(guest, FAKE_REG_DRIVER_FEATURES_SEL, 1);
	fake_write(guest, FAKE_REG_DRIVER_FEATURES, (uint32_t)(features >> 32));
	fake_add_status(guest, FAKE_ST_FEATURES_OK);
	return fake_status(guest) & FAKE_ST_FEATURES_OK;
}

struct fake_queue *fake_guest_set_queue(struct fake_guest *guest, unsigned index, uint16_t size)
{
	struct fake_queue *queue = &guest->queue[index];

	fake_write(guest, FAKE_REG_QUEUE_SEL, index);
	if (size == 0)
		size = (uint16_t)fake_read(guest, FAKE_REG_QUEUE_NUM_MAX);
	fake_queue_init(guest, queue, size);
	queue->index = index;
	fake_write(guest, FAKE_REG_QUEUE_NUM, size);
	fake_write_address(guest, FAKE_REG_QUEUE_DESC, queue->descriptors);
	fake_write_address(guest, FAKE_REG_QUEUE_DRIVER, queue->driver);
	fake_write_address(guest, FAKE_REG_QUEUE_DEVICE, queue->device);
	fake_write(guest, FAKE_REG_QUEUE_READY, 1);
	return queue;
}

bool fake_guest_bring_up(struct fake_guest *guest, uint64_t features)
{
	unsigned i;

	if (!fake_guest_negotiate(guest, features))
		return false;
	for (i = 0; i < guest->device->queue_count; i++)
		fake_guest_set_queue(guest, i, 0);
	fake_add_status(guest, FAKE_ST_DRIVER_OK);
	return fake_status(guest) ==
	       (FAKE_ST_ACKNOWLEDGE | FAKE_ST_DRIVER | FAKE_ST_FEATURES_OK | FAKE_ST_DRIVER_OK);
}

uint64_t fake_guest_interrupts(struct fake_guest *guest)
{
	uint64_t count;

	return read(guest->irq.fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

void fake_queue_init(struct fake_guest *guest, struct fake_queue *queue, uint16_t size)
{
	*queue = (struct fake_queue){.guest = guest, .size = size};
	queue->descriptors = fake_guest_alloc(guest, 16 * (uint64_t)size, 16);
	queue->driver = fake_guest_alloc(guest, 6 + 2 * (uint64_t)size, 2);
	queue->device = fake_guest_alloc(guest, 6 + 8 * (uint64_t)size, 4);
	queue->desc = fake_guest_at(guest, queue->descriptors);
	queue->avail = fake_guest_at(guest, queue->driver);
	queue->used = fake_guest_at(guest, queue->device);
}

struct virtqueue_config fake_queue_config(const struct fake_queue *queue)
{
	return (struct virtqueue_config){.size = queue->size,
					 .ready = true,
					 .descriptors = queue->descriptors,
					 .driver = queue->driver,
					 .device = queue->device};
}

static void set_descriptor(uint8_t *to, uint64_t address, uint32_t length, uint16_t flags,
			   uint16_t next)
{
	store_le64(to, address);
	store_le32(to + 8, length);
	store_le16(to + 12, flags);
	store_le16(to + 14, next);
}

void fake_queue_set(struct fake_queue *queue, uint16_t index, uint64_t address, uint32_t length,
		    uint16_t flags, uint16_t next)
{
	need(index < queue->size, "descriptor outside its table");
	set_descriptor(queue->desc + 16 * (size_t)index, address, length, flags, next);
}

void fake_table_set(struct fake_guest *guest, uint64_t table, unsigned index, uint64_t address,
		    uint32_t length, uint16_t flags, uint16_t next)
{
	set_descriptor(fake_guest_at(guest, table + 16 * (uint64_t)index), address, length, flags,
		       next);
}

void fake_queue_set_avail_index(struct fake_queue *queue, uint16_t index)
{
	queue->avail_index = index;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	store_le16(queue->avail + 2, index);
}

void fake_queue_offer(struct fake_queue *queue, uint16_t head)
{
	store_le16(queue->avail + 4 + 2 * (queue->avail_index & (queue->size - 1u)), head);
	fake_queue_set_avail_index(queue, (uint16_t)(queue->avail_index + 1));
}

static uint16_t flags_of(const struct fake_segment *segment, bool last)
{
	return (uint16_t)((segment->writable ? FAKE_DESC_WRITE : 0) | (last ? 0 : FAKE_DESC_NEXT));
}

static uint16_t take_descriptor(struct fake_queue *queue)
{
	uint16_t index = queue->next_desc;

	queue->next_desc = (uint16_t)((index + 1) & (queue->size - 1));
	return index;
}

uint16_t fake_queue_add(struct fake_queue *queue, const struct fake_segment *segment,
			unsigned count)
{
	uint16_t head = queue->next_desc, index;
	unsigned i;

	for (i = 0; i < count; i++) {
		index = take_descriptor(queue);
		fake_queue_set(queue, index, segment[i].address, segment[i].length,
			       flags_of(&segment[i], i + 1 == count), queue->next_desc);
	}
	fake_queue_offer(queue, head);
	return head;
}

uint16_t fake_queue_add_indirect(struct fake_queue *queue, const struct fake_segment *segment,
				 unsigned count)
{
	uint64_t table = fake_guest_alloc(queue->guest, 16 * (uint64_t)count, 16);
	uint16_t head = take_descriptor(queue);
	unsigned i;

	for (i = 0; i < count; i++)
		fake_table_set(queue->guest, table, i, segment[i].address, segment[i].length,
			       flags_of(&segment[i], i + 1 == count), (uint16_t)(i + 1));
	fake_queue_set(queue, head, table, 16 * count, FAKE_DESC_INDIRECT, 0);
	fake_queue_offer(queue, head);
	return head;
}

uint16_t fake_queue_add_one(struct fake_queue *queue, uint64_t address, uint32_t length,
			    bool writable)
{
	struct fake_segment segment = {address, length, writable};

	return fake_queue_add(queue, &segment, 1);
}

void fake_queue_kick(struct fake_queue *queue)
{
	fake_write(queue->guest, FAKE_REG_QUEUE_NOTIFY, queue->index);
}

bool fake_queue_take_used(struct fake_queue *queue, uint32_t *head, uint32_t *written)
{
	const uint8_t *entry = queue->used + 4 + 8 * (queue->used_index & (queue->size - 1u));

	if (fake_queue_used_index(queue) == queue->used_index)
		return false;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	*head = load_le32(entry);
	*written = load_le32(entry + 4);
	queue->used_index++;
	return true;
}

void fake_queue_set_flags(struct fake_queue *queue, uint16_t flags)
{
	store_le16(queue->avail, flags);
}

void fake_queue_set_used_event(struct fake_queue *queue, uint16_t index)
{
	store_le16(queue->avail + 4 + 2 * (size_t)queue->size, index);
}

uint16_t fake_queue_used_flags(const struct fake_queue *queue)
{
	return load_le16(queue->used);
}

uint16_t fake_queue_used_index(const struct fake_queue *queue)
{
	/* Another thread may be the device. */
	return le16toh(__atomic_load_n((const uint16_t *)(const void *)(queue->used + 2),
				       __ATOMIC_ACQUIRE));
}

uint16_t fake_queue_avail_event(const struct fake_queue *queue)
{
	return load_le16(queue->used + 4 + 8 * (size_t)queue->size);
}
