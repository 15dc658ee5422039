/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest without KVM: RAM in plain memory, a driver that brings a virtio device up through its
 * MMIO registers, and rings that it fills by hand. Tests and fuzzers reach a state by the calls
 * that keep to the rules, and break a rule by the raw ones (fake_queue_set, fake_queue_offer, the
 * pointers).
 *
 *     struct fake_guest guest;
 *     struct fake_queue *rx = &guest.queue[0];
 *
 *     fake_guest_init(&guest, MIB(4));
 *     fake_guest_attach(&guest, rng_device(rng));
 *     fake_guest_bring_up(&guest, 0);
 *     buffer = fake_guest_alloc(&guest, 64, 16);
 *     fake_queue_add_one(rx, buffer, 64, true);
 *     fake_queue_kick(rx);
 *     if (fake_queue_take_used(rx, &head, &written)) ...
 *     fake_guest_destroy(&guest);
 */
#ifndef CORDON_TEST_FAKE_GUEST_H
#define CORDON_TEST_FAKE_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/virtio/mmio.h"
#include "vmm/base/loop.h"

/* RAM does not start at 0, so that an address of 0 is outside. */
#define FAKE_RAM_BASE 0x100000u

/* The specification's numbers, independent of those that the devices use. */
#define FAKE_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define FAKE_F_EVENT_IDX     (UINT64_C(1) << 29)
#define FAKE_F_VERSION_1     (UINT64_C(1) << 32)

#define FAKE_DESC_NEXT	   1u
#define FAKE_DESC_WRITE	   2u
#define FAKE_DESC_INDIRECT 4u

#define FAKE_REG_MAGIC		     0x000
#define FAKE_REG_VERSION	     0x004
#define FAKE_REG_DEVICE_ID	     0x008
#define FAKE_REG_DEVICE_FEATURES     0x010
#define FAKE_REG_DEVICE_FEATURES_SEL 0x014
#define FAKE_REG_DRIVER_FEATURES     0x020
#define FAKE_REG_DRIVER_FEATURES_SEL 0x024
#define FAKE_REG_QUEUE_SEL	     0x030
#define FAKE_REG_QUEUE_NUM_MAX	     0x034
#define FAKE_REG_QUEUE_NUM	     0x038
#define FAKE_REG_QUEUE_READY	     0x044
#define FAKE_REG_QUEUE_NOTIFY	     0x050
#define FAKE_REG_INTERRUPT_STATUS    0x060
#define FAKE_REG_INTERRUPT_ACK	     0x064
#define FAKE_REG_STATUS		     0x070
#define FAKE_REG_QUEUE_DESC	     0x080
#define FAKE_REG_QUEUE_DRIVER	     0x090
#define FAKE_REG_QUEUE_DEVICE	     0x0a0
#define FAKE_REG_SHM_LEN	     0x0b0
#define FAKE_REG_QUEUE_RESET	     0x0c0
#define FAKE_REG_GENERATION	     0x0fc
#define FAKE_REG_CONFIG		     0x100

#define FAKE_ST_ACKNOWLEDGE 1u
#define FAKE_ST_DRIVER	    2u
#define FAKE_ST_DRIVER_OK   4u
#define FAKE_ST_FEATURES_OK 8u
#define FAKE_ST_NEEDS_RESET 64u
#define FAKE_ST_FAILED	    128u

struct fake_guest;

/* The driver's side of a queue. */
struct fake_queue {
	struct fake_guest *guest;
	unsigned index;
	uint16_t size;
	uint64_t descriptors, driver, device; /* guest-physical */
	uint8_t *desc, *avail, *used;	      /* the same in memory */
	uint16_t avail_index, used_index;     /* free-running, the driver's own copies */
	uint16_t next_desc;		      /* the descriptor to use next */
};

struct fake_guest {
	struct guest_memory memory;
	uint8_t *ram;
	uint64_t ram_size, allocated;
	struct virtio_device *device;
	struct virtio_mmio mmio;
	struct irq_line irq;
	struct fake_queue queue[VIRTIO_DEVICE_QUEUES];
};

/* One buffer of a chain. */
struct fake_segment {
	uint64_t address;
	uint32_t length;
	bool writable; /* by the device */
};

/* Aborts if the host is out of memory. All calls here abort when a test misuses them. */
void fake_guest_init(struct fake_guest *guest, uint64_t ram_size);
void fake_guest_destroy(struct fake_guest *guest);

/* Allocates zeroed guest-physical memory, which only fake_guest_forget() frees, all at once. */
uint64_t fake_guest_alloc(struct fake_guest *guest, uint64_t size, uint64_t align);
void fake_guest_forget(struct fake_guest *guest);

/* The bytes at a guest-physical address. */
void *fake_guest_at(struct fake_guest *guest, uint64_t address);

/* Puts the transport in front of a device. */
void fake_guest_attach(struct fake_guest *guest, struct virtio_device *device);

/* Register accesses of 32 bits, and of other sizes. */
uint32_t fake_read(struct fake_guest *guest, uint64_t offset);
void fake_write(struct fake_guest *guest, uint64_t offset, uint32_t value);
uint64_t fake_read_size(struct fake_guest *guest, uint64_t offset, unsigned size);
void fake_write_size(struct fake_guest *guest, uint64_t offset, unsigned size, uint64_t value);
void fake_write_address(struct fake_guest *guest, uint64_t offset, uint64_t value);

/* A register write as vmm/kvm/vcpu.c does it: with the device lock only where it is needed. */
void fake_write_as_vcpu(struct fake_guest *guest, struct loop *loop, uint64_t offset,
			uint32_t value);

uint32_t fake_status(struct fake_guest *guest);
void fake_add_status(struct fake_guest *guest, uint32_t bits);

/*
 * The steps of section 3.1.1. negotiate: from reset to FEATURES_OK, with VERSION_1 and the features
 * given; true if the device accepted them. set_queue: rings of size entries (0: the largest) for
 * one queue. bring_up: all of it, with all queues, up to DRIVER_OK; true if the device is alive.
 */
bool fake_guest_negotiate(struct fake_guest *guest, uint64_t features);
struct fake_queue *fake_guest_set_queue(struct fake_guest *guest, unsigned index, uint16_t size);
bool fake_guest_bring_up(struct fake_guest *guest, uint64_t features);

/* Edges on the interrupt line since the last call. */
uint64_t fake_guest_interrupts(struct fake_guest *guest);

/* Creates rings for a queue without a transport (for struct virtqueue alone). */
void fake_queue_init(struct fake_guest *guest, struct fake_queue *queue, uint16_t size);
struct virtqueue_config fake_queue_config(const struct fake_queue *queue);

/* Raw writes: one descriptor; one entry of an indirect table; a head into the available ring. */
void fake_queue_set(struct fake_queue *queue, uint16_t index, uint64_t address, uint32_t length,
		    uint16_t flags, uint16_t next);
void fake_table_set(struct fake_guest *guest, uint64_t table, unsigned index, uint64_t address,
		    uint32_t length, uint16_t flags, uint16_t next);
void fake_queue_offer(struct fake_queue *queue, uint16_t head);
void fake_queue_set_avail_index(struct fake_queue *queue, uint16_t index);

/*
 * Offers a chain of count buffers in the next descriptors, which are used in turn: no more than
 * size may be in use at once. Returns its head. add_indirect: in an indirect table.
 */
uint16_t fake_queue_add(struct fake_queue *queue, const struct fake_segment *segment,
			unsigned count);
uint16_t fake_queue_add_indirect(struct fake_queue *queue, const struct fake_segment *segment,
				 unsigned count);
uint16_t fake_queue_add_one(struct fake_queue *queue, uint64_t address, uint32_t length,
			    bool writable);

/* Writes QueueNotify. */
void fake_queue_kick(struct fake_queue *queue);

/* Takes the next used element, if there is one. */
bool fake_queue_take_used(struct fake_queue *queue, uint32_t *head, uint32_t *written);

/* The fields with which the two sides suppress interrupts and doorbells. */
void fake_queue_set_flags(struct fake_queue *queue, uint16_t flags);
void fake_queue_set_used_event(struct fake_queue *queue, uint16_t index);
uint16_t fake_queue_used_flags(const struct fake_queue *queue);
uint16_t fake_queue_used_index(const struct fake_queue *queue);
uint16_t fake_queue_avail_event(const struct fake_queue *queue);

#endif
