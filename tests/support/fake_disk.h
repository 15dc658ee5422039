/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block device of a fake guest: a loop, a pool with threads, the device, and a driver that sends
 * requests and waits for their status.
 */
#ifndef CORDON_TEST_FAKE_DISK_H
#define CORDON_TEST_FAKE_DISK_H

#include "devices/blk/blk.h"
#include "tests/support/fake_guest.h"

/* The specification's numbers (5.2), independent of those that the device uses. */
#define FAKE_DISK_F_RO		 (UINT64_C(1) << 5)
#define FAKE_DISK_F_FLUSH	 (UINT64_C(1) << 9)
#define FAKE_DISK_F_MQ		 (UINT64_C(1) << 12)
#define FAKE_DISK_F_DISCARD	 (UINT64_C(1) << 13)
#define FAKE_DISK_F_WRITE_ZEROES (UINT64_C(1) << 14)

#define FAKE_DISK_IN	  0u
#define FAKE_DISK_OUT	  1u
#define FAKE_DISK_FLUSH	  4u
#define FAKE_DISK_GET_ID  8u
#define FAKE_DISK_LIFE	  10u
#define FAKE_DISK_DISCARD 11u
#define FAKE_DISK_ZEROES  13u

#define FAKE_DISK_OK	   0u
#define FAKE_DISK_IOERR	   1u
#define FAKE_DISK_UNSUPP   2u
#define FAKE_DISK_ID_BYTES 20u
#define FAKE_DISK_NONE	   0xeeu /* the status until the device writes it */

struct fake_disk {
	struct fake_guest guest;
	struct loop *loop;
	struct pool *pool;
	struct blk *blk;
	struct blk_config config;
	uint64_t features;	       /* that the driver accepts, of those offered */
	bool small;		       /* no threads and little memory: for fuzzers */
	bool busy;		       /* waits poll without pause: for measurements */
	uint64_t header, status, data; /* of the last request, in guest memory */
	char image[64];		       /* path of fake_disk_image()'s file, or "" */
};

/* Creates a plain file of so many bytes; each byte of sector n is n. Its path is disk->image. */
void fake_disk_image(struct fake_disk *disk, uint64_t bytes);

/*
 * Brings the device up to DRIVER_OK, with a disk (NULL: none) that it then owns. Set config and
 * features first.
 */
void fake_disk_begin(struct fake_disk *disk, struct disk *with);
void fake_disk_end(struct fake_disk *disk);

/*
 * Opens one of the usual disks: the image read-only, the image with a private layer, a scratch
 * disk.
 */
struct disk *fake_disk_open(struct fake_disk *disk);
struct disk *fake_disk_layered(struct fake_disk *disk, uint64_t bytes_max);
struct disk *fake_disk_scratch(uint64_t bytes);

/* Offers header, data (length bytes at disk->data, writable or not) and status; no doorbell yet. */
void fake_disk_offer(struct fake_disk *disk, unsigned queue, uint32_t type, uint64_t sector,
		     uint32_t length, bool writable);

/* Rings the doorbell and runs the loop until the queue has count more used elements. */
void fake_disk_wait(struct fake_disk *disk, unsigned queue, unsigned count);

/* Sends a whole request on queue 0 and returns its status. The data is at disk->data. */
uint8_t fake_disk_do(struct fake_disk *disk, uint32_t type, uint64_t sector, uint32_t length,
		     bool writable);

/* Runs the loop for that long. */
void fake_disk_run(struct fake_disk *disk, uint64_t ns);

uint8_t *fake_disk_bytes(struct fake_disk *disk);

#endif
