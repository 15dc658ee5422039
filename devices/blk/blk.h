/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block device (virtio 1.2, section 5.2): read, write, flush, discard, write zeroes, get id.
 *
 * A device without a disk has capacity 0. blk_set_disk() gives it one, and notifies the driver
 * through a configuration change. So one template serves sandboxes with and without disks.
 *
 * The event thread takes requests from the rings and checks them; threads of the pool read and
 * write; the event thread completes them. At most BLK_IN_FLIGHT requests of a device are in flight;
 * the others wait in the rings.
 *
 * A reset does not wait for a disk of the host, and nothing touches guest memory after it. A step
 * that a thread is executing continues; until it has ended the device takes no new requests, so
 * that its effect on the disk precedes theirs.
 */
#ifndef CORDON_BLK_H
#define CORDON_BLK_H

#include "devices/blk/disk.h"
#include "devices/blk/pool.h"
#include "devices/virtio/device.h"
#include "vmm/base/loop.h"

#define BLK_IN_FLIGHT	    32
#define BLK_QUEUE_SIZE	    128
#define BLK_SEGMENTS_MAX    126 /* of data in a request: a chain less header and status */
#define BLK_SEGMENT_BYTES   (64u << 10)
#define BLK_BYTES_MAX	    (BLK_SEGMENTS_MAX * BLK_SEGMENT_BYTES) /* of data in a request */
#define BLK_RANGES_MAX	    16	       /* of a discard or write-zeroes request */
#define BLK_DISCARD_SECTORS (1u << 17) /* of a range of a discard: 64 MiB */
#define BLK_ZEROES_SECTORS  (1u << 15) /* of a range of a write-zeroes: 16 MiB */
#define BLK_QUEUES	    8

struct blk;

struct blk_config {
	const char *name; /* "blk0", for messages and as the disk's id; at most 19 characters */
	bool read_only;	  /* announced to the driver; only read-only disks can be set */
	unsigned queues;  /* 1 to BLK_QUEUES */
};

struct blk_stats {
	uint64_t reads, writes, flushes, others, failed;
	uint64_t bytes_read, bytes_written;
};

/* 0 or -errno. loop and pool must outlive the device. */
int blk_create(struct blk **out, struct loop *loop, struct pool *pool,
	       const struct blk_config *config);
struct virtio_device *blk_device(struct blk *blk);
void blk_destroy(struct blk *blk);

/*
 * Inserts a disk, which the device then owns; NULL removes it. Requests in flight finish on the
 * previous disk, which is then destroyed.
 */
void blk_set_disk(struct blk *blk, struct disk *disk);

/* The disk, or NULL. For snapshots and reports. */
struct disk *blk_disk(struct blk *blk);

/*
 * For snapshots. A held device takes no requests from its rings; blk_idle() tells whether none is
 * in flight.
 */
void blk_hold(struct blk *blk, bool held);
bool blk_idle(const struct blk *blk);

/*
 * Whether the held device can be saved: nothing is in flight, or only reads of a disk that is never
 * written. A restored device does these again, while this one may complete them meanwhile.
 */
bool blk_saves(const struct blk *blk);

/* Sets limits of bytes and operations a second, with a burst of one second's worth; 0: no limit. */
void blk_set_limits(struct blk *blk, uint64_t bytes, uint64_t operations);

void blk_limits(const struct blk *blk, uint64_t *bytes, uint64_t *operations);

void blk_stats(const struct blk *blk, struct blk_stats *stats);

#endif
