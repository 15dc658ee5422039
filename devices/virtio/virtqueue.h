/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueues (virtio 1.2, section 2.7), the device's side.
 *
 * There are two types. struct virtqueue_config has what the driver has written to the transport so
 * far, unchecked. struct virtqueue is made from it at activation, after all checks, and then
 * frozen: the addresses of its rings never change. virtqueue_pop() reads each descriptor once into
 * host memory, checks it, and returns a chain of iovecs; devices never see a descriptor. The guest
 * may still change the bytes that the iovecs point to: a device copies a header once, and decides
 * on the copy.
 */
#ifndef CORDON_VIRTIO_VIRTQUEUE_H
#define CORDON_VIRTIO_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/base/err.h"
#include "vmm/base/pack.h"
#include "vmm/kvm/memory.h"

#define VIRTQUEUE_SIZE_MAX    1024
#define VIRTIO_CHAIN_SEGMENTS 130 /* in a chain, readable and writable together */

struct virtqueue_config {
	uint32_t size; /* as the driver wrote it */
	bool ready;
	uint64_t descriptors; /* guest-physical addresses */
	uint64_t driver;
	uint64_t device;
};

struct virtqueue {
	const struct guest_memory *memory; /* NULL: the queue is not active */
	uint16_t size;
	bool event_idx, indirect;
	bool broken;		 /* the ring was malformed: no more chains until a reset */
	bool doorbell_off;	 /* by virtqueue_disable_doorbell() */
	uint16_t next_available; /* free-running, host side */
	uint16_t available;	 /* the driver's index when it was read last */
	uint16_t next_used;
	uint16_t last_notified_used; /* EVENT_IDX: next_used at the last interrupt */
	bool interrupt_pending;	    /* used elements were added since the last interrupt decision */
	const uint8_t *descriptors; /* 16 bytes each */
	uint8_t *driver_area;	    /* flags, idx, ring[], used_event */
	uint8_t *device_area;	    /* flags, idx, ring[], avail_event */
};

struct virtio_chain {
	uint16_t head;
	uint16_t readable_count, writable_count;
	uint64_t readable_length, writable_length; /* bytes */
	struct iovec *readable, *writable;	   /* into segment[], readable ones first */
	struct iovec segment[VIRTIO_CHAIN_SEGMENTS];
};

/*
 * Checks the size (power of two, at most size_max), the alignment (16, 2 and 4 bytes) and that the
 * three areas lie in guest memory and do not overlap; then freezes them. negotiated: feature bits.
 * 0, or -EINVAL/-EFAULT with a message.
 */
int virtqueue_activate(struct virtqueue *queue, const struct virtqueue_config *config,
		       uint32_t size_max, uint64_t negotiated, const struct guest_memory *memory,
		       struct err *err);

void virtqueue_reset(struct virtqueue *queue);

/* The device's position in the rings: what a snapshot keeps besides the configuration. */
struct virtqueue_position {
	uint16_t next_available, next_used, last_notified_used;
	bool broken, doorbell_off, interrupt_pending;
};

void virtqueue_save(const struct virtqueue *queue, struct pack *pack);
void virtqueue_restore_position(struct virtqueue_position *position, struct unpack *unpack);

/* Sets the position of a newly activated queue; no effect on an inactive one. */
void virtqueue_set_position(struct virtqueue *queue, const struct virtqueue_position *position);

static inline bool virtqueue_active(const struct virtqueue *queue)
{
	return queue->memory != NULL;
}

/*
 * Takes the next available chain. Returns 1 and fills chain; 0 if there is none; -errno if the ring
 * or the chain is malformed: an index that jumped by more than the queue's size, a loop, too many
 * segments, a segment outside memory or of zero length, a total of 4 GiB or more, a readable
 * segment after a writable one, an indirect table that is nested, empty or truncated. The queue is
 * then broken.
 */
int virtqueue_pop(struct virtqueue *queue, struct virtio_chain *chain);

/*
 * Reads the chain of a head that was taken earlier, before a snapshot, and not returned: as
 * virtqueue_pop(), but the position in the ring stays. 0, or -errno: the queue is then broken.
 */
int virtqueue_read_chain(struct virtqueue *queue, uint16_t head, struct virtio_chain *chain);

/*
 * Whether a chain is available, without taking it. False if the queue is broken; true also if the
 * ring's index is invalid, so that the next pop reports it.
 */
bool virtqueue_has_chain(struct virtqueue *queue);

/*
 * Undoes the latest pop: the next pop returns the same chain again. n calls undo n pops, latest
 * first; there must be no push in between.
 */
void virtqueue_undo_pop(struct virtqueue *queue);

/* Adds a used element; written is the number of bytes written to the writable segments. */
void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written);

/*
 * The same in two steps, for several elements at once: the driver sees them only after
 * virtqueue_publish(), which must precede virtqueue_should_interrupt() and virtqueue_save().
 */
void virtqueue_add_used(struct virtqueue *queue, uint16_t head, uint32_t written);
void virtqueue_publish(struct virtqueue *queue);

/* Whether the driver wants an interrupt for the pushes since the last call (2.7.7). */
bool virtqueue_should_interrupt(struct virtqueue *queue);

/*
 * Doorbell suppression (2.7.10). virtqueue_enable_doorbell() returns false if the driver will ring
 * for the next chain; true if chains arrived meanwhile: continue to pop. For a device that calls
 * neither, virtqueue_pop() and virtqueue_has_chain() arm the doorbell whenever they find no chain.
 */
void virtqueue_disable_doorbell(struct virtqueue *queue);
bool virtqueue_enable_doorbell(struct virtqueue *queue);

/*
 * Copy bytes from the readable, or to the writable segments of a chain, from byte offset on. Return
 * the number of bytes copied, less than length at the chain's end.
 */
size_t virtio_chain_read(const struct virtio_chain *chain, uint64_t offset, void *to,
			 size_t length);
size_t virtio_chain_write(const struct virtio_chain *chain, uint64_t offset, const void *from,
			  size_t length);

#endif
