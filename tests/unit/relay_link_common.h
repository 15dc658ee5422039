/* SPDX-License-Identifier: Apache-2.0 */
/* A link on an event loop, whose other end is a plain socket of the test's. */
#ifndef CORDON_TEST_RELAY_LINK_COMMON_H
#define CORDON_TEST_RELAY_LINK_COMMON_H

#include "tests/support/unit.h"
#include "vmm/relay/link.h"

#define MOST  70000u
#define LARGE 60000u

/* The owner of a link, and what it was told. */
struct owner {
	struct link *link;
	bool full;	/* room() says no */
	unsigned least; /* with so many messages it is full; 0: never */
	unsigned got, batches, drained, closed, rooms;
	size_t length;	      /* of the last message */
	uint32_t first, next; /* the first 4 bytes of the last; of the one that is expected */
	bool numbered;	      /* they are to be expected in order */
	int fd;
	const char *reply; /* sent by message() */
	bool in_call, reply_failed;
};

extern struct loop *loop;
extern struct owner owner;
extern int peer;    /* the other end */
extern int link_fd; /* the link's own socket */

/* All callbacks; only those that every owner has. */
extern const struct link_ops all_ops, few_ops;

void setup(void); /* with all_ops */
void setup_with(const struct link_ops *with);
void teardown(void);

/* Runs the loop for so many rounds and one, without waiting. */
void turn(unsigned count);

/* Whether the loop sleeps for 100 ms: a source that stays ready would take all of their time. */
bool loop_sleeps(void);

/* The link sends a message that begins with a number. */
bool send_numbered(uint32_t number, size_t length);

/* Receives it at the peer, without waiting; returns the number, -1: there is no message. */
long peer_receives(size_t length);

/* And the other way round. */
void peer_sends(uint32_t number, size_t length);

/* The peer sends a byte with so many descriptors, all of them of /dev/null. */
void peer_sends_fds(unsigned count);

/* The descriptor that comes with the peer's next message, "policy"; -1: none. */
int peer_gets_fd(void);

unsigned open_fds(void);

/* Callbacks, for operations of a test's own. */
void on_message(void *arg, uint8_t *data, size_t length, int fd);

#endif
