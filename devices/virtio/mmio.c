/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virtio/mmio.h"

#include <linux/virtio_ring.h>
#include <string.h>

#include "devices/virtio/status.h"
#include "vmm/base/bytes.h"

#define MAGIC	0x74726976u /* "virt" */
#define VERSION 2u
#define VENDOR	0x4e445243u /* "CRDN" */

/* --- registers ------------------------------------------------------------------------------- */

/* The queue that QueueSel names, or NULL if there is none. */
static struct virtqueue_config *selected_queue(struct virtio_mmio *mmio)
{
	return mmio->queue_sel < mmio->device->queue_count ? &mmio->queue[mmio->queue_sel] : NULL;
}

static uint32_t offered_features(const struct virtio_mmio *mmio)
{
	if (mmio->device_features_sel > 1)
		return 0;
	return (uint32_t)(mmio->device->features >> (32 * mmio->device_features_sel));
}

static uint32_t read_register(struct virtio_mmio *mmio, uint64_t offset)
{
	const struct virtqueue_config *queue = selected_queue(mmio);

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return mmio->device->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return offered_features(mmio);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return queue ? mmio->device->queue_size_max[mmio->queue_sel] : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return queue ? queue->ready : 0;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return atomic_load(&mmio->interrupt_status);
	case VIRTIO_MMIO_STATUS:
		return mmio->status;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return UINT32_MAX; /* there is no such shared memory region (4.2.2.1) */
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return mmio->config_generation;
	default:
		return 0;
	}
}

static void write_driver_features(struct virtio_mmio *mmio, uint32_t value)
{
	unsigned shift = 32 * (mmio->driver_features_sel & 1);

	if (mmio->status != ST_SETUP)
		return;
	if (mmio->driver_features_sel > 1) {
		mmio->driver_features_beyond |= value != 0;
		return;
	}
	mmio->driver_features &= ~((uint64_t)UINT32_MAX << shift);
	mmio->driver_features |= (uint64_t)value << shift;
}

static void set_half(uint64_t *address, bool high, uint32_t value)
{
	if (high)
		*address = (*address & UINT32_MAX) | ((uint64_t)value << 32);
	else
		*address = (*address & ~(uint64_t)UINT32_MAX) | value;
}

/* Valid only between FEATURES_OK and DRIVER_OK; all but QueueReady only while the queue isn't
 * ready. */
static void write_queue(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
	struct virtqueue_config *queue = selected_queue(mmio);

	if (!queue || (mmio->status & ~VIRTIO_CONFIG_S_NEEDS_RESET) != ST_QUEUES)
		return;
	if (offset == VIRTIO_MMIO_QUEUE_READY) {
		queue->ready = value & 1;
		return;
	}
	if (queue->ready)
		return;
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		queue->size = value;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_half(&queue->descriptors, offset == VIRTIO_MMIO_QUEUE_DESC_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_half(&queue->driver, offset == VIRTIO_MMIO_QUEUE_AVAIL_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_half(&queue->device, offset == VIRTIO_MMIO_QUEUE_USED_HIGH, value);
		break;
	default:
		break;
	}
}

static void write_register(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		mmio->device_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		write_driver_features(mmio, value);
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		mmio->driver_features_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		mmio->queue_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		virtio_mmio_notify(mmio, value);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		atomic_fetch_and(&mmio->interrupt_status, ~value);
		break;
	case VIRTIO_MMIO_STATUS:
		virtio_status_write(mmio, value);
		break;
	default:
		write_queue(mmio, offset, value);
		break;
	}
}

/* --- bus accesses ---------------------------------------------------------------------------- */

/* Bytes past the end of the configuration space read as 0. */
static uint64_t read_config(struct virtio_mmio *mmio, uint64_t offset, unsigned size)
{
	struct virtio_device *device = mmio->device;
	uint8_t bytes[8] = {0};

	if (offset < device->config_size)
		device->ops->config_read(device, (uint32_t)offset, bytes,
					 (uint32_t)min_u64(size, device->config_size - offset));
	return load_le64(bytes);
}

static void write_config(struct virtio_mmio *mmio, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_device *device = mmio->device;
	uint8_t bytes[8];

	if (!device->ops->config_write || !range_within(offset, size, device->config_size))
		return;
	if (!(mmio->status & VIRTIO_CONFIG_S_DRIVER) || (mmio->status & VIRTIO_CONFIG_S_FAILED))
		return;
	store_le64(bytes, value);
	device->ops->config_write(device, (uint32_t)offset, bytes, size);
}

static uint64_t mmio_read(void *device, uint64_t offset, unsigned size)
{
	struct virtio_mmio *mmio = device;

	if (offset >= VIRTIO_MMIO_CONFIG)
		return read_config(mmio, offset - VIRTIO_MMIO_CONFIG, size);
	/* Registers have one width (4.2.2.2); other accesses are invalid. */
	if (size != 4 || offset % 4 != 0)
		return 0;
	return read_register(mmio, offset);
}

static void mmio_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_mmio *mmio = device;

	if (offset >= VIRTIO_MMIO_CONFIG)
		write_config(mmio, offset - VIRTIO_MMIO_CONFIG, size, value);
	else if (size == 4 && offset % 4 == 0)
		write_register(mmio, offset, (uint32_t)value);
}

/* A doorbell that the device handles itself. Constant fields only: this holds no lock. */
static bool mmio_write_unlocked(void *transport, uint64_t offset, unsigned size, uint64_t value)
{
	const struct virtio_mmio *mmio = transport;
	struct virtio_device *device = mmio->device;

	if (!device->ops->doorbell || offset != VIRTIO_MMIO_QUEUE_NOTIFY || size != 4)
		return false;
	if (value < device->queue_count)
		device->ops->doorbell(device, (unsigned)value);
	return true;
}

const struct bus_ops virtio_mmio_bus_ops = {
	.read = mmio_read,
	.write = mmio_write,
	.write_unlocked = mmio_write_unlocked,
};

void virtio_mmio_init(struct virtio_mmio *mmio, struct virtio_device *device,
		      const struct guest_memory *memory, struct irq_line *irq)
{
	memset(mmio, 0, sizeof(*mmio));
	mmio->device = device;
	mmio->memory = memory;
	mmio->irq = irq;
	device->features |= UINT64_C(1) << VIRTIO_F_VERSION_1;
	device->features |= UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC;
	device->features |= UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX;
	device->transport_ops = &virtio_mmio_transport_ops;
	device->transport = mmio;
	device->active = false;
}

void virtio_mmio_notify(struct virtio_mmio *mmio, uint32_t queue)
{
	struct virtio_device *device = mmio->device;

	if (!device->active || queue >= device->queue_count)
		return;
	if (!virtqueue_active(&device->queue[queue]))
		return;
	/* The rest of an active queue is not the transport's if vCPUs ring doorbells without the
	 * lock. */
	if (device->ops->doorbell || !device->queue[queue].broken)
		device->ops->notify(device, queue);
}
