/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the files of the agent channel. */
#ifndef CORDON_AGENT_INTERNAL_H
#define CORDON_AGENT_INTERNAL_H

#include "vmm/agent/channel.h"

/* Stdin is accepted while less than this is queued; the rest of the queue is for requests. */
#define STDIN_QUEUE_MAX (256u << 10)
/* How much input of one command is taken at a time, so that commands take turns. */
#define STDIN_TURN (64u << 10)
/* Room reserved for frames that end things (signals, close, power). */
#define QUEUE_RESERVE (64u << 10)

/* Bytes waiting to be sent: a FIFO that grows up to AGENT_CHANNEL_QUEUE_MAX. */
struct agent_queue {
	uint8_t *data;
	size_t size, head, used;
	uint64_t total; /* bytes that were ever queued on this connection */
};

enum command_state {
	COMMAND_STARTING, /* START is queued or sent */
	COMMAND_RUNNING,  /* STARTED was received */
	COMMAND_ENDED,	  /* exited, failed, or the connection is gone: it has no slot */
};

struct agent_command {
	struct agent_channel *channel;
	struct agent_command *next, *prev; /* all handles of the channel */
	const struct agent_command_ops *ops;
	void *arg;
	uint32_t id;
	enum command_state state;
	bool closed; /* the application has closed it: freed once the guest has ended it */
	bool terminal;
	uint32_t stdin_credit;
	bool stdin_eof, stdin_closed, stdin_waiting;
	bool close_unsent;
	/* The size that waits while the one before it is queued: a storm of sizes needs no room. */
	bool resize_unsent;
	uint16_t rows, columns;
	uint64_t resize_end; /* of the last RESIZE, in agent_queue.total */
	/* by stream, 1 and 2 */
	uint32_t held[3]; /* bytes given to the application and not consumed yet */
	uint32_t owed[3]; /* bytes consumed whose credit has not been sent yet */
	bool eof[3];
};

struct agent_request {
	uint32_t number; /* 0: the entry is free */
	struct agent_reply reply;
	/* Of a PROCESSES, in place of reply.done; or NULL. */
	void (*listed)(void *arg, int error, struct agent_processes *list);
};

struct agent_channel {
	struct loop *loop;
	struct agent_channel_hooks hooks;
	void *arg;

	struct agent_transport transport;
	uint32_t features;    /* of the connected agent */
	uint32_t connections; /* how often it has connected */
	bool attached, ready;
	bool resumed;	     /* ready, and the owner does not know yet */
	bool gone;	     /* the transport has ended; buffered bytes remain to be read */
	bool busy;	     /* inside a callback or about to make some */
	unsigned connection; /* counts detaches: a change tells that a connection has ended */
	uint8_t *in;	     /* AGENT_FRAME_MAX bytes while attached */
	size_t in_used;
	struct agent_queue out;
	struct loop_task task; /* for what must not happen inside a call: callbacks, losing */
	int write_error;       /* noticed inside a call, or 0 */
	bool credit_unsent;    /* a command owes credit, a size or a CLOSE */

	uint32_t next_request, next_generation;
	struct agent_request requests[AGENT_REQUESTS_MAX]; /* waiting for a reply */
	unsigned commands;				   /* slots in use */
	unsigned stdin_turn;				   /* the slot that may send input first */
	struct agent_command *slots[AGENT_COMMANDS_MAX];
	struct agent_command *all;
};

/* Ends the connection: fails all commands and calls lost(). Only where callbacks are allowed. */
void channel_lose(struct agent_channel *channel, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Queues a frame and starts to send. 0; -EAGAIN if the queue would hold more than limit bytes;
 * -ENOMEM.
 */
int channel_send(struct agent_channel *channel, size_t limit, uint16_t type, uint16_t flags,
		 uint32_t id, const void *payload, size_t length);

/* frame.c: the connection is gone; completes all waiting requests with AGENT_REPLY_LOST. */
void requests_lost(struct agent_channel *channel);

/* resume.c: tells the owner of a resumed connection that the agent is ready. */
void channel_resumed(struct agent_channel *channel);

/* Runs channel->task soon. */
void channel_soon(struct agent_channel *channel);

/* Handles one complete frame from the guest. False: it broke a rule, and the connection is gone. */
bool channel_frame(struct agent_channel *channel, struct agent_header header,
		   const uint8_t *payload);

/* Ends the connection because of a frame that breaks a rule. False. */
bool channel_malformed(struct agent_channel *channel, struct agent_header header);

/* Sends a request. wanted: how its reply is awaited, or NULL. 0 or -errno, as channel.h says. */
int channel_send_request(struct agent_channel *channel, uint16_t type, const void *payload,
			 size_t length, const struct agent_request *wanted);

/* The same for one that is awaited by reply, or NULL. */
int channel_request(struct agent_channel *channel, uint16_t type, const void *payload,
		    size_t length, const struct agent_reply *reply);

/* proposal.c: handles a PROPOSE or WITHDRAW; result as that of channel_frame(). */
bool proposal_frame(struct agent_channel *channel, struct agent_header header,
		    const uint8_t *payload);

/* check.c: handles an EXEC_CHECK or EXEC_GONE; result as that of channel_frame(). */
bool check_frame(struct agent_channel *channel, struct agent_header header, const uint8_t *payload);
/* The same for a HAPPENED. */
bool events_frame(struct agent_channel *channel, struct agent_header header,
		  const uint8_t *payload);

/* Copies text from the guest as printable ASCII, with a NUL; size includes the NUL. */
void channel_text(char *to, size_t size, const uint8_t *from, size_t length);

/* processes.c: checks a PROCESS_LIST whole. False: it breaks a rule. */
bool processes_check(struct agent_processes *list, const uint8_t *payload, size_t length);

/* event.c: handles a command's frame, which channel_frame() has checked; result as there. */
bool command_frame(struct agent_channel *channel, struct agent_header header,
		   const uint8_t *payload);
/* The connection is gone: fails the command (callback), or frees it if it was closed. */
void command_lost(struct agent_command *command, const char *why);
/* command.c: sends what did not fit before, then lets commands that wait send input, in turns. */
void commands_continue(struct agent_channel *channel);
void command_free(struct agent_command *command);

#endif
