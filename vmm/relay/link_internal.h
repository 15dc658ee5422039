/* SPDX-License-Identifier: Apache-2.0 */
/* What link.c and link_receive.c share. */
#ifndef CORDON_RELAY_LINK_INTERNAL_H
#define CORDON_RELAY_LINK_INTERNAL_H

#include "vmm/base/ring.h"
#include "vmm/relay/link.h"

#define LINK_BATCH	 64	     /* messages each way at a wake-up */
#define LINK_RECORDS	 256	     /* or records that are read */
#define LINK_BATCH_BYTES (64u << 10) /* that are read at a wake-up, but for the last message's */

/*
 * A link whose peer has closed can send no longer (broken), but still delivers what has arrived. It
 * ends when that is read, or at once if the socket fails or the peer breaks a rule. Both go on in a
 * task, so the owner never hears of it from within a call of its own.
 */
struct link {
	struct loop *loop;
	struct loop_source source;
	struct loop_task later; /* reads on when broken, or records are left; tells of the end */
	const struct link_ops *ops;
	void *arg;
	size_t most;
	uint8_t *buffer; /* most bytes */
	uint8_t *rest;	 /* records in it that are not delivered yet */
	size_t rest_length;
	uint8_t *gathered; /* LINK_GATHER bytes; NULL: the messages of this link are no records */
	size_t gathered_length;
	bool gathers;
	struct ring queue; /* messages that wait, each behind its length */
	int queued_fd;	   /* goes with the first of them; -1 */
	bool stopped;	   /* the owner has no room */
	bool broken;
	bool ended;
};

/* --- link.c --- */

/* The socket has failed, or the peer has broken a rule. */
void link_end(struct link *link);
/* The peer has closed its end: the reader comes to that, behind the last message. */
void link_break(struct link *link);
/* Watches what is of use now. */
void link_watch(struct link *link);
/* Sends what waits, until the socket is full. */
void link_send_queued(struct link *link);

/* --- link_receive.c --- */

void link_ready(void *link, uint32_t events); /* loop_source.ready */
void link_go_on(void *link);		      /* loop_task.run */

#endif
