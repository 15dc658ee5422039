/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the file system device: fs.c (the device, its life, snapshots), server.c (the
 * server that it has) and queue.c (requests on their way to the server and back).
 *
 * Locks. Each queue has a mutex, for its virtqueue, for the requests that came from it, and for all
 * fields of its struct. Doorbells take it without the device lock; all else takes it under the
 * device lock. So the order is: device lock, lock of one queue, locks of the server; never two
 * queues at once, and a thread with the lock of a queue never waits for the device lock: what needs
 * that is left to the loop (fs_kick()).
 *
 * A thread that waits for the server holds no lock. It counts as a caller of its queue meanwhile,
 * and fs_set_server() waits until there is none. What can happen before it has the lock again:
 * - the request is reset or taken from the server: it is then `forgotten`; its chain, and the rings
 *   with it, are not touched any more. (The queue may be active again, with new rings.)
 * - the loop reports it done, before wait() has returned false: FS_EARLY. Then this thread finishes
 *   it.
 *
 * The fields ops and arg change only while each queue is closed for that and has no caller; they
 * are read with the lock of a queue that is open, or by a caller, or under the device lock.
 */
#ifndef CORDON_FS_INTERNAL_H
#define CORDON_FS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "devices/fs/fs.h"

#define FS_QUEUES_ALL (FS_QUEUES_MAX + 1) /* the one with high priority is number 0 */

enum fs_state {
	FS_FREE,  /* the device has no request in this slot */
	FS_SENT,  /* its thread has yet to wait, or waits */
	FS_EARLY, /* reported done meanwhile: its thread finishes it */
	FS_LEFT,  /* fs_done() finishes it */
};

/* A request at the server, by slot. */
struct fs_request {
	atomic_uint owner; /* number of its queue, plus 1; 0: free. Changes under that one's lock */
	enum fs_state state;
	bool forgotten; /* its chain is returned already, or reset */
	uint64_t unique;
	struct virtio_chain *chain;
};

/* A request that is not at the server yet: there is no slot, or a snapshot had it there. */
struct fs_pending {
	uint16_t head;
	uint8_t lane;
};

#define FS_LANE_UNKNOWN UINT8_MAX

/* Why a queue takes no chains. */
#define FS_CLOSED_HELD	 1u
#define FS_CLOSED_SERVER 2u

struct fs_queue {
	pthread_mutex_t lock;
	pthread_cond_t no_caller;
	struct virtqueue *ring;
	bool live;	  /* from activate to reset: only then the ring may be touched */
	bool again;	  /* chains may be left in the ring although a doorbell was handled */
	bool broke;	  /* the ring was found malformed: the loop sets NEEDS_RESET */
	unsigned closed;  /* FS_CLOSED_... */
	unsigned callers; /* threads that wait for the server */
	bool room;	  /* pending requests may have a slot by now */
	uint16_t pending_count;
	uint16_t pending_of[FS_LANES]; /* those of each lane */
	struct fs_pending pending[FS_QUEUE_SIZE];
	struct virtio_chain *chain; /* the one that is looked at; a slot's, once it is sent */
	struct fs_stats stats;
};

_Static_assert(FS_LANES < FS_LANE_UNKNOWN && FS_URGENT_SIZE <= FS_QUEUE_SIZE, "bounds");

struct fs {
	struct virtio_device device;
	struct loop *loop;
	const struct fs_server_ops *ops; /* NULL: no server */
	void *arg;
	struct loop_source kick;
	unsigned queues; /* all of them */
	struct fs_queue queue[FS_QUEUES_ALL];
	struct fs_request request[FS_SLOTS];
	struct virtio_chain chain[FS_SLOTS + FS_QUEUES_ALL];
};

/* Whether the request in a slot came from the queue. */
static inline bool fs_is_of(const struct fs *fs, unsigned slot, unsigned number)
{
	return atomic_load(&fs->request[slot].owner) == number + 1;
}

/* --- queue.c ---------------------------------------------------------------------------------- */

/*
 * Sends what is in the queue to the server, at most a turn of it, and finishes what is done within
 * wait_ns. No lock of a queue is held.
 */
void fs_serve(struct fs *fs, unsigned number, uint64_t wait_ns);

/*
 * Returns the chain of a request with the reply. The slot is still to be released. Its queue is
 * locked.
 */
void fs_return(struct fs *fs, unsigned slot, const void *reply, size_t length);

/* Makes used chains visible to the driver, and interrupts it. The queue is locked and live. */
void fs_publish(struct fs *fs, unsigned number);

/* --- fs.c ------------------------------------------------------------------------------------- */

/* Makes the loop look at the flags `again` and `broke` of all queues. From any thread. */
void fs_kick(struct fs *fs);

#endif
