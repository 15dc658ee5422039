/* SPDX-License-Identifier: Apache-2.0 */
/* One request of the block device: checked in the event thread, done in a thread of the pool. */
#ifndef CORDON_BLK_REQUEST_H
#define CORDON_BLK_REQUEST_H

#include "devices/blk/blk.h"
#include "devices/blk/pool.h"
#include "devices/virtio/virtqueue.h"

/* virtio_blk_req (5.2.6). */
#define BLK_HEADER_BYTES 16
#define BLK_RANGE_BYTES	 16

enum blk_type {
	BLK_T_IN = 0,
	BLK_T_OUT = 1,
	BLK_T_FLUSH = 4,
	BLK_T_GET_ID = 8,
	BLK_T_DISCARD = 11,
	BLK_T_WRITE_ZEROES = 13,
};

enum blk_status { BLK_S_OK = 0, BLK_S_IOERR = 1, BLK_S_UNSUPP = 2 };

struct blk_range {
	uint64_t offset, length; /* bytes */
};

struct blk_request {
	struct pool_job job; /* first */
	struct blk *blk;
	struct blk_request *next; /* in the list of free ones */
	unsigned queue;
	struct virtio_chain chain;

	struct disk *disk;
	bool read_only;
	uint32_t type;		 /* enum blk_type */
	bool sync;		 /* flush after it */
	uint64_t offset, length; /* bytes; of the data */
	struct blk_range range[BLK_RANGES_MAX];
	unsigned ranges;

	uint8_t *status; /* in guest memory; NULL: there is no place for it */
	enum blk_status result;
	int error; /* of the host: 0 or -errno */
};

/*
 * Checks the chain that has been popped and works out what to do, with disk (NULL: there is no
 * capacity) and read_only as the caller has set them. features: as negotiated. id: BLK_ID_BYTES.
 * True: blk_request_work() is to do it. False: it is answered already, by result.
 */
bool blk_request_check(struct blk_request *request, uint64_t features, const char *id);

/* Bytes that it moves, or covers. */
uint64_t blk_request_cost(const struct blk_request *request);

/* Does it, in steps between which it looks whether it was cancelled. For struct pool_job. */
void blk_request_work(struct pool_job *job);

#endif
