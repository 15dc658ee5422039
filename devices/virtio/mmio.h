/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-mmio transport, version 2 (virtio 1.2, section 4.2): registers, feature negotiation,
 * the status state machine (status.h), queue set-up, interrupt status, doorbells.
 */
#ifndef CORDON_VIRTIO_MMIO_H
#define CORDON_VIRTIO_MMIO_H

#include <linux/virtio_mmio.h>
#include <stdatomic.h>
#include <stdint.h>

#include "devices/virtio/device.h"
#include "vmm/base/pack.h"
#include "vmm/kvm/bus.h"
#include "vmm/kvm/irq.h"
#include "vmm/kvm/memory.h"

#define VIRTIO_MMIO_SIZE 0x1000 /* bytes of a device's window */

struct virtio_mmio {
	struct virtio_device *device;
	const struct guest_memory *memory;
	struct irq_line *irq;
	uint32_t status;
	uint32_t device_features_sel, driver_features_sel, queue_sel;
	uint64_t driver_features;
	bool driver_features_beyond; /* the driver wrote a bit above 63, which is never offered */
	uint32_t config_generation;
	atomic_uint interrupt_status;
	struct virtqueue_config queue[VIRTIO_DEVICE_QUEUES];
	/*
	 * Rings a doorbell for the driver, which may fill its rings before it sets DRIVER_OK: the
	 * device works in the event loop, not in the thread of the vCPU. NULL: it is notified at
	 * once.
	 */
	void (*ring)(void *arg, unsigned queue);
	void *ring_arg;
};

/* Register accesses; the caller holds the device lock, but for write_unlocked. */
extern const struct bus_ops virtio_mmio_bus_ops;

/* Binds a device to a transport in the reset state. There is no destructor. */
void virtio_mmio_init(struct virtio_mmio *mmio, struct virtio_device *device,
		      const struct guest_memory *memory, struct irq_line *irq);

/*
 * Saves the driver's set-up and its positions in the rings, for snapshots. The vCPUs are paused,
 * and the device has no request in flight (blk_idle()).
 */
void virtio_mmio_save(const struct virtio_mmio *mmio, struct pack *pack);

/*
 * Restores into a transport in the reset state. The status must be one that a driver can reach, the
 * features must be offered, and the queues must pass the checks of activation. Then the device is
 * activated, and checks its rings for chains that arrived before. 0, or -EINVAL/-EFAULT with a
 * message.
 */
int virtio_mmio_restore(struct virtio_mmio *mmio, struct unpack *unpack, struct err *err);

/* A doorbell, from an ioeventfd or the QueueNotify register: queue is the value written. */
void virtio_mmio_notify(struct virtio_mmio *mmio, uint32_t queue);

#endif
