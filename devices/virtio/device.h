/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device as the transport sees it (virtio 1.2, section 2).
 *
 * A device embeds struct virtio_device, fills in the constant part, and gets queues that have been
 * checked. All callbacks run with the device lock held (vmm/base/loop.h): from a vCPU's thread for
 * register accesses, from the loop's thread for doorbells and the device's own events.
 */
#ifndef CORDON_VIRTIO_DEVICE_H
#define CORDON_VIRTIO_DEVICE_H

#include <linux/virtio_ids.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/virtio/virtqueue.h"
#include "vmm/base/err.h"

#define VIRTIO_DEVICE_QUEUES 17 /* eight pairs of a network card, and its control queue */

struct virtio_device;

struct virtio_device_ops {
	/*
	 * The driver has set DRIVER_OK: device->queue[i] is valid where queue_active(i). features
	 * negotiated are in device->negotiated. 0, or -errno: the transport sets NEEDS_RESET.
	 */
	int (*activate)(struct virtio_device *device);

	/*
	 * Back to the state before activation; nothing of the driver's memory may be used again.
	 * Waits for nothing that the guest or a disk of the host could hold up.
	 */
	void (*reset)(struct virtio_device *device);

	/* The driver rang queue's doorbell: there may be new chains. Called only while active. */
	void (*notify)(struct virtio_device *device, unsigned queue);

	/*
	 * Device configuration space (section 4.2.2.2). length is 1 to 8 and has been checked
	 * against config_size. config_write may be NULL: writes are ignored.
	 */
	void (*config_read)(struct virtio_device *device, uint32_t offset, void *to,
			    uint32_t length);
	void (*config_write)(struct virtio_device *device, uint32_t offset, const void *from,
			     uint32_t length);

	/*
	 * What the driver has told the device otherwise than by registers, for snapshots: of an
	 * active device, behind its queues. restore comes after activate, before any notify; 0, or
	 * -EINVAL: it makes no sense. Both NULL: nothing.
	 */
	void (*save)(const struct virtio_device *device, struct pack *pack);
	int (*restore)(struct virtio_device *device, struct unpack *unpack);
};

/* What the transport does for a device. */
struct virtio_transport_ops {
	/* The used ring of queue has grown and the driver asked to hear of it. */
	void (*interrupt_queue)(void *transport, unsigned queue);
	/* The configuration space has changed (section 2.5): new generation, interrupt. */
	void (*interrupt_config)(void *transport);
	/* The device met an error that it can't recover from: DEVICE_NEEDS_RESET (section 2.1.2).
	 */
	void (*needs_reset)(void *transport);
};

struct virtio_device {
	/* constant, filled in by the device before the transport is made */
	const struct virtio_device_ops *ops;
	const char *name;  /* "vsock0", for messages */
	uint32_t id;	   /* VIRTIO_ID_... */
	uint64_t features; /* offered; the transport adds VERSION_1, INDIRECT_DESC, EVENT_IDX */
	unsigned queue_count;
	uint16_t
		queue_size_max[VIRTIO_DEVICE_QUEUES]; /* power of two, at most VIRTQUEUE_SIZE_MAX */
	uint32_t config_size;			      /* bytes of configuration space */

	/* the transport's */
	const struct virtio_transport_ops *transport_ops;
	void *transport;
	uint64_t negotiated;
	bool active; /* between activate and reset */
	struct virtqueue queue[VIRTIO_DEVICE_QUEUES];
};

/*
 * Takes the next chain of a queue, as virtqueue_pop(); if the ring is broken, sets NEEDS_RESET, and
 * the queue gives nothing more until the driver resets the device. Returns 1, 0 (none) or -errno.
 */
int virtio_device_pop(struct virtio_device *device, unsigned queue, struct virtio_chain *chain);

/* Gives a chain back with the number of bytes written into it, and interrupts if wanted. */
void virtio_device_push(struct virtio_device *device, unsigned queue,
			const struct virtio_chain *chain, uint32_t written);

#endif
