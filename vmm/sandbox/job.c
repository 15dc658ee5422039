/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/job.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/exit_status.h"
#include "vmm/base/input.h"
#include "vmm/base/sink.h"
#include "vmm/machine/machine.h"

#define SECOND_NS 1000000000ull

/* How long after the timeout a guest that never reports the command's start is killed. */
#define START_NS (30 * SECOND_NS)

/*
 * After a timeout's kill: how long the job waits for the command's end, and then for readers of its
 * output.
 */
#define KILL_NS	 SECOND_NS
#define DRAIN_NS (10 * SECOND_NS)

struct job {
	struct machine *machine;
	const struct job_ops *ops;
	void *arg;
	struct agent_command *command;
	struct sink out[2];  /* stdout, stderr */
	struct input *input; /* NULL: the owner carries the streams */
	struct loop_timer timer;
	struct loop_task end_task;
	uint64_t timeout_ns, output_max, output_limit, output[2], passed[2];
	bool over; /* the command has ended, but perhaps not its output */
	bool timed_out, has_usage;
	bool too_much; /* output: killed for it */
	int status;
	struct agent_exit usage;
	char message[AGENT_MESSAGE_MAX + 64];
};

/* Deferred to the loop, because the owner may destroy the job in ended(). */
static void report_end(void *arg)
{
	struct job *job = arg;
	const struct job_result result = {
		.status = job->timed_out  ? EXIT_TIMEOUT
			  : job->too_much ? exit_status(0, SIGKILL)
					  : job->status,
		.message = job->message[0] ? job->message : NULL,
		.usage = job->has_usage ? &job->usage : NULL,
	};

	job->ops->ended(job->arg, &result);
}

static void end_if_drained(struct job *job)
{
	if (job->over && sink_pending(&job->out[0]) == 0 && sink_pending(&job->out[1]) == 0)
		loop_defer(job->machine->loop, &job->end_task);
}

static void command_over(struct job *job, int status)
{
	if (job->over)
		return;
	job->over = true;
	job->status = status;
	timeline_mark(&job->machine->timeline, TIMELINE_EXITED);
	if (job->input)
		input_stop(job->input);
	if (job->timed_out)
		loop_timer_start(job->machine->loop, &job->timer, DRAIN_NS);
	else
		loop_timer_stop(job->machine->loop, &job->timer);
	end_if_drained(job);
}

/* --- the command ------------------------------------------------------------------------------ */

static void on_started(void *arg, uint32_t pid)
{
	struct job *job = arg;

	timeline_mark(&job->machine->timeline, TIMELINE_COMMAND);
	if (job->timeout_ns && !job->timed_out)
		loop_timer_start(job->machine->loop, &job->timer, job->timeout_ns);
	if (job->ops->started)
		job->ops->started(job->arg, pid);
}

/* The job ends soon, as after a timeout. */
static void kill_command(struct job *job)
{
	agent_command_signal(job->command, SIGKILL);
	loop_timer_start(job->machine->loop, &job->timer, KILL_NS);
}

/* How many of length bytes the limit leaves. The command is killed if that is not all. */
static size_t within_limit(struct job *job, size_t length)
{
	uint64_t left =
		job->output_limit - min_u64(job->output[0] + job->output[1], job->output_limit);

	if (!job->output_limit || length <= left)
		return length;
	if (!job->too_much) {
		job->too_much = true;
		snprintf(job->message, sizeof(job->message),
			 "the command was killed: it wrote more than the policy's limit of %llu "
			 "bytes (limit output)",
			 (unsigned long long)job->output_limit);
		if (!job->timed_out)
			kill_command(job);
	}
	return left;
}

static void on_output(void *arg, unsigned stream, const void *data, size_t length)
{
	struct job *job = arg;
	uint64_t *sent = &job->output[stream - 1];
	size_t kept;

	timeline_mark(&job->machine->timeline, TIMELINE_OUTPUT);
	if (job->ops->output) {
		job->ops->output(job->arg, data, length);
		return;
	}
	kept = within_limit(job, length);
	if (job->output_max)
		kept = min_u64(kept, job->output_max - min_u64(*sent, job->output_max));
	*sent += length;
	if (kept < length)
		agent_command_consumed(job->command, stream, length - kept);
	if (kept == 0)
		return;
	if (job->ops->passes)
		job->ops->passes(job->arg, job->passed);
	job->passed[stream - 1] += kept;
	/* This fits: the sink is as large as the stream's window. */
	sink_write(&job->out[stream - 1], data, kept);
}

static void on_stdin_ready(void *arg)
{
	struct job *job = arg;

	if (job->input)
		input_resume(job->input);
	else
		job->ops->input_ready(job->arg);
}

static void on_stdin_closed(void *arg)
{
	struct job *job = arg;

	if (job->input)
		input_stop(job->input);
}

static void on_exited(void *arg, const struct agent_exit *result)
{
	struct job *job = arg;

	job->usage = *result;
	job->has_usage = true;
	if (result->out_of_memory && !job->too_much && !job->timed_out)
		snprintf(job->message, sizeof(job->message),
			 "out of memory: the guest's kernel killed the command, or a process of it "
			 "(the sandbox has %lluM)",
			 (unsigned long long)job->machine->config.memory >> 20);
	command_over(job, exit_status(result->code, result->signal));
}

static void on_failed(void *arg, const struct agent_failure *failure)
{
	struct job *job = arg;

	snprintf(job->message, sizeof(job->message), "%s", failure->message);
	command_over(job, failure->status);
}

static const struct agent_command_ops command_ops = {
	.started = on_started,
	.output = on_output,
	.stdin_ready = on_stdin_ready,
	.stdin_closed = on_stdin_closed,
	.exited = on_exited,
	.failed = on_failed,
};

static void on_timer(void *arg)
{
	struct job *job = arg;

	if (job->over) { /* no reader: the rest of the output is lost */
		loop_defer(job->machine->loop, &job->end_task);
		return;
	}
	if (job->timed_out || job->too_much) {
		command_over(job, EXIT_TIMEOUT);
		return;
	}
	job->timed_out = true;
	kill_command(job);
}

/* --- the streams ------------------------------------------------------------------------------ */

static size_t input_data(void *arg, const void *bytes, size_t length)
{
	struct job *job = arg;

	return agent_command_stdin(job->command, bytes, length);
}

static void input_ended(void *arg)
{
	struct job *job = arg;

	agent_command_stdin_eof(job->command);
}

static void output_drained(struct job *job, unsigned stream, size_t length)
{
	if (job->command)
		agent_command_consumed(job->command, stream, length);
	end_if_drained(job);
}

/* A reader that is gone concerns only the command; any other failure (a full disk) ends the job. */
static void output_failed(struct job *job, unsigned stream, int code)
{
	if (code == EPIPE || code == EBADF) {
		job_signal(job, SIGPIPE);
		return;
	}
	snprintf(job->message, sizeof(job->message), "%s: %s", stream == 1 ? "stdout" : "stderr",
		 strerror(code));
	job_signal(job, SIGKILL);
	command_over(job, EXIT_CORDON);
}

static void stdout_drained(void *arg, size_t length)
{
	output_drained(arg, 1, length);
}

static void stderr_drained(void *arg, size_t length)
{
	output_drained(arg, 2, length);
}

static void stdout_failed(void *arg, int code)
{
	output_failed(arg, 1, code);
}

static void stderr_failed(void *arg, int code)
{
	output_failed(arg, 2, code);
}

static int open_streams(struct job *job, const struct job_spec *spec)
{
	static const struct sink_ops sink_ops[2] = {
		{.drained = stdout_drained, .failed = stdout_failed},
		{.drained = stderr_drained, .failed = stderr_failed},
	};
	static const struct input_ops input_ops = {.data = input_data, .end = input_ended};
	struct loop *loop = job->machine->loop;
	unsigned i;
	int ret;

	job->input = malloc(sizeof(*job->input));
	if (!job->input)
		return -ENOMEM;
	input_init(job->input, loop, spec->fd[0], &input_ops, job);
	for (i = 0; i < 2; i++) {
		ret = sink_init(&job->out[i], loop, spec->fd[i + 1], AGENT_WINDOW_OUTPUT,
				&sink_ops[i], job);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* --- the interface ---------------------------------------------------------------------------- */

int job_start(struct job **out, struct machine *machine, const struct job_spec *spec,
	      const struct job_ops *ops, void *arg, struct err *err)
{
	struct job *job = calloc(1, sizeof(*job));
	uint64_t patience;
	int ret;

	*out = NULL;
	if (!job)
		return err_set(err, ENOMEM, "out of memory");
	job->machine = machine;
	job->ops = ops;
	job->arg = arg;
	job->timeout_ns = spec->timeout_ns;
	job->output_max = spec->output_max;
	job->output_limit = spec->output_limit;
	job->timer = (struct loop_timer){.expired = on_timer, .arg = job, .guest = true};
	job->end_task = (struct loop_task){.run = report_end, .arg = job};
	ret = ops->output ? 0 : open_streams(job, spec);
	if (ret < 0) {
		err_code(err, -ret, "standard streams");
		goto fail;
	}
	ret = agent_command_start(machine->channel, &spec->command, &command_ops, job,
				  &job->command);
	if (ret == -E2BIG)
		err_set(err, E2BIG,
			"the command's arguments and environment are too long together");
	else if (ret == -EOPNOTSUPP)
		err_set(err, -ret,
			"the guest's agent is too old for a user by number or with a group");
	else if (ret < 0)
		err_code(err, -ret, "starting the command");
	if (ret < 0)
		goto fail;
	if (add_overflows(job->timeout_ns, START_NS, &patience))
		patience = UINT64_MAX;
	if (job->timeout_ns)
		loop_timer_start(machine->loop, &job->timer, patience);
	machine->settled_ns = 0;
	/* With the START in one packet, if there is nothing to wait for. */
	if (job->input)
		input_start(job->input);
	*out = job;
	return 0;
fail:
	job_destroy(job);
	return ret;
}

void job_signal(struct job *job, int number)
{
	if (job->command && !job->over)
		agent_command_signal(job->command, number);
}

void job_resize(struct job *job, uint16_t rows, uint16_t columns)
{
	if (job->command && !job->over)
		agent_command_resize(job->command, rows, columns);
}

size_t job_input(struct job *job, const void *bytes, size_t length)
{
	return agent_command_stdin(job->command, bytes, length);
}

/* A terminal's output is one stream. */
void job_consumed(struct job *job, size_t length)
{
	agent_command_consumed(job->command, 1, length);
}

void job_destroy(struct job *job)
{
	struct loop *loop;

	if (!job)
		return;
	loop = job->machine->loop;
	agent_command_close(job->command);
	job->command = NULL;
	loop_timer_stop(loop, &job->timer);
	if (job->input)
		input_destroy(job->input);
	free(job->input);
	/* sink_destroy() still writes what it can without blocking. */
	job->ops = NULL;
	job->out[0].ops = job->out[1].ops = NULL;
	sink_destroy(&job->out[0]);
	sink_destroy(&job->out[1]);
	loop_cancel(loop, &job->end_task);
	free(job);
}
