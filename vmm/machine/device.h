/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices of a machine: the one list of them, and what connects each to the buses, its
 * doorbells and its interrupt.
 */
#ifndef CORDON_MACHINE_DEVICE_H
#define CORDON_MACHINE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "boot/layout.h"
#include "devices/balloon/balloon.h"
#include "devices/blk/blk.h"
#include "devices/fs/fs.h"
#include "devices/legacy/power.h"
#include "devices/legacy/uart.h"
#include "devices/net/card.h"
#include "devices/rng/rng.h"
#include "devices/virtio/mmio.h"
#include "devices/vsock/vsock.h"
#include "vmm/base/err.h"
#include "vmm/base/loop.h"
#include "vmm/kvm/vm.h"

/*
 * The disks, present in every machine and empty until devices_set_disk(). The first is read-only,
 * so it is for images; the second is writable.
 */
#define MACHINE_DISKS	      2
#define MACHINE_DISK_IMAGE    0
#define MACHINE_DISK_WRITABLE 1

/* Of both disks. More threads would only wait for the same disk of the host. */
#define MACHINE_DISK_THREADS 4

struct machine_doorbell {
	struct virtio_mmio *mmio;
	unsigned queue;
	int fd; /* eventfd that KVM writes */
	struct loop_source source;
};

/* A virtio device in its slot. */
struct machine_virtio {
	struct virtio_device *device;
	struct virtio_mmio mmio;
	struct irq_line irq;
	uint64_t base;
	struct machine_doorbell doorbell[VIRTIO_DEVICE_QUEUES];
};

struct machine_devices {
	struct loop *loop;
	struct vm *vm;
	struct vsock *vsock;
	struct rng *rng;
	struct net_card *net; /* in every machine; its link is down until the card has an owner */
	struct pool *pool;    /* of the disks; its threads start with the first one */
	struct blk *blk[MACHINE_DISKS];
	struct fs *fs; /* in every machine; without a server until fs_set_server() */
	struct balloon *balloon;
	struct uart *uart;
	struct irq_line uart_irq, vmgenid_irq;
	struct power power;
	struct machine_virtio virtio[LAYOUT_VIRTIO_COUNT];
	unsigned virtio_count;
};

struct machine_queues {
	unsigned disk; /* of each disk, 1 to BLK_QUEUES */
	unsigned net;  /* pairs of the network card, 1 to NET_CARD_PAIRS */
	unsigned fs;   /* of the file system device, 1 to FS_QUEUES_MAX */
};

struct machine_device_hooks {
	void (*console)(void *arg, const uint8_t *bytes, size_t length);
	void (*reset)(void *arg);
	void (*power_off)(void *arg);
	void *arg;
};

/*
 * Creates and connects every device. vsock_path: see devices/vsock/vsock.h, or NULL. Call
 * devices_destroy() even after an error.
 */
int devices_create(struct machine_devices *devices, struct vm *vm, const char *vsock_path,
		   const struct machine_queues *queues, const struct machine_device_hooks *hooks,
		   struct err *err);

/*
 * Inserts a disk (number below MACHINE_DISKS), which the device owns from now on, even on failure.
 * Under the device lock if the machine runs. 0 or -errno with a message.
 */
int devices_set_disk(struct machine_devices *devices, unsigned number, struct disk *disk,
		     struct err *err);

/* Call it after all vCPUs have ended. */
void devices_destroy(struct machine_devices *devices);

#endif
