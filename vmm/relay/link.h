/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a SOCK_SEQPACKET socket pair between monitor and relay, on an event loop: messages of
 * up to a maximum length, each whole. What the socket has no room for waits in a bounded queue.
 *
 * All calls come from the loop's thread or with the device lock held.
 */
#ifndef CORDON_RELAY_LINK_H
#define CORDON_RELAY_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/base/loop.h"

#define LINK_QUEUE  (512u << 10) /* bytes that may wait */
#define LINK_GATHER (16u << 10)	 /* bytes of records that are gathered into one message */
#define LINK_SMALL  2048u	 /* bytes of a record that is gathered */

struct link;

struct link_ops {
	/* Whether the owner takes a message now; if not, it calls link_resume() later. May be NULL.
	 */
	bool (*room)(void *arg);
	/*
	 * A message, or a record of one; the owner may change the bytes. fd: a descriptor that came
	 * with it, which is the owner's to close, or -1.
	 */
	void (*message)(void *arg, uint8_t *data, size_t length, int fd);
	/*
	 * Not NULL: a message is one or more records, and message() is called for each. Returns the
	 * bytes of the first one; 0, or more than there are, ends the link. All records of a
	 * message are looked at before the first is delivered.
	 */
	size_t (*record)(void *arg, const uint8_t *data, size_t length);
	/* There is room again: link_has_room(). May be NULL. */
	void (*drained)(void *arg);
	/* After a batch of messages: 64 (256 records), or 64 KiB, at most. May be NULL. */
	void (*batch)(void *arg);
	/*
	 * The other end is closed, what it sent before is delivered; or the socket failed, or the
	 * other end broke a rule. Once, never from within a call; nothing more comes.
	 */
	void (*closed)(void *arg);
};

/* A pair of sockets with buffers for frames, close-on-exec. 0 or -errno. */
int link_pair(int fd[2]);

/*
 * Takes fd (also on failure). most: bytes of a message; a longer one is cut by the kernel and ends
 * the link. 0 or -errno.
 */
int link_create(struct link **out, struct loop *loop, int fd, size_t most,
		const struct link_ops *ops, void *arg);
void link_destroy(struct link *link); /* NULL is harmless; not from within a callback of it, but for
					 closed() */

/* Whether nothing waits in the queue: a message of any length will be taken. */
bool link_has_room(const struct link *link);

/* Bytes in the queue, of LINK_QUEUE. */
size_t link_waiting(const struct link *link);

#define LINK_PARTS 8 /* of a message that is sent */

/*
 * Sends a message of several parts. false: dropped, since the queue is full or the link closed; or
 * it is empty, or longer than the queue: no link sends that.
 */
bool link_send(struct link *link, const struct iovec *part, unsigned parts);

/*
 * The same with a descriptor, a duplicate of which the other end gets; only while link_has_room().
 * A message that comes with two descriptors, or more, ends the link that receives it.
 */
bool link_send_fd(struct link *link, const struct iovec *part, unsigned parts, int fd);

/*
 * Until link_flush(), records of up to LINK_SMALL bytes are gathered: they leave as one message
 * when LINK_GATHER bytes are full, in front of a longer one, and with link_flush(). No effect on a
 * link without records. `most` must be at least LINK_GATHER at both ends.
 */
void link_gather(struct link *link);
void link_flush(struct link *link);

/* The owner takes messages again. */
void link_resume(struct link *link);

#endif
