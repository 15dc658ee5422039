/* SPDX-License-Identifier: Apache-2.0 */
/* The disk device, for the files that implement it. */
#ifndef CORDON_BLK_INTERNAL_H
#define CORDON_BLK_INTERNAL_H

#include <linux/virtio_blk.h>
#include <stddef.h>

#include "devices/blk/blk.h"
#include "devices/blk/request.h"
#include "vmm/base/bucket.h"

/* Up to write_zeroes_may_unmap and its padding (5.2.4). */
#define BLK_CONFIG_BYTES offsetof(struct virtio_blk_config, max_secure_erase_sectors)

struct blk {
	struct virtio_device device; /* first */
	struct loop *loop;
	struct pool *pool;
	struct disk *disk; /* NULL: no capacity */
	bool read_only_always, read_only;
	char id[VIRTIO_BLK_ID_BYTES];
	uint8_t config[BLK_CONFIG_BYTES];
	struct blk_request *requests; /* BLK_IN_FLIGHT of them, from the first activation on */
	struct blk_request *free;
	unsigned in_flight; /* requests given to the pool and not returned yet */
	unsigned missed;    /* of these, reads that the event thread could not complete */
	bool stale;	    /* some of these precede a reset: take no new ones meanwhile */
	bool held;
	unsigned next_queue; /* whose turn it is */
	uint32_t pushed;     /* bit n: the driver is not told yet of chains of queue n */
	uint64_t turn_bytes; /* read by the event thread in this turn */
	/* Chains that were under way when the device was saved: before all that are in the rings.
	 */
	struct {
		uint16_t queue, head;
	} restored[BLK_IN_FLIGHT];
	unsigned restored_count;
	struct bucket bytes, operations;
	struct loop_timer refill;
	struct loop_task again;
	struct blk_stats stats;
	int reported; /* the last reported error of the host */
};

/* The device's own state, which follows that of its queues: what is under way. */
void blk_save(const struct virtio_device *device, struct pack *pack);
int blk_restore(struct virtio_device *device, struct unpack *unpack);

#endif
