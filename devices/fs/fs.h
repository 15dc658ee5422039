/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file system device, virtio-fs (virtio 1.2, section 5.11): it carries FUSE messages between
 * the driver's queues and a *server* that the owner connects (struct fs_server_ops).
 *
 * The device knows no file and no operation of FUSE. It copies each request once into a slot of
 * the server, checks that the length in its header is the number of its bytes, and copies the
 * server's reply into the chain. Requests and replies have bounds (FS_REQUEST_MAX, FS_REPLY_MAX);
 * what breaks them gets an error in a FUSE header:
 *
 *   EINVAL    the request is longer than FS_REQUEST_MAX, or its header tells another length
 *   EIO       the reply is longer than its room, or is none to this request
 *   ENOTCONN  there is no server, or it gave no reply although the chain has room for one
 *
 * A chain without room for the header of a reply (FORGET, INTERRUPT) is returned with 0 bytes as
 * soon as its request is at the server. One that is too short for the header of a request is
 * returned with 0 bytes too.
 *
 * Queue 0 has high priority; queues 1 to `queues` are for requests, one for each vCPU. The server
 * sorts requests into *lanes*, and gives slots to each (struct fs_server_ops). A request for whose
 * lane there is none waits in the device, and those behind it go on; the length of the queue bounds
 * how many. Requests of one lane of a queue go to the server in their order, and return in any.
 *
 * Threads: the queues have no ioeventfd. A doorbell is an MMIO exit, which the vCPU's thread
 * handles without the device lock: it sends what it finds in the queue, waits up to FS_WAIT_NS in
 * all, and puts the replies into the used ring before the guest goes on. The rest the loop
 * finishes, with an interrupt. So a server that hangs delays a vCPU by FS_WAIT_NS a doorbell, and
 * the event loop not at all. Of what a doorbell finds it takes no more than FS_TURN requests, and,
 * but for a single one, FS_TURN_BYTES to copy; the loop takes the rest, as much at a time.
 * devices/fs/internal.h has the locks.
 *
 * A reset does not wait for the server, and nothing touches guest memory after it. Slots of
 * requests under way stay taken until the server is done with them.
 */
#ifndef CORDON_FS_H
#define CORDON_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/virtio/device.h"
#include "vmm/base/loop.h"

#define FS_TAG	       "cordon"		      /* what the guest mounts */
#define FS_QUEUES_MAX  8		      /* queues for requests */
#define FS_QUEUE_SIZE  512		      /* of one for requests */
#define FS_URGENT_SIZE 128		      /* of the one with high priority */
#define FS_REQUEST_MAX ((128u << 10) + 4096u) /* bytes of a request, header included */
#define FS_REPLY_MAX   ((128u << 10) + 4096u)
#define FS_SLOTS       128 /* requests at the server */
#define FS_LANES       67
#define FS_LANE_BYTES  44u /* what the server sees of a request to find its lane */
#define FS_TURN	       16
#define FS_TURN_BYTES  FS_REQUEST_MAX /* requests and the room for their replies */
#define FS_WAIT_NS     100000u

/*
 * Features of the guest kernel's driver that the device offers (guest-kernel/patches). A driver
 * without them works too.
 */
#define FS_F_SYNC	20 /* looks at the used ring after the doorbell, with interrupts off */
#define FS_F_RETAIN	21 /* names whose time is up are looked up again, and not dropped */
#define FS_F_INTERRUPT	22 /* sends FUSE_INTERRUPT, in the high-priority queue */
#define FS_F_USER_XATTR 23 /* requests extended attributes of class user only */
#define FS_F_NOFLUSH	24 /* flushes in spite of FOPEN_NOFLUSH, and says so, if there is need */
#define FS_F_CREATE	25 /* creates without a LOOKUP before, and says so: not offered yet */
#define FS_F_RELATIME	26 /* asks for attributes after a read only if relatime changes them */

/*
 * The server. A slot is the device's from take() to release(): lane, take, send, wait, and if that
 * returns false, fs_done() and reply; then release. Operations may be called by several
 * threads at once, for different slots, with locks of the device held: they must neither
 * call the device nor wait for the loop or the device lock.
 */
struct fs_server_ops {
	/*
	 * The lane of a request, below FS_LANES, by its first bytes: a header, and up to
	 * FS_LANE_BYTES in all.
	 */
	unsigned (*lane)(void *arg, const void *head, size_t length);

	/*
	 * Takes a free slot for a lane, with room for FS_REQUEST_MAX bytes at *buffer. Its number,
	 * below FS_SLOTS; or -EAGAIN: then fs_room() is called once there is one for this lane.
	 */
	int (*take)(void *arg, unsigned lane, void **buffer);

	/* The slot holds a request of length bytes; its reply may have room bytes at most. */
	void (*send)(void *arg, unsigned slot, size_t length, size_t room);

	/*
	 * Called once for each slot that was sent, by the thread that sent it: waits up to wait_ns
	 * for the reply, 0: does not wait. True: *reply has *length bytes (0: there is no reply),
	 * in memory that the server may still change. False: the owner calls fs_done() for
	 * this slot, once; that may happen before this returns.
	 */
	bool (*wait)(void *arg, unsigned slot, uint64_t wait_ns, const void **reply,
		     size_t *length);

	/* After fs_done(): the reply, as from wait(). */
	void (*reply)(void *arg, unsigned slot, const void **reply, size_t *length);

	/* Frees a slot: one that is done, or one that was taken and not sent. */
	void (*release)(void *arg, unsigned slot);

	/*
	 * Whether the request waits for what may never come (a lock): it does not count in
	 * fs_idle(), and a snapshot keeps it in the device. Loop's thread. NULL: none does.
	 */
	bool (*waits)(void *arg, unsigned slot);
};

struct fs;

struct fs_stats {
	uint64_t requests; /* sent to the server */
	uint64_t prompt;   /* of these, replied to before their doorbell returned */
	uint64_t refused;  /* replied to by the device itself, with an error */
	uint64_t doorbells;
};

/* queues: for requests, 1 to FS_QUEUES_MAX. 0 or -errno. loop must outlive the device. */
int fs_create(struct fs **out, struct loop *loop, unsigned queues);

/* Valid until fs_destroy(). */
struct virtio_device *fs_device(struct fs *fs);

/* After the vCPUs have ended. The server is not called any more, and may be gone. */
void fs_destroy(struct fs *fs);

/*
 * Connects another server, or none (NULL). Requests at the old one get ENOTCONN, and it
 * is not called again: its slots are not released, and must not be reported done. All slots of the
 * new one are free. Under the device lock, at any time, also while vCPUs ring doorbells: waits for
 * them, at most FS_WAIT_NS and what a copy takes. Not from within an operation of the server.
 */
void fs_set_server(struct fs *fs, const struct fs_server_ops *ops, void *arg);

/*
 * Another server goes on with the session of the old one: what waits there is sent again, to the
 * new one. Between the two calls the device takes no request from its rings. The second one needs
 * fs_idle() if it names another server; with the present one nothing is sent again. Under the
 * device lock, at any time.
 */
void fs_succession_begin(struct fs *fs);
void fs_succession_end(struct fs *fs, const struct fs_server_ops *ops, void *arg);

/*
 * The server is done with a slot for which wait() returned false (or will). Loop's thread, under
 * the device lock. A slot that is not at the server is ignored.
 */
void fs_done(struct fs *fs, unsigned slot);

/*
 * There is a slot for a lane for which take() has returned -EAGAIN. Loop's thread, under the device
 * lock.
 */
void fs_room(struct fs *fs);

/*
 * For snapshots, under the device lock. A held device takes no request from its rings; once this
 * returns no thread does. Released, it looks at its rings. fs_idle() tells whether no request is
 * under way at the server, but for those that wait (struct fs_server_ops). The device may
 * be saved if it is held and idle and the vCPUs are paused; waiting requests, there and in the
 * device, are saved with it, and are sent again after the restore.
 *
 * A restored device is held, so that its server can be connected first; machine_start() releases
 * it.
 */
void fs_hold(struct fs *fs, bool held);
bool fs_idle(struct fs *fs);

/* Under the device lock. */
void fs_stats(struct fs *fs, struct fs_stats *stats);

#endif
