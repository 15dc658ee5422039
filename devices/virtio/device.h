/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface between a virtio device and its transport (virtio 1.2, section 2).
 *
 * A device embeds struct virtio_device, fills in the constant part, and gets checked queues. All
 * callbacks but one run with the device lock held (vmm/base/loop.h): on a vCPU thread for register
 * accesses, on the loop's thread for doorbells and the device's own events. The exception is
 * doorbell(), for a device whose doorbells the vCPUs' threads handle themselves.
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
	 * The driver has set DRIVER_OK: device->queue[i] is valid if virtqueue_active(), and
	 * device->negotiated has the negotiated features. 0, or -errno: the transport sets
	 * NEEDS_RESET.
	 */
	int (*activate)(struct virtio_device *device);

	/*
	 * Returns to the state before activation; afterwards the device must not touch the driver's
	 * memory. Must not wait for anything that the guest or a disk of the host could delay.
	 */
	void (*reset)(struct virtio_device *device);

	/* The driver rang the queue's doorbell: there may be new chains. Called only while active.
	 */
	void (*notify)(struct virtio_device *device, unsigned queue);

	/*
	 * NULL, or: the driver rang the doorbell, which has no ioeventfd. Called on the vCPU's
	 * thread WITHOUT the device lock, at any time, for any queue below queue_count: also while
	 * another thread is in one of the other callbacks. The device guards its queues by locks of
	 * its own, and learns from activate and reset whether they are valid. It still gets
	 * notify() for each active queue after activation and a restore; the transport does not
	 * look into the queues of an active device then.
	 */
	void (*doorbell)(struct virtio_device *device, unsigned queue);

	/*
	 * Device configuration space (section 4.2.2.2). length is 1 to 8; the range lies within
	 * config_size. config_write may be NULL: writes are ignored.
	 */
	void (*config_read)(struct virtio_device *device, uint32_t offset, void *to,
			    uint32_t length);
	void (*config_write)(struct virtio_device *device, uint32_t offset, const void *from,
			     uint32_t length);

	/*
	 * For snapshots of an active device: state that the driver has set other than through
	 * registers. It follows the queues. restore is called after activate and before any notify:
	 * 0, or -EINVAL if the state is invalid. Both may be NULL: no such state.
	 */
	void (*save)(const struct virtio_device *device, struct pack *pack);
	int (*restore)(struct virtio_device *device, struct unpack *unpack);
};

/* The services of a transport for its device. */
struct virtio_transport_ops {
	/* The queue's used ring has new elements and the driver wants an interrupt. */
	void (*interrupt_queue)(void *transport, unsigned queue);
	/* The configuration space has changed (section 2.5): new generation, interrupt. */
	void (*interrupt_config)(void *transport);
	/* The device has met an unrecoverable error: DEVICE_NEEDS_RESET (section 2.1.2). */
	void (*needs_reset)(void *transport);
};

struct virtio_device {
	/* constant, filled in by the device before virtio_mmio_init() */
	const struct virtio_device_ops *ops;
	const char *name;  /* "vsock0", for messages */
	uint32_t id;	   /* VIRTIO_ID_... */
	uint64_t features; /* offered; the transport adds VERSION_1, INDIRECT_DESC, EVENT_IDX */
	unsigned queue_count;
	uint16_t
		queue_size_max[VIRTIO_DEVICE_QUEUES]; /* power of two, at most VIRTQUEUE_SIZE_MAX */
	uint32_t config_size;			      /* bytes of configuration space */

	/* owned by the transport */
	const struct virtio_transport_ops *transport_ops;
	void *transport;
	uint64_t negotiated;
	bool active;	       /* between activate and reset */
	uint64_t driver_ok_ns; /* when a driver first set DRIVER_OK (CLOCK_MONOTONIC), or 0 */
	struct virtqueue queue[VIRTIO_DEVICE_QUEUES];
};

/*
 * As virtqueue_pop(); if the ring is malformed, also sets NEEDS_RESET. The queue then gives no more
 * chains until the driver resets the device. Returns 1, 0 (no chain) or -errno.
 */
int virtio_device_pop(struct virtio_device *device, unsigned queue, struct virtio_chain *chain);

/* The same as virtqueue_read_chain(). 0 or -errno. */
int virtio_device_read_chain(struct virtio_device *device, unsigned queue, uint16_t head,
			     struct virtio_chain *chain);

/* Interrupts the driver if it wants that for the chains pushed since the last call. True: it did.
 */
bool virtio_device_interrupt(struct virtio_device *device, unsigned queue);

/* Returns a chain to the driver with the number of bytes written, and interrupts if wanted. */
void virtio_device_push(struct virtio_device *device, unsigned queue,
			const struct virtio_chain *chain, uint32_t written);

#endif
