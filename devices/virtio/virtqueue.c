/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virtio/virtqueue.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "vmm/base/bytes.h"

#define DESCRIPTOR_BYTES sizeof(struct vring_desc)

/* Offsets of the fields, the same in both rings (2.7.6, 2.7.8). */
#define RING_FLAGS   offsetof(struct vring_avail, flags)
#define RING_INDEX   offsetof(struct vring_avail, idx)
#define RING_ENTRIES offsetof(struct vring_avail, ring)

/* The sizes of the rings of a queue of n entries, event index included. */
#define DRIVER_AREA_BYTES(n) (6 + 2 * (uint64_t)(n))
#define DEVICE_AREA_BYTES(n) (6 + 8 * (uint64_t)(n))

struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags;
	uint16_t next;
};

/* A descriptor table: the queue's own, or an indirect one, which need not be aligned. */
struct table {
	const uint8_t *entries;
	uint32_t count;
	bool indirect;
};

/* 16-bit fields of the rings are aligned (checked at activation) and may change at any time. */
static uint16_t ring_load(const uint8_t *area, size_t offset, int order)
{
	const uint16_t *field = (const uint16_t *)(const void *)(area + offset);

	if (order == __ATOMIC_ACQUIRE)
		return le16toh(__atomic_load_n(field, __ATOMIC_ACQUIRE));
	return le16toh(__atomic_load_n(field, __ATOMIC_RELAXED));
}

static void ring_store(uint8_t *area, size_t offset, uint16_t value)
{
	__atomic_store_n((uint16_t *)(void *)(area + offset), htole16(value), __ATOMIC_RELEASE);
}

static size_t used_event_offset(const struct virtqueue *queue)
{
	return RING_ENTRIES + 2 * (size_t)queue->size;
}

static size_t avail_event_offset(const struct virtqueue *queue)
{
	return RING_ENTRIES + 8 * (size_t)queue->size;
}

/* --- activation ------------------------------------------------------------------------------ */

struct area {
	const char *name;
	uint64_t address, length;
	unsigned align;
	uint8_t *host;
};

static int check_area(struct area *area, const struct guest_memory *memory, struct err *err)
{
	if (area->address % area->align != 0)
		return err_set(err, EINVAL, "the %s at 0x%" PRIx64 " is not aligned to %u bytes",
			       area->name, area->address, area->align);
	area->host = guest_memory_at(memory, area->address, area->length);
	if (!area->host)
		return err_set(err, EFAULT, "the %s at 0x%" PRIx64 " is not in RAM", area->name,
			       area->address);
	return 0;
}

static bool areas_overlap(const struct area *a, const struct area *b)
{
	/* Both lie in memory, so neither end wraps. */
	return a->address < b->address + b->length && b->address < a->address + a->length;
}

int virtqueue_activate(struct virtqueue *queue, const struct virtqueue_config *config,
		       uint32_t size_max, uint64_t negotiated, const struct guest_memory *memory,
		       struct err *err)
{
	uint32_t size = config->size;
	struct area area[] = {
		{"descriptor table", config->descriptors, DESCRIPTOR_BYTES * (uint64_t)size,
		 VRING_DESC_ALIGN_SIZE, NULL},
		{"available ring", config->driver, DRIVER_AREA_BYTES(size), VRING_AVAIL_ALIGN_SIZE,
		 NULL},
		{"used ring", config->device, DEVICE_AREA_BYTES(size), VRING_USED_ALIGN_SIZE, NULL},
	};
	size_t i, k;
	int ret;

	virtqueue_reset(queue);
	if (!is_power_of_two(size) || size > size_max || size > VIRTQUEUE_SIZE_MAX)
		return err_set(err, EINVAL, "a queue cannot have %" PRIu32 " entries", size);
	for (i = 0; i < ARRAY_SIZE(area); i++) {
		ret = check_area(&area[i], memory, err);
		if (ret < 0)
			return ret;
		for (k = 0; k < i; k++)
			if (areas_overlap(&area[i], &area[k]))
				return err_set(err, EINVAL, "the %s overlaps the %s", area[i].name,
					       area[k].name);
	}
	queue->size = (uint16_t)size;
	queue->event_idx = (negotiated >> VIRTIO_RING_F_EVENT_IDX) & 1;
	queue->indirect = (negotiated >> VIRTIO_RING_F_INDIRECT_DESC) & 1;
	queue->descriptors = area[0].host;
	queue->driver_area = area[1].host;
	queue->device_area = area[2].host;
	queue->memory = memory;
	return 0;
}

void virtqueue_reset(struct virtqueue *queue)
{
	*queue = (struct virtqueue){.memory = NULL};
}

/* --- popping chains -------------------------------------------------------------------------- */

static int broken(struct virtqueue *queue, int code)
{
	queue->broken = true;
	return -code;
}

/* Tells the driver to ring the doorbell for the chain after next_available. */
static void arm_doorbell(struct virtqueue *queue)
{
	if (queue->event_idx)
		ring_store(queue->device_area, avail_event_offset(queue), queue->next_available);
	else
		ring_store(queue->device_area, RING_FLAGS, 0);
	/* The driver must see this before we read its index for the last time (2.7.10.1). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* The number of available chains, at most size; -errno if broken or the index is invalid. */
static int chains_waiting(struct virtqueue *queue)
{
	uint16_t index, waiting;
	bool last_look;

	if (!virtqueue_active(queue))
		return 0;
	if (queue->broken)
		return -EIO;
	/* Each look at the index takes its cache line from the driver's processor. */
	waiting = (uint16_t)(queue->available - queue->next_available);
	if (waiting > 0)
		return waiting;
	/* Arm the doorbell when there is no chain, unless the device has disabled it. */
	for (last_look = queue->doorbell_off;; last_look = true) {
		index = ring_load(queue->driver_area, RING_INDEX, __ATOMIC_ACQUIRE);
		waiting = (uint16_t)(index - queue->next_available);
		if (waiting > queue->size)
			return -EINVAL;
		queue->available = index;
		if (waiting > 0 || last_look)
			return waiting;
		arm_doorbell(queue);
	}
}

bool virtqueue_has_chain(struct virtqueue *queue)
{
	/* An invalid index counts as a chain: the next pop reports it. */
	return !queue->broken && chains_waiting(queue) != 0;
}

static void load_descriptor(const struct table *table, uint32_t index, struct descriptor *to)
{
	uint8_t raw[DESCRIPTOR_BYTES];

	guest_copy_in(raw, table->entries + (size_t)index * DESCRIPTOR_BYTES, sizeof(raw));
	to->address = load_le64(raw);
	to->length = load_le32(raw + 8);
	to->flags = load_le16(raw + 12);
	to->next = load_le16(raw + 14);
}

/* Sets table to the indirect table that a descriptor points to (2.7.5.3). */
static int enter_indirect(const struct virtqueue *queue, const struct descriptor *descriptor,
			  struct table *table)
{
	if (!queue->indirect || table->indirect || (descriptor->flags & VRING_DESC_F_NEXT))
		return -EINVAL;
	if (descriptor->length == 0 || descriptor->length % DESCRIPTOR_BYTES != 0)
		return -EINVAL;
	table->entries = guest_memory_at(queue->memory, descriptor->address, descriptor->length);
	if (!table->entries)
		return -EFAULT;
	table->count = descriptor->length / DESCRIPTOR_BYTES;
	table->indirect = true;
	return 0;
}

static int add_segment(const struct virtqueue *queue, const struct descriptor *descriptor,
		       struct virtio_chain *chain)
{
	unsigned count = chain->readable_count + chain->writable_count;
	bool writable = descriptor->flags & VRING_DESC_F_WRITE;
	void *host;

	if (count >= VIRTIO_CHAIN_SEGMENTS)
		return -E2BIG;
	if (!writable && chain->writable_count > 0)
		return -EINVAL;
	host = guest_memory_at(queue->memory, descriptor->address, descriptor->length);
	if (!host)
		return descriptor->length == 0 ? -EINVAL : -EFAULT;
	chain->segment[count] = (struct iovec){.iov_base = host, .iov_len = descriptor->length};
	if (writable) {
		chain->writable_count++;
		chain->writable_length += descriptor->length;
	} else {
		chain->readable_count++;
		chain->readable_length += descriptor->length;
	}
	/* At most 130 segments below 4 GiB each: the sum can't overflow. */
	return chain->readable_length + chain->writable_length > UINT32_MAX ? -E2BIG : 0;
}

static int walk(const struct virtqueue *queue, uint16_t head, struct virtio_chain *chain)
{
	struct table table = {.entries = queue->descriptors, .count = queue->size};
	struct descriptor descriptor;
	uint32_t index = head, steps = 0;
	int ret;

	for (;;) {
		/* More steps than entries mean a loop. */
		if (index >= table.count || steps++ >= table.count)
			return index >= table.count ? -EINVAL : -ELOOP;
		load_descriptor(&table, index, &descriptor);
		if (descriptor.flags & VRING_DESC_F_INDIRECT) {
			ret = enter_indirect(queue, &descriptor, &table);
			if (ret < 0)
				return ret;
			index = 0;
			steps = 0;
			continue;
		}
		ret = add_segment(queue, &descriptor, chain);
		if (ret < 0)
			return ret;
		if (!(descriptor.flags & VRING_DESC_F_NEXT))
			return 0;
		index = descriptor.next;
	}
}

int virtqueue_read_chain(struct virtqueue *queue, uint16_t head, struct virtio_chain *chain)
{
	int ret = virtqueue_active(queue) && !queue->broken ? 0 : -EIO;

	chain->head = head;
	chain->readable_count = 0;
	chain->writable_count = 0;
	chain->readable_length = 0;
	chain->writable_length = 0;
	if (ret == 0)
		ret = walk(queue, head, chain);
	if (ret < 0)
		return broken(queue, -ret);
	chain->readable = chain->segment;
	chain->writable = chain->segment + chain->readable_count;
	return 0;
}

int virtqueue_pop(struct virtqueue *queue, struct virtio_chain *chain)
{
	uint16_t head;
	size_t entry;
	int ret;

	ret = chains_waiting(queue);
	if (ret < 0)
		return broken(queue, -ret);
	if (ret == 0)
		return 0;
	entry = queue->next_available & (queue->size - 1u);
	head = ring_load(queue->driver_area, RING_ENTRIES + 2 * entry, __ATOMIC_RELAXED);
	ret = virtqueue_read_chain(queue, head, chain);
	if (ret < 0)
		return ret;
	queue->next_available++;
	return 1;
}

void virtqueue_undo_pop(struct virtqueue *queue)
{
	if (virtqueue_active(queue))
		queue->next_available--;
}

/* --- pushing chains -------------------------------------------------------------------------- */

void virtqueue_add_used(struct virtqueue *queue, uint16_t head, uint32_t written)
{
	uint8_t *entry;

	if (!virtqueue_active(queue))
		return;
	entry = queue->device_area + RING_ENTRIES + 8 * (queue->next_used & (queue->size - 1u));
	store_le32(entry, head);
	store_le32(entry + 4, written);
	queue->next_used++;
	queue->interrupt_pending = true;
}

void virtqueue_publish(struct virtqueue *queue)
{
	if (virtqueue_active(queue))
		ring_store(queue->device_area, RING_INDEX, queue->next_used);
}

void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written)
{
	virtqueue_add_used(queue, head, written);
	virtqueue_publish(queue);
}

bool virtqueue_should_interrupt(struct virtqueue *queue)
{
	uint16_t before, event;

	if (!virtqueue_active(queue) || !queue->interrupt_pending)
		return false;
	queue->interrupt_pending = false;
	/* The driver must see the new index before we read whether it wants an interrupt (2.7.7.2).
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!queue->event_idx)
		return !(ring_load(queue->driver_area, RING_FLAGS, __ATOMIC_RELAXED) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	event = ring_load(queue->driver_area, used_event_offset(queue), __ATOMIC_RELAXED);
	before = queue->last_notified_used;
	queue->last_notified_used = queue->next_used;
	return vring_need_event(event, queue->next_used, before);
}

void virtqueue_disable_doorbell(struct virtqueue *queue)
{
	if (!virtqueue_active(queue))
		return;
	queue->doorbell_off = true;
	/* With EVENT_IDX it suffices not to advance the event index. */
	if (!queue->event_idx)
		ring_store(queue->device_area, RING_FLAGS, VRING_USED_F_NO_NOTIFY);
}

bool virtqueue_enable_doorbell(struct virtqueue *queue)
{
	if (!virtqueue_active(queue) || queue->broken)
		return false;
	queue->doorbell_off = false;
	arm_doorbell(queue);
	return virtqueue_has_chain(queue);
}

/* --- snapshots ------------------------------------------------------------------------------- */

void virtqueue_save(const struct virtqueue *queue, struct pack *pack)
{
	pack_u16(pack, queue->next_available);
	pack_u16(pack, queue->next_used);
	pack_u16(pack, queue->last_notified_used);
	pack_u8(pack, queue->broken);
	pack_u8(pack, queue->doorbell_off);
	pack_u8(pack, queue->interrupt_pending);
}

void virtqueue_restore_position(struct virtqueue_position *position, struct unpack *unpack)
{
	position->next_available = unpack_u16(unpack);
	position->next_used = unpack_u16(unpack);
	position->last_notified_used = unpack_u16(unpack);
	position->broken = unpack_u8(unpack) != 0;
	position->doorbell_off = unpack_u8(unpack) != 0;
	position->interrupt_pending = unpack_u8(unpack) != 0;
}

void virtqueue_set_position(struct virtqueue *queue, const struct virtqueue_position *position)
{
	if (!virtqueue_active(queue))
		return;
	queue->next_available = position->next_available;
	queue->available = position->next_available;
	queue->next_used = position->next_used;
	queue->last_notified_used = position->last_notified_used;
	queue->broken = position->broken;
	queue->doorbell_off = position->doorbell_off;
	queue->interrupt_pending = position->interrupt_pending;
}
