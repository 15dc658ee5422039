/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job: one command in the guest with its standard streams on the host.
 *
 * Reads input and writes output without ever blocking: a slow reader holds up its own job's command
 * and nothing else. At most one window of output is kept for each stream. When the reader of an
 * output is gone the command gets SIGPIPE, as it would outside of a sandbox.
 */
#ifndef CORDON_SANDBOX_JOB_H
#define CORDON_SANDBOX_JOB_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/agent/channel.h"
#include "vmm/base/err.h"

struct machine;
struct job;

struct job_spec {
	struct agent_command_spec command;
	int fd[3]; /* the caller's, open until the job has ended; not used if ops->output is set */
	/*
	 * The command is killed this long after its start. The job ends soon after that, whatever
	 * the guest does and even if the output is not read. 0: never.
	 */
	uint64_t timeout_ns;
	uint64_t output_max; /* bytes passed on of each output, the rest is dropped; 0: all */
	/*
	 * Bytes that the command may write to both outputs together, or it is killed; 0: any
	 * number. Not used if ops->output is set.
	 */
	uint64_t output_limit;
};

struct job_result {
	int status;			/* the command's own, or one of exit_status.h */
	const char *message;		/* one line for the user, or NULL */
	const struct agent_exit *usage; /* or NULL: it never ran */
};

struct job_ops {
	void (*started)(void *arg, uint32_t pid); /* or NULL */
	/* Called last, exactly once: the command has ended and its output is passed on. */
	void (*ended)(void *arg, const struct job_result *result);
	/* Output comes, behind so much of each that was passed on. May be NULL. */
	void (*passes)(void *arg, const uint64_t passed[2]);
	/*
	 * NULL, unless the owner carries the streams of a command with a terminal itself: it takes
	 * all output, and returns credit with job_consumed() once the bytes are passed on.
	 */
	void (*output)(void *arg, const void *data, size_t length);
	/* Then: there is room again after job_input() took less than it was given. */
	void (*input_ready)(void *arg);
};

/* The machine's agent must be ready. 0, or -errno with a message; then no callback follows. */
int job_start(struct job **out, struct machine *machine, const struct job_spec *spec,
	      const struct job_ops *ops, void *arg, struct err *err);

/* Does nothing once the command has ended. */
void job_signal(struct job *job, int number);
void job_resize(struct job *job, uint16_t rows, uint16_t columns);

/* For an owner that carries the streams itself. job_input() returns the bytes taken. */
size_t job_input(struct job *job, const void *bytes, size_t length);
void job_consumed(struct job *job, size_t length);

/* Frees the job: a running command is killed, and ended is not called. NULL is harmless. */
void job_destroy(struct job *job);

#endif
