/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the monitor's end of a file server. */
#ifndef CORDON_FILES_CLIENT_INTERNAL_H
#define CORDON_FILES_CLIENT_INTERNAL_H

#include <pthread.h>

#include "vmm/base/loop.h"
#include "vmm/files/ring.h"
#include "vmm/policy/guard_remote.h"

#define FILES_VIOLATION "it violated its protocol"

/* What the request in a slot waits for. */
struct files_asked {
	uint64_t ticket; /* 0: nothing */
	bool fresh;	 /* not yet reported to the owner */
	bool known;	 /* it knows of this question, or of an earlier one */
	uint8_t *bytes;	 /* of the question */
	size_t length;
};

struct files_client {
	struct loop *loop;
	struct guard *guard;
	const struct files_client_ops *ops;
	void *arg;
	struct files_ring *ring;
	int ring_fd;
	int pass_fd;	 /* what it gives open files away by leads here; or -1 */
	bool leads;	 /* it follows the guard */
	uint64_t policy; /* number of the policy that it was given last */

	/* The end. */
	pid_t pid;     /* 0: no child, or reaped */
	void *process; /* that kill_process() ends; NULL: none, or it was called */
	void (*kill_process)(void *process); /* NULL: it is a child, or another one's */
	const char *fault;		     /* why it was killed; NULL: it ended by itself */
	bool ending;			     /* killed: nothing is sent any more */
	struct loop_task end;		     /* tells the owner of the requests under way */
	struct loop_source exited;
	struct loop_timer patience; /* for messages in effect; for the end of the process */

	/* The socket: of the loop's thread. */
	struct loop_source socket;
	uint32_t sent, replied;	    /* messages */
	struct files_head *awaited; /* by number; becomes its reply */
	bool started, begun;	    /* the first ones are in effect; no root follows */
	bool holding;		    /* by the owner */
	bool succeeded;		    /* its session goes to a successor */
	struct loop_task asking;
	struct files_asked asked[FILES_SLOTS];
	_Atomic uint64_t added[(FILES_SHARES_MAX + 64) / 64]; /* roots: each has a thread */
	_Atomic uint32_t after;				      /* `sent`, for requests */

	/* Requests: of any thread. */
	struct loop_source signal;  /* by the server */
	struct loop_source kick;    /* by threads of the monitor */
	uint64_t signals;	    /* of the server so far */
	atomic_bool ended;	    /* the server handles nothing any more */
	atomic_bool violated;	    /* noticed by another thread than the loop's */
	pthread_mutex_t mutex;	    /* of all that follows */
	uint64_t free[FILES_WORDS]; /* slots */
	uint64_t left[FILES_WORDS]; /* those that the loop is to finish */
	uint64_t armed;		    /* signals that the server may send */
	struct files_lanes lanes;
	bool want[FILES_LANES], wants; /* slots */
	struct {
		size_t room, length; /* of the thread that has the slot */
		unsigned lane;
		bool waits; /* with the mutex: as files_lane_wait() knows */
		const uint8_t *reply;
	} slot[FILES_SLOTS];
};

/* Kills the server; ops->died() follows. fault: a constant, or NULL: it has closed its socket. */
void files_client_end(struct files_client *client, const char *fault);

/* client_slots.c: tells the owner of what is done, and of room; at the end, of all. */
void files_client_finish(struct files_client *client);
void files_client_fail_all(struct files_client *client);
void files_client_signalled(void *client, uint32_t events);
void files_client_kicked(void *client, uint32_t events);

/* client_talk.c */
/* The first messages. 0 or -errno. */
int files_client_greet(struct files_client *client);
/* What is in the socket, at most so many messages: whether that was all. */
bool files_client_hear(struct files_client *client, unsigned most);
void files_client_heard(void *client, uint32_t events);
void files_client_set_held(struct files_client *client, bool held);
/* Sends a message and waits until it is in effect, with *head as the reply. 0 or as tell(). */
int files_client_converse(struct files_client *client, struct files_head *head, const int *fd,
			  unsigned fds, unsigned patience_ms);
/* A message without descriptors. 0 or -errno. */
int files_client_tell(struct files_client *client, struct files_head *head);
/* Follows guard_replace(). */
void files_client_follow(void *client);

/* client_ask.c: messages ASK and WITHDRAWN. 0, or -errno: no working server sends them. */
int files_client_asked(struct files_client *client, uint64_t ticket, const void *bytes,
		       size_t length);
int files_client_withdrawn(struct files_client *client, uint64_t ticket);
void files_client_tell_asked(void *client);
void files_client_forget_asked(struct files_client *client);

#endif
