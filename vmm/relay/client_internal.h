/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's end of a relay: shared by the files client*.c. */
#ifndef CORDON_RELAY_CLIENT_INTERNAL_H
#define CORDON_RELAY_CLIENT_INTERNAL_H

#include "vmm/relay/client.h"
#include "vmm/relay/link.h"

/* States that wait for room in the socket, in the order in which they are sent. */
enum client_due {
	DUE_POLICY = 1,
	DUE_FORGET = 2,
	DUE_CARD = 4,
	DUE_TIME = 8,
	DUE_REPORT = 16,
};

struct relay_client {
	struct loop *loop;
	const struct relay_client_ops *ops;
	void *arg;
	struct link *frames, *messages;
	int last_fd; /* the messages' socket once more, for the last events */

	/* the process */
	pid_t pid;		   /* 0: none, or it has been reaped */
	struct loop_source exited; /* its pidfd */
	struct loop_timer patience;
	struct loop_task end;
	bool ready;	   /* RELAY_READY has come */
	bool ending;	   /* nothing passes any more; the end task follows */
	const char *fault; /* why it was ended; NULL: it has ended by itself */
	bool suspected;	   /* see client_suspect() */
	const char *suspicion;

	/* what waits for room: enum client_due */
	unsigned due;
	int policy_fd;
	struct relay_card card;
	bool held; /* guest time */

	/* what the relay waits for, and what of it is awaited */
	uint32_t ticket[RELAY_CHECKS];
	unsigned tickets;
	struct relay_publish publishing[RELAY_PUBLISHED];
	unsigned publishings;
	bool reporting;	     /* RELAY_STATS was sent */
	bool counted;	     /* and the total has come */
	uint32_t flows_left; /* of that report, which follow */
	struct relay_client_report *report, *next;
	bool reported; /* report is complete */
};

/* --- client.c --------------------------------------------------------------------------------- */

/* Ends the relay soon. fault: a constant; NULL: it has closed its sockets. */
void client_end(struct relay_client *client, const char *fault);

/*
 * A socket fails: a relay that has ended is noticed within a second, behind its last messages, else
 * it is ended for that fault.
 */
void client_suspect(struct relay_client *client, const char *suspicion);

/* --- client_send.c ---------------------------------------------------------------------------- */

/* A message of a type and length bytes; false: the relay has ended, or does not keep up. */
bool client_message(struct relay_client *client, enum relay_message_type type, const void *body,
		    size_t length);

/* Sends what is due, as far as there is room. */
void client_flush(struct relay_client *client);

/* Whether a ticket was open; it no longer is. */
bool client_close_ticket(struct relay_client *client, uint32_t ticket);

/* --- client_take.c ---------------------------------------------------------------------------- */

/* A message of the relay; ends the relay if it is none. */
void client_take(struct relay_client *client, const uint8_t *data, size_t length);

/*
 * The same at the very end: takes events for the log only. Returns false if nothing more is to be
 * awaited: the report has come that was requested behind them.
 */
bool client_take_last(struct relay_client *client, const uint8_t *data, size_t length);

#endif
