/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the agent channel share with each other, and nobody else. */
#ifndef CORDON_AGENT_INTERNAL_H
#define CORDON_AGENT_INTERNAL_H

#include "vmm/agent/channel.h"

/* Stdin is taken only while less than this waits to be sent; the rest of the queue is for requests.
 */
#define STDIN_QUEUE_MAX (256u << 10)
/* One command's input at a time, so that commands take turns. */
#define STDIN_TURN (64u << 10)
/* Room that is always kept for frames that end things (signals, close, power). */
#define QUEUE_RESERVE (64u << 10)

/* Bytes waiting to be sent: a FIFO that grows up to AGENT_CHANNEL_QUEUE_MAX. */
struct agent_queue {
	uint8_t *data;
	size_t size, head, used;
};

enum command_state {
	COMMAND_STARTING, /* START is queued or sent */
	COMMAND_RUNNING,  /* STARTED came */
	COMMAND_ENDED,	  /* exited, failed, or the connection is gone: no slot any more */
};

struct agent_command {
	struct agent_channel *channel;
	struct agent_command *next, *prev; /* all handles of the channel */
	const struct agent_command_ops *ops;
	void *arg;
	uint32_t id;
	enum command_state state;
	bool closed; /* by the application: it lives only until the guest has ended it */
	bool terminal;
	uint32_t stdin_credit;
	bool stdin_eof, stdin_closed, stdin_waiting;
	bool close_unsent;
	/* by stream, 1 and 2 */
	uint32_t held[3]; /* bytes handed to the application and not consumed yet */
	uint32_t owed[3]; /* bytes consumed whose credit the guest has not got yet */
	bool eof[3];
};

struct agent_request {
	uint32_t number; /* 0: the entry is free */
	struct agent_reply reply;
};

struct agent_channel {
	struct loop *loop;
	struct agent_channel_hooks hooks;
	void *arg;

	struct agent_transport transport;
	uint32_t features; /* of the agent that is connected */
	bool attached, ready;
	bool gone;	     /* the transport is, and only waits to be read empty */
	bool busy;	     /* inside a callback or about to make some */
	unsigned connection; /* counts detaches: tells that the one at hand is over */
	uint8_t *in;	     /* AGENT_FRAME_MAX bytes while attached */
	size_t in_used;
	struct agent_queue out;
	struct loop_task task; /* what must not happen inside a call: callbacks, losing */
	int write_error;       /* seen inside a call, or 0 */
	bool credit_unsent;    /* some command owes credit or a CLOSE that did not fit */

	uint32_t next_request, next_generation;
	struct agent_request requests[AGENT_REQUESTS_MAX]; /* that wait for their reply */
	unsigned commands;				   /* slots in use */
	unsigned stdin_turn; /* slot that is asked first for more input */
	struct agent_command *slots[AGENT_COMMANDS_MAX];
	struct agent_command *all;
};

/* Ends the connection: every command fails, lost() is called. Only where callbacks may be made. */
void channel_lose(struct agent_channel *channel, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Queues a frame whose payload is the two pieces (either may be empty), if limit bytes are not
 * exceeded by it: 0, -EAGAIN or -ENOMEM. Starts sending.
 */
int channel_send(struct agent_channel *channel, size_t limit, uint16_t type, uint16_t flags,
		 uint32_t id, const void *payload, size_t length);

/* frame.c: the connection is gone: every request that waits ends with AGENT_REPLY_LOST. */
void requests_lost(struct agent_channel *channel);

/* Runs channel->task soon. */
void channel_soon(struct agent_channel *channel);

/* Handles one whole frame from the guest. False if it broke a rule and the connection is gone. */
bool channel_frame(struct agent_channel *channel, struct agent_header header,
		   const uint8_t *payload);

/* Copies text from the guest: printable ASCII, always ended; size counts the final zero. */
void channel_text(char *to, size_t size, const uint8_t *from, size_t length);

/* event.c: a frame of a command, checked against the table already. False as channel_frame. */
bool command_frame(struct agent_channel *channel, struct agent_header header,
		   const uint8_t *payload);
/* The connection is gone: command fails (callback), or is freed if it was closed. */
void command_lost(struct agent_command *command, const char *why);
/* command.c. Sends what commands could not send before, then asks those that wait for more input,
 * in turns. */
void commands_continue(struct agent_channel *channel);
void command_free(struct agent_command *command);

#endif
