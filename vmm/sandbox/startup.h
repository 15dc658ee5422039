/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start-up: what happens between the agent's greeting and the first command, as an ordered table of
 * steps with one cursor. A step sends a request, most often to the agent, and the cursor advances
 * when the reply has come.
 *
 * When the connection to the agent is lost, start-up stops. When the agent has connected again,
 * start-up begins at the first step and sends every request again: a restored guest may have lost
 * what it got over the former connection (its shares), or may never have received a request.
 */
#ifndef CORDON_SANDBOX_STARTUP_H
#define CORDON_SANDBOX_STARTUP_H

#include <stdbool.h>
#include <stddef.h>

#include "vmm/agent/channel.h"
#include "vmm/base/err.h"

/* What request() and answered() return, besides 0 (the step is done) and -errno. */
#define STARTUP_WAIT  1 /* request: the reply has yet to come */
#define STARTUP_AGAIN 1 /* answered: the step has more to request */

struct startup_step {
	const char *name; /* a noun, for messages */
	/* Sends the step's request. -errno comes with a message. */
	int (*request)(void *arg, const struct agent_reply *reply, struct err *err);
	/*
	 * Takes the reply, 0 or an errno value. -errno comes with a message. NULL: the step is done
	 * with any reply.
	 */
	int (*answered)(void *arg, int error, struct err *err);
	bool required; /* a failure ends start-up; else it is a warning */
};

/* Called from inside startup_begin(), startup_fail() or the reply of a request. */
struct startup_ops {
	void (*done)(void *arg);				      /* all steps are done; once */
	void (*failed)(void *arg, const char *step, const char *why); /* once, instead of done */
	void (*warned)(void *arg, const char *step, const char *why);
};

struct startup {
	const struct startup_step *step;
	size_t count, cursor;
	const struct startup_ops *ops;
	void *arg;
	bool running; /* between startup_begin() and done or failed */
	bool waiting; /* for the reply of the step at the cursor */
	bool over;    /* done or failed has been called */
};

/* step and ops stay the caller's and must outlive startup. */
void startup_init(struct startup *startup, const struct startup_step *step, size_t count,
		  const struct startup_ops *ops, void *arg);

/* The agent has connected: starts with the first step. Does nothing once start-up is over. */
void startup_begin(struct startup *startup);

/* Fails start-up from outside of its steps; step is a name for the message. */
void startup_fail(struct startup *startup, const char *step, const char *why);

/* The steps of a sandbox, in their order; arg is the struct sandbox. */
#define STARTUP_PORTS "published ports"
extern const struct startup_step sandbox_steps[];
extern const size_t sandbox_step_count;

/*
 * The agent has connected and greeted: start-up begins. A sandbox that is ready requests again what
 * the agent may have lost with its last connection.
 */
struct sandbox;
void sandbox_agent_ready(struct sandbox *sandbox);

/*
 * Before startup_begin() on another connection: drops the replies that steps await from the monitor
 * itself, or one of them would count as that of another step. A template half saved is given up.
 */
void sandbox_forget_replies(struct sandbox *sandbox);

#endif
