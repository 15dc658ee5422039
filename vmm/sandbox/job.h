/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job: one command in the guest with its standard streams on the host.
 *
 * Input is read and output written without ever waiting; a slow reader holds up its own job's
 * command and nothing else, at most one window of output a stream is kept. When the reader of an
 * output is gone the command gets SIGPIPE, as it would have got without us.
 */
#ifndef CORDON_SANDBOX_JOB_H
#define CORDON_SANDBOX_JOB_H

#include <stdint.h>

#include "vmm/agent/channel.h"
#include "vmm/base/err.h"

/* Exit statuses that are not the command's own, as everywhere in Cordon. */
#define JOB_TIMEOUT	124
#define JOB_FAILED	125
#define JOB_SIGNAL_BASE 128

struct machine;
struct job;

struct job_spec {
	struct agent_command_spec command;
	int fd[3]; /* the caller's, open until the job has ended */
	/*
	 * The command is killed this long after its start, and the job ends soon after that,
	 * whatever the guest does and whether or not the output is read. 0: never.
	 */
	uint64_t timeout_ns;
	uint64_t output_max; /* bytes of each output that are passed on, the rest is dropped; 0: all
			      */
};

struct job_result {
	int status;			/* as a shell has it: code, 128 + signal, 124 to 127 */
	const char *message;		/* one line for a person, or NULL */
	const struct agent_exit *usage; /* or NULL: it never ran */
};

struct job_ops {
	void (*started)(void *arg, uint32_t pid); /* or NULL */
	/* Last and exactly once: the command has ended and its output has been passed on. */
	void (*ended)(void *arg, const struct job_result *result);
};

/* The machine's agent is ready. 0 or -errno with a message; nothing is called back then. */
int job_start(struct job **out, struct machine *machine, const struct job_spec *spec,
	      const struct job_ops *ops, void *arg, struct err *err);

/* Harmless when the command has ended. */
void job_signal(struct job *job, int number);
void job_resize(struct job *job, uint16_t rows, uint16_t columns);

/* Frees it; a command that runs is killed, and ended is not called any more. NULL is harmless. */
void job_destroy(struct job *job);

#endif
