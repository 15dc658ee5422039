/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device status on the MMIO transport (virtio 1.2, sections 2.1 and 3.1.1): a table of the valid
 * transitions with their actions, and the transport's interrupts. For mmio.c (registers) and
 * mmio_save.c (snapshots).
 */
#ifndef CORDON_VIRTIO_STATUS_H
#define CORDON_VIRTIO_STATUS_H

#include <linux/virtio_config.h>
#include <stdbool.h>

#include "devices/virtio/mmio.h"

/* NEEDS_RESET is the device's bit, all others are the driver's. */
#define ST_SETUP \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER) /* features may be written */
#define ST_QUEUES (ST_SETUP | VIRTIO_CONFIG_S_FEATURES_OK)     /* queues may be written */
#define ST_LIVE	  (ST_QUEUES | VIRTIO_CONFIG_S_DRIVER_OK)

extern const struct virtio_transport_ops virtio_mmio_transport_ops;

/* The driver writes the status register. Transitions that are not in the table are ignored. */
void virtio_status_write(struct virtio_mmio *mmio, uint32_t value);

/* Whether a driver can bring the transport to this status. */
bool virtio_status_reachable(uint32_t status);

/* Activates the queues that the driver has set up, or the device. 0 or -errno, with a message. */
int virtio_status_activate_queues(struct virtio_mmio *mmio, struct err *err);
int virtio_status_activate_device(struct virtio_mmio *mmio, struct err *err);

#endif
