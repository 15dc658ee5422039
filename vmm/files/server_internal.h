/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the file server's process. */
#ifndef CORDON_FILES_SERVER_INTERNAL_H
#define CORDON_FILES_SERVER_INTERNAL_H

#include <pthread.h>

#include "vmm/base/jail.h"
#include "vmm/files/ring.h"
#include "vmm/files/server.h"
#include "vmm/policy/guard_remote.h"

/* What an operator decides about for a request: one at a time, but it may need several. */
#define FILES_QUESTIONS_MAX 4

struct files_question {
	uint64_t ticket;
	uint8_t *bytes;
	size_t length;
	enum policy_verdict verdict; /* POLICY_ASK: none yet */
};

/* A request that the server has taken. Of its queue's thread, but for `claimed`, `queue`, `retry`.
 */
struct files_taken {
	atomic_bool claimed;
	_Atomic unsigned queue; /* whose thread has it; FILES_QUEUES: none */
	atomic_bool retry;	/* one that waits is to be handled again */
	uint8_t *message;	/* of one that waits; else NULL */
	size_t length;
	/* With the mutex `asking`. */
	struct files_question question[FILES_QUESTIONS_MAX];
	unsigned questions;
	uint64_t policy; /* that asks */
	uint64_t ticket; /* which the monitor has not decided; 0: none */
};

struct files_queue {
	struct files_server *server;
	unsigned index;
	pthread_t thread;
	uint8_t *message;
	bool ticks; /* has left requests waiting, perhaps for the host */
	bool confined;
	bool near; /* the last request came from the processor that this thread is on */
	uint64_t ticked_ns, shown_ns;
};

struct files_server {
	int fd, signal_fd;
	struct files_ring *ring;
	struct fuse_session *session;
	struct guard *guard;
	struct files_quota quota;
	bool limited;
	bool greeted, guarded; /* there is, or will be, a guard */
	bool spins;	       /* there are several processors */
	struct files_queue queue[FILES_QUEUES];
	struct files_share share[FUSED_ROOTS_MAX];
	unsigned shares;
	struct jail_landlock landlock;

	atomic_uint busy;    /* threads that handle a request */
	atomic_uint waiting; /* requests */
	atomic_bool confine; /* threads restrict themselves, before their next request */
	struct files_taken taken[FILES_SLOTS];

	pthread_mutex_t asking;
	uint64_t tickets;

	pthread_mutex_t mutex;
	pthread_cond_t effect;
	_Atomic uint32_t messages; /* of the monitor, that are in effect */
};

/* server_queue.c: 0 or -errno. */
int files_queue_start(struct files_server *server, unsigned index);
/* Hands out waiting requests that can go on. */
void files_queue_retry(struct files_server *server);
/* Waits until no request is being handled, in a held server. 0 or -EBUSY. */
int files_queue_quiet(struct files_server *server, unsigned patience_ms);

/* server_report.c: the guard's channel to the monitor. */
extern const struct guard_remote files_reports;
/* Sends a message; ends the process if the monitor is gone. */
void files_server_say(struct files_server *server, const struct files_head *head, const void *more,
		      size_t length);
/* Whose word the calling thread waits at; before its first report. */
void files_reports_by(unsigned index);

/* server_ask.c: struct guard_remote's ask(). */
int files_ask(void *server, uint64_t policy, const void *bytes, size_t length,
	      enum policy_verdict *verdict);
/* Which request the calling thread handles; FILES_SLOTS: none, so that it can't ask. */
void files_asks_for(unsigned slot);
/* A decision of the monitor: the request is handled again. */
void files_decided(struct files_server *server, uint64_t ticket, enum policy_verdict verdict);
/* Whether a request that waits for a decision has it by now, or is to be decided by another policy.
 */
bool files_may_go_on(struct files_server *server, unsigned slot);
/* The policy was replaced. */
void files_ask_anew(struct files_server *server);
/* The request is done: nothing of it is asked any more. */
void files_asked_end(struct files_server *server, unsigned slot);

/*
 * server_pass.c: open files, from one server to its successor. files_take(): 0, or -EPIPE if it did
 * not get all of them.
 */
void files_give(struct fuse_session *session);
int files_take(struct fuse_session *session);

/* server_seccomp.c: the list of system calls. 0, or -errno with a message. */
int files_filter_calls(struct err *err);

#endif
