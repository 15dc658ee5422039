/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system device with a fake guest in front and a fake server behind, which knows how each
 * slot may be used and counts what the device does wrong.
 *
 *     struct fake_fs *fake = fake_fs_begin(1, 0);
 *     struct fake_request *request = fake_fs_request(fake, 1, 100, 200);
 *
 *     fake_fs_ring(fake, 1);
 *     ck_assert(fake_fs_used(fake, 1, request, 116));
 *     fake_fs_end(fake);
 *
 * By default the server replies at once, with the bytes of the request.
 */
#ifndef CORDON_TEST_FAKE_FS_H
#define CORDON_TEST_FAKE_FS_H

#include <pthread.h>
#include <stdatomic.h>

#include "devices/fs/fs.h"
#include "tests/support/fake_guest.h"
#include "tests/support/fake_slot.h"

/* Requests that a test can make: two of each at FS_REQUEST_MAX fit into the guest's memory. */
#define FAKE_FS_RAM (64u << 20)

struct fake_fs;

/* A request of the guest. */
struct fake_request {
	uint64_t unique;
	uint16_t head;
	uint64_t in, out; /* guest-physical; out 0: no room */
	uint32_t length, room;
};

struct fake_fs {
	struct fake_guest guest;
	struct loop *loop;
	struct fs *fs;
	pthread_mutex_t lock; /* of all below */
	bool stall;	      /* requests are not replied to before fake_fs_finish() */
	bool full;	      /* take() was -EAGAIN and fs_room() is due */
	unsigned slots;	      /* how many there are, FS_SLOTS at first */
	unsigned lane_slots;  /* the same of each lane */
	unsigned wrong;	      /* breaches of the interface by the device */
	unsigned sent, taken;
	uint64_t waited_ns, most_waited_ns; /* in all, and in one call */
	unsigned early; /* wait() calls fs_done() before it returns false, so often */
	void (*reply)(struct fake_fs *fake, struct fake_slot *slot); /* NULL: an echo */
	uint64_t unique;
	unsigned requests;
	struct fake_request request[1024];
	struct fake_slot *slot; /* FS_SLOTS of them */
};

extern const struct fs_server_ops fake_fs_ops;

/* A live device with the server connected. features: negotiated besides VERSION_1. */
struct fake_fs *fake_fs_begin(unsigned queues, uint64_t features);
struct fake_fs *fake_fs_begin_with(unsigned queues, uint64_t features, uint64_t ram);
void fake_fs_end(struct fake_fs *fake);

/* Offers a request with length bytes in all, and room bytes for its reply. */
struct fake_request *fake_fs_request(struct fake_fs *fake, unsigned queue, uint32_t length,
				     uint32_t room);

/* The same; claim: the length in its header. segment: bytes of each descriptor, 0: one each. */
struct fake_request *fake_fs_request_of(struct fake_fs *fake, unsigned queue, uint32_t length,
					uint32_t claim, uint32_t room, uint32_t segment);

/* Changes its lane, which is 0 at first; a short one of another lane. */
void fake_fs_set_lane(struct fake_fs *fake, const struct fake_request *request, unsigned lane);
struct fake_request *fake_fs_request_at(struct fake_fs *fake, unsigned queue, unsigned lane);

/* Rings the doorbell as a vCPU's thread does. */
void fake_fs_ring(struct fake_fs *fake, unsigned queue);

/* Lets the loop run what is due. */
void fake_fs_turn(struct fake_fs *fake);

/* The slot of a request at the server, or -1. */
int fake_fs_slot(struct fake_fs *fake, const struct fake_request *request);

/* Replies to a stalled request, as the loop. */
void fake_fs_finish(struct fake_fs *fake, unsigned slot);
void fake_fs_finish_all(struct fake_fs *fake);

/* Whether the next used chain is this one, with so many bytes written. */
bool fake_fs_used(struct fake_fs *fake, unsigned queue, const struct fake_request *request,
		  uint32_t written);
bool fake_fs_none_used(struct fake_fs *fake, unsigned queue);

/* The error in the header of its reply. */
int fake_fs_error(struct fake_fs *fake, const struct fake_request *request);

/* Whether the reply is the echo of the request. */
bool fake_fs_echoed(struct fake_fs *fake, const struct fake_request *request);

/* Of a server that is connected anew. */
void fake_fs_free_slots(struct fake_fs *fake);

/* Slots that are not free. */
unsigned fake_fs_busy(struct fake_fs *fake);

#endif
