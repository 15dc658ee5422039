/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launcher: a process that does for a monitor what needs the user's rights while a guest runs,
 * when the monitor itself has given them up.
 *
 * It is forked from the monitor at the beginning, before anything hostile is parsed, and executes
 * no other program in its own place: what it may do was fixed in its memory then. That is a closed
 * table of requests. A request carries bytes and descriptors, which its handler takes for hostile;
 * it never carries a program, a path, a user or an environment.
 *
 * A monitor that breaks the protocol (a request that is not in the table, too long, with other
 * descriptors than it has, or one too many at a time) is broken: the launcher ends. It also ends
 * with the monitor, however that ends, and kills what it has started.
 *
 * Both talk through a pair of sockets (unix(7), SOCK_SEQPACKET).
 */
#ifndef CORDON_JAIL_LAUNCHER_H
#define CORDON_JAIL_LAUNCHER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/base/err.h"
#include "vmm/base/loop.h"

#define LAUNCHER_NAME  "cordon-launcher" /* in /proc/PID/comm */
#define LAUNCHER_BYTES 32768u		 /* of a request, and of a part of its reply */
#define LAUNCHER_FDS   4u		 /* descriptors of either */
#define LAUNCHER_CALLS 64u		 /* under way at a time */
#define LAUNCHER_KEEPS 8u		 /* descriptors that handlers need */

struct launcher;
struct launcher_task;

/* A message's contents, also of a part of a reply. */
struct launcher_message {
	const void *bytes;
	size_t length;
	/* The receiver sets those that it takes to -1; the others are closed afterwards. */
	int fd[LAUNCHER_FDS];
	unsigned fds;
};

/* An entry of the table. */
struct launcher_request {
	const char *name;
	size_t least, most; /* bytes that it has; most: up to LAUNCHER_BYTES */
	unsigned fds;	    /* descriptors that it has */
	/*
	 * In the launcher. Replies by launcher_part(), any number of times. The request ends with
	 * the return, unless launcher_child() was called. 0 or -errno, for done() below.
	 */
	int (*run)(struct launcher_task *task, void *state, struct launcher_message *message);
};

struct launcher_service {
	const struct launcher_request *request;
	void *state; /* as it is when the launcher starts */
};

struct launcher_config {
	const struct launcher_service *service;
	unsigned services;
	/* Descriptors that handlers use; the launcher has no others of the monitor's. */
	int keep[LAUNCHER_KEEPS];
	unsigned keeps;
};

/* A request that is under way, in the monitor. It stays where it is until done() or a cancel. */
struct launcher_call {
	/* From the loop's thread. NULL: no reply is wanted. */
	void (*part)(void *arg, struct launcher_message *message);
	/* Last. result: 0 or -errno; -EPIPE: the launcher is gone. */
	void (*done)(void *arg, int result);
	void *arg;
	/* private to the launcher; 0: it is not under way */
	unsigned slot;
};

/* --- in the monitor --------------------------------------------------------------------------- */

/*
 * Forks it. Before the process has other threads and a guest's memory. The table stays the
 * caller's. 0, or -errno with a message and *out NULL.
 */
int launcher_start(struct launcher **out, struct loop *loop, const struct launcher_config *config,
		   struct err *err);

/*
 * Sends a request: bytes, and descriptors, which stay the caller's. In the loop's thread or with
 * the device lock held; never waits, never calls back before it returns. 0 or -errno; -EBUSY: too
 * many are under way; -ENOENT: the table lacks it; -EPIPE: the launcher is gone,
 * or NULL.
 */
int launcher_call(struct launcher *launcher, struct launcher_call *call,
		  const struct launcher_request *request, const struct launcher_message *message);

/* Gives a call up: no callback comes any more, and what it has started is killed. */
void launcher_cancel(struct launcher *launcher, struct launcher_call *call);

/*
 * Waits until the call is done, outside of the event loop. After timeout_ms it is cancelled. 0, or
 * -ETIME.
 */
int launcher_wait(struct launcher *launcher, struct launcher_call *call, unsigned timeout_ms);

/* Its process id; 0: it is gone. */
pid_t launcher_pid(const struct launcher *launcher);

/* Ends it, and what it has started. No call is under way any more. NULL is harmless. */
void launcher_destroy(struct launcher *launcher);

/* --- in the launcher: for handlers ------------------------------------------------------------ */

/* Sends a part of the reply, at most LAUNCHER_BYTES. Descriptors stay the caller's. */
void launcher_part(struct launcher_task *task, const struct launcher_message *message);

/*
 * The task lasts as long as this child, which leads a process group of its own. At its end the
 * group is killed, and the reply has one more part: its status, an int as from waitpid(2).
 */
void launcher_child(struct launcher_task *task, pid_t pid);

#endif
