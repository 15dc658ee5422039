/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a sandbox in its process: event loop, signals, guard, time limits, start and
 * teardown. The monitor (vmm/control/monitor.h) has one session, both for `cordon run` and for
 * `cordon start`; session_ops holds what these do differently.
 *
 * The order of calls: session_init(), session_watch(), session_open_guard(), session_open(),
 * session_run(), session_close(), session_destroy().
 */
#ifndef CORDON_SANDBOX_SESSION_H
#define CORDON_SANDBOX_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/base/loop.h"
#include "vmm/base/signals.h"
#include "vmm/sandbox/sandbox.h"

struct audit;
struct policy;

enum session_time {
	SESSION_WALL,  /* of the whole life */
	SESSION_IDLE,  /* without a command */
	SESSION_GRACE, /* for an orderly end */
};

/* Called from the loop, except for halted and gone. */
struct session_ops {
	/* Commands can be started. Called once. */
	void (*ready)(void *arg);
	/* The machine has ended, or its agent never connected; see machine.end and end_message. */
	void (*ended)(void *arg);
	/* text says which signal came from where. */
	void (*signal)(void *arg, int number, const char *text);
	/*
	 * The process passed to session_watch(), for which the sandbox runs, has gone. Called once.
	 */
	void (*orphaned)(void *arg);
	void (*time_over)(void *arg, enum session_time which);
	/* In session_close(): the vCPUs have stopped; free what uses the sandbox now. */
	void (*halted)(void *arg);
	/* In session_close(): the sandbox is destroyed, the guard (or NULL) still exists. */
	void (*gone)(void *arg);
};

struct session_limits {
	uint64_t wall_ns, idle_ns; /* 0: none */
};

struct session {
	const struct session_ops *ops;
	void *arg;
	struct session_limits limits;
	struct loop *loop;
	struct guard *guard;
	struct launcher *launcher; /* the owner's, for the sandbox; or NULL */
	struct sandbox sandbox;
	int signal_fd, watch_fd;
	uint32_t watch_events;
	struct loop_source signal_source, watch_source;
	struct loop_timer wall_timer, idle_timer, grace_timer;
};

/* Creates the event loop. 0 or -errno with a message. */
int session_init(struct session *session, const struct session_limits *limits,
		 const struct session_ops *ops, void *arg, struct err *err);

/*
 * Takes over the signals, and watches fd (-1: nothing), which stays the caller's, for events: a
 * pidfd with EPOLLIN, or a pipe's writing end with 0, which becomes ready when its reader has gone.
 * A signal or fd also ends a restore in session_open(). 0 or -errno with a message.
 */
int session_watch(struct session *session, enum signals which, int fd, uint32_t events,
		  struct err *err);

/* Stops watching: the sandbox no longer depends on that process. */
void session_unwatch(struct session *session);

/* Takes over policy and audit (which may be NULL), even on failure. */
int session_open_guard(struct session *session, struct policy *policy, struct audit *audit,
		       struct err *err);

/* Creates the sandbox; fills in guard, launcher and stop of config. 0 or -errno with a message. */
int session_open(struct session *session, const struct sandbox_config *config, struct err *err);

/* Starts the sandbox and runs the loop until session_stop(). 0 or -errno with a message. */
int session_run(struct session *session, struct err *err);
void session_stop(struct session *session);

/* Whether a command runs: idle time counts while none does. */
void session_busy(struct session *session, bool busy);

/* Starts, or restarts, the time that an orderly end may take. */
void session_give_grace(struct session *session, uint64_t ns);

/*
 * Stops the vCPUs, then destroys the sandbox, then the guard, and calls halted and gone in between.
 * Works on a session that was opened in part.
 */
void session_close(struct session *session);

/* The last call: frees the signals' descriptor and the loop. */
void session_destroy(struct session *session);

#endif
