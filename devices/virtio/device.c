/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virtio/device.h"

#include <string.h>

#include "vmm/base/log.h"

int virtio_device_pop(struct virtio_device *device, unsigned queue, struct virtio_chain *chain)
{
	bool was_broken = device->queue[queue].broken;
	int ret = virtqueue_pop(&device->queue[queue], chain);

	if (ret < 0 && !was_broken) {
		log_guest("%s: malformed queue %u (%s): the device needs a reset", device->name,
			  queue, strerror(-ret));
		device->transport_ops->needs_reset(device->transport);
	}
	return ret;
}

int virtio_device_read_chain(struct virtio_device *device, unsigned queue, uint16_t head,
			     struct virtio_chain *chain)
{
	int ret = virtqueue_read_chain(&device->queue[queue], head, chain);

	if (ret < 0)
		device->transport_ops->needs_reset(device->transport);
	return ret;
}

bool virtio_device_interrupt(struct virtio_device *device, unsigned queue)
{
	if (!virtqueue_should_interrupt(&device->queue[queue]))
		return false;
	device->transport_ops->interrupt_queue(device->transport, queue);
	return true;
}

void virtio_device_push(struct virtio_device *device, unsigned queue,
			const struct virtio_chain *chain, uint32_t written)
{
	virtqueue_push(&device->queue[queue], chain->head, written);
	virtio_device_interrupt(device, queue);
}
