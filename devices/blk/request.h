/* SPDX-License-Identifier: Apache-2.0 */
/* A request of the block device: checked on the event thread, executed on a thread of the pool. */
#ifndef CORDON_BLK_REQUEST_H
#define CORDON_BLK_REQUEST_H

#include <linux/virtio_blk.h>

#include "devices/blk/blk.h"
#include "devices/blk/pool.h"
#include "devices/virtio/virtqueue.h"

/* The longest read that the event thread does itself. */
#define BLK_INLINE_BYTES (1u << 20)

/* Chains taken, and bytes read, in one turn; then other devices have theirs. */
#define BLK_TURN_CHAINS 64
#define BLK_TURN_BYTES	BLK_INLINE_BYTES

/* The header of a request, and a range of a discard or write-zeroes (5.2.6). */
#define BLK_HEADER_BYTES sizeof(struct virtio_blk_outhdr)
#define BLK_RANGE_BYTES	 sizeof(struct virtio_blk_discard_write_zeroes)

#define BLK_FEATURE(bit) (UINT64_C(1) << (bit))

struct blk_range {
	uint64_t offset, length; /* bytes */
};

struct blk_request {
	struct pool_job job; /* first */
	struct blk *blk;
	struct blk_request *next; /* in the list of free requests */
	bool under_way;		  /* given to the pool and not returned yet */
	unsigned queue;
	struct virtio_chain chain;

	struct disk *disk;
	bool read_only;
	uint32_t type;		 /* VIRTIO_BLK_T_... */
	bool sync;		 /* flush after it */
	uint64_t offset, length; /* bytes; of the data */
	uint64_t done;		 /* bytes of a read that the event thread has read */
	bool missed;		 /* the event thread did not find the rest in the page cache */
	struct blk_range range[BLK_RANGES_MAX];
	unsigned ranges;

	uint8_t *status; /* in guest memory; NULL: the chain has no room for it */
	uint8_t result;	 /* VIRTIO_BLK_S_... */
	int error;	 /* of the host: 0 or -errno */
};

/*
 * Parses and checks the popped chain; the caller has set disk (NULL: no capacity) and read_only.
 * features: as negotiated. id: VIRTIO_BLK_ID_BYTES. True: blk_request_work() must execute it.
 * False: it is complete, with result.
 */
bool blk_request_check(struct blk_request *request, uint64_t features, const char *id);

/* The bytes that the request moves or covers. */
uint64_t blk_request_cost(const struct blk_request *request);

/*
 * Executes a read on the event thread, as far as the host has its data in the page cache. True: it
 * is complete, with result. False: blk_request_work() must execute the rest.
 */
bool blk_request_try(struct blk_request *request);

/* Executes a request in steps, and checks for cancellation in between. For struct pool_job. */
void blk_request_work(struct pool_job *job);

#endif
